//! The queries behind the snapshot. Every name in them is schema-qualified or resolved with nothing but
//! `pg_catalog` on the path; they read only what PUBLIC may read, on PostgreSQL 13 to 18.

pub(super) const BUILTINS: &[&str] = &[
    // 0 functions
    "SELECT n.nspname, p.proname, p.provolatile, p.pronargs, p.pronargdefaults, p.provariadic <> 0, p.prokind, p.proretset \
     FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE p.oid < 16384",
    // 1 operators
    "SELECT DISTINCT o.oprname FROM pg_catalog.pg_operator o WHERE o.oid < 16384",
    // 2 types
    "SELECT n.nspname, t.typname FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n \
     ON n.oid = t.typnamespace WHERE t.oid < 16384",
    // 3 collations
    "SELECT c.collname FROM pg_catalog.pg_collation c WHERE c.oid < 16384",
    // 4 relations, and the columns of those that are masked in part
    "SELECT c.oid, n.nspname, c.relname, c.relkind, a.attnum, a.attname, t.typname \
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
     AND n.nspname = 'pg_catalog' AND (c.relname IN ('pg_class', 'pg_attribute') \
     OR c.relname ~ '^pg_stat_(all|sys|user)_(tables|indexes)$') \
     LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
     WHERE c.oid < 16384 AND n.nspname IN ('pg_catalog', 'information_schema') \
     AND c.relkind IN ('r', 'v') ORDER BY c.oid, a.attnum",
];

pub(super) const CATALOG: &[&str] = &[
    // 0, 1
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    "SET LOCAL search_path = pg_catalog",
    // 2 schemas
    "SELECT n.nspname, pg_catalog.has_schema_privilege(n.oid, 'USAGE'), n.oid = pg_catalog.pg_my_temp_schema() \
     FROM pg_catalog.pg_namespace n",
    // 3 relations; other connections' temporary ones are out of reach
    "SELECT c.oid, n.nspname, c.relname, c.relkind, c.relrowsecurity, \
     COALESCE(pg_catalog.array_to_string(c.reloptions, ',') ~ 'security_barrier=(true|on|yes|1|t|y)', false), \
     CASE WHEN c.relkind IN ('v', 'm') THEN pg_catalog.pg_get_viewdef(c.oid) END \
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c') AND n.nspname !~ '^pg_toast' \
     AND (n.nspname !~ '^pg_temp_' OR n.oid = pg_catalog.pg_my_temp_schema())",
    // 4 columns
    "SELECT a.attrelid, a.attnum, a.attname, tn.nspname, t.typname, bn.nspname, b.typname, \
     CASE WHEN t.typtype = 'd' THEN pg_catalog.format_type(t.typbasetype, t.typtypmod) \
     ELSE pg_catalog.format_type(a.atttypid, a.atttypmod) END, \
     cn.nspname, cl.collname, a.attgenerated <> '' \
     FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
     JOIN pg_catalog.pg_type t ON t.oid = a.atttypid JOIN pg_catalog.pg_namespace tn ON tn.oid = t.typnamespace \
     JOIN pg_catalog.pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END \
     JOIN pg_catalog.pg_namespace bn ON bn.oid = b.typnamespace \
     LEFT JOIN pg_catalog.pg_collation cl ON cl.oid = a.attcollation AND a.attcollation <> t.typcollation \
     LEFT JOIN pg_catalog.pg_namespace cn ON cn.oid = cl.collnamespace \
     WHERE a.attrelid >= 16384 AND a.attnum > 0 AND NOT a.attisdropped \
     AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') ORDER BY a.attrelid, a.attnum",
    // 5 functions
    "SELECT n.nspname, p.proname, p.provolatile, p.pronargs, p.pronargdefaults, p.provariadic <> 0, p.prokind, p.proretset \
     FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE p.oid >= 16384",
    // 6 operators
    "SELECT n.nspname, o.oprname, pn.nspname, p.proname FROM pg_catalog.pg_operator o \
     JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace \
     LEFT JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode \
     LEFT JOIN pg_catalog.pg_namespace pn ON pn.oid = p.pronamespace WHERE o.oid >= 16384",
    // 7 types, one row per user-defined function behind them
    "SELECT n.nspname, t.typname, t.typtype, un.nspname, u.typname, pn.nspname, p.proname \
     FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
     LEFT JOIN pg_catalog.pg_type u ON u.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype \
     WHEN t.typcategory = 'A' THEN t.typelem END \
     LEFT JOIN pg_catalog.pg_namespace un ON un.oid = u.typnamespace \
     LEFT JOIN (SELECT d.objid AS typ, d.refobjid AS proc FROM pg_catalog.pg_depend d \
       WHERE d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass \
       AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.refobjid >= 16384 \
       UNION SELECT c.contypid, d.refobjid FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_constraint c ON c.oid = d.objid \
       WHERE d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND c.contypid <> 0 \
       AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.refobjid >= 16384) f ON f.typ = t.oid \
     LEFT JOIN pg_catalog.pg_proc p ON p.oid = f.proc LEFT JOIN pg_catalog.pg_namespace pn ON pn.oid = p.pronamespace \
     WHERE t.oid >= 16384 AND n.nspname !~ '^pg_toast'",
    // 8 casts with a function
    "SELECT sn.nspname, s.typname, tn.nspname, t.typname, pn.nspname, p.proname FROM pg_catalog.pg_cast c \
     JOIN pg_catalog.pg_type s ON s.oid = c.castsource JOIN pg_catalog.pg_namespace sn ON sn.oid = s.typnamespace \
     JOIN pg_catalog.pg_type t ON t.oid = c.casttarget JOIN pg_catalog.pg_namespace tn ON tn.oid = t.typnamespace \
     JOIN pg_catalog.pg_proc p ON p.oid = c.castfunc JOIN pg_catalog.pg_namespace pn ON pn.oid = p.pronamespace \
     WHERE p.oid >= 16384",
    // 9 collations
    "SELECT n.nspname, c.collname FROM pg_catalog.pg_collation c \
     JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace WHERE c.oid >= 16384",
    // 10 parents and children
    "SELECT i.inhparent, i.inhrelid FROM pg_catalog.pg_inherits i",
    // 11 functions that the server calls on its own: by policies (p), when rows are written (w), or by TRUNCATE (t). Before
    // 15, triggers that partitions have of their parents are internal, as are those of foreign keys and deferred constraints
    "SELECT x.rel, x.by, n.nspname, p.proname FROM ( \
     SELECT tg.tgrelid AS rel, e.by, tg.tgfoid AS proc FROM pg_catalog.pg_trigger tg \
     JOIN (VALUES ('w', 28), ('t', 32)) e(by, events) ON (tg.tgtype & e.events) <> 0 \
     LEFT JOIN pg_catalog.pg_constraint tk ON tk.oid = tg.tgconstraint \
     WHERE NOT tg.tgisinternal OR tg.tgconstraint = 0 OR tk.contype = 't' \
     UNION SELECT CASE d.classid \
       WHEN 'pg_catalog.pg_attrdef'::pg_catalog.regclass THEN (SELECT a.adrelid FROM pg_catalog.pg_attrdef a WHERE a.oid = d.objid) \
       WHEN 'pg_catalog.pg_constraint'::pg_catalog.regclass THEN (SELECT k.conrelid FROM pg_catalog.pg_constraint k WHERE k.oid = d.objid) \
       WHEN 'pg_catalog.pg_class'::pg_catalog.regclass THEN COALESCE((SELECT i.indrelid FROM pg_catalog.pg_index i WHERE i.indexrelid = d.objid), d.objid) \
       WHEN 'pg_catalog.pg_policy'::pg_catalog.regclass THEN (SELECT y.polrelid FROM pg_catalog.pg_policy y WHERE y.oid = d.objid) \
       END, CASE WHEN d.classid IN ('pg_catalog.pg_policy'::pg_catalog.regclass, 'pg_catalog.pg_attrdef'::pg_catalog.regclass) \
       THEN 'p' ELSE 'w' END, d.refobjid \
     FROM pg_catalog.pg_depend d WHERE d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.refobjid >= 16384 \
     AND d.classid IN ('pg_catalog.pg_attrdef'::pg_catalog.regclass, 'pg_catalog.pg_constraint'::pg_catalog.regclass, \
     'pg_catalog.pg_class'::pg_catalog.regclass, 'pg_catalog.pg_policy'::pg_catalog.regclass)) x \
     JOIN pg_catalog.pg_proc p ON p.oid = x.proc JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
     WHERE x.rel IS NOT NULL AND x.rel <> 0",
    // 12 columns that policies (p), partition keys (k), CHECK constraints (c) and generated columns (their number) read;
    // 0 is the whole row. A policy's is in its text only, and of other tables the first column stands for it
    "SELECT y.polrelid, 'p', d.refobjsubid, d.refobjid FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_policy y ON y.oid = d.objid \
     WHERE d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass \
     AND (d.refobjsubid > 0 OR d.refobjid <> y.polrelid) \
     UNION SELECT y.polrelid, 'p', 0, y.polrelid FROM pg_catalog.pg_policy y \
     WHERE pg_catalog.strpos(pg_catalog.regexp_replace(pg_catalog.concat(pg_catalog.pg_get_expr(y.polqual, y.polrelid), \
     pg_catalog.pg_get_expr(y.polwithcheck, y.polrelid)), '''[^'']*''|\"[^\"]*\"', '', 'g'), '.*') > 0 \
     UNION SELECT d.objid, 'k', d.objsubid, d.objid FROM pg_catalog.pg_depend d \
     JOIN pg_catalog.pg_partitioned_table t ON t.partrelid = d.objid \
     WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass \
     AND d.objsubid > 0 AND d.refobjid = d.objid AND d.refobjsubid = 0 \
     UNION SELECT k.conrelid, 'c', u.n, k.conrelid FROM pg_catalog.pg_constraint k, pg_catalog.unnest(k.conkey) u(n) \
     WHERE k.contype = 'c' AND k.conrelid >= 16384 \
     UNION SELECT a.adrelid, a.adnum::pg_catalog.text, d.refobjsubid, a.adrelid FROM pg_catalog.pg_depend d \
     JOIN pg_catalog.pg_attrdef a ON (d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND a.oid = d.objid) \
     OR (d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND a.adrelid = d.objid AND a.adnum = d.objsubid) \
     JOIN pg_catalog.pg_attribute t ON t.attrelid = a.adrelid AND t.attnum = a.adnum AND t.attgenerated <> '' \
     WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = a.adrelid \
     AND d.refobjsubid > 0 AND d.refobjsubid <> a.adnum",
    // 13 rewrite rules other than views' own
    "SELECT DISTINCT r.ev_class FROM pg_catalog.pg_rewrite r WHERE r.ev_class >= 16384 AND r.rulename <> '_RETURN'",
    // 14 indexes and TOAST tables
    "SELECT i.indrelid, i.indexrelid FROM pg_catalog.pg_index i WHERE i.indrelid >= 16384 \
     UNION ALL SELECT c.oid, c.reltoastrelid FROM pg_catalog.pg_class c WHERE c.reltoastrelid <> 0 AND c.oid >= 16384",
    // 15 columns of keys that are unique at every moment and for every row, by index; those of another
    // collation than their column's are told apart
    "SELECT i.indrelid, i.indexrelid, k.attnum, i.indcollation[k.n - 1] = a.attcollation, i.indisprimary \
     FROM pg_catalog.pg_index i CROSS JOIN LATERAL pg_catalog.unnest(i.indkey) WITH ORDINALITY k(attnum, n) \
     JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum \
     WHERE i.indrelid >= 16384 AND i.indisunique AND i.indisvalid AND i.indimmediate \
     AND i.indpred IS NULL AND i.indexprs IS NULL AND k.n <= i.indnkeyatts",
    // 16 foreign keys that act: for each, column by column, what is referred to and what refers
    "SELECT k.confrelid, k.oid, k.conrelid, u.own, u.other, \
     k.confdeltype IN ('c', 'n', 'd'), k.confdeltype = 'c', k.confupdtype IN ('c', 'n', 'd') \
     FROM pg_catalog.pg_constraint k CROSS JOIN LATERAL \
     ROWS FROM (pg_catalog.unnest(k.confkey), pg_catalog.unnest(k.conkey)) u(own, other) \
     WHERE k.contype = 'f' AND (k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd'))",
    // 17 columns on which it depends whether an index takes a row: its key's, and those that expressions and conditions
    // read, 0 for the whole row, which is in their text only (but no literal of it). A document that is a key must not be
    // too large. Whether it is unique, excludes, and computes
    "SELECT i.indrelid, i.indexrelid, u.attnum, i.indisunique, i.indisexclusion, \
     i.indexprs IS NOT NULL OR i.indpred IS NOT NULL \
     FROM pg_catalog.pg_index i CROSS JOIN LATERAL ( \
     SELECT k.attnum FROM pg_catalog.unnest(i.indkey) WITH ORDINALITY k(attnum, n) \
     WHERE k.n <= i.indnkeyatts AND k.attnum <> 0 \
     UNION SELECT d.refobjsubid FROM pg_catalog.pg_depend d \
     WHERE (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL) \
     AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = i.indexrelid \
     AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = i.indrelid AND d.refobjsubid > 0 \
     UNION SELECT 0 WHERE pg_catalog.strpos(pg_catalog.regexp_replace(pg_catalog.concat( \
     pg_catalog.pg_get_expr(i.indexprs, i.indrelid), pg_catalog.pg_get_expr(i.indpred, i.indrelid)), '''[^'']*''|\"[^\"]*\"', '', 'g'), '.*') > 0) u \
     WHERE i.indrelid >= 16384 \
     AND (i.indisunique OR i.indisexclusion OR i.indexprs IS NOT NULL OR i.indpred IS NOT NULL OR EXISTS ( \
     SELECT 1 FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
     JOIN pg_catalog.pg_am m ON m.oid = c.relam AND m.amname <> 'gin' AND m.amname <> 'hash' \
     WHERE a.attrelid = i.indrelid AND a.attnum = u.attnum AND a.atttypid = 'pg_catalog.jsonb'::pg_catalog.regtype))",
    // 18 whether code of users may run when something is defined
    "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_event_trigger e WHERE e.evtenabled <> 'D')",
    // 19
    "COMMIT",
];
