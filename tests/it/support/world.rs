//! Everything at once: a database, a provider, a broker between them, and people.

use std::process::Stdio;
use std::time::Duration;

use super::broker::Broker;
use super::env::{Env, Ran};
use super::postgres::{Cluster, majors};
use super::provider::{self, CLIENT_ID, Provider};

/// A database, a provider and a broker.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) provider: Provider,
    pub(crate) broker: Broker,
}

/// What differs from story to story.
#[derive(Default)]
pub(crate) struct Twist<'a> {
    /// Lines for `[broker]`.
    pub(crate) broker: &'a str,
    /// Lines for `[[target]]`.
    pub(crate) target: &'a str,
    /// Tables below `[[target]]`: masks.
    pub(crate) below: &'a str,
    /// Presets; `allow-statements` when empty.
    pub(crate) presets: &'a [&'a str],
    /// More rules.
    pub(crate) policy: &'a str,
    /// Lines for the provider `corp` and for the workload issuer `ci`.
    pub(crate) attributes: [&'a str; 2],
    /// What clients are told, when it is not the broker's own port.
    pub(crate) public_url: Option<&'a str>,
}

/// A secret that must never reach a client.
pub(crate) const PLANTED: &str = "tk-planted-7f3a9c";

/// The masks that most stories use.
pub(crate) const MASKED: &str = r#"
[[target.mask]]
column = "public.reasoning_traces.api_key"
mask = "full"
[[target.mask]]
column = "public.reasoning_traces.customer_id"
mask = "null"
"#;

impl World {
    /// Starts everything on the newest PostgreSQL.
    pub(crate) async fn start(twist: Twist<'_>) -> Self {
        Self::start_on(*majors().last().expect("a major"), twist).await
    }

    /// Starts everything on this major.
    pub(crate) async fn start_on(major: u32, twist: Twist<'_>) -> Self {
        let cluster = Cluster::start(major);
        let admin = cluster.admin().await;
        admin.batch_execute(&tables()).await.expect("the tables");
        let provider = Provider::start();
        let presets = if twist.presets.is_empty() { &["allow-statements"] } else { twist.presets };
        let presets: Vec<String> = presets.iter().map(|preset| format!("{preset:?}")).collect();
        let config = format!(
            r#"{}
[[provider]]
name = "corp"
issuer = "{}"
client_id = "{CLIENT_ID}"
scopes = ["openid", "profile", "email", "groups", "offline_access"]
groups = ["dba", "oncall", "dev"]
{}

[[workload]]
name = "ci"
issuer = "{}"
audience = "urn:hoopctl:broker"
{}
[[workload.rule]]
claims = {{ client_id = "robot" }}
groups = ["deploy"]
[[workload.rule]]
claims = {{ repository = "acme/app", event_name = "push" }}
groups = ["deploy"]

[policy]
presets = [{}]
files = ["policy.cedar"]

{}"#,
            twist.broker,
            provider.issuer,
            twist.attributes[0],
            provider.issuer,
            twist.attributes[1],
            presets.join(", "),
            target(&cluster, twist.target, twist.below),
        );
        let policy = format!("{POLICY}{}", twist.policy);
        let files = [("admin-password", cluster.password.as_str()), ("policy.cedar", &policy)];
        let broker = Broker::start_behind(twist.public_url, &config, &files);
        Self { cluster, provider, broker }
    }

    /// Somebody's machine, logged in.
    pub(crate) async fn login(&self, person: &str) -> Env {
        let env = Env::new(&self.broker.url);
        let pin = self.pin();
        env.login(&["--broker-pin", &pin], async |page| provider::approve(&page, person).await).await.ends(0);
        env
    }

    /// What `login --broker-pin` takes.
    pub(crate) fn pin(&self) -> String {
        self.broker.pin()
    }

    /// The roles that leases made and that are still there.
    pub(crate) async fn roles(&self) -> Vec<String> {
        let admin = self.cluster.admin().await;
        let query = "SELECT rolname FROM pg_roles WHERE rolname LIKE 'hoop\\_%' AND rolcanlogin";
        let rows = admin.query(query, &[]).await.expect("roles");
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Waits until no lease's role is left.
    pub(crate) async fn until_no_roles(&self) {
        for _ in 0..150 {
            if self.roles().await.is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("roles are left: {:?}\n{}", self.roles().await, self.broker.log());
    }
}

impl World {
    /// Starts a psql that sleeps, and waits until the database runs it.
    pub(crate) async fn sleeping(&self, env: &Env) -> tokio::process::Child {
        let mut command = env.command(&["connect", "db", "--", "-Xc", "select pg_sleep(120)"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        let admin = self.cluster.admin().await;
        let query =
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND usename LIKE 'hoop\\_%'";
        for _ in 0..200 {
            if admin.query_one(query, &[]).await.expect("activity").get::<_, i64>(0) > 0 {
                return child;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("psql never slept:\n{}", self.broker.log());
    }
}

/// The target `db` of a configuration that lies beside `admin-password`: a cluster, more lines, more tables.
pub(crate) fn target(cluster: &Cluster, lines: &str, below: &str) -> String {
    format!(
        r#"[[target]]
name = "db"
protocol = "postgres"
host = "127.0.0.1"
port = {}
database = "postgres"
tls = "verify-full"
root_certificates = "{}"
record = "full"
{lines}
[target.issuer]
kind = "postgres-role"
admin = "postgres"
admin_password = {{ file = "admin-password" }}
[[target.grant]]
privileges = ["SELECT", "INSERT", "UPDATE", "DELETE"]
on = "public.*"
{below}
"#,
        cluster.port,
        cluster.root_certificate.display(),
    )
}

/// What a program said before it ended, which it must within this time, and how it ended.
pub(crate) async fn last_words(child: tokio::process::Child, within: Duration) -> Ran {
    let output = tokio::time::timeout(within, child.wait_with_output()).await;
    Ran::from(output.expect("in time").expect("it ends"))
}

/// `hoopctl connect db -- -XAtc SQL`.
pub(crate) async fn psql(env: &Env, sql: &str) -> Ran {
    env.run(&["connect", "db", "--", "-XAt", "-v", "ON_ERROR_STOP=1", "-c", sql]).await
}

const POLICY: &str = r#"
@id("people.connect")
permit (principal in Hoop::Group::"corp/dba", action == Hoop::Action::"connect", resource == Hoop::Target::"db");
@id("jobs.connect")
permit (principal in Hoop::Group::"ci/deploy", action == Hoop::Action::"connect", resource == Hoop::Target::"db");
@id("people.audit")
permit (principal in Hoop::Group::"corp/oncall", action in [Hoop::Action::"audit", Hoop::Action::"kill"], resource);
"#;

fn tables() -> String {
    format!(
        "CREATE TABLE reasoning_traces (id int PRIMARY KEY, project text NOT NULL, agent text, prompt text,
           steps jsonb, api_key text, customer_id text, created_at timestamptz DEFAULT now());
         INSERT INTO reasoning_traces SELECT n, 'project ' || n % 7, 'agent ' || n % 3, 'prompt ' || n,
           '[{{\"tool\": \"search\", \"api_key\": \"{PLANTED}\"}}]', '{PLANTED}-' || n, 'customer ' || n
           FROM generate_series(1, 2000) n;
         CREATE TABLE plain (a int, b text);
         INSERT INTO plain VALUES (1, 'one'), (2, 'two');"
    )
}
