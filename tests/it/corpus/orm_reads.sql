SELECT customers.id AS customers_id, customers.name AS customers_name, customers.email AS customers_email, customers.country AS customers_country, customers.created_at AS customers_created_at FROM customers WHERE customers.id = $1::BIGINT;
--: 7

SELECT customers.id, customers.name, customers.email, customers.phone, customers.password_hash, customers.date_of_birth, customers.country, customers.city, customers.segment, customers.marketing, customers.created_at, customers.updated_at, customers.deleted_at FROM customers WHERE customers.email = $1::VARCHAR;
--: 'c7@example.com'

SELECT anon_1.orders_id, anon_1.orders_total, order_items_1.order_id, order_items_1.product_id, order_items_1.quantity FROM (SELECT orders.id AS orders_id, orders.total AS orders_total FROM orders WHERE orders.customer_id = $1::BIGINT LIMIT $2::INTEGER) AS anon_1 LEFT OUTER JOIN order_items AS order_items_1 ON anon_1.orders_id = order_items_1.order_id;
--: 3, 10

SELECT orders.customer_id AS orders_customer_id, orders.id AS orders_id, orders.status AS orders_status, orders.metadata AS orders_metadata FROM orders WHERE orders.customer_id IN ($1::BIGINT, $2::BIGINT, $3::BIGINT);
--: 1, 2, 3

SELECT count(*) AS count_1 FROM (SELECT customers.id AS customers_id FROM customers WHERE customers.country = $1::VARCHAR) AS anon_1;
--: 'DE'

SELECT EXISTS (SELECT 1 FROM customers WHERE customers.email = $1::VARCHAR) AS anon_1;
--: 'c1@example.com'

SELECT products.id, products.name, avg(reviews.rating) AS avg_1 FROM products LEFT OUTER JOIN reviews ON products.id = reviews.product_id WHERE products.name ILIKE $1::VARCHAR GROUP BY products.id, products.name ORDER BY products.name ASC;
--: '%duct%'

SELECT "staff"."id", "staff"."password", "staff"."last_login", "staff"."is_superuser", "staff"."username", "staff"."email", "staff"."is_active", "staff"."date_joined" FROM "staff" WHERE "staff"."username" = $1 LIMIT 21;
--: 'ann'

SELECT "staff"."id", "staff"."username" FROM "staff" INNER JOIN "staff_groups" ON ("staff"."id" = "staff_groups"."staff_id") WHERE "staff_groups"."group_name" = $1 ORDER BY "staff"."username" ASC;
--: 'support'

SELECT "web_sessions"."key", "web_sessions"."data", "web_sessions"."expires_at" FROM "web_sessions" WHERE ("web_sessions"."expires_at" > $1 AND "web_sessions"."key" = $2) LIMIT 21;
--: '2026-01-01', 'k1'

SELECT COUNT(*) AS "__count" FROM "orders" WHERE "orders"."status" = $1;
--: 'new'

SELECT "orders"."id", "orders"."total", "customers"."id", "customers"."name", "customers"."email" FROM "orders" INNER JOIN "customers" ON ("orders"."customer_id" = "customers"."id") WHERE "orders"."placed_at" BETWEEN $1 AND $2 ORDER BY "orders"."placed_at" DESC LIMIT 100;
--: '2026-01-01', '2026-02-01'

SELECT (1) AS "a" FROM "customers" WHERE ("customers"."email" = $1 AND NOT ("customers"."id" = $2)) LIMIT 1;
--: 'c2@example.com', 2

SELECT "customers"."country", COUNT("customers"."id") AS "total" FROM "customers" GROUP BY "customers"."country" ORDER BY "total" DESC;

SELECT DISTINCT "products"."category_id" FROM "products" WHERE "products"."archived_at" IS NULL;

SELECT "customers".* FROM "customers" WHERE "customers"."id" = $1 LIMIT $2;
--: 5, 1

SELECT "customers".* FROM "customers" WHERE "customers"."deleted_at" IS NULL ORDER BY "customers"."created_at" DESC LIMIT $1 OFFSET $2;
--: 20, 0

SELECT "orders".* FROM "orders" INNER JOIN "customers" ON "customers"."id" = "orders"."customer_id" WHERE "customers"."country" = $1 AND "orders"."status" != $2;
--: 'DE', 'cancelled'

SELECT 1 AS one FROM "customers" WHERE "customers"."email" = $1 LIMIT $2;
--: 'c3@example.com', 1

SELECT "order_items".* FROM "order_items" WHERE "order_items"."order_id" IN ($1, $2, $3);
--: 1, 2, 3

SELECT SUM("orders"."total") FROM "orders" WHERE "orders"."customer_id" = $1;
--: 4

SELECT "reasoning_traces"."id" FROM "reasoning_traces" WHERE "reasoning_traces"."status" = $1 ORDER BY "reasoning_traces"."id" ASC LIMIT $2;
--: 'error', 1000

SELECT "public"."customers"."id", "public"."customers"."name", "public"."customers"."email", "public"."customers"."country" FROM "public"."customers" WHERE ("public"."customers"."id" = $1 AND 1=1) LIMIT $2 OFFSET $3;
--: 6, 1, 0

SELECT "public"."orders"."id", "public"."orders"."status", "public"."orders"."total" FROM "public"."orders" WHERE "public"."orders"."customer_id" IN ($1,$2) OFFSET $3;
--: 1, 2, 0

SELECT "t0"."id", "t0"."name", COALESCE("aggr"."_count", 0) AS "orders" FROM "public"."customers" AS "t0" LEFT JOIN (SELECT "public"."orders"."customer_id", COUNT(*) AS "_count" FROM "public"."orders" GROUP BY "public"."orders"."customer_id") AS "aggr" ON ("t0"."id" = "aggr"."customer_id") LIMIT $1;
--: 10

select c1_0.id,c1_0.city,c1_0.country,c1_0.created_at,c1_0.email,c1_0.name,c1_0.phone from customers c1_0 where c1_0.id=$1;
--: 8

select o1_0.id,o1_0.currency,c1_0.id,c1_0.email,c1_0.name,o1_0.placed_at,o1_0.status,o1_0.total from orders o1_0 left join customers c1_0 on c1_0.id=o1_0.customer_id where o1_0.status=$1 order by o1_0.placed_at desc fetch first $2 rows only;
--: 'new', 20

select i1_0.order_id,i1_0.product_id,p1_0.id,p1_0.name,p1_0.price,i1_0.quantity from order_items i1_0 join products p1_0 on p1_0.id=i1_0.product_id where i1_0.order_id=$1;
--: 12

select count(c1_0.id) from customers c1_0 where upper(c1_0.name) like upper($1) escape '\';
--: '%tomer%'

select distinct r1_0.id,r1_0.rating,r1_0.title from reviews r1_0 join products p1_0 on p1_0.id=r1_0.product_id where p1_0.sku=$1 and r1_0.rating>=$2;
--: 'SKU-3', 3

-- name: GetCustomer :one
SELECT id, name, email, phone, country FROM customers WHERE id = $1 LIMIT 1;
--: 9

-- name: ListOrdersByCustomer :many
SELECT id, status, total, placed_at FROM orders WHERE customer_id = $1 AND ($2::text = '' OR status = $2::text) ORDER BY placed_at DESC;
--: 9, ''

-- name: ListProductsByIDs :many
SELECT * FROM products WHERE id = ANY($1::int[]);
--: '{1,2,3}'

-- name: CountTraces :one
SELECT count(*)::bigint FROM reasoning_traces WHERE project = $1 AND created_at >= $2::timestamptz;
--: 'apollo', '2026-01-01'

-- name: GetTraceWithAgent :one
SELECT t.*, a.name AS agent_name FROM reasoning_traces t JOIN agents a ON a.id = t.agent_id WHERE t.id = $1;
--: 11

SELECT t.id, t.prompt, t.response, t.cost FROM reasoning_traces t WHERE t.agent_id = (SELECT id FROM agents WHERE name = $1) ORDER BY t.created_at DESC LIMIT 5;
--: 'coder'

SELECT s.username, s.email, array_agg(g.group_name) AS groups FROM staff s LEFT JOIN staff_groups g ON g.staff_id = s.id GROUP BY s.id;

SELECT * FROM staff WHERE id = $1;
--: 1

SELECT a.id, a.street, a.city, a.postcode FROM addresses a WHERE a.customer_id = $1 ORDER BY a.is_default DESC;
--: 2

SELECT pm.id, pm.provider, pm.card_number, pm.amount FROM payments pm WHERE pm.order_id = $1;
--: 6
