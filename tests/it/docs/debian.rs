//! A cluster as `pg_createcluster` of Debian 12 leaves it, and `sudo -u postgres` for it.
//!
//! PostgreSQL 15; TLS with the certificate that `ssl-cert` makes (self-signed, for the machine's own name); `peer` on the
//! socket, passwords with SCRAM over TCP. What is not as there: the port and the socket's folder.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rcgen::{CertificateParams, DnType, KeyPair};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::postgres::{Cluster, ordinary_user};

/// The cluster, and a program `sudo` in this folder that becomes its `postgres`.
pub(super) fn cluster(tools: &Path) -> Cluster {
    let cluster = Cluster::start(15);
    snakeoil(&cluster.folder);
    let data = cluster.folder.join("data");
    let hba = "local all postgres peer map=test\nlocal all all peer\nhost all all 127.0.0.1/32 scram-sha-256\n\
               host all all ::1/128 scram-sha-256\n";
    fs::write(data.join("pg_hba.conf"), hba).expect("written");
    // whoever runs the server here is `postgres` there
    fs::write(data.join("pg_ident.conf"), "test /^.*$ postgres\n").expect("written");
    sudo(&cluster, &tools.join("sudo"));
    let state = fs::read_to_string(data.join("postmaster.pid")).expect("it runs");
    let pid = state.lines().next().and_then(|pid| Pid::from_raw(pid.parse().ok()?)).expect("a pid");
    kill_process(pid, Signal::HUP).expect("it reads its files again");
    let asks = || {
        let mut asks = Command::new(tools.join("sudo"));
        asks.args(["-u", "postgres", "psql", "-XAtwc", "select 1"]).output().expect("it runs")
    };
    for _ in 0..200 {
        if asks().status.success() {
            return cluster;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{}", String::from_utf8_lossy(&asks().stderr));
}

/// As `make-ssl-cert generate-default-snakeoil` does: for the host's name, signed by itself, no authority.
fn snakeoil(folder: &Path) {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").expect("a name").trim().to_owned();
    let key = KeyPair::generate().expect("a key");
    let mut parameters = CertificateParams::new(vec![name.clone()]).expect("parameters");
    parameters.distinguished_name.push(DnType::CommonName, name);
    let certificate = parameters.self_signed(&key).expect("the certificate");
    fs::write(folder.join("server.pem"), certificate.pem()).expect("written");
    fs::write(folder.join("server.key"), key.serialize_pem()).expect("written");
}

fn sudo(cluster: &Cluster, path: &Path) {
    let become_it = ordinary_user().map_or_else(String::new, |(user, group)| {
        for name in ["server.pem", "server.key"] {
            chown(cluster.folder.join(name), Some(user), Some(group)).expect("given away");
        }
        format!("setpriv --reuid={user} --regid={group} --clear-groups ")
    });
    let text = format!(
        "#!/bin/sh\n[ \"$1 $2\" = '-u postgres' ] || exit 64\nshift 2\n\
         exec {become_it}env -i PATH=/usr/bin:/bin PGHOST='{}' PGPORT={} PGUSER=postgres \"$@\"\n",
        cluster.folder.display(),
        cluster.port
    );
    fs::write(path, text).expect("a script");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a script");
}
