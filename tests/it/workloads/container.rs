//! A container whose root is read-only, as a user that nobody heard of.

use std::process::Stdio;

use tokio::process::Command;

use super::stage::Forge;
use crate::support::env::{Ran, program};
use crate::support::world::{Twist, World};

/// Makes every mount read-only, sees that it is, and runs the rest as user 54321 with no name, no home and
/// no capability. `$1` is where a tmpfs comes, as container runtimes give one, or nothing.
const CONTAIN: &str = r#"
set -eu
room=$1
shift
mount --make-rprivate /
awk '{ print $5 }' /proc/self/mountinfo | while read -r at; do
    mount -o remount,bind,ro "$at" 2>/dev/null || true
done
for at in / /tmp /var/tmp /dev/shm /run /proc "$PWD"; do
    if touch "$at/probe" 2>/dev/null; then
        echo "$at can be written" >&2
        exit 99
    fi
done
[ -z "$room" ] || mount -t tmpfs -o mode=1777,nosuid,nodev,noexec none "$room"
if grep -q '^[^:]*:[^:]*:54321:' /etc/passwd; then
    echo "there is a user 54321" >&2
    exit 99
fi
if [ "$(id -u)" = 0 ]; then
    set -- --reuid=54321 --regid=54321 --clear-groups "$@"
fi
exec setpriv --no-new-privs --inh-caps=-all --bounding-set=-all "$@"
"#;

/// Runs the program so; root makes the user, others use a namespace in which they are it.
async fn contained(room: &str, variables: &[(&str, String)], arguments: &[&str]) -> Ran {
    let mut command = Command::new("unshare");
    match rustix::process::geteuid().is_root() {
        true => command.args(["--mount"]),
        false => command.args(["--mount", "--user", "--map-user=54321", "--map-group=54321", "--keep-caps"]),
    };
    command.args(["sh", "-c", CONTAIN, "contain", room, program()]).args(arguments);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.envs(variables.iter().map(|(name, value)| (name, value))).stdin(Stdio::null()).current_dir("/");
    let ran = Ran::from(command.output().await.expect("unshare runs; it is in util-linux"));
    assert!(
        ran.code != 99 && !ran.stderr.contains("unshare:") && !ran.stderr.contains("mount:"),
        "no read-only root here: run the tests as root, or where users may make namespaces\n{}",
        ran.text()
    );
    ran
}

fn variables(broker: &str, pin: String, job: [(&'static str, String); 3]) -> Vec<(&'static str, String)> {
    let mut all = Vec::from(job);
    all.push(("HOOPCTL_BROKER", broker.to_owned()));
    all.push(("HOOPCTL_BROKER_PIN", pin));
    all.push(("HOOPCTL_WORKLOAD", "github".into()));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_can_write_nowhere_asks_the_broker_all_the_same() {
    let forge = Forge::start();
    let variables = variables(&forge.broker.url, forge.broker.pin(), forge.provider.github_job());
    let ran = contained("", &variables, &["whoami"]).await.ends(0);
    assert!(ran.stdout.contains("ci:repo:acme/app:ref:refs/heads/main"), "{}", ran.text());
    assert_eq!(ran.stderr, "");
    contained("", &variables, &["login"]).await.ends(0);
    contained("", &variables, &["list"]).await.ends(0);
}

/// `docker run --read-only` leaves shared memory writable, and a pod's `emptyDir` is like it.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_in_a_read_only_container_uses_a_database() {
    let world = World::start(Twist::default()).await;
    let variables = variables(&world.broker.url, world.pin(), world.provider.github_job());
    let query = ["exec", "db", "--", "psql", "-XAtc", "SELECT count(*) FROM plain"];
    let ran = contained("/dev/shm", &variables, &query).await.ends(0);
    assert_eq!(ran.stdout, "2\n", "{}", ran.text());
    let ran = contained("/dev/shm", &variables, &["connect", "db", "--", "-XAtc", "SELECT 7"]).await.ends(0);
    assert_eq!(ran.stdout, "7\n", "{}", ran.text());
    world.until_no_roles().await;
}
