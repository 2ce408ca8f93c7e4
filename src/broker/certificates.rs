//! Leases of SSH: a key and a certificate for one session.
//!
//! Job: make a key, sign it as a user certificate of minutes, make another when that is about to end; or
//! fetch the standing key of a host that cannot be changed. Boundary: keys live in memory and go to the
//! gateway only. Failure mode: no lease without its entry.
//!
//! A certificate cannot be taken back. It opens connections for minutes, from the gateway's addresses where
//! the configuration names them, and nobody but the gateway ever holds its key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use russh::keys::ssh_key::certificate::{Builder, CertType};
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::ssh_key::{self, LineEnding};
use russh::keys::{Certificate, PrivateKey};
use secrecy::SecretString;

use super::leases::Stamp;
use super::secrets::Secrets;
use crate::domain::action::Action;
use crate::domain::event::{Actor, Event, What};
use crate::domain::facts::{ForwardFacts, ForwardKind};
use crate::domain::name::SessionId;
use crate::domain::target::{SshIssuer, SshTarget};
use crate::gateway::authority::{Authority, Credential, Lease, LeaseError, SessionContext};
use crate::gateway::journal::Journal;

/// Makes leases of SSH.
pub(crate) struct Certificates {
    authority_key: PrivateKey,
    authority: Arc<dyn Authority>,
    journal: Arc<dyn Journal>,
    secrets: Secrets,
    stamp: Box<dyn Fn() -> Stamp + Send + Sync>,
    issued: Mutex<HashMap<SessionId, Issued>>,
}

struct Issued {
    lease: Lease,
    actor: Actor,
}

/// A certificate that ends sooner is replaced before it is used.
const SPARE: SignedDuration = SignedDuration::from_secs(30);
/// How far the host's clock may be behind.
const SKEW: SignedDuration = SignedDuration::from_secs(60);

impl Certificates {
    /// Certificates that this key signs.
    pub(crate) fn new(
        authority_key: PrivateKey,
        authority: Arc<dyn Authority>,
        journal: Arc<dyn Journal>,
        secrets: Secrets,
        stamp: impl Fn() -> Stamp + Send + Sync + 'static,
    ) -> Self {
        let issued = Mutex::default();
        Self { authority_key, authority, journal, secrets, stamp: Box::new(stamp), issued }
    }

    /// The session's lease; another one when it is about to end.
    ///
    /// # Errors
    /// [`LeaseError`].
    pub(crate) async fn issue(
        &self,
        context: &SessionContext,
        target: &SshTarget,
    ) -> Result<Lease, LeaseError> {
        let now = (self.stamp)().at;
        let known = self.issued().get(&context.id).map(|issued| issued.lease.clone());
        // a session that is about to end gets no certificate that lasts longer
        let enough =
            |lease: &Lease| lease.expires.duration_since(now) > SPARE || lease.expires >= context.expires;
        if let Some(lease) = known.filter(enough) {
            return Ok(lease);
        }
        let lease = match &target.issuer {
            SshIssuer::Certificate { source_addresses, seconds } => {
                let valid = SignedDuration::from_secs(i64::try_from(*seconds).unwrap_or_default());
                let expires = now.checked_add(valid).unwrap_or(now).min(context.expires);
                let signed = self.sign(context, target, source_addresses.iter(), (now, expires));
                let (key, certificate) = signed.map_err(|error| LeaseError::Upstream(error.to_string()))?;
                let credential = Credential::Ssh { key, certificate: Some(certificate) };
                Lease { user: target.login.clone(), credential, expires }
            }
            SshIssuer::Static { key } => {
                let key = self.secrets.fetch_whole(key).await;
                let key = key.map_err(|error| LeaseError::Secret(error.to_string()))?;
                let credential = Credential::Ssh { key, certificate: None };
                Lease { user: target.login.clone(), credential, expires: context.expires }
            }
        };
        // INVARIANT: entered before it can be used
        let (session, login, expires) = (context.id.clone(), lease.user.clone(), lease.expires);
        self.enter(&context.actor, What::LeaseIssued { session, login, expires })?;
        let issued = Issued { lease: lease.clone(), actor: context.actor.clone() };
        self.issued().insert(context.id.clone(), issued);
        Ok(lease)
    }

    /// Forgets the session's lease.
    pub(crate) fn revoke(&self, session: &SessionId) {
        let Some(Issued { lease, actor }) = self.issued().remove(session) else { return };
        let note = match &lease.credential {
            Credential::Ssh { certificate: Some(_), .. } => {
                format!("the key is gone; the certificate says that it is valid until {}", lease.expires)
            }
            _ => "a standing key".to_owned(),
        };
        let what = What::LeaseRevoked { session: session.clone(), login: lease.user, clean: true, note };
        if let Err(error) = self.enter(&actor, what) {
            tracing::error!(%session, %error, "the end of a lease could not be entered");
        }
    }

    fn sign<'a>(
        &self,
        context: &SessionContext,
        target: &SshTarget,
        source_addresses: impl Iterator<Item = &'a String>,
        (now, expires): (Timestamp, Timestamp),
    ) -> ssh_key::Result<(SecretString, String)> {
        let key = PrivateKey::from(Ed25519Keypair::from_seed(&rand::random()));
        let seconds = |time: Timestamp| u64::try_from(time.as_second()).unwrap_or_default();
        let after = now.checked_sub(SKEW).unwrap_or(now);
        let nonce: [u8; 32] = rand::random();
        let mut builder =
            Builder::new(nonce, key.public_key().key_data().clone(), seconds(after), seconds(expires))?;
        builder.serial(rand::random())?;
        builder.cert_type(CertType::User)?;
        // shown in the host's log, so that both logs tell of the same session
        builder.key_id(format!("{} {}", context.principal.id, context.id))?;
        builder.valid_principal(&target.login)?;
        let sources = source_addresses.cloned().collect::<Vec<_>>().join(",");
        if !sources.is_empty() {
            builder.critical_option("source-address", sources)?;
        }
        for extension in self.extensions(context) {
            builder.extension(extension, "")?;
        }
        let certificate: Certificate = builder.sign(&self.authority_key)?;
        Ok((key.to_openssh(LineEnding::LF)?.to_string().into(), certificate.to_openssh()?))
    }

    /// What the certificate lets its bearer do beyond running commands: no more than some rule allows.
    fn extensions(&self, context: &SessionContext) -> Vec<&'static str> {
        let policy = self.authority.session_policy(context);
        let forwards = |kind| {
            let facts = ForwardFacts { kind, host: String::new(), port: 0 };
            policy.could_allow(&Action::Forward(&facts))
        };
        let mut all = vec!["permit-pty"];
        if forwards(ForwardKind::Agent) {
            all.extend(["permit-agent-forwarding", "permit-port-forwarding", "permit-X11-forwarding"]);
        }
        all
    }

    fn enter(&self, actor: &Actor, what: What) -> Result<(), LeaseError> {
        let Stamp { at, policy } = (self.stamp)();
        let event = Event { at, actor: Some(actor.clone()), policy, what };
        self.journal.enter(&event).map(|_| ()).map_err(|error| LeaseError::Journal(error.to_string()))
    }

    fn issued(&self) -> std::sync::MutexGuard<'_, HashMap<SessionId, Issued>> {
        self.issued.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
