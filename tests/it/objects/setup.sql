SET ROLE app_owner;
CREATE TABLE customers (
    id int PRIMARY KEY, name text NOT NULL, tax_id varchar(40), mail text, note jsonb, secret text,
    "Odd ""name" text COLLATE "C", joined date DEFAULT '2026-01-01');
INSERT INTO customers (id, name, tax_id, mail, note, secret) VALUES
    (1, 'ada', 'DE-123456789', 'ada@example.com', '{"api_key": "sk-ada", "n": 1}', 'secret-ada'),
    (2, 'bob', 'DE-987654321', 'bob@example.com', '{"deep": [{"api_key": "sk-bob"}]}', 'secret-bob'),
    (3, 'cyd', NULL, NULL, NULL, NULL);
CREATE TABLE orders (id int PRIMARY KEY, tax_id text, total int);
INSERT INTO orders VALUES (10, 'DE-123456789', 5), (11, 'DE-987654321', 7), (12, 'DE-000000000', 9), (13, NULL, 1);
CREATE VIEW mailing AS SELECT c.id AS customer, c.mail, c.tax_id AS number, o.total
    FROM customers c JOIN orders o ON o.tax_id = c.tax_id;
CREATE VIEW contacts AS SELECT c.id, c.tax_id, o.total FROM customers c LEFT JOIN orders o USING (tax_id);
CREATE VIEW contacts_again AS SELECT tax_id FROM contacts WHERE id < 3;
CREATE VIEW shouting AS SELECT upper(tax_id) AS tax_id FROM customers WHERE id = 1;
CREATE VIEW swapped AS SELECT name AS tax_id FROM customers WHERE id = 1;
CREATE TABLE ledgers (id int, tax_id text) PARTITION BY LIST (id);
CREATE TABLE ledger_one PARTITION OF ledgers FOR VALUES IN (1);
CREATE TABLE base (id int, tax_id text);
CREATE TABLE heir (more int) INHERITS (base);
INSERT INTO ledgers VALUES (1, 'DE-123456789');
INSERT INTO base VALUES (1, 'DE-1');
INSERT INTO heir VALUES (2, 'DE-2', 3);
RESET ROLE;
