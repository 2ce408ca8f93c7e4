//! The login of a CI job, a service or an agent.
//!
//! Job: gets the workload's token where its platform hands it out, anew when it must be. Boundary: asks only
//! the platform; keeps nothing on disk. What a broker is given is a token for that broker: one for
//! somebody else never leaves this process. Failure mode: an error that names the source, never its content.

mod credentials;
mod github;
mod source;
mod token;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use thiserror::Error;

pub use source::Source;
pub(super) use token::Mark;

use super::provider::ProviderError;
use crate::wire::control::WorkloadInfo;

/// The variables of the environment, read by the floor above.
#[derive(Clone)]
pub struct Variables(Arc<Read>);

type Read = dyn Fn(&str) -> Option<String> + Send + Sync;

impl Variables {
    /// Reads them with this.
    pub fn new(read: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// One that is set to something.
    fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.trim().is_empty())
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Variables")
    }
}

/// A workload's platform, ready to be asked.
#[derive(Debug)]
pub struct Platform {
    source: Source,
    variables: Variables,
    /// What it said the last time, as long as that is good: some count what they are asked.
    held: Mutex<Option<Held>>,
}

#[derive(Debug)]
struct Held {
    token: SecretString,
    until: Timestamp,
}

/// Why there is no token.
#[derive(Debug, Error)]
pub enum WorkloadError {
    /// The token is for others.
    #[error("the workload token in `{place}` is for {found}, and this broker takes tokens for {wanted}")]
    Audience {
        /// Where it is.
        place: String,
        /// Whom it is for.
        found: String,
        /// Whom it should be for.
        wanted: String,
    },
    /// Nothing there.
    #[error("there is no workload token in `{0}`")]
    Empty(Source),
    /// Others could read the secret.
    #[error("the client secret in `{path}` is open to other users", path = .0.display())]
    Exposed(PathBuf),
    /// The broker names another issuer than the one that the secret is for.
    #[error("the broker wants a token of {named}, and HOOPCTL_CLIENT_ISSUER is {expected}")]
    Issuer {
        /// What the broker says.
        named: String,
        /// What the environment says.
        expected: String,
    },
    /// A variable that the platform should set is not there.
    #[error("{missing} is not set: {why}")]
    Missing {
        /// The variable.
        missing: &'static str,
        /// What follows from that.
        why: &'static str,
    },
    /// The issuer of client credentials gave nothing.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The platform gave nothing.
    #[error("{platform} gives this job no token: {cause}")]
    Refused {
        /// Which one.
        platform: &'static str,
        /// What it said.
        cause: String,
    },
    /// The broker could mean several.
    #[error("{what}; this broker knows {known}")]
    Unclear {
        /// What cannot be told.
        what: &'static str,
        /// What there is.
        known: String,
    },
    /// The file cannot be read.
    #[error("the {what} in `{path}` cannot be read: {cause}", path = .path.display())]
    Unreadable {
        /// What should be in it.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
}

impl Platform {
    /// The platform of a source.
    #[must_use]
    pub fn new(source: Source, variables: Variables) -> Self {
        Self { source, variables, held: Mutex::new(None) }
    }

    /// Where tokens come from.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Whether there is a token, or what one is asked for with; asks nobody.
    ///
    /// # Errors
    /// [`WorkloadError`].
    pub fn ready(&self) -> Result<(), WorkloadError> {
        self.mark().map(drop)
    }

    /// What the job can be known by before its token is asked for.
    pub(super) fn mark(&self) -> Result<Mark, WorkloadError> {
        match &self.source {
            Source::ClientCredentials { issuer } => {
                let id = self.client_id()?;
                Ok(Mark::of_asker(&["client-credentials", issuer.as_deref().unwrap_or_default(), &id]))
            }
            Source::Env(_) | Source::File(_) | Source::Gitlab(_) | Source::Kubernetes(_) => {
                Ok(Mark::of_token(self.read()?))
            }
            Source::Github { audience } => {
                let runner = github::Runner::find(&self.variables)?;
                let audience = self.wanted_audience(audience.as_ref()).unwrap_or_default();
                Ok(Mark::of_asker(&["github", &runner.identity(), &audience]))
            }
        }
    }

    /// When its token ends, where nothing here replaces it; `None` where the platform gives others. A token that does not
    /// say when it ends serves as long as it is taken.
    pub(super) fn ends(&self) -> Result<Option<Timestamp>, WorkloadError> {
        match &self.source {
            Source::ClientCredentials { .. } | Source::Github { .. } | Source::Kubernetes(_) => Ok(None),
            Source::Env(_) | Source::File(_) | Source::Gitlab(_) => {
                Ok(Some(token::expiry(&self.read()?).unwrap_or(Timestamp::MAX)))
            }
        }
    }

    /// A token for the broker that trusts these issuers.
    pub(super) async fn token(
        &self,
        mark: Mark,
        known: &[WorkloadInfo],
        now: Timestamp,
    ) -> Result<SecretString, WorkloadError> {
        if let Some(token) = mark.into_token() {
            token::check_audience(&token, &self.source, known)?;
            return Ok(token);
        }
        if let Some(token) = self.held(now) {
            return Ok(token);
        }
        let token = match &self.source {
            Source::ClientCredentials { issuer } => {
                let why = "it says who may get the client secret, for the broker is not asked that";
                let expected = self.required("HOOPCTL_CLIENT_ISSUER", why)?;
                let chosen = credentials::choose(known, issuer.as_deref(), &expected)?;
                let secret = credentials::secret(&self.variables)?;
                credentials::ask(chosen, self.client_id()?, &secret).await?
            }
            Source::Github { audience } => {
                let audience = self.wanted_audience(audience.as_ref());
                let audience = github::audience(known, audience)?;
                github::Runner::find(&self.variables)?.ask(&audience).await?
            }
            // what can be read was read for the mark
            Source::Env(_) | Source::File(_) | Source::Gitlab(_) | Source::Kubernetes(_) => self.read()?,
        };
        let until = token::expiry(&token).unwrap_or(now) - MARGIN;
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Held { token: token.clone(), until });
        Ok(token)
    }

    /// Whether a token of an earlier call is at hand.
    pub(super) fn holds(&self) -> bool {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Lets go of it: the broker does not take it.
    pub(super) fn forget(&self) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn held(&self, now: Timestamp) -> Option<SecretString> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().filter(|held| held.until > now).map(|held| held.token.clone())
    }

    /// Reads the token as it is now.
    fn read(&self) -> Result<SecretString, WorkloadError> {
        let variable = |name: &str| self.variables.get(name).unwrap_or_default();
        let text = match &self.source {
            Source::Env(name) => variable(name),
            Source::Gitlab(name) => match variable(name) {
                none if none.is_empty() && self.variables.get("GITLAB_CI").is_none() => {
                    let why = "this is no job of GitLab";
                    return Err(WorkloadError::Missing { missing: "GITLAB_CI", why });
                }
                token => token,
            },
            Source::File(path) | Source::Kubernetes(Some(path)) => token::read_file(path)?,
            Source::Kubernetes(None) => match token::read_file(PROJECTED.as_ref()) {
                Err(WorkloadError::Unreadable { cause, .. })
                    if cause.kind() == std::io::ErrorKind::NotFound =>
                {
                    token::read_file(SERVICE_ACCOUNT.as_ref())?
                }
                other => other?,
            },
            Source::ClientCredentials { .. } | Source::Github { .. } => String::new(),
        };
        match text.trim() {
            "" => Err(WorkloadError::Empty(self.source.clone())),
            token => Ok(token.to_owned().into()),
        }
    }

    fn wanted_audience(&self, named: Option<&String>) -> Option<String> {
        named.cloned().or_else(|| self.variables.get("HOOPCTL_WORKLOAD_AUDIENCE"))
    }

    fn client_id(&self) -> Result<String, WorkloadError> {
        self.required("HOOPCTL_CLIENT_ID", "client credentials are an id and a secret")
    }

    fn required(&self, missing: &'static str, why: &'static str) -> Result<String, WorkloadError> {
        self.variables.get(missing).ok_or(WorkloadError::Missing { missing, why })
    }
}

/// Where a pod's specification should put the token for the broker.
pub const PROJECTED: &str = "/var/run/secrets/hoopctl/token";
/// Where every pod has one, which is for the cluster's own API unless the cluster says otherwise.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
/// A token is not used in its last seconds: the exchange must still arrive with it.
const MARGIN: SignedDuration = SignedDuration::from_secs(30);

#[cfg(test)]
mod tests;
