SET ROLE app_owner;
CREATE TABLE notes (
    id int PRIMARY KEY, owner text NOT NULL DEFAULT 'alice', body text, amount int NOT NULL DEFAULT 1, tax_id text);
INSERT INTO notes VALUES
    (1, 'alice', 'a1', 1, 'DE-1'), (2, 'alice', 'a2', 2, 'DE-2'), (3, 'bob', 'hidden-b3', 0, 'DE-3'), (4, 'carol', 'hidden-c4', 0, 'DE-4');
CREATE TABLE tasks (id serial PRIMARY KEY, owner text, note int, done bool DEFAULT false);
INSERT INTO tasks (owner, note) VALUES ('alice', 1), ('bob', 3), ('bob', 4);
CREATE VIEW over_notes AS SELECT id, body FROM notes;
CREATE VIEW shown AS SELECT 'alice'::text AS owner, 1 AS n UNION ALL SELECT 'bob', 2;
CREATE TABLE events (id int, owner text, day date) PARTITION BY RANGE (day);
CREATE TABLE events_25 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE events_26 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO events VALUES (1, 'alice', '2025-05-05'), (2, 'bob', '2025-05-05'), (3, 'alice', '2026-05-05'), (4, 'bob', '2026-05-05');
CREATE TABLE above (id int, owner text);
CREATE TABLE below (more text) INHERITS (above);
CREATE TABLE beside () INHERITS (above);
INSERT INTO above VALUES (1, 'bob');
INSERT INTO below VALUES (2, 'bob', 'm'), (3, 'alice', 'm');
INSERT INTO beside VALUES (4, 'bob');
CREATE TABLE own_list (id int PRIMARY KEY, text text);
INSERT INTO own_list VALUES (1, 'one');
CREATE TABLE heads (id int PRIMARY KEY);
CREATE TABLE limbs (id int, owner text, head int REFERENCES heads ON DELETE CASCADE);
INSERT INTO heads VALUES (1);
INSERT INTO limbs VALUES (1, 'bob', 1);
RESET ROLE;
