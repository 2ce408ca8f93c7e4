//! Leases of SSH: a key and a certificate for one session.
//!
//! Job: make a key, sign it as a user certificate of minutes, make another when that is about to end; or
//! fetch the standing key of a host that cannot be changed. Boundary: keys live in memory and go to the
//! gateway only. Failure mode: no lease without its entry.
//!
//! A certificate cannot be taken back. It opens connections for minutes, from the gateway's addresses where
//! the configuration names them, and nobody but the gateway ever holds its key.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use russh::keys::ssh_key::certificate::{Builder, CertType};
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::ssh_key::{self, LineEnding};
use russh::keys::{Certificate, PrivateKey};
use secrecy::SecretString;

use super::issued::Issued;
use super::leases::Stamp;
use super::secrets::Secrets;
use crate::domain::action::Action;
use crate::domain::facts::{ForwardFacts, ForwardKind};
use crate::domain::name::SessionId;
use crate::domain::policy::{SessionPolicy, Verdict};
use crate::domain::target::{SshIssuer, SshTarget};
use crate::gateway::authority::{Authority, Credential, Lease, LeaseError, SessionContext};
use crate::gateway::journal::Journal;

/// Makes leases of SSH.
pub(crate) struct Certificates {
    authority_key: PrivateKey,
    authority: Arc<dyn Authority>,
    secrets: Secrets,
    issued: Issued,
}

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
        Self { authority_key, authority, secrets, issued: Issued::new(journal, stamp) }
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
        if let Some(lease) = self.issued.lasting(context) {
            return Ok(lease);
        }
        let turn = self.issued.begin(&context.id);
        let now = self.issued.now();
        let limit = Issued::limit(context, now);
        let (lease, note) = match &target.issuer {
            SshIssuer::Certificate { source_addresses, seconds } => {
                let valid = SignedDuration::from_secs(i64::try_from(*seconds).unwrap_or_default());
                let expires = now.checked_add(valid).unwrap_or(now).min(limit);
                let signed = self.sign(context, target, source_addresses.iter(), (now, expires));
                let (key, certificate) = signed.map_err(|error| LeaseError::Upstream(error.to_string()))?;
                let credential = Credential::Ssh { key, certificate: Some(certificate) };
                let note = format!("the key is gone; the certificate says that it is valid until {expires}");
                (Lease { user: target.login.clone(), credential, expires }, note)
            }
            SshIssuer::Static { key } => {
                let key = self.secrets.fetch_whole(key).await;
                let key = key.map_err(|error| LeaseError::Secret(error.to_string()))?;
                let credential = Credential::Ssh { key, certificate: None };
                let lease = Lease { user: target.login.clone(), credential, expires: limit };
                (lease, "a standing key".to_owned())
            }
        };
        self.issued.give(turn, context, lease, note)
    }

    /// Forgets the session's lease.
    pub(crate) fn revoke(&self, session: &SessionId) {
        self.issued.end(session);
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
        for extension in extensions(&self.authority.session_policy(context)) {
            builder.extension(extension, "")?;
        }
        let certificate: Certificate = builder.sign(&self.authority_key)?;
        Ok((key.to_openssh(LineEnding::LF)?.to_string().into(), certificate.to_openssh()?))
    }
}

/// What the certificate lets its bearer do beyond running commands: no more than policy allows.
fn extensions(policy: &SessionPolicy) -> Vec<&'static str> {
    let mere = |kind| ForwardFacts { kind, host: String::new(), port: 0 };
    // of these nothing is known later that is not known now
    let allows = |kind| matches!(policy.judge(&Action::Forward(&mere(kind))), Verdict::Allow(_));
    let mut all = vec!["permit-pty"];
    if allows(ForwardKind::Agent) {
        all.push("permit-agent-forwarding");
    }
    // where these lead is known when they are asked for
    if policy.could_allow(&Action::Forward(&mere(ForwardKind::Local))) {
        all.push("permit-port-forwarding");
    }
    if allows(ForwardKind::X11) {
        all.push("permit-X11-forwarding");
    }
    all
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;
    use crate::broker::testing::target;
    use crate::domain::name::ProviderName;
    use crate::domain::policy::{Policy, PolicySource};
    use crate::domain::principal::{Kin, Principal, PrincipalId, PrincipalKind, Subject};

    #[test]
    fn a_certificate_lets_forward_what_policy_lets_forward_and_no_more() {
        let somebody = Principal {
            id: PrincipalId {
                provider: ProviderName::new("corp").unwrap(),
                subject: Subject::new("alice").unwrap(),
            },
            kind: PrincipalKind::Human,
            display: "alice".into(),
            groups: [].into(),
            kin: Kin::default(),
            attributes: [].into(),
        };
        let of = |when: &str| {
            let text = format!(
                "@id(\"connect\") permit(principal, action == Hoop::Action::\"connect\", resource);
                 @id(\"f\") permit(principal, action == Hoop::Action::\"forward\", resource) when {{ {when} }};"
            );
            let policy = Policy::compile(&[PolicySource { name: "test".into(), text }]).unwrap();
            extensions(&policy.session(&somebody, &target()))
        };
        let (pty, ports) = ("permit-pty", "permit-port-forwarding");
        assert_eq!(of(r#"context.kind == "agent""#), [pty, "permit-agent-forwarding", ports]);
        assert_eq!(of(r#"context.kind == "x11""#), [pty, ports, "permit-X11-forwarding"]);
        assert_eq!(of(r#"context.kind == "local" && context.host == "db""#), [pty, ports]);
    }
}
