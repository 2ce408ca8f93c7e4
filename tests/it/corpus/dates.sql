SELECT id FROM orders WHERE placed_at >= date_trunc('month', now()) - interval '1 month' AND placed_at < date_trunc('month', now());

SELECT age(now(), created_at), name FROM customers ORDER BY created_at LIMIT 5;

SELECT extract(year FROM age(date_of_birth)) AS age, count(*) FROM customers GROUP BY 1 ORDER BY 1;

SELECT id, placed_at AT TIME ZONE 'Europe/Berlin' AS local FROM orders LIMIT 5;

SELECT to_char(placed_at, 'DD.MM.YYYY HH24:MI'), total FROM orders WHERE placed_at::date = '2026-01-15';

SELECT d::date, extract(week FROM d) FROM generate_series('2026-01-01'::timestamp, '2026-01-10', '1 day') d;

SELECT id, shipped_at - placed_at AS delay, extract(epoch FROM coalesce(shipped_at, now()) - placed_at) / 3600 AS hours FROM orders LIMIT 10;

SELECT make_date(2026, 1, 1) + (n || ' months')::interval FROM generate_series(0, 11) n;

SELECT count(*) FROM orders WHERE placed_at > current_timestamp - make_interval(days => 30);

SELECT (placed_at, placed_at + interval '2 days') OVERLAPS (timestamptz '2026-01-02', timestamptz '2026-01-05') FROM orders LIMIT 3;

SELECT date_part('dow', occurred_at) AS dow, count(*) FROM events GROUP BY 1;

SELECT to_timestamp(1767225600), to_date('2026-01-31', 'YYYY-MM-DD'), current_date - 7, localtime;

SELECT tstzrange(min(created_at), max(created_at)) @> timestamptz '2026-01-15' FROM reasoning_traces;

SELECT project, max(created_at) - min(created_at) AS span, justify_hours(sum(latency_ms) * interval '1 millisecond') FROM reasoning_traces GROUP BY project;

SELECT created_at::date, count(*) FROM reasoning_traces GROUP BY 1 HAVING count(*) > 3 ORDER BY 1;
