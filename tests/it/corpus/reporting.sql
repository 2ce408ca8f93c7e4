SELECT count(*) FROM orders;

SELECT status, count(*) AS n, sum(total) AS revenue FROM orders GROUP BY status ORDER BY n DESC;

SELECT date_trunc('month', placed_at)::date AS month, sum(total) AS revenue, count(DISTINCT customer_id) AS customers
FROM orders WHERE status <> 'cancelled' GROUP BY 1 ORDER BY 1;

SELECT c.country, count(*) AS orders, round(avg(o.total), 2) AS avg_total
FROM customers c JOIN orders o ON o.customer_id = c.id
WHERE o.placed_at >= '2026-01-01' AND o.placed_at < '2026-04-01'
GROUP BY c.country HAVING count(*) > 5 ORDER BY avg_total DESC;

SELECT p.sku, p.name, sum(i.quantity) AS sold, sum(i.quantity * i.unit_price * (1 - i.discount)) AS revenue
FROM order_items i JOIN products p ON p.id = i.product_id JOIN orders o ON o.id = i.order_id
WHERE o.status IN ('paid', 'shipped') GROUP BY p.id ORDER BY revenue DESC LIMIT 10;

SELECT cat.name, sum(i.quantity * i.unit_price) AS revenue FROM categories cat JOIN products p ON p.category_id = cat.id
JOIN order_items i ON i.product_id = p.id GROUP BY ROLLUP (cat.name) ORDER BY cat.name NULLS LAST;

SELECT c.country, o.currency, sum(o.total) FROM orders o JOIN customers c ON c.id = o.customer_id GROUP BY GROUPING SETS ((c.country, o.currency), (c.country), ());

SELECT country, segment, count(*) FROM customers GROUP BY CUBE (country, segment) ORDER BY 1, 2;

SELECT count(*) FILTER (WHERE status = 'shipped') AS shipped, count(*) FILTER (WHERE status = 'cancelled') AS cancelled, count(*) AS total FROM orders;

SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY total) AS median, percentile_disc(ARRAY[0.9, 0.99]) WITHIN GROUP (ORDER BY total) AS tail FROM orders;

SELECT extract(isodow FROM placed_at) AS weekday, extract(hour FROM placed_at) AS hour, count(*) FROM orders GROUP BY 1, 2 ORDER BY 1, 2;

SELECT c.id, c.name, c.email, sum(o.total) AS lifetime_value FROM customers c JOIN orders o ON o.customer_id = c.id
GROUP BY c.id, c.name, c.email ORDER BY lifetime_value DESC LIMIT 20;

SELECT c.name, c.phone, max(o.placed_at) AS last_order FROM customers c LEFT JOIN orders o ON o.customer_id = c.id
GROUP BY c.id HAVING max(o.placed_at) < now() - interval '90 days' OR max(o.placed_at) IS NULL;

SELECT country, count(*) AS customers, count(phone) AS with_phone, count(date_of_birth) AS with_birthday FROM customers GROUP BY country;

SELECT split_part(email, '@', 2) AS domain, count(*) FROM customers GROUP BY 1 ORDER BY 2 DESC LIMIT 20;

SELECT CASE WHEN total < 50 THEN 'small' WHEN total < 200 THEN 'medium' ELSE 'large' END AS bucket, count(*), sum(total) FROM orders GROUP BY bucket ORDER BY 2;

SELECT width_bucket(total, 0, 500, 10) AS bucket, count(*), min(total), max(total) FROM orders GROUP BY 1 ORDER BY 1;

SELECT provider, status, count(*), sum(amount) FROM payments GROUP BY provider, status;

SELECT right(card_number, 4) AS last_four, count(*) FROM payments GROUP BY 1 HAVING count(*) > 1 ORDER BY 2 DESC;

SELECT o.id, o.total, p.amount, o.total - p.amount AS difference FROM orders o JOIN payments p ON p.order_id = o.id WHERE o.total <> p.amount;

SELECT o.id FROM orders o LEFT JOIN payments p ON p.order_id = o.id WHERE p.id IS NULL AND o.status = 'paid';

SELECT p.name, round(avg(r.rating), 2) AS rating, count(*) AS reviews FROM products p JOIN reviews r ON r.product_id = p.id GROUP BY p.id, p.name HAVING count(*) >= 2 ORDER BY rating DESC, reviews DESC LIMIT 10;

SELECT w.code, sum(i.quantity - i.reserved) AS available FROM inventory i JOIN warehouses w ON w.id = i.warehouse_id GROUP BY w.code;

SELECT p.sku, i.quantity FROM products p JOIN inventory i ON i.product_id = p.id JOIN warehouses w ON w.id = i.warehouse_id AND w.code = 'BER' WHERE i.quantity - i.reserved < 10 ORDER BY i.quantity;

SELECT currency, sum(total) AS gross, sum(total) / 1.19 AS net, sum(total) - sum(total) / 1.19 AS vat FROM orders WHERE placed_at::date BETWEEN date '2026-01-01' AND date '2026-01-31' GROUP BY currency;

SELECT metadata->>'channel' AS channel, count(*), avg(total)::numeric(10, 2) FROM orders GROUP BY 1;

SELECT to_char(placed_at, 'YYYY-"W"IW') AS week, count(*) FROM orders GROUP BY week ORDER BY week;

SELECT stddev_samp(total), variance(total), corr(total, extract(epoch FROM placed_at)) FROM orders;

SELECT string_agg(DISTINCT status, ', ' ORDER BY status) FROM orders;

SELECT array_agg(name ORDER BY name) FROM products WHERE price > 20;

SELECT c.city, bool_or(o.status = 'cancelled') AS any_cancelled, every(o.total > 0) AS all_positive FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY c.city;

SELECT a.country, count(DISTINCT a.customer_id) FROM addresses a WHERE a.is_default GROUP BY a.country;

SELECT day::date, orders, revenue FROM daily_sales WHERE currency = 'EUR' AND day >= '2026-01-01' ORDER BY day;

SELECT * FROM daily_sales ORDER BY revenue DESC LIMIT 5;

SELECT country, count(*) FROM customer_directory GROUP BY country;

SELECT customer, sum(total) FROM open_orders GROUP BY customer ORDER BY 2 DESC LIMIT 10;

SELECT sku, reviews, round(rating, 1) FROM product_stats WHERE reviews > 0 ORDER BY rating DESC NULLS LAST;

SELECT 'orders' AS what, count(*) FROM orders UNION ALL SELECT 'customers', count(*) FROM customers UNION ALL SELECT 'products', count(*) FROM products;

SELECT customer_id FROM orders WHERE placed_at >= '2026-02-01' EXCEPT SELECT customer_id FROM orders WHERE placed_at < '2026-02-01';

SELECT customer_id FROM reviews INTERSECT SELECT customer_id FROM orders WHERE status = 'cancelled';
