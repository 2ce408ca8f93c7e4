//! Masks hold on a real PostgreSQL: two databases that differ only in protected cells answer every
//! statement alike, and what cannot be made so is refused.

mod alike;
mod allowed;
mod consequences;
mod cost;
mod facts;
mod filters;
mod members;
mod plans;
mod psql;
mod refused;
mod writes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use hoopctl::domain::filter::BoundFilter;
use hoopctl::domain::mask::{JsonPath, Mask, MaskRule};
use hoopctl::domain::name::RuleName;
use hoopctl::mask::MaskPlan;
use hoopctl::sql::{
    Assessed, Builtins, Catalog, ParseLimits, Protection, Refusal, Rows, Scope, Temporary, assess, parse,
};
use tokio_postgres::SimpleQueryMessage;

use crate::support::masks::masked;
use crate::support::postgres::{Cluster, majors};

/// Two databases that differ only in protected cells, and what is known of one of them.
struct Twins {
    cluster: Cluster,
    catalog: Catalog,
    protection: Protection,
    one: tokio_postgres::Client,
    other: tokio_postgres::Client,
    version: u32,
    trusted: BTreeSet<String>,
    fields: BTreeMap<String, BTreeSet<String>>,
}

impl Twins {
    async fn start(major: u32) -> Self {
        let (setup, changed) = (include_str!("rewrite/setup.sql"), include_str!("rewrite/changed.sql"));
        Self::of(major, setup, changed, &rules(), &[]).await
    }

    /// Two databases: `setup` makes the one, and `changed` then makes the other of it.
    async fn of(major: u32, setup: &str, changed: &str, rules: &[MaskRule], filters: &[BoundFilter]) -> Self {
        let cluster = Cluster::start(major);
        let admin = cluster.admin().await;
        admin.batch_execute("CREATE DATABASE one").await.expect("a database");
        let owner = cluster.connect("postgres", &cluster.password, "one").await.expect("the owner");
        owner.batch_execute(setup).await.expect("the tables");
        drop(owner);
        loop {
            // the template may have no other connection, and the owner's is still closing
            if admin.batch_execute("CREATE DATABASE other TEMPLATE one").await.is_ok() {
                break;
            }
            tokio::task::yield_now().await;
        }
        let owner = cluster.connect("postgres", &cluster.password, "other").await.expect("the owner");
        owner.batch_execute(changed).await.expect("the difference");
        let one = cluster.connect("reader", "reader", "one").await.expect("a reader");
        let other = cluster.connect("reader", "reader", "other").await.expect("a reader");
        let builtins = Builtins::from_rows(&run_all(&one, Builtins::QUERIES).await).expect("built-ins");
        let rows = run_all(&one, Catalog::QUERIES).await;
        let catalog = Catalog::from_rows(Arc::new(builtins), &rows).expect("a catalog");
        let plan = MaskPlan::new(rules, &BTreeSet::new());
        let protection = Protection::resolve(&catalog, &plan, filters).expect("protection");
        let version =
            rows_of(&one, "SHOW server_version_num").await[0][0].as_deref().expect("a version").parse();
        Self {
            cluster,
            catalog,
            protection,
            one,
            other,
            version: version.expect("a number"),
            trusted: BTreeSet::from(["public.trusted_upper".to_owned()]),
            fields: labels(),
        }
    }

    fn assess(&self, sql: &str, path: &[&str]) -> Result<Assessed, Refusal> {
        let statements = parse(sql, &ParseLimits::default()).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let [statement] = statements.as_slice() else { panic!("one statement: {sql}") };
        let path: Vec<String> = path.iter().map(|element| (*element).to_owned()).collect();
        let scope = Scope {
            catalog: &self.catalog,
            temporary: &Temporary::default(),
            protection: &self.protection,
            search_path: &path,
            session_user: "reader",
            server_version_num: self.version,
            trusted_functions: &self.trusted,
            fields: &self.fields,
        };
        assess(statement, &scope)
    }

    fn allow(&self, sql: &str) -> Assessed {
        self.assess(sql, DEFAULT_PATH).unwrap_or_else(|refusal| panic!("{sql}\n{refusal}: {refusal:?}"))
    }

    /// Runs what would be sent in both databases, in transactions that are rolled back.
    async fn answers(&self, sql: &str) -> [Result<Answer, String>; 2] {
        let sent = self.allow(sql).sent;
        let mut answers = Vec::new();
        for client in [&self.one, &self.other] {
            client.batch_execute("BEGIN").await.expect("a transaction");
            answers.push(answer(client, &sent).await);
            client.batch_execute("ROLLBACK").await.expect("its end");
        }
        let other = answers.pop().expect("the second");
        [answers.pop().expect("the first"), other]
    }
}

/// The rows of an answer, or its row count.
type Answer = Vec<Vec<Option<String>>>;

async fn answer(client: &tokio_postgres::Client, sql: &str) -> Result<Answer, String> {
    if sql.starts_with("COPY") {
        let copied = client.copy_out(sql).await.map_err(|error| format!("{error:?}"))?;
        // one that has failed goes on failing
        let lines: Vec<_> = copied.try_collect().await.map_err(|error| format!("{error:?}"))?;
        return Ok(lines.into_iter().map(|line| vec![Some(format!("{line:?}"))]).collect());
    }
    let messages = client.simple_query(sql).await.map_err(|error| match error.as_db_error() {
        Some(error) => format!("{}: {}", error.code().code(), error.message()),
        None => error.to_string(),
    })?;
    Ok(messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect())
            }
            SimpleQueryMessage::CommandComplete(count) => Some(vec![Some(format!("#{count}"))]),
            SimpleQueryMessage::RowDescription(columns) => {
                Some(columns.iter().map(|column| Some(column.name().to_owned())).collect())
            }
            _ => None,
        })
        .collect())
}

async fn rows_of(client: &tokio_postgres::Client, sql: &str) -> Rows {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect())
            }
            _ => None,
        })
        .collect()
}

pub(crate) async fn run_all(client: &tokio_postgres::Client, queries: &[&str]) -> Vec<Rows> {
    let mut all = Vec::new();
    for query in queries {
        all.push(rows_of(client, query).await);
    }
    all
}

fn rules() -> Vec<MaskRule> {
    let rule = |column: &str, path: Option<&str>, mask| MaskRule {
        name: RuleName::new("traces").expect("a name"),
        path: path.map(|path| JsonPath::new(path).expect("a path")),
        ..masked(column, mask)
    };
    vec![
        rule("*.reasoning_traces.api_key", None, Mask::Full),
        rule("public.reasoning_traces.customer_id", None, Mask::Null),
        rule("public.reasoning_traces.card", None, Mask::Partial { keep_last: 4 }),
        rule("public.reasoning_traces.steps", Some("$.**.api_key"), Mask::Full),
        rule("public.reasoning_traces.steps", Some("$.meta.user.email"), Mask::Full),
        rule("public.reasoning_traces.doc", Some("$.secret"), Mask::Full),
        rule("public.tokens.secret", None, Mask::Full),
        rule("public.events.token", None, Mask::Full),
        rule("public.vault.code", None, Mask::Full),
        rule("public.charges.ward", None, Mask::Full),
        rule("public.safes.code", None, Mask::Full),
        rule("public.chests.code", None, Mask::Full),
        rule("public.named_*.api_key", None, Mask::Null),
    ]
}

fn labels() -> BTreeMap<String, BTreeSet<String>> {
    let label = |text: &str| BTreeSet::from([text.to_owned()]);
    BTreeMap::from([
        ("*.reasoning_traces.api_*".into(), label("high-risk")),
        ("public.projects.budget".into(), label("money")),
        ("public.events_2026.token".into(), label("token")),
    ])
}

const DEFAULT_PATH: &[&str] = &["$user", "public"];

/// The oldest and the newest server that are here: names are read differently between them.
pub(crate) fn extremes() -> BTreeSet<u32> {
    let majors = majors();
    majors.first().into_iter().chain(majors.last()).copied().collect()
}
