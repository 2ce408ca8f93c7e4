SELECT id, customer_id, total, row_number() OVER (PARTITION BY customer_id ORDER BY placed_at) AS nth FROM orders;

SELECT * FROM (SELECT o.*, rank() OVER (PARTITION BY customer_id ORDER BY total DESC) AS place FROM orders o) x WHERE place = 1;

SELECT month, revenue, lag(revenue) OVER (ORDER BY month) AS previous, round((revenue / nullif(lag(revenue) OVER (ORDER BY month), 0) - 1) * 100, 1) AS growth
FROM (SELECT date_trunc('month', placed_at) AS month, sum(total) AS revenue FROM orders GROUP BY 1) m ORDER BY month;

SELECT placed_at::date AS day, sum(total) AS revenue, avg(sum(total)) OVER (ORDER BY placed_at::date ROWS BETWEEN 6 PRECEDING AND CURRENT ROW) AS week_average FROM orders GROUP BY 1 ORDER BY 1;

SELECT customer_id, placed_at, placed_at - lag(placed_at) OVER w AS since_last, first_value(placed_at) OVER w AS first_order FROM orders WINDOW w AS (PARTITION BY customer_id ORDER BY placed_at);

SELECT p.name, p.price, ntile(4) OVER (ORDER BY p.price) AS quartile, percent_rank() OVER (ORDER BY p.price) FROM products p;

SELECT category_id, name, price, dense_rank() OVER (PARTITION BY category_id ORDER BY price DESC) AS d FROM products ORDER BY category_id, d;

WITH ranked AS (SELECT agent_id, project, cost, row_number() OVER (PARTITION BY agent_id ORDER BY cost DESC) AS n FROM reasoning_traces) SELECT * FROM ranked WHERE n <= 3;

SELECT DISTINCT ON (customer_id) customer_id, id, placed_at, status FROM orders ORDER BY customer_id, placed_at DESC;

SELECT DISTINCT ON (session_id) session_id, id, prompt, created_at FROM reasoning_traces ORDER BY session_id, created_at DESC;

SELECT id, total, sum(total) OVER (ORDER BY id RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS running FROM orders;

SELECT id, created_at, sum(CASE WHEN gap > interval '30 minutes' THEN 1 ELSE 0 END) OVER (ORDER BY created_at) AS visit FROM (SELECT id, created_at, created_at - lag(created_at) OVER (ORDER BY created_at) AS gap FROM reasoning_traces) t;

SELECT c.name, c.email, o.total, cume_dist() OVER (ORDER BY o.total) FROM orders o JOIN customers c ON c.id = o.customer_id LIMIT 20;

SELECT kind, occurred_at, nth_value(kind, 2) OVER (PARTITION BY customer_id ORDER BY occurred_at ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) FROM events LIMIT 50;

SELECT project, count(*), round(100.0 * count(*) / sum(count(*)) OVER (), 1) AS share FROM reasoning_traces GROUP BY project;
