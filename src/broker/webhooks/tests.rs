#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::collections::{BTreeSet, VecDeque};
use std::sync::Mutex;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::broker::approvals::stage::{Statement, pair};
use crate::broker::config::WebhookFormat;
use crate::broker::testing::{Bench, HOOK_SECRET, PERMIT_ALL};
use crate::domain::action::Deed;
use crate::domain::approval::{Decision, SubjectText, What as Matter};
use crate::domain::caps::CapKind;
use crate::domain::event::What as Event;
use crate::domain::target::SecretSource;
use crate::gateway::authority::{Authority as _, Outcome};
use crate::wire::control::RequestView;
use crate::wire::review::Claims;

const ASK: &str = r#"
    @id("ask-first") @reason("a review first") @review("corp/dba:1")
    permit(principal, action == Hoop::Action::"connect", resource);
"#;

/// An HTTP server that keeps what it is sent, and answers what it is told to, then 204.
#[derive(Default)]
struct Receiver {
    got: Mutex<Vec<(HeaderMap, String)>>,
    answers: Mutex<VecDeque<StatusCode>>,
}

impl Receiver {
    async fn start(self: &Arc<Self>) -> url::Url {
        let receiver = Arc::clone(self);
        let take = async move |headers: HeaderMap, body: Bytes| {
            receiver.got.lock().unwrap().push((headers, String::from_utf8(body.to_vec()).unwrap()));
            let answer = receiver.answers.lock().unwrap().pop_front();
            (answer.unwrap_or(StatusCode::NO_CONTENT), "garbage \u{0}".repeat(1000))
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap()).parse().unwrap();
        let router = Router::new().route("/hook", post(take));
        // until the runtime of the test ends
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        url
    }

    fn ids(&self) -> Vec<String> {
        let got = self.got.lock().unwrap();
        got.iter()
            .map(|(headers, _)| headers.get("webhook-id").unwrap().to_str().unwrap().to_owned())
            .collect()
    }
}

fn hook(name: &str, url: &url::Url, format: WebhookFormat) -> WebhookConfig {
    WebhookConfig {
        name: name.into(),
        url: url.clone(),
        secret: SecretSource::Env("HOOK".into()),
        format,
        events: [WebhookEvent::Approved, WebhookEvent::Filed].into(),
    }
}

fn bench(hooks: &[WebhookConfig]) -> Bench {
    Bench::with(ASK, |config| config.webhooks = hooks.to_vec())
}

/// Lets everything that is due be delivered.
async fn settle(bench: &Bench) {
    bench.core.webhooks.tick();
    while !bench.core.webhooks.busy.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
}

/// The vector of the reference implementations (`standardwebhooks` of PyPI and npm).
#[test]
fn the_signature_is_the_one_of_standard_webhooks() {
    let signature =
        sign(HOOK_SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
    assert_eq!(signature.as_deref(), Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
    assert_eq!(sign("whsec_short", "id", 0, ""), None);
}

#[tokio::test]
async fn a_webhook_is_told_signed_and_without_what_people_wrote() {
    let receiver = Arc::new(Receiver::default());
    let url = receiver.start().await;
    let bench = bench(&[hook("all", &url, WebhookFormat::Standard)]);
    let (alice, bob) = (bench.login("alice", 1).await, bench.login("bob", 2).await);
    let filed: RequestView = alice.ask(json!({"reason": "card 4111 1111"})).await.json();
    bob.review("bob", filed.request.id.as_str(), Decision::Approve).await;
    settle(&bench).await;
    let got = receiver.got.lock().unwrap().clone();
    let kinds: Vec<Value> = got
        .iter()
        .map(|(_, body)| serde_json::from_str::<Value>(body).unwrap().get("type").unwrap().clone())
        .collect();
    let mut sorted: Vec<_> = kinds.iter().filter_map(Value::as_str).collect();
    sorted.sort_unstable();
    assert_eq!(sorted, ["request.approved", "request.filed"]);
    for (headers, body) in &got {
        let header = |name| headers.get(name).unwrap().to_str().unwrap();
        let at = header("webhook-timestamp").parse().unwrap();
        assert_eq!(at, bench.hand.now().as_second());
        let expected = sign(HOOK_SECRET, header("webhook-id"), at, body).unwrap();
        assert_eq!(header("webhook-signature"), expected);
        assert!(!body.contains("4111"), "{body}");
    }
    // delivered once, it is not sent again
    bench.hand.advance(7200);
    settle(&bench).await;
    assert_eq!(receiver.got.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn an_endpoint_that_is_down_for_hours_gets_everything_later_and_delays_nobody() {
    let (down, up) = (Arc::new(Receiver::default()), Arc::new(Receiver::default()));
    let (down_url, up_url) = (down.start().await, up.start().await);
    down.answers.lock().unwrap().extend([StatusCode::INTERNAL_SERVER_ERROR; 3]);
    let bench =
        bench(&[hook("down", &down_url, WebhookFormat::Ticket), hook("up", &up_url, WebhookFormat::Slack)]);
    let alice = bench.login("alice", 1).await;
    alice.ask(json!({})).await;
    alice.ask(json!({})).await;
    settle(&bench).await;
    assert_eq!((down.ids().len(), up.ids().len()), (1, 2));
    // nothing is sent before its time
    settle(&bench).await;
    assert_eq!(down.ids().len(), 1);
    for _ in 0..3 {
        bench.hand.advance(3600);
        settle(&bench).await;
    }
    let ids = down.ids();
    let first = ids.first().unwrap();
    assert_eq!(ids.iter().filter(|id| *id == first).count(), 4, "the same id at each attempt");
    let distinct: HashSet<_> = ids.iter().collect();
    assert_eq!((ids.len(), distinct.len()), (5, 2));
    // and what nobody takes for three days is forgotten
    down.answers.lock().unwrap().extend([StatusCode::GONE; 100]);
    let alice = bench.login("alice", 1).await;
    alice.ask(json!({})).await;
    bench.hand.advance(73 * 3600);
    bench.core.webhooks.prune().unwrap();
    settle(&bench).await;
    assert_eq!(down.ids().len(), 5);
}

#[tokio::test]
async fn an_endpoint_that_never_answers_keeps_neither_another_nor_a_statement_waiting() {
    let up = Arc::new(Receiver::default());
    let up_url = up.start().await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_url = format!("http://{}/hook", silent.local_addr().unwrap()).parse().unwrap();
    let hooks =
        [hook("silent", &silent_url, WebhookFormat::Standard), hook("up", &up_url, WebhookFormat::Standard)];
    let bench = Bench::with(PERMIT_ALL, |config| config.webhooks = hooks.to_vec());
    let (alice, bob) = pair(&bench).await;
    let (id, filed) = Statement::by(&alice, "alice").await.held().await;
    bench.core.webhooks.tick();
    // from here to the end of the test it is being delivered to
    let _silent = silent.accept().await.unwrap();
    bob.review("bob", id.as_str(), Decision::Approve).await;
    assert!(matches!(filed.outcome.await, Outcome::Approved(_)));
    bench.core.release(&id).await.unwrap();
    while up.ids().len() < 2 {
        bench.core.webhooks.tick();
        tokio::task::yield_now().await;
    }
    assert!(bench.core.webhooks.busy.lock().unwrap().contains("silent"));
}

/// Bytes that are no HTTP, a head without an end, a line that is cut, a way to somewhere else: none is a yes, and nobody follows.
#[tokio::test]
async fn an_endpoint_that_answers_garbage_gets_the_same_message_again_and_delays_nobody() {
    let elsewhere = Arc::new(Receiver::default());
    let elsewhere_url = elsewhere.start().await;
    let answers = [
        b"\x00\xff\xfe garbage\r\n\r\n".to_vec(),
        [b"HTTP/1.1 200 OK\r\n".as_slice(), &b"x-endless: aaaaaaaaaaaaaaaa\r\n".repeat(1 << 16)].concat(),
        Vec::new(),
        format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {elsewhere_url}\r\ncontent-length: 0\r\n\r\n")
            .into(),
        b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
    ];
    let attempts = answers.len();
    let got = Arc::new(Mutex::new(Vec::new()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap()).parse().unwrap();
    let heard = Arc::clone(&got);
    tokio::spawn(async move {
        for answer in answers {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"}") {
                assert!(socket.read_buf(&mut request).await.unwrap() > 0);
            }
            heard.lock().unwrap().push(String::from_utf8(request).unwrap());
            // whoever has heard enough hangs up
            let _cut = socket.write_all(&answer).await;
        }
    });
    let up = Arc::new(Receiver::default());
    let up_url = up.start().await;
    let bench =
        bench(&[hook("odd", &url, WebhookFormat::Standard), hook("up", &up_url, WebhookFormat::Standard)]);
    let alice = bench.login("alice", 1).await;
    alice.ask(json!({})).await;
    settle(&bench).await;
    assert_eq!(up.ids().len(), 1);
    for _ in 1..=attempts {
        bench.hand.advance(3600);
        settle(&bench).await;
    }
    let got = got.lock().unwrap().clone();
    let id = |request: &String| {
        let line = request.lines().find_map(|line| line.strip_prefix("webhook-id: "));
        line.unwrap_or_else(|| panic!("{request}")).to_owned()
    };
    let ids: HashSet<String> = got.iter().map(id).collect();
    assert_eq!((got.len(), ids.len()), (attempts, 1), "until it is taken, and not once more");
    assert!(elsewhere.ids().is_empty());
}

/// Statements, values and reasons hold what is protected here, and a name what Slack would obey.
#[tokio::test]
async fn chat_and_ticket_say_who_asks_for_what_and_nothing_that_is_protected() {
    let (chat, ticket) = (Arc::new(Receiver::default()), Arc::new(Receiver::default()));
    let (chat_url, ticket_url) = (chat.start().await, ticket.start().await);
    let all = |name, url, format| WebhookConfig {
        events: [WebhookEvent::Filed, WebhookEvent::Denied, WebhookEvent::Revoked].into(),
        ..hook(name, url, format)
    };
    let hooks =
        [all("chat", &chat_url, WebhookFormat::Slack), all("ticket", &ticket_url, WebhookFormat::Ticket)];
    let bench = bench(&hooks);
    let hostile = json!({"preferred_username": "<!channel> & co"});
    let (alice, bob) = (bench.login_with("alice", 1, hostile).await, bench.login("bob", 2).await);
    let mut shown = Vec::new();
    let mut tell = async |request: &str| {
        settle(&bench).await;
        for receiver in [&chat, &ticket] {
            for (_, body) in std::mem::take(&mut *receiver.got.lock().unwrap()) {
                shown.push(body.replace(request, "req_1"));
            }
        }
    };
    let asked: RequestView = alice.ask(json!({"reason": "card 4111 1111"})).await.json();
    tell(asked.request.id.as_str()).await;
    let approved: RequestView = bob.review("bob", asked.request.id.as_str(), Decision::Approve).await.json();
    let statement = Statement::by(&alice, "alice").await;
    let mut subject = statement.subject(None).subject().clone();
    subject.reason = Some("card 4111 1111".into());
    let Matter::Deed(deed) = &mut subject.what else { panic!("it is one") };
    deed.text = "DELETE FROM cards WHERE number = '4111 1111'".into();
    deed.sent = Some(deed.text.clone());
    deed.values = vec!["4111 1111".into()];
    let Deed::Statement(facts) = &mut deed.facts else { panic!("a statement") };
    facts.verb = "delete".into();
    facts.relations_written = ["public.cards".to_owned()].into();
    let (held, _filed) =
        statement.held_as(SubjectText::write(subject).unwrap(), Statement::hold()).await.unwrap();
    tell(held.as_str()).await;
    let claims = bob.claims(held.as_str(), Decision::Deny, bob.device("bob").principal).await;
    bob.give(held.as_str(), &Claims { reason: Some("4111 1111 is a customer".into()), ..claims }).await;
    tell(held.as_str()).await;

    let grant = approved.grant.unwrap().id;
    assert_eq!(bob.call("DELETE", &format!("/v1/grants/{grant}"), None).await.status, StatusCode::NO_CONTENT);
    tell(asked.request.id.as_str()).await;
    let shown = shown.join("\n");
    assert!(!shown.contains("4111"), "{shown}");
    insta::assert_snapshot!(shown, @r#"
    {"text":"*waits for a review* · &lt;!channel&gt; &amp; co asks for 60 min on db\n`hoopctl request show req_1`"}
    {"external_id":"req_1","summary":"<!channel> & co asks for 60 min on db","description":"waits for a review\nTakes 1 of corp/dba.\nLook at it: hoopctl request show req_1","status":"pending","labels":["hoopctl","request.filed","db"]}
    {"text":"*waits for a review* · &lt;!channel&gt; &amp; co asks to run delete on db\n`hoopctl request show req_1`"}
    {"external_id":"req_1","summary":"<!channel> & co asks to run delete on db","description":"waits for a review\nTakes 1 of corp/dba.\nLook at it: hoopctl request show req_1","status":"pending","labels":["hoopctl","request.filed","db"]}
    {"text":"*denied* · &lt;!channel&gt; &amp; co asks to run delete on db\n`hoopctl request show req_1`"}
    {"external_id":"req_1","summary":"<!channel> & co asks to run delete on db","description":"denied\nTakes 1 of corp/dba.\nLook at it: hoopctl request show req_1","status":"denied","labels":["hoopctl","request.denied","db"]}
    {"text":"*revoked* · bob took back the approval of &lt;!channel&gt; &amp; co for db\n`hoopctl request show req_1`"}
    {"external_id":"req_1","summary":"bob took back the approval of <!channel> & co for db","description":"revoked\nLook at it: hoopctl request show req_1","status":"revoked","labels":["hoopctl","grant.revoked","db"]}
    "#);
}

/// A name that was stored by an older broker, and a table that its owner named.
#[tokio::test]
async fn what_deceives_the_eye_is_written_out_in_every_message() {
    const UNSEEN: &str = "\u{202e}\u{200b}\u{2066}";
    let bench = Bench::new(PERMIT_ALL);
    let alice = bench.login("alice", 1).await;
    let statement = Statement::by(&alice, "alice").await;
    let mut subject = statement.subject(None).subject().clone();
    let Matter::Deed(deed) = &mut subject.what else { panic!("it is one") };
    let Deed::Statement(facts) = &mut deed.facts else { panic!("a statement") };
    facts.relations_written = [format!("public.cards{UNSEEN}")].into();
    let (id, _filed) =
        statement.held_as(SubjectText::write(subject).unwrap(), Statement::hold()).await.unwrap();
    let mut stored = bench.store.read(|on| crate::broker::store::requests::find(on, &id)).unwrap().unwrap();
    stored.request.display = format!("alice{UNSEEN}");
    let now = bench.hand.now();
    let grant = Grant {
        id: crate::domain::name::GrantId::from_random([1; 16]),
        request: id,
        principal: stored.request.requester.clone(),
        target: stored.request.target.clone(),
        reason: String::new(),
        starts: now,
        ends: now,
        once: false,
        state: crate::domain::approval::GrantState::Active,
    };
    for format in [WebhookFormat::Standard, WebhookFormat::Slack, WebhookFormat::Ticket] {
        let filed = letter::write(format, WebhookEvent::Filed, &stored, &stored.life, now);
        let by = format!("bob{UNSEEN}");
        let revoked = letter::write_revoked(format, &grant, Some(&stored), &by, now);
        for body in [&filed, &revoked] {
            // `serde_json` writes these characters as they are
            assert!(!body.chars().any(|c| UNSEEN.contains(c)), "{body}");
            assert!(body.contains("alice\\\\u{202e}"), "{body}");
        }
    }
}

#[tokio::test]
async fn a_message_that_is_refused_holds_no_other_up() {
    let receiver = Arc::new(Receiver::default());
    let url = receiver.start().await;
    receiver.answers.lock().unwrap().push_back(StatusCode::BAD_REQUEST);
    let bench = bench(&[hook("all", &url, WebhookFormat::Standard)]);
    let alice = bench.login("alice", 1).await;
    alice.ask(json!({})).await;
    alice.ask(json!({})).await;
    settle(&bench).await;
    let ids = receiver.ids();
    assert_eq!(ids.len(), 2);
    // the refused one comes again, at its own time
    bench.hand.advance(3600);
    settle(&bench).await;
    assert_eq!(receiver.ids().get(2), ids.first());
}

#[test]
fn waiting_grows_to_an_hour_and_never_beyond_it_and_a_quarter() {
    assert_eq!(backoff(0, 0).as_secs(), 5);
    assert_eq!(backoff(3, 0).as_secs(), 40);
    assert_eq!(backoff(40, 0).as_secs(), 3600);
    assert_eq!(backoff(40, u16::MAX).as_secs(), 4500);
}

#[tokio::test]
async fn a_capped_statement_is_told_once_in_ten_minutes_and_without_its_text() {
    let receiver = Arc::new(Receiver::default());
    let url = receiver.start().await;
    let events = [WebhookEvent::Capped].into();
    let hooks = [WebhookFormat::Standard, WebhookFormat::Slack, WebhookFormat::Ticket];
    let hooks = hooks.map(|format| WebhookConfig {
        events: BTreeSet::clone(&events),
        ..hook(format_name(format), &url, format)
    });
    let bench = Bench::with(PERMIT_ALL, |config| config.webhooks = hooks.to_vec());
    let alice = bench.login("alice", 1).await;
    let context = Statement::by(&alice, "alice").await.context;
    let capped = |rule: &str| Event::StatementCapped {
        session: context.id.clone(),
        connection: 1,
        statement: 7,
        rule: RuleName::new(rule).unwrap(),
        cap: CapKind::Rows,
        most: 100,
        rows: 100,
        bytes: 2400,
    };
    bench.core.webhooks.alert(&context, &capped("small"));
    bench.core.webhooks.alert(&context, &capped("small"));
    settle(&bench).await;
    let mut shown: Vec<String> = receiver.got.lock().unwrap().drain(..).map(|(_, body)| body).collect();
    shown.sort();
    let now = bench.hand.now().to_string();
    let shown = shown.join("\n").replace(context.id.as_str(), "ses_1").replace(&now, "now");
    insta::assert_snapshot!(shown, @r#"
    {"external_id":"ses_1/1/7","summary":"a statement of alice on db reached the cap of 100 rows (rule small)","description":"capped\nLook at it: hoopctl session show ses_1","status":"capped","labels":["hoopctl","statement.capped","db"]}
    {"text":"*capped* · a statement of alice on db reached the cap of 100 rows (rule small)\n`hoopctl session show ses_1`"}
    {"type":"statement.capped","timestamp":"now","data":{"session":"ses_1","connection":1,"statement":7,"principal":"corp:alice","display":"alice","target":"db","rule":"small","cap":"rows","most":100,"rows":100,"bytes":2400,"summary":"a statement of alice on db reached the cap of 100 rows (rule small)","command":"hoopctl session show ses_1"}}
    "#);
    // another rule, and the same one later
    bench.core.webhooks.alert(&context, &capped("other"));
    bench.hand.advance(601);
    bench.core.webhooks.alert(&context, &capped("small"));
    settle(&bench).await;
    assert_eq!(receiver.got.lock().unwrap().len(), 6);
}

fn format_name(format: WebhookFormat) -> &'static str {
    match format {
        WebhookFormat::Standard => "standard",
        WebhookFormat::Slack => "slack",
        WebhookFormat::Ticket => "ticket",
    }
}
