//! A world: tables, views and what is protected in them, and the statements that make it on either side.

use super::cells::{Cell, Side};
use super::dice::Dice;

/// The types that columns have here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Int,
    Text,
    Numeric,
    Bool,
    Date,
    Json,
    Texts,
    Ints,
}

/// How a column is written in DDL; several spellings have one type in expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spelling {
    pub(super) sql: &'static str,
    pub(super) of: Type,
}

/// What a mask rule says of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Protection {
    Full,
    Null,
    Partial,
    /// The members at this path.
    Path(&'static str),
}

/// A column of a table or a view.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) spelling: Spelling,
    pub(super) protected: Option<Protection>,
}

/// Something that stands in FROM.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    pub(super) kind: Kind,
    /// Its partitions and heirs, which have its columns.
    pub(super) children: Vec<String>,
    /// What makes it, beside its rows.
    ddl: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

/// What a relation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Table,
    View,
}

/// Everything that a seed makes.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) relations: Vec<Relation>,
    more: Vec<String>,
}

/// The schema that all of it is in.
pub(super) const SCHEMA: &str = "s";

/// What a rule of the target would be: pattern, path, mask.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) column: String,
    pub(super) protection: Protection,
}

impl Column {
    /// How it is written where an expression of its type is wanted.
    pub(super) fn below(&self, alias: &str) -> String {
        match self.spelling.sql {
            "json" => format!("{alias}.{}::jsonb", self.name),
            _ => format!("{alias}.{}", self.name),
        }
    }
}

impl World {
    /// The world of a seed.
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed, 1);
        let mut relations = Vec::new();
        for name in &["accounts", "orders", "traces", "notes"][..2 + dice.below(3)] {
            let relation = table(&mut dice, name, &relations);
            relations.push(relation);
        }
        let mut more = Vec::new();
        extras(&mut dice, &relations, &mut more);
        for number in 0..1 + dice.below(3) {
            let view = view(&mut dice, &format!("view_{number}"), &relations);
            relations.push(view);
        }
        Self { relations, more }
    }

    /// Makes it on one side.
    pub(super) fn script(&self, side: Side) -> String {
        let mut script = format!(
            "DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; DROP SCHEMA IF EXISTS aside CASCADE;
             CREATE SCHEMA {SCHEMA}; CREATE SCHEMA aside; SET search_path = {SCHEMA};
             CREATE DOMAIN short AS varchar(24); CREATE TYPE pair AS (a int, b text);
             CREATE TABLE aside.accounts (id int PRIMARY KEY, label text);
             INSERT INTO aside.accounts SELECT n, 'aside ' || n FROM generate_series(1, 5) n;
             CREATE TABLE plain (id int PRIMARY KEY, label text, amount int);
             INSERT INTO plain SELECT n, 'plain ' || n % 3, n * 10 FROM generate_series(1, 8) n;\n"
        );
        let tables = |kind: Kind| self.relations.iter().filter(move |relation| relation.kind == kind);
        for relation in tables(Kind::Table) {
            relation.ddl.iter().for_each(|ddl| script.push_str(&format!("{ddl};\n")));
            let rows: Vec<String> = relation
                .rows
                .iter()
                .map(|row| {
                    let values: Vec<&str> = row.iter().map(|cell| cell.on(side)).collect();
                    format!("({})", values.join(", "))
                })
                .collect();
            let names: Vec<&str> = relation.columns.iter().map(|column| column.name.as_str()).collect();
            let names = names[..relation.rows[0].len()].join(", ");
            script.push_str(&format!(
                "INSERT INTO {} ({names}) VALUES {};\n",
                relation.name,
                rows.join(", ")
            ));
        }
        self.more.iter().for_each(|more| script.push_str(&format!("{more};\n")));
        for relation in tables(Kind::View) {
            relation.ddl.iter().for_each(|ddl| script.push_str(&format!("{ddl};\n")));
        }
        script
    }

    /// The target's mask rules.
    pub(super) fn rules(&self) -> Vec<Rule> {
        let tables = self.relations.iter().filter(|relation| relation.kind == Kind::Table);
        tables
            .flat_map(|relation| {
                relation.columns.iter().filter_map(|column| {
                    Some(Rule {
                        column: format!("{SCHEMA}.{}.{}", relation.name, column.name),
                        protection: column.protected.clone()?,
                    })
                })
            })
            .collect()
    }
}

const SPELLINGS: &[(u32, Spelling)] = &[
    (6, Spelling { sql: "text", of: Type::Text }),
    (4, Spelling { sql: "varchar(40)", of: Type::Text }),
    (2, Spelling { sql: "short", of: Type::Text }),
    (5, Spelling { sql: "int", of: Type::Int }),
    (2, Spelling { sql: "bigint", of: Type::Int }),
    (3, Spelling { sql: "numeric(10, 2)", of: Type::Numeric }),
    (2, Spelling { sql: "bool", of: Type::Bool }),
    (2, Spelling { sql: "date", of: Type::Date }),
    (5, Spelling { sql: "jsonb", of: Type::Json }),
    (3, Spelling { sql: "json", of: Type::Json }),
    (2, Spelling { sql: "text[]", of: Type::Texts }),
    (1, Spelling { sql: "int[]", of: Type::Ints }),
];

const NAMES: &[&str] =
    &["name", "email", "token", "phone", "amount", "born", "doc", "tags", "city", "note", "flag", "score"];

fn table(dice: &mut Dice, name: &str, before: &[Relation]) -> Relation {
    let int = Spelling { sql: "int", of: Type::Int };
    let mut columns = vec![
        Column { name: "id".into(), spelling: int, protected: None },
        Column { name: "part".into(), spelling: int, protected: None },
    ];
    let first = dice.below(NAMES.len());
    for number in 0..3 + dice.below(4) {
        let spelling = dice.weighted(SPELLINGS);
        let protected = dice.chance(45).then(|| protection(dice, spelling.of));
        columns.push(Column { name: NAMES[(first + number) % NAMES.len()].into(), spelling, protected });
    }
    let count = 5 + dice.below(6);
    let rows = (0..count)
        .map(|row| {
            columns
                .iter()
                .map(|column| match column.name.as_str() {
                    "id" => Cell::same((row + 1).to_string()),
                    "part" => Cell::same((row % 3).to_string()),
                    _ => Cell::new(dice, column),
                })
                .collect()
        })
        .collect();
    let shape = dice.below(10);
    let children = match shape {
        0 | 1 => (0..3).map(|part| format!("{name}_{part}")).collect(),
        2 => vec![format!("{name}_heir")],
        _ => Vec::new(),
    };
    let defined: Vec<String> =
        columns.iter().map(|column| format!("{} {}", column.name, column.spelling.sql)).collect();
    let defined = defined.join(", ");
    let mut ddl = match shape {
        0 | 1 => {
            let mut ddl = vec![format!(
                "CREATE TABLE {name} ({defined}, PRIMARY KEY (id, part)) PARTITION BY LIST (part)"
            )];
            ddl.extend((0..3).map(|part| {
                format!("CREATE TABLE {name}_{part} PARTITION OF {name} FOR VALUES IN ({part})")
            }));
            ddl
        }
        2 => vec![
            format!("CREATE TABLE {name} ({defined}, PRIMARY KEY (id))"),
            format!("CREATE TABLE {name}_heir (extra text) INHERITS ({name})"),
            format!("INSERT INTO {name}_heir (id, part, extra) VALUES (101, 1, 'heir')"),
        ],
        _ => vec![format!("CREATE TABLE {name} ({defined}, PRIMARY KEY (id))")],
    };
    if let Some(plain) = columns.iter().skip(2).find(|column| column.protected.is_none())
        && plain.spelling.of == Type::Text
        && dice.chance(50)
    {
        // what is made of what is open is open
        let made = format!("{}_upper", plain.name);
        ddl.push(format!(
            "ALTER TABLE {name} ADD COLUMN {made} text GENERATED ALWAYS AS (upper({}::text)) STORED",
            plain.name
        ));
        let text = Spelling { sql: "text", of: Type::Text };
        columns.push(Column { name: made, spelling: text, protected: None });
    }
    let secret = columns.iter().skip(2).find(|column| {
        column.spelling.of == Type::Text
            && matches!(column.protected, Some(Protection::Full | Protection::Null))
    });
    if let Some(secret) = secret
        && dice.chance(40)
    {
        let made = format!("{}_hash", secret.name);
        ddl.push(format!(
            "ALTER TABLE {name} ADD COLUMN {made} text GENERATED ALWAYS AS (md5({}::text)) STORED",
            secret.name
        ));
        let text = Spelling { sql: "text", of: Type::Text };
        columns.push(Column { name: made, spelling: text, protected: None });
    }
    let indexed = dice.pick(&columns).clone();
    if !matches!(indexed.spelling.of, Type::Json) && dice.chance(40) {
        ddl.push(format!("CREATE INDEX {name}_by ON {name} ({})", indexed.name));
    }
    if shape > 2
        && let Some(parent) = before.iter().find(|other| other.ddl.len() == 1)
        && dice.chance(50)
    {
        ddl.push(format!(
            "ALTER TABLE {name} ADD FOREIGN KEY (id) REFERENCES {} (id) NOT VALID",
            parent.name
        ));
        // rows that have no parent could not be inserted
        ddl.push(format!("ALTER TABLE {name} DROP CONSTRAINT {name}_id_fkey"));
    }
    if let Some(check) = check(&columns)
        && dice.chance(50)
    {
        ddl.push(format!("ALTER TABLE {name} ADD CHECK ({check})"));
    }
    Relation { name: name.into(), columns, kind: Kind::Table, children, ddl, rows }
}

/// What a CHECK may ask of two protected columns: whoever may choose one would learn of the other. No row breaks it until
/// somebody writes `zq`: what fails on its own tells by the success of writes, which is excused.
fn check(columns: &[Column]) -> Option<String> {
    let mut hidden = columns.iter().filter(|column| {
        column.spelling.of == Type::Text
            && matches!(column.protected, Some(Protection::Full | Protection::Null))
    });
    let (one, other) = (hidden.next()?, hidden.next()?);
    Some(format!("{}::text <> 'zq' OR length({}::text) < 5", one.name, other.name))
}

const PATHS: &[&str] = &["$.secret", "$.**.key", "$.items[*].key", "$.user.mail"];

fn protection(dice: &mut Dice, of: Type) -> Protection {
    match of {
        Type::Json => Protection::Path(PATHS[dice.below(PATHS.len())]),
        Type::Text => dice.weighted(&[(4, 0), (3, 1), (3, 2)]).into(),
        _ => dice.weighted(&[(1, 0), (1, 1)]).into(),
    }
}

impl From<u8> for Protection {
    fn from(number: u8) -> Self {
        match number {
            0 => Self::Full,
            1 => Self::Null,
            _ => Self::Partial,
        }
    }
}

/// What stands around tables and should change nothing.
fn extras(dice: &mut Dice, tables: &[Relation], more: &mut Vec<String>) {
    more.push("CREATE SEQUENCE counter".into());
    more.push("CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n * 2'".into());
    more.push("CREATE FUNCTION told(t text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE NOTICE ''told %'', t; RETURN t; END'".into());
    let table = dice.pick(tables);
    if dice.chance(40) {
        more.push("CREATE TABLE log (id serial PRIMARY KEY, what text)".into());
        more.push("CREATE FUNCTION logs() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO s.log (what) VALUES (TG_OP); RETURN NEW; END'".into());
        more.push(format!(
            "CREATE TRIGGER logged BEFORE INSERT OR UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION logs()",
            table.name
        ));
    }
    if dice.chance(30) {
        let open: Vec<&str> = open(table).map(|column| column.name.as_str()).collect();
        more.push(format!("CREATE MATERIALIZED VIEW kept AS SELECT {} FROM {}", open.join(", "), table.name));
    }
    if dice.chance(20) {
        more.push("CREATE RULE also AS ON DELETE TO plain DO ALSO SELECT 1".into());
    }
}

/// The columns that nothing protects, and that are made of nothing protected.
fn open(relation: &Relation) -> impl Iterator<Item = &Column> {
    relation.columns.iter().filter(|column| column.protected.is_none() && !column.name.ends_with("_hash"))
}

fn view(dice: &mut Dice, name: &str, before: &[Relation]) -> Relation {
    let base = dice.pick(before).clone();
    let mut columns = Vec::new();
    let mut shown = Vec::new();
    for column in &base.columns {
        if column.name != "id" && dice.chance(25) {
            continue;
        }
        let renamed = column.name != "id" && dice.chance(30);
        let called = if renamed { format!("{}_v", column.name) } else { column.name.clone() };
        let text = match (column.spelling.of, dice.below(8)) {
            (Type::Text, 0) => format!("upper(x.{}::text)", column.name),
            (Type::Int, 0) if column.name != "id" => format!("x.{} + 1", column.name),
            _ => format!("x.{}", column.name),
        };
        shown.push(format!("{text} AS {called}"));
        columns.push(Column { name: called, ..column.clone() });
    }
    let text = match dice.below(4) {
        0 => format!("SELECT {} FROM {} x WHERE x.id > 1", shown.join(", "), base.name),
        1 => format!("SELECT {} FROM {} x LEFT JOIN plain p ON p.id = x.id", shown.join(", "), base.name),
        _ => format!("SELECT {} FROM {} x", shown.join(", "), base.name),
    };
    let barrier = if dice.chance(4) { " WITH (security_barrier)" } else { "" };
    let ddl = vec![format!("CREATE VIEW {name}{barrier} AS {text}")];
    Relation { name: name.into(), columns, kind: Kind::View, children: Vec::new(), ddl, rows: Vec::new() }
}
