SELECT id, name, ts_rank(search, q) AS rank FROM products, plainto_tsquery('english', 'fine thing') q WHERE search @@ q ORDER BY rank DESC LIMIT 10;

SELECT id, ts_headline('english', description, to_tsquery('fine')) FROM products WHERE search @@ to_tsquery('english', 'fine & number') LIMIT 5;

SELECT id, title FROM reviews WHERE to_tsvector('english', coalesce(title, '') || ' ' || coalesce(body, '')) @@ websearch_to_tsquery('english', 'quite good') LIMIT 5;

SELECT id, name FROM products WHERE name ILIKE '%duct 1%' ORDER BY length(name), name;

SELECT id, name, city FROM customers WHERE lower(name) LIKE 'customer 1%' LIMIT 10;

SELECT id, name FROM customers WHERE email ILIKE '%@example.com' LIMIT 10;

SELECT id, name FROM customers WHERE phone LIKE '%01';

SELECT id, body FROM reviews WHERE body ~* '\mgood\M' LIMIT 5;

SELECT sku FROM products WHERE tags && ARRAY['t1', 't2'] AND NOT ('old' = ANY (tags));

SELECT sku, tags FROM products WHERE tags @> '{new}' LIMIT 5;

SELECT id, project FROM reasoning_traces WHERE prompt ILIKE '%refund%' OR response ILIKE '%refund%' LIMIT 10;

SELECT id, regexp_replace(name, '\s+', ' ', 'g') FROM products WHERE name ~ '  ';

SELECT id, similar_name FROM (SELECT id, name AS similar_name FROM products) p WHERE similar_name SIMILAR TO 'Product (1|2)%';

SELECT regexp_split_to_table(name, ' ') AS word, count(*) FROM products GROUP BY 1 ORDER BY 2 DESC LIMIT 5;

SELECT id, overlay(sku PLACING 'X' FROM 1 FOR 1), position('-' IN sku), substring(sku FROM '[0-9]+') FROM products LIMIT 3;

SELECT name FROM customers WHERE name COLLATE "C" > 'Customer 5' ORDER BY name COLLATE "C" LIMIT 5;

SELECT c.id, c.name FROM customers c WHERE concat_ws(' ', c.name, c.city) ILIKE '%berlin%';

SELECT format('%s (%s)', name, sku), md5(sku), initcap(lower(name)) FROM products LIMIT 3;
