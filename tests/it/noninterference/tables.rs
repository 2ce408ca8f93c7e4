//! Tables and views of a world: shapes, types, what is protected, constraints that read it.

use super::cells::Cell;
use super::dice::Dice;
use super::schema::{Column, Kind, Protection, Relation, Role, Spelling, Type};

const fn spelled(sql: &'static str, of: Type) -> Spelling {
    Spelling { sql, of }
}

const INT: Spelling = spelled("int", Type::Int);
pub(super) const TEXT: Spelling = spelled("text", Type::Text);

const SPELLINGS: &[(u32, Spelling)] = &[
    (12, TEXT),
    (8, spelled("varchar(40)", Type::Text)),
    (4, spelled("short", Type::Text)),
    (2, spelled("char(30)", Type::Text)),
    (8, INT),
    (4, spelled("bigint", Type::Int)),
    (5, spelled("numeric(10, 2)", Type::Numeric)),
    (2, spelled("float8", Type::Numeric)),
    (4, spelled("bool", Type::Bool)),
    (4, spelled("date", Type::Date)),
    (10, spelled("jsonb", Type::Json)),
    (7, spelled("json", Type::Json)),
    (4, spelled("text[]", Type::Texts)),
    (2, spelled("int[]", Type::Ints)),
    (1, spelled("jsonb[]", Type::Jsons)),
    (2, spelled("timestamptz", Type::Moment)),
    (2, spelled("bytea", Type::Bytes)),
    (2, spelled("uuid", Type::Uuid)),
    (1, spelled("int4range", Type::Span)),
    (2, spelled("mood", Type::Mood)),
    (1, spelled("pair", Type::Pair)),
];

const NAMES: &[&str] =
    &["name", "email", "token", "phone", "amount", "born", "doc", "tags", "city", "note", "flag", "score"];

/// A table of so many rows.
pub(super) fn table(dice: &mut Dice, name: &str, count: usize, before: &[Relation]) -> Relation {
    let mut columns = vec![Column::plain("id", INT, None), Column::plain("part", INT, None)];
    let first = dice.below(NAMES.len());
    for number in 0..3 + dice.below(4) {
        let spelling = dice.weighted(SPELLINGS);
        let protected = dice.chance(45).then(|| protection(dice, spelling.of));
        columns.push(Column::plain(NAMES[(first + number) % NAMES.len()], spelling, protected));
    }
    let shape = dice.below(10);
    let mut after = Vec::new();
    constraints(dice, name, shape > 2, &mut columns, &mut after);
    let rows = (0..count)
        .map(|row| {
            columns
                .iter()
                .map(|column| match column.name.as_str() {
                    "id" => Cell::same((row + 1).to_string()),
                    "part" => Cell::same((row % 3).to_string()),
                    _ => Cell::new(dice, column, row),
                })
                .collect()
        })
        .collect();
    let defined: Vec<String> =
        columns.iter().map(|column| format!("{} {}", column.name, column.spelling.sql)).collect();
    let defined = defined.join(", ");
    let (children, mut ddl) = shaped(shape, name, &defined);
    let open = |column: &&Column| column.is_open() && column.spelling.of == Type::Text;
    let hidden = |column: &&Column| column.is_hidden() && column.spelling.of == Type::Text;
    let upper = columns.iter().skip(2).find(open).map(|of| ("upper", Role::OfOpen, of.name.clone()));
    let hash = columns.iter().skip(2).find(hidden).map(|of| ("md5", Role::OfProtected, of.name.clone()));
    for (function, role, of) in upper.into_iter().chain(hash) {
        if dice.chance(45) {
            let called = format!("{of}_{function}");
            ddl.push(format!(
                "ALTER TABLE {name} ADD COLUMN {called} text GENERATED ALWAYS AS ({function}({of}::text)) STORED"
            ));
            columns.push(Column { role, ..Column::plain(&called, TEXT, None) });
        }
    }
    let indexed = dice.pick(&columns).clone();
    let of = &indexed.name;
    if !matches!(indexed.spelling.sql, "json" | "pair") && dice.chance(50) {
        after.push(match dice.below(3) {
            0 => format!("CREATE INDEX {name}_by ON {name} ({of})"),
            1 => format!("CREATE INDEX {name}_by ON {name} (id) WHERE {of} IS NOT NULL"),
            _ => format!("CREATE INDEX {name}_by ON {name} (({of} IS NULL), {of})"),
        });
    }
    if shape > 2
        && let Some(parent) = before.iter().find(|other| other.children.is_empty())
        && dice.chance(50)
    {
        after.push(format!(
            "ALTER TABLE {name} ADD FOREIGN KEY (part) REFERENCES {} (id) NOT VALID",
            parent.name
        ));
    }
    Relation { name: name.into(), columns, kind: Kind::Table, children, ddl, rows, after }
}

/// Children, and what makes a table of this shape.
fn shaped(shape: usize, name: &str, defined: &str) -> (Vec<String>, Vec<String>) {
    match shape {
        0 | 1 => {
            let children: Vec<String> = (0..3).map(|part| format!("{name}_{part}")).collect();
            let head =
                format!("CREATE TABLE {name} ({defined}, PRIMARY KEY (id, part)) PARTITION BY LIST (part)");
            let parts = children.iter().enumerate();
            let parts = parts.map(|(part, child)| {
                format!("CREATE TABLE {child} PARTITION OF {name} FOR VALUES IN ({part})")
            });
            let ddl = std::iter::once(head).chain(parts).collect();
            (children, ddl)
        }
        2 => (
            vec![format!("{name}_heir")],
            vec![
                format!("CREATE TABLE {name} ({defined}, PRIMARY KEY (id))"),
                format!("CREATE TABLE {name}_heir (extra text) INHERITS ({name})"),
                format!("INSERT INTO {name}_heir (id, part, extra) VALUES (101, 1, 'heir')"),
            ],
        ),
        _ => (Vec::new(), vec![format!("CREATE TABLE {name} ({defined}, PRIMARY KEY (id))")]),
    }
}

/// Constraints that read protected columns, which are added for them.
fn constraints(dice: &mut Dice, name: &str, whole: bool, columns: &mut Vec<Column>, after: &mut Vec<String>) {
    let role = |role: Role, column: Column| Column { role, ..column };
    if dice.chance(50) {
        // whoever may choose one would learn of the other; no row breaks it, since no secret is `red`
        let hidden = |name: &str, dice: &mut Dice| {
            let mask = if dice.chance(50) { Protection::Full } else { Protection::Null };
            role(Role::Checked, Column::plain(name, TEXT, Some(mask)))
        };
        columns.push(hidden("pin", dice));
        columns.push(hidden("owner", dice));
        after.push(format!(
            "ALTER TABLE {name} ADD CHECK (pin NOT IN ('red', 'zq', 'green') OR length(owner) < 5)"
        ));
    }
    if whole && dice.chance(12) {
        columns.push(role(Role::Unique, Column::plain("code", TEXT, Some(Protection::Full))));
        after.push(format!("ALTER TABLE {name} ADD UNIQUE (code)"));
    }
    if whole && dice.chance(8) {
        columns.push(role(Role::Checked, Column::plain("seat", TEXT, Some(Protection::Full))));
        after.push(format!("ALTER TABLE {name} ADD EXCLUDE (seat WITH =)"));
    }
    if whole && dice.chance(10) {
        columns.push(role(Role::Foreign, Column::plain("boss", INT, Some(Protection::Full))));
        after.push(format!(
            "ALTER TABLE {name} ADD FOREIGN KEY (boss) REFERENCES plain (id) ON DELETE CASCADE"
        ));
    }
    if dice.chance(8) && columns.iter().all(|column| column.name != "pin") {
        // an open column and a protected one
        columns.push(role(Role::Checked, Column::plain("rank", INT, Some(Protection::Null))));
        columns.push(Column::plain("level", INT, None));
        after.push(format!("ALTER TABLE {name} ADD CHECK (level < 9 OR rank < 500) NOT VALID"));
    }
}

const PATHS: &[&str] = &["$.secret", "$.**.key", "$.items[*].key", "$.user.mail"];

fn protection(dice: &mut Dice, of: Type) -> Protection {
    match of {
        Type::Json => Protection::Path(PATHS[dice.below(PATHS.len())]),
        Type::Text => {
            dice.weighted(&[(4, Protection::Full), (3, Protection::Null), (3, Protection::Partial)])
        }
        _ => dice.weighted(&[(1, Protection::Full), (1, Protection::Null)]),
    }
}

/// What stands around tables and should change nothing.
pub(super) fn extras(dice: &mut Dice, tables: &[Relation], more: &mut Vec<String>) {
    more.push("CREATE SEQUENCE counter".into());
    more.push("CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n * 2'".into());
    more.push("CREATE FUNCTION told(t text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE NOTICE ''told %'', t; RETURN t; END'".into());
    let table = dice.pick(tables);
    if dice.chance(15) {
        more.push("CREATE TABLE log (id serial PRIMARY KEY, what text)".into());
        more.push("CREATE FUNCTION logs() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO s.log (what) VALUES (TG_OP); RETURN NEW; END'".into());
        more.push(format!(
            "CREATE TRIGGER logged BEFORE INSERT OR UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION logs()",
            table.name
        ));
    }
    if dice.chance(30) {
        let open = table.columns.iter().filter(|column| column.is_open());
        let open: Vec<&str> = open.map(|column| column.name.as_str()).collect();
        more.push(format!("CREATE MATERIALIZED VIEW kept AS SELECT {} FROM {}", open.join(", "), table.name));
    }
    if dice.chance(20) {
        more.push("CREATE RULE also AS ON DELETE TO plain DO ALSO SELECT 1".into());
    }
}

/// A view of a table or of another view.
pub(super) fn view(dice: &mut Dice, name: &str, before: &[Relation]) -> Relation {
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
    Relation {
        name: name.into(),
        columns,
        kind: Kind::View,
        children: Vec::new(),
        ddl,
        rows: Vec::new(),
        after: Vec::new(),
    }
}
