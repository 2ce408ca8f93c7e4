-- What a dashboard asks to learn a database: its tables, columns, keys, indexes, values. Statements are divided by
-- empty lines; a first line of `-- otherwise: …` says why an answer is another than directly, `-- shape only: …` why
-- only its columns are compared, `-- refused: …` why there is none.

SELECT current_setting('server_version'), current_schema()

SHOW TIMEZONE

SELECT n.nspname AS schema, c.relname AS name, d.description AS description,
    CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'p' THEN 'PARTITIONED TABLE' WHEN 'v' THEN 'VIEW' WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE NULL END AS type
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relkind IN ('r', 'p', 'v', 'f', 'm')
ORDER BY type, schema, name

-- otherwise: how many rows there are is kept back; Metabase itself joins it to the list above
SELECT stat.relname, stat.n_live_tup AS estimated_row_count FROM pg_stat_user_tables stat WHERE stat.schemaname = 'shop' ORDER BY 1

SELECT c.column_name AS name, CASE WHEN c.udt_schema IN ('public', 'pg_catalog') THEN format('%s', c.udt_name) ELSE format('"%s"."%s"', c.udt_schema, c.udt_name) END AS database_type,
    c.ordinal_position - 1 AS position, c.table_schema, c.table_name, pk.column_name IS NOT NULL AS is_pk,
    col_description(CAST(CAST(format('%I.%I', CAST(c.table_schema AS TEXT), CAST(c.table_name AS TEXT)) AS REGCLASS) AS OID), c.ordinal_position) AS comment,
    (c.column_default IS NULL OR LOWER(c.column_default) = 'null') AND c.is_nullable = 'NO' AND NOT (c.column_default LIKE '%nextval(%' OR c.is_identity <> 'NO') AS required,
    c.is_nullable <> 'NO' AS nullable, (c.column_default IS NOT NULL AND c.column_default LIKE '%nextval(%') OR c.is_identity <> 'NO' AS auto_increment
FROM information_schema.columns AS c LEFT JOIN (
    SELECT tc.table_schema, tc.table_name, kc.column_name FROM information_schema.table_constraints AS tc
    JOIN information_schema.key_column_usage AS kc ON tc.constraint_name = kc.constraint_name AND tc.table_schema = kc.table_schema AND tc.table_name = kc.table_name
    WHERE tc.constraint_type = 'PRIMARY KEY') AS pk ON c.table_schema = pk.table_schema AND c.table_name = pk.table_name AND c.column_name = pk.column_name
WHERE c.table_schema !~ '^information_schema|catalog_history|pg_' AND c.table_name IN ('customers', 'orders', 'unpaid', 'reachable')
ORDER BY table_schema, table_name, position

SELECT pa.attname AS name, CASE WHEN ptn.nspname IN ('public', 'pg_catalog') THEN format('%s', pt.typname) ELSE format('"%s"."%s"', ptn.nspname, pt.typname) END AS type,
    pa.attnum - 1 AS position, pn.nspname AS schema, pc.relname AS "table", FALSE AS is_pk, NULL AS comment, FALSE AS required
FROM pg_catalog.pg_class AS pc JOIN pg_catalog.pg_namespace AS pn ON pn.oid = pc.relnamespace
JOIN pg_catalog.pg_attribute AS pa ON pa.attrelid = pc.oid JOIN pg_catalog.pg_type AS pt ON pt.oid = pa.atttypid
JOIN pg_catalog.pg_namespace AS ptn ON ptn.oid = pt.typnamespace
WHERE pc.relkind = 'm' AND pa.attnum >= 1 ORDER BY schema, "table", position

SELECT fk_ns.nspname AS fk_schema, fk_table.relname AS fk_table, fk_column.attname AS fk_column, pk_ns.nspname AS pk_schema, pk_table.relname AS pk_table, pk_column.attname AS pk_column
FROM pg_constraint AS c
JOIN pg_class AS fk_table ON c.conrelid = fk_table.oid JOIN pg_namespace AS fk_ns ON c.connamespace = fk_ns.oid
JOIN pg_attribute AS fk_column ON c.conrelid = fk_column.attrelid
JOIN pg_class AS pk_table ON c.confrelid = pk_table.oid JOIN pg_namespace AS pk_ns ON pk_table.relnamespace = pk_ns.oid
JOIN pg_attribute AS pk_column ON c.confrelid = pk_column.attrelid
WHERE fk_ns.nspname !~ '^information_schema$' AND c.contype = 'f'::"char" AND fk_column.attnum = ANY(c.conkey) AND pk_column.attnum = ANY(c.confkey)
ORDER BY fk_schema, fk_table, fk_column

SELECT tmp.table_schema, tmp.table_name, TRIM(BOTH '"' FROM pg_get_indexdef(tmp.ci_oid, tmp.pos, FALSE)) AS field
FROM (SELECT n.nspname AS table_schema, ct.relname AS table_name, ci.oid AS ci_oid, (information_schema._pg_expandarray(i.indkey)).n AS pos
    FROM pg_class ct JOIN pg_namespace n ON ct.relnamespace = n.oid JOIN pg_index i ON ct.oid = i.indrelid JOIN pg_class ci ON ci.oid = i.indexrelid
    WHERE n.nspname = 'shop' AND pg_get_expr(i.indpred, i.indrelid) IS NULL) AS tmp
WHERE tmp.pos = 1 ORDER BY 1, 2, 3

SELECT nspname, typname, enumlabel FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid JOIN pg_namespace n ON n.oid = t.typnamespace ORDER BY 1, 2, enumsortorder

WITH table_privileges AS (
    SELECT NULL AS role, t.schemaname AS schema, t.objectname AS table,
        pg_catalog.has_any_column_privilege(current_user, '"' || t.schemaname || '"."' || t.objectname || '"', 'update') AS "update",
        pg_catalog.has_any_column_privilege(current_user, '"' || t.schemaname || '"."' || t.objectname || '"', 'select') AS "select",
        pg_catalog.has_any_column_privilege(current_user, '"' || t.schemaname || '"."' || t.objectname || '"', 'insert') AS "insert",
        pg_catalog.has_table_privilege(current_user, '"' || t.schemaname || '"."' || t.objectname || '"', 'delete') AS "delete"
    FROM (SELECT schemaname, tablename AS objectname FROM pg_catalog.pg_tables UNION SELECT schemaname, viewname FROM pg_catalog.pg_views
        UNION SELECT schemaname, matviewname FROM pg_catalog.pg_matviews) t
    WHERE t.schemaname !~ '^pg_' AND t.schemaname <> 'information_schema' AND pg_catalog.has_schema_privilege(current_user, t.schemaname, 'usage'))
SELECT t.* FROM table_privileges t ORDER BY schema, "table"

SELECT "shop"."orders"."state" AS "state", COUNT(*) AS "count" FROM "shop"."orders" GROUP BY "shop"."orders"."state" ORDER BY "shop"."orders"."state" ASC

SELECT CAST("shop"."customers"."joined" AS date) AS "joined", COUNT(DISTINCT "shop"."customers"."id") AS "count" FROM "shop"."customers" GROUP BY CAST("shop"."customers"."joined" AS date) ORDER BY 1 LIMIT 2000

-- otherwise: the addresses are masked
SELECT "source"."substring1" AS "substring1", "source"."name" AS "name" FROM (SELECT SUBSTRING("shop"."customers"."contact", 1, 1234) AS "substring1", "shop"."customers"."name" AS "name" FROM "shop"."customers") AS "source" ORDER BY 2 LIMIT 10000

SELECT count(distinct "shop"."orders"."state") AS "distinct", SUM("shop"."orders"."total") AS "sum", AVG("shop"."orders"."total") AS "avg", MIN("shop"."orders"."total") AS "min" FROM "shop"."orders"

SELECT TRUE AS "_" FROM "shop"."orders" WHERE 1 <> 1 LIMIT 0
