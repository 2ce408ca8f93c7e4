CREATE ROLE app LOGIN PASSWORD 'app';
CREATE TABLE customers (
    id bigserial PRIMARY KEY, name text NOT NULL, email text NOT NULL UNIQUE, phone text, password_hash text,
    date_of_birth date, country char(2) NOT NULL DEFAULT 'DE', city text, segment text, marketing boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(), deleted_at timestamptz
);
CREATE INDEX ON customers (country, created_at);
CREATE TABLE addresses (
    id bigserial PRIMARY KEY, customer_id bigint NOT NULL REFERENCES customers, street text NOT NULL, city text NOT NULL,
    postcode text, country char(2) NOT NULL, is_default boolean NOT NULL DEFAULT false
);
CREATE TABLE categories (id serial PRIMARY KEY, parent_id int REFERENCES categories, name text NOT NULL, slug text UNIQUE);
CREATE TABLE products (
    id serial PRIMARY KEY, sku text NOT NULL UNIQUE, name text NOT NULL, description text, price numeric(12, 2) NOT NULL,
    category_id int REFERENCES categories, tags text[] NOT NULL DEFAULT '{}', attributes jsonb NOT NULL DEFAULT '{}',
    search tsvector, created_at timestamptz NOT NULL DEFAULT now(), archived_at timestamptz
);
CREATE INDEX ON products USING gin (search);
CREATE TABLE warehouses (id serial PRIMARY KEY, code text NOT NULL UNIQUE, name text, country char(2));
CREATE TABLE inventory (
    product_id int REFERENCES products, warehouse_id int REFERENCES warehouses, quantity int NOT NULL DEFAULT 0,
    reserved int NOT NULL DEFAULT 0, PRIMARY KEY (product_id, warehouse_id)
);
CREATE TABLE orders (
    id bigserial PRIMARY KEY, customer_id bigint NOT NULL REFERENCES customers, status text NOT NULL DEFAULT 'new',
    currency char(3) NOT NULL DEFAULT 'EUR', total numeric(12, 2) NOT NULL DEFAULT 0, placed_at timestamptz NOT NULL DEFAULT now(),
    shipped_at timestamptz, notes text, metadata jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX ON orders (customer_id, placed_at DESC);
CREATE TABLE order_items (
    order_id bigint REFERENCES orders, product_id int REFERENCES products, quantity int NOT NULL, unit_price numeric(12, 2) NOT NULL,
    discount numeric(4, 3) NOT NULL DEFAULT 0, PRIMARY KEY (order_id, product_id)
);
CREATE TABLE payments (
    id bigserial PRIMARY KEY, order_id bigint NOT NULL REFERENCES orders, provider text NOT NULL, amount numeric(12, 2) NOT NULL,
    status text NOT NULL, card_number text, provider_token text, created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE reviews (
    id bigserial PRIMARY KEY, product_id int NOT NULL REFERENCES products, customer_id bigint REFERENCES customers,
    rating int NOT NULL, title text, body text, created_at timestamptz NOT NULL DEFAULT now(), UNIQUE (product_id, customer_id)
);
CREATE TABLE carts (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), customer_id bigint, items jsonb NOT NULL DEFAULT '[]', updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE staff (
    id serial PRIMARY KEY, username text NOT NULL UNIQUE, email text, password text NOT NULL, is_active boolean NOT NULL DEFAULT true,
    is_superuser boolean NOT NULL DEFAULT false, last_login timestamptz, date_joined timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE staff_groups (staff_id int REFERENCES staff, group_name text, PRIMARY KEY (staff_id, group_name));
CREATE TABLE web_sessions (key text PRIMARY KEY, staff_id int REFERENCES staff, token text NOT NULL, ip inet, data jsonb, expires_at timestamptz NOT NULL);
CREATE TABLE events (id bigserial, occurred_at timestamptz NOT NULL, kind text NOT NULL, customer_id bigint, properties jsonb) PARTITION BY RANGE (occurred_at);
CREATE TABLE events_2026_01 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE events_2026_02 PARTITION OF events FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
CREATE TABLE events_rest PARTITION OF events DEFAULT;
CREATE TABLE jobs (
    id bigserial PRIMARY KEY, queue text NOT NULL DEFAULT 'default', payload jsonb NOT NULL DEFAULT '{}', state text NOT NULL DEFAULT 'ready',
    run_at timestamptz NOT NULL DEFAULT now(), attempts int NOT NULL DEFAULT 0, locked_by text, last_error text
);
CREATE TABLE settings (key text PRIMARY KEY, value jsonb NOT NULL, updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE agents (id serial PRIMARY KEY, name text NOT NULL UNIQUE, model text NOT NULL, owner text, config jsonb NOT NULL DEFAULT '{}');
CREATE TABLE reasoning_traces (
    id bigserial PRIMARY KEY, agent_id int NOT NULL REFERENCES agents, session_id uuid NOT NULL, project text NOT NULL,
    prompt text NOT NULL, response text, steps jsonb NOT NULL DEFAULT '[]', model text NOT NULL, input_tokens int NOT NULL DEFAULT 0,
    output_tokens int NOT NULL DEFAULT 0, cost numeric(12, 6) NOT NULL DEFAULT 0, latency_ms int, status text NOT NULL DEFAULT 'ok',
    error text, tags text[] NOT NULL DEFAULT '{}', created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON reasoning_traces (project, created_at DESC);
CREATE TABLE tool_calls (
    id bigserial PRIMARY KEY, trace_id bigint NOT NULL REFERENCES reasoning_traces, tool text NOT NULL, arguments jsonb NOT NULL DEFAULT '{}',
    duration_ms int, ok boolean NOT NULL DEFAULT true, created_at timestamptz NOT NULL DEFAULT now()
);
CREATE VIEW daily_sales AS SELECT date_trunc('day', placed_at) AS day, currency, count(*) AS orders, sum(total) AS revenue FROM orders GROUP BY 1, 2;
CREATE VIEW customer_directory AS SELECT id, name, email, city, country FROM customers WHERE deleted_at IS NULL;
CREATE VIEW open_orders AS SELECT o.id, o.customer_id, c.name AS customer, o.total, o.placed_at FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.status IN ('new', 'paid');
CREATE MATERIALIZED VIEW product_stats AS SELECT p.id, p.sku, count(r.id) AS reviews, avg(r.rating) AS rating FROM products p LEFT JOIN reviews r ON r.product_id = p.id GROUP BY p.id, p.sku;

INSERT INTO customers (name, email, phone, password_hash, date_of_birth, country, city, segment, created_at)
SELECT 'Customer ' || n, 'c' || n || '@example.com', '+49 30 55501' || n, md5(n::text), date '1980-01-01' + n * 97,
    (ARRAY['DE', 'FR', 'US', 'JP'])[1 + n % 4], (ARRAY['Berlin', 'Paris', 'Austin', 'Kyoto'])[1 + n % 4],
    (ARRAY['gold', 'silver', NULL])[1 + n % 3], timestamptz '2025-06-01' + n * interval '3 days' FROM generate_series(1, 60) n;
INSERT INTO addresses (customer_id, street, city, postcode, country, is_default) SELECT id, id || ' High Street', city, '10' || id, country, true FROM customers;
INSERT INTO categories (parent_id, name, slug) VALUES (NULL, 'All', 'all'), (1, 'Books', 'books'), (1, 'Toys', 'toys'), (2, 'Novels', 'novels');
INSERT INTO products (sku, name, description, price, category_id, tags, attributes)
SELECT 'SKU-' || n, 'Product ' || n, 'A fine thing, number ' || n, n * 1.5, 1 + n % 4, ARRAY['new', 't' || n % 3],
    jsonb_build_object('color', (ARRAY['red', 'blue'])[1 + n % 2], 'weight', n, 'dims', jsonb_build_array(n, n + 1)) FROM generate_series(1, 40) n;
UPDATE products SET search = to_tsvector('english', name || ' ' || description);
INSERT INTO warehouses (code, name, country) VALUES ('BER', 'Berlin', 'DE'), ('AUS', 'Austin', 'US');
INSERT INTO inventory SELECT p.id, w.id, p.id * 3, p.id % 5 FROM products p, warehouses w;
INSERT INTO orders (customer_id, status, total, placed_at, metadata)
SELECT 1 + n % 60, (ARRAY['new', 'paid', 'shipped', 'cancelled'])[1 + n % 4], n * 2, timestamptz '2026-01-01' + n * interval '7 hours',
    jsonb_build_object('channel', (ARRAY['web', 'app'])[1 + n % 2], 'payment', jsonb_build_object('card', '4111' || n, 'method', 'card')) FROM generate_series(1, 200) n;
INSERT INTO order_items SELECT id, 1 + (id % 40)::int, 1 + (id % 3)::int, 9.99, 0 FROM orders;
INSERT INTO payments (order_id, provider, amount, status, card_number, provider_token) SELECT id, 'stripe', total, 'captured', '411111111111' || 1000 + id, 'tok_' || id FROM orders WHERE status <> 'new';
INSERT INTO reviews (product_id, customer_id, rating, title, body) SELECT 1 + n % 40, 1 + n % 60, 1 + n % 5, 'Title ' || n, 'Quite good ' || n FROM generate_series(1, 100) n;
INSERT INTO carts (id, customer_id, items) VALUES ('00000000-0000-0000-0000-000000000001', 1, '[{"sku": "SKU-1", "n": 2}]');
INSERT INTO staff (username, email, password) VALUES ('root', 'root@example.com', 'x'), ('ann', 'ann@example.com', 'y');
INSERT INTO staff_groups VALUES (1, 'admins'), (2, 'support');
INSERT INTO web_sessions VALUES ('k1', 1, 'secret-1', '192.0.2.1', '{"theme": "dark"}', now() + interval '1 day');
INSERT INTO events (occurred_at, kind, customer_id, properties) SELECT timestamptz '2026-01-01' + n * interval '9 hours', (ARRAY['view', 'cart', 'buy'])[1 + n % 3], 1 + n % 60, jsonb_build_object('page', '/p/' || n % 7, 'ms', n) FROM generate_series(1, 200) n;
INSERT INTO jobs (queue, payload) SELECT 'mail', jsonb_build_object('to', n) FROM generate_series(1, 10) n;
INSERT INTO settings (key, value) VALUES ('theme', '"dark"'), ('limits', '{"max": 5}');
INSERT INTO agents (name, model, owner) VALUES ('planner', 'large', 'ann'), ('coder', 'small', 'bob');
INSERT INTO reasoning_traces (agent_id, session_id, project, prompt, response, steps, model, input_tokens, output_tokens, cost, latency_ms, status, tags, created_at)
SELECT 1 + n % 2, ('00000000-0000-0000-0000-' || lpad((n % 9)::text, 12, '0'))::uuid, (ARRAY['apollo', 'gemini', 'zeus'])[1 + n % 3], 'prompt ' || n, 'answer ' || n,
    jsonb_build_array(jsonb_build_object('tool', 'search', 'api_key', 'sk-' || n, 'ms', n)), (ARRAY['large', 'small'])[1 + n % 2],
    n * 10, n * 3, n * 0.001, n * 15, CASE WHEN n % 11 = 0 THEN 'error' ELSE 'ok' END, ARRAY['t' || n % 4], timestamptz '2026-01-10' + n * interval '2 hours' FROM generate_series(1, 150) n;
INSERT INTO tool_calls (trace_id, tool, arguments, duration_ms, ok) SELECT id, 'search', jsonb_build_object('q', 'x', 'token', 's' || id), id * 2, id % 7 <> 0 FROM reasoning_traces;
REFRESH MATERIALIZED VIEW product_stats;

GRANT USAGE ON SCHEMA public TO app;
GRANT SELECT, INSERT, UPDATE, DELETE ON addresses, categories, products, warehouses, inventory, orders, order_items, payments, reviews, carts, staff, staff_groups,
    web_sessions, customers, events, events_2026_01, events_2026_02, events_rest, jobs, settings, agents, reasoning_traces, tool_calls TO app;
GRANT TRUNCATE ON carts, jobs TO app;
GRANT SELECT ON daily_sales, customer_directory, open_orders, product_stats TO app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO app;
-- the second lock: no privilege on what is masked by a constant
REVOKE SELECT ON customers, addresses, payments, staff, web_sessions, reasoning_traces FROM app;
GRANT SELECT (id, name, phone, country, city, segment, marketing, created_at, updated_at, deleted_at) ON customers TO app;
GRANT SELECT (id, customer_id, city, postcode, country, is_default) ON addresses TO app;
GRANT SELECT (id, order_id, provider, amount, status, card_number, created_at) ON payments TO app;
GRANT SELECT (id, username, email, is_active, is_superuser, last_login, date_joined) ON staff TO app;
GRANT SELECT (key, staff_id, ip, data, expires_at) ON web_sessions TO app;
GRANT SELECT (id, agent_id, session_id, project, steps, model, input_tokens, output_tokens, cost, latency_ms, status, error, tags, created_at) ON reasoning_traces TO app;
