SELECT id, name, country FROM customers ORDER BY id LIMIT 20 OFFSET 40;

SELECT id, name, email FROM customers WHERE id > $1 ORDER BY id LIMIT $2;
--: 20, 10

SELECT id, placed_at, total FROM orders WHERE (placed_at, id) < ($1, $2) ORDER BY placed_at DESC, id DESC LIMIT 25;
--: '2026-02-01', 100

SELECT count(*) OVER () AS full_count, id, name FROM products WHERE archived_at IS NULL ORDER BY name LIMIT 10 OFFSET 0;

SELECT * FROM orders WHERE customer_id = $1 ORDER BY placed_at DESC FETCH FIRST 10 ROWS ONLY;
--: 5

SELECT id, project, status, created_at FROM reasoning_traces WHERE project = $1 AND created_at < $2 ORDER BY created_at DESC LIMIT 50;
--: 'apollo', '2026-01-20'

SELECT * FROM reasoning_traces WHERE session_id = $1 ORDER BY created_at;
--: '00000000-0000-0000-0000-000000000003'

SELECT p.* FROM products p JOIN categories c ON c.id = p.category_id WHERE c.slug = $1 ORDER BY p.price, p.id LIMIT 24 OFFSET 24;
--: 'books'

DECLARE page CURSOR FOR SELECT id, name FROM customers ORDER BY id;

SELECT id, total FROM orders ORDER BY total DESC FETCH FIRST 5 ROWS WITH TIES;

SELECT id, title, rating FROM reviews WHERE product_id = ANY($1) ORDER BY created_at DESC LIMIT 10;
--: '{1,2,3}'

SELECT * FROM events WHERE occurred_at < $1 ORDER BY occurred_at DESC, id DESC LIMIT 100;
--: '2026-02-10'
