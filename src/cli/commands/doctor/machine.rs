//! What a user's machine needs.

use std::ffi::OsStr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::Finding;
use crate::cli::args::Global;
use crate::cli::context::{Context, set};
use crate::cli::failure::{Failure, FailureKind};
use crate::cli::ui::Ui;
use crate::client::api::Api;
use crate::client::home::BrokerHome;
use crate::client::keychain::Keychain;
use crate::client::link::{Link, LinkError};
use crate::wire::control::{BrokerInfo, TargetSummary};
use crate::wire::dpop;

/// Looks at this machine, the way to the broker, the login, and what the targets need here.
pub(super) async fn look(global: Global, ui: Ui, findings: &mut Vec<Finding>) {
    let context = match Context::read(global, ui) {
        Ok(context) => context,
        Err(failure) => return findings.push(Finding::fault("home", &failure)),
    };
    findings.push(Finding::ok("home", format!("{}", context.client.home.root().display())));
    findings.push(workload(&context));
    let place = match context.place() {
        Ok(place) => place,
        Err(failure) => return findings.push(Finding::fault("login", &failure)),
    };
    let store = credential_store(&context, &place);
    let broken_store = store.code.is_some();
    findings.push(store);
    let reached = broker(&context, &place, broken_store, findings).await;
    let mut targets = Vec::new();
    match (reached, broken_store) {
        (true, false) => match login(&context).await {
            Ok((says, known)) => {
                findings.push(Finding::ok("login", says));
                targets = known;
            }
            Err(failure) => findings.push(Finding::fault("login", &failure)),
        },
        _ => findings.push(Finding::not_looked_at("login", NOT_YET)),
    }
    findings.push(clients(&targets));
    findings.push(ssh_config(&place));
    findings.push(leftovers(&context));
}

/// A workload's token, where one is meant; a job that could have one and does not ask for it, too.
fn workload(context: &Context) -> Finding {
    let (url, token) = (set("ACTIONS_ID_TOKEN_REQUEST_URL"), set("ACTIONS_ID_TOKEN_REQUEST_TOKEN"));
    let on_github = set("GITHUB_ACTIONS").as_deref() == Some("true");
    if url.is_some() != token.is_some() || (on_github && url.is_none()) {
        let failure = Failure::new(
            FailureKind::Configuration,
            "this job may not ask GitHub for a token of its own: ACTIONS_ID_TOKEN_REQUEST_URL and _TOKEN are not both set",
        )
        .hint("add `permissions: { id-token: write }` to the job")
        .hint("a job that a fork's pull request started gets none, and should get none");
        return Finding::fault(WORKLOAD, &failure);
    }
    match context.workload() {
        Err(failure) => Finding::fault(WORKLOAD, &failure),
        Ok(None) => Finding::not_looked_at(WORKLOAD, "none is meant: HOOPCTL_WORKLOAD is not set"),
        Ok(Some(platform)) => match platform.ready() {
            Ok(()) => Finding::ok(WORKLOAD, format!("`{}` has what a token takes", platform.source())),
            Err(error) => {
                let failure = Failure::new(FailureKind::LoginNeeded, error.to_string()).hint(
                    "let the platform write the token there before hoopctl starts, or name another source",
                );
                Finding::fault(WORKLOAD, &failure)
            }
        },
    }
}

fn credential_store(context: &Context, place: &BrokerHome) -> Finding {
    if context.is_workload() {
        return Finding::not_looked_at(STORE, "a workload needs none");
    }
    match Keychain::new(place.clone(), context.client.store).load() {
        Ok(Some(_)) => Finding::ok(STORE, "the credential can be read"),
        Ok(None) => Finding::not_looked_at(STORE, "there is no credential yet"),
        Err(error) => Finding::fault(STORE, &Failure::from(error)),
    }
}

/// The way to the broker, its certificate, its clock and its version; whether it was reached.
async fn broker(context: &Context, place: &BrokerHome, unread: bool, findings: &mut Vec<Finding>) -> bool {
    let pinned = if unread { None } else { context.remembered_pin(place) };
    let link = context.pin().and_then(|pin| context.link(place.url(), pin.or(pinned)));
    let (info, date) = match greet(link).await {
        Ok(greeting) => greeting,
        Err(failure) => {
            findings.push(Finding::fault("broker", &failure));
            return false;
        }
    };
    findings.push(Finding::ok("broker", format!("{} answers", place.url())));
    findings.push(clock(context.client.clock.now(), date));
    findings.push(version(&info));
    true
}

async fn greet(link: Result<Link, Failure>) -> Result<(BrokerInfo, Option<Timestamp>), Failure> {
    match link?.greet().await {
        Err(error @ LinkError::Unreachable { .. }) => {
            let failure = Failure::from(error);
            let proxy = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"].into_iter().find_map(set);
            Err(match proxy {
                Some(_) => failure.hint(
                    "HTTPS_PROXY or ALL_PROXY is set, and hoopctl goes past proxies: sessions are tunnels, which few let through; ask for a direct way to the broker's port",
                ),
                None => failure,
            })
        }
        Err(error) => Err(error.into()),
        Ok(greeting) => Ok(greeting),
    }
}

fn clock(now: Timestamp, date: Option<Timestamp>) -> Finding {
    let Some(date) = date else { return Finding::not_looked_at("clock", "the broker does not say its time") };
    let off = now.duration_since(date);
    if off <= MOST_AHEAD && -off <= MOST_BEHIND {
        return Finding::ok("clock", "it agrees with the broker's");
    }
    let way = if off.is_positive() { "ahead of" } else { "behind" };
    let message = format!(
        "the clock of this machine is {} s {way} the broker's, so its proofs are refused",
        off.abs().as_secs()
    );
    let failure = Failure::new(FailureKind::Configuration, message)
        .hint("set the clock, or let it be kept (`timedatectl set-ntp true`); in a container, the host's");
    Finding::fault("clock", &failure)
}

/// Before 1.0, what fits together has the same second number.
fn version(info: &BrokerInfo) -> Finding {
    let own = env!("CARGO_PKG_VERSION");
    let series = |version: &str| version.rsplit_once('.').map(|(series, _)| series.to_owned());
    if series(own) == series(&info.version) {
        return Finding::ok("version", format!("this is {own}, the broker is {}", info.version));
    }
    let message = format!("this is hoopctl {own}, and the broker is {}", info.version);
    let failure = Failure::new(FailureKind::Configuration, message)
        .hint(format!("install hoopctl {} here, or ask the operator for {own}", info.version));
    Finding::fault("version", &failure)
}

async fn login(context: &Context) -> Result<(String, Vec<TargetSummary>), Failure> {
    let api: Arc<Api> = context.api().await?;
    let who = api.whoami().await?;
    let targets = api.targets().await?;
    Ok((format!("{} may reach {} targets", who.principal, targets.len()), targets))
}

/// The programs that `connect` starts, for what this person may reach.
fn clients(targets: &[TargetSummary]) -> Finding {
    let mut wanted: Vec<_> = targets
        .iter()
        .filter_map(|target| CLIENTS.iter().find(|(protocol, _, _)| *protocol == target.protocol))
        .collect();
    wanted.sort_unstable();
    wanted.dedup();
    if wanted.is_empty() {
        return Finding::not_looked_at("clients", "no target is known that needs one");
    }
    let missing = wanted.iter().filter(|(_, program, _)| found(program).is_none());
    let missing: Vec<&str> = missing.map(|(_, program, _)| *program).collect();
    let names: Vec<&str> = wanted.iter().map(|(_, program, _)| *program).collect();
    if missing.is_empty() {
        return Finding::ok("clients", format!("{} can be started", names.join(", ")));
    }
    let message = format!("not installed, or not in PATH: {}", missing.join(", "));
    let mut failure = Failure::new(FailureKind::Configuration, message);
    for (_, program, package) in wanted {
        if missing.contains(program) {
            failure = failure.hint(format!("Debian: `apt-get install {package}`"));
        }
    }
    Finding::fault("clients", &failure)
}

/// Whether plain `ssh TARGET` still goes where `hoopctl ssh-config` led it: ssh itself is asked.
fn ssh_config(place: &BrokerHome) -> Finding {
    let written = place.read("ssh/config").ok().flatten();
    let written = written.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let host = written.as_deref().and_then(|text| {
        text.lines().find_map(|line| line.strip_prefix("Host ").map(|name| name.trim().to_owned()))
    });
    let (Some(host), Some(home)) = (host, set("HOME")) else {
        return Finding::not_looked_at(SSH_CONFIG, "`hoopctl ssh-config` was not used");
    };
    if found("ssh").is_none() {
        return Finding::not_looked_at(SSH_CONFIG, "there is no ssh here");
    }
    let file = PathBuf::from(home).join(".ssh/config");
    let told = std::process::Command::new("ssh").arg("-F").arg(&file).args(["-G", &host]).output();
    let told = told.map(|told| String::from_utf8_lossy(&told.stdout).into_owned()).unwrap_or_default();
    let ours = told.lines().any(|line| line.starts_with("proxycommand ") && line.contains(" ssh-proxy "));
    if ours {
        return Finding::ok(SSH_CONFIG, format!("`ssh {host}` goes through hoopctl"));
    }
    let shown = file.display();
    let message = format!(
        "`ssh {host}` does not go through hoopctl: {shown} does not include what was written, or something above it says otherwise"
    );
    let failure = Failure::new(FailureKind::Configuration, message)
        .hint("type `hoopctl ssh-config`, which puts its line at the top")
        .hint("`hoopctl ssh-config --remove`, if you do not want it any more");
    Finding::fault(SSH_CONFIG, &failure)
}

/// Directories of sessions whose hoopctl was killed: their sockets are deaf, and their files useless.
fn leftovers(context: &Context) -> Finding {
    let run = context.client.home.root().join("run");
    let entries = std::fs::read_dir(&run).into_iter().flatten().flatten();
    let stale: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| is_deaf(path)).collect();
    if stale.is_empty() {
        return Finding::ok(LEFTOVERS, "no session left anything behind");
    }
    let message = format!(
        "{} folder{} of sessions whose hoopctl was killed",
        stale.len(),
        if stale.len() == 1 { "" } else { "s" }
    );
    let paths: Vec<String> = stale.iter().map(|path| path.display().to_string()).collect();
    let failure = Failure::new(FailureKind::Configuration, message)
        .hint(format!("type `rm -r {}`; nothing in there opens anything", paths.join(" ")));
    Finding::fault(LEFTOVERS, &failure)
}

/// Whether there are sockets in a folder, and nobody listens on any.
fn is_deaf(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sockets = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_socket()));
    let sockets: Vec<PathBuf> = sockets.map(|entry| entry.path()).collect();
    let refused = |path: &PathBuf| {
        UnixStream::connect(path).is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
    };
    !sockets.is_empty() && sockets.iter().all(refused)
}

/// A program, where PATH leads to it.
fn found(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let runs = |path: &PathBuf| {
        std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(&path).map(|folder| folder.join(OsStr::new(program))).find(runs)
}

/// By protocol: what is started, and Debian's package of it.
const CLIENTS: [(&str, &str, &str); 4] = [
    ("aws", "aws", "awscli"),
    ("http", "curl", "curl"),
    ("postgres", "psql", "postgresql-client"),
    ("ssh", "ssh", "openssh-client"),
];
const LEFTOVERS: &str = "leftovers";
/// What the broker takes of a proof's time (`wire::dpop`), and a second that `Date` leaves out.
const MOST_AHEAD: SignedDuration = SignedDuration::from_secs(dpop::MAX_AHEAD + 1);
/// The same for a clock that is behind.
const MOST_BEHIND: SignedDuration = SignedDuration::from_secs(dpop::MAX_AGE);
const NOT_YET: &str = "mend what is above first";
const SSH_CONFIG: &str = "ssh-config";
const STORE: &str = "credential-store";
const WORKLOAD: &str = "workload";
