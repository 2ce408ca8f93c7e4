//! New values reach masked columns, and nothing of what was there comes back.

use bytes::Bytes;
use futures_util::SinkExt as _;

use super::{Twins, extremes, rows_of};

/// COPY, INSERT … SELECT and an upsert: what is written is what the client meant, as the owner sees it.
#[tokio::test(flavor = "multi_thread")]
async fn new_values_of_masked_columns_arrive() {
    for major in extremes() {
        let twins = Twins::start(major).await;
        let owner =
            twins.cluster.connect("postgres", &twins.cluster.password, "one").await.expect("the owner");
        let copy = "COPY reasoning_traces (id, project, api_key) FROM STDIN";
        let sink = twins.one.copy_in(&twins.allow(copy).sent).await.expect("it begins");
        let mut sink = std::pin::pin!(sink);
        sink.send(Bytes::from_static(b"801\tapollo\tsk-copied\n")).await.expect("rows");
        sink.finish().await.expect("it ends");
        for statement in [
            "INSERT INTO reasoning_traces (id, project, card) SELECT 820 + n, 'apollo', 'sk-' || n FROM generate_series(1, 2) n",
            "INSERT INTO tokens VALUES ('copied', 'one'), ('other', 'two')",
            "INSERT INTO tokens VALUES ('copied', 'three') ON CONFLICT (name) DO UPDATE SET secret = 'three'",
            "INSERT INTO tokens VALUES ('other', 'five') ON CONFLICT (name) DO UPDATE SET secret = 'four'",
        ] {
            twins.one.batch_execute(&twins.allow(statement).sent).await.expect(statement);
        }
        let there = rows_of(
            &owner,
            "SELECT id || ' ' || coalesce(api_key, card) FROM reasoning_traces WHERE id > 800 ORDER BY id",
        )
        .await;
        let there: Vec<String> = there.into_iter().flatten().flatten().collect();
        assert_eq!(there, ["801 sk-copied", "821 sk-1", "822 sk-2"], "{major}");
        let there =
            rows_of(&owner, "SELECT secret FROM tokens WHERE name IN ('copied', 'other') ORDER BY name")
                .await;
        assert_eq!(there.into_iter().flatten().flatten().collect::<Vec<_>>(), ["three", "four"], "{major}");
    }
}

/// MERGE, and what is added to a document: the rest of it stays as it was.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_merged_and_added_leaves_the_rest() {
    for major in extremes() {
        let twins = Twins::start(major).await;
        let owner =
            twins.cluster.connect("postgres", &twins.cluster.password, "one").await.expect("the owner");
        let added = "UPDATE reasoning_traces SET steps = steps || '{\"done\": true}' WHERE id = 3";
        twins.one.batch_execute(&twins.allow(added).sent).await.expect(added);
        let document = "SELECT steps #>> '{steps,0,api_key}', steps ->> 'done', steps #>> '{meta,user,email}' \
            FROM reasoning_traces WHERE id = 3";
        let there: Vec<String> = rows_of(&owner, document).await.remove(0).into_iter().flatten().collect();
        assert_eq!(there, ["deep-3", "true", "u3@example.com"], "{major}");
        if major < 15 {
            let merge = "MERGE INTO tokens t USING projects p ON t.name = p.name WHEN MATCHED THEN DELETE";
            assert!(twins.assess(merge, super::DEFAULT_PATH).is_err(), "{major}");
            continue;
        }
        for (statement, expected) in MERGES {
            let [one, other] = twins.answers(statement).await;
            assert_eq!(one, other, "{major}: {statement}");
            let count = one.expect(statement).last().cloned().expect("a count");
            assert_eq!(count, [Some((*expected).to_owned())], "{major}: {statement}");
            twins.one.batch_execute("BEGIN").await.expect("a transaction");
            twins.one.batch_execute(&twins.allow(statement).sent).await.expect(statement);
            twins.one.batch_execute("ROLLBACK").await.expect("its end");
        }
        if major >= 17 {
            let merge = "MERGE INTO tokens t USING (VALUES ('ci')) v(n) ON t.name = v.n WHEN MATCHED THEN UPDATE \
                SET secret = 'new' WHEN NOT MATCHED BY SOURCE AND t.secret = 'tok-2' THEN DELETE RETURNING merge_action(), t.*";
            let [one, other] = twins.answers(merge).await;
            let rows = one.clone().expect(merge);
            assert_eq!(one, other, "{major}: {merge}");
            assert_eq!(
                rows[1..],
                [
                    vec![Some("UPDATE".into()), Some("ci".into()), Some("[masked]".into())],
                    vec![Some("#1".into())]
                ]
            );
            for column in ["old.secret", "*", "t", "new.*"] {
                let merge = merge.replace("merge_action(), t.*", column);
                assert!(twins.assess(&merge, super::DEFAULT_PATH).is_err(), "{merge}");
            }
        }
        let merge = "MERGE INTO tokens t USING (VALUES ('ci'), ('new')) v(name) ON t.name = v.name \
            WHEN MATCHED THEN UPDATE SET secret = 'rotated' WHEN NOT MATCHED THEN INSERT VALUES (v.name, 'first')";
        twins.one.batch_execute(&twins.allow(merge).sent).await.expect(merge);
        let there = rows_of(&owner, "SELECT name || ' ' || secret FROM tokens ORDER BY name").await;
        let there: Vec<String> = there.into_iter().flatten().flatten().collect();
        assert_eq!(there, ["cd tok-2", "ci rotated", "new first"], "{major}");
    }
}

const MERGES: &[(&str, &str)] = &[
    ("MERGE INTO tokens t USING projects p ON t.name = p.name WHEN MATCHED THEN DELETE", "#0"),
    ("MERGE INTO tokens t USING (VALUES ('tok-1')) v(x) ON t.secret = v.x WHEN MATCHED THEN DELETE", "#0"),
    (
        "MERGE INTO reasoning_traces t USING projects p ON t.project = p.name WHEN MATCHED AND t.api_key = 'sk-live-3' \
         THEN DELETE WHEN MATCHED AND t.id < 4 THEN UPDATE SET prompt = t.api_key, agent = p.owner",
        "#3",
    ),
    (
        "MERGE INTO tokens t USING (VALUES ('ci', 'x'), ('cf', 'y')) v(name, x) ON t.name = v.name \
         WHEN MATCHED THEN UPDATE SET name = v.name WHEN NOT MATCHED THEN INSERT (name, secret) VALUES (v.name, 'z')",
        "#2",
    ),
];

/// What groups by a key that is masked is not what groups by a key, and says so as PostgreSQL does.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_covers_its_tables_columns_as_it_does_without_masks() {
    for major in extremes() {
        let twins = Twins::start(major).await;
        let owner =
            twins.cluster.connect("postgres", &twins.cluster.password, "one").await.expect("the owner");
        for statement in [
            "SELECT id, project, agent, count(*) FROM reasoning_traces GROUP BY id ORDER BY id",
            "SELECT t.id, t.agent, count(n.id) AS notes FROM reasoning_traces t LEFT JOIN notes n ON n.trace = t.id GROUP BY t.id ORDER BY t.agent, t.id",
            "SELECT t.project || t.agent FROM reasoning_traces t GROUP BY t.id HAVING length(t.project) > 1 ORDER BY t.id",
        ] {
            let sent = twins.allow(statement).sent;
            assert_eq!(
                rows_of(&twins.one, &sent).await,
                rows_of(&owner, statement).await,
                "{major}: {statement}"
            );
        }
        for statement in [
            "SELECT project, agent FROM reasoning_traces GROUP BY project",
            "SELECT p.name, t.agent FROM reasoning_traces t, projects p GROUP BY p.name",
            "SELECT id, agent FROM reasoning_traces GROUP BY GROUPING SETS (id, ())",
        ] {
            let error = twins.one.simple_query(&twins.allow(statement).sent).await.expect_err(statement);
            assert_eq!(error.code().map(|code| code.code().to_owned()), Some("42803".into()), "{statement}");
        }
    }
}
