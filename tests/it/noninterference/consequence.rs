//! What the server does by itself with changes, in some worlds: constraints and triggers of what is below a table, and
//! indexes that a protected column takes part in. They have dice of their own, and add columns at the end, so that the rest
//! of a world is what its seed made before there were any.

use super::cells::Cell;
use super::dice::Dice;
use super::schema::{Column, Kind, Protection, Relation, Role, Type};
use super::tables::TEXT;

/// Adds them to tables that may be changed: the last may be one of which rows are hidden.
pub(super) fn add(seed: u64, relations: &mut [Relation]) {
    let mut dice = Dice::new(seed, 4);
    let tables = relations.iter().filter(|relation| relation.kind == Kind::Table).count();
    for table in relations.iter_mut().take(tables.saturating_sub(1)) {
        if table.children.is_empty() && !table.is_large() {
            match dice.below(10) {
                0..=3 => decided(&mut dice, table),
                4 => excluding(&mut dice, table),
                _ => {}
            }
        } else if !table.children.is_empty()
            && dice.chance(70)
            // whose own CHECK, which old rows may break, would be taken for that of the partition
            && table.columns.iter().all(|column| column.name != "rank")
        {
            below(&mut dice, table);
        }
    }
}

/// A CHECK of a partition or heir that reads two protected columns, or a trigger of its that says whether one has changed. No
/// row breaks the one, since no secret is `green` or `zq`.
fn below(dice: &mut Dice, table: &mut Relation) {
    let child = dice.pick(&table.children).clone();
    let hidden = |column: &&mut Column| {
        column.is_hidden() && column.role == Role::Plain && column.spelling.of == Type::Text
    };
    let mut hidden = table.columns.iter_mut().filter(hidden);
    let (one, other) = (hidden.next(), hidden.next());
    table.after.push(match (one, other) {
        (Some(one), Some(other)) => {
            (one.role, other.role) = (Role::Checked, Role::Checked);
            format!(
                "ALTER TABLE {child} ADD CHECK ({} NOT IN ('green', 'zq') OR length({}) < 5) NOT VALID",
                one.name, other.name
            )
        }
        _ => format!(
            "CREATE TRIGGER idle BEFORE UPDATE ON {child} FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()"
        ),
    });
}

/// A unique index in which rows are by whether they have a secret: a new row conflicts with those that have none.
fn decided(dice: &mut Dice, table: &mut Relation) {
    grade(dice, table, Role::Unique);
    let name = &table.name;
    table.after.push(format!("CREATE UNIQUE INDEX ON {name} ((id % 100)) WHERE grade IS NULL"));
}

/// An EXCLUDE in which rows are by whether they have a secret.
fn excluding(dice: &mut Dice, table: &mut Relation) {
    grade(dice, table, Role::Checked);
    let name = &table.name;
    table.after.push(format!("ALTER TABLE {name} ADD EXCLUDE ((id % 100) WITH =) WHERE (grade IS NOT NULL)"));
}

/// A column more. In the database it comes before those that are generated, as it does here.
fn grade(dice: &mut Dice, table: &mut Relation, role: Role) {
    let column = Column { role, ..Column::plain("grade", TEXT, Some(Protection::Full)) };
    for (number, row) in table.rows.iter_mut().enumerate() {
        // half of them have none
        let cell = Cell::new(dice, &column, number);
        row.push(if dice.chance(40) { cell.or_none(dice.chance(50)) } else { cell });
    }
    table.columns.insert(table.rows[0].len() - 1, column);
    table.ddl.insert(1, format!("ALTER TABLE {} ADD COLUMN grade text", table.name));
}
