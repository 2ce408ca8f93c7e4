SELECT bucket AS "time", count(*) AS value FROM (SELECT date_trunc('hour', created_at) AS bucket FROM reasoning_traces) t GROUP BY 1 ORDER BY 1;

SELECT date_bin('15 minutes', created_at, timestamptz '2026-01-01') AS "time", avg(latency_ms) AS latency FROM reasoning_traces WHERE created_at BETWEEN '2026-01-10' AND '2026-01-20' GROUP BY 1 ORDER BY 1;
--: since 14

SELECT floor(extract(epoch FROM created_at) / 300) * 300 AS "time", model AS metric, sum(cost) AS value FROM reasoning_traces WHERE created_at >= '2026-01-10' GROUP BY 1, 2 ORDER BY 1;

SELECT model, count(*) AS calls, sum(input_tokens + output_tokens) AS tokens, sum(cost)::numeric(10, 2) AS cost FROM reasoning_traces WHERE created_at > now() - interval '365 days' GROUP BY model ORDER BY cost DESC;

SELECT project, percentile_cont(0.95) WITHIN GROUP (ORDER BY latency_ms) AS p95 FROM reasoning_traces GROUP BY project;

SELECT a.name, count(*) FILTER (WHERE t.status = 'error')::float / nullif(count(*), 0) AS error_rate FROM reasoning_traces t JOIN agents a ON a.id = t.agent_id GROUP BY a.name;

SELECT tool, count(*), avg(duration_ms)::int AS ms, sum((NOT ok)::int) AS failures FROM tool_calls GROUP BY tool ORDER BY 2 DESC;

SELECT t.project, c.tool, count(*) FROM tool_calls c JOIN reasoning_traces t ON t.id = c.trace_id GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 25;

SELECT "public"."orders"."status" AS "status", COUNT(*) AS "count" FROM "public"."orders" GROUP BY "public"."orders"."status" ORDER BY "public"."orders"."status" ASC;

SELECT CAST(DATE_TRUNC('day', "public"."orders"."placed_at") AS date) AS "placed_at", SUM("public"."orders"."total") AS "sum" FROM "public"."orders" WHERE ("public"."orders"."placed_at" >= CAST((CAST(now() AS timestamp) + (INTERVAL '-365 day')) AS date)) GROUP BY CAST(DATE_TRUNC('day', "public"."orders"."placed_at") AS date) ORDER BY 1 ASC;

SELECT "public"."customers"."id" AS "id", "public"."customers"."name" AS "name", "public"."customers"."email" AS "email", "public"."customers"."country" AS "country", "public"."customers"."created_at" AS "created_at" FROM "public"."customers" LIMIT 2000;

SELECT "source"."country" AS "country", COUNT(*) AS "count" FROM (SELECT "public"."orders"."id" AS "id", "Customers"."country" AS "country" FROM "public"."orders" LEFT JOIN "public"."customers" AS "Customers" ON "public"."orders"."customer_id" = "Customers"."id") AS "source" GROUP BY "source"."country" ORDER BY "count" DESC, "source"."country" ASC;

SELECT * FROM "public"."customers" LIMIT 10;

SELECT * FROM reasoning_traces ORDER BY created_at DESC LIMIT 50;

SELECT id, project, left(prompt, 80) AS prompt, status, latency_ms FROM reasoning_traces WHERE status = 'error' ORDER BY created_at DESC LIMIT 20;

WITH days AS (SELECT generate_series(date '2026-01-01', date '2026-01-31', interval '1 day')::date AS day)
SELECT d.day, coalesce(count(o.id), 0) AS orders, coalesce(sum(o.total), 0) AS revenue FROM days d LEFT JOIN orders o ON o.placed_at::date = d.day GROUP BY d.day ORDER BY d.day;

SELECT kind, count(*) FROM events WHERE occurred_at >= '2026-01-01' AND occurred_at < '2026-02-01' GROUP BY kind;

SELECT properties->>'page' AS page, count(*) AS views, avg((properties->>'ms')::int) AS ms FROM events WHERE kind = 'view' GROUP BY 1 ORDER BY 2 DESC LIMIT 10;

WITH steps AS (SELECT customer_id, min(occurred_at) FILTER (WHERE kind = 'view') AS viewed, min(occurred_at) FILTER (WHERE kind = 'cart') AS carted, min(occurred_at) FILTER (WHERE kind = 'buy') AS bought FROM events GROUP BY customer_id)
SELECT count(viewed) AS viewed, count(carted) FILTER (WHERE carted > viewed) AS carted, count(bought) FILTER (WHERE bought > carted) AS bought FROM steps;

SELECT count(DISTINCT customer_id) AS dau, occurred_at::date AS day FROM events GROUP BY day ORDER BY day DESC LIMIT 30;

SELECT now() AS "time", count(*) FILTER (WHERE state = 'ready') AS ready, count(*) FILTER (WHERE state = 'failed') AS failed FROM jobs;

SELECT coalesce(sum(cost), 0) AS today FROM reasoning_traces WHERE created_at >= current_date;

SELECT session_id, count(*) AS turns, sum(cost) AS cost, min(created_at) AS started, max(created_at) - min(created_at) AS length FROM reasoning_traces GROUP BY session_id ORDER BY started DESC LIMIT 20;

SELECT t.id, t.project, t.steps->0->>'tool' AS first_tool, jsonb_array_length(t.steps) AS steps FROM reasoning_traces t WHERE jsonb_typeof(t.steps) = 'array' ORDER BY t.id DESC LIMIT 20;

SELECT s->>'tool' AS tool, sum((s->>'ms')::int) AS ms FROM reasoning_traces t, jsonb_array_elements(t.steps) s GROUP BY 1 ORDER BY 2 DESC;

SELECT unnest(tags) AS tag, count(*) FROM reasoning_traces GROUP BY 1 ORDER BY 2 DESC LIMIT 10;

SELECT avg(length(prompt)) AS prompt_length, avg(length(response)) AS response_length, project FROM reasoning_traces GROUP BY project;

SELECT date_trunc('day', created_at) AS day, count(*) AS signups, sum(count(*)) OVER (ORDER BY date_trunc('day', created_at)) AS total FROM customers GROUP BY 1 ORDER BY 1;

SELECT provider, date_trunc('week', created_at) AS week, sum(amount) FROM payments WHERE status = 'captured' GROUP BY 1, 2 ORDER BY 2;

SELECT marketing, count(*) * 100.0 / sum(count(*)) OVER () AS percent FROM customers GROUP BY marketing;
