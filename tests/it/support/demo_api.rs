//! The demo's own API of reasoning traces, as a process.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::env::program;
use super::postgres::free_port;

/// A running `hoopctl demo-api`.
pub(crate) struct DemoApi {
    /// Its port on 127.0.0.1; traces are below `/v1`.
    pub(crate) port: u16,
    child: Child,
    _folder: tempfile::TempDir,
}

impl DemoApi {
    /// Starts one that lets this bearer token in.
    pub(crate) fn start(key: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("key");
        std::fs::write(&file, key).expect("the key");
        let port = free_port();
        let listen = format!("127.0.0.1:{port}");
        let mut command = Command::new(program());
        command.args(["demo-api", "--listen", &listen, "--key-file"]).arg(&file).stdin(Stdio::null());
        let child = command.spawn().expect("the API starts");
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(&listen).is_err() {
            assert!(Instant::now() < deadline, "the API does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { port, child, _folder: folder }
    }
}

impl Drop for DemoApi {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _gone = self.child.wait();
    }
}
