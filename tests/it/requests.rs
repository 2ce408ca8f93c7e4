//! Approvals, as their requester and their reviewers meet them at the command line.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::Duration;

use hoopctl::cli::commands::request;
use hoopctl::client::approvals::Dossier;
use hoopctl::domain::action::Deed;
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
use tokio::io::AsyncWriteExt as _;

use crate::support::env::{Env, program};
use crate::support::world::{MASKED, Twist, World, last_words, psql};

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
        facts: Deed::Statement(facts),
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
    let Deed::Statement(facts) = &mut hostile.facts else { panic!("a statement") };
    facts.verb = HOSTILE.into();
    facts.relations_read = BTreeSet::from([HOSTILE.to_owned()]);
    facts.functions = BTreeSet::from([HOSTILE.to_owned()]);
    facts.object = Some(HOSTILE.into());
    facts.setting = Some(HOSTILE.into());
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

// -- with everything real

/// bob needs alice for a session, and everybody needs somebody else in order to delete.
pub(crate) const REVIEWED: &str = r#"
@id("dev.connect")
@review("corp/dba:1")
permit (principal in Hoop::Group::"corp/dev", action == Hoop::Action::"connect", resource == Hoop::Target::"db");
@id("delete-is-reviewed")
@reason("deleting rows is looked at by a second person")
@review("corp/dba:1")
@standing("1h")
forbid (principal, action == Hoop::Action::"statement", resource) when { context.verb == "delete" };
"#;

pub(crate) async fn reviewed_world() -> World {
    World::start(Twist { policy: REVIEWED, ..Twist::default() }).await
}

pub(crate) async fn asks(who: &Env, reason: &str) -> String {
    who.run(&["request", "approval", "db", "--reason", reason]).await.ends(0).stdout.trim().to_owned()
}

/// Waits until somebody may review something, and returns its id.
pub(crate) async fn awaited(reviewer: &Env) -> String {
    for _ in 0..200 {
        let list = reviewer.run(&["request", "list", "--reviewable", "--output", "json"]).await.ends(0);
        if let Some(line) = list.stdout.lines().next() {
            let view: serde_json::Value = serde_json::from_str(line).expect("JSON");
            return view["request"]["id"].as_str().expect("an id").to_owned();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nothing ever awaited a review");
}

async fn digest_of(who: &Env, id: &str) -> String {
    let shown = who.run(&["request", "show", id, "--output", "json"]).await.ends(0);
    let view: serde_json::Value = serde_json::from_str(&shown.stdout).expect("JSON");
    assert_eq!(view["version"], 1);
    view["digest"].as_str().expect("a digest").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_asked_for_reviewed_used_and_taken_back() {
    let world = reviewed_world().await;
    let (alice, bob) = (world.login("alice").await, world.login("bob").await);
    let refused = psql(&bob, "select 1").await.ends(75);
    assert!(
        refused.stderr.contains("1 of corp/dba") && refused.stderr.contains("--wait"),
        "{}",
        refused.stderr
    );

    let id = asks(&bob, "incident 4711").await;
    let mine = bob.run(&["request", "list", "--mine"]).await.ends(0);
    assert!(mine.stdout.contains(&id), "{}", mine.stdout);
    bob.run(&["request", "approve", &id, "--yes"]).await.ends(77);
    bob.run(&["request", "wait", &id, "--limit", "1s"]).await.ends(75);

    let inbox = alice.run(&["request", "list", "--reviewable"]).await.ends(0);
    assert!(inbox.stdout.contains(&id) && inbox.stdout.contains("session, 1 h"), "{}", inbox.stdout);
    let shown = alice.run(&["request", "show", &id]).await.ends(0);
    assert!(shown.stdout.contains("“incident 4711”"), "{}", shown.stdout);
    // nothing is signed that was not seen
    alice.run(&["request", "approve", &id]).await.ends(64);
    let wrong = "0".repeat(64);
    alice.run(&["request", "approve", &id, "--digest", &wrong]).await.ends(65);
    let digest = digest_of(&alice, &id).await;
    alice.run(&["request", "approve", &id, "--digest", &digest]).await.ends(0);
    alice.run(&["request", "approve", &id, "--digest", &digest]).await.ends(80);
    bob.run(&["request", "wait", &id]).await.ends(0);

    assert_eq!(psql(&bob, "select 1").await.ends(0).stdout, "1\n");
    let sleeping = world.sleeping(&bob).await;
    let grants = bob.run(&["grant", "list", "--output", "json"]).await.ends(0);
    let grant: serde_json::Value = serde_json::from_str(&grants.stdout).expect("one grant");
    let grant = grant["id"].as_str().expect("an id");
    alice.run(&["grant", "revoke", grant]).await.ends(0);
    last_words(sleeping, Duration::from_secs(10)).await.closed("its approval was revoked");
    psql(&bob, "select 1").await.ends(75);

    // the next checkpoint covers it
    for _ in 0..100 {
        let verified = alice.run(&["audit", "verify"]).await.ends(0);
        if verified.stdout.contains("signed by its reviewers: 1 review\n") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the ledger never held the review:\n{}", world.broker.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_account_with_the_same_address_gets_no_review_of_ones_own() {
    let world = reviewed_world().await;
    let (alice, second) = (world.login("alice").await, world.login("alice-admin").await);
    let id = asks(&second, "under another name").await;
    let refused = alice.run(&["request", "approve", &id, "--yes"]).await.ends(77);
    assert!(refused.stderr.contains("own request"), "{}", refused.stderr);
    psql(&second, "select 1").await.ends(75);
    // and of somebody else's it gives one
    let bob = world.login("bob").await;
    let id = asks(&bob, "somebody else").await;
    alice.run(&["request", "approve", &id, "--yes"]).await.ends(0);
    assert_eq!(psql(&bob, "select 1").await.ends(0).stdout, "1\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_asks_waits_and_goes_on_or_says_why_not() {
    let world = reviewed_world().await;
    let (alice, bob) = (world.login("alice").await, world.login("bob").await);
    let filed =
        bob.run(&["connect", "db", "--request", "--reason", "r", "--", "-c", "select 1"]).await.ends(75);
    let id = awaited(&alice).await;
    assert!(filed.stderr.contains(&id), "{}", filed.stderr);
    // the same wish again is not another request
    let limited = bob.run(&["connect", "db", "--wait=1s", "--reason", "r"]).await.ends(75);
    assert!(limited.stderr.contains(&id), "{}", limited.stderr);

    // what awaits an answer goes on with it, and says so to somebody who looks elsewhere
    let mut bob = bob;
    let (bin, heard) = (bob.home().join("bin"), bob.home().join("heard"));
    std::fs::create_dir(&bin).expect("a folder");
    let script = format!("#!/bin/sh\nprintf '%s\\n' \"$@\" > {}\n", heard.display());
    std::fs::write(bin.join("notify-send"), script).expect("written");
    std::fs::set_permissions(bin.join("notify-send"), std::fs::Permissions::from_mode(0o755)).expect("ours");
    let path = std::env::var("PATH").expect("a path");
    bob.set("PATH", &format!("{}:{path}", bin.display()));
    bob.set("DISPLAY", ":99");
    let waits = ["connect", "db", "--wait", "--reason", "r", "--", "-XAtc", "select 41 + 1"];
    let answered = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        alice.run(&["request", "approve", &id, "--yes"]).await.ends(0)
    };
    let (ran, approved) = tokio::join!(bob.run(&waits), answered);
    assert_eq!(ran.ends(0).stdout, "42\n");
    assert!(approved.stderr.contains("state     pending"), "what is signed is shown: {}", approved.stderr);
    let heard = std::fs::read_to_string(heard).expect("a notification");
    assert_eq!(heard, "--app-name=hoopctl\n--\nhoopctl: your request for db is approved\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_is_76_with_its_reason_and_what_is_gone_is_80() {
    let world = reviewed_world().await;
    let (alice, bob) = (world.login("alice").await, world.login("bob").await);
    let waits = ["exec", "db", "--wait", "--reason", "please", "--", "true"];
    let denied = async {
        let id = awaited(&alice).await;
        alice.run(&["request", "deny", &id, "--reason", "not on a Friday"]).await.ends(0)
    };
    let (ran, _) = tokio::join!(bob.run(&waits), denied);
    let ran = ran.ends(76);
    assert!(ran.stderr.contains("alice") && ran.stderr.contains("not on a Friday"), "{}", ran.stderr);

    let id = asks(&bob, "again").await;
    bob.run(&["request", "withdraw", &id]).await.ends(0);
    bob.run(&["request", "wait", &id]).await.ends(80);
    alice.run(&["request", "approve", &id, "--yes"]).await.ends(80);
    bob.run(&["request", "show", "req_aaaaaaaaaaaaaaaaaaaaaaaaaa"]).await.ends(77);
    bob.run(&["request", "show", "42"]).await.ends(64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_statement_runs_when_a_second_person_approves_it() {
    // shapes need names that are resolved, which masks make the gateway do
    let world = World::start(Twist { policy: REVIEWED, below: MASKED, ..Twist::default() }).await;
    let (alice, bob) = (world.login("alice").await, world.login("bob").await);
    let id = asks(&bob, "clean up").await;
    alice.run(&["request", "approve", &id, "--yes"]).await.ends(0);
    let held = ["connect", "db", "--", "-XAt", "-c", "DELETE FROM plain WHERE a = 1 RETURNING b"];
    let approved = async {
        let id = awaited(&alice).await;
        let page = alice.run(&["request", "show", &id]).await.ends(0).stdout;
        assert!(page.contains("DELETE FROM plain WHERE a = ") && page.contains("“clean up”"), "{page}");
        let digest = digest_of(&alice, &id).await;
        let arguments = ["request", "approve", &id, "--digest", &digest, "--standing", "30m", "--free", "1"];
        alice.run(&arguments).await.ends(0);
    };
    let (ran, ()) = tokio::join!(bob.run(&held), approved);
    assert_eq!(ran.stdout, "one\nDELETE 1\n", "{}", ran.text());
    // the next session has a role of its own, and the standing decision is the principal's
    let next = ["connect", "db", "--", "-XAt", "-c", "DELETE FROM plain WHERE a = 2 RETURNING b"];
    assert_eq!(bob.run(&next).await.ends(0).stdout, "two\nDELETE 1\n");
    // under other circumstances people are asked, and nothing is wrong
    let elsewhere = [
        "connect",
        "db",
        "--",
        "-XAt",
        "-c",
        "SET search_path = pg_catalog, public",
        "-c",
        "DELETE FROM plain WHERE a = 1 RETURNING b",
    ];
    let denied = async {
        let id = awaited(&alice).await;
        alice.run(&["request", "deny", &id, "--reason", "not there"]).await.ends(0);
    };
    let (ran, ()) = tokio::join!(bob.run(&elsewhere), denied);
    assert!(ran.stderr.contains("not there"), "{}", ran.text());
    let list = alice.run(&["grant", "list"]).await.ends(0);
    assert!(list.stdout.contains("DELETE"), "{}", list.stdout);
    alice.run(&["audit", "verify"]).await.ends(0);
}

/// On a terminal nobody has to know the flags. util-linux's `script` is the terminal.
#[tokio::test(flavor = "multi_thread")]
async fn on_a_terminal_connect_offers_to_ask() {
    let world = reviewed_world().await;
    let (alice, bob) = (world.login("alice").await, world.login("bob").await);
    let on_a_terminal = |who: &Env, line: &str| {
        let mut command = who.command(&[]);
        let variables: Vec<_> = command
            .as_std()
            .get_envs()
            .map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned)))
            .collect();
        command = tokio::process::Command::new("script");
        command.args(["-qec", &format!("{} {line}", program()), "/dev/null"]).env_clear().kill_on_drop(true);
        command.envs(variables.into_iter().filter_map(|(name, value)| Some((name, value?))));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.spawn().expect("script runs")
    };
    let mut connect = on_a_terminal(&bob, "connect db -- -XAtc 'select 41 + 1'");
    let mut keyboard = connect.stdin.take().expect("a pipe");
    keyboard.write_all(b"incident 4711\n").await.expect("typed");
    let id = awaited(&alice).await;
    let mut approve = on_a_terminal(&alice, &format!("request approve {id}"));
    let mut hand = approve.stdin.take().expect("a pipe");
    hand.write_all(b"y\n").await.expect("typed");
    let approved = tokio::time::timeout(Duration::from_secs(30), approve.wait_with_output()).await;
    let approved = String::from_utf8_lossy(&approved.expect("in time").expect("it ends").stdout).into_owned();
    assert!(approved.contains("incident 4711") && approved.contains("[y/N]"), "{approved}");
    assert!(approved.contains(&format!("approved {id}")), "{approved}");
    let connected = tokio::time::timeout(Duration::from_secs(30), connect.wait_with_output()).await;
    let connected =
        String::from_utf8_lossy(&connected.expect("in time").expect("it ends").stdout).into_owned();
    assert!(connected.contains("say why") && connected.contains("42\r\n"), "{connected}");
    drop((keyboard, hand));
}

/// Ctrl-C stops the waiting, and says what is left behind.
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_wait_leaves_the_request_filed_and_says_so() {
    let world = reviewed_world().await;
    let (alice, bob) = (world.login("alice").await, world.login("bob").await);
    let mut command = bob.command(&["connect", "db", "--wait", "--reason", "r"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let id = awaited(&alice).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let pid = rustix::process::Pid::from_raw(child.id().expect("it runs").cast_signed()).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it listens");
    let words = last_words(child, Duration::from_secs(10)).await.stderr;
    assert!(words.contains(&format!("{id} stays filed")) && words.contains("withdraw"), "{words}");
    assert_eq!(awaited(&alice).await, id);
}
