//! Everything that the demo needs, in one folder.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use super::broker::{self, Broker};
use super::cluster::{Cluster, free_port};
use super::config::{self, Parts};
use super::host::Host;
use super::orphans::Orphans;
use super::upstream::Upstream;
use super::{DemoFailure, Show, private, seed};
use crate::broker::embedded::{DemoUser, EmbeddedProvider, Running};

/// The running parts. The order of the fields is the order in which they are dropped.
pub(super) struct Stage {
    broker: Broker,
    api: Upstream,
    provider: Running,
    host: Host,
    cluster: Cluster,
    orphans: Orphans,
    folder: Folder,
    pub(super) broker_url: String,
    /// What one signs in with: whoever else is on this machine can reach the provider as well.
    pub(super) passcode: SecretString,
    listen: SocketAddr,
}

impl Stage {
    /// Starts them all.
    pub(super) async fn start(
        folder: Folder,
        port: Option<u16>,
        show: &mut (dyn Show + Send),
    ) -> Result<Self, DemoFailure> {
        let orphans = Orphans::adopt();
        for name in ["home", "run"] {
            private::folder(&folder.path().join(name)).map_err(io_error("a folder could not be made"))?;
        }
        let cluster = Cluster::start(&folder.path().join("postgres")).await?;
        show.line(&format!("PostgreSQL {} runs on 127.0.0.1:{}.", cluster.version, cluster.port));

        let admin_password = private::password();
        seed::create_database(&cluster.superuser("postgres").await?).await?;
        seed::fill(&cluster.superuser(seed::DATABASE).await?, &admin_password).await?;
        show.line(&format!("It holds {} reasoning traces, with secrets in them.", seed::ROWS));
        let admin_file = folder.path().join("admin-password");
        private::file(&admin_file, admin_password.expose_secret().as_bytes())
            .map_err(io_error("the password file could not be written"))?;

        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let api = Upstream::start(folder.path(), loopback(free_port())).await?;
        show.line(&format!("An HTTP API of the same traces runs on {}.", api.address));
        let host = Host::start(&folder.path().join("host")).await?;
        show.line(&format!(
            "A host with OpenSSH's server runs on 127.0.0.1:{}, as {}.",
            host.port, host.login
        ));
        let passcode = private::password();
        let provider =
            EmbeddedProvider::start_locked(loopback(free_port()), DemoUser::cast(), passcode.clone()).await?;
        show.line(&format!("An identity provider for the demo runs on {}.", provider.issuer));

        let listen = loopback(port.unwrap_or_else(free_port));
        let broker_url = format!("https://{listen}");
        let parts = Parts {
            listen,
            public_url: &broker_url,
            issuer: provider.issuer.as_str().trim_end_matches('/'),
            database_port: cluster.port,
            root_certificate: &cluster.root_certificate,
            admin_password: &admin_file,
            api: api.address,
            api_key: &api.key,
            host: &host,
        };
        let file = config::write(folder.path(), &parts)
            .map_err(io_error("the configuration could not be written"))?;
        let authority = broker::user_authority(&file)?;
        host.trust(&authority).map_err(io_error("the host's configuration could not be written"))?;
        let broker = Broker::start(&file, folder.path(), listen).await?;
        show.line(&format!("The broker runs on {broker_url}, configured by {}.", file.display()));
        show.line("");
        Ok(Self { broker, api, provider, host, cluster, orphans, folder, broker_url, passcode, listen })
    }

    /// The folder that holds everything.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The client's own state.
    pub(super) fn home(&self) -> PathBuf {
        self.folder().join("home")
    }

    /// The ports that must be free again at the end.
    pub(super) fn ports(&self) -> Vec<u16> {
        let Self { listen, api, provider, host, cluster, .. } = self;
        vec![listen.port(), api.address.port(), provider.address.port(), host.port, cluster.port]
    }

    /// Tells the user what to type.
    pub(super) fn say_what_is_next(&self, show: &mut (dyn Show + Send)) {
        let home = self.home();
        show.line(&format!(
            "Type this in another terminal. Sign in as alice (dba), bob (dev) or mallory (nothing), with the passcode {}.

    export HOOPCTL_BROKER={} HOOPCTL_HOME={} HOOPCTL_CREDENTIAL_STORE=file
    hoopctl login{}
    hoopctl list
    hoopctl explain db
    hoopctl connect db
    hoopctl connect db -- -c 'SELECT id, project, api_key, customer_id FROM reasoning_traces LIMIT 3'
    hoopctl connect db -- -c 'DROP TABLE reasoning_traces'
    hoopctl connect db -- -c 'DELETE FROM reasoning_traces WHERE id = 7'    waits for a developer:
    hoopctl request list --reviewable                                       as bob, with another HOOPCTL_HOME
    hoopctl connect traces-api -- curl -sS '/traces?limit=2'
    hoopctl connect traces-api -- curl -sS /traces/export
    hoopctl connect bastion                                                 a shell, each line of which is judged
    hoopctl connect bastion -- cat traces/7.log
    hoopctl connect bastion -- 'r\"\"m -rf traces'
    hoopctl session list
    hoopctl audit verify

All of it runs as one user of this machine, the host too: what may be done there may be done to the demo.
Ctrl-C here ends the demo and removes everything.",
            self.passcode.expose_secret(),
            self.broker_url,
            home.display(),
            self.broker.login_arguments().iter().map(|argument| format!(" {argument}")).collect::<String>(),
        ));
    }

    /// What `login` needs in order to trust this broker.
    pub(super) fn login_arguments(&self) -> Vec<String> {
        self.broker.login_arguments()
    }

    /// Stops them all in order: broker first, so that it can revoke its leases.
    pub(super) async fn stop(self) {
        self.broker.stop().await;
        self.api.stop().await;
        self.provider.stop().await;
        self.host.stop().await;
        self.cluster.stop().await;
        drop(self.orphans);
        drop(self.folder);
    }
}

/// The demo's folder; removed when dropped.
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Takes the user's folder if it is new or empty, else makes one.
    pub(super) fn make(chosen: Option<PathBuf>) -> Result<Self, DemoFailure> {
        let path = match chosen {
            Some(path) => {
                if fs::read_dir(&path).is_ok_and(|mut entries| entries.next().is_some()) {
                    return Err(DemoFailure::FolderInUse(path));
                }
                fs::create_dir_all(&path).map_err(io_error("the data folder could not be made"))?;
                path.canonicalize().map_err(io_error("the data folder cannot be found"))?
            }
            None => tempfile::Builder::new()
                .prefix("hoopctl-demo-")
                .tempdir()
                .map_err(io_error("the data folder could not be made"))?
                .keep(),
        };
        // others may pass through to the cluster's own folder, and see nothing
        fs::set_permissions(&path, fs::Permissions::from_mode(0o711))
            .map_err(io_error("the data folder could not be protected"))?;
        Ok(Self { path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // a process that is just ending may still write here
        for _ in 0..REMOVE_ATTEMPTS {
            match fs::remove_dir_all(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => std::thread::sleep(REMOVE_PAUSE),
                Ok(()) | Err(_) => return,
            }
        }
    }
}

fn io_error(what: &'static str) -> impl Fn(io::Error) -> DemoFailure {
    move |source| DemoFailure::Io { what, source }
}

const REMOVE_ATTEMPTS: u32 = 20;
const REMOVE_PAUSE: Duration = Duration::from_millis(100);
