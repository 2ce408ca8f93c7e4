CREATE ROLE reader LOGIN PASSWORD 'reader';
CREATE TABLE reasoning_traces (
    id int PRIMARY KEY, project text NOT NULL, agent text, prompt text, steps jsonb,
    api_key varchar(40) UNIQUE, customer_id int, card text, doc json,
    created_at timestamptz DEFAULT '2026-01-01 00:00:00+00', "createdAt" date,
    key_hash text GENERATED ALWAYS AS (md5(api_key::text)) STORED
);
CREATE TABLE projects (name text PRIMARY KEY, owner text, budget numeric(10, 2), tags text[], api_key text);
CREATE TABLE notes (id serial PRIMARY KEY, body text, trace int);
CREATE TABLE tokens (name text PRIMARY KEY, secret text NOT NULL);
CREATE TABLE events (id int, day date NOT NULL, token text) PARTITION BY RANGE (day);
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE vault (id int, code int) PARTITION BY RANGE (code);
CREATE TABLE vault_low PARTITION OF vault FOR VALUES FROM (MINVALUE) TO (100);
CREATE TABLE vault_high PARTITION OF vault FOR VALUES FROM (100) TO (MAXVALUE) PARTITION BY RANGE (id);
CREATE TABLE vault_higher PARTITION OF vault_high FOR VALUES FROM (0) TO (100);
CREATE TABLE hospitals (id int PRIMARY KEY);
CREATE TABLE clinics (id int PRIMARY KEY);
CREATE TABLE wards (id int PRIMARY KEY, hospital int REFERENCES hospitals ON DELETE CASCADE,
    clinic int REFERENCES clinics ON DELETE SET NULL ON UPDATE CASCADE, name text);
CREATE TABLE charges (id int, ward int REFERENCES wards ON DELETE CASCADE ON UPDATE CASCADE, floor int);
CREATE TABLE safes (id int, owner text, code text);
CREATE POLICY theirs ON safes USING (code LIKE 'o%');
CREATE TABLE shelves (id int, label text);
CREATE POLICY known ON shelves USING (EXISTS (SELECT FROM tokens t WHERE t.name = label AND t::text LIKE '%tok%'));
CREATE TABLE boxes (id int, shelf int);
CREATE POLICY placed ON boxes USING (EXISTS (SELECT FROM shelves s WHERE s.id = shelf));
CREATE TABLE chests (id int, code text);
CREATE POLICY whole ON chests USING (chests::text LIKE '%o%');
ALTER TABLE safes ENABLE ROW LEVEL SECURITY;
ALTER TABLE shelves ENABLE ROW LEVEL SECURITY;
ALTER TABLE boxes ENABLE ROW LEVEL SECURITY;
ALTER TABLE chests ENABLE ROW LEVEL SECURITY;
CREATE VIEW trace_keys AS SELECT id, project, api_key AS k FROM reasoning_traces;
CREATE VIEW over_keys AS SELECT upper(k) AS uk, id FROM trace_keys WHERE project <> 'none';
CREATE VIEW named_keys AS SELECT id, api_key, md5(api_key) AS digest FROM reasoning_traces;
CREATE VIEW named_plain AS SELECT name, owner AS api_key FROM projects;
CREATE VIEW budgets AS SELECT name, budget FROM projects;
CREATE MATERIALIZED VIEW key_copy AS SELECT id, api_key FROM reasoning_traces WITH NO DATA;
CREATE FUNCTION leak() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT string_agg(api_key, '','') FROM public.reasoning_traces';
CREATE FUNCTION trusted_upper(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper($1)';
CREATE TABLE numbered (id int, told text DEFAULT leak());
CREATE FUNCTION summary(reasoning_traces) RETURNS text LANGUAGE sql STABLE AS 'SELECT $1.api_key';
CREATE FUNCTION summary(projects) RETURNS text LANGUAGE sql STABLE AS 'SELECT $1.name';
CREATE TYPE mood AS ENUM ('calm', 'wild');
CREATE DOMAIN short AS text CHECK (length(VALUE) < 10);
CREATE FUNCTION own_eq(point, point) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE SCHEMA ops;
CREATE OPERATOR ops.=== (LEFTARG = point, RIGHTARG = point, FUNCTION = own_eq);
CREATE OPERATOR === (LEFTARG = point, RIGHTARG = point, FUNCTION = own_eq);
CREATE SCHEMA other;
CREATE TABLE other.reasoning_traces (id int, api_key text, x int);
CREATE TABLE other.plain (id int);
CREATE FUNCTION other.lower(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
INSERT INTO projects VALUES ('apollo', 'ann', 10.5, '{a,b}', 'public'), ('gemini', 'bob', 20, '{}', 'open'), ('zeus', NULL, NULL, NULL, NULL);
INSERT INTO notes (body, trace) SELECT 'note ' || n, n FROM generate_series(1, 5) n;
INSERT INTO other.reasoning_traces VALUES (1, 'other secret', 3);
INSERT INTO other.plain VALUES (1), (2);
INSERT INTO tokens VALUES ('ci', 'tok-1'), ('cd', 'tok-2');
INSERT INTO events VALUES (1, '2025-03-01', 'e-1'), (2, '2026-03-01', 'e-2');
INSERT INTO reasoning_traces (id, project, agent, prompt, steps, api_key, customer_id, card, doc)
SELECT n, CASE n % 3 WHEN 0 THEN 'apollo' WHEN 1 THEN 'gemini' ELSE 'zeus' END, 'agent-' || n % 2, 'prompt ' || n,
    jsonb_build_object('steps', jsonb_build_array(
        jsonb_build_object('n', 1, 'api_key', 'deep-' || n, 'out', 'x'),
        jsonb_build_array(jsonb_build_object('api_key', jsonb_build_object('inner', 'deeper-' || n), 'k', n))),
        'meta', jsonb_build_object('user', jsonb_build_object('email', 'u' || n || '@example.com', 'name', 'u'))),
    'sk-live-' || n, 1000 + n, '4111-1111-1111-' || 1000 + n, json_build_object('secret', 's' || n, 'open', n)
FROM generate_series(1, 20) n;
INSERT INTO wards (id) VALUES (1), (2), (3);
INSERT INTO charges VALUES (1, 1, 10), (2, 2, 20), (3, 1, 30);
INSERT INTO vault VALUES (1, 5), (2, 500);
INSERT INTO safes VALUES (1, 'ann', 'open'), (2, 'bob', 'shut');
INSERT INTO shelves VALUES (1, 'ci');
GRANT SELECT (id), INSERT, UPDATE, DELETE ON vault, vault_low, vault_high, vault_higher TO reader;
GRANT SELECT, INSERT, UPDATE, DELETE ON hospitals, clinics, wards TO reader;
GRANT SELECT (id, floor), INSERT, UPDATE, DELETE ON charges TO reader;
GRANT SELECT (id, owner), INSERT, UPDATE, DELETE ON safes TO reader;
GRANT SELECT, INSERT, UPDATE, DELETE ON shelves, boxes TO reader;
GRANT USAGE ON SCHEMA public, other, ops TO reader;
GRANT SELECT (id, project, agent, prompt, steps, card, doc, created_at, "createdAt"),
    INSERT, UPDATE, DELETE ON reasoning_traces TO reader;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON projects, notes, other.plain TO reader;
GRANT SELECT (id, x) ON other.reasoning_traces TO reader;
GRANT SELECT (name), INSERT, UPDATE, DELETE ON tokens TO reader;
GRANT SELECT (id, day), INSERT ON events, events_2025, events_2026 TO reader;
GRANT SELECT ON trace_keys, over_keys, named_keys, named_plain, budgets TO reader;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO reader;
