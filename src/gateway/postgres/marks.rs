//! What each relation was when the catalog was read, and the check that tells whether it still is.
//!
//! Job: one number for each relation, a hash over the rows of the catalog that say what it is, made by the database
//! with the same expression when the catalog is read and in front of a statement; and the check that compares them.
//! Boundary: what must be looked at for a statement is worked out from the names in its facts; which checks the
//! database has prepared is [`Guards`](super::guards::Guards)'s business. Failure mode: a relation that is not there
//! any more has no number, which differs from any.
//!
//! The rows are looked at with a snapshot that is taken after the relations were locked, so what they say is true
//! until the transaction ends: whoever changes a column, a view, a policy or a rule needs a lock that conflicts with
//! ours.

use std::collections::{BTreeSet, HashMap};

use crate::domain::facts::Facts;
use crate::sql::{BROKER_SCHEMA, Catalog, Protection, Rows, quoted};

/// What a relation is, as a number. What is replaced as a whole has a new `xmin`. Foreign keys that refer to a table
/// are there by the triggers that they put on it.
macro_rules! number {
    () => {
        "pg_catalog.hashtextextended(ROW(c.relname, (SELECT n.nspname FROM pg_catalog.pg_namespace n \
         WHERE n.oid OPERATOR(pg_catalog.=) c.relnamespace), c.relkind, c.relrowsecurity, c.relforcerowsecurity, \
         c.relispartition, c.reloptions, ARRAY(SELECT ROW(a.attnum, a.attname, a.atttypid, a.atttypmod, \
         a.attcollation, a.attgenerated) FROM pg_catalog.pg_attribute a \
         WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.>) 0 \
         AND NOT a.attisdropped ORDER BY a.attnum), \
         CASE WHEN c.relhassubclass THEN ARRAY(SELECT i.inhrelid FROM pg_catalog.pg_inherits i \
         WHERE i.inhparent OPERATOR(pg_catalog.=) c.oid ORDER BY i.inhrelid) END, \
         ARRAY(SELECT i.inhparent FROM pg_catalog.pg_inherits i \
         WHERE i.inhrelid OPERATOR(pg_catalog.=) c.oid ORDER BY i.inhparent), \
         CASE WHEN c.relhasrules THEN ARRAY(SELECT r.xmin FROM pg_catalog.pg_rewrite r \
         WHERE r.ev_class OPERATOR(pg_catalog.=) c.oid ORDER BY r.oid) END, \
         CASE WHEN c.relhastriggers THEN ARRAY(SELECT t.xmin FROM pg_catalog.pg_trigger t \
         WHERE t.tgrelid OPERATOR(pg_catalog.=) c.oid ORDER BY t.oid) END, \
         ARRAY(SELECT p.xmin FROM pg_catalog.pg_policy p \
         WHERE p.polrelid OPERATOR(pg_catalog.=) c.oid ORDER BY p.oid), \
         ARRAY(SELECT k.xmin FROM pg_catalog.pg_constraint k WHERE k.conrelid OPERATOR(pg_catalog.=) c.oid \
         AND k.contype OPERATOR(pg_catalog.=) ANY ('{c,x}'::pg_catalog.\"char\"[]) ORDER BY k.oid), \
         ARRAY(SELECT d.xmin FROM pg_catalog.pg_attrdef d \
         WHERE d.adrelid OPERATOR(pg_catalog.=) c.oid ORDER BY d.oid), \
         CASE WHEN c.relhasindex THEN ARRAY(SELECT x.indexrelid FROM pg_catalog.pg_index x \
         WHERE x.indrelid OPERATOR(pg_catalog.=) c.oid ORDER BY x.indexrelid) END)::pg_catalog.text \
         COLLATE pg_catalog.\"C\", 0)"
    };
}

/// The relations as they were.
#[derive(Debug, Default)]
pub(super) struct Marks {
    by_oid: HashMap<u32, Mark>,
    /// By schema and name as facts have them; hostile names can make one of two.
    by_name: HashMap<String, Vec<u32>>,
    /// Partitions, children and parents: they show the same rows, so a rule for one is a rule for all.
    kin: HashMap<u32, Vec<u32>>,
    /// Whose rows are changed with those of a table.
    referring: HashMap<u32, Vec<u32>>,
}

#[derive(Debug)]
struct Mark {
    /// With its schema, as it stands in a statement; `None` where the role cannot name it.
    named: Option<String>,
    is_table: bool,
    /// What it is.
    number: Option<i64>,
}

impl Marks {
    /// The query whose rows [`Self::new`] takes, to be run in the transaction that reads the catalog.
    pub(super) const QUERY: &'static str = concat!(
        "SELECT c.oid, n.nspname, c.relname, ",
        number!(),
        ", c.relkind IN ('r', 'p') FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname !~ '^pg_toast' \
         AND (n.nspname !~ '^pg_temp_' OR n.oid = pg_catalog.pg_my_temp_schema())"
    );

    /// The relations of these rows.
    pub(super) fn new(rows: &Rows, catalog: &Catalog) -> Self {
        let mut marks = Self::default();
        for row in rows {
            let text = |column: usize| row.get(column).cloned().flatten().unwrap_or_default();
            let Ok(oid) = text(0).parse::<u32>() else { continue };
            let (schema, name) = (text(1), text(2));
            let usable = catalog.schema(&schema).is_some_and(|schema| schema.usable);
            let named = usable.then(|| format!("{}.{}", quoted(&schema), quoted(&name)));
            marks.by_oid.insert(oid, Mark { named, is_table: text(4) == "t", number: text(3).parse().ok() });
            marks.by_name.entry(format!("{schema}.{name}")).or_default().push(oid);
        }
        // others' temporary tables have no mark here, and can show no rows to this session
        let known = |oid: &u32| marks.by_oid.contains_key(oid);
        let pairs: Vec<_> = catalog.parents().iter().filter(|(of, by)| known(of) && known(by)).collect();
        for (parent, child) in pairs {
            marks.kin.entry(*parent).or_default().push(*child);
            marks.kin.entry(*child).or_default().push(*parent);
        }
        for relation in catalog.relations() {
            let by: Vec<u32> = relation.referrals.values().map(|referral| referral.by).collect();
            if !by.is_empty() {
                marks.referring.insert(relation.oid, by);
            }
        }
        marks
    }

    /// The relations that a statement with these facts was resolved with, beside those that are covered already.
    pub(super) fn of(&self, facts: &Facts, protection: &Protection, covered: &Covered) -> Looked {
        let mut looked = Looked::default();
        let written = facts.relations_written.iter().map(|name| (name, true));
        let all = facts.relations_read.iter().map(|name| (name, false)).chain(written);
        for (name, is_written) in all {
            for oid in self.by_name.get(name).into_iter().flatten() {
                self.look(*oid, is_written, covered, &mut looked);
                let view = protection.view(*oid).map(|view| format!("{BROKER_SCHEMA}.{}", view.name));
                for view in view.iter().filter_map(|name| self.by_name.get(name)).flatten() {
                    self.look(*view, false, covered, &mut looked);
                }
            }
        }
        looked
    }

    fn look(&self, oid: u32, is_written: bool, covered: &Covered, looked: &mut Looked) {
        if covered.written.contains(&oid) || (!is_written && covered.read.contains(&oid)) {
            return;
        }
        let named = if is_written { &mut looked.named.written } else { &mut looked.named.read };
        named.insert(oid);
        let mut awaiting = vec![oid];
        while let Some(oid) = awaiting.pop() {
            if looked.around.insert(oid) {
                awaiting.extend(self.kin.get(&oid).into_iter().flatten());
                let referring = self.referring.get(&oid).filter(|_| is_written);
                awaiting.extend(referring.into_iter().flatten());
            }
        }
    }

    /// What is parsed in front of a change, to take the locks that the change itself will take: those of a read let
    /// triggers and indexes be made.
    pub(super) fn locks(&self, looked: &Looked) -> Vec<String> {
        let tables = looked.named.written.iter().filter_map(|oid| self.by_oid.get(oid));
        let names = tables.filter(|mark| mark.is_table).filter_map(|mark| mark.named.as_deref());
        names.map(|name| format!("DELETE FROM {name}")).collect()
    }

    /// The check of these relations, a statement whose parameter is the stamp that it was last seen to have. It yields
    /// a stamp where that has changed, and fails when a relation is not what it was.
    ///
    /// The stamp is the moment at which the database last worked out what the statement means: the word `now` is read
    /// then and never again. It does so anew when it has been told that something about the relations in it has changed,
    /// which it looks for once it has locked them. That is much faster than to compare, which is done in that case only.
    pub(super) fn check(&self, looked: &Looked) -> String {
        let named = looked.named.read.iter().chain(&looked.named.written);
        let named: BTreeSet<&str> = named.filter_map(|oid| self.by_oid.get(oid)?.named.as_deref()).collect();
        let compare = self.comparison(looked);
        // nobody refers to these two, so nothing of them is run, and no privilege is asked for
        let mut with = Vec::new();
        if !named.is_empty() {
            with.push(format!("l AS (SELECT FROM {})", Vec::from_iter(named).join(", ")));
        }
        let around: Vec<String> =
            looked.around.iter().map(|oid| format!("('{oid}'::pg_catalog.regclass)")).collect();
        with.push(format!("k AS (VALUES {})", around.join(", ")));
        // names come last: one may hold anything
        CHECK.replace(COMPARES, &compare).replace(WITH, &with.join(", "))
    }

    /// The query that fails when one of these relations is not what it was, as of the snapshot that it is run with.
    pub(super) fn comparison(&self, looked: &Looked) -> String {
        let number = |oid: &u32| self.by_oid.get(oid)?.number;
        let spelled =
            |number: Option<i64>| number.map_or_else(|| "NULL".to_owned(), |number| number.to_string());
        let numbers: Vec<String> = looked.around.iter().map(|oid| spelled(number(oid))).collect();
        let oids: Vec<String> = looked.around.iter().map(ToString::to_string).collect();
        COMPARE.replace(OIDS, &oids.join(",")).replace(NUMBERS, &numbers.join(","))
    }
}

/// Relations that are looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Covered {
    read: BTreeSet<u32>,
    written: BTreeSet<u32>,
}

impl Covered {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.read.is_empty() && self.written.is_empty()
    }

    /// None any more.
    pub(super) fn clear(&mut self) {
        self.read.clear();
        self.written.clear();
    }

    /// These as well.
    pub(super) fn extend(&mut self, other: Self) {
        self.read.extend(other.read);
        self.written.extend(other.written);
    }
}

/// What a guard looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Looked {
    /// What the statement names.
    pub(super) named: Covered,
    /// That, and all that decides what it shows or changes.
    around: BTreeSet<u32>,
}

impl Looked {
    /// Both together.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.named.extend(other.named);
        self.around.extend(other.around);
        self
    }
}

/// Within a transaction that sees the catalog as it was when it began, comparing proves little: there a changed stamp is
/// as good as a changed relation, and so is one that is not known, unless somebody promises by the stamp `-infinity` to
/// compare from elsewhere while the locks are held. The comparison is text to the database until it is needed: a query in a
/// query would be set up each time. `ts_rewrite` is what every server has to run it.
const CHECK: &str = "WITH :with SELECT CASE WHEN pg_catalog.timestamptz 'now' OPERATOR(pg_catalog.=) $1::pg_catalog.timestamptz \
    THEN NULL ELSE pg_catalog.timestamptz 'now' END, \
    pg_catalog.current_setting('transaction_isolation') OPERATOR(pg_catalog.=) 'read committed' \
    WHERE CASE WHEN pg_catalog.timestamptz 'now' OPERATOR(pg_catalog.=) $1 THEN true \
    ELSE pg_catalog.ts_rewrite('a'::pg_catalog.tsquery, CASE WHEN $1 OPERATOR(pg_catalog.=) pg_catalog.timestamptz '-infinity' \
    OR pg_catalog.current_setting('transaction_isolation') OPERATOR(pg_catalog.=) 'read committed' \
    THEN $hoopctl$:compare$hoopctl$::pg_catalog.text ELSE 'hoopctl: changed'::pg_catalog.text END) IS NOT NULL END";

/// Fails, by a division by zero, unless each relation has its number. A CASE, because the order in which conditions are
/// looked at is the planner's to choose; the divisor is no constant, or the planner would divide.
const COMPARE: &str = concat!(
    "SELECT 'a'::pg_catalog.tsquery, 'a'::pg_catalog.tsquery \
     FROM ROWS FROM (pg_catalog.unnest('{:oids}'::pg_catalog.oid[]), \
     pg_catalog.unnest('{:numbers}'::pg_catalog.int8[])) w(o, f) WHERE CASE WHEN COALESCE((SELECT ",
    number!(),
    " FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) w.o) OPERATOR(pg_catalog.=) w.f, false) \
     THEN false ELSE 1 OPERATOR(pg_catalog./) (w.o::pg_catalog.int8 OPERATOR(pg_catalog.-) w.o::pg_catalog.int8) \
     OPERATOR(pg_catalog.=) 0 END"
);

const WITH: &str = ":with";
const COMPARES: &str = ":compare";
const OIDS: &str = ":oids";
const NUMBERS: &str = ":numbers";
