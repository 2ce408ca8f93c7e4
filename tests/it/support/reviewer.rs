//! Reviewers that a test speaks for, and a desk that files what the gateway holds.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;
use hoopctl::domain::approval::{Decision, Review, Standing, SubjectText, What};
use hoopctl::domain::name::{GroupName, ProviderName, RequestId};
use hoopctl::domain::policy::Hold;
use hoopctl::domain::principal::{PrincipalId, Subject};
use hoopctl::gateway::authority::{Filed, Held, HoldError, Outcome};
use hoopctl::gateway::clock::Clock;
use hoopctl::wire::jws::DeviceKey;
use hoopctl::wire::review::{self, Claims};
use tokio::sync::{mpsc, oneshot};

use super::gateway::Boss;

/// Where requests are filed.
pub(crate) struct Desk {
    filed: mpsc::UnboundedSender<Request>,
    inbox: tokio::sync::Mutex<mpsc::UnboundedReceiver<Request>>,
    approved: Mutex<BTreeSet<String>>,
    boss: OnceLock<Weak<Boss>>,
    /// Refuses everything that is filed.
    pub(crate) closed: AtomicBool,
}

impl Default for Desk {
    fn default() -> Self {
        let (filed, inbox) = mpsc::unbounded_channel();
        Self {
            filed,
            inbox: tokio::sync::Mutex::new(inbox),
            approved: Mutex::default(),
            boss: OnceLock::new(),
            closed: AtomicBool::new(false),
        }
    }
}

/// A request that waits for a test to decide.
pub(crate) struct Request {
    /// What reviewers see.
    pub(crate) subject: SubjectText,
    /// What it takes.
    pub(crate) hold: Hold,
    answer: oneshot::Sender<Outcome>,
    /// Whether the gateway still waits.
    pub(crate) waiting: Arc<AtomicBool>,
}

impl Desk {
    pub(crate) fn follow(&self, boss: &Arc<Boss>) {
        self.boss.set(Arc::downgrade(boss)).expect("once");
    }

    /// Puts other rules in force.
    pub(crate) fn reload(&self, rules: &str) {
        self.boss.get().and_then(Weak::upgrade).expect("a gateway").reload(rules);
    }

    pub(crate) fn file(&self, held: Held) -> BoxFuture<'static, Result<Filed, HoldError>> {
        if self.closed.load(Ordering::Relaxed) {
            return Box::pin(async { Err(HoldError::Refused("nobody reviews here".into())) });
        }
        let (answer, outcome) = oneshot::channel();
        let waiting = Arc::new(AtomicBool::new(true));
        let left = Left(Arc::clone(&waiting));
        let request = Request { subject: held.subject, hold: held.hold, answer, waiting };
        assert!(self.filed.send(request).is_ok(), "the desk is there");
        let outcome = Box::pin(async move {
            let _left = left;
            outcome.await.unwrap_or(Outcome::Void)
        });
        Box::pin(async move {
            let expires = "2030-01-02T03:04:05Z".parse().expect("a time");
            Ok(Filed { needs: "1 of corp/dba".into(), expires, outcome })
        })
    }

    /// Each approval is good for one release.
    pub(crate) fn release(&self, request: &RequestId) -> Result<(), HoldError> {
        let was = self.approved.lock().expect("not poisoned").remove(request.as_str());
        if was { Ok(()) } else { Err(HoldError::NotApproved) }
    }

    /// The next request.
    pub(crate) async fn next(&self) -> Request {
        let mut inbox = self.inbox.lock().await;
        let next = tokio::time::timeout(Duration::from_secs(30), inbox.recv()).await;
        next.expect("something is held within 30 s").expect("the desk is there")
    }

    /// Whether nothing was filed that was not taken.
    pub(crate) async fn is_empty(&self) -> bool {
        self.inbox.lock().await.is_empty()
    }

    /// Lets a request through, as Bob.
    pub(crate) fn approve(&self, request: Request) {
        let reviews = vec![bob(&request.subject, |_| {})];
        self.answer(request, Outcome::Approved(reviews));
    }

    /// Ends a request; whatever is said, its approval can be used once.
    pub(crate) fn answer(&self, request: Request, outcome: Outcome) {
        let id = request.subject.subject().request.as_str().to_owned();
        self.approved.lock().expect("not poisoned").insert(id);
        // the gateway may have stopped waiting
        let _gone = request.answer.send(outcome);
    }
}

impl Request {
    /// The text that reviewers see.
    pub(crate) fn text(&self) -> &str {
        let What::Deed(deed) = &self.subject.subject().what else { panic!("a session") };
        &deed.text
    }
}

/// Bob's signed review, whose claims a test may spoil before they are signed.
pub(crate) fn bob(subject: &SubjectText, spoil: impl FnOnce(&mut Claims)) -> Review {
    signed_by(7, "bob", subject, spoil)
}

/// A review by anybody.
pub(crate) fn signed_by(
    seed: u8,
    name: &str,
    subject: &SubjectText,
    spoil: impl FnOnce(&mut Claims),
) -> Review {
    let key = DeviceKey::from_bytes(&[seed; 32]);
    let reviewer = PrincipalId {
        provider: ProviderName::new("test").expect("a name"),
        subject: Subject::new(name).expect("a subject"),
    };
    let at = Clock::system().now();
    let mut claims = Claims {
        request: subject.subject().request.clone(),
        subject: subject.digest(),
        reviewer: reviewer.clone(),
        decision: Decision::Approve,
        reason: None,
        standing: None,
        iat: at.as_second(),
    };
    spoil(&mut claims);
    Review {
        reviewer,
        display: name.into(),
        device: key.thumbprint(),
        groups: BTreeSet::from([GroupName::new("corp/dba").expect("a group")]),
        decision: Decision::Approve,
        reason: None,
        standing: claims.standing.clone(),
        at,
        proof: review::sign(&key, &claims).expect("it signs"),
    }
}

/// "These literals may differ, for so long."
pub(crate) fn standing(free: &[u16], seconds: u64) -> Standing {
    Standing { free: free.iter().copied().collect(), seconds }
}

struct Left(Arc<AtomicBool>);

impl Drop for Left {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
