//! Other people's servers, and two that say and hear exactly what a test wants.

use std::net::TcpStream as Std;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::support::api::TRACE;
use crate::support::postgres::free_port;

/// A server that takes requests as RFC 9112 writes them and nothing else, and notes each.
pub(super) struct Recorder {
    pub(super) port: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let noted = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let noted = Arc::clone(&noted);
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    loop {
                        match hear(&mut stream).await {
                            Ok(Some(line)) => noted.lock().expect("not poisoned").push(line),
                            Ok(None) => return,
                            Err(fault) => {
                                return noted.lock().expect("not poisoned").push(format!("fault: {fault}"));
                            }
                        }
                        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                        if stream.get_mut().write_all(answer).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { port, heard }
    }

    /// Method and target of each request, and what was not one.
    pub(super) fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("not poisoned").clone()
    }
}

/// One request, up to the end of its body; `None` when the other side left before it was whole.
async fn hear(stream: &mut BufReader<TcpStream>) -> Result<Option<String>, String> {
    let Some(first) = line(stream).await? else { return Ok(None) };
    let (mut lengths, mut codings) = (Vec::new(), Vec::new());
    loop {
        let Some(header) = line(stream).await? else { return Ok(None) };
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(": ").ok_or_else(|| header.clone())?;
        match name.to_ascii_lowercase().as_str() {
            "content-length" => lengths.push(value.parse::<u64>().map_err(|_| header.clone())?),
            "transfer-encoding" => codings.push(value.to_owned()),
            _ => {}
        }
    }
    let words: Vec<&str> = first.split(' ').collect();
    let [method, target, "HTTP/1.1"] = words.as_slice() else { return Err(first) };
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => {}
        ([length], []) => {
            let copied = tokio::io::copy(&mut stream.take(*length), &mut tokio::io::sink()).await;
            if copied.ok() != Some(*length) {
                return Ok(None);
            }
        }
        ([], [coding]) if coding == "chunked" => loop {
            let Some(size) = line(stream).await? else { return Ok(None) };
            let size = u64::from_str_radix(&size, 16).map_err(|_| format!("chunk {size}"))?;
            let copied = tokio::io::copy(&mut stream.take(size), &mut tokio::io::sink()).await;
            if copied.ok() != Some(size) {
                return Ok(None);
            }
            match line(stream).await? {
                Some(end) if end.is_empty() => {}
                Some(end) => return Err(format!("after a chunk: {end}")),
                None => return Ok(None),
            }
            if size == 0 {
                break;
            }
        },
        lengths => return Err(format!("{first}: {lengths:?}")),
    }
    Ok(Some(format!("{method} {target}")))
}

async fn line(stream: &mut BufReader<TcpStream>) -> Result<Option<String>, String> {
    let mut line = Vec::new();
    match stream.read_until(b'\n', &mut line).await {
        Ok(count) if count > 0 && line.ends_with(b"\n") => {}
        _ => return Ok(None),
    }
    let line = String::from_utf8_lossy(&line);
    match line.strip_suffix("\r\n").filter(|line| !line.contains(['\r', '\0'])) {
        Some(line) => Ok(Some(line.to_owned())),
        None => Err(format!("{line:?}")),
    }
}

/// A server that answers each head with the next of these, whatever was asked; `None` closes.
pub(super) async fn script(answers: Vec<Option<Vec<u8>>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let answers = Arc::new(Mutex::new(answers.into_iter()));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answers = Arc::clone(&answers);
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                loop {
                    loop {
                        match line(&mut stream).await {
                            Ok(Some(line)) if line.is_empty() => break,
                            Ok(Some(_)) => {}
                            _ => return,
                        }
                    }
                    let next = answers.lock().expect("not poisoned").next();
                    let Some(Some(answer)) = next else { return };
                    let is_whole = !answer.ends_with(CLOSE);
                    let answer = answer.strip_suffix(CLOSE).unwrap_or(&answer).to_vec();
                    if stream.get_mut().write_all(&answer).await.is_err() || !is_whole {
                        return;
                    }
                }
            });
        }
    });
    port
}

/// At the end of an answer: the connection ends with it.
pub(super) const CLOSE: &[u8] = b"{close}";

/// Somebody else's server as a process.
pub(super) struct Server {
    pub(super) port: u16,
    child: Child,
    folder: tempfile::TempDir,
}

impl Server {
    /// nginx with this inside of its `server`; `listen` is there.
    pub(super) fn nginx(listen: &str, inside: &str, files: &[(&str, &str)]) -> Self {
        let (folder, port) = (folder(), free_port());
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).expect("a file");
        }
        std::fs::write(folder.path().join("traces.json"), TRACE).expect("a file");
        let place = folder.path().display();
        let configuration = format!(
            "daemon off;\nerror_log stderr;\npid {place}/pid;\nuser root;\nevents {{ worker_connections 400; }}\nhttp {{\n\
             log_format plain '$request_method $request_uri';\naccess_log {place}/access plain;\n\
             types {{ application/json json; text/plain txt; }}\ndefault_type text/plain;\n\
             client_body_temp_path {place}/a; proxy_temp_path {place}/b; fastcgi_temp_path {place}/c;\n\
             uwsgi_temp_path {place}/d; scgi_temp_path {place}/e;\n\
             gzip on; gzip_types application/json; gzip_min_length 1; gzip_proxied any;\n\
             server {{ listen 127.0.0.1:{port} {listen}; root {place}; server_name localhost;\n{inside}\n}} }}\n"
        )
        .replace("{folder}", &place.to_string());
        let configuration = if is_root() { configuration } else { configuration.replace("user root;\n", "") };
        std::fs::write(folder.path().join("config"), configuration).expect("its configuration");
        let mut command = Command::new("nginx");
        command.args(["-e", "stderr", "-p", ".", "-c", "config"]);
        Self::spawn(command, folder, port, "tests/setup/balancers.sh")
    }

    /// node's own server; it notes each request.
    pub(super) fn node(script: &str) -> Self {
        let (folder, port) = (folder(), free_port());
        let script = script.replace("{port}", &port.to_string());
        let mut command = Command::new("node");
        command.args(["-e", &script]);
        Self::spawn(command, folder, port, "tests/run")
    }

    /// Python's own server; it notes each request.
    pub(super) fn python(script: &str) -> Self {
        let (folder, port) = (folder(), free_port());
        let script = script.replace("{port}", &port.to_string());
        let mut command = Command::new("python3");
        command.args(["-u", "-c", &script]);
        Self::spawn(command, folder, port, "tests/run")
    }

    fn spawn(mut command: Command, folder: tempfile::TempDir, port: u16, setup: &str) -> Self {
        let log = |name: &str| std::fs::File::create(folder.path().join(name)).expect("its log");
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(log("out")).stderr(log("log"));
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}; run: {setup}"));
        let mut server = Self { port, child, folder };
        let deadline = Instant::now() + Duration::from_secs(30);
        while Std::connect(("127.0.0.1", port)).is_err() {
            let ended = server.child.try_wait().expect("its state").is_some();
            assert!(!ended && Instant::now() < deadline, "no server:\n{}", server.read("log"));
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// What is its own.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file in its folder.
    pub(super) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    /// Method and target of each request that it heard.
    pub(super) fn heard(&self) -> Vec<String> {
        let name = if self.folder.path().join("access").exists() { "access" } else { "out" };
        self.read(name).lines().map(str::to_owned).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // nginx's workers end with their master when it is told to, not when it is killed
        let _told = Command::new("kill").arg(self.child.id().to_string()).status();
        let _gone = self.child.wait();
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("hoopctl-http-").tempdir().expect("a folder")
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|facts| std::os::unix::fs::MetadataExt::uid(&facts) == 0)
}

/// An authority, and certificates of it.
pub(super) struct Authority {
    params: CertificateParams,
    key: KeyPair,
    folder: tempfile::TempDir,
}

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let folder = folder();
        let certificate = params.self_signed(&key).expect("a certificate");
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).expect("a file");
        Self { params, key, folder }
    }

    /// Its own certificate.
    pub(super) fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The text of it.
    pub(super) fn pem(&self) -> String {
        std::fs::read_to_string(Path::new(&self.file())).expect("a file")
    }

    /// Chain and key of a certificate for a name, valid until the end of a year.
    pub(super) fn certificate(&self, name: &str, until: i32) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 12, 31);
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }
}
