SELECT version();

SELECT current_user, session_user, current_database(), inet_server_port();

SHOW server_version;

SHOW search_path;

SET statement_timeout = '30s';

SET application_name = 'nightly report';

SET LOCAL work_mem = '64MB';

SET TIME ZONE 'UTC';

SELECT set_config('application_name', 'app', false);

SELECT current_setting('TimeZone');

EXPLAIN SELECT * FROM orders WHERE customer_id = 5;

EXPLAIN (FORMAT JSON) SELECT count(*) FROM customers WHERE country = 'DE';

EXPLAIN ANALYZE SELECT count(*) FROM products;

EXPLAIN (ANALYZE, BUFFERS) SELECT * FROM customers WHERE id = 5;

SELECT pg_size_pretty(pg_total_relation_size('products'));

SELECT pg_size_pretty(pg_database_size(current_database()));

SELECT relname, reltuples::bigint FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY reltuples DESC;

SELECT relname, n_live_tup, n_dead_tup, last_autovacuum FROM pg_stat_user_tables ORDER BY n_dead_tup DESC LIMIT 10;

SELECT pid, state, query FROM pg_stat_activity WHERE datname = current_database();

SELECT count(*) FROM pg_stat_activity;

SELECT locktype, mode, granted FROM pg_locks WHERE NOT granted;

SELECT indexrelname, idx_scan FROM pg_stat_user_indexes ORDER BY idx_scan LIMIT 10;

SELECT name, setting FROM pg_settings WHERE name IN ('max_connections', 'work_mem');

LOCK TABLE jobs IN SHARE ROW EXCLUSIVE MODE;

TRUNCATE carts;

UPDATE jobs SET state = 'running', locked_by = 'w1', attempts = attempts + 1 WHERE id = (SELECT id FROM jobs WHERE state = 'ready' AND run_at <= now() ORDER BY run_at, id FOR UPDATE SKIP LOCKED LIMIT 1) RETURNING id, queue, payload, attempts;

SELECT id, payload FROM jobs WHERE state = 'ready' ORDER BY run_at LIMIT 5 FOR UPDATE SKIP LOCKED;

SELECT * FROM inventory WHERE product_id = 1 FOR UPDATE;

SELECT id, total FROM orders WHERE id = 5 FOR UPDATE;

SELECT id FROM customers WHERE id = 5 FOR NO KEY UPDATE;

UPDATE jobs SET state = 'ready', locked_by = NULL WHERE state = 'running' AND run_at < now() - interval '10 minutes';

DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE state = 'done' ORDER BY id LIMIT 1000);

SELECT pg_try_advisory_xact_lock(42);

SELECT nextval('orders_id_seq');

SELECT gen_random_uuid(), clock_timestamp(), random() < 2;

NOTIFY jobs, 'new';

LISTEN jobs;

SELECT pg_notify('jobs', 'new');

COPY products (sku, name, price) TO STDOUT (FORMAT csv, HEADER);

COPY (SELECT id, name, country FROM customers ORDER BY id) TO STDOUT WITH CSV HEADER;

COPY customers TO STDOUT;

COPY reasoning_traces (id, project, prompt, cost) TO STDOUT WITH (FORMAT csv);

COPY order_items FROM STDIN WITH (FORMAT csv);

COPY events (occurred_at, kind, customer_id) FROM STDIN;

COPY customers (name, email, country) FROM STDIN WITH CSV;

PREPARE by_country AS SELECT id, name FROM customers WHERE country = $1;

VALUES (1, 'a'), (2, 'b');

TABLE warehouses;

SELECT 1;
