#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::VecDeque;
use std::sync::Mutex;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};

use super::*;
use crate::broker::config::WebhookFormat;
use crate::broker::testing::{Bench, HOOK_SECRET};
use crate::domain::approval::Decision;
use crate::domain::target::SecretSource;
use crate::wire::control::RequestView;

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
