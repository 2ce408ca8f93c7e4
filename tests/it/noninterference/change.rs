//! Changes: INSERT, UPDATE, DELETE, MERGE with all that hangs on them, of open columns and of protected ones.

use super::expression::{Scope, condition, literal, scalar};
use super::query::{Queries, scope_of};
use super::schema::{Column, Relation, Role, Type};

impl Queries<'_> {
    /// A statement that changes rows.
    pub(super) fn change(&mut self) -> String {
        if self.dice.chance(10)
            && let Some(probe) = self.probe()
        {
            return probe;
        }
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

    pub(super) fn table(&mut self) -> Relation {
        let tables: Vec<&Relation> = self.world.writable().collect();
        (*self.dice.pick(&tables)).clone()
    }

    /// The columns that a statement may set, in some order: mostly open ones.
    fn settable(&mut self, table: &Relation) -> Vec<Column> {
        let secrets = self.dice.chance(30);
        let some = table.columns.iter().skip(2).filter(|column| !column.is_made());
        let mut some: Vec<Column> =
            some.filter(|column| secrets || column.protected.is_none()).cloned().collect();
        let first = self.dice.below(some.len());
        if !some.is_empty() {
            some.rotate_left(first);
        }
        if secrets
            && self.dice.chance(40)
            && let Some(at) = some.iter().position(|column| column.role == Role::Checked)
        {
            some.swap(0, at);
        }
        some
    }

    fn insert(&mut self) -> String {
        let table = self.table();
        let mut columns = self.settable(&table);
        columns.truncate(1 + self.dice.below(3));
        let id = self.dice.between(200, 9999);
        let names: String = columns.iter().map(|column| format!(", {}", column.name)).collect();
        let head = format!("INSERT INTO {} AS i (id, part{names})", table.name);
        if self.dice.chance(25) {
            let types: Vec<Type> = columns.iter().map(|column| column.spelling.of).collect();
            let select = self.select(&types, &Scope::default(), 1);
            let rest = (0..types.len()).map(|number| format!(", q.c{number}")).collect::<String>();
            let returning = self.returning(&table, "i");
            // dice would change what follows in every world
            let decided = table.columns.iter().any(|column| column.name == "grade");
            let conflict = if decided { " ON CONFLICT DO NOTHING" } else { "" };
            return format!(
                "{head} SELECT {id} + row_number() OVER (), 1{rest} FROM ({select}) q{conflict}{returning}"
            );
        }
        let values = columns.iter().map(|column| format!(", {}", literal(self.dice, column.spelling.of)));
        let values = values.collect::<String>();
        match columns.first() {
            Some(column) if self.dice.chance(40) => {
                let row = if self.dice.chance(70) { "1, 0".into() } else { format!("{id}, 1") };
                let update = self.upsert(&table, column);
                format!("{head} VALUES ({row}{values}){update}")
            }
            _ => {
                let conflict = if self.dice.chance(40) { " ON CONFLICT DO NOTHING" } else { "" };
                let row = if self.dice.chance(20) { "1, 0".into() } else { format!("{id}, 1") };
                let returning = self.returning(&table, "i");
                format!("{head} VALUES ({row}{values}){conflict}{returning}")
            }
        }
    }

    /// What is done with a row that is there already.
    fn upsert(&mut self, table: &Relation, column: &Column) -> String {
        let key = if table.children.len() > 1 { "id, part" } else { "id" };
        let scope = if self.dice.chance(30) { scope_of(table, "i") } else { self.readable(table, "i") };
        let value = if self.dice.chance(30) {
            format!("excluded.{}", column.name)
        } else {
            scalar(self.dice, &scope, column.spelling.of, 1)
        };
        let filter = if self.dice.chance(30) {
            format!(" WHERE {}", condition(self.dice, &scope, 1))
        } else {
            String::new()
        };
        let returning =
            if self.dice.chance(40) { format!(" RETURNING i.{}", column.name) } else { String::new() };
        format!(" ON CONFLICT ({key}) DO UPDATE SET {} = {value}{filter}{returning}", column.name)
    }

    fn update(&mut self) -> String {
        let table = self.table();
        let scope = self.readable(&table, "u");
        let columns = self.settable(&table);
        let Some(column) = columns.first().cloned() else {
            return format!("UPDATE {} SET part = part WHERE id = 1", table.name);
        };
        if self.dice.chance(10) {
            return format!("UPDATE {} SET id = NULL WHERE id = 2", table.name);
        }
        let value = if column.role == Role::Checked || self.dice.chance(50) {
            literal(self.dice, column.spelling.of)
        } else {
            scalar(self.dice, &scope, column.spelling.of, 1)
        };
        let filter = if self.dice.chance(30) {
            format!("u.id = {}", self.dice.between(1, 6))
        } else {
            condition(self.dice, &scope, 1)
        };
        let from = if self.dice.chance(15) { " FROM plain AS p" } else { "" };
        let joined = if from.is_empty() { "" } else { " AND p.id = u.id" };
        let returning = self.returning(&table, "u");
        format!(
            "UPDATE {} AS u SET {} = {value}{from} WHERE {filter}{joined}{returning}",
            table.name, column.name
        )
    }

    /// A value for a column that a CHECK reads together with another.
    fn probe(&mut self) -> Option<String> {
        let has = |table: &&Relation| table.columns.iter().any(|column| column.role == Role::Checked);
        let tables: Vec<&Relation> = self.world.writable().filter(has).collect();
        let table = (*tables.get(self.dice.below(tables.len()))?).clone();
        let checked: Vec<&Column> =
            table.columns.iter().filter(|column| column.role == Role::Checked).collect();
        let column = *self.dice.pick(&checked);
        let value = literal(self.dice, column.spelling.of);
        let id = self.dice.between(1, 6);
        Some(format!("UPDATE {} AS u SET {} = {value} WHERE u.id = {id}", table.name, column.name))
    }

    fn delete(&mut self) -> String {
        if self.dice.chance(30) {
            let id = self.dice.between(5, 9);
            return format!("DELETE FROM plain WHERE id > {id} RETURNING *");
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
        let secrets = self.dice.chance(25);
        relation.columns.retain(|column| secrets || column.is_open());
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
