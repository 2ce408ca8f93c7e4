//! What the commands start from: the environment, read once, and the way to a broker.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;

use url::Url;

use super::args::Global;
use super::failure::{Failure, FailureKind};
use super::ui::Ui;
use crate::client::ClientContext;
use crate::client::api::Api;
use crate::client::home::{BrokerHome, Home, broker_url};
use crate::client::keychain::StoreChoice;
use crate::client::link::Link;
use crate::client::login::{Identity, LoginError, Person, Workload};
use crate::client::trust::{Pin, PinnedRoot};
use crate::client::workload::WorkloadSource;
use crate::gateway::clock::Clock;

/// What the commands start from.
#[derive(Debug)]
pub struct Context {
    /// Where to write.
    pub ui: Ui,
    /// What the client floor needs to know.
    pub client: ClientContext,
    global: Global,
}

impl Context {
    /// Reads the environment.
    ///
    /// # Errors
    /// When a variable is wrong, or there is no place for state.
    pub fn read(global: Global, ui: Ui) -> Result<Self, Failure> {
        let client = ClientContext {
            home: Arc::new(Home::open(state_dir()?)?),
            host_name: host_name(),
            store: store_choice()?,
            temporary: env::temp_dir(),
            clock: Clock::system(),
        };
        Ok(Self { ui, client, global })
    }

    /// The place of the broker to use.
    ///
    /// # Errors
    /// When none is known.
    pub fn place(&self) -> Result<BrokerHome, Failure> {
        let url = match &self.global.broker {
            Some(text) => broker_url(text)?,
            None => self.client.home.default_broker()?.ok_or_else(|| {
                Failure::new(FailureKind::LoginNeeded, "not logged in, and no broker is named")
                    .hint("type `hoopctl login --broker URL`")
            })?,
        };
        Ok(self.client.home.broker(&url)?)
    }

    /// The pin of the command line, if any.
    ///
    /// # Errors
    /// When it is not one.
    pub fn pin(&self) -> Result<Option<PinnedRoot>, Failure> {
        let Some(text) = &self.global.broker_pin else { return Ok(None) };
        let pin: Pin =
            text.parse().map_err(|error| Failure::new(FailureKind::Usage, format!("`{text}`: {error}")))?;
        Ok(Some(PinnedRoot { pin, root: None }))
    }

    /// Where a workload's token comes from, if a workload is meant.
    ///
    /// # Errors
    /// When the source is not written as one.
    pub fn workload(&self) -> Result<Option<WorkloadSource>, Failure> {
        let Some(text) = &self.global.workload else { return Ok(None) };
        match text.split_once(':') {
            Some(("token-file", path)) if !path.is_empty() => Ok(Some(WorkloadSource::File(path.into()))),
            Some(("env", name)) if !name.is_empty() => {
                let variable = name.to_owned();
                let read = Arc::new(move || env::var(&variable).ok());
                Ok(Some(WorkloadSource::Env { name: name.to_owned(), read }))
            }
            _ => Err(Failure::new(FailureKind::Usage, format!("`{text}` is not a workload source"))
                .hint("write `token-file:PATH` or `env:NAME`")),
        }
    }

    /// Whoever is logged in, ready to call.
    ///
    /// # Errors
    /// When nobody is.
    pub async fn api(&self) -> Result<Arc<Api>, Failure> {
        let place = self.place()?;
        if let Some(source) = self.workload()? {
            let link = self.link(place.url(), self.pin()?)?;
            let workload = Workload::new(&self.client, &link, source).await?;
            return Ok(Api::new(self.client.clone(), link, Identity::Workload(workload)));
        }
        let (person, pinned) = Person::find(&self.client, &place)?;
        let link = self.link(place.url(), self.pin()?.or(pinned))?;
        Ok(Api::new(self.client.clone(), link, Identity::Person(person)))
    }

    /// A way to a broker.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn link(&self, url: &Url, pinned: Option<PinnedRoot>) -> Result<Link, Failure> {
        Ok(Link::new(url, pinned, self.client.clock.clone())?)
    }

    /// What was pinned at an earlier login, if there was one.
    #[must_use]
    pub fn remembered_pin(&self, place: &BrokerHome) -> Option<PinnedRoot> {
        match Person::find(&self.client, place) {
            Ok((_, pinned)) => pinned,
            Err(LoginError::Needed(_)) | Err(_) => None,
        }
    }
}

fn state_dir() -> Result<PathBuf, Failure> {
    if let Some(home) = set("HOOPCTL_HOME") {
        return Ok(home.into());
    }
    if let Some(state) = set("XDG_STATE_HOME") {
        return Ok(PathBuf::from(state).join("hoopctl"));
    }
    let home = set("HOME").ok_or_else(|| {
        Failure::new(FailureKind::Configuration, "there is no place for state: HOME is not set")
            .hint("set HOOPCTL_HOME to a directory of your own")
    })?;
    Ok(PathBuf::from(home).join(".local/state/hoopctl"))
}

fn store_choice() -> Result<StoreChoice, Failure> {
    match set("HOOPCTL_CREDENTIAL_STORE").as_deref() {
        None | Some("auto") => Ok(StoreChoice::Auto),
        Some("file") => Ok(StoreChoice::File),
        Some("keyring") => Ok(StoreChoice::Keyring),
        Some(other) => Err(Failure::new(
            FailureKind::Configuration,
            format!("HOOPCTL_CREDENTIAL_STORE is `{other}`, not `auto`, `keyring` or `file`"),
        )),
    }
}

fn host_name() -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = kernel.or_else(|| set("HOSTNAME")).unwrap_or_default();
    let name: String = name.trim().chars().filter(|c| !c.is_control()).take(253).collect();
    if name.is_empty() { "unknown".into() } else { name }
}

/// A variable that is set to something.
#[must_use]
pub fn set(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
