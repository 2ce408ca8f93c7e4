//! Changes: INSERT, UPDATE, DELETE, MERGE with all that hangs on them, of open columns and of protected ones.

use super::expression::{Scope, condition, literal, scalar};
use super::query::{Queries, scope_of};
use super::schema::{Column, Kind, Relation, Type};

impl Queries<'_> {
    /// A statement that changes rows.
    pub(super) fn change(&mut self) -> String {
        match self.dice.below(9) {
            0..=2 => self.insert(),
            3..=5 => self.update(),
            6 => self.delete(),
            7 => self.merge(),
            _ => {
                let change = if self.dice.chance(50) { self.update() } else { self.delete() };
                if change.contains(" RETURNING ") {
                    format!("WITH d AS ({change}) SELECT count(*) FROM d")
                } else {
                    format!("WITH d AS ({change}) SELECT count(*) FROM plain")
                }
            }
        }
    }

    fn table(&mut self) -> Relation {
        let tables: Vec<&Relation> =
            self.world.relations.iter().filter(|relation| relation.kind == Kind::Table).collect();
        (*self.dice.pick(&tables)).clone()
    }

    /// The columns that a statement may set: mostly open ones.
    fn settable(&mut self, table: &Relation) -> Vec<Column> {
        let secrets = self.dice.chance(30);
        let made = |column: &Column| column.name.ends_with("_upper") || column.name.ends_with("_hash");
        let some = table.columns.iter().skip(2).filter(|column| !made(column));
        some.filter(|column| secrets || column.protected.is_none()).cloned().collect()
    }

    fn insert(&mut self) -> String {
        let table = self.table();
        let mut columns = self.settable(&table);
        columns.truncate(1 + self.dice.below(3));
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let id = self.dice.between(200, 9999);
        let head = format!(
            "INSERT INTO {} AS i (id, part{})",
            table.name,
            names.iter().map(|name| format!(", {name}")).collect::<String>()
        );
        let source = if self.dice.chance(25) {
            let types: Vec<Type> = columns.iter().map(|column| column.spelling.of).collect();
            let select = self.select(&types, &Scope::default(), 1);
            let rest = (0..types.len()).map(|number| format!(", q.c{number}")).collect::<String>();
            format!(" SELECT {id} + row_number() OVER (), 1{rest} FROM ({select}) q")
        } else {
            let values: String = columns
                .iter()
                .map(|column| format!(", {}", literal(self.dice, column.spelling.of)))
                .collect();
            let twin = if self.dice.chance(20) { 1 } else { id };
            format!(" VALUES ({twin}, 1{values})")
        };
        let conflict = match self.dice.below(6) {
            0 => " ON CONFLICT DO NOTHING".to_owned(),
            1 => match columns.first() {
                Some(column) => format!(" ON CONFLICT DO NOTHING RETURNING {}", column.name),
                None => " ON CONFLICT DO NOTHING".into(),
            },
            2 => match columns.first() {
                Some(column) => {
                    let scope = scope_of(&table, "i");
                    let value = if self.dice.chance(50) {
                        format!("excluded.{}", column.name)
                    } else {
                        scalar(self.dice, &scope, column.spelling.of, 1)
                    };
                    format!(" ON CONFLICT (id) DO UPDATE SET {} = {value}", column.name)
                }
                None => String::new(),
            },
            _ => String::new(),
        };
        let returning =
            if conflict.contains("RETURNING") { String::new() } else { self.returning(&table, "i") };
        format!("{head}{source}{conflict}{returning}")
    }

    fn update(&mut self) -> String {
        let table = self.table();
        let scope = self.readable(&table, "u");
        let columns = self.settable(&table);
        let Some(column) = columns.first().cloned() else {
            return format!("UPDATE {} SET part = part WHERE id = 1", table.name);
        };
        if self.dice.chance(5) {
            return format!("UPDATE {} SET id = NULL WHERE id = 2", table.name);
        }
        let value = if self.dice.chance(50) {
            literal(self.dice, column.spelling.of)
        } else {
            scalar(self.dice, &scope, column.spelling.of, 1)
        };
        let filter = condition(self.dice, &scope, 1);
        let from = if self.dice.chance(15) { " FROM plain AS p" } else { "" };
        let joined = if from.is_empty() { "" } else { " AND p.id = u.id" };
        let returning = self.returning(&table, "u");
        format!(
            "UPDATE {} AS u SET {} = {value}{from} WHERE {filter}{joined}{returning}",
            table.name, column.name
        )
    }

    fn delete(&mut self) -> String {
        if self.dice.chance(30) {
            return "DELETE FROM plain WHERE id > 6 RETURNING *".into();
        }
        let table = self.table();
        let scope = self.readable(&table, "d");
        let filter = condition(self.dice, &scope, 1);
        let returning = self.returning(&table, "d");
        format!("DELETE FROM {} AS d WHERE d.id > 3 AND {filter}{returning}", table.name)
    }

    fn merge(&mut self) -> String {
        let table = self.table();
        let columns = self.settable(&table);
        let scope = self.readable(&table, "m");
        let matched = match columns.first() {
            Some(column) if self.dice.chance(60) => {
                format!("UPDATE SET {} = {}", column.name, literal(self.dice, column.spelling.of))
            }
            _ => "DO NOTHING".into(),
        };
        let filter = condition(self.dice, &scope, 1);
        let id = self.dice.between(300, 9999);
        format!(
            "MERGE INTO {} AS m USING plain AS p ON m.id = p.id WHEN MATCHED AND {filter} THEN {matched} \
             WHEN NOT MATCHED AND p.id > 7 THEN INSERT (id, part) VALUES ({id}, 1)",
            table.name
        )
    }

    /// What a change reads: mostly open columns, since of protected ones it may read none.
    fn readable(&mut self, table: &Relation, alias: &str) -> Scope {
        let mut relation = table.clone();
        let secrets = self.dice.chance(20);
        relation
            .columns
            .retain(|column| secrets || (column.protected.is_none() && !column.name.ends_with("_hash")));
        let mut scope = scope_of(&relation, alias);
        if !secrets {
            scope.rows.clear();
        }
        scope
    }

    fn returning(&mut self, table: &Relation, alias: &str) -> String {
        match self.dice.below(8) {
            0 => format!(" RETURNING {alias}.id"),
            1 => format!(
                " RETURNING {}",
                self.dice.pick(&["*", alias, &format!("{alias}.*"), &format!("{alias}::text")])
            ),
            2 => {
                let scope = self.readable(table, alias);
                format!(" RETURNING {}", scalar(self.dice, &scope, Type::Text, 1))
            }
            _ => String::new(),
        }
    }
}
