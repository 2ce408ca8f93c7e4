//! `audit verify` checks every approval again: a broker that lets through what nobody approved can
//! write whatever it likes into its ledger, and is found.

pub(crate) mod extensions;
mod kinship;

use std::collections::{BTreeMap, BTreeSet};

use hoopctl::client::approvals::SignedReviews;
use hoopctl::domain::action::Deed;
use hoopctl::domain::approval::{
    Decision, DeedSubject, Literal, SessionSubject, Shape, Standing, Subject, SubjectText, What as Matter,
};
use hoopctl::domain::event::{Actor, Event, What};
use hoopctl::domain::facts::{Facts, StatementKind};
use hoopctl::domain::name::{Digest, GrantId, RequestId, RuleName, SessionId, TargetName};
use hoopctl::domain::principal::PrincipalId;
use hoopctl::ledger::builder::Builder;
use hoopctl::ledger::checkpoint::Checkpoint;
use hoopctl::ledger::entry::encode;
use hoopctl::ledger::note::Signer;
use hoopctl::ledger::tree::Hash;
use hoopctl::ledger::verify::{Audit, Files, FilesError, Verified, VerifyError};
use hoopctl::wire::dpop::DeviceKey;
use hoopctl::wire::review::{Claims, sign};
use jiff::{SignedDuration, Timestamp};

/// A ledger in memory, signed as a broker signs it.
struct Log(BTreeMap<String, Vec<u8>>);

impl Files for Log {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, FilesError> {
        Ok(self.0.get(path).cloned())
    }
}

fn verify(events: &[Event]) -> Result<Verified, VerifyError> {
    let mut builder = Builder::default();
    let mut files = Vec::new();
    for event in events {
        let mut entry = Vec::new();
        encode(event, &mut entry).expect("an entry");
        builder.push(&entry, Hash::leaf(&entry), &mut files).expect("room");
    }
    files.extend(builder.partials());
    let mut log: BTreeMap<String, Vec<u8>> =
        files.into_iter().map(|file| (file.tile.to_string(), file.bytes)).collect();
    let signer = Signer::new("example.org/log", &[9; 32]).expect("a key");
    let head = Checkpoint { size: builder.size(), root: builder.root() };
    log.insert("checkpoint".into(), head.sign(&signer).into_bytes());
    Audit { log: &Log(log), recordings: None, key: signer.verifier(), kept: None, reviews: &SignedReviews }
        .run()
}

pub(crate) fn who(subject: &str) -> PrincipalId {
    serde_json::from_value(serde_json::json!({ "provider": "corp", "subject": subject })).expect("an id")
}

/// Everybody has one device, whose key is made of their name.
pub(crate) fn key(subject: &str) -> DeviceKey {
    let mut seed = [0; 32];
    seed[..subject.len()].copy_from_slice(subject.as_bytes());
    DeviceKey::from_bytes(&seed)
}

pub(crate) fn time(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
}

pub(crate) fn by(subject: &str, second: i64, what: What) -> Event {
    let actor = Actor {
        principal: who(subject),
        device: Some(key(subject).thumbprint()),
        address: "192.0.2.1".into(),
        host: "laptop".into(),
    };
    Event { at: time(second), actor: Some(actor), policy: Digest::from_bytes(&[0; 32]), what }
}

pub(crate) fn enrolled(subject: &str) -> Event {
    by(subject, 0, What::DeviceEnrolled { device: key(subject).thumbprint() })
}

pub(crate) fn id(fill: u8) -> RequestId {
    RequestId::from_random([fill; 16])
}

pub(crate) fn session(fill: u8) -> SessionId {
    SessionId::from_random([fill; 16])
}

pub(crate) fn target() -> TargetName {
    TargetName::new("db").expect("a name")
}

pub(crate) fn subject(request: u8, what: Matter) -> SubjectText {
    let subject = Subject {
        version: 1,
        request: id(request),
        requester: who("alice"),
        target: target(),
        policy: Digest::from_bytes(&[0; 32]),
        rules: vec![RuleName::new("approvals").expect("a name")],
        reason: Some("incident 4711".into()),
        what,
    };
    SubjectText::write(subject).expect("short enough")
}

/// `DELETE … WHERE id = <literal>` in session 1.
pub(crate) fn deed(request: u8, literal: u8) -> SubjectText {
    let literal = Literal { shown: literal.to_string(), digest: Digest::from_bytes(&[literal; 32]) };
    let deed = DeedSubject {
        session: session(1),
        connection: 1,
        protocol: "postgres".into(),
        database: "traces".into(),
        login: "hoop_alice".into(),
        text: "DELETE FROM t WHERE id = $1".into(),
        sent: None,
        values: Vec::new(),
        exact: Digest::from_bytes(&[3; 32]),
        facts: Deed::Statement(Facts::new("delete", StatementKind::Write)),
        settings: BTreeMap::new(),
        estimate: None,
        shape: Some(Shape { tree: Digest::from_bytes(&[4; 32]), literals: vec![literal] }),
    };
    subject(request, Matter::Deed(Box::new(deed)))
}

pub(crate) fn sessions(request: u8) -> SubjectText {
    subject(
        request,
        Matter::Session(SessionSubject { seconds: 3600, starts: None, once: true, extends: None }),
    )
}

pub(crate) fn filed(second: i64, request: u8, subject: &SubjectText, threshold: &str) -> Event {
    let session = matches!(subject.subject().what, Matter::Deed(_)).then(|| session(1));
    by(
        "alice",
        second,
        What::RequestFiled {
            request: id(request),
            target: target(),
            session,
            subject: subject.text().into(),
            digest: subject.digest(),
            threshold: threshold.into(),
            expires: time(second + 600),
            kin: Vec::new(),
        },
    )
}

pub(crate) fn claims(reviewer: &str, request: u8, subject: &SubjectText) -> Claims {
    Claims {
        request: id(request),
        subject: subject.digest(),
        reviewer: who(reviewer),
        decision: Decision::Approve,
        reason: None,
        standing: None,
        iat: 0,
    }
}

pub(crate) fn given(second: i64, reviewer: &str, groups: &[&str], claims: &Claims) -> Event {
    let decision = match claims.decision {
        Decision::Approve => "approve",
        Decision::Deny => "deny",
    };
    by(
        reviewer,
        second,
        What::ReviewGiven {
            request: claims.request.clone(),
            decision: decision.into(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            kin: Vec::new(),
            proof: sign(&key(reviewer), claims).expect("signed"),
        },
    )
}

pub(crate) fn approved(
    second: i64,
    reviewer: &str,
    groups: &[&str],
    request: u8,
    subject: &SubjectText,
) -> Event {
    given(second, reviewer, groups, &claims(reviewer, request, subject))
}

pub(crate) fn released(second: i64, request: u8) -> Event {
    let what = What::RequestReleased { request: id(request), session: session(1) };
    Event { actor: None, ..by("alice", second, what) }
}

pub(crate) fn issued(second: i64, request: u8) -> Event {
    let what = What::GrantIssued {
        grant: GrantId::from_random([1; 16]),
        request: id(request),
        principal: who("alice"),
        target: target(),
        starts: time(second),
        ends: time(second + 3600),
        once: true,
    };
    by("bob", second, what)
}

pub(crate) fn used(second: i64, by_session: u8) -> Event {
    by(
        "alice",
        second,
        What::GrantUsed { grant: GrantId::from_random([1; 16]), session: session(by_session) },
    )
}

const STATEMENT: usize = 4;
const BOBS: usize = 5;
const CAROLS: usize = 6;
const RELEASE: usize = 7;
const GRANT: usize = 10;
const USE: usize = 11;

/// A statement that two people approved, and a grant that one did.
fn honest() -> Vec<Event> {
    let statement = deed(1, 7);
    let wish = sessions(2);
    vec![
        enrolled("alice"),
        enrolled("bob"),
        enrolled("carol"),
        enrolled("dave"),
        filed(10, 1, &statement, "corp/dba:1, corp/oncall:1"),
        // bob could fill either place; carol only the one that he would take first
        approved(20, "bob", &["corp/dba", "corp/oncall"], 1, &statement),
        approved(30, "carol", &["corp/dba"], 1, &statement),
        released(31, 1),
        filed(40, 2, &wish, "corp/dba:1"),
        approved(50, "bob", &["corp/dba"], 2, &wish),
        issued(51, 2),
        used(60, 2),
    ]
}

/// The first broken entry and what is wrong with it.
#[track_caller]
fn broken(events: &[Event]) -> (u64, String) {
    match verify(events).expect_err("it is broken") {
        VerifyError::Broken(broken) => (broken.index.expect("an entry"), broken.reason.to_string()),
        VerifyError::Files(error) => panic!("{error}"),
    }
}

#[track_caller]
fn found(at: usize, what: &str, change: impl FnOnce(&mut Vec<Event>)) {
    let mut events = honest();
    change(&mut events);
    let (index, reason) = broken(&events);
    assert_eq!((index, reason.contains(what)), (at as u64, true), "{reason}");
}

#[test]
fn an_honest_ledger_holds_and_its_reviews_are_counted() {
    assert_eq!(verify(&honest()).expect("it holds").reviews, 3);
}

#[test]
fn a_forged_review_is_found() {
    found(BOBS, "signature is wrong", |events| {
        let What::ReviewGiven { proof, .. } = &mut events[BOBS].what else { panic!("a review") };
        let (signed, _) = proof.rsplit_once('.').expect("a JWS");
        let other = sign(&key("carol"), &claims("bob", 1, &deed(1, 7))).expect("signed");
        let (_, signature) = other.rsplit_once('.').expect("a JWS");
        *proof = format!("{signed}.{signature}");
    });
}

#[test]
fn a_review_by_a_key_that_is_not_the_reviewers_is_found() {
    // the broker signs in bob's name with a key of its own
    found(BOBS, "not enrolled", |events| {
        let What::ReviewGiven { proof, .. } = &mut events[BOBS].what else { panic!("a review") };
        *proof = sign(&key("mallory"), &claims("bob", 1, &deed(1, 7))).expect("signed");
    });
    // with a key that somebody else enrolled
    found(BOBS, "not enrolled", |events| {
        let What::ReviewGiven { proof, .. } = &mut events[BOBS].what else { panic!("a review") };
        *proof = sign(&key("dave"), &claims("bob", 1, &deed(1, 7))).expect("signed");
    });
    // with one that was enrolled only afterwards
    found(BOBS - 1, "not enrolled", |events| {
        let late = events.remove(1);
        events.push(late);
    });
    // with one that was revoked before
    found(BOBS + 1, "not enrolled", |events| {
        let revoked = What::DeviceRevoked { device: key("bob").thumbprint() };
        events.insert(BOBS, by("bob", 12, revoked));
    });
}

#[test]
fn an_approval_of_something_else_is_found() {
    found(BOBS, "over another subject", |events| {
        events[BOBS] = approved(20, "bob", &["corp/dba"], 1, &deed(1, 8));
    });
    found(BOBS, "for another request", |events| {
        let What::ReviewGiven { proof, .. } = &mut events[BOBS].what else { panic!("a review") };
        *proof = sign(&key("bob"), &claims("bob", 3, &deed(1, 7))).expect("signed");
    });
    found(BOBS, "with another decision", |events| {
        let denial = Claims { decision: Decision::Deny, ..claims("bob", 1, &deed(1, 7)) };
        let What::ReviewGiven { proof, .. } = &mut events[BOBS].what else { panic!("a review") };
        *proof = sign(&key("bob"), &denial).expect("signed");
    });
    found(BOBS, "by somebody else", |events| {
        let What::ReviewGiven { proof, .. } = &mut events[BOBS].what else { panic!("a review") };
        *proof = sign(&key("carol"), &claims("carol", 1, &deed(1, 7))).expect("signed");
    });
}

#[test]
fn a_subject_that_was_swapped_is_found() {
    // reviewers signed one digest, and the ledger shows another text
    found(STATEMENT, "the digest of what was asked", |events| {
        let What::RequestFiled { subject, .. } = &mut events[STATEMENT].what else { panic!("a request") };
        *subject = deed(1, 8).text().to_owned();
    });
    found(STATEMENT, "the text of what was asked", |events| {
        let What::RequestFiled { subject, .. } = &mut events[STATEMENT].what else { panic!("a request") };
        *subject = "{}".into();
    });
    found(STATEMENT, "the requester of what was asked", |events| {
        events[STATEMENT].actor = by("dave", 10, What::LoggedOut).actor;
    });
}

#[test]
fn a_review_by_the_requester_is_found() {
    found(BOBS, "by the one who asked", |events| {
        events[BOBS] = approved(20, "alice", &["corp/dba"], 1, &deed(1, 7));
    });
}

#[test]
fn a_release_without_enough_reviews_is_found() {
    found(RELEASE - 1, "without the reviews that it takes: corp/dba:1, corp/oncall:1", |events| {
        events.remove(CAROLS);
    });
    // one person twice is not two people
    found(RELEASE, "without the reviews", |events| {
        events[CAROLS] = approved(30, "bob", &["corp/dba", "corp/oncall"], 1, &deed(1, 7));
    });
    // two people who can only fill the same place
    found(RELEASE, "without the reviews", |events| {
        events[BOBS] = approved(20, "bob", &["corp/dba"], 1, &deed(1, 7));
    });
    found(GRANT - 1, "without the reviews", |events| {
        events.remove(GRANT - 1);
    });
    // a review that came after a denial does not count
    found(RELEASE + 1, "without the reviews", |events| {
        let no = Claims { decision: Decision::Deny, ..claims("dave", 1, &deed(1, 7)) };
        events.insert(CAROLS, given(21, "dave", &["corp/dba"], &no));
    });
}

#[test]
fn what_is_let_through_twice_is_found() {
    found(RELEASE + 1, "let through twice", |events| events.insert(RELEASE + 1, released(32, 1)));
    // under its old id, with its old reviews
    found(RELEASE + 1, "let through twice", |events| {
        let again = vec![filed(33, 1, &deed(1, 7), "corp/dba:1, corp/oncall:1")];
        events.splice(RELEASE + 1..RELEASE + 1, again);
    });
    found(GRANT + 1, "let through twice", |events| {
        let mut second = issued(52, 2);
        let What::GrantIssued { grant, .. } = &mut second.what else { panic!("a grant") };
        *grant = GrantId::from_random([2; 16]);
        events.insert(GRANT + 1, second);
    });
    found(USE + 1, "was used twice", |events| events.push(used(61, 3)));
}

/// A broker that is killed between the entry and its own note of it enters the same once more.
#[test]
fn a_grant_entered_again_after_a_restart_is_not_a_second_one() {
    let mut events = honest();
    events.insert(GRANT + 1, Event { at: time(55), ..issued(51, 2) });
    verify(&events).expect("it holds");
}

#[test]
fn what_is_let_through_after_its_end_is_found() {
    found(RELEASE, "after its end", |events| events[RELEASE] = released(10 + 606, 1));
    for outcome in ["withdrawn", "denied", "expired", "void"] {
        found(RELEASE + 1, "after its end", |events| {
            let ended = What::RequestEnded { request: id(1), outcome: outcome.into() };
            events.insert(RELEASE, by("alice", 30, ended));
        });
    }
    found(USE, "outside its time", |events| events[USE] = used(51 + 3606, 2));
    found(USE + 1, "after it was revoked", |events| {
        let revoked = What::GrantRevoked { grant: GrantId::from_random([1; 16]), reason: "revoked".into() };
        events.insert(USE, by("bob", 52, revoked));
    });
}

#[test]
fn what_is_let_through_for_somebody_or_something_else_is_found() {
    found(RELEASE, "another session", |events| {
        events[RELEASE].what = What::RequestReleased { request: id(1), session: session(9) };
    });
    found(GRANT, "another principal", |events| {
        let What::GrantIssued { principal, .. } = &mut events[GRANT].what else { panic!("a grant") };
        *principal = who("dave");
    });
    found(GRANT, "another target", |events| {
        let What::GrantIssued { target, .. } = &mut events[GRANT].what else { panic!("a grant") };
        *target = TargetName::new("billing").expect("a name");
    });
    // the approval of a statement is none of sessions
    found(RELEASE, "another purpose", |events| {
        events[RELEASE] = issued(31, 1);
    });
    found(4, "never filed", |events| {
        events.remove(STATEMENT);
    });
    found(USE - 1, "was never issued", |events| {
        events.remove(GRANT);
    });
}

#[test]
fn a_grant_that_gives_more_than_was_signed_is_found() {
    let grant = |events: &mut [Event], change: fn(&mut Timestamp, &mut Timestamp, &mut bool)| {
        let What::GrantIssued { starts, ends, once, .. } = &mut events[GRANT].what else { panic!("a grant") };
        change(starts, ends, once);
    };
    let more = "another time or number of sessions";
    found(GRANT, more, |events| grant(events, |_, _, once| *once = false));
    found(GRANT, more, |events| grant(events, |_, ends, _| *ends = time(51 + 3606)));
    found(GRANT, more, |events| {
        grant(events, |starts, ends, _| (*starts, *ends) = (time(90_000), time(93_600)));
    });
    found(GRANT, more, |events| grant(events, |_, ends, _| *ends = Timestamp::MAX));
}

#[test]
fn a_review_by_a_device_that_was_revoked_before_the_release_is_found() {
    found(RELEASE + 1, "without the reviews", |events| {
        let revoked = What::DeviceRevoked { device: key("carol").thumbprint() };
        events.insert(RELEASE, by("carol", 31, revoked));
        for event in &mut events[RELEASE + 1..] {
            event.at += SignedDuration::from_secs(10);
        }
    });
}

#[test]
fn a_rule_that_answers_after_a_denial_is_found() {
    let statement = deed(1, 7);
    let no = Claims { decision: Decision::Deny, ..claims("bob", 1, &statement) };
    let rule = Some(RuleName::new("small-reads").expect("a name"));
    let events = [
        enrolled("bob"),
        filed(10, 1, &statement, "corp/dba:1"),
        given(20, "bob", &["corp/dba"], &no),
        by("alice", 21, What::RequestAnswered { request: id(1), rule, standing: None }),
    ];
    let (index, reason) = broken(&events);
    assert_eq!((index, reason.contains("after its end")), (3, true), "{reason}");
}

/// Two requests: the first with a standing decision for an hour in which the literal is free or not.
fn standing(free: &[u16], literal: u8, second: i64) -> Vec<Event> {
    let (first, next) = (deed(1, 7), deed(2, literal));
    let free = free.iter().copied().collect::<BTreeSet<u16>>();
    let claims = Claims { standing: Some(Standing { free, seconds: 3600 }), ..claims("bob", 1, &first) };
    let answered = What::RequestAnswered { request: id(2), rule: None, standing: Some(id(1)) };
    vec![
        enrolled("bob"),
        filed(10, 1, &first, "corp/dba:1"),
        given(20, "bob", &["corp/dba"], &claims),
        released(21, 1),
        filed(second, 2, &next, "corp/dba:1"),
        by("alice", second, answered),
        released(second, 2),
    ]
}

#[test]
fn a_standing_decision_covers_its_shape_for_its_time_and_no_more() {
    verify(&standing(&[0], 8, 100)).expect("the literal is free");
    verify(&standing(&[], 7, 100)).expect("the literal is the same");
    let does_not_cover = |events: &[Event]| {
        let (index, reason) = broken(events);
        assert_eq!((index, reason.contains("does not cover")), (5, true), "{index}: {reason}");
    };
    does_not_cover(&standing(&[], 8, 100));
    does_not_cover(&standing(&[0], 8, 20 + 3606));
    let mut without = standing(&[0], 8, 100);
    without[2] = approved(20, "bob", &["corp/dba"], 1, &deed(1, 7));
    does_not_cover(&without);
    let mut revoked = standing(&[0], 8, 100);
    revoked.insert(4, by("bob", 50, What::StandingRevoked { request: id(1), reason: "by hand".into() }));
    let (index, reason) = broken(&revoked);
    assert_eq!((index, reason.contains("does not cover")), (6, true), "{reason}");
}
