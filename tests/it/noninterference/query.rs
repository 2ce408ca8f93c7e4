//! Queries with every clause, over the relations of a world.

use super::dice::Dice;
use super::expression::{Name, Scope, aggregate, any_type, condition, literal, scalar};
use super::schema::{Relation, SCHEMA, Type, World};

/// Makes queries of one world.
pub(super) struct Queries<'a> {
    pub(super) world: &'a World,
    pub(super) dice: &'a mut Dice,
    /// How many aliases were given out.
    aliases: usize,
}

/// One thing in FROM: its text and what it brings.
struct Item {
    sql: String,
    scope: Scope,
}

impl<'a> Queries<'a> {
    pub(super) fn new(world: &'a World, dice: &'a mut Dice) -> Self {
        Self { world, dice, aliases: 0 }
    }

    /// A query of any columns.
    pub(super) fn any(&mut self) -> String {
        let types: Vec<Type> = (0..1 + self.dice.below(4)).map(|_| any_type(self.dice)).collect();
        match self.dice.below(12) {
            0 => self.with(&types),
            1 => self.set_operation(&types),
            2 => self.starred(),
            3 => self.grouped(&types),
            4 => self.windowed(),
            5 => self.recursive(),
            _ => self.select(&types, &Scope::default(), 2),
        }
    }

    /// A query whose columns have these types.
    pub(super) fn select(&mut self, types: &[Type], outer: &Scope, depth: u32) -> String {
        let item = self.from(outer, depth);
        let scope = item.scope.within(outer);
        let shown: Vec<String> = types
            .iter()
            .enumerate()
            .map(|(number, of)| {
                let value = if depth > 0 && self.dice.chance(6) {
                    self.lookup(*of, &scope)
                } else {
                    scalar(self.dice, &scope, *of, 2)
                };
                format!("{} AS c{number}", fixed(&value, *of))
            })
            .collect();
        let distinct = if self.dice.chance(8) { "DISTINCT " } else { "" };
        let filter = self.filter(&scope, depth);
        let order = if distinct.is_empty() { self.order(&scope, types.len()) } else { ordinals(types.len()) };
        let limit = if order.contains(".id") && self.dice.chance(25) {
            format!(" LIMIT {} OFFSET {}", self.dice.below(6), self.dice.below(2))
        } else {
            String::new()
        };
        format!("SELECT {distinct}{} FROM {}{filter}{order}{limit}", shown.join(", "), item.sql)
    }

    /// A condition, perhaps with a query in it.
    fn filter(&mut self, scope: &Scope, depth: u32) -> String {
        if self.dice.chance(40) {
            return String::new();
        }
        if depth > 0 && self.dice.chance(20) {
            let inner = self.select(&[Type::Int], scope, depth - 1);
            return match self.dice.below(3) {
                0 => format!(" WHERE EXISTS ({inner})"),
                1 => format!(" WHERE {} IN ({inner})", scalar(self.dice, scope, Type::Int, 1)),
                _ => format!(" WHERE {} > ALL ({inner})", scalar(self.dice, scope, Type::Int, 1)),
            };
        }
        format!(" WHERE {}", condition(self.dice, scope, 2))
    }

    /// A query of one value.
    fn lookup(&mut self, of: Type, outer: &Scope) -> String {
        let item = self.relation();
        let scope = item.scope.within(outer);
        let value = aggregate(self.dice, &item.scope, of);
        format!("(SELECT {value} FROM {} WHERE {})", item.sql, condition(self.dice, &scope, 1))
    }

    fn order(&mut self, scope: &Scope, count: usize) -> String {
        if self.dice.chance(45) {
            return ordinals(count);
        }
        let ids: Vec<&str> =
            scope.names.iter().map(|name| name.sql.as_str()).filter(|sql| sql.ends_with(".id")).collect();
        let last = if ids.is_empty() { ordinals(count) } else { format!(" ORDER BY {}", ids.join(", ")) };
        if self.dice.chance(25) {
            let of = any_type(self.dice);
            let by = scalar(self.dice, scope, of, 1);
            // what is a number would be the place of a column
            return last.replacen(" ORDER BY ", &format!(" ORDER BY ({by}) IS NULL, "), 1);
        }
        last
    }

    fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("t{}", self.aliases)
    }

    /// One relation or several that are joined.
    fn from(&mut self, outer: &Scope, depth: u32) -> Item {
        let mut item = match self.dice.below(10) {
            0 if depth > 0 => self.subquery(outer, depth - 1),
            1 => self.function(outer),
            2 => self.values(),
            _ => self.relation(),
        };
        while self.dice.chance(30) {
            let lateral = depth > 0 && self.dice.chance(20);
            let (next, word) = if lateral {
                (self.subquery(&item.scope, depth - 1), "LATERAL ")
            } else if depth > 0 && self.dice.chance(15) {
                (self.function(&item.scope), "")
            } else {
                (self.relation(), "")
            };
            let both = item.scope.within(&next.scope);
            let sql = match self.dice.below(5) {
                0 => format!("{} CROSS JOIN {word}{}", item.sql, next.sql),
                1 => {
                    let on = condition(self.dice, &both, 1);
                    format!("{} LEFT JOIN {word}{} ON {on}", item.sql, next.sql)
                }
                _ => {
                    let ids = [&item.scope, &next.scope].map(|scope| {
                        scope.names.iter().find(|name| name.of == Type::Int).map(|name| name.sql.clone())
                    });
                    match ids {
                        [Some(one), Some(other)] => {
                            let kind = self.dice.pick(&["JOIN", "LEFT JOIN", "JOIN"]);
                            format!("{} {kind} {word}{} ON {one} = {other}", item.sql, next.sql)
                        }
                        _ => format!("{} CROSS JOIN {word}{}", item.sql, next.sql),
                    }
                }
            };
            item = Item { sql, scope: both };
            if item.scope.names.len() > 40 {
                break;
            }
        }
        item
    }

    fn relation(&mut self) -> Item {
        let alias = self.alias();
        if self.dice.chance(12) {
            return plain(&alias);
        }
        let mut relation = self.dice.pick(&self.world.relations).clone();
        if relation.is_large() && self.aliases > 2 {
            return plain(&alias);
        }
        if !relation.children.is_empty() && self.dice.chance(30) {
            relation.name.clone_from(self.dice.pick(&relation.children));
        }
        let schema = if self.dice.chance(30) { format!("{SCHEMA}.") } else { String::new() };
        Item { sql: format!("{schema}{} AS {alias}", relation.name), scope: scope_of(&relation, &alias) }
    }

    fn subquery(&mut self, outer: &Scope, depth: u32) -> Item {
        let types: Vec<Type> = (0..1 + self.dice.below(3)).map(|_| any_type(self.dice)).collect();
        let inner = self.select(&types, outer, depth);
        let alias = self.alias();
        let names =
            types.iter().enumerate().map(|(number, of)| Name { sql: format!("{alias}.c{number}"), of: *of });
        let scope = Scope { names: names.collect(), rows: vec![alias.clone()] };
        Item { sql: format!("({inner}) AS {alias}"), scope }
    }

    fn function(&mut self, outer: &Scope) -> Item {
        let alias = self.alias();
        let (call, names): (String, &[(&str, Type)]) = match self.dice.below(6) {
            0 => ("generate_series(1, 3)".into(), &[("n", Type::Int)]),
            1 => (format!("unnest({})", scalar(self.dice, outer, Type::Texts, 1)), &[("u", Type::Text)]),
            2 => {
                let json = scalar(self.dice, outer, Type::Json, 1);
                let json = format!("CASE jsonb_typeof({json}) WHEN 'object' THEN {json} END");
                (format!("jsonb_each({json})"), &[("k", Type::Text), ("v", Type::Json)])
            }
            3 => {
                let json = scalar(self.dice, outer, Type::Json, 1);
                (format!("jsonb_path_query({json}, '$.items[*]')"), &[("v", Type::Json)])
            }
            4 => {
                let text = scalar(self.dice, outer, Type::Text, 1);
                (format!("regexp_split_to_table({text}, 'e')"), &[("u", Type::Text)])
            }
            _ => {
                let json = scalar(self.dice, outer, Type::Json, 1);
                let json = format!("CASE jsonb_typeof({json}) WHEN 'object' THEN {json} END");
                (format!("jsonb_object_keys({json})"), &[("k", Type::Text)])
            }
        };
        let columns: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        let names = names.iter().map(|(name, of)| Name { sql: format!("{alias}.{name}"), of: *of }).collect();
        Item {
            sql: format!("{call} AS {alias} ({})", columns.join(", ")),
            scope: Scope { names, rows: Vec::new() },
        }
    }

    fn values(&mut self) -> Item {
        let alias = self.alias();
        let types: Vec<Type> = (0..2).map(|_| any_type(self.dice)).collect();
        let rows: Vec<String> = (0..2)
            .map(|_| {
                let cells: Vec<String> =
                    types.iter().map(|of| fixed(&literal(self.dice, *of), *of)).collect();
                format!("({})", cells.join(", "))
            })
            .collect();
        let names = types.iter().enumerate().map(|(n, of)| Name { sql: format!("{alias}.v{n}"), of: *of });
        let scope = Scope { names: names.collect(), rows: vec![alias.clone()] };
        Item { sql: format!("(VALUES {}) AS {alias} (v0, v1)", rows.join(", ")), scope }
    }

    fn with(&mut self, types: &[Type]) -> String {
        let inner = self.select(types, &Scope::default(), 1);
        let kept = self.dice.pick(&["", "MATERIALIZED ", "NOT MATERIALIZED "]);
        let names: Vec<String> = (0..types.len()).map(|number| format!("w.c{number}")).collect();
        match self.dice.below(3) {
            0 => format!(
                "WITH w AS {kept}({inner}) SELECT w, w.* FROM w{}",
                ordinals(1).replace('1', "w::text")
            ),
            1 => format!(
                "WITH w AS {kept}({inner}) SELECT count(*), {} FROM w GROUP BY {}{}",
                names.join(", "),
                names.join(", "),
                ordinals(names.len() + 1)
            ),
            _ => format!(
                "WITH w AS {kept}({inner}) SELECT {} FROM w, plain p WHERE p.id < 3{}",
                names.join(", "),
                ordinals(names.len())
            ),
        }
    }

    fn recursive(&mut self) -> String {
        let item = self.relation();
        let start = scalar(self.dice, &item.scope, Type::Int, 1);
        let union = self.dice.pick(&["UNION", "UNION ALL"]);
        format!(
            "WITH RECURSIVE r (n, depth) AS (SELECT ({start})::bigint % 7, 1 FROM {} {union} \
             SELECT (n + 1) % 7, depth + 1 FROM r WHERE depth < 3) SELECT n, depth, count(*) FROM r GROUP BY 1, 2 ORDER BY 1, 2",
            item.sql
        )
    }

    fn set_operation(&mut self, types: &[Type]) -> String {
        let word = self.dice.pick(&["UNION", "UNION ALL", "INTERSECT", "EXCEPT", "EXCEPT ALL"]);
        let sides: Vec<String> = (0..2).map(|_| self.select(types, &Scope::default(), 1)).collect();
        format!("({}) {word} ({}){}", sides[0], sides[1], ordinals(types.len()))
    }

    fn starred(&mut self) -> String {
        let item = self.relation();
        let alias = item.scope.rows[0].clone();
        let filter = self.filter(&item.scope, 1);
        let order = self.order(&item.scope, 1);
        match self.dice.below(7) {
            0 => format!("SELECT {alias} FROM {}{filter}{order}", item.sql),
            1 => format!("SELECT ({alias}).* FROM {}{filter}{order}", item.sql),
            2 => {
                let name = self.dice.pick(&item.scope.names).sql.clone();
                let column = name
                    .rsplit('.')
                    .next()
                    .expect("a name")
                    .trim_end_matches("::jsonb")
                    .trim_end_matches("::numeric");
                format!("SELECT {column}({alias}) FROM {}{filter}{order}", item.sql)
            }
            3 => format!("SELECT row({alias}.*)::text, {alias} IS NULL FROM {}{filter}{order}", item.sql),
            4 => format!("TABLE {}", self.dice.pick(&self.world.relations).name),
            5 => format!(
                "SELECT {alias}.*, {alias} = {alias}, {alias}.tableoid::regclass FROM {}{filter}{order}",
                item.sql
            ),
            _ => format!("SELECT * FROM {}{filter}{order}", item.sql),
        }
    }

    fn grouped(&mut self, types: &[Type]) -> String {
        let item = self.from(&Scope::default(), 1);
        let of = any_type(self.dice);
        let key = scalar(self.dice, &item.scope, of, 1);
        let key = format!("({key})");
        let other = format!("({})", scalar(self.dice, &item.scope, Type::Int, 1));
        let values: Vec<String> =
            types.iter().map(|of| fixed(&aggregate(self.dice, &item.scope, *of), *of)).collect();
        let having = if self.dice.chance(30) {
            format!(" HAVING {} IS NOT NULL", aggregate(self.dice, &item.scope, Type::Text))
        } else {
            String::new()
        };
        let filter = self.filter(&item.scope, 1);
        let grouping = match self.dice.below(5) {
            0 => format!("ROLLUP ({key}, {other})"),
            1 => format!("CUBE ({key}, {other})"),
            2 => format!("GROUPING SETS (({key}, {other}), ({key}), ())"),
            _ => format!("{key}, {other}"),
        };
        format!(
            "SELECT {key}::text AS k, {other}::text AS o, {} FROM {}{filter} GROUP BY {grouping}{having}{}",
            values.join(", "),
            item.sql,
            ordinals(types.len() + 2)
        )
    }

    fn windowed(&mut self) -> String {
        let item = self.relation();
        let of = any_type(self.dice);
        let by = scalar(self.dice, &item.scope, of, 1);
        let part = scalar(self.dice, &item.scope, Type::Text, 1);
        let id = item.scope.names[0].sql.clone();
        // an id may be in a table and in its heir; of rows that are alike in all it does not matter which comes first
        let row = id.split('.').next().expect("a name").to_owned();
        let call = match self.dice.below(6) {
            0 => "row_number()".to_owned(),
            1 => "rank()".into(),
            2 => format!("lag({part}::text)"),
            3 => format!("sum({})", scalar(self.dice, &item.scope, Type::Int, 1)),
            4 => "ntile(2)".into(),
            _ => format!("first_value({part}::text)"),
        };
        format!(
            "SELECT {id}, {call} OVER (PARTITION BY ({part}) IS NULL ORDER BY ({by}), {id}, {row}::text) FROM {} ORDER BY 1, 2",
            item.sql
        )
    }
}

/// With the type that a set operation needs.
fn fixed(value: &str, of: Type) -> String {
    format!("({value})::{}", of.sql())
}

fn ordinals(count: usize) -> String {
    let places: Vec<String> = (1..=count).map(|place| place.to_string()).collect();
    format!(" ORDER BY {}", places.join(", "))
}

fn plain(alias: &str) -> Item {
    let names = [("id", Type::Int), ("label", Type::Text), ("amount", Type::Int)];
    let names = names.iter().map(|(name, of)| Name { sql: format!("{alias}.{name}"), of: *of }).collect();
    Item { sql: format!("plain AS {alias}"), scope: Scope { names, rows: vec![alias.into()] } }
}

/// What a relation brings into scope under an alias.
pub(super) fn scope_of(relation: &Relation, alias: &str) -> Scope {
    let mut names = Vec::new();
    for column in &relation.columns {
        names.push(Name { sql: column.below(alias), of: column.spelling.of });
        if column.spelling.sql == "json" {
            names.push(Name { sql: format!("{alias}.{}", column.name), of: Type::Document });
        }
    }
    Scope { names, rows: vec![alias.into()] }
}
