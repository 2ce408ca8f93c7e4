//! A world: tables, views and what is protected in them, and the statements that make it on either side.

use std::collections::BTreeSet;

use hoopctl::domain::filter::{RowFilter, TablePattern};
use hoopctl::domain::mask::{ColumnPattern, JsonPath, Mask, MaskRule};
use hoopctl::domain::name::RuleName;

use super::cells::{Cell, Side};
use super::consequence;
use super::dice::Dice;
use super::tables::{extras, table, view};

/// The types that columns have here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Int,
    Text,
    Numeric,
    Bool,
    Date,
    /// `jsonb`.
    Json,
    /// `json`, which knows no equality.
    Document,
    Texts,
    Ints,
    Jsons,
    Moment,
    Bytes,
    Uuid,
    Span,
    Mood,
    Pair,
}

impl Type {
    /// How casts name it.
    pub(super) const fn sql(self) -> &'static str {
        match self {
            Self::Int => "bigint",
            Self::Text => "text",
            Self::Numeric => "numeric",
            Self::Bool => "bool",
            Self::Date => "date",
            Self::Json => "jsonb",
            Self::Document => "json",
            Self::Texts => "text[]",
            Self::Ints => "int[]",
            Self::Jsons => "jsonb[]",
            Self::Moment => "timestamptz",
            Self::Bytes => "bytea",
            Self::Uuid => "uuid",
            Self::Span => "int4range",
            Self::Mood => "s.mood",
            Self::Pair => "s.pair",
        }
    }
}

/// How a column is written in DDL; several spellings have one type in expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spelling {
    pub(super) sql: &'static str,
    pub(super) of: Type,
}

/// What a mask rule says of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    pub(super) role: Role,
}

/// What a column is for, beside holding values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Plain,
    /// Generated of what is open.
    OfOpen,
    /// Generated of what is protected.
    OfProtected,
    /// A CHECK or EXCLUDE reads it, so that nobody may choose its values.
    Checked,
    /// No two rows of a side share a value.
    Unique,
    /// Its values are keys of `plain`.
    Foreign,
}

/// Something that stands in FROM.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    pub(super) kind: Kind,
    /// Its partitions and heirs, which have its columns.
    pub(super) children: Vec<String>,
    /// What makes it.
    pub(super) ddl: Vec<String>,
    pub(super) rows: Vec<Vec<Cell>>,
    /// What is added when it has its rows.
    pub(super) after: Vec<String>,
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
    /// Whether the planner knows what values there are.
    pub(super) analyzed: bool,
    /// Whether the database is encoded in LATIN1.
    pub(super) latin: bool,
    fenced: Option<Fenced>,
}

/// A table of which some rows are seen: others are there as well, on each side others.
#[derive(Debug, Clone)]
struct Fenced {
    table: String,
    predicate: &'static str,
    hidden: [Vec<Vec<Cell>>; 2],
}

/// The schema that all of it is in.
pub(super) const SCHEMA: &str = "s";

impl Column {
    /// A column of which nothing is made.
    pub(super) fn plain(name: &str, spelling: Spelling, protected: Option<Protection>) -> Self {
        Self { name: name.into(), spelling, protected, role: Role::Plain }
    }

    /// Whether it tells nothing of a protected value, by itself or by what it is made of.
    pub(super) fn is_open(&self) -> bool {
        self.protected.is_none() && self.role != Role::OfProtected
    }

    /// Whether it is generated.
    pub(super) const fn is_made(&self) -> bool {
        matches!(self.role, Role::OfOpen | Role::OfProtected)
    }

    /// Whether nothing of its values may be seen.
    pub(super) const fn is_hidden(&self) -> bool {
        matches!(self.protected, Some(Protection::Full | Protection::Null))
    }

    /// How it is written where an expression of its type is wanted.
    pub(super) fn below(&self, alias: &str) -> String {
        match self.spelling.sql {
            "json" => format!("{alias}.{}::jsonb", self.name),
            "float8" => format!("{alias}.{}::numeric", self.name),
            _ => format!("{alias}.{}", self.name),
        }
    }
}

impl Relation {
    /// Whether it is too large to be joined with itself.
    pub(super) fn is_large(&self) -> bool {
        self.rows.len() > 40
    }

    /// Whether the success of writes to it tells of protected values, as `docs/masking.md` excuses.
    fn tells(&self) -> bool {
        self.columns.iter().any(|column| !column.is_open() && column.role != Role::Plain && !column.is_made())
    }
}

impl World {
    /// The world of a seed.
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed, 1);
        let large = dice.chance(8);
        let mut relations = Vec::new();
        for (number, name) in
            ["accounts", "orders", "traces", "notes"][..2 + dice.below(3)].iter().enumerate()
        {
            let rows = if large && number == 0 { 300 } else { 5 + dice.below(6) };
            let relation = table(&mut dice, name, rows, &relations);
            relations.push(relation);
        }
        let mut more = Vec::new();
        extras(&mut dice, &relations, &mut more);
        for number in 0..1 + dice.below(3) {
            let view = view(&mut dice, &format!("view_{number}"), &relations);
            relations.push(view);
        }
        let (analyzed, latin) = (large || dice.chance(40), dice.chance(8));
        consequence::add(seed, &mut relations);
        let fenced = fenced(seed, &relations);
        Self { relations, more, analyzed, latin, fenced }
    }

    /// Makes it on one side.
    pub(super) fn script(&self, side: Side) -> String {
        let mut script = format!(
            "DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; DROP SCHEMA IF EXISTS aside CASCADE;
             CREATE SCHEMA {SCHEMA}; CREATE SCHEMA aside; SET search_path = {SCHEMA};
             CREATE DOMAIN short AS varchar(24); CREATE TYPE pair AS (a int, b text);
             CREATE TYPE mood AS ENUM ('calm', 'cross', 'glad');
             CREATE TABLE plain (id int PRIMARY KEY, label text, amount int);
             INSERT INTO plain SELECT n, 'plain ' || n % 3, n * 10 FROM generate_series(1, 8) n;\n"
        );
        let mut say = |statement: &str| {
            script.push_str(statement);
            script.push_str(";\n");
        };
        for relation in self.tables() {
            relation.ddl.iter().for_each(|ddl| say(ddl));
            let rows: Vec<String> = relation.rows.iter().map(|row| row_on(row, side)).collect();
            let names: Vec<&str> = relation.columns.iter().map(|column| column.name.as_str()).collect();
            let names = names[..relation.rows[0].len()].join(", ");
            say(&format!("INSERT INTO {} ({names}) VALUES {}", relation.name, rows.join(", ")));
            if let Some(fenced) = self.fenced.as_ref().filter(|fenced| fenced.table == relation.name) {
                let rows = fenced.hidden[usize::from(side == Side::Other)].iter();
                let rows: Vec<String> = rows.map(|row| row_on(row, side)).collect();
                say(&format!("INSERT INTO {} ({names}) VALUES {}", relation.name, rows.join(", ")));
            }
            relation.after.iter().for_each(|ddl| say(ddl));
        }
        // of the same columns, but open, so that a name may lead to either
        say("CREATE TABLE aside.accounts (LIKE accounts INCLUDING INDEXES)");
        say("INSERT INTO aside.accounts (id, part) SELECT n, n % 3 FROM generate_series(1, 5) n");
        self.more.iter().for_each(|more| say(more));
        for relation in self.relations.iter().filter(|relation| relation.kind == Kind::View) {
            relation.ddl.iter().for_each(|ddl| say(ddl));
        }
        if self.analyzed {
            self.tables().for_each(|table| say(&format!("ANALYZE {}", table.name)));
        }
        script
    }

    /// The tables, without what hangs on them.
    pub(super) fn tables(&self) -> impl Iterator<Item = &Relation> {
        self.relations.iter().filter(|relation| relation.kind == Kind::Table)
    }

    /// Whether the success of this statement may tell of protected values: it writes where a constraint reads them, and
    /// chooses none that a CHECK or EXCLUDE reads.
    pub(super) fn may_tell(&self, sql: &str) -> bool {
        let written = |name: &str| {
            ["INSERT INTO ", "UPDATE ", "DELETE FROM ", "MERGE INTO ", "COPY "].iter().any(|verb| {
                [String::new(), format!("{SCHEMA}.")]
                    .iter()
                    .any(|schema| sql.contains(&format!("{verb}{schema}{name} ")))
            })
        };
        let referenced = self.tables().any(|table| {
            table.columns.iter().any(|column| column.role == Role::Foreign && !column.is_open())
        });
        let tells = |table: &Relation| {
            // among the columns of an INSERT, or assigned
            let listed = |name: &str| {
                let entry = format!(", {name}");
                sql.split(&entry).skip(1).any(|rest| rest.starts_with([',', ')', ' ']))
            };
            let chosen = |column: &Column| {
                column.role == Role::Checked
                    && (sql.contains(&format!(" SET {} = ", column.name)) || listed(&column.name))
            };
            table.tells()
                && written(&table.name)
                && !table.columns.iter().any(|column| !column.is_open() && chosen(column))
        };
        (referenced && written("plain")) || self.tables().any(tells)
    }

    /// The tables that a client may change.
    pub(super) fn writable(&self) -> impl Iterator<Item = &Relation> {
        self.tables().filter(|table| self.fenced.as_ref().is_none_or(|fenced| fenced.table != table.name))
    }

    /// The target's row filters.
    pub(super) fn filters(&self) -> Vec<RowFilter> {
        let filter = |fenced: &Fenced| RowFilter {
            name: RuleName::new("filter.rows").expect("a name"),
            table: TablePattern::new(&format!("{SCHEMA}.{}", fenced.table)).expect("a pattern"),
            predicate: fenced.predicate.into(),
            claims: BTreeSet::new(),
            only_for: BTreeSet::new(),
            lifted_for: BTreeSet::new(),
        };
        self.fenced.iter().map(filter).collect()
    }

    /// The target's mask rules.
    pub(super) fn rules(&self) -> Vec<MaskRule> {
        let columns = self
            .tables()
            .flat_map(|table| table.columns.iter().map(move |column| (table, column)))
            .filter_map(|(table, column)| Some((table, column, column.protected?)));
        columns
            .enumerate()
            .map(|(number, (table, column, of))| rule(number, &table.name, &column.name, of))
            .collect()
    }
}

fn row_on(row: &[Cell], side: Side) -> String {
    let values: Vec<&str> = row.iter().map(|cell| cell.on(side)).collect();
    format!("({})", values.join(", "))
}

/// In some worlds the last table, to which no other refers, has rows that nobody may see.
fn fenced(seed: u64, relations: &[Relation]) -> Option<Fenced> {
    let mut dice = Dice::new(seed, 3);
    let table = relations.iter().rev().find(|relation| relation.kind == Kind::Table)?;
    if !dice.chance(30) {
        return None;
    }
    let columns = &table.columns[..table.rows[0].len()];
    let mut rows = || -> Vec<Vec<Cell>> {
        (0..1 + dice.below(5))
            .map(|row| {
                let cell = |column: &Column| match column.name.as_str() {
                    "id" => Cell::same((1001 + row).to_string()),
                    "part" => Cell::same((row % 3).to_string()),
                    _ => Cell::new(&mut dice, column, 1000 + row),
                };
                columns.iter().map(cell).collect()
            })
            .collect()
    };
    let hidden = [rows(), rows()];
    let predicate = *dice.pick(&["id <= 1000", "NOT (id > 1000)", "id IN (1, 2, 3, 4, 5, 101) OR id < 1000"]);
    Some(Fenced { table: table.name.clone(), predicate, hidden })
}

fn rule(number: usize, table: &str, column: &str, protection: Protection) -> MaskRule {
    MaskRule {
        name: RuleName::new(format!("mask.{number}")).expect("a name"),
        column: ColumnPattern::new(&format!("{SCHEMA}.{table}.{column}")).expect("a pattern"),
        path: match protection {
            Protection::Path(path) => Some(JsonPath::new(path).expect("a path")),
            Protection::Full | Protection::Null | Protection::Partial => None,
        },
        mask: match protection {
            Protection::Full | Protection::Path(_) => Mask::Full,
            Protection::Null => Mask::Null,
            Protection::Partial => Mask::Partial { keep_last: 4 },
        },
        lifted_for: BTreeSet::new(),
    }
}
