CREATE ROLE reader LOGIN PASSWORD 'reader';
CREATE TYPE mood AS ENUM ('calm', 'wild');
CREATE DOMAIN short AS text CHECK (length(VALUE) < 40);
CREATE TABLE traces (
    id int PRIMARY KEY, project text NOT NULL, agent text, prompt text, amount int, steps jsonb, tags text[],
    mood mood, api_key text, created_at timestamptz DEFAULT '2026-01-01 00:00:00+00'
);
CREATE TABLE projects (name text PRIMARY KEY, owner text, budget int);
CREATE TABLE notes (id serial PRIMARY KEY, body text, trace int REFERENCES traces ON DELETE CASCADE);
CREATE TABLE events (id int, project text, day date NOT NULL, n int) PARTITION BY RANGE (day);
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE parts (id int, project text) PARTITION BY LIST (project);
CREATE TABLE parts_apollo PARTITION OF parts FOR VALUES IN ('apollo');
CREATE TABLE parts_rest PARTITION OF parts DEFAULT;
CREATE TABLE base (id int, project text, v int);
CREATE TABLE derived (extra text) INHERITS (base);
CREATE TABLE open_parent (id int);
CREATE TABLE closed_child (project text) INHERITS (open_parent);
CREATE TABLE locked (id int, project text);
CREATE TABLE looked_up (id int, label text);
CREATE POLICY known ON looked_up USING (EXISTS (SELECT FROM traces t WHERE t.agent = label));
ALTER TABLE looked_up ENABLE ROW LEVEL SECURITY;
CREATE VIEW ratios AS SELECT id, 100 / amount AS ratio, prompt::int AS asked, project FROM traces;
CREATE VIEW over_ratios AS SELECT ratio * 2 AS twice, id FROM ratios WHERE asked > 0;
CREATE VIEW counted AS SELECT count(*) AS n, max(amount) AS most FROM traces;
CREATE VIEW own_projects AS SELECT name, owner, 100 / budget AS share FROM projects;
CREATE VIEW nameless AS SELECT 1 AS one;
CREATE VIEW walled WITH (security_barrier) AS SELECT id FROM traces;
CREATE MATERIALIZED VIEW kept AS SELECT id, project FROM traces;
INSERT INTO projects VALUES ('apollo', 'ann', 5), ('zeus', 'hidden', 0);
-- what is seen
INSERT INTO traces SELECT n, 'apollo', 'agent-' || n % 2, n::text, n, jsonb_build_object('n', n, 'k', '1'),
    ARRAY['t' || n], 'calm', 'sk-' || n FROM generate_series(1, 6) n;
INSERT INTO events SELECT n, 'apollo', '2025-12-28'::date + n, n FROM generate_series(1, 6) n;
INSERT INTO parts SELECT n, 'apollo' FROM generate_series(1, 3) n;
INSERT INTO base SELECT n, 'apollo', n FROM generate_series(1, 3) n;
INSERT INTO derived SELECT n + 10, 'apollo', n, 'x' FROM generate_series(1, 2) n;
INSERT INTO open_parent VALUES (1);
INSERT INTO closed_child VALUES (2, 'apollo');
INSERT INTO notes (body, trace) SELECT 'note ' || n, n FROM generate_series(1, 3) n;
-- what is hidden: by another project, by a key that is none, by a mood
INSERT INTO traces VALUES (100, 'zeus', 'hidden', 'hidden', 0, '{"n": "hidden"}', '{hidden}', 'calm', 'sk-hidden'),
    (101, 'apollo', 'hidden', 'hidden', 0, '{"n": "hidden"}', '{hidden}', 'calm', 'hidden'),
    (102, 'apollo', 'hidden', 'hidden', 0, '{"n": "hidden"}', '{hidden}', 'wild', 'sk-hidden'),
    (103, 'apollo', 'hidden', 'hidden', 0, '{"n": "hidden"}', '{hidden}', NULL, 'sk-hidden');
INSERT INTO events VALUES (100, 'hidden', '2026-06-01', 0), (101, NULL, '2025-06-01', 0);
INSERT INTO parts VALUES (100, 'hidden');
INSERT INTO base VALUES (100, 'apollo', 0), (101, 'hidden', 1);
INSERT INTO derived VALUES (102, 'hidden', 0, 'hidden');
INSERT INTO closed_child VALUES (100, 'hidden');
INSERT INTO locked VALUES (100, 'hidden');
INSERT INTO looked_up VALUES (1, 'hidden');
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA public TO reader;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO reader;
