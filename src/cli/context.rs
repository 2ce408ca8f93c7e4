//! What the commands start from: the environment, read once, and the way to a broker.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use url::Url;

use super::args::Global;
use super::failure::{Failure, FailureKind, WORKLOAD_SOURCES};
use super::ui::Ui;
use crate::client::api::Api;
use crate::client::home::{BrokerHome, Home, broker_url};
use crate::client::keychain::StoreChoice;
use crate::client::link::Link;
use crate::client::login::{Identity, LoginError, Person, Workload};
use crate::client::trust::{Pin, PinnedRoot};
use crate::client::workload::{Platform, Source, Variables};
use crate::client::{ClientContext, Sight, Sights, Strangers};
use crate::domain::device::Device;
use crate::gateway::clock::Clock;

/// What the commands start from.
#[derive(Debug)]
pub struct Context {
    /// Where to write.
    pub ui: Ui,
    /// What the client floor needs to know.
    pub client: ClientContext,
    global: Global,
    /// The home of a workload that can keep nothing; gone with this.
    scratch: Option<TempDir>,
}

impl Context {
    /// Reads the environment.
    ///
    /// # Errors
    /// When a variable is wrong, or there is no place for state.
    pub fn read(global: Global, ui: Ui) -> Result<Self, Failure> {
        let (home, scratch) = match &global.workload {
            Some(_) => job_dir(ui)?,
            None => (Home::open(state_dir()?)?, None),
        };
        // what is gone when the command has ended is no memory
        let stays = scratch.is_none();
        let client = ClientContext {
            home: Arc::new(home),
            host_name: host_name(),
            store: store_choice()?,
            temporary: env::temp_dir(),
            clock: Clock::system(),
            strangers: Strangers::new(move |devices| warn_of(ui, devices)),
            sights: Sights::new(move |sight| tell_sight(ui, sight, stays)),
        };
        Ok(Self { ui, client, global, scratch })
    }

    /// The place of the broker to use.
    ///
    /// # Errors
    /// When none is known.
    pub fn place(&self) -> Result<BrokerHome, Failure> {
        Ok(self.client.home.broker(&self.broker()?)?)
    }

    fn broker(&self) -> Result<Url, Failure> {
        match &self.global.broker {
            Some(text) => Ok(broker_url(text)?),
            None => self.client.home.default_broker()?.ok_or_else(|| {
                let failure = Failure::new(FailureKind::LoginNeeded, "not logged in, and no broker is named");
                match &self.global.workload {
                    Some(_) => failure.hint("name one with `--broker URL` or HOOPCTL_BROKER"),
                    None => failure.hint("type `hoopctl login --broker URL`"),
                }
            }),
        }
    }

    /// Whether what is kept stays when this command has ended.
    #[must_use]
    pub fn stays(&self) -> bool {
        self.scratch.is_none()
    }

    /// The home of a workload that can keep nothing, if that is what this one has.
    #[must_use]
    pub fn scratch(&self) -> Option<&Path> {
        self.scratch.as_ref().map(TempDir::path)
    }

    /// The options that lead another command to the same broker as the same person or workload.
    #[must_use]
    pub fn again(&self, place: &BrokerHome) -> Vec<OsString> {
        let given = |name: &str, value: &Option<String>| {
            value.as_ref().map(|value| [OsString::from(name), value.into()])
        };
        let pin = given("--broker-pin", &self.global.broker_pin);
        let workload = given("--workload", &self.global.workload);
        let broker = [OsString::from("--broker"), place.url().as_str().into()];
        [Some(broker), pin, workload].into_iter().flatten().flatten().collect()
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
    pub fn workload(&self) -> Result<Option<Platform>, Failure> {
        let Some(text) = &self.global.workload else { return Ok(None) };
        let source = Source::parse(text).ok_or_else(|| {
            Failure::new(FailureKind::Usage, format!("`{text}` is not a workload source"))
                .hint(format!("write {WORKLOAD_SOURCES}"))
        })?;
        Ok(Some(Platform::new(source, Variables::new(|name| env::var(name).ok()))))
    }

    /// Whoever is logged in, ready to call.
    ///
    /// # Errors
    /// When nobody is.
    pub async fn api(&self) -> Result<Arc<Api>, Failure> {
        if let Some(platform) = self.workload()? {
            let url = self.broker()?;
            let link = self.link(&url, self.pin()?)?;
            // where nothing can be written, the key lives as long as this command
            let place = self.client.home.broker(&url).ok();
            let workload = Workload::new(&self.client, &link, platform, place).await?;
            return Ok(Api::new(self.client.clone(), link, Identity::Workload(workload)));
        }
        let place = self.place()?;
        let (person, pinned) = Person::find(&self.client, &place)?;
        let link = self.link(place.url(), self.pin()?.or(pinned))?;
        Ok(Api::new(self.client.clone(), link, Identity::Person(person)))
    }

    /// Whether a workload is meant.
    #[must_use]
    pub fn is_workload(&self) -> bool {
        self.global.workload.is_some()
    }

    /// Whoever is logged in, with what an earlier command left for that; none where it would have to be renewed.
    pub async fn api_at_hand(&self) -> Option<Arc<Api>> {
        let (link, identity) = if let Some(source) = self.workload().ok()? {
            let url = self.broker().ok()?;
            let link = self.link(&url, self.pin().ok()?).ok()?;
            let place = self.client.home.broker(&url).ok();
            let workload = Workload::new(&self.client, &link, source, place).await.ok()?;
            (link, Identity::Workload(workload))
        } else {
            let place = self.place().ok()?;
            let (person, pinned) = Person::find(&self.client, &place).ok()?;
            let link = self.link(place.url(), self.pin().ok()?.or(pinned)).ok()?;
            (link, Identity::Person(person))
        };
        Api::at_hand(self.client.clone(), link, identity)
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

/// Where a job keeps its key between its commands: where it is told to, else where its platform
/// removes things after the job or the login, else nowhere.
fn job_dir(ui: Ui) -> Result<(Home, Option<TempDir>), Failure> {
    if let Some(home) = set("HOOPCTL_HOME") {
        return Ok((Home::open(home)?, None));
    }
    for folder in ["RUNNER_TEMP", "XDG_RUNTIME_DIR"].into_iter().filter_map(set) {
        match Home::open(PathBuf::from(folder).join("hoopctl")) {
            Ok(home) => return Ok((home, None)),
            // somebody may have put it there before the job
            Err(error) => ui.warning(&format!("the job's key is kept elsewhere: {error}")),
        }
    }
    // in a container with a read-only root, often only shared memory can be written
    for folder in [env::temp_dir(), SHARED_MEMORY.into()] {
        if let Ok(scratch) = tempfile::Builder::new().prefix("hoopctl-").tempdir_in(&folder) {
            return Ok((Home::open(scratch.path())?, Some(scratch)));
        }
    }
    // where nothing can be, the key lives in this process
    Ok((Home::unmade(env::temp_dir().join("hoopctl")), None))
}

/// A key that somebody else enrolled opens everything that this person may open.
fn warn_of(ui: Ui, devices: &[Device]) {
    for device in devices {
        let enrolled = device.enrolled.round(jiff::Unit::Second).unwrap_or(device.enrolled);
        ui.warning(&format!(
            "a device that this one does not know was enrolled for you at {enrolled}: {} on `{}`",
            device.id, device.host
        ));
        ui.talk(&format!(
            "hint: if it is yours, `hoopctl device list` ends this warning; if not, type `hoopctl device revoke {}`",
            device.id
        ));
    }
}

/// Said once for each broker: from the second visit on, nobody's word is taken.
fn tell_sight(ui: Ui, sight: &Sight, stays: bool) {
    match sight {
        Sight::First { key, size, is_named: false } if stays => ui.talk(&format!(
            "note: the broker's ledger, with {size} entries, is remembered from now on; its key is the broker's own word, \
             so compare it once with what the operator gives:\n  {key}"
        )),
        Sight::First { .. } => {}
        Sight::Rotated { key, index, is_compromised } => {
            let why = if *is_compromised { ", because others may know the one before" } else { "" };
            ui.talk(&format!(
                "note: the key of the broker's ledger was changed with entry {index}{why}; the old key has signed that, \
                 and the new one is remembered from now on:\n  {key}"
            ));
        }
        Sight::Nothing => ui.warning(
            "the broker is too old to show the head of its ledger, so nothing tells whether that is still the one it was",
        ),
    }
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

const SHARED_MEMORY: &str = "/dev/shm";

/// A variable that is set to something.
#[must_use]
pub fn set(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
