//! The stage on which the pages play: a provider, a database, an API, a host, and a broker before them.
//!
//! Everything has the names that the pages use: the targets `db`, `traces-api`, `billing-api`, `bastion`,
//! `aws-prod`, which hands out credentials, and `aws-traces`, which signs calls; alice (dba, oncall),
//! bob (dev), and the job `robot` of the issuer `ci`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::aws::account::{Account, KEY};
use crate::support::broker::Broker;
use crate::support::cached;
use crate::support::demo_api::DemoApi;
use crate::support::env::{Env, program};
use crate::support::moto;
use crate::support::postgres::Cluster;
use crate::support::provider::{CLIENT_ID, Provider};
use crate::support::sshd::{Sshd, Wishes};
use crate::support::world::target;

/// Everything that runs.
pub(super) struct Stage {
    pub(super) provider: Provider,
    pub(super) broker: Broker,
    pub(super) cluster: Cluster,
    _account: Account,
    _api: DemoApi,
    _sshd: Sshd,
    /// Ids of pages that are over.
    old: Mutex<BTreeSet<String>>,
    /// Programs that go before those of the system, and what lies on the host.
    folder: tempfile::TempDir,
}

impl Stage {
    /// Starts all of it.
    pub(super) async fn open() -> Self {
        let folder = tempfile::Builder::new().prefix("hoopctl-docs-").tempdir().expect("a folder");
        let host = folder.path().join("host");
        furnish_host(&host);
        programs(&folder.path().join("bin"));
        // pg_dump dumps no server that is newer than itself
        let cluster = Cluster::start(15);
        cluster.admin().await.batch_execute(TABLES).await.expect("the tables");
        let provider = Provider::start();
        let api = DemoApi::start("the API's own key");
        let force = format!("ForceCommand /bin/sh {}/session", host.display());
        let sshd = Sshd::start_with(&Wishes { lines: &[&force], ..Wishes::default() });
        let account = Account::start();
        let config = config(&provider, &cluster, &api, &sshd) + &accounts(&account);
        let files = [
            ("admin-password", cluster.password.as_str()),
            ("api-key", "the API's own key"),
            ("app-owner-password", "the owner of the schema"),
            ("aws-secret", KEY),
            ("policy.cedar", POLICY),
        ];
        let broker = Broker::start_with(&config, &files);
        let old = Mutex::default();
        let stage =
            Self { old, provider, broker, cluster, _account: account, _api: api, folder, _sshd: sshd };
        let operator = Env::new(&stage.broker.url);
        let file = stage.broker.config.to_str().expect("a path");
        let authority = operator.run(&["broker", "ssh-ca", "--config", file]).await.ends(0);
        // the server reads it at each login
        fs::write(stage._sshd.folder.path().join("authority.pub"), authority.stdout).expect("written");
        stage
    }

    /// Whether an id was shown by a page that is over.
    pub(super) fn is_old(&self, word: &str) -> bool {
        self.old.lock().expect("the ids").contains(word.trim_end_matches(':'))
    }

    /// A page is over.
    pub(super) fn forget(&self, ids: BTreeSet<String>) {
        self.old.lock().expect("the ids").extend(ids);
    }

    /// Programs of the stage: `hoopctl` itself, and ssh and scp that read the configuration of this home.
    pub(super) fn bin(&self) -> PathBuf {
        self.folder.path().join("bin")
    }
}

fn config(provider: &Provider, cluster: &Cluster, api: &DemoApi, sshd: &Sshd) -> String {
    let masks = "[[target.mask]]\ncolumn = \"public.reasoning_traces.api_key\"\nmask = \"full\"\n";
    let db =
        target(cluster, "owner = \"corp/dba\"\ndescription = \"what the agents thought and did\"\n", masks);
    let http = |name: &str, base: &str| {
        format!(
            "[[target]]\nname = \"{name}\"\nprotocol = \"http\"\nowner = \"corp/dev\"\nbase = \"http://127.0.0.1:{}{base}\"\n\
             [target.issuer]\nkind = \"bearer\"\nsecret = {{ file = \"api-key\" }}\n\
             [[target.page]]\nparameter = \"limit\"\ndefault = 20\n\
             [[target.mask]]\npath = \"$..api_key\"\nmask = \"full\"\n\n",
            api.port
        )
    };
    format!(
        r#"
[[provider]]
name = "corp"
issuer = "{issuer}"
client_id = "{CLIENT_ID}"
groups = ["dba", "oncall", "dev"]

[[workload]]
name = "ci"
issuer = "{issuer}"
audience = "urn:hoopctl:broker"
[workload.client_credentials]
[[workload.rule]]
claims = {{ client_id = "robot" }}
groups = ["deploy"]
[[workload.rule]]
claims = {{ repository = "acme/app", ref = "refs/heads/main" }}
groups = ["deploy"]
[[workload.rule]]
claims = {{ project_path = "acme/app", ref = "main", ref_protected = "true" }}
groups = ["deploy"]
[[workload.rule]]
claims = {{ sub = "system:serviceaccount:shop:migrations" }}
groups = ["deploy"]

[policy]
presets = ["allow-statements", "bulk-read", "dangerous-shell"]
files = ["policy.cedar"]

{db}
[[target]]
name = "db-migrations"
protocol = "postgres"
host = "127.0.0.1"
port = {database}
database = "postgres"
root_certificates = "{root}"
owner = "corp/dba"
[target.issuer]
kind = "static"
user = "app_owner"
password = {{ file = "app-owner-password" }}

{apis}
[[target]]
name = "bastion"
protocol = "ssh"
host = "127.0.0.1"
port = {port}
login = "{login}"
host_keys = ["{key}"]
owner = "corp/dev"
[target.issuer]
kind = "ssh-certificate"
"#,
        issuer = provider.issuer,
        apis = http("traces-api", "/v1") + &http("billing-api", ""),
        database = cluster.port,
        root = cluster.root_certificate.display(),
        port = sshd.port,
        login = sshd.login,
        key = sshd.host_key,
    )
}

/// One account, reached in both ways.
fn accounts(account: &Account) -> String {
    let owner = "owner = \"corp/dba\"";
    let signed = format!("{owner}\naccess = \"gateway\"\nservices = [\"s3\", \"dynamodb\"]");
    account.target("aws-prod", &format!("{owner}\naccess = \"credentials\""))
        + &account.target("aws-traces", &signed)
}

/// What lies on the host, and a start of every session there.
fn furnish_host(host: &Path) {
    let traces = host.join("traces");
    fs::create_dir_all(&traces).expect("a folder");
    for id in 1..=9 {
        fs::write(traces.join(format!("{id}.log")), format!("trace {id}: asked for a refund\n"))
            .expect("a file");
    }
    fs::write(host.join("notes"), "from the host\n").expect("a file");
    let git = |arguments: &[&str]| {
        let ran =
            std::process::Command::new("git").args(arguments).current_dir(host).output().expect("git runs");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    };
    git(&["init", "--quiet", "--bare", "site.git"]);
    let session = format!(
        "HOME='{host}'; export HOME; cd \"$HOME\" || exit 1\n\
         case \"$SSH_ORIGINAL_COMMAND\" in internal-sftp*) exec /usr/lib/openssh/sftp-server;; esac\n\
         [ -n \"$SSH_ORIGINAL_COMMAND\" ] || exec /bin/sh\n\
         exec /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"\n",
        host = host.display()
    );
    fs::write(host.join("session"), session).expect("a file");
}

fn programs(bin: &Path) {
    fs::create_dir_all(bin).expect("a folder");
    std::os::unix::fs::symlink(program(), bin.join("hoopctl")).expect("a link");
    let places = [("ssh", "ansible"), ("recipes", "yoyo"), ("recipes", "alembic"), ("recipes", "terraform")];
    for (place, name) in places {
        let program = cached(place, place).join("python/bin").join(name);
        std::os::unix::fs::symlink(program, bin.join(name)).expect("a link");
    }
    std::os::unix::fs::symlink(moto::program("aws"), bin.join("aws")).expect("a link");
    // OpenSSH asks the system, not HOME, where its configuration is
    for name in ["ssh", "scp", "sftp"] {
        let config = "[ -f \"$HOME/.ssh/config\" ] && set -- -F \"$HOME/.ssh/config\" \"$@\"";
        script(&bin.join(name), &format!("{config}\nexec /usr/bin/{name} \"$@\""));
    }
}

/// What is there wherever somebody types: the tools of their own that the pages speak of. Each needs what it is given.
pub(super) fn furnish(folder: &Path) {
    fs::write(folder.join("notes"), "for the host\n").expect("a file");
    script(&folder.join("nightly-report"), "curl --fail --silent --show-error \"$HOOP_URL/v1/traces/7\"");
    script(
        &folder.join("deploy.sh"),
        "psql -XAtc 'select 1'; $HOOP_SSH bastion true; curl -sSf \"$BILLING_API_URL/v1/traces/7\" >/dev/null",
    );
    script(
        &folder.join("migrate"),
        "psql -X -v ON_ERROR_STOP=1 -c \"INSERT INTO migrations SELECT 1 + count(*) FROM migrations\"",
    );
}

fn script(path: &Path, text: &str) {
    fs::write(path, format!("#!/bin/sh\nset -e\n{text}\n")).expect("a script");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a script");
}

const TABLES: &str = "
    CREATE TABLE reasoning_traces (id int PRIMARY KEY, project text NOT NULL, prompt text, steps jsonb, api_key text,
        customer_id text, created_at timestamptz DEFAULT now());
    INSERT INTO reasoning_traces SELECT n, 'project ' || n % 7, 'prompt ' || n, '[]', 'tk-' || n, 'customer ' || n
        FROM generate_series(1, 200) n;
    CREATE TABLE orders (id int PRIMARY KEY, total int);
    INSERT INTO orders SELECT n, n * 3 FROM generate_series(1, 50) n;
    CREATE TABLE migrations (id int PRIMARY KEY);
    CREATE ROLE app_owner LOGIN PASSWORD 'the owner of the schema';
    CREATE SCHEMA shop AUTHORIZATION app_owner;
    ALTER ROLE app_owner SET search_path = shop;
";

const POLICY: &str = r#"
@id("dba-connects")
permit (principal in Hoop::Group::"corp/dba", action == Hoop::Action::"connect", resource);

@id("developers-connect-once-approved")
@review("corp/dba:1")
permit (principal in Hoop::Group::"corp/dev", action == Hoop::Action::"connect", resource)
when { ["db", "bastion"].contains(resource.name) };

@id("deployments-connect")
permit (principal in Hoop::Group::"ci/deploy", action == Hoop::Action::"connect", resource);

@id("deletes-are-reviewed")
@reason("deleting rows is looked at by a second person")
@review("corp/dev:1")
@standing("2h")
forbid (principal, action == Hoop::Action::"statement", resource)
when { context.verb == "delete" }
unless { principal in Hoop::Group::"ci/deploy" };

@id("calls-read")
permit (principal, action == Hoop::Action::"call", resource) when { context.read_only };

@id("dba-gets-credentials")
permit (principal in Hoop::Group::"corp/dba", action == Hoop::Action::"issue", resource);

@id("hosts-are-for-work")
permit (
    principal,
    action in [Hoop::Action::"env", Hoop::Action::"exec", Hoop::Action::"file", Hoop::Action::"shell",
        Hoop::Action::"forward"],
    resource
);

@id("oncall-audits")
permit (
    principal in Hoop::Group::"corp/oncall",
    action in [Hoop::Action::"audit", Hoop::Action::"kill"],
    resource
);
"#;
