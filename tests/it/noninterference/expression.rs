//! Expressions of a wanted type over what is in scope.

use super::dice::Dice;
use super::schema::Type;

/// A column that an expression may name.
#[derive(Debug, Clone)]
pub(super) struct Name {
    /// As it is written, with its qualifier where it has one.
    pub(super) sql: String,
    pub(super) of: Type,
}

/// What stands in FROM, and what it is called.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    pub(super) names: Vec<Name>,
    /// Aliases that are whole rows.
    pub(super) rows: Vec<String>,
}

const ANY: &[Type] =
    &[Type::Moment, Type::Bytes, Type::Uuid, Type::Span, Type::Mood, Type::Pair, Type::Jsons, Type::Document];

impl Scope {
    fn of(&self, of: Type) -> Vec<&Name> {
        self.names.iter().filter(|name| name.of == of).collect()
    }

    /// This and what is around it.
    pub(super) fn within(&self, outer: &Self) -> Self {
        Self {
            names: self.names.iter().chain(&outer.names).cloned().collect(),
            rows: self.rows.iter().chain(&outer.rows).cloned().collect(),
        }
    }
}

/// A type that is asked for often.
pub(super) fn any_type(dice: &mut Dice) -> Type {
    dice.weighted(&[
        (24, Type::Text),
        (20, Type::Int),
        (8, Type::Numeric),
        (8, Type::Bool),
        (4, Type::Date),
        (12, Type::Json),
        (4, Type::Texts),
        (4, Type::Ints),
        (1, Type::Jsons),
        (2, Type::Moment),
        (2, Type::Bytes),
        (2, Type::Uuid),
        (1, Type::Span),
        (2, Type::Mood),
        (1, Type::Pair),
    ])
}

/// A scalar expression.
pub(super) fn scalar(dice: &mut Dice, scope: &Scope, of: Type, depth: u32) -> String {
    let known = scope.of(of);
    if !known.is_empty() && (depth == 0 || dice.chance(55)) {
        return dice.pick(&known).sql.clone();
    }
    if depth == 0 {
        return literal(dice, of);
    }
    let depth = depth - 1;
    if dice.chance(12) {
        let (a, b) = (scalar(dice, scope, of, depth), scalar(dice, scope, of, depth));
        return match dice.below(3) {
            0 => format!("coalesce({a}, {b})"),
            1 => format!("CASE WHEN {} THEN {a} ELSE {b} END", condition(dice, scope, depth)),
            _ => format!("nullif({a}, {b})"),
        };
    }
    match of {
        Type::Text => text(dice, scope, depth),
        Type::Int => int(dice, scope, depth),
        Type::Numeric => {
            let a = scalar(dice, scope, Type::Numeric, depth);
            let int = scalar(dice, scope, Type::Int, depth);
            match dice.below(5) {
                0 => format!("({a} + {int})"),
                1 => format!("round({a}, 1)"),
                2 => format!("({a} / 3)"),
                3 => format!("abs({a})"),
                _ => format!("{int}::numeric"),
            }
        }
        Type::Bool => condition(dice, scope, depth),
        Type::Date => {
            let a = scalar(dice, scope, Type::Date, depth);
            match dice.below(3) {
                0 => format!("({a} + 1)"),
                1 => format!("greatest({a}, DATE '2026-06-01')"),
                _ => format!("({a} - INTERVAL '1 day')::date"),
            }
        }
        Type::Json => json(dice, scope, depth),
        Type::Texts => {
            let a = scalar(dice, scope, Type::Text, depth);
            match dice.below(3) {
                0 => format!("string_to_array({a}, ',')"),
                1 => format!("ARRAY[{a}::text, {}::text]", scalar(dice, scope, Type::Text, depth)),
                _ => format!("array_append({}, {a}::text)", scalar(dice, scope, Type::Texts, depth)),
            }
        }
        Type::Ints => {
            let a = scalar(dice, scope, Type::Int, depth);
            match dice.below(2) {
                0 => format!("ARRAY[{a}::int, 2]"),
                _ => format!("array_remove({}, 2)", scalar(dice, scope, Type::Ints, depth)),
            }
        }
        Type::Document => {
            let a = scalar(dice, scope, Type::Document, depth);
            match dice.below(3) {
                0 => format!("({a} -> 'user')"),
                1 => format!("({a} #> '{{items,0}}')"),
                _ => format!("{}::json", scalar(dice, scope, Type::Json, depth)),
            }
        }
        Type::Jsons => format!("ARRAY[{}]", scalar(dice, scope, Type::Json, depth)),
        Type::Moment => format!("({} + INTERVAL '1 hour')", scalar(dice, scope, Type::Moment, depth)),
        Type::Bytes => match dice.below(2) {
            0 => format!("sha256({})", scalar(dice, scope, Type::Bytes, depth)),
            _ => format!("convert_to({}, 'UTF8')", scalar(dice, scope, Type::Text, depth)),
        },
        Type::Uuid => format!("md5({})::uuid", scalar(dice, scope, Type::Text, depth)),
        Type::Span => format!("({} * int4range(2, 12))", scalar(dice, scope, Type::Span, depth)),
        Type::Mood | Type::Pair => literal(dice, of),
    }
}

fn text(dice: &mut Dice, scope: &Scope, depth: u32) -> String {
    let a = scalar(dice, scope, Type::Text, depth);
    let others: Vec<&Name> = scope.names.iter().filter(|name| ANY.contains(&name.of)).collect();
    if !others.is_empty() && dice.chance(20) {
        let name = dice.pick(&others);
        return match name.of {
            Type::Document if dice.chance(60) => {
                let how =
                    dice.pick(&[" ->> 'secret'", " #>> '{items,0,key}'", " ->> 'open'", " #>> '{user}'"]);
                format!("({}{how})", name.sql)
            }
            Type::Document if dice.chance(30) => format!("json_typeof({})", name.sql),
            Type::Pair if dice.chance(50) => format!("({}).b", name.sql),
            _ => format!("{}::text", name.sql),
        };
    }
    match dice.below(18) {
        0 => format!("upper({a})"),
        1 => format!("({a} || {})", scalar(dice, scope, Type::Text, depth)),
        2 => format!("substr({a}, 1, 3)"),
        3 => format!("md5({a})"),
        4 => format!("replace({a}, 'e', 'E')"),
        5 => format!("format('%s-%s', {a}, {})", scalar(dice, scope, Type::Int, depth)),
        6 => format!("concat({a}, {})", scalar(dice, scope, Type::Numeric, depth)),
        7 => format!("{}::text", scalar(dice, scope, Type::Int, depth)),
        8 => format!("({} ->> 'secret')", scalar(dice, scope, Type::Json, depth)),
        9 => format!("({} #>> '{{items,0,key}}')", scalar(dice, scope, Type::Json, depth)),
        10 => format!("{}::text", scalar(dice, scope, Type::Json, depth)),
        11 => format!("array_to_string({}, '+')", scalar(dice, scope, Type::Texts, depth)),
        12 => format!("quote_nullable({a})"),
        13 if !scope.rows.is_empty() => format!("{}::text", dice.pick(&scope.rows)),
        14 => format!("reverse({a})"),
        15 => format!("to_char({}, '999.9')", scalar(dice, scope, Type::Numeric, depth)),
        16 => format!("lpad({a}, 5, '*')"),
        _ => format!("lower({a})"),
    }
}

fn int(dice: &mut Dice, scope: &Scope, depth: u32) -> String {
    let a = scalar(dice, scope, Type::Int, depth);
    match dice.below(13) {
        0 => format!("({a} + {})", scalar(dice, scope, Type::Int, depth)),
        1 => format!("({a} * 2)"),
        2 => format!("length({})", scalar(dice, scope, Type::Text, depth)),
        3 => format!("cardinality({})", scalar(dice, scope, Type::Texts, depth)),
        4 => format!("abs({a})"),
        5 => format!("strpos({}, 'e')", scalar(dice, scope, Type::Text, depth)),
        6 => format!("extract(day FROM {})::int", scalar(dice, scope, Type::Date, depth)),
        7 => format!("ascii({})", scalar(dice, scope, Type::Text, depth)),
        8 => format!("hashtext({}::text)", scalar(dice, scope, Type::Text, depth)),
        // the two that fail for some values
        9 if dice.chance(40) => format!("(10 / {a})"),
        10 if dice.chance(40) => format!("{}::int", scalar(dice, scope, Type::Text, depth)),
        11 => format!("pg_column_size({a})"),
        _ => format!("({a} - 1)"),
    }
}

fn json(dice: &mut Dice, scope: &Scope, depth: u32) -> String {
    let a = scalar(dice, scope, Type::Json, depth);
    match dice.below(16) {
        0 => format!("({a} -> 'user')"),
        1 => format!("({a} #> '{{items,0}}')"),
        2 => format!("jsonb_build_object('a', {}, 'b', {a})", scalar(dice, scope, Type::Text, depth)),
        3 => format!("to_jsonb({})", scalar(dice, scope, Type::Text, depth)),
        4 => format!("jsonb_path_query_first({a}, '$.**.key')"),
        5 => format!("jsonb_path_query_array({a}, '$.items[*].key')"),
        6 if !scope.rows.is_empty() => format!("to_jsonb({})", dice.pick(&scope.rows)),
        7 if !scope.rows.is_empty() => format!("row_to_json({})::jsonb", dice.pick(&scope.rows)),
        8 => format!("jsonb_set({a}, '{{open}}', '5')"),
        9 => format!("({a} - 'open')"),
        10 => format!("({a} -> 'items' -> 0 -> 'key')"),
        11 => format!("({a} || '{{\"more\": 1}}')"),
        12 => format!("jsonb_strip_nulls({a})"),
        13 => format!("({a})['secret']"),
        14 => format!("({a} -> 'secret')"),
        _ => format!("to_jsonb({})", scalar(dice, scope, Type::Int, depth)),
    }
}

/// A condition.
pub(super) fn condition(dice: &mut Dice, scope: &Scope, depth: u32) -> String {
    if depth > 0 && dice.chance(25) {
        let depth = depth - 1;
        let (a, b) = (condition(dice, scope, depth), condition(dice, scope, depth));
        return match dice.below(3) {
            0 => format!("({a} AND {b})"),
            1 => format!("({a} OR {b})"),
            _ => format!("(NOT {a})"),
        };
    }
    let depth = depth.saturating_sub(1);
    let of = any_type(dice);
    let a = scalar(dice, scope, of, depth);
    match (of, dice.below(6)) {
        (_, 0) => format!("({a} IS NOT NULL)"),
        (Type::Text, 1) => format!("({a} LIKE '%e%')"),
        (Type::Text, 2) => format!("({a} ~ '^[a-m]')"),
        (Type::Text, 3) => format!("({a} IN ('red', 'blue', '[masked]'))"),
        (Type::Json, 1) => format!("({a} ? 'secret')"),
        (Type::Json, 2) => format!("({a} @> '{{\"open\": 5}}')"),
        (Type::Json, 3) => format!("jsonb_path_exists({a}, '$.items[*] ? (@.key == 17)')"),
        (Type::Json, 4) => format!("({a} @? '$.**.key')"),
        (Type::Texts, 1) => format!("({a} && ARRAY['a', 'zq'])"),
        (Type::Texts, 2) => format!("('a' = ANY ({a}))"),
        (Type::Ints, 1) => format!("({a} @> ARRAY[2])"),
        (Type::Bool, _) => format!("({a} IS TRUE)"),
        (Type::Int | Type::Numeric, 1) => format!("({a} BETWEEN 1 AND 40)"),
        (Type::Text, 4) => format!("({a} IS DISTINCT FROM {})", scalar(dice, scope, of, depth)),
        _ => format!("({a} {} {})", dice.pick(&["=", "<>", "<", ">="]), scalar(dice, scope, of, depth)),
    }
}

/// An aggregate of a wanted type.
pub(super) fn aggregate(dice: &mut Dice, scope: &Scope, of: Type) -> String {
    let filter = if dice.chance(15) {
        format!(" FILTER (WHERE {})", condition(dice, scope, 1))
    } else {
        String::new()
    };
    let call = match of {
        Type::Document => "'7'::json".to_owned(),
        Type::Jsons => "ARRAY[to_jsonb(count(*))]".to_owned(),
        Type::Moment | Type::Bytes | Type::Uuid | Type::Span | Type::Mood | Type::Pair => {
            format!("mode() WITHIN GROUP (ORDER BY {})", scalar(dice, scope, of, 1))
        }
        Type::Int => match dice.below(4) {
            0 => "count(*)".to_owned(),
            1 => format!("count(DISTINCT {})", scalar(dice, scope, Type::Text, 1)),
            2 => format!("sum({})", scalar(dice, scope, Type::Int, 1)),
            _ => format!("max({})", scalar(dice, scope, Type::Int, 1)),
        },
        Type::Text => match dice.below(3) {
            0 => format!("max({}::text)", scalar(dice, scope, Type::Text, 1)),
            1 => {
                let a = scalar(dice, scope, Type::Text, 1);
                format!("string_agg({a}, ',' ORDER BY {a})")
            }
            _ => format!("mode() WITHIN GROUP (ORDER BY {}::text)", scalar(dice, scope, Type::Text, 1)),
        },
        Type::Numeric => format!("avg({})", scalar(dice, scope, Type::Numeric, 1)),
        Type::Bool => format!("bool_or({})", condition(dice, scope, 1)),
        Type::Date => format!("min({})", scalar(dice, scope, Type::Date, 1)),
        Type::Json => {
            let a = scalar(dice, scope, Type::Json, 1);
            format!("jsonb_agg({a} ORDER BY {a})")
        }
        Type::Texts => {
            let a = scalar(dice, scope, Type::Text, 1);
            format!("array_agg({a}::text ORDER BY {a}::text)")
        }
        Type::Ints => {
            let a = scalar(dice, scope, Type::Int, 1);
            format!("array_agg({a}::int ORDER BY {a}::int)")
        }
    };
    format!("{call}{filter}")
}

/// A literal.
pub(super) fn literal(dice: &mut Dice, of: Type) -> String {
    match of {
        Type::Int => dice.between(0, 12).to_string(),
        Type::Text => (*dice.pick(&["'red'::text", "'green'", "'[masked]'", "'12'", "'zq'", "''"])).into(),
        Type::Numeric => format!("{}.5", dice.between(0, 30)),
        Type::Bool => (*dice.pick(&["true", "false"])).into(),
        Type::Date => "DATE '2026-05-05'".into(),
        Type::Json => {
            (*dice.pick(&[r#"'{"open": 1, "key": "k"}'::jsonb"#, "'[]'::jsonb", "'7'::jsonb"])).into()
        }
        Type::Texts => "ARRAY['a', 'b']".into(),
        Type::Ints => "ARRAY[1, 2]".into(),
        Type::Document => r#"'{"open": 1, "secret": "s"}'::json"#.into(),
        Type::Jsons => "ARRAY['1'::jsonb]".into(),
        Type::Moment => "TIMESTAMPTZ '2026-05-05 10:00:00+00'".into(),
        Type::Bytes => r"'\x00ff'::bytea".into(),
        Type::Uuid => "'00000000-0000-4000-8000-000000000007'::uuid".into(),
        Type::Span => "int4range(1, 9)".into(),
        Type::Mood => "'calm'::s.mood".into(),
        Type::Pair => "ROW(1, 'red')::s.pair".into(),
    }
}
