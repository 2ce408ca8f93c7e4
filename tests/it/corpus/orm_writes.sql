INSERT INTO customers (name, email, phone, country, city) VALUES ($1::VARCHAR, $2::VARCHAR, $3::VARCHAR, $4::VARCHAR, $5::VARCHAR) RETURNING customers.id;
--: 'New', 'new@example.com', '+49 1', 'DE', 'Bonn'

INSERT INTO customers (name, email, country) VALUES ('Ann', 'ann@example.org', 'FR'), ('Bob', 'bob@example.org', 'US');

UPDATE customers SET email=$1::VARCHAR, updated_at=now() WHERE customers.id = $2::BIGINT;
--: 'changed@example.com', 4

UPDATE customers SET name=$1::VARCHAR, city=$2::VARCHAR WHERE customers.id = $3::BIGINT;
--: 'Renamed', 'Bonn', 4

DELETE FROM reviews WHERE reviews.id = $1::BIGINT;
--: 5

INSERT INTO orders (customer_id, status, currency, total, notes, metadata) VALUES ($1::BIGINT, $2::VARCHAR, $3::VARCHAR, $4::NUMERIC(12, 2), $5::VARCHAR, $6::JSONB) RETURNING orders.id, orders.placed_at;
--: 1, 'new', 'EUR', 10, NULL, '{}'

INSERT INTO order_items (order_id, product_id, quantity, unit_price) VALUES ($1, $2, $3, $4), ($5, $6, $7, $8);
--: 1, 30, 1, 5, 1, 31, 2, 6

UPDATE "staff" SET "last_login" = $1 WHERE "staff"."id" = $2;
--: '2026-03-01', 1

UPDATE "staff" SET "password" = $1 WHERE "staff"."id" = $2;
--: 'pbkdf2$abc', 2

UPDATE "customers" SET "name" = $1, "email" = $2, "phone" = $3, "country" = $4, "city" = $5, "segment" = $6, "marketing" = $7 WHERE "customers"."id" = $8;
--: 'A', 'a@example.net', '+1 2', 'US', 'Austin', 'gold', true, 3

INSERT INTO "web_sessions" ("key", "staff_id", "token", "ip", "data", "expires_at") VALUES ($1, $2, $3, $4, $5, $6);
--: 'k9', 2, 'tok', '192.0.2.9', '{}', '2027-01-01'

DELETE FROM "web_sessions" WHERE "web_sessions"."expires_at" < $1;
--: '2026-01-01'

DELETE FROM "staff_groups" WHERE ("staff_groups"."staff_id" = $1 AND "staff_groups"."group_name" IN ($2, $3));
--: 2, 'support', 'admins'

UPDATE "orders" SET "status" = $1 WHERE "orders"."id" IN (SELECT U0."id" FROM "orders" U0 INNER JOIN "customers" U1 ON (U0."customer_id" = U1."id") WHERE U1."country" = $2);
--: 'shipped', 'JP'

INSERT INTO "reviews" ("product_id", "customer_id", "rating", "title", "body", "created_at") VALUES ($1, $2, $3, $4, $5, $6) RETURNING "id";
--: 40, 50, 5, 'Good', 'Very', '2026-03-01'

UPDATE "products" SET "price" = $1, "name" = $2 WHERE "products"."id" = $3;
--: 9.5, 'Better', 3

DELETE FROM "carts" WHERE "carts"."id" = $1;
--: '00000000-0000-0000-0000-000000000001'

UPDATE "customers" SET "deleted_at" = $1 WHERE "customers"."id" = $2;
--: '2026-03-01', 60

INSERT INTO "public"."customers" ("name","email","country","created_at","updated_at") VALUES ($1,$2,$3,$4,$5) RETURNING "public"."customers"."id", "public"."customers"."name", "public"."customers"."email";
--: 'P', 'p@example.com', 'DE', '2026-03-01', '2026-03-01'

UPDATE "public"."orders" SET "status" = $1 WHERE ("public"."orders"."id" = $2 AND 1=1) RETURNING "public"."orders"."id", "public"."orders"."status", "public"."orders"."total";
--: 'paid', 3

DELETE FROM "public"."reviews" WHERE ("public"."reviews"."id" = $1 AND 1=1) RETURNING "public"."reviews"."id";
--: 4

insert into customers (city,country,created_at,email,marketing,name,phone,updated_at) values ($1,$2,$3,$4,$5,$6,$7,$8) returning id;
--: 'Rome', 'IT', '2026-03-01', 'h@example.com', false, 'H', NULL, '2026-03-01'

update orders set currency=$1,notes=$2,status=$3,total=$4 where id=$5;
--: 'EUR', 'n', 'paid', 20, 2

delete from order_items where order_id=$1 and product_id=$2;
--: 1, 2

-- name: CreateTrace :one
INSERT INTO reasoning_traces (agent_id, session_id, project, prompt, response, steps, model, input_tokens, output_tokens, cost, latency_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING id, created_at;
--: 1, '00000000-0000-0000-0000-000000000002', 'apollo', 'hello', 'world', '[]', 'large', 10, 20, 0.1, 300

-- name: CreateOrder :one
INSERT INTO orders (customer_id, total) VALUES ($1, $2) RETURNING *;
--: 1, 5

-- name: UpdateStock :exec
UPDATE inventory SET quantity = quantity - $1, reserved = reserved + $1 WHERE product_id = $2 AND warehouse_id = $3 AND quantity >= $1;
--: 1, 3, 1

-- name: CreateCustomer :one
INSERT INTO customers (name, email) VALUES ($1, $2) RETURNING *;
--: 'S', 's@example.com'

UPDATE reasoning_traces SET status = $1, error = $2, latency_ms = $3 WHERE id = $4;
--: 'error', 'timeout', 30000, 7

UPDATE reasoning_traces SET tags = array_append(tags, $1) WHERE id = $2;
--: 'reviewed', 7

INSERT INTO tool_calls (trace_id, tool, arguments, duration_ms, ok) SELECT id, 'retry', '{}', 0, false FROM reasoning_traces WHERE status = 'error';

INSERT INTO tool_calls (trace_id, tool, arguments, duration_ms) VALUES (1, 'fetch', '{"q": "y"}', 12);

UPDATE orders o SET total = s.total FROM (SELECT order_id, sum(quantity * unit_price) AS total FROM order_items GROUP BY order_id) s WHERE s.order_id = o.id;

UPDATE products SET price = round(price * 1.05, 2) WHERE category_id = 2 RETURNING id, price;

UPDATE customers c SET segment = 'gold' FROM (SELECT customer_id FROM orders GROUP BY customer_id HAVING sum(total) > 500) big WHERE big.customer_id = c.id;

DELETE FROM addresses a USING customers c WHERE c.id = a.customer_id AND c.deleted_at IS NOT NULL;

DELETE FROM inventory WHERE product_id IN (SELECT id FROM products WHERE archived_at IS NOT NULL);

INSERT INTO addresses (customer_id, street, city, postcode, country) VALUES (1, '1 Low Street', 'Berlin', '10115', 'DE') RETURNING id;

INSERT INTO payments (order_id, provider, amount, status, card_number, provider_token) VALUES (1, 'stripe', 10, 'pending', '4242424242424242', 'tok_x') RETURNING id;

UPDATE payments SET status = 'refunded' WHERE id = 3 RETURNING id, order_id, amount;

INSERT INTO events (occurred_at, kind, customer_id, properties) VALUES (now(), 'login', 3, '{"from": "app"}');

INSERT INTO agents (name, model, owner) VALUES ('writer', 'large', 'cid') RETURNING id, name;
