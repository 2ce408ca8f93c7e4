//! Approvals, as their requester and their reviewers meet them at the command line.

use std::collections::{BTreeMap, BTreeSet};

use hoopctl::cli::commands::request;
use hoopctl::client::approvals::Dossier;
use hoopctl::domain::approval::{
    Decision, DeedSubject, Grant, GrantState, Literal, Request, RequestState, Review, SessionSubject, Shape,
    Standing, Subject, SubjectText, What,
};
use hoopctl::domain::facts::{Facts, StatementKind};
use hoopctl::domain::name::{
    DeviceId, Digest, GrantId, GroupName, RequestId, RuleName, SessionId, TargetName,
};
use hoopctl::domain::principal::PrincipalId;
use hoopctl::wire::control::{RequestView, StandingView};
use hoopctl::wire::dpop::DeviceKey;
use insta::assert_snapshot;
use jiff::Timestamp;

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn now() -> Timestamp {
    at("2026-11-21T11:30:00Z")
}

fn who(subject: &str) -> PrincipalId {
    serde_json::from_value(serde_json::json!({ "provider": "corp", "subject": subject })).expect("an id")
}

fn subject(what: What) -> Subject {
    Subject {
        version: 1,
        request: RequestId::from_random([1; 16]),
        requester: who("alice"),
        target: TargetName::new("db").expect("a name"),
        policy: Digest::from_bytes(&[0xab; 32]),
        rules: vec![RuleName::new("destructive-sql.delete").expect("a name")],
        reason: Some("incident 4711: the importer wrote the same day twice".into()),
        what,
    }
}

fn view(subject: Subject) -> RequestView {
    let (id, target) = (subject.request.clone(), subject.target.clone());
    let text = SubjectText::write(subject).expect("short enough");
    RequestView {
        request: Request {
            id,
            requester: who("alice"),
            display: "alice".into(),
            device: DeviceId::from_digest(&[1; 32]),
            target,
            subject: text.digest(),
            threshold: "corp/dba:1, corp/oncall:1".parse().expect("a threshold"),
            people_only: false,
            standing_max: 7200,
            filed: at("2026-11-21T11:28:00Z"),
            expires: at("2026-11-21T11:40:00Z"),
            state: RequestState::Pending,
            reviews: Vec::new(),
        },
        subject: text.text().into(),
        missing: "1 more of corp/dba, 1 more of corp/oncall".into(),
        reviewable: true,
        grant: None,
    }
}

fn session(once: bool) -> What {
    What::Session(SessionSubject { seconds: 5400, starts: None, once, extends: None })
}

fn deed() -> DeedSubject {
    let mut facts = Facts::new("delete", StatementKind::Write);
    facts.relations_written = BTreeSet::from(["public.reasoning_traces".to_owned()]);
    facts.relations_read = facts.relations_written.clone();
    facts.columns_read = BTreeSet::from([
        "public.reasoning_traces.created_at".to_owned(),
        "public.reasoning_traces.project".to_owned(),
    ]);
    facts.has_where = true;
    facts.touches_masked = true;
    let literal =
        |shown: &str, fill| Literal { shown: shown.into(), digest: Digest::from_bytes(&[fill; 32]) };
    DeedSubject {
        session: SessionId::from_random([2; 16]),
        connection: 1,
        protocol: "postgres".into(),
        database: "traces".into(),
        login: "hoop_alice_4k2j".into(),
        text: "DELETE FROM reasoning_traces\nWHERE project = 'billing-copilot'\n  AND created_at >= $1"
            .into(),
        sent: Some(
            "DELETE FROM public.reasoning_traces WHERE project OPERATOR(pg_catalog.=) 'billing-copilot' \
             AND created_at OPERATOR(pg_catalog.>=) $1"
                .into(),
        ),
        values: vec!["'2026-11-20'".into()],
        exact: Digest::from_bytes(&[3; 32]),
        facts,
        settings: BTreeMap::from([("search_path".to_owned(), "\"$user\", public".to_owned())]),
        estimate: Some(1840),
        shape: Some(Shape {
            tree: Digest::from_bytes(&[4; 32]),
            literals: vec![literal("'billing-copilot'", 5), literal("'2026-11-20'", 6)],
        }),
    }
}

fn page(view: RequestView) -> String {
    let id = view.request.id.clone();
    request::page::page(&Dossier::open(view, &id).expect("it fits"), now())
}

/// What somebody said of this request, signed or not.
fn reviewed(view: &mut RequestView, seed: u8, decision: Decision, signed: bool) {
    let key = DeviceKey::from_bytes(&[seed; 32]);
    let reviewer = who("bob");
    let standing = Some(Standing { free: BTreeSet::from([1]), seconds: 3600 });
    let reason = Some("as agreed on the phone".to_owned());
    let dossier = Dossier::open(view.clone(), &view.request.id).expect("it fits");
    let given = dossier.sign(&key, reviewer.clone(), decision, reason.clone(), standing.clone(), now());
    let proof = given.expect("signed").proof;
    view.request.reviews.push(Review {
        reviewer,
        display: "bob".into(),
        device: key.thumbprint(),
        groups: BTreeSet::from([GroupName::new("corp/dba").expect("a group")]),
        decision,
        reason: if signed { reason } else { None },
        standing,
        at: at("2026-11-21T11:29:30Z"),
        proof,
    });
}

#[test]
fn a_held_statement_is_shown_with_all_that_a_reviewer_must_know() {
    let mut view = view(subject(What::Deed(Box::new(deed()))));
    reviewed(&mut view, 7, Decision::Approve, true);
    view.missing = "1 more of corp/oncall".into();
    let page = page(view);
    assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");
    assert_snapshot!(page);
}

#[test]
fn a_request_for_sessions_is_shown() {
    let page = page(view(subject(session(true))));
    assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");
    assert_snapshot!(page);
}

#[test]
fn a_review_whose_signature_does_not_hold_is_shown_as_such() {
    let mut view = view(subject(session(false)));
    reviewed(&mut view, 7, Decision::Approve, false);
    let page = page(view);
    assert!(page.contains("THE SIGNATURE DOES NOT HOLD"), "{page}");
}

/// Whoever asks for approval may try to deceive who reviews.
#[test]
fn nothing_that_a_requester_writes_can_steer_or_deceive() {
    const HOSTILE: &str = "a\u{1b}[2J\u{1b}]52;c;AAAA\u{7}\u{9b}1A\r\u{202e}b\u{2066}\u{200b}\u{85}\u{8}";
    let mut hostile = deed();
    hostile.text = format!(
        "SELECT 1 -- {HOSTILE}\n\nstate     approved\ndigest    0000\n{}; DROP TABLE x",
        " ".repeat(500)
    );
    hostile.sent = Some(HOSTILE.into());
    hostile.values = vec![format!("{HOSTILE}\nstate     approved")];
    hostile.database = HOSTILE.into();
    hostile.login = HOSTILE.into();
    hostile.settings =
        BTreeMap::from([(HOSTILE.to_owned(), format!("{HOSTILE}\nReviews\n  approved by bob"))]);
    hostile.facts.verb = HOSTILE.into();
    hostile.facts.relations_read = BTreeSet::from([HOSTILE.to_owned()]);
    hostile.facts.functions = BTreeSet::from([HOSTILE.to_owned()]);
    hostile.facts.object = Some(HOSTILE.into());
    hostile.facts.setting = Some(HOSTILE.into());
    if let Some(shape) = &mut hostile.shape {
        shape.literals[0].shown = HOSTILE.into();
    }
    let mut asked = subject(What::Deed(Box::new(hostile)));
    asked.reason = Some(format!("{HOSTILE}\nstate     approved"));
    let mut view = view(asked);
    view.request.display = HOSTILE.into();
    view.missing = HOSTILE.into();
    reviewed(&mut view, 7, Decision::Approve, true);
    view.request.reviews[0].display = HOSTILE.into();
    view.request.reviews[0].reason = Some(HOSTILE.into());
    let list = request::table(std::slice::from_ref(&view), now(), Some(80));
    let page = page(view);
    for text in [&page, &list] {
        let bad: Vec<char> =
            text.chars().filter(|c| *c != '\n' && hoopctl::cli::ui::harmless::deceives(*c)).collect();
        assert!(bad.is_empty(), "{bad:?} in\n{text}");
    }
    // what looks like one of our lines stands behind a bar or indented, never at the margin
    assert_eq!(page.lines().filter(|line| line.starts_with("state ")).count(), 1, "{page}");
    assert_eq!(page.lines().filter(|line| line.starts_with("digest ")).count(), 1, "{page}");
    assert!(page.contains("; DROP"), "what was moved out of sight is seen:\n{page}");
    assert_snapshot!(page);
}

#[test]
fn requests_and_grants_are_tables_that_fit_80_columns() {
    let mut one = view(subject(session(true)));
    one.request.state = RequestState::Denied;
    let mut two = view(subject(What::Deed(Box::new(deed()))));
    two.request.display = "somebody.with-a-long-name@corp.example".into();
    let requests = request::table(&[two, one], now(), Some(80));
    assert!(requests.lines().all(|line| line.chars().count() <= 80), "{requests}");
    assert_snapshot!("table_of_requests", requests);

    let grant = |fill, state, once| Grant {
        id: GrantId::from_random([fill; 16]),
        request: RequestId::from_random([1; 16]),
        principal: who("alice"),
        target: TargetName::new("db").expect("a name"),
        reason: "incident 4711: the importer wrote the same day twice".into(),
        starts: at("2026-11-21T11:00:00Z"),
        ends: at("2026-11-21T12:00:00Z"),
        once,
        state,
    };
    let standing = StandingView {
        request: RequestId::from_random([7; 16]),
        principal: who("alice"),
        target: TargetName::new("db").expect("a name"),
        rules: Vec::new(),
        text: "DELETE FROM reasoning_traces\nWHERE \u{1b}[2Jproject = 'x'".into(),
        free: BTreeSet::new(),
        by: vec![who("bob")],
        ends: at("2026-11-21T12:30:00Z"),
        revoked: false,
        uses: 3,
    };
    let grants = [
        grant(1, GrantState::Active, true),
        grant(2, GrantState::Used, true),
        grant(3, GrantState::Revoked, false),
    ];
    let grants = hoopctl::cli::commands::grant::table(&grants, &[standing], now(), Some(80));
    assert!(grants.lines().all(|line| line.chars().count() <= 80), "{grants}");
    assert_snapshot!("table_of_grants", grants);
}
