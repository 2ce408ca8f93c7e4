SELECT id, metadata->'payment'->>'method' AS method FROM orders WHERE metadata->>'channel' = 'web' LIMIT 20;

SELECT id, metadata FROM orders ORDER BY id DESC LIMIT 5;

SELECT id, metadata #>> '{payment,method}' FROM orders WHERE metadata @> '{"channel": "app"}';

SELECT id FROM orders WHERE metadata ? 'channel' AND metadata #> '{payment,method}' IS NOT NULL;

SELECT jsonb_object_keys(metadata) AS key, count(*) FROM orders GROUP BY 1;

SELECT o.id, kv.key, kv.value FROM orders o, jsonb_each(o.metadata) kv WHERE o.id < 5;

SELECT o.id, m.channel FROM orders o, jsonb_to_record(o.metadata) AS m(channel text) LIMIT 10;

SELECT attributes->>'color' AS color, count(*), avg((attributes->>'weight')::numeric) FROM products GROUP BY 1;

SELECT sku FROM products WHERE attributes @> '{"color": "red"}' AND (attributes->'dims'->>0)::int > 5;

SELECT sku, attributes['color'] FROM products LIMIT 5;
--: since 14

SELECT jsonb_path_query(attributes, '$.dims[*] ? (@ > 10)') FROM products;

SELECT sku FROM products WHERE attributes @? '$.dims[*] ? (@ > 30)';

SELECT id, jsonb_path_query_first(steps, '$[*].tool') FROM reasoning_traces LIMIT 10;

SELECT id FROM reasoning_traces WHERE steps @> '[{"tool": "search"}]' LIMIT 10;

SELECT id, steps FROM reasoning_traces WHERE project = 'apollo' ORDER BY id LIMIT 5;

SELECT t.id, s.ordinality, s.value->>'tool' AS tool FROM reasoning_traces t CROSS JOIN LATERAL jsonb_array_elements(t.steps) WITH ORDINALITY s WHERE t.id < 10;

SELECT id, jsonb_pretty(arguments) FROM tool_calls LIMIT 3;

SELECT arguments->>'q' AS query, count(*) FROM tool_calls GROUP BY 1;

SELECT json_build_object('id', o.id, 'total', o.total, 'items', (SELECT json_agg(json_build_object('sku', p.sku, 'n', i.quantity)) FROM order_items i JOIN products p ON p.id = i.product_id WHERE i.order_id = o.id)) FROM orders o WHERE o.id = 7;

SELECT json_agg(row_to_json(t)) FROM (SELECT id, name, country FROM customers ORDER BY id LIMIT 10) t;

SELECT row_to_json(c) FROM customers c WHERE id = 3;

SELECT jsonb_agg(to_jsonb(o) - 'notes') FROM orders o WHERE customer_id = 5;

SELECT coalesce(jsonb_agg(jsonb_build_object('id', id, 'tool', tool) ORDER BY id), '[]') FROM tool_calls WHERE trace_id = 4;

SELECT jsonb_object_agg(key, value) FROM settings;

SELECT value->>'max' FROM settings WHERE key = 'limits';

UPDATE settings SET value = jsonb_set(value, '{max}', '10'), updated_at = now() WHERE key = 'limits';

UPDATE products SET attributes = attributes || '{"new": true}' WHERE id = 3;

UPDATE products SET attributes = attributes - 'weight' WHERE sku = 'SKU-4';

UPDATE orders SET metadata = jsonb_set(metadata, '{channel}', '"shop"') WHERE id = 9;

UPDATE orders SET metadata = metadata || '{"gift": true}' WHERE id = 9;

SELECT properties->>'page', count(*) FROM events WHERE properties->>'ms' ~ '^[0-9]+$' GROUP BY 1;

SELECT i.item->>'sku' AS sku, (i.item->>'n')::int AS n FROM carts c, jsonb_array_elements(c.items) AS i(item) WHERE c.id = '00000000-0000-0000-0000-000000000001';

SELECT x.* FROM carts c, jsonb_to_recordset(c.items) AS x(sku text, n int);

SELECT id, config->'limits' FROM agents WHERE config = '{}'::jsonb;
