//! Everything that is neither a query nor a change: plans, copies, cursors, settings, objects, catalogs, locks.

use super::query::Queries;
use super::schema::{Kind, SCHEMA};

impl Queries<'_> {
    /// EXPLAIN of a query, in some variant.
    pub(super) fn explained(&mut self) -> String {
        let options = self.dice.pick(&[
            "",
            "(COSTS OFF)",
            "(VERBOSE)",
            "(VERBOSE, COSTS OFF)",
            "(FORMAT JSON)",
            "(FORMAT XML, SETTINGS)",
            "(FORMAT YAML)",
            "(ANALYZE, TIMING OFF, SUMMARY OFF, COSTS OFF, BUFFERS OFF)",
            "(GENERIC_PLAN)",
        ]);
        let of = if self.dice.chance(80) { self.any() } else { self.change() };
        format!("EXPLAIN {options} {of}")
    }

    /// COPY to the client.
    pub(super) fn copy_out(&mut self) -> String {
        let options = self.dice.pick(&[
            "",
            " (FORMAT csv, HEADER)",
            " (FORMAT binary)",
            " (FORMAT csv, FORCE_QUOTE *, NULL 'none')",
            " (DELIMITER '|')",
        ]);
        if self.dice.chance(50) {
            return format!("COPY ({}) TO STDOUT{options}", self.any());
        }
        let relation = self.dice.pick(&self.world.relations).clone();
        if relation.kind == Kind::View {
            return format!("COPY (TABLE {}) TO STDOUT{options}", relation.name);
        }
        let columns = if self.dice.chance(50) {
            let column = self.dice.pick(&relation.columns).name.clone();
            format!(" (id, {column})").replace("(id, id)", "(id)")
        } else {
            String::new()
        };
        format!("COPY {}{columns} TO STDOUT{options}", relation.name)
    }

    /// COPY from the client, and its data.
    pub(super) fn copy_in(&mut self) -> (String, String) {
        let id = self.dice.between(10_000, 99_999);
        match self.dice.below(4) {
            0 => {
                let name = self.table().name;
                (format!("COPY {name} (id, part) FROM STDIN"), format!("{id}\t1\n"))
            }
            1 => ("COPY plain FROM STDIN (FORMAT csv)".into(), format!("{id},copied,5\n{id},again,6\n")),
            2 => ("COPY plain (id, amount) FROM STDIN".into(), format!("{id}\tno number\n")),
            _ => ("COPY plain (id, label) FROM STDIN".into(), format!("{id}\tcopied\n")),
        }
    }

    /// A few statements about a cursor, in their order.
    pub(super) fn cursor(&mut self) -> Vec<String> {
        let mut query = self.any();
        // it is read in portions, which are others where rows have no order
        if let Some(name) = query.strip_prefix("TABLE ") {
            query = format!("SELECT * FROM {name} AS x ORDER BY x::text");
        }
        let scroll = self.dice.pick(&["", "SCROLL ", "NO SCROLL ", "BINARY "]);
        let hold = if self.dice.chance(30) { " WITH HOLD" } else { "" };
        let mut steps = vec![
            "BEGIN".into(),
            format!("DECLARE c {scroll}CURSOR{hold} FOR {query}"),
            "FETCH 2 FROM c".into(),
        ];
        if self.dice.chance(50) {
            steps.push("MOVE 1 IN c".into());
        }
        steps.push(
            (*self.dice.pick(&["FETCH ALL FROM c", "FETCH BACKWARD 1 FROM c", "FETCH FORWARD 3 FROM c"]))
                .into(),
        );
        if self.dice.chance(30) {
            steps.push("CLOSE c".into());
        }
        steps.push((*self.dice.pick(&["COMMIT", "ROLLBACK"])).into());
        steps
    }

    /// A statement that is prepared in SQL and executed later.
    pub(super) fn prepared(&mut self) -> Vec<String> {
        let relation = self.dice.pick(&self.world.relations).clone();
        let name = format!("p{}", self.dice.below(1000));
        if self.dice.chance(30) {
            return rebound(&name);
        }
        let mut steps = vec![format!(
            "PREPARE {name} (int) AS SELECT * FROM {} AS x WHERE x.id > $1 ORDER BY x.id",
            relation.name
        )];
        if self.dice.chance(30) {
            steps.push(
                (*self.dice.pick(&[
                    "SET search_path = aside, s",
                    "SET search_path = s",
                    "SET plan_cache_mode = force_generic_plan",
                ]))
                .into(),
            );
        }
        steps.push(format!("EXECUTE {name} (2)"));
        if self.dice.chance(40) {
            steps.push(format!("EXPLAIN (COSTS OFF) EXECUTE {name} (1)"));
        }
        steps.push(format!("EXECUTE {name} (1)"));
        steps.push(format!("DEALLOCATE {name}"));
        steps
    }

    /// What is known of the values of a table.
    pub(super) fn statistics(&mut self) -> Vec<String> {
        let name = self.dice.pick(&self.world.relations).name.clone();
        let column =
            self.dice.pick(&["most_common_vals::text", "histogram_bounds::text", "avg_width", "null_frac"]);
        vec![
            format!("ANALYZE {name}"),
            format!(
                "SELECT attname, {column} FROM pg_stats WHERE schemaname = 's' AND tablename = '{name}' ORDER BY 1"
            ),
        ]
    }

    /// New objects, and a look at what is in them.
    pub(super) fn objects(&mut self) -> Vec<String> {
        let query = self.any();
        let name = format!("n{}", self.dice.below(10_000));
        let temp = self.dice.pick(&["TEMP ", "", "UNLOGGED "]);
        match self.dice.below(13) {
            0..=2 => vec![
                format!("CREATE {temp}TABLE {name} AS {query}"),
                format!("SELECT * FROM {name} AS n ORDER BY n::text"),
            ],
            3 => vec![
                format!("CREATE TEMP VIEW {name} AS {query}"),
                format!("SELECT * FROM {name} AS n ORDER BY n::text"),
                format!("DROP VIEW {name}"),
            ],
            4 => vec![
                format!("CREATE VIEW {SCHEMA}.{name} AS {query}"),
                format!("SELECT * FROM {SCHEMA}.{name} AS n ORDER BY n::text"),
            ],
            5 => vec![
                format!("CREATE MATERIALIZED VIEW {SCHEMA}.{name} AS {query}"),
                format!("TABLE {SCHEMA}.{name}"),
            ],
            6 => vec![
                format!("CREATE TEMP TABLE {name} (a int, b text)"),
                format!("INSERT INTO {name} SELECT id, label FROM plain"),
                format!("UPDATE {name} SET b = upper(b) WHERE a < 4 RETURNING *"),
                format!("DROP TABLE {name}"),
            ],
            7 => vec![
                format!("SELECT * INTO TEMP {name} FROM ({query}) q"),
                format!("SELECT count(*) FROM {name}"),
            ],
            8..=10 => self.shadow(),
            11 => {
                let table = self.dice.pick(&self.world.relations).name.clone();
                let change = match self.dice.below(6) {
                    0 => format!("ALTER TABLE {table} ADD COLUMN {name} int DEFAULT 3"),
                    1 => format!("ALTER TABLE {table} RENAME COLUMN part TO part"),
                    2 => format!("CREATE INDEX ON {table} (id, part)"),
                    3 => format!("COMMENT ON TABLE {table} IS 'x'"),
                    4 => format!("CREATE RULE r AS ON UPDATE TO {table} DO ALSO NOTIFY heard"),
                    _ => format!("CREATE TEMP TABLE {name} (LIKE {table})"),
                };
                vec![change]
            }
            _ => vec![
                format!(
                    "CREATE FUNCTION pg_temp.{name}(text) RETURNS text LANGUAGE sql AS 'SELECT upper($1)'"
                ),
                format!("DO $$BEGIN PERFORM 1; RAISE NOTICE 'done'; END$$"),
                "ALTER TABLE plain ADD COLUMN IF NOT EXISTS more int".into(),
            ],
        }
    }

    /// A temporary table that takes the name of another, and what becomes of it with its transaction.
    pub(super) fn shadow(&mut self) -> Vec<String> {
        let name = self.dice.pick(&self.world.relations).name.clone();
        let within = self.dice.chance(60);
        let (drop, end) = (self.dice.chance(40), *self.dice.pick(&["COMMIT", "ROLLBACK"]));
        let on_commit = if drop && within { " ON COMMIT DROP" } else { "" };
        let mut steps: Vec<String> = Vec::new();
        if within {
            steps.push("BEGIN".into());
        }
        steps.push(match self.dice.below(4) {
            0 => format!("CREATE TEMP TABLE {name}{on_commit} AS SELECT * FROM {SCHEMA}.{name}"),
            1 => format!("CREATE TEMP TABLE {name} (LIKE {SCHEMA}.{name}){on_commit}"),
            2 => format!("SELECT t.*, t::text AS whole INTO TEMP {name} FROM {SCHEMA}.{name} AS t"),
            _ => format!(
                "CREATE TEMP TABLE {name} (id int PRIMARY KEY, part text DEFAULT 'new', n serial CHECK (n > 0)){on_commit}"
            ),
        });
        let query = self.any();
        let uses = [
            format!("INSERT INTO {name} (id, part) SELECT id, part FROM {SCHEMA}.{name} ORDER BY id"),
            format!("INSERT INTO {name} (id) SELECT id FROM plain ON CONFLICT DO NOTHING RETURNING *"),
            format!("SELECT * FROM {name} AS n ORDER BY n::text"),
            format!(
                "SELECT count(*), count(DISTINCT a.part) FROM {name} AS a JOIN {SCHEMA}.{name} AS b ON a.id = b.id"
            ),
            format!(
                "UPDATE {name} AS u SET part = b.part FROM {SCHEMA}.{name} AS b WHERE b.id = u.id RETURNING u.part"
            ),
            format!("DELETE FROM {name} WHERE id IN (SELECT id FROM {SCHEMA}.{name} WHERE part IS NULL)"),
            format!("COPY {name} TO STDOUT (FORMAT csv, HEADER)"),
            format!("CREATE INDEX ON {name} ((part::text), id) WHERE id > 1"),
            format!("ALTER TABLE {name} ADD COLUMN more text DEFAULT upper('x')"),
            format!("ANALYZE {name}"),
            format!(
                "INSERT INTO {SCHEMA}.{name} (id, part) SELECT id + 900000, part FROM {name} ORDER BY id, part::text LIMIT 1"
            ),
            "SAVEPOINT here".into(),
            "ROLLBACK TO here".into(),
            format!("TRUNCATE {name}"),
            format!("DROP TABLE {name}"),
            query,
        ];
        for _ in 0..self.dice.below(6) + 1 {
            steps.push(self.dice.pick(&uses).clone());
        }
        if within {
            steps.push(end.into());
        }
        steps.push(format!("SELECT * FROM {name} AS n ORDER BY n::text"));
        steps.push(format!("DROP TABLE IF EXISTS pg_temp.{name}"));
        steps
    }

    /// One statement of the many that hang on nothing.
    pub(super) fn utility(&mut self) -> String {
        let relation = self.dice.pick(&self.world.relations).clone();
        let name = &relation.name;
        let column = self.dice.pick(&relation.columns).name.clone();
        match self.dice.below(40) {
            0 => "SET search_path = aside, s".into(),
            1 => "SET search_path = s, aside".into(),
            2 => "RESET search_path".into(),
            3 => "SELECT set_config('search_path', 's', false)".into(),
            4 => (*self.dice.pick(&["SET enable_hashjoin = off", "SET datestyle = 'German'", "SET TIME ZONE 'UTC'", "SET bytea_output = escape", "SET extra_float_digits = 0", "SET intervalstyle = iso_8601"])).into(),
            5 => (*self.dice.pick(&["SHOW search_path", "SHOW server_version", "SHOW work_mem"])).into(),
            6 => "LISTEN heard".into(),
            7 => "NOTIFY heard, 'said'".into(),
            8 => format!("SELECT pg_notify('heard', '{name}')"),
            9 => "SELECT pg_advisory_lock(7), pg_advisory_unlock(7)".into(),
            10 => "SELECT lo_create(0) > 0".into(),
            11 => "SELECT lo_from_bytea(4711, 'x'::bytea), lo_get(4711)".into(),
            12 => format!("SELECT attname, atttypid::regtype, attnotnull FROM pg_attribute WHERE attrelid = '{SCHEMA}.{name}'::regclass AND attnum > 0 ORDER BY attnum"),
            13 => "SELECT relname, relkind, reltuples, relpages FROM pg_class WHERE relnamespace = 's'::regnamespace ORDER BY 1".into(),
            14 => format!("SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 's' AND table_name = '{name}' ORDER BY 1"),
            15 => format!("SELECT * FROM pg_stats WHERE tablename = '{name}'"),
            16 => format!("SELECT n_live_tup, n_tup_ins FROM pg_stat_user_tables WHERE relname = '{name}'"),
            17 => format!("SELECT pg_relation_size('{SCHEMA}.{name}') > 0"),
            18 => format!("ANALYZE {name}"),
            19 => "SELECT pg_get_viewdef('s.view_0'::regclass)".into(),
            20 => format!("SELECT ctid, id FROM {name} ORDER BY id"),
            21 => format!("SELECT count(*) FROM {name} TABLESAMPLE BERNOULLI (50) REPEATABLE (1)"),
            22 => format!("LOCK TABLE {name} IN SHARE MODE"),
            23 => "SELECT nextval('counter'), currval('counter')".into(),
            24 => format!("SELECT id FROM {name} WHERE id = 1 FOR UPDATE"),
            25 => "SELECT twice(4)".into(),
            26 => format!("SELECT told({column}::text) FROM {name} ORDER BY id"),
            27 => format!("TRUNCATE {name}"),
            28 => format!("GRANT SELECT ON {name} TO PUBLIC"),
            29 => "SET ROLE postgres".into(),
            30 => format!("SELECT query_to_xml('SELECT * FROM s.{name}', true, true, '')"),
            31 => format!("SELECT currtid2('s.{name}', '(0,1)')"),
            32 => "CALL nothing()".into(),
            33 => format!("SELECT {column}::text::short FROM {name} ORDER BY id"),
            34 => format!("SELECT pg_input_is_valid({column}::text, 'int') FROM {name} ORDER BY id"),
            35 => format!("SELECT ({column}::text)::xml FROM {name} ORDER BY id"),
            36 => "DISCARD ALL".into(),
            37 => "SELECT 1 / 0".into(),
            38 => "SELECT nowhere FROM nothing".into(),
            _ => "SELECT 'x' 'y'; SELECT 2; SELECT".into(),
        }
    }
}

/// A statement about one of two tables of a name, executed when the name leads to the other.
fn rebound(name: &str) -> Vec<String> {
    vec![
        "SET search_path = aside, s".into(),
        format!("PREPARE {name} (int) AS SELECT * FROM accounts AS x WHERE x.id > $1 ORDER BY x.id"),
        format!("EXECUTE {name} (1)"),
        "SET search_path = s, aside".into(),
        format!("EXECUTE {name} (1)"),
        "RESET search_path".into(),
    ]
}
