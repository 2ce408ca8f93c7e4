//! The values of one world on its two sides: they differ in protected cells and nowhere else.

use super::dice::Dice;
use super::schema::{Column, Protection, Type};

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

    /// A value of a column.
    pub(super) fn new(dice: &mut Dice, column: &Column) -> Self {
        let of = column.spelling.of;
        match &column.protected {
            None => Self::same(value(dice, of)),
            // what a partial mask gives out on purpose is the same
            Some(Protection::Partial) => {
                if dice.chance(15) {
                    return Self::same("NULL".into());
                }
                let end = dice.between(1000, 9999);
                let length = 8 + dice.below(3);
                let mut one = || format!("'{}-{end}'", dice.word(length));
                Self([one(), one()])
            }
            Some(Protection::Path(path)) => document(dice, path, column.spelling.sql == "json"),
            Some(Protection::Full | Protection::Null) => Self([secret(dice, of), secret(dice, of)]),
        }
    }

    /// The value on this side.
    pub(super) fn on(&self, side: Side) -> &str {
        &self.0[usize::from(side == Side::Other)]
    }
}

fn value(dice: &mut Dice, of: Type) -> String {
    if dice.chance(12) {
        return "NULL".into();
    }
    match of {
        Type::Int => dice.between(-5, 60).to_string(),
        Type::Text => {
            (*dice.pick(&["'red'", "'green'", "'blue'", "'12'", "'a,b'", "''", "'Ünï'", "'o''hara'"])).into()
        }
        Type::Numeric => format!("{}.{:02}", dice.between(0, 99), dice.between(0, 99)),
        Type::Bool => (*dice.pick(&["true", "false"])).into(),
        Type::Date => format!("'2026-{:02}-{:02}'", dice.between(1, 12), dice.between(1, 28)),
        Type::Json => format!("'{}'", open_document(dice, &["\"open\"".into(), "\"open\"".into()])[0]),
        Type::Texts => (*dice.pick(&["'{a,b}'", "'{}'", "'{c}'"])).into(),
        Type::Ints => (*dice.pick(&["'{1,2,3}'", "'{}'", "'{7}'"])).into(),
    }
}

/// A value that only one side has; of many forms, so that casts and comparisons of it come out differently.
fn secret(dice: &mut Dice, of: Type) -> String {
    if dice.chance(20) {
        return "NULL".into();
    }
    match of {
        Type::Text => match dice.below(6) {
            0 => format!("'{}'", dice.between(1, 99)),
            1 => "'red'".into(),
            2 => "''".into(),
            _ => format!("'zq{}'", dice.word(6)),
        },
        Type::Int => dice.between(-5, 999).to_string(),
        Type::Numeric => format!("{}.{:02}", dice.between(0, 9999), dice.between(0, 99)),
        _ => value(dice, of),
    }
}

/// A document that is the same on both sides but at a path.
fn document(dice: &mut Dice, path: &str, lenient: bool) -> Cell {
    let hidden = |dice: &mut Dice| if lenient { odd(dice) } else { hidden(dice) };
    if dice.chance(10) {
        return Cell::same("NULL".into());
    }
    let protected = [hidden(dice), hidden(dice)];
    let open = ["\"open\"".to_owned(), "\"open\"".to_owned()];
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
    let sides = [0, 1].map(|side| {
        let items: Vec<String> =
            (0..=count).map(|n| format!(r#"{{"n": {n}, "key": {}}}"#, key[side])).collect();
        format!(
            r#"'{{"open": {open_one}, "secret": {}, "key": {}, "user": {{"mail": {}, "name": "u{count}"}}, "items": [{}]}}'"#,
            secret[side], top[side], mail[side], items.join(", ")
        )
    });
    Cell(sides)
}

fn open_document(dice: &mut Dice, leaf: &[String; 2]) -> [String; 2] {
    let n = dice.between(0, 9);
    [0, 1].map(|side| match n {
        0 => "[]".into(),
        1 => "7".into(),
        2 => r#""text""#.into(),
        _ => format!(
            r#"{{"open": {n}, "secret": {}, "items": [{{"n": 1, "key": {}}}]}}"#,
            leaf[side], leaf[side]
        ),
    })
}

/// JSON of any kind, also such as `json` takes and `jsonb` does not.
fn odd(dice: &mut Dice) -> String {
    match dice.below(12) {
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
