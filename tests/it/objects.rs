//! The broker's own objects: masks that read the value have two locks, and tokens a key that nobody sees.

mod contended;
mod keys;
mod life;
#[cfg(feature = "planted-leaks")]
mod locks;
mod rows;
mod watched;

use std::sync::Arc;

use hmac::{Hmac, KeyInit as _, Mac as _};
use hoopctl::domain::mask::{JsonPath, Mask, MaskRule};
use hoopctl::domain::target::PostgresTarget;
use hoopctl::gateway::authority::Lease;
use secrecy::ExposeSecret as _;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::leases::stage::{Stage, documented, mask, session, target};
use crate::support::gateway::{Gateway, Setup};
use crate::support::postgres::majors;

/// A stage with customers and orders, and an administrator who may make objects.
async fn stage(major: u32) -> Stage {
    let stage = Stage::new(major).await;
    stage.root.batch_execute(include_str!("objects/setup.sql")).await.unwrap();
    stage.root.batch_execute(&documented("objects")).await.unwrap();
    if major < 16 {
        stage.root.batch_execute(&documented("objects-13")).await.unwrap();
    }
    stage
}

fn masks() -> Vec<MaskRule> {
    vec![
        mask("public.*.tax_id", Mask::Token),
        mask("public.customers.mail", Mask::Partial { keep_last: 4 }),
        MaskRule {
            path: Some(JsonPath::new("$.**.api_key").unwrap()),
            ..mask("public.customers.note", Mask::Full)
        },
        mask("public.customers.secret", Mask::Full),
    ]
}

fn masked(stage: &Stage) -> PostgresTarget {
    PostgresTarget { objects: true, ..stage.target(masks()) }
}

/// A session of alice's on the masked target.
async fn leased(stage: &Stage) -> Lease {
    let context = session("alice", "alice", target("db", masked(stage)));
    stage.leases.issue(&context).await.unwrap_or_else(|e| panic!("PostgreSQL {}: {e}", stage.cluster.major))
}

/// The gateway in front of it all, with this login.
fn gateway(stage: &Stage, user: &str, password: &str) -> Gateway {
    Gateway::start(
        &stage.cluster,
        Setup {
            masks: masks(),
            objects: true,
            user: user.into(),
            password: password.into(),
            database: "app".into(),
            ..Setup::open(&stage.cluster)
        },
    )
}

/// What a token should be, computed with the key as the superuser reads it.
async fn token(stage: &Stage, value: &str) -> String {
    let blocks = stage.root.query_one("SELECT ipad, opad FROM hoopctl.key WHERE target = 'db'", &[]).await;
    let (inner, outer): (Vec<u8>, Vec<u8>) = blocks.map(|row| (row.get(0), row.get(1))).unwrap();
    let key: Vec<u8> = inner.iter().map(|byte| byte ^ 0x36).collect();
    assert_eq!(outer, key.iter().map(|byte| byte ^ 0x5c).collect::<Vec<u8>>());
    let mut hash = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
    hash.update(value.as_bytes());
    let digest = hash.finalize().into_bytes();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("tok_{}", &hex[..32])
}

/// The rows of a statement, values joined by `|`, NULL as `-`; or the error's SQLSTATE and message.
async fn ask(client: &Client, sql: &str) -> Result<Vec<String>, String> {
    let messages = client.simple_query(sql).await.map_err(|error| match error.as_db_error() {
        Some(answer) => format!("{} {}", answer.code().code(), answer.message()),
        None => error.to_string(),
    })?;
    let row = |row: &tokio_postgres::SimpleQueryRow| {
        (0..row.len()).map(|column| row.get(column).unwrap_or("-")).collect::<Vec<_>>().join("|")
    };
    Ok(messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(found) => Some(row(found)),
            _ => None,
        })
        .collect())
}

/// The second lock alone: a direct connection as the minted role, past the gateway.
#[tokio::test(flavor = "multi_thread")]
async fn the_role_alone_cannot_read_what_is_masked_by_value() {
    for major in majors() {
        let stage = stage(major).await;
        let lease = leased(&stage).await;
        let alice = stage.login(&lease).await.unwrap();
        let views =
            ask(&alice, "SELECT schemaname || '.' || viewname FROM pg_views WHERE schemaname = 'hoopctl'");
        let views = views.await.unwrap();
        // customers, orders, the parent with its partition, and the base with its heir
        assert_eq!(views.len(), 6, "{major}: {views:?}");
        for protected in [
            "SELECT tax_id FROM customers",
            "SELECT mail FROM customers",
            "SELECT note FROM customers",
            "SELECT secret FROM customers",
            "SELECT * FROM customers",
            "SELECT c FROM customers c",
            "SELECT tax_id FROM orders",
            "SELECT tax_id FROM ledgers",
            "SELECT tax_id FROM ledger_one",
            "SELECT tax_id FROM heir",
            "SELECT * FROM mailing",
            "UPDATE customers SET name = tax_id",
            "DELETE FROM customers WHERE tax_id LIKE 'DE%'",
            "UPDATE customers SET name = name RETURNING tax_id",
            "INSERT INTO customers (id, name, tax_id) VALUES (1, 'x', 'y') ON CONFLICT (id) DO UPDATE SET name = customers.tax_id",
            "SELECT * FROM hoopctl.key",
            "SELECT target FROM hoopctl.key",
            "COPY hoopctl.key TO STDOUT",
            "SELECT * FROM pg_statistic",
            "CREATE TABLE hoopctl.mine (id int)",
            "SET ROLE hoop_objects",
            "DELETE FROM hoopctl.key",
        ] {
            let error = alice.batch_execute(protected).await.expect_err(protected);
            assert_eq!(
                error.code(),
                Some(&SqlState::INSUFFICIENT_PRIVILEGE),
                "{major}: {protected}: {error:?}"
            );
        }
        for view in &views {
            for change in ["DELETE FROM", "TRUNCATE", "INSERT INTO"] {
                let rest = if change == "INSERT INTO" { " DEFAULT VALUES" } else { "" };
                let sql = format!("{change} {view}{rest}");
                let error = alice.batch_execute(&sql).await.expect_err(&sql);
                assert!(
                    [Some(&SqlState::INSUFFICIENT_PRIVILEGE), Some(&SqlState::WRONG_OBJECT_TYPE)]
                        .contains(&error.code()),
                    "{major}: {sql}: {error:?}"
                );
            }
        }
        // what it may read is what the masks leave
        let customers = views_of(&stage, "customers").await;
        let rows = format!("SELECT id, tax_id, mail, note, secret FROM {customers} ORDER BY id");
        let rows = ask(&alice, &rows).await.unwrap();
        let (ada, bob) = (token(&stage, "DE-123456789").await, token(&stage, "DE-987654321").await);
        assert_eq!(
            rows,
            [
                format!(r#"1|{ada}|****.com|{{"n": 1, "api_key": "[masked]"}}|[masked]"#),
                format!(r#"2|{bob}|****.com|{{"deep": [{{"api_key": "[masked]"}}]}}|[masked]"#),
                "3|-|-|-|[masked]".to_owned(),
            ],
            "{major}"
        );
        // and a function of hers sees nothing else, however cheap it says it is
        let leak = "CREATE FUNCTION pg_temp.leak(text) RETURNS bool COST 0.0000001 LANGUAGE plpgsql AS \
                    $$BEGIN RAISE NOTICE 'saw %', $1; RETURN $1 LIKE 'tok\\_%'; END$$";
        alice.batch_execute(leak).await.unwrap();
        let seen = format!("SELECT id FROM {customers} WHERE pg_temp.leak(tax_id) ORDER BY id");
        assert_eq!(ask(&alice, &seen).await.unwrap(), ["1", "2"]);
    }
}

async fn views_of(stage: &Stage, table: &str) -> String {
    let query = "SELECT 'hoopctl.' || relname FROM pg_class WHERE relnamespace = 'hoopctl'::regnamespace
                 AND relkind = 'v' AND relname LIKE 'v' || $1::text::regclass::oid || '\\_%'";
    stage.root.query_one(query, &[&format!("public.{table}")]).await.unwrap().get(0)
}

/// The first lock alone: everything may be read by the role, and nothing is.
#[tokio::test(flavor = "multi_thread")]
async fn rewriting_alone_suffices() {
    let stage = stage(crate::leases::stage::newest()).await;
    leased(&stage).await;
    let gateway = gateway(&stage, "postgres", &stage.cluster.password);
    let client = gateway.connect().await;
    for sql in [
        "SELECT * FROM customers",
        "SELECT c::text FROM customers c",
        "TABLE orders",
        "SELECT * FROM mailing",
    ] {
        let answer = ask(&client, sql).await.unwrap().join("\n");
        for secret in ["DE-", "ada@", "sk-", "secret-"] {
            assert!(!answer.contains(secret), "{sql}: {answer}");
        }
    }
    for sql in
        ["TABLE hoopctl.key", "UPDATE customers SET name = tax_id", "DELETE FROM customers RETURNING mail"]
    {
        let error = ask(&client, sql).await.unwrap_err();
        assert!(error.starts_with("42501"), "{sql}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_session_may_do_works_through_the_view() {
    for major in majors() {
        let stage = stage(major).await;
        let lease = leased(&stage).await;
        let gateway = gateway(&stage, &lease.user, lease.password().expose_secret());
        let client = gateway.connect().await;
        let (ada, bob) = (token(&stage, "DE-123456789").await, token(&stage, "DE-987654321").await);
        let odd = r#""Odd ""name""#;
        let expected = [
            ("SELECT * FROM customers WHERE id = 1".to_owned(), format!(
                r#"1|ada|{ada}|****.com|{{"n": 1, "api_key": "[masked]"}}|[masked]|-|2026-01-01"#)),
            ("SELECT c.tax_id FROM public.customers AS c (a) WHERE c.a = 2".into(), bob.clone()),
            ("SELECT public.customers.tax_id FROM public.customers WHERE customers.id = 1".into(), ada.clone()),
            (format!("SELECT {odd} IS NULL FROM customers WHERE id = 1"), "t".into()),
            (format!("SELECT id FROM customers WHERE tax_id = '{bob}'"), "2".into()),
            ("SELECT id FROM customers WHERE tax_id = 'DE-987654321'".into(), String::new()),
            ("SELECT o.id FROM customers c JOIN orders o USING (tax_id) ORDER BY 1".into(), "10\n11".into()),
            ("SELECT o.id FROM orders o LEFT JOIN customers c ON c.tax_id = o.tax_id WHERE c.id IS NULL ORDER BY 1"
                .into(), "12\n13".into()),
            ("SELECT count(*), count(tax_id), count(DISTINCT tax_id) FROM orders".into(), "4|3|3".into()),
            ("SELECT row_to_json(o) ->> 'tax_id' FROM orders o WHERE id = 10".into(), ada.clone()),
            ("SELECT o::text FROM orders o WHERE id = 10".into(), format!("(10,{ada},5)")),
            ("WITH x AS (SELECT tax_id FROM customers) SELECT * FROM x ORDER BY 1 NULLS FIRST LIMIT 1".into(), "-".into()),
            ("SELECT max(tax_id) = min(tax_id) FROM customers WHERE id = 1".into(), "t".into()),
            ("SELECT mail, total FROM mailing ORDER BY customer".into(), "****.com|5\n****.com|7".into()),
            // a rule that names a view's column too does not make a token of a token
            ("SELECT tax_id FROM contacts WHERE id = 1".into(), ada.clone()),
            ("SELECT count(*) FROM contacts_again v JOIN orders o USING (tax_id)".into(), "2".into()),
            ("SELECT tax_id FROM shouting UNION ALL SELECT tax_id FROM swapped".into(), "[masked]\n[masked]".into()),
            ("SELECT id, tax_id LIKE 'tok\\_%' FROM ledgers".into(), "1|t".into()),
            ("SELECT id FROM base ORDER BY id".into(), "1\n2".into()),
            ("SELECT length(tax_id), pg_typeof(tax_id) FROM customers WHERE id = 1".into(), "36|character varying".into()),
            // changes that read no masked value
            ("UPDATE customers SET name = 'eve' WHERE id = 3 RETURNING id, name, joined".into(), "3|eve|2026-01-01".into()),
            ("UPDATE customers SET name = 'eva' WHERE id IN (SELECT c.id FROM customers c WHERE c.tax_id IS NULL) RETURNING name"
                .into(), "eva".into()),
            (format!("DELETE FROM orders o USING customers c WHERE o.id = 11 AND c.tax_id = '{bob}' RETURNING o.id"), "11".into()),
            ("INSERT INTO orders VALUES (14, 'DE-123456789', 3) RETURNING id".into(), "14".into()),
            ("INSERT INTO orders (id, total) VALUES (14, 4) ON CONFLICT (id) DO UPDATE SET total = excluded.total RETURNING total"
                .into(), "4".into()),
            ("SELECT tax_id FROM orders WHERE id = 14".into(), ada.clone()),
            ("UPDATE orders SET tax_id = 'DE-987654321' WHERE id = 14".into(), String::new()),
            ("SELECT tax_id FROM orders WHERE id = 14".into(), bob.clone()),
        ];
        for (sql, answer) in expected {
            let found = ask(&client, &sql).await.unwrap_or_else(|error| panic!("{major}: {sql}: {error}"));
            assert_eq!(found.join("\n"), answer, "{major}: {sql}");
        }
        let extended =
            client.query_one("SELECT tax_id FROM customers WHERE id = $1", &[&1_i32]).await.unwrap();
        assert_eq!(extended.get::<_, String>(0), ada);
        let copied = copy(&client, "COPY customers (id, tax_id, mail) TO STDOUT").await;
        assert!(
            copied.contains(&format!("1\t{ada}\t****.com")) && copied.contains("3\t\\N\t\\N"),
            "{copied}"
        );
        let copied = copy(&client, "COPY (SELECT tax_id FROM orders WHERE id = 10) TO STDOUT").await;
        assert_eq!(copied.trim(), ada);
        let plan = ask(&client, "EXPLAIN (VERBOSE) SELECT tax_id FROM orders").await.unwrap().join("\n");
        assert!(!plan.contains("rows="), "{plan}");

        let refused = [
            ("mask.write", "UPDATE customers SET name = tax_id"),
            ("mask.write", "UPDATE customers SET name = 'x' WHERE tax_id = 'DE-123456789'"),
            ("mask.write", "UPDATE customers SET name = 'x' WHERE mail LIKE 'a%'"),
            ("mask.write", "UPDATE customers SET name = 'x' RETURNING *"),
            ("mask.write", "UPDATE customers SET name = note ->> 'api_key'"),
            ("mask.write", "DELETE FROM orders WHERE tax_id IS NULL"),
            ("mask.write", "DELETE FROM orders RETURNING tax_id"),
            ("mask.write", "INSERT INTO orders VALUES (20, 'x', 1) RETURNING orders.tax_id"),
            (
                "mask.write",
                "INSERT INTO orders VALUES (10, 'x', 1) ON CONFLICT (id) DO UPDATE SET total = 1 WHERE orders.tax_id = 'x'",
            ),
            ("mask.write", "INSERT INTO orders VALUES (10, 'x', 1) ON CONFLICT (tax_id) DO NOTHING"),
            ("mask.write", "UPDATE orders SET tax_id = 'tok_0123456789abcdef0123456789abcdef'"),
            ("mask.write", "INSERT INTO orders SELECT id + 100, tax_id, 1 FROM orders"),
            ("mask.relation", "SELECT * FROM hoopctl.key"),
            ("mask.relation", "SET search_path = hoopctl, public; SELECT * FROM key"),
            ("mask.relation", "COPY hoopctl.key TO STDOUT"),
            ("mask.unsupported", "SELECT id FROM ONLY base"),
            ("mask.catalog", "SELECT * FROM pg_stats WHERE tablename = 'key'"),
            ("policy.tamper", "DELETE FROM hoopctl.key"),
            ("policy.tamper", "DROP SCHEMA hoopctl CASCADE"),
        ];
        for (rule, sql) in refused {
            // three attempts at protected objects would close one session
            let client = gateway.connect().await;
            let error = ask(&client, sql).await.expect_err(sql);
            assert!(error.starts_with("42501") && error.contains(rule), "{major}: {sql}: {error}");
        }
        for sql in [
            "COMMENT ON TABLE hoopctl.key IS 'x'",
            "GRANT SELECT ON hoopctl.key TO PUBLIC",
            "CREATE OR REPLACE VIEW hoopctl.v1 AS SELECT 1",
        ] {
            let gateway = self::gateway(&stage, &lease.user, lease.password().expose_secret());
            let error = ask(&gateway.connect().await, sql).await.expect_err(sql);
            assert!(error.contains("policy.tamper"), "{major}: {sql}: {error}");
        }
    }
}

async fn copy(client: &Client, sql: &str) -> String {
    use futures_util::TryStreamExt as _;
    let parts: Vec<bytes::Bytes> = client.copy_out(sql).await.unwrap().try_collect().await.unwrap();
    String::from_utf8(parts.concat()).unwrap()
}

/// What a statement answers does not depend on the values that no mask gives out.
#[tokio::test(flavor = "multi_thread")]
async fn answers_do_not_depend_on_protected_values() {
    let stage = Arc::new(stage(crate::leases::stage::newest()).await);
    let lease = leased(&stage).await;
    let gateway = gateway(&stage, &lease.user, lease.password().expose_secret());
    let statements = [
        "SELECT id, note, secret, mail FROM customers ORDER BY id",
        "SELECT id FROM customers WHERE secret = 'secret-ada' OR note::text LIKE '%sk-ada%' OR mail LIKE 'ada%'",
        "SELECT (1 / (length(secret) - 10)), note ->> 'api_key' FROM customers ORDER BY id",
        "SELECT mail::int FROM customers",
        "SELECT id, row_number() OVER (ORDER BY secret, mail, note::text, id) FROM customers ORDER BY id",
        "EXPLAIN SELECT * FROM customers WHERE secret = 'secret-ada' AND mail = 'x'",
        "SELECT pg_get_viewdef(c.oid) FROM pg_class c WHERE relnamespace = 'hoopctl'::regnamespace AND relkind = 'v' ORDER BY 1",
    ];
    let mut transcripts = Vec::new();
    for change in [
        "SELECT 1",
        "UPDATE customers SET secret = 'other', mail = 'xyz' || mail, note = replace(note::text, 'sk-', 'zz-')::jsonb; ANALYZE",
    ] {
        stage.root.batch_execute(change).await.unwrap();
        let client = gateway.connect().await;
        let mut transcript = Vec::new();
        for sql in statements {
            transcript.push(ask(&client, sql).await);
        }
        transcripts.push(transcript);
    }
    assert_eq!(transcripts[0], transcripts[1]);
}
