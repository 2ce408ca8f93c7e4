//! haproxy and nginx as people run them: TLS ends there, and starts again towards the broker.

use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::certificate::Certificate;
use crate::support::env::Env;
use crate::support::provider;
use crate::support::world::World;

/// Where the balancers' own connections come from: told apart from clients, which are 127.0.0.1.
pub(super) const SOURCE: &str = "127.0.0.9";

/// A kind of balancer.
pub(super) struct Kind {
    name: &'static str,
    arguments: &'static [&'static str],
    configuration: &'static str,
}

/// `mode http`, not `mode tcp`.
pub(super) const HAPROXY: Kind = Kind {
    name: "haproxy",
    arguments: &["-db", "-f", "config"],
    configuration: r"
global
    maxconn 200
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    timeout tunnel 1h
    option forwardfor
frontend in
    bind 127.0.0.1:{port} ssl crt {folder}/own.pem alpn http/1.1 ssl-min-ver TLSv1.2
    default_backend brokers
backend brokers
    source {source}
    server one 127.0.0.1:{broker} ssl verify required ca-file {ca} sni str(localhost) verifyhost localhost
",
};

pub(super) const NGINX: Kind = Kind {
    name: "nginx",
    arguments: &["-e", "stderr", "-p", ".", "-c", "config"],
    configuration: r"
daemon off;
error_log stderr;
pid {folder}/pid;
events { worker_connections 200; }
http {
    access_log off;
    client_body_temp_path {folder}/a;
    proxy_temp_path {folder}/b;
    fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d;
    scgi_temp_path {folder}/e;
    map $http_upgrade $connection_upgrade {
        default upgrade;
        '' close;
    }
    server {
        listen 127.0.0.1:{port} ssl;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_certificate {folder}/own.pem;
        ssl_certificate_key {folder}/own.pem;
        location / {
            proxy_pass https://127.0.0.1:{broker};
            proxy_bind {source};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_ssl_protocols TLSv1.3;
            proxy_ssl_trusted_certificate {ca};
            proxy_ssl_verify on;
            proxy_ssl_name localhost;
            proxy_ssl_server_name on;
            proxy_read_timeout 1h;
            proxy_send_timeout 1h;
        }
    }
}
",
};

/// A running balancer.
pub(super) struct Server {
    child: Child,
    folder: TempDir,
}

impl Server {
    /// Starts one on `port` before the world's broker.
    pub(super) fn start(kind: &Kind, port: u16, world: &World, certificate: &Certificate) -> Self {
        let folder = tempfile::Builder::new().prefix("hoopctl-balancer-").tempdir().expect("a folder");
        let passable = std::fs::Permissions::from_mode(0o711);
        std::fs::set_permissions(folder.path(), passable).expect("a folder");
        let ca = world.broker.data().join("pki/ca.pem");
        // as root a worker process changes to a user who cannot look into the broker's folder
        std::fs::copy(&ca, folder.path().join("ca.pem")).expect("the broker's CA");
        std::fs::write(folder.path().join("own.pem"), certificate.pem()).expect("its certificate");
        let configuration = kind
            .configuration
            .replace("{folder}", &folder.path().to_string_lossy())
            .replace("{ca}", &folder.path().join("ca.pem").to_string_lossy())
            .replace("{broker}", &world.broker.port.to_string())
            .replace("{port}", &port.to_string())
            .replace("{source}", SOURCE);
        std::fs::write(folder.path().join("config"), configuration).expect("its configuration");
        let log = std::fs::File::create(folder.path().join("log")).expect("its log");
        let child = Command::new(kind.name)
            .args(kind.arguments)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("its log"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{} does not run ({error}); run: tests/setup/balancers.sh", kind.name)
            });
        let mut server = Self { child, folder };
        server.wait(port);
        server
    }

    fn wait(&mut self, port: u16) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = self.child.try_wait().expect("its state").is_some();
            let log = |folder: &Path| std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            assert!(!ended && Instant::now() < deadline, "no balancer:\n{}", log(self.folder.path()));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGTERM: nginx takes its worker along
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _told = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let deadline = Instant::now() + Duration::from_secs(5);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _killed = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// Somebody's machine, logged in at a broker behind a balancer with this certificate.
pub(super) async fn login_through(world: &World, certificate: &Certificate, person: &str) -> Env {
    let env = Env::new(&world.broker.url);
    let pin = certificate.pin();
    env.login(&["--broker-pin", &pin], async |page| provider::approve(&page, person).await).await.ends(0);
    env
}
