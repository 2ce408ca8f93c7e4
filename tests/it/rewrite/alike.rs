//! What a template makes of a text is what assessing it gives, whatever the literals.

use std::collections::HashMap;

use hoopctl::domain::facts::Facts;
use hoopctl::sql::{Effect, Finding, ParseLimits, Pattern, Template, free_literals, parse, record_text};
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::{DEFAULT_PATH, Twins, extremes};

/// Everything of an assessment that may not depend on a free literal.
type Rest = (Facts, Effect, bool, std::collections::BTreeSet<i32>);

/// What is known of the patterns of one database.
struct Known<'t> {
    twins: &'t Twins,
    free: HashMap<String, Vec<bool>>,
    templates: HashMap<String, (Template, Rest)>,
    found: usize,
}

impl Known<'_> {
    fn assess(&self, sql: &str) -> Option<Finding<Rest>> {
        let assessed = self.twins.assess(sql, DEFAULT_PATH).ok()?;
        let shown = match assessed.facts.touches_masked {
            true => record_text(&assessed.sent),
            false => assessed.sent.clone(),
        };
        let rest =
            (assessed.facts, assessed.effect, assessed.redacted_parameters, assessed.protected_parameters);
        Some(Finding { texts: vec![Some(assessed.sent), Some(assessed.record_text), Some(shown)], rest })
    }

    /// Compares what a template makes with what assessing gives, or learns one.
    fn follow(&mut self, sql: &str) {
        let Ok(statements) = parse(sql, &ParseLimits::default()) else { return };
        let Some(pattern) = Pattern::of(sql) else { return };
        let whole = self.assess(sql);
        if let Some(free) = self.free.get(&pattern.key(sql))
            && let Some((template, rest)) = self.templates.get(&pattern.key_but(sql, free))
        {
            let texts = template.fill(&pattern.values(sql, free)).expect("every literal is there");
            let made = Finding { texts, rest: rest.clone() };
            assert_eq!(Some(made), whole, "{sql}");
            self.found += 1;
            return;
        }
        let protected = |column: &str| self.twins.protection.columns().any(|known| known.column == column);
        let free = free_literals(&statements, sql, &pattern, &protected);
        let Some(whole) = whole else { return };
        if let Some(template) = Template::learn(sql, &pattern, &free, &whole, |other| self.assess(other)) {
            self.templates.insert(pattern.key_but(sql, &free), (template, whole.rest));
            self.free.insert(pattern.key(sql), free);
        }
    }
}

#[tokio::test]
async fn a_template_makes_what_assessing_would() {
    for major in extremes() {
        let twins = Twins::start(major).await;
        let (free, templates) = (HashMap::new(), HashMap::new());
        let mut known = Known { twins: &twins, free, templates, found: 0 };
        let mut runner = TestRunner::deterministic();
        let mut pick = |strategy: &proptest::strategy::BoxedStrategy<String>| {
            strategy.new_tree(&mut runner).expect("a literal").current()
        };
        let (number, string, odd) = (numbers().boxed(), strings().boxed(), odd().boxed());
        for form in FORMS {
            // numbers and strings in all arrangements; the first text of each teaches, the others are compared
            for arrangement in 0..16_u32 {
                for turn in 0..4 {
                    let mut fill = |place: usize| match (turn, arrangement >> (place % 4) & 1) {
                        (3, _) => pick(&odd),
                        (_, 0) => pick(&number),
                        _ => pick(&string),
                    };
                    let mut pieces = form.split('?');
                    let first = pieces.next().unwrap_or_default().to_owned();
                    let sql =
                        pieces.enumerate().fold(first, |whole, (place, piece)| whole + &fill(place) + piece);
                    known.follow(&sql);
                }
            }
        }
        assert!(known.found > 200, "only {} texts were made from templates", known.found);
    }
}

fn numbers() -> impl Strategy<Value = String> {
    (1..=i32::MAX).prop_map(|number| number.to_string())
}

fn strings() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9 ._-]{0,12}".prop_map(|text| format!("'{text}'"))
}

fn odd() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<u64>().prop_map(|number| number.to_string()),
        "'[ -&(-~]{0,8}'",
        proptest::sample::select(ODD.to_vec()).prop_map(str::to_owned),
    ]
}

const ODD: &[&str] = &[
    "0",
    "007",
    "-1",
    "-0",
    "2147483647",
    "2147483648",
    "-2147483648",
    "1.5",
    "1e3",
    "NULL",
    "true",
    "''",
    "'it''s'",
    "E'\\n'",
    "U&'x'",
    "$$x$$",
    "'[masked]'",
    "'[mas'",
    "'****1234'",
    "'public.reasoning_traces'",
    "'hoopctl_mask_0_'",
    "'1 day'",
    "'{\"a\":1}'",
    "'$.secret'",
    "'1'::int",
    "'x' COLLATE \"C\"",
];

const FORMS: &[&str] = &[
    "SELECT * FROM reasoning_traces WHERE id = ?",
    "SELECT id, steps FROM reasoning_traces t WHERE t.project = ? AND NOT (id > ? OR agent <> ?)",
    "SELECT * FROM reasoning_traces WHERE api_key = ? AND id IN (?, ?)",
    "SELECT * FROM reasoning_traces WHERE customer_id BETWEEN ? AND ? AND id BETWEEN ? AND ?",
    "SELECT steps -> ? ->> 'b' FROM reasoning_traces WHERE steps @> ? AND steps ->> ? = ?",
    "SELECT count(*) FROM reasoning_traces WHERE id = ? LIMIT ?",
    "SELECT project, count(*) FROM reasoning_traces WHERE id > -? GROUP BY 1 ORDER BY 2 OFFSET ?",
    "SELECT a.id FROM reasoning_traces a JOIN notes b ON b.id = ? AND a.id = b.trace WHERE a.project = ?",
    "SELECT id::varchar(10), length(?) FROM reasoning_traces WHERE created_at > now() - interval ?",
    "SELECT id FROM reasoning_traces WHERE id = (SELECT max(id) FROM notes WHERE id < ?)",
    "SELECT relname FROM pg_class WHERE oid = ? AND relname = ? AND relkind IN (?, ?)",
    "SELECT relname FROM pg_class WHERE pg_relation_size(oid) > ? AND oid = ?::regclass",
    "INSERT INTO reasoning_traces (project, agent, id) VALUES (?, ?, ?)",
    "INSERT INTO reasoning_traces (project, api_key) VALUES (?, ?)",
    "INSERT INTO tokens (name) VALUES (?), (?) ON CONFLICT DO NOTHING",
    "UPDATE reasoning_traces SET project = ?, id = id + ? WHERE id = ? AND api_key <> ?",
    "UPDATE reasoning_traces SET api_key = ? WHERE id = ?",
    "DELETE FROM reasoning_traces WHERE id = ? AND customer_id = ? RETURNING project",
    "/* ? */ SELECT id FROM reasoning_traces WHERE id = ? -- ?",
];
