//! Who is one person with whom, as entries tell it.
//!
//! Job: marks of a person that can be compared and not read: digests of who they are, of who owns them,
//! and of their e-mail addresses, each with the request that it is for, so that no mark says anything
//! about another request. Boundary: two share a mark exactly when [`Person::is`] says that they are one;
//! a mark of an address that one guesses can be made again. Failure mode: none.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use crate::domain::name::{Digest, RequestId};
use crate::domain::principal::{Person, PrincipalId};

/// Everything that tells who is the same person as somebody, about one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marks(BTreeSet<Digest>);

impl Marks {
    /// Of an entry: who it names, and what it says beside.
    #[must_use]
    pub fn told(request: &RequestId, who: &PrincipalId, beside: &[Digest]) -> Self {
        Self(beside.iter().cloned().chain([of_person(request, who)]).collect())
    }

    /// What an entry that names the person says beside.
    #[must_use]
    pub fn beside(request: &RequestId, person: &Person) -> Vec<Digest> {
        let kin = &person.kin;
        let mails = [&kin.email, &kin.owner_email].into_iter().flatten();
        let mails = mails.map(|mail| mark(request, "email", mail));
        let owner = kin.owner.iter().map(|owner| of_person(request, owner));
        mails.chain(owner).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The marks, in order.
    pub fn each(&self) -> impl Iterator<Item = &Digest> {
        self.0.iter()
    }

    /// Whether the two are one person.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        !self.0.is_disjoint(&other.0)
    }
}

fn of_person(request: &RequestId, who: &PrincipalId) -> Digest {
    mark(request, "person", &who.to_string())
}

fn mark(request: &RequestId, what: &str, text: &str) -> Digest {
    // neither an id nor the word holds a line break, so no two of these texts are alike
    Digest::from_bytes(&Sha256::digest(format!("{request}\n{what}\n{text}")).into())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;
    use crate::domain::name::ProviderName;
    use crate::domain::principal::{Kin, Subject};

    fn id(subject: &str) -> PrincipalId {
        PrincipalId { provider: ProviderName::new("corp").unwrap(), subject: Subject::new(subject).unwrap() }
    }

    #[test]
    fn marks_say_the_same_as_the_broker_does() {
        let request = RequestId::from_random([1; 16]);
        let mut people = Vec::new();
        for name in ["alice", "bob"] {
            for email in [None, Some("a@corp.example"), Some("b@corp.example")] {
                for owner in [None, Some("alice"), Some("carol")] {
                    for owner_email in [None, Some("b@corp.example")] {
                        let kin = Kin {
                            email: email.map(Into::into),
                            owner: owner.map(id),
                            owner_email: owner_email.map(Into::into),
                        };
                        people.push(Person { id: id(name), kin });
                    }
                }
            }
        }
        let marks = |who: &Person| Marks::told(&request, &who.id, &Marks::beside(&request, who));
        for one in &people {
            for other in &people {
                assert_eq!(marks(one).is(&marks(other)), one.is(other), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn a_mark_says_nothing_about_another_request() {
        let (one, other) = (RequestId::from_random([1; 16]), RequestId::from_random([2; 16]));
        let kin = Kin { email: Some("a@corp.example".into()), ..Kin::default() };
        let person = Person { id: id("alice"), kin };
        assert_ne!(Marks::beside(&one, &person), Marks::beside(&other, &person));
        // nor does an address pass for a person
        assert_ne!(mark(&one, "email", "corp:alice"), of_person(&one, &id("alice")));
    }
}
