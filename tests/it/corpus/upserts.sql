INSERT INTO settings (key, value) VALUES ('theme', '"light"') ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = now();

INSERT INTO products (sku, name, price) VALUES ('SKU-1', 'One', 2), ('SKU-99', 'New', 3) ON CONFLICT (sku) DO UPDATE SET name = excluded.name, price = excluded.price RETURNING id, (xmax = 0) AS inserted;

INSERT INTO inventory (product_id, warehouse_id, quantity) VALUES (1, 1, 5) ON CONFLICT (product_id, warehouse_id) DO UPDATE SET quantity = inventory.quantity + excluded.quantity;

INSERT INTO customers (name, email) VALUES ('Ann', 'c1@example.com') ON CONFLICT DO NOTHING;

INSERT INTO customers (name, email, city) VALUES ('Ann', 'c1@example.com', 'Bonn') ON CONFLICT (email) DO UPDATE SET city = excluded.city;

INSERT INTO customers (id, name, email) VALUES (1, 'Ann', 'x1@example.com') ON CONFLICT (id) DO UPDATE SET name = excluded.name;

INSERT INTO customers (id, name, email) VALUES (1, 'Ann', 'x1@example.com') ON CONFLICT (id) DO UPDATE SET name = excluded.name, email = excluded.email;

INSERT INTO staff_groups VALUES (1, 'admins') ON CONFLICT DO NOTHING;

INSERT INTO reviews (product_id, customer_id, rating) VALUES (1, 1, 4) ON CONFLICT (product_id, customer_id) DO UPDATE SET rating = excluded.rating WHERE reviews.rating <> excluded.rating;

INSERT INTO agents (name, model) VALUES ('planner', 'huge') ON CONFLICT (name) DO UPDATE SET model = excluded.model RETURNING *;

INSERT INTO carts (id, customer_id, items) VALUES ('00000000-0000-0000-0000-000000000001', 1, '[]') ON CONFLICT (id) DO UPDATE SET items = carts.items || excluded.items, updated_at = now();

MERGE INTO inventory i USING (VALUES (1, 1, 7), (40, 2, 9)) AS v(product_id, warehouse_id, quantity) ON i.product_id = v.product_id AND i.warehouse_id = v.warehouse_id WHEN MATCHED THEN UPDATE SET quantity = v.quantity WHEN NOT MATCHED THEN INSERT (product_id, warehouse_id, quantity) VALUES (v.product_id, v.warehouse_id, v.quantity);
--: since 15

MERGE INTO customers c USING (VALUES (1, 'Berlin')) AS v(id, city) ON c.id = v.id WHEN MATCHED THEN UPDATE SET city = v.city;
--: since 15

INSERT INTO settings AS s (key, value) VALUES ('runs', '1') ON CONFLICT (key) DO UPDATE SET value = to_jsonb((s.value #>> '{}')::int + 1);

INSERT INTO web_sessions (key, staff_id, token, expires_at) VALUES ('k1', 1, 'new', now()) ON CONFLICT (key) DO UPDATE SET expires_at = excluded.expires_at;

INSERT INTO reasoning_traces (id, agent_id, session_id, project, prompt, model) VALUES (1, 1, '00000000-0000-0000-0000-000000000001', 'apollo', 'p', 'large') ON CONFLICT (id) DO NOTHING;
