//! A stand-in for AWS for one test: S3, DynamoDB, STS, IAM on 127.0.0.1, all in memory, gone when dropped.
//!
//! It believes any key, unless it is strict: then it checks signatures and the policies of users and roles. It never looks at
//! session policies; those are Ceph's to prove ([`super::ceph`]).

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::cached;
use super::postgres::free_port;
use super::sshd::WATCHDOG;

/// A running server.
pub(crate) struct Moto {
    /// Its port on 127.0.0.1, below the range that the kernel hands out.
    pub(crate) port: u16,
    child: Child,
}

impl Moto {
    /// One that believes any key.
    pub(crate) fn start() -> Self {
        Self::start_with(None)
    }

    /// One that checks signatures and policies after so many calls, with which a test makes users and roles.
    pub(crate) fn start_strict(free_calls: u32) -> Self {
        Self::start_with(Some(free_calls))
    }

    fn start_with(free_calls: Option<u32>) -> Self {
        for _ in 0..8 {
            let port = free_port();
            let mut command = Command::new("/bin/sh");
            command.args(["-c", WATCHDOG, "sh"]).arg(program("moto_server"));
            command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
            if let Some(calls) = free_calls {
                command.env("INITIAL_NO_AUTH_ACTION_COUNT", calls.to_string());
            }
            let mut child = command
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("the server starts");
            if listens(&mut child, port) {
                return Self { port, child };
            }
        }
        panic!("moto did not start; run: tests/setup/aws.sh");
    }

    /// Where it is.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _reaped = self.child.wait();
    }
}

/// A program that `tests/setup/aws.sh` installed: `aws`, `python`, `rclone`, `moto_server`.
pub(crate) fn program(name: &str) -> PathBuf {
    cached("aws", "aws").join("python/bin").join(name)
}

/// Waits until it listens; not when it ends before.
fn listens(child: &mut Child, port: u16) -> bool {
    let patience = Instant::now() + Duration::from_secs(60);
    while Instant::now() < patience {
        if child.try_wait().expect("the server can be asked").is_some() {
            return false;
        }
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}
