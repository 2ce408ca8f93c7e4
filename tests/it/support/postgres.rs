//! A real PostgreSQL cluster for one test: TLS on, SCRAM only, 127.0.0.1, gone when dropped.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::RngExt as _;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::CertificateDer;
use tempfile::TempDir;
use tokio_postgres_rustls::MakeRustlsConnect;

/// A running cluster. Its superuser is `postgres`.
pub(crate) struct Cluster {
    /// Its port on 127.0.0.1, below the range that the kernel hands out.
    pub(crate) port: u16,
    /// 13 to 18.
    pub(crate) major: u32,
    /// The superuser's password.
    pub(crate) password: String,
    /// PEM of the authority that signed its certificate (`localhost` and `127.0.0.1`).
    pub(crate) root_certificate: PathBuf,
    /// Everything it owns: data, keys, socket, log.
    pub(crate) folder: PathBuf,
    watchdog: Child,
    // closing this pipe, also by the death of the test process, stops the server
    lifeline: Option<ChildStdin>,
    _owned: TempDir,
}

/// The majors that can be started here.
///
/// # Panics
/// When there is none; the message names the command that puts them there.
pub(crate) fn majors() -> Vec<u32> {
    let found: Vec<u32> = (13..=18).filter(|major| bin(*major).is_some()).collect();
    assert!(!found.is_empty(), "no PostgreSQL server here; run: tests/setup/postgres.sh");
    found
}

impl Cluster {
    /// Makes and starts a cluster of this major version.
    pub(crate) fn start(major: u32) -> Self {
        Self::start_with(major, &[])
    }

    /// The same with settings of its own, each `name=value`.
    pub(crate) fn start_with(major: u32, settings: &[&str]) -> Self {
        let bin = bin(major)
            .unwrap_or_else(|| panic!("no PostgreSQL {major} here; run: tests/setup/postgres.sh {major}"));
        let owned = tempfile::Builder::new().prefix("hoopctl-pg-").tempdir().expect("a folder");
        let folder = owned.path().to_owned();
        let owner = ServerUser::pick();
        let password = random_password();
        write_certificates(&folder);
        fs::write(folder.join("password"), &password).expect("password file");
        owner.take(&folder);
        let output = owner
            .command(&bin.join("initdb"))
            .args(["--pgdata", "data", "--username=postgres", "--auth=scram-sha-256", "--pwfile=password"])
            .args(["--no-sync", "--no-locale", "--encoding=UTF8"])
            .current_dir(&folder)
            .output()
            .expect("initdb runs");
        assert!(output.status.success(), "initdb failed: {}", String::from_utf8_lossy(&output.stderr));
        fs::remove_file(folder.join("password")).expect("password file goes");

        for _ in 0..8 {
            let port = free_port();
            let (mut watchdog, lifeline) = launch(&owner, &bin, &folder, port, settings);
            if wait_ready(&folder, &mut watchdog, port) {
                let root_certificate = folder.join("root.pem");
                let lifeline = Some(lifeline);
                return Self {
                    port,
                    major,
                    password,
                    root_certificate,
                    folder,
                    watchdog,
                    lifeline,
                    _owned: owned,
                };
            }
            drop(lifeline);
            watchdog.wait().expect("the watchdog ends");
        }
        panic!("PostgreSQL {major} did not start: {}", log(&folder));
    }

    /// A connection as superuser to database `postgres`.
    pub(crate) async fn admin(&self) -> tokio_postgres::Client {
        self.connect("postgres", &self.password, "postgres").await.expect("the superuser gets in")
    }

    /// A direct connection over TLS, verified, as anybody.
    pub(crate) async fn connect(
        &self,
        user: &str,
        password: &str,
        database: &str,
    ) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::Config::new()
            .host("127.0.0.1")
            .port(self.port)
            .user(user)
            .password(password)
            .dbname(database)
            .connect_timeout(Duration::from_secs(60))
            .ssl_mode(tokio_postgres::config::SslMode::Require)
            .connect(MakeRustlsConnect::new(self.tls()))
            .await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// A libpq URL that verifies the server.
    pub(crate) fn url(&self, user: &str, password: &str, database: &str) -> String {
        let mut url = url::Url::parse("postgres://127.0.0.1").expect("a URL");
        url.set_username(user).expect("a user");
        url.set_password(Some(password)).expect("a password");
        url.set_port(Some(self.port)).expect("a port");
        url.set_path(database);
        url.query_pairs_mut()
            .append_pair("sslmode", "verify-full")
            .append_pair("sslrootcert", &self.root_certificate.to_string_lossy());
        url.into()
    }

    /// A TLS configuration that trusts this cluster only.
    pub(crate) fn tls(&self) -> rustls::ClientConfig {
        use rustls::pki_types::pem::PemObject as _;
        let mut roots = rustls::RootCertStore::empty();
        let root = CertificateDer::from_pem_file(&self.root_certificate).expect("the root certificate");
        roots.add(root).expect("a usable root");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    /// Kills every server process at once, as a crash would.
    pub(crate) fn crash(&mut self) {
        self.lifeline = None;
        self.watchdog.wait().expect("the watchdog ends");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.lifeline = None;
        let _gone = self.watchdog.wait();
    }
}

/// Somebody with fewer rights, by user and group, when the tests run as root.
pub(crate) fn ordinary_user() -> Option<(u32, u32)> {
    ServerUser::pick().0
}

/// Who runs the server: ourselves, or as root somebody with fewer rights, since PostgreSQL insists.
struct ServerUser(Option<(u32, u32)>);

impl ServerUser {
    fn pick() -> Self {
        if !rustix::process::geteuid().is_root() {
            return Self(None);
        }
        let passwd = fs::read_to_string("/etc/passwd").expect("/etc/passwd");
        let ids = ["postgres", "nobody"].iter().find_map(|name| {
            let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
            let mut fields = line.split(':').skip(2);
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        });
        Self(Some(ids.expect("a user `postgres` or `nobody`")))
    }

    fn take(&self, folder: &Path) {
        let Some((uid, gid)) = self.0 else { return };
        chown(folder, Some(uid), Some(gid)).expect("chown");
        for entry in fs::read_dir(folder).expect("the folder") {
            chown(entry.expect("an entry").path(), Some(uid), Some(gid)).expect("chown");
        }
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C").stdin(Stdio::null());
        if let Some((uid, gid)) = self.0 {
            command.uid(uid).gid(gid);
        }
        command
    }
}

fn bin(major: u32) -> Option<PathBuf> {
    let version = major.to_string();
    let caches = [
        std::env::var_os("HOOPCTL_TEST_PG").map(PathBuf::from),
        std::env::var_os("HOOPCTL_TEST_CACHE").map(|cache| Path::new(&cache).join("postgres")),
        Some(PathBuf::from("/var/cache/hoopctl-tests/postgres")),
        std::env::var_os("XDG_CACHE_HOME").map(|cache| Path::new(&cache).join("hoopctl-tests/postgres")),
        std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/hoopctl-tests/postgres")),
        Some(PathBuf::from("/usr/lib/postgresql")),
    ];
    caches
        .into_iter()
        .flatten()
        .filter_map(|cache| cache.join(&version).join("bin").canonicalize().ok())
        .find(|bin| bin.join("postgres").exists() && bin.join("initdb").exists())
}

/// The server below a shell that stops it as soon as our end of its standard input closes. A process that grows beyond 4 GiB
/// fails with an error of its own, before the kernel ends some other process for it.
fn launch(
    owner: &ServerUser,
    bin: &Path,
    folder: &Path,
    port: u16,
    settings: &[&str],
) -> (Child, ChildStdin) {
    let log = fs::File::create(folder.join("log")).expect("the log");
    let mut watchdog = owner
        .command(Path::new("/bin/sh"))
        .args([
            "-c",
            r#"ulimit -v 4194304; "$@" & p=$!; trap 'kill -QUIT $p' HUP INT TERM; read -r _; kill -QUIT $p; wait $p"#,
            "sh",
        ])
        .arg(bin.join("postgres"))
        .args(["-D", "data", "-p", &port.to_string()])
        .args([
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "fsync=off",
            "-c",
            "password_encryption=scram-sha-256",
        ])
        // off by default; what sessions prepare must go with them
        .args(["-c", "max_prepared_transactions=8"])
        // nothing in /dev/shm, where a crash would leave it
        .args(["-c", "dynamic_shared_memory_type=mmap"])
        .args(settings.iter().flat_map(|setting| ["-c", *setting]))
        .arg("-c")
        .arg(format!("unix_socket_directories={}", folder.display()))
        .args(["-c", "ssl=on", "-c", "ssl_cert_file=../server.pem", "-c", "ssl_key_file=../server.key"])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(log.try_clone().expect("the log"))
        .stderr(log)
        .process_group(0)
        .spawn()
        .expect("the server starts");
    let lifeline = watchdog.stdin.take().expect("a pipe");
    (watchdog, lifeline)
}

fn wait_ready(folder: &Path, watchdog: &mut Child, port: u16) -> bool {
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        // the last line of postmaster.pid is the server's own word on its state
        let state = fs::read_to_string(folder.join("data/postmaster.pid")).unwrap_or_default();
        if state.lines().nth(7).is_some_and(|line| line.trim() == "ready") {
            return state.lines().nth(3) == Some(&port.to_string());
        }
        let text = log(folder);
        if text.contains("could not bind") || text.contains("FATAL") {
            return false;
        }
        if watchdog.try_wait().expect("the watchdog").is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

fn log(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap_or_default()
}

/// A free port below the kernel's ephemeral range, where no outgoing connection can take it.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = rand::rng().random_range(12_000..32_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn random_password() -> String {
    let mut rng = rand::rng();
    (0..24).map(|_| char::from(rng.random_range(b'a'..=b'z'))).collect()
}

fn write_certificates(folder: &Path) {
    let authority_key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, "hoopctl test authority");
    let root = authority.self_signed(&authority_key).expect("the root");
    let key = KeyPair::generate().expect("a key");
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let issuer = Issuer::new(authority, authority_key);
    let mut leaf = CertificateParams::new(names).expect("parameters");
    leaf.distinguished_name.push(DnType::CommonName, "localhost");
    let leaf = leaf.signed_by(&key, &issuer).expect("the certificate");
    fs::write(folder.join("root.pem"), root.pem()).expect("root.pem");
    fs::write(folder.join("server.pem"), leaf.pem()).expect("server.pem");
    let path = folder.join("server.key");
    fs::write(&path, key.serialize_pem()).expect("server.key");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("private key");
}

#[tokio::test]
async fn each_major_starts_and_leaves_nothing() {
    for major in majors() {
        let cluster = Cluster::start(major);
        let client = cluster.admin().await;
        let row =
            client.query_one("SELECT current_setting('server_version_num')::int / 10000", &[]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), i32::try_from(major).unwrap());
        let (folder, port) = (cluster.folder.clone(), cluster.port);
        drop(cluster);
        assert!(!folder.exists(), "{} is left behind", folder.display());
        assert!(
            std::net::TcpStream::connect(("127.0.0.1", port)).is_err(),
            "somebody still answers on {port}"
        );
    }
}
