//! The credential store against a real Secret Service: GNOME's keyring on a bus of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::env::Env;
use crate::support::house::House;

/// A session bus, and a keyring on it.
struct Desktop {
    address: String,
    bus: Child,
    keyring: Child,
}

impl Desktop {
    /// Starts both; without a password the keyring stays locked.
    fn start(env: &Env, password: Option<&str>) -> Self {
        let program = |name: &str| {
            let mut command = Command::new(name);
            command
                .env_clear()
                .env("PATH", std::env::var_os("PATH").unwrap_or_default())
                .env("HOME", env.home())
                .env("XDG_RUNTIME_DIR", env.home().join("run"))
                .stderr(Stdio::null());
            command
        };
        let missing = |name: &str| panic!("{name} is not here; run: tests/setup/keyring.sh");
        let socket = format!("--address=unix:path={}", env.home().join("run/bus").display());
        let mut bus = program("dbus-daemon")
            .args(["--session", "--nofork", "--print-address=1", &socket])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|_| missing("dbus-daemon"));
        let mut address = String::new();
        let said = bus.stdout.take().expect("a pipe");
        BufReader::new(said).read_line(&mut address).expect("an address");
        let address = address.trim().to_owned();
        let mut keyring = program("gnome-keyring-daemon");
        keyring.args(["--foreground", "--components=secrets"]).env("DBUS_SESSION_BUS_ADDRESS", &address);
        keyring.args(password.map(|_| "--unlock")).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut keyring = keyring.spawn().unwrap_or_else(|_| missing("gnome-keyring-daemon"));
        let mut input = keyring.stdin.take().expect("a pipe");
        input.write_all(password.unwrap_or_default().as_bytes()).expect("it listens");
        drop(input);
        let desktop = Self { address, bus, keyring };
        desktop.until_it_answers(env);
        desktop
    }

    /// Puts a machine on this desktop.
    fn seat(&self, env: &mut Env) {
        env.set("DBUS_SESSION_BUS_ADDRESS", &self.address);
        env.set("HOOPCTL_CREDENTIAL_STORE", "auto");
    }

    /// What another program finds under our name.
    fn secrets(&self, env: &Env) -> Vec<String> {
        let ran = self.ask(env, &["secret-tool", "search", "--all", "--unlock", "service", "hoopctl"]);
        ran.lines().filter_map(|line| line.strip_prefix("secret = ")).map(str::to_owned).collect()
    }

    fn until_it_answers(&self, env: &Env) {
        let name = "org.freedesktop.secrets";
        for _ in 0..100 {
            let asked = self.ask(
                env,
                &[
                    "dbus-send",
                    "--session",
                    "--print-reply",
                    "--dest=org.freedesktop.DBus",
                    "/org/freedesktop/DBus",
                    "org.freedesktop.DBus.NameHasOwner",
                    &format!("string:{name}"),
                ],
            );
            if asked.contains("boolean true") {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("no keyring came up on {}", self.address);
    }

    fn ask(&self, env: &Env, command: &[&str]) -> String {
        let output = Command::new(command[0])
            .args(&command[1..])
            .env("HOME", env.home())
            .env("XDG_RUNTIME_DIR", env.home().join("run"))
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address)
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|_| panic!("{} is not here; run: tests/setup/keyring.sh", command[0]));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        for child in [&mut self.keyring, &mut self.bus] {
            let _killed = child.kill();
            let _gone = child.wait();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_credential_is_in_the_keyring_and_logout_takes_it_out() {
    let (one, two) = tokio::join!(House::start(), House::start());
    let mut env = Env::new(&one.broker.url);
    let desktop = Desktop::start(&env, Some("a password"));
    desktop.seat(&mut env);
    let ran = one.sign_in(&env, || {}).await.ends(0);
    assert!(!ran.stderr.contains("in a file"), "{}", ran.stderr);
    assert_eq!(credentials(&env.state()), Vec::<PathBuf>::new());
    assert_eq!(desktop.secrets(&env).len(), 1);
    let first = env.run(&["whoami"]).await.ends(0).stdout;

    // another broker beside it
    let pin = two.broker.pin();
    let arguments = ["--broker", &two.broker.url, "--broker-pin", &pin];
    env.login(&arguments, async |page| crate::support::house::approve(&page).await).await.ends(0);
    assert_eq!(desktop.secrets(&env).len(), 2);
    assert_eq!(env.run(&["whoami"]).await.ends(0).stdout.lines().nth(2), first.lines().nth(2));
    env.run(&["--broker", &two.broker.url, "whoami"]).await.ends(0);
    env.run(&["--broker", &two.broker.url, "logout"]).await.ends(0);
    assert_eq!(desktop.secrets(&env).len(), 1);
    env.run(&["whoami"]).await.ends(0);
    env.run(&["logout"]).await.ends(0);
    assert_eq!(desktop.secrets(&env), Vec::<String>::new());
    env.run(&["whoami"]).await.ends(79);
}

/// On a server there is no bus, and after an automatic login the keyring is locked and there is nobody
/// to ask: neither may hold up a login.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_usable_keyring_it_is_a_private_file_and_that_is_said() {
    use std::os::unix::fs::PermissionsExt as _;
    let house = House::start().await;
    for locked in [false, true] {
        let mut env = Env::new(&house.broker.url);
        let desktop = locked.then(|| Desktop::start(&env, None));
        match &desktop {
            Some(desktop) => desktop.seat(&mut env),
            None => env.set("HOOPCTL_CREDENTIAL_STORE", "auto"),
        }
        let ran = house.sign_in(&env, || {}).await.ends(0);
        assert!(ran.stderr.contains("the credential is in a file that only you can read"), "{}", ran.stderr);
        let found = credentials(&env.state());
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(std::fs::metadata(&found[0]).expect("a file").permissions().mode() & 0o777, 0o600);
        env.run(&["whoami"]).await.ends(0);
        env.run(&["logout"]).await.ends(0);
        assert_eq!(credentials(&env.state()), Vec::<PathBuf>::new());
    }
}

/// From a file into the keyring, from one name to another there, and out again: both keys sign each time.
#[tokio::test(flavor = "multi_thread")]
async fn the_ledgers_key_moves_into_the_keyring_and_out() {
    let mut house = House::start().await;
    let mut env = Env::new(&house.broker.url);
    let desktop = Desktop::start(&env, Some("a password"));
    desktop.seat(&mut env);
    let (data, config) = (house.broker.data(), house.broker.config.clone());
    let first = std::fs::read_to_string(data.join("ledger/key")).expect("a key");
    std::fs::write(env.home().join("first.pub"), first).expect("written");
    house.broker.stop();
    let text = std::fs::read_to_string(&config).expect("a configuration");
    let (file, one, two) = (
        format!("{{ file = {:?} }}", data.join("pki/ledger.key")),
        "{ keyring = \"one\" }".to_owned(),
        "{ keyring = \"two\" }".to_owned(),
    );
    let last = format!("{{ file = {:?} }}", data.join("pki/last.key"));
    for (step, (old, new)) in (1..).zip([(&file, &one), (&one, &two), (&two, &last)]) {
        std::fs::write(&config, format!("{text}\n[ledger]\nkey = {new}\nprevious_key = {old}\n"))
            .expect("written");
        let config = config.display().to_string();
        env.run(&["broker", "key", "rotate", "--config", &config]).await.ends(0);
        let dir = data.join("ledger").display().to_string();
        let ran = env.run(&["audit", "verify", "--dir", &dir, "--key", "first.pub"]).await.ends(0);
        assert_eq!(ran.stdout.matches(" changed the key; ").count(), step, "{}", ran.text());
        let keys = env.other("secret-tool", &["search", "--all", "--unlock", "service", "hoopctl-ledger"]);
        assert_eq!(secrets(keys).await, step.min(2), "each key is in the keyring");
    }
    std::fs::write(&config, format!("{text}\n[ledger]\nkey = {last}\n")).expect("written");
    house.broker.resume();
}

/// How many secrets `secret-tool` shows.
async fn secrets(mut command: tokio::process::Command) -> usize {
    let output = command.output().await.expect("it runs");
    String::from_utf8_lossy(&output.stdout).matches("secret = PRIVATE+KEY+").count()
}

/// The files with a key and a refresh token in them.
fn credentials(state: &Path) -> Vec<PathBuf> {
    let brokers = std::fs::read_dir(state.join("brokers")).expect("a folder");
    let files = brokers.map(|broker| broker.expect("an entry").path().join("credential.json"));
    files.filter(|file| file.exists()).collect()
}
