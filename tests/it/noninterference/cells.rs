//! The values of one world on its two sides: they differ in protected cells and nowhere else.

use super::dice::Dice;
use super::schema::{Column, Protection, Role, Type};

/// Which of the two databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    One,
    Other,
}

/// A value as SQL, on either side.
#[derive(Debug, Clone)]
pub(super) struct Cell([String; 2]);

impl Cell {
    /// A value that is nobody's secret.
    pub(super) fn same(value: String) -> Self {
        Self([value.clone(), value])
    }

    /// The value of a column in a row.
    pub(super) fn new(dice: &mut Dice, column: &Column, row: usize) -> Self {
        let of = column.spelling.of;
        match (column.role, column.protected) {
            (_, None) => Self::same(value(dice, column)),
            // no literal of the grammar, and only once on each side
            (Role::Unique | Role::Checked, Some(_)) if of == Type::Text => {
                let mut one =
                    || if dice.chance(15) { "NULL".into() } else { format!("'zq{}{row}'", long(dice)) };
                Self([one(), one()])
            }
            (Role::Foreign, Some(_)) => {
                let mut one = || dice.between(1, 8).to_string();
                Self([one(), one()])
            }
            // what a partial mask gives out on purpose is the same
            (_, Some(Protection::Partial)) => {
                if dice.chance(15) {
                    return Self::same("NULL".into());
                }
                let end = dice.between(1000, 9999);
                // of what is shorter than eight characters, it gives out half
                if dice.chance(15) {
                    let mut one = || format!("'{}{:03}'", dice.word(3), end % 1000);
                    return Self([one(), one()]);
                }
                let mut one = || {
                    let length = 4 + dice.below(12);
                    format!("'{}-{end}'", dice.word(length))
                };
                Self([one(), one()])
            }
            (_, Some(Protection::Path(path))) => document(dice, path, column.spelling.sql == "json"),
            (_, Some(Protection::Full | Protection::Null)) => {
                Self([secret(dice, column), secret(dice, column)])
            }
        }
    }

    /// The same, but for one side, where there is none.
    pub(super) fn or_none(self, on_the_first: bool) -> Self {
        let [one, other] = self.0;
        if on_the_first { Self(["NULL".into(), other]) } else { Self([one, "NULL".into()]) }
    }

    /// The value on this side.
    pub(super) fn on(&self, side: Side) -> &str {
        &self.0[usize::from(side == Side::Other)]
    }
}

fn value(dice: &mut Dice, column: &Column) -> String {
    if dice.chance(12) {
        return "NULL".into();
    }
    match column.spelling.of {
        Type::Int => dice.between(-5, 60).to_string(),
        Type::Text => {
            (*dice.pick(&["'red'", "'green'", "'blue'", "'12'", "'a,b'", "''", "'Ünï'", "'o''hara'"])).into()
        }
        Type::Numeric if column.spelling.sql == "float8" && dice.chance(10) => "'NaN'".into(),
        Type::Numeric => format!("{}.{:02}", dice.between(0, 99), dice.between(0, 99)),
        Type::Bool => (*dice.pick(&["true", "false"])).into(),
        Type::Date => format!("'2026-{:02}-{:02}'", dice.between(1, 12), dice.between(1, 28)),
        Type::Json | Type::Document => format!("'{}'", open_document(dice)),
        Type::Texts => (*dice.pick(&["'{a,b}'", "'{}'", "'{c}'"])).into(),
        Type::Ints => (*dice.pick(&["'{1,2,3}'", "'{}'", "'{7}'"])).into(),
        Type::Jsons => (*dice.pick(&[r#"'{"{\"key\": 1}", "2"}'"#, "'{}'", "'{null}'"])).into(),
        Type::Moment => format!("'2026-{:02}-01 10:00:00+00'", dice.between(1, 12)),
        Type::Bytes => format!(r"'\x{:04x}'", dice.between(0, 0xffff)),
        Type::Uuid => format!("'00000000-0000-4000-8000-{:012}'", dice.between(0, 99)),
        Type::Span => format!("'[{},{})'", dice.between(0, 9), dice.between(9, 20)),
        Type::Mood => (*dice.pick(&["'calm'", "'cross'", "'glad'"])).into(),
        Type::Pair => format!("'({},{})'", dice.between(0, 9), dice.pick(&["red", "zq", ""])),
    }
}

/// A value that only one side has; of many forms, so that casts and comparisons of it come out differently.
fn secret(dice: &mut Dice, column: &Column) -> String {
    if dice.chance(20) {
        return "NULL".into();
    }
    match column.spelling.of {
        Type::Text => match dice.below(12) {
            0 | 1 => format!("'{}'", dice.between(1, 99)),
            2 | 3 => "'red'".into(),
            4 | 5 => "''".into(),
            // what masks give out
            6 => (*dice.pick(&["'[masked]'", "'****1234'", "'0'"])).into(),
            7 if column.spelling.sql == "text" => format!("'zq{}'", long(dice)),
            _ => format!("'zq{}'", dice.word(6)),
        },
        Type::Int => dice.between(-5, 999).to_string(),
        Type::Numeric => format!("{}.{:02}", dice.between(0, 9999), dice.between(0, 99)),
        _ => value(dice, column),
    }
}

/// A word of some length, now and then such as changes how many rows a page holds.
fn long(dice: &mut Dice) -> String {
    let length = dice.weighted(&[(6, 6), (2, 30), (1, 400)]);
    dice.word(length)
}

/// A document that is the same on both sides but at a path.
fn document(dice: &mut Dice, path: &str, lenient: bool) -> Cell {
    let hidden = |dice: &mut Dice| if lenient { odd(dice) } else { hidden(dice) };
    if dice.chance(10) {
        return Cell::same("NULL".into());
    }
    let protected = [hidden(dice), hidden(dice)];
    let around = if lenient && dice.chance(30) { odd(dice) } else { r#""open""#.into() };
    let open = [around.clone(), around];
    let at = |wanted: &str, dice: &mut Dice| {
        if path == wanted { [hidden(dice), hidden(dice)] } else { open.clone() }
    };
    let secret = at("$.secret", dice);
    let mail = at("$.user.mail", dice);
    let anywhere = path == "$.**.key";
    let key = if anywhere || path == "$.items[*].key" { protected } else { open.clone() };
    let top = if anywhere { [hidden(dice), hidden(dice)] } else { open.clone() };
    let count = dice.below(3);
    let open_one = dice.between(1, 9);
    let name =
        if lenient { *dice.pick(&["name", r"n\u00e4me", r"\ud83d\ude00", "LINE2024"]) } else { "name" };
    let sides = [0, 1].map(|side| {
        let items: Vec<String> =
            (0..=count).map(|n| format!(r#"{{"n": {n}, "key": {}}}"#, key[side])).collect();
        format!(
            r#"'{{"open": {open_one}, "secret": {}, "key": {}, "user": {{"mail": {}, "{name}": "u{count}"}}, "items": [{}]}}'"#,
            secret[side], top[side], mail[side], items.join(", ")
        )
    });
    Cell(sides)
}

fn open_document(dice: &mut Dice) -> String {
    match dice.between(0, 9) {
        0 => "[]".into(),
        1 => "7".into(),
        2 => r#""text""#.into(),
        n => format!(r#"{{"open": {n}, "secret": "open", "items": [{{"n": 1, "key": "open"}}]}}"#),
    }
}

/// JSON of any kind, also such as `json` takes and `jsonb` does not.
fn odd(dice: &mut Dice) -> String {
    match dice.below(14) {
        4 => r#""caf\u00e9 \ud83d\ude00 \\u0041""#.into(),
        5 => format!("{}{}", dice.between(1, 9), "0".repeat(dice.below(2) * 253)),
        0 => r#""\ud800""#.into(),
        1 => "1e999999".into(),
        2 => r#""zq\u0000""#.into(),
        3 => r#"{"key": 1, "key": 2}"#.into(),
        _ => hidden(dice),
    }
}

/// JSON of any kind.
fn hidden(dice: &mut Dice) -> String {
    match dice.below(6) {
        0 => dice.between(0, 99).to_string(),
        1 => "null".into(),
        2 => format!(r#"{{"in": "{}"}}"#, dice.word(4)),
        3 => "[1, 2]".into(),
        _ => format!(r#""zq{}""#, dice.word(6)),
    }
}
