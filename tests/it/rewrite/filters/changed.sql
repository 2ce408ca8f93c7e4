DELETE FROM traces WHERE id >= 100;
UPDATE traces SET api_key = 'sk-other-' || id;
INSERT INTO traces SELECT n, CASE n % 3 WHEN 0 THEN 'zeus' ELSE 'apollo' END, 'hidden' || n, n::text, n, '{}', '{}',
    CASE n % 3 WHEN 1 THEN 'wild'::mood END, 'sk-' FROM generate_series(200, 900) n;
DELETE FROM events WHERE id >= 100;
INSERT INTO events SELECT n, 'hidden', '2025-01-01'::date + n, n FROM generate_series(100, 700) n;
DELETE FROM parts WHERE id >= 100;
DELETE FROM base WHERE id >= 100;
INSERT INTO base SELECT n, 'hidden', 5 FROM generate_series(100, 300) n;
DELETE FROM closed_child WHERE id >= 100;
TRUNCATE locked, looked_up;
UPDATE projects SET budget = 9 WHERE name = 'zeus';
INSERT INTO projects VALUES ('hera', 'hidden', 3);
ANALYZE;
