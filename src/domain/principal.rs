//! Who asks: a human or a machine, and the groups they are in now.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::filter::Claim;
use super::name::{GroupName, ProviderName};
use super::text;

/// An authenticated human or machine. Identity is issuer and subject; nothing else decides who it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// Who they are, for good.
    pub id: PrincipalId,
    /// Human or machine.
    pub kind: PrincipalKind,
    /// What people call them; shown, never compared.
    pub display: String,
    /// The groups that the provider asserted at the last exchange, each qualified by the provider.
    pub groups: BTreeSet<GroupName>,
    /// Who else is the same person, as far as the provider tells. It forbids (nobody reviews their own
    /// request), and never allows anything.
    #[serde(default)]
    pub kin: Kin,
    /// What else the token of the last exchange said of them, under the names that configuration gives it, and `email`
    /// where the provider has verified the address. Row filters compare with it; like groups, it is nobody else's business.
    #[serde(default)]
    pub attributes: BTreeMap<String, Claim>,
}

/// Who else is the same person.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Kin {
    /// The e-mail address, in lower case.
    pub email: Option<String>,
    /// The person who owns this machine, by the configuration of its issuer.
    pub owner: Option<PrincipalId>,
    /// That person's e-mail address, as of their last sign-in.
    #[serde(default)]
    pub owner_email: Option<String>,
}

/// Provider and subject: `corp:alice`. The subject is the provider's own, unique and never reused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PrincipalId {
    /// The provider, as the configuration calls it.
    pub provider: ProviderName,
    /// The `sub` claim: at most 255 characters (OpenID Connect Core §2), none that deceives the eye.
    pub subject: Subject,
}

/// A principal as far as it matters who is the same person.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Person {
    /// Who.
    pub id: PrincipalId,
    /// Who else is the same person.
    pub kin: Kin,
}

impl Person {
    /// Whether the two are one person, as far as anybody can tell.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        let persons = |who: &Self| [Some(who.id.clone()), who.kin.owner.clone()];
        let shares_person = persons(self)
            .iter()
            .flatten()
            .any(|own| persons(other).iter().flatten().any(|theirs| theirs == own));
        // through the owner, too: the second account of a machine's owner is the owner
        let mails = |who: &Self| [who.kin.email.clone(), who.kin.owner_email.clone()];
        let shares_mail =
            mails(self).iter().flatten().any(|own| mails(other).iter().flatten().any(|theirs| theirs == own));
        shares_person || shares_mail
    }
}

impl Principal {
    /// What `principal.<name>` stands for in a row filter: the attributes, and what every login carries.
    #[must_use]
    pub fn claims(&self) -> BTreeMap<String, Claim> {
        let mut claims = self.attributes.clone();
        let groups = self.groups.iter().map(ToString::to_string).collect();
        claims.extend([
            ("groups".to_owned(), Claim::Many(groups)),
            ("provider".to_owned(), Claim::One(self.id.provider.to_string())),
            ("subject".to_owned(), Claim::One(self.id.subject.as_str().to_owned())),
        ]);
        claims
    }

    /// The person.
    #[must_use]
    pub fn person(&self) -> Person {
        Person { id: self.id.clone(), kin: self.kin.clone() }
    }

    /// Whether a review by `other` would be a review of one's own request.
    #[must_use]
    pub fn is_kin_of(&self, other: &Self) -> bool {
        self.person().is(&other.person())
    }
}

impl fmt::Display for PrincipalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.provider, self.subject)
    }
}

/// A `sub` claim.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subject(String);

impl Subject {
    /// Accepts a `sub` claim.
    ///
    /// # Errors
    /// When it is empty, longer than 255 characters, or holds a character that is not seen ([`text::deceives`]).
    pub fn new(text: impl Into<String>) -> Result<Self, SubjectError> {
        let text = text.into();
        let fits = !text.is_empty() && text.chars().count() <= 255;
        if fits && !text.chars().any(text::deceives) { Ok(Self(text)) } else { Err(SubjectError) }
    }

    /// The claim as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Subject {
    type Error = SubjectError;
    fn try_from(text: String) -> Result<Self, SubjectError> {
        Self::new(text)
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.0
    }
}

/// A `sub` claim that cannot name anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the subject is empty, longer than 255 characters, or holds a character that is not seen")]
pub struct SubjectError;

/// What kind of principal it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrincipalKind {
    /// A person who signed in.
    Human,
    /// A CI job, a service or an agent that presented a workload token.
    Machine,
}
