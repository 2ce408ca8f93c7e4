WITH RECURSIVE tree AS (SELECT id, name, parent_id, 1 AS depth, ARRAY[id] AS path FROM categories WHERE parent_id IS NULL UNION ALL SELECT c.id, c.name, c.parent_id, t.depth + 1, t.path || c.id FROM categories c JOIN tree t ON c.parent_id = t.id) SELECT repeat('  ', depth - 1) || name AS category, depth FROM tree ORDER BY path;

WITH top AS (SELECT customer_id, sum(total) AS spent FROM orders GROUP BY 1 ORDER BY 2 DESC LIMIT 10) SELECT c.id, c.name, c.email, top.spent FROM top JOIN customers c ON c.id = top.customer_id ORDER BY top.spent DESC;

WITH first_orders AS (SELECT customer_id, min(placed_at) AS first FROM orders GROUP BY 1), cohorts AS (SELECT customer_id, date_trunc('month', first) AS cohort FROM first_orders)
SELECT cohort, date_trunc('month', o.placed_at) AS month, count(DISTINCT o.customer_id) FROM cohorts JOIN orders o USING (customer_id) GROUP BY 1, 2 ORDER BY 1, 2;

WITH RECURSIVE numbers(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM numbers WHERE n < 10) SELECT sum(n) FROM numbers;

WITH old AS (DELETE FROM jobs WHERE state = 'done' AND run_at < now() - interval '7 days' RETURNING id) SELECT count(*) FROM old;

WITH moved AS (UPDATE inventory SET reserved = reserved + 1 WHERE product_id = 1 AND warehouse_id = 1 RETURNING product_id, quantity, reserved) SELECT p.name, m.quantity, m.reserved FROM moved m JOIN products p ON p.id = m.product_id;

WITH new_order AS (INSERT INTO orders (customer_id, total) VALUES (1, 42) RETURNING id) INSERT INTO order_items (order_id, product_id, quantity, unit_price) SELECT id, 2, 1, 42 FROM new_order RETURNING order_id;

WITH t AS MATERIALIZED (SELECT * FROM customers WHERE country = 'DE') SELECT city, count(*) FROM t GROUP BY city;

WITH spend AS (SELECT c.id, c.segment, coalesce(sum(o.total), 0) AS total FROM customers c LEFT JOIN orders o ON o.customer_id = c.id AND o.status <> 'cancelled' GROUP BY c.id) SELECT segment, avg(total), max(total) FROM spend GROUP BY segment;

WITH traces AS (SELECT id, session_id, prompt, created_at FROM reasoning_traces WHERE project = 'apollo') SELECT t.session_id, count(*), max(t.created_at) FROM traces t GROUP BY 1;

WITH params AS (SELECT date '2026-01-01' AS since, date '2026-03-01' AS until) SELECT count(*) FROM orders, params WHERE placed_at >= params.since AND placed_at < params.until;

SELECT c.name, latest.* FROM customers c CROSS JOIN LATERAL (SELECT o.id, o.total, o.placed_at FROM orders o WHERE o.customer_id = c.id ORDER BY o.placed_at DESC LIMIT 1) latest WHERE c.country = 'FR';

SELECT c.id, c.name FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id AND o.total > 100) AND NOT EXISTS (SELECT 1 FROM reviews r WHERE r.customer_id = c.id);

SELECT name, price, price - (SELECT avg(price) FROM products) AS above_average FROM products WHERE price > (SELECT avg(price) FROM products) ORDER BY 3 DESC;

SELECT name FROM products WHERE id IN (SELECT product_id FROM order_items WHERE quantity >= ALL (SELECT quantity FROM order_items));

SELECT (SELECT count(*) FROM orders o WHERE o.customer_id = c.id) AS orders, c.* FROM customers c ORDER BY 1 DESC LIMIT 5;

SELECT p.id, p.name, s.total FROM products p LEFT JOIN (SELECT product_id, sum(quantity) AS total FROM order_items GROUP BY product_id) s ON s.product_id = p.id WHERE s.total IS NULL OR s.total < 3;
