-- A shop whose cards and contacts are protected; most of what a catalog can hold is beside them.
CREATE SCHEMA shop;
COMMENT ON SCHEMA shop IS 'what is sold';
CREATE TYPE shop.state AS ENUM ('new', 'paid', 'sent');
CREATE TYPE shop.place AS (street text, city text);
CREATE DOMAIN shop.amount AS numeric(12, 2) CHECK (VALUE >= 0);
CREATE TABLE shop.customers (
    id bigserial PRIMARY KEY,
    name text NOT NULL,
    contact text UNIQUE,
    home shop.place,
    joined timestamptz NOT NULL DEFAULT '2024-01-01 00:00:00+00',
    notes jsonb DEFAULT '{}'
);
COMMENT ON TABLE shop.customers IS 'who buys';
COMMENT ON COLUMN shop.customers.contact IS 'how to reach them';
CREATE TABLE shop.orders (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer bigint NOT NULL REFERENCES shop.customers ON DELETE CASCADE,
    state shop.state NOT NULL DEFAULT 'new',
    total shop.amount NOT NULL,
    net shop.amount GENERATED ALWAYS AS (total / 1.25) STORED,
    card text,
    tags text[] NOT NULL DEFAULT '{}',
    CONSTRAINT cheap CHECK (total < 100000)
);
CREATE INDEX orders_by_customer ON shop.orders (customer, state) INCLUDE (total);
CREATE INDEX orders_unpaid ON shop.orders (lower(tags[1])) WHERE state <> 'paid';
CREATE INDEX orders_by_tag ON shop.orders USING gin (tags);
CREATE VIEW shop.unpaid AS SELECT o.id, o.total, c.name FROM shop.orders o JOIN shop.customers c ON c.id = o.customer WHERE o.state = 'new';
CREATE VIEW shop.reachable AS SELECT id, contact FROM shop.customers WHERE contact IS NOT NULL;
CREATE MATERIALIZED VIEW shop.totals AS SELECT state, sum(total) AS total FROM shop.orders GROUP BY state;
CREATE TABLE shop.visits (at date NOT NULL, page text, PRIMARY KEY (at, page)) PARTITION BY RANGE (at);
CREATE TABLE shop.visits_2024 PARTITION OF shop.visits FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE shop.things (id int, name varchar(20) COLLATE "C");
CREATE TABLE shop.gifts (wrapped boolean) INHERITS (shop.things);
CREATE SEQUENCE shop.numbers INCREMENT 5 MAXVALUE 1000;
CREATE FUNCTION shop.twice(n int, by int DEFAULT 2) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n * by';
CREATE FUNCTION shop.told() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;
CREATE TRIGGER told BEFORE UPDATE ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.told();
CREATE RULE quiet AS ON DELETE TO shop.things DO INSTEAD NOTHING;
ALTER TABLE shop.things ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON shop.things FOR SELECT USING (name = current_user);
CREATE ROLE reporting;
GRANT SELECT ON shop.unpaid TO reporting;
INSERT INTO shop.customers (name, contact) VALUES ('ada', 'top-secret'), ('bob', 'top-secret-2');
INSERT INTO shop.orders (customer, state, total, card) VALUES (1, 'new', 10, 'top-secret-3'), (2, 'paid', 20, NULL);
REFRESH MATERIALIZED VIEW shop.totals;
INSERT INTO shop.visits VALUES ('2024-05-01', 'home');
ANALYZE;
