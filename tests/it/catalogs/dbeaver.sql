-- What a desktop client asks to fill its navigator, to show definitions, and to edit rows; written as metabase.sql is.

SELECT version()

SELECT current_schema(), session_user

SHOW search_path

SHOW ALL

-- shape only: age and transactions change by themselves
SELECT db.oid, db.* FROM pg_catalog.pg_database db WHERE datallowconn AND NOT datistemplate OR db.datname = 'postgres' ORDER BY db.datname

SELECT n.oid, n.*, d.description FROM pg_catalog.pg_namespace n
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = n.oid AND d.objsubid = 0 AND d.classoid = 'pg_namespace'::regclass
WHERE n.nspname NOT LIKE 'pg\_t%' ORDER BY nspname

SELECT t.oid, t.*, c.relkind, format_type(nullif(t.typbasetype, 0), t.typtypmod) AS base_type_name, d.description
FROM pg_catalog.pg_type t LEFT OUTER JOIN pg_catalog.pg_class c ON c.oid = t.typrelid LEFT OUTER JOIN pg_catalog.pg_description d ON t.oid = d.objoid
WHERE t.typname IS NOT NULL AND (c.relkind IS NULL OR c.relkind = 'c') ORDER BY t.oid

-- shape only: pages, frozen transactions and tuples are kept back on protected tables
SELECT c.oid, c.*, d.description, pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS partition_expr, pg_catalog.pg_get_partkeydef(c.oid) AS partition_key
FROM pg_catalog.pg_class c LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass
WHERE c.relnamespace = 'shop'::regnamespace AND c.relkind NOT IN ('i', 'I', 'c') ORDER BY c.relname

-- shape only: statistics' targets aside, `attmissingval` may hold a value
SELECT c.relname, a.*, pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) AS def_value, dsc.description, dep.objid
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON a.attrelid = c.oid
LEFT OUTER JOIN pg_catalog.pg_attrdef ad ON a.attrelid = ad.adrelid AND a.attnum = ad.adnum
LEFT OUTER JOIN pg_catalog.pg_description dsc ON c.oid = dsc.objoid AND a.attnum = dsc.objsubid
LEFT OUTER JOIN pg_depend dep ON dep.refobjid = a.attrelid AND dep.deptype = 'i' AND dep.refobjsubid = a.attnum AND dep.classid = dep.refclassid
WHERE NOT a.attisdropped AND c.oid = 'shop.orders'::regclass ORDER BY a.attnum

SELECT a.attname, a.attnum, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated, pg_get_expr(ad.adbin, ad.adrelid) AS def_value, col_description(a.attrelid, a.attnum)
FROM pg_attribute a LEFT JOIN pg_attrdef ad ON a.attrelid = ad.adrelid AND a.attnum = ad.adnum
WHERE a.attrelid = 'shop.customers'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum

SELECT i.*, i.indkey AS keys, c.relname, c.relnamespace, c.relam, c.reltablespace, tc.relname AS tabrelname, dsc.description,
    pg_catalog.pg_get_expr(i.indpred, i.indrelid) AS pred_expr, pg_catalog.pg_get_expr(i.indexprs, i.indrelid, true) AS expr, pg_get_indexdef(i.indexrelid) AS definition
FROM pg_catalog.pg_index i INNER JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid INNER JOIN pg_catalog.pg_class tc ON tc.oid = i.indrelid
LEFT OUTER JOIN pg_catalog.pg_description dsc ON i.indexrelid = dsc.objoid
WHERE i.indrelid = 'shop.orders'::regclass ORDER BY tabrelname, c.relname

SELECT c.oid, c.*, t.relname AS tabrelname, rt.relnamespace AS refnamespace, d.description, null AS consrc_copy, pg_get_constraintdef(c.oid) AS definition
FROM pg_catalog.pg_constraint c INNER JOIN pg_catalog.pg_class t ON t.oid = c.conrelid LEFT OUTER JOIN pg_catalog.pg_class rt ON rt.oid = c.confrelid
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 'pg_constraint'::regclass
WHERE t.relnamespace = 'shop'::regnamespace ORDER BY c.oid

SELECT p.oid, p.proname, p.pronargs, p.proargtypes, pg_get_function_identity_arguments(p.oid), l.lanname, d.description, pg_get_functiondef(p.oid) AS definition
FROM pg_catalog.pg_proc p LEFT OUTER JOIN pg_catalog.pg_language l ON l.oid = p.prolang LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = p.oid
WHERE p.pronamespace = 'shop'::regnamespace ORDER BY p.proname

SELECT x.oid, x.*, p.pronamespace AS func_schema_id, d.description, pg_get_triggerdef(x.oid)
FROM pg_catalog.pg_trigger x LEFT OUTER JOIN pg_catalog.pg_proc p ON p.oid = x.tgfoid LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = x.oid AND d.objsubid = 0
WHERE x.tgrelid = 'shop.orders'::regclass AND NOT x.tgisinternal

SELECT r.oid, r.rulename, r.is_instead, pg_get_ruledef(r.oid) AS definition FROM (SELECT oid, rulename, is_instead FROM pg_catalog.pg_rewrite WHERE ev_class = 'shop.things'::regclass) r ORDER BY 1

SELECT i.*, c.relnamespace FROM pg_catalog.pg_inherits i, pg_catalog.pg_class c WHERE i.inhparent = 'shop.visits'::regclass AND c.oid = i.inhrelid ORDER BY i.inhseqno

SELECT pg_catalog.pg_get_viewdef('shop.reachable'::regclass, true) AS definition

SELECT pol.policyname, pol.permissive, pol.roles, pol.cmd, pol.qual, pol.with_check FROM pg_catalog.pg_policies pol WHERE pol.schemaname = 'shop' AND pol.tablename = 'things'

SELECT a.oid, a.rolname, a.rolsuper, a.rolinherit, a.rolcreaterole, a.rolcreatedb, a.rolcanlogin, a.rolreplication, a.rolconnlimit, a.rolvaliduntil, a.rolbypassrls FROM pg_catalog.pg_roles a ORDER BY a.rolname

SELECT grantee, table_schema, table_name, privilege_type, is_grantable FROM information_schema.table_privileges WHERE table_schema = 'shop' ORDER BY 1, 2, 3, 4

SELECT e.oid, cfg.tbl, e.* FROM pg_catalog.pg_extension e LEFT JOIN (SELECT oid, extname, unnest(extconfig) AS tbl FROM pg_catalog.pg_extension) cfg ON cfg.oid = e.oid ORDER BY e.oid

SELECT s.name, s.setting, s.unit, s.category, s.short_desc, s.vartype, s.enumvals FROM pg_catalog.pg_settings s WHERE s.category LIKE 'Client%' ORDER BY s.name

SELECT c.oid, sq.* FROM pg_catalog.pg_sequences sq JOIN pg_class c ON c.relname = sq.sequencename AND c.relnamespace = sq.schemaname::regnamespace WHERE sq.sequencename = 'numbers'

-- shape only: sizes of protected tables are kept back
SELECT c.oid, pg_catalog.pg_total_relation_size(c.oid) AS total_rel_size, pg_catalog.pg_relation_size(c.oid) AS rel_size FROM pg_catalog.pg_class c WHERE c.relnamespace = 'shop'::regnamespace

-- refused: it shows what other sessions run
SELECT sa.* FROM pg_catalog.pg_stat_activity sa

-- refused: it shows what other sessions touch
SELECT l.pid, l.locktype, l.mode, l.granted, c.relname FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_class c ON c.oid = l.relation

-- otherwise: contacts are masked
SELECT x.* FROM shop.customers x ORDER BY x.id LIMIT 200

-- otherwise: cards are masked
SELECT o.* FROM shop.orders o WHERE o.state = 'new' LIMIT 200

SELECT count(*) FROM shop.orders

SELECT x.name, x.joined FROM shop.customers x WHERE x.name ILIKE '%A%' ORDER BY x.joined DESC, x.name LIMIT 200 OFFSET 0
