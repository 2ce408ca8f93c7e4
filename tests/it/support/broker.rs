//! A broker as a process of its own.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::env::program;
use super::postgres::free_port;

/// A running `hoopctl broker serve`, its configuration and its data.
pub(crate) struct Broker {
    /// Its one port.
    pub(crate) port: u16,
    /// What clients are told.
    pub(crate) url: String,
    /// Its configuration file.
    pub(crate) config: PathBuf,
    folder: TempDir,
    child: Option<Child>,
}

impl Broker {
    /// Starts one. `rest` follows the `[broker]` table; `{folder}` in it is the broker's folder.
    pub(crate) fn start(rest: &str) -> Self {
        Self::start_with(rest, &[])
    }

    /// The same, with files beside the configuration: name and content, readable by the owner only.
    pub(crate) fn start_with(rest: &str, files: &[(&str, &str)]) -> Self {
        Self::start_behind(None, rest, files)
    }

    /// The same, known to clients by another URL: a balancer's.
    pub(crate) fn start_behind(public_url: Option<&str>, rest: &str, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::Builder::new().prefix("hoopctl-broker-").tempdir().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).expect("private");
        for (name, content) in files {
            write_private(&folder.path().join(name), content);
        }
        let port = free_port();
        let url = public_url.map_or_else(|| format!("https://127.0.0.1:{port}"), str::to_owned);
        let at = folder.path().display();
        let config = folder.path().join("broker.toml");
        let head = format!(
            "[broker]\ndata_dir = \"{at}/data\"\nlisten = \"127.0.0.1:{port}\"\npublic_url = \"{url}\"\n\n"
        );
        write_private(&config, &(head + &rest.replace("{folder}", &at.to_string())));
        let mut broker = Self { port, url, config, folder, child: None };
        broker.resume();
        broker
    }

    /// Where the broker keeps its state.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What `login --broker-pin` takes.
    pub(crate) fn pin(&self) -> String {
        let pem = fs::read(self.data().join("pki/ca.pem")).expect("the broker's CA");
        let (_, pem) = x509_parser::pem::parse_x509_pem(&pem).expect("PEM");
        let certificate = pem.parse_x509().expect("a certificate");
        let digest = Sha256::digest(certificate.public_key().raw);
        digest.iter().fold(String::from("sha256:"), |pin, byte| format!("{pin}{byte:02x}"))
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// How much memory it has in use, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        memory_of(self.child.as_ref().expect("it runs").id())
    }

    /// How much memory it ever had in use, in bytes.
    pub(crate) fn most_memory(&self) -> u64 {
        let pid = self.child.as_ref().expect("it runs").id();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux says so");
        most.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
    }

    /// How many descriptors it has open.
    pub(crate) fn descriptors(&self) -> usize {
        let pid = self.child.as_ref().expect("it runs").id();
        fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").count()
    }

    /// How much time it has had on the processors, in seconds.
    pub(crate) fn processor(&self) -> f64 {
        let pid = self.child.as_ref().expect("it runs").id();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
        // the name may hold spaces; user's and system's time are fields 14 and 15 (proc_pid_stat(5))
        let (_, fields) = stat.rsplit_once(')').expect("a name");
        let ticks =
            fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<f64>().expect("ticks"));
        ticks.sum::<f64>() / 100.0
    }

    /// Starts it again after [`Self::stop`] or [`Self::kill`].
    pub(crate) fn resume(&mut self) {
        let path = self.folder.path().join("log");
        let log = fs::OpenOptions::new().create(true).append(true).open(path).expect("the log");
        let child = Command::new(program())
            .args(["broker", "serve"])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("HOOPCTL_CONFIG", &self.config)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log"))
            .stderr(log)
            .spawn()
            .expect("the broker starts");
        self.child = Some(child);
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended =
                self.child.as_mut().is_some_and(|child| child.try_wait().expect("its state").is_some());
            assert!(!ended && Instant::now() < deadline, "the broker did not start:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// SIGTERM: it drains. Returns its exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.ends()
    }

    /// Waits for its end. Returns its exit code.
    pub(crate) fn ends(&mut self) -> Option<i32> {
        let mut child = self.child.take().expect("it runs");
        child.wait().expect("it ends").code()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("it dies");
        child.wait().expect("it is gone");
    }

    /// SIGHUP: it reads its configuration again.
    pub(crate) fn reload(&self) {
        self.signal(Signal::HUP);
    }

    /// Any signal, as SIGSTOP.
    pub(crate) fn signal(&self, signal: Signal) {
        let id = self.child.as_ref().expect("it runs").id();
        let pid = Pid::from_raw(i32::try_from(id).expect("a pid")).expect("a pid");
        kill_process(pid, signal).expect("it hears");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _killed = child.kill();
            let _gone = child.wait();
        }
    }
}

/// The resident memory of a process, in bytes.
pub(crate) fn memory_of(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib << 10
}

fn write_private(path: &Path, content: &str) {
    use std::io::Write as _;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .expect("a private file");
    file.write_all(content.as_bytes()).expect("its content");
}
