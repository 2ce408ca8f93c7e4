//! What psql asks for its backslash commands passes and runs.

use super::{DEFAULT_PATH, Twins, answer, extremes};
use crate::support::postgres::majors;

#[tokio::test(flavor = "multi_thread")]
async fn backslash_commands_pass() {
    let mut faults = Vec::new();
    for major in [15, 18].into_iter().filter(|major| majors().contains(major)) {
        let twins = Twins::start(major).await;
        for (title, query) in queries(&format!("-- server {major}: ")) {
            match twins.assess(&query, DEFAULT_PATH) {
                Err(refusal) => faults.push(format!("{title}\n{query}\n  {refusal:?}")),
                Ok(assessed) => {
                    if let Err(error) = answer(&twins.one, &assessed.sent).await {
                        faults.push(format!("{title}\n{}\n  {error}", assessed.sent));
                    }
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn sizes_of_protected_relations_are_hidden() {
    for major in extremes() {
        let twins = Twins::start(major).await;
        let query = "SELECT c.relname, pg_catalog.pg_size_pretty(pg_catalog.pg_table_size(c.oid)) \
            FROM pg_catalog.pg_class c WHERE c.relname IN ('projects', 'reasoning_traces', 'key_copy') ORDER BY 1";
        let [answer, _] = twins.answers(query).await;
        let sizes: Vec<_> = answer.expect("an answer").into_iter().filter(|row| row.len() == 2).collect();
        let known: Vec<bool> = sizes.iter().map(|row| row[1].is_some()).collect();
        // what is kept of protected columns has a size of theirs
        let kept = sizes.iter().find(|row| row[0].as_deref() == Some("key_copy"));
        assert_eq!(kept.map(|row| row[1].is_none()), Some(true), "{sizes:?}");
        // the head of the columns, and two rows per schema that has such a table
        assert_eq!(known.first(), Some(&true), "{sizes:?}");
        assert!(known.contains(&false), "{sizes:?}");
    }
}

/// The queries of one server, each under its title.
fn queries(title: &str) -> Vec<(String, String)> {
    let text = include_str!("psql.sql");
    text.split("\n-- server ")
        .skip(1)
        .filter_map(|section| {
            let (head, query) =
                format!("-- server {section}").split_once('\n').map(|(h, q)| (h.to_owned(), q.to_owned()))?;
            head.starts_with(title).then(|| (head, query.trim().trim_end_matches(';').to_owned()))
        })
        .collect()
}
