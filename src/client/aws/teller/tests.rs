#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use http_body_util::BodyExt as _;
use hyper::client::conn::http1 as client;
use tokio::sync::Semaphore;

use super::*;

/// A gateway that answers when it is let: who asked is counted.
struct Gateway {
    asked: Arc<AtomicUsize>,
    may_answer: Arc<Semaphore>,
    clock: Clock,
    status: u16,
}

impl Opener for Gateway {
    fn open(&self) -> BoxFuture<'_, Result<Box<dyn Stream>, Refusal>> {
        let (near, far) = tokio::io::duplex(HEAD);
        let (asked, may, clock) = (Arc::clone(&self.asked), Arc::clone(&self.may_answer), self.clock.clone());
        let status = StatusCode::from_u16(self.status).unwrap();
        let service = service_fn(move |_| {
            let (asked, may, clock) = (Arc::clone(&asked), Arc::clone(&may), clock.clone());
            async move {
                let count = asked.fetch_add(1, Ordering::SeqCst) + 1;
                may.acquire().await.unwrap().forget();
                let expires = clock.now() + jiff::SignedDuration::from_secs(900);
                let body = json!({
                    "AccessKeyId": format!("key {count}"), "SecretAccessKey": "s", "Token": "t",
                    "Expiration": expires, "RoleArn": "r", "message": "hoopctl: denied by rule no.keys", "hint": "ask",
                });
                Ok::<_, Infallible>(respond(status, body.to_string()))
            }
        });
        tokio::spawn(async move { http1::Builder::new().serve_connection(TokioIo::new(far), service).await });
        Box::pin(std::future::ready(Ok(Box::new(near) as Box<dyn Stream>)))
    }
}

struct Bench {
    teller: Teller,
    asked: Arc<AtomicUsize>,
    may_answer: Arc<Semaphore>,
    now: Arc<AtomicI64>,
}

fn bench(status: u16) -> Bench {
    let (asked, may_answer) = (Arc::<AtomicUsize>::default(), Arc::new(Semaphore::new(0)));
    let now = Arc::new(AtomicI64::new(1000));
    let hand = Arc::clone(&now);
    let clock = Clock::from_fn(move || Timestamp::from_second(hand.load(Ordering::SeqCst)).unwrap());
    let (count, may) = (Arc::clone(&asked), Arc::clone(&may_answer));
    let gateway = Gateway { asked: count, may_answer: may, clock: clock.clone(), status };
    let teller = Teller::new("secret".into(), clock, Arc::new(gateway));
    Bench { teller, asked, may_answer, now }
}

/// What an SDK is told.
async fn ask(teller: &Teller, secret: &'static str) -> (u16, String) {
    let stream = teller.open().await.unwrap();
    let (mut sender, connection) = client::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("/credentials").header("authorization", secret).body(Full::<Bytes>::default());
    let answer = sender.send_request(request.unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn the_gateway_is_asked_when_a_third_of_their_life_is_left() {
    let Bench { teller, asked, may_answer, now } = bench(200);
    may_answer.add_permits(2);
    for (later, key, count) in [(0, "key 1", 1), (599, "key 1", 1), (1, "key 2", 2)] {
        now.fetch_add(later, Ordering::SeqCst);
        let (status, body) = ask(&teller, "secret").await;
        assert!(status == 200 && body.contains(key), "{body}");
        assert_eq!(asked.load(Ordering::SeqCst), count);
    }
    assert_eq!(ask(&teller, "another").await.0, 401);
}

/// SDKs wait for two seconds, reviewers for minutes.
#[tokio::test]
async fn an_sdk_that_left_finds_the_answer_when_it_asks_again() {
    let Bench { teller, asked, may_answer, .. } = bench(200);
    let leaving = tokio::spawn({
        let teller = teller.clone();
        async move { ask(&teller, "secret").await }
    });
    while asked.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    leaving.abort();
    may_answer.add_permits(1);
    let (status, body) = ask(&teller, "secret").await;
    assert!(status == 200 && body.contains("key 1"), "{body}");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_denial_is_told_to_the_sdk_and_to_the_person() {
    let Bench { teller, may_answer, .. } = bench(403);
    may_answer.add_permits(2);
    let (status, body) = ask(&teller, "secret").await;
    assert!(status == 403 && body.contains("denied by rule no.keys"), "{body}");
    let Err(LinkError::Problem(problem)) = teller.give().await else { panic!("it is denied") };
    assert_eq!((problem.code, problem.hint.as_deref()), (ProblemCode::Denied, Some("ask")));
}
