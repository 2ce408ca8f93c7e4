//! Published smuggling payloads, against what several servers really receive; and answers that try the same.

use futures_util::stream::{self, StreamExt as _};

use super::corpus::{self, Payload};
use super::servers::{CLOSE, Recorder, Server, script};
use super::{status, until};
use crate::support::api::{Api, Front, INJECTED, PROTECTED, Setup};
use crate::support::gateway::SECRET;

fn auth() -> String {
    format!("Hoop-Session: {SECRET}\r\n")
}

/// Sends each payload over a connection of its own; the answers in the payloads' order.
async fn send(front: &Front, payloads: &[Payload]) -> Vec<String> {
    let each = payloads.iter().enumerate().map(|(number, payload)| {
        let bytes = payload.bytes(number, &auth());
        async move { front.raw(&bytes).await }
    });
    stream::iter(each).buffered(64).collect().await
}

const NO_HIDDEN: &str = r#"
@id("calls") permit(principal, action == Hoop::Action::"call", resource);
@id("no-hidden") @reason("not for you")
forbid (principal, action == Hoop::Action::"call", resource)
when { context.path == "/hidden" || context.path like "/hidden/*" };
"#;

/// No more requests than were allowed, none of them hidden, and nothing besides. A call whose body is at fault was allowed,
/// and not received whole.
async fn agree(front: &Front, heard: impl Fn() -> Vec<String>, of: &str) -> Vec<String> {
    let last = format!("GET /last HTTP/1.1\r\nHost: x\r\n{}Connection: close\r\n\r\n", auth());
    front.raw(last.as_bytes()).await;
    until(&format!("{of} has heard all"), || heard().iter().any(|line| line == "GET /last")).await;
    let mut allowed: Vec<String> =
        front.book.deeds().iter().filter_map(|deed| deed.strip_prefix("Allow ")).map(str::to_owned).collect();
    let heard = heard();
    for line in &heard {
        let place = allowed.iter().position(|allowed| allowed == line);
        allowed.remove(place.unwrap_or_else(|| panic!("{of} received {line}, which nobody allowed")));
    }
    assert!(!heard.iter().any(|line| line.contains("hidden")), "{of}: {heard:?}");
    heard
}

/// Every published way to write a length twice: one call judged is one call received, byte for byte.
#[tokio::test(flavor = "multi_thread")]
async fn one_call_judged_is_one_call_received() {
    let api = Api::start().await;
    let recorder = Recorder::start().await;
    let base = format!("http://127.0.0.1:{}", recorder.port);
    let front = Front::start(Setup { base, policy: NO_HIDDEN, ..Setup::open(&api) }).await;
    let mut payloads = corpus::characters();
    payloads.extend(corpus::kinds());
    let answers = send(&front, &payloads).await;
    agree(&front, || recorder.heard(), "the recorder").await;
    // what was answered was entered, whoever has read it
    let answered = answers.iter().filter(|answer| !answer.is_empty()).count();
    let deeds = front.book.deeds();
    assert!(deeds.len() >= answered, "{} of {answered}", deeds.len());
    // what has two lengths, and whatever else is not written as it should be, is refused
    let refused = answers.iter().filter(|answer| status(answer) == "400").count();
    assert!(refused > payloads.len() * 17 / 20, "{refused} of {}", payloads.len());
    let both = payloads.iter().zip(&answers).filter(|(payload, _)| {
        payload.name.starts_with("TE mid 20")
            || payload.name.starts_with("beside CL: \"Transfer-Encoding: chunked\"")
    });
    assert!(both.clone().count() == 2 && both.clone().all(|(_, answer)| status(answer) == "400"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_everybody_reads_alike_passes() {
    let api = Api::start().await;
    let recorder = Recorder::start().await;
    let base = format!("http://127.0.0.1:{}", recorder.port);
    let front = Front::start(Setup { base, ..Setup::open(&api) }).await;
    let payloads = corpus::plain();
    for (payload, answer) in payloads.iter().zip(send(&front, &payloads).await) {
        assert_eq!(status(&answer), "200", "{}: {answer}", payload.name);
    }
    let heard = agree(&front, || recorder.heard(), "the recorder").await;
    assert_eq!(heard.len(), payloads.len() + 1);
}

const NODE: &str = "require('http').createServer((q, s) => { console.log(q.method, q.url); q.resume(); \
    q.on('end', () => s.end('ok')) }).listen({port}, '127.0.0.1')";
const PYTHON: &str = "
import os
from http.server import BaseHTTPRequestHandler as H, ThreadingHTTPServer as S
class A(H):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        os.write(1, f'{self.command} {self.path}\\n'.encode())
        self.rfile.read(int(self.headers.get('content-length', 0)))
        self.close_connection = 'chunked' in self.headers.get('transfer-encoding', '')
        self.send_response(200); self.send_header('content-length', '2'); self.end_headers(); self.wfile.write(b'ok')
    do_POST = do_GET
S(('127.0.0.1', {port}), A).serve_forever()
";

/// Servers that read requests each in its own way.
#[tokio::test(flavor = "multi_thread")]
async fn nginx_node_and_python_receive_no_hidden_request() {
    let api = Api::start().await;
    for (name, server) in [
        ("nginx", Server::nginx("", "location / { return 200 ok; }", &[])),
        ("node", Server::node(NODE)),
        ("Python", Server::python(PYTHON)),
    ] {
        let base = format!("http://127.0.0.1:{}", server.port);
        let front = Front::start(Setup { base, policy: NO_HIDDEN, ..Setup::open(&api) }).await;
        send(&front, &corpus::kinds()).await;
        send(&front, &corpus::plain()).await;
        let heard = agree(&front, || server.heard(), name).await;
        assert!(heard.len() > corpus::plain().len(), "{name}: {heard:?}");
    }
}

/// What is refused before policy is asked is in the ledger, by rules of the gateway's own, and says no secret.
#[tokio::test(flavor = "multi_thread")]
async fn refused_calls_are_entered() {
    let api = Api::start().await;
    let front = Front::start(Setup::open(&api)).await;
    let head =
        |line: &str, more: &str| format!("{line} HTTP/1.1\r\nHost: x\r\n{more}Connection: close\r\n\r\n");
    let long = "x".repeat(3000);
    for (request, code, rule, text) in [
        (head("GET /a?token=geheim", ""), "401", "not-this-session", "GET /a (the call does not carry"),
        (head("GET http://api/b", ""), "407", "not-this-session", "GET /b (the call does not carry"),
        (
            head("GET http://elsewhere/c", &auth()),
            "421",
            "not-this-target",
            "GET /c (the call is for `elsewhere`",
        ),
        (head("GET /d%2f..%2fe", &auth()), "400", "unjudged", "GET ? (the path"),
        (head("get /f", &auth()), "400", "unjudged", "? /f (the method"),
        (
            head("GET /g", &format!("{}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", auth())),
            "400",
            "unjudged",
            "GET /g (the message's length",
        ),
        (format!("GET /h HTTP/1.1\nHost: x\n{}\n", auth()), "400", "unjudged", "GET /h (a line of the head"),
        ("GET /i\r\n\r\n".to_owned(), "400", "unjudged", "? ? ("),
        (head(&format!("GET /{long}"), ""), "401", "not-this-session", "GET ? (the call does not carry"),
    ] {
        let before = front.book.deeds().len();
        let answer = front.raw(request.as_bytes()).await;
        assert_eq!(status(&answer), code, "{request}: {answer}");
        until(&format!("it is entered: {request}"), || front.book.deeds().len() > before).await;
        let deeds = front.book.deeds().split_off(before);
        assert!(deeds.len() == 1 && deeds[0].starts_with(&format!("Deny {text}")), "{request}: {deeds:?}");
        assert!(
            front.book.rules().last().is_some_and(|last| last == rule),
            "{request}: {:?}",
            front.book.rules()
        );
    }
    assert!(api.lines().is_empty(), "{:?}", api.lines());
    let all = front.book.deeds().join("\n");
    assert!(!all.contains("geheim") && !all.contains(SECRET), "{all}");
}

/// An answer that holds another, or whose end is unclear: the next call never gets what it was not meant to.
#[tokio::test(flavor = "multi_thread")]
async fn no_answer_is_taken_for_another() {
    let api = Api::start().await;
    let evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    let good = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood";
    let two = |method: &str| {
        let auth = auth();
        format!(
            "{method} /1 HTTP/1.1\r\nHost: x\r\n{auth}\r\nGET /2 HTTP/1.1\r\nHost: x\r\n{auth}Connection: close\r\n\r\n"
        )
    };
    for (method, first) in [
        ("GET", format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok{evil}")),
        ("HEAD", format!("HTTP/1.1 200 OK\r\nContent-Length: 49\r\n\r\n{evil}")),
        ("GET", format!("HTTP/1.1 204 No Content\r\nContent-Length: 49\r\n\r\n{evil}")),
        ("GET", format!("HTTP/1.1 304 Not Modified\r\n\r\n{evil}")),
        (
            "GET",
            format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n0\r\n\r\n{evil}"
            ),
        ),
        (
            "GET",
            format!(
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{evil}"
            ),
        ),
    ] {
        let base =
            format!("http://127.0.0.1:{}", script(vec![Some(first.clone().into()), Some(good.into())]).await);
        let front = Front::start(Setup { base, ..Setup::open(&api) }).await;
        let answer = front.raw(two(method).as_bytes()).await;
        assert!(!answer.contains("evil"), "{first}: {answer}");
        assert!(answer.ends_with("good") || answer.contains("502"), "{first}: {answer}");
    }
}

/// What is no answer is 502; what ends early does not pass for whole.
#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_none_are_refused() {
    let api = Api::start().await;
    let get = format!("GET /1 HTTP/1.1\r\nHost: x\r\n{}Connection: close\r\n\r\n", auth());
    for first in [
        "hello, this is HTTP/0.9",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
        "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nX: \0\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        "HTTP/9.9 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "",
    ] {
        let first = [first.as_bytes(), CLOSE].concat();
        let base = format!("http://127.0.0.1:{}", script(vec![Some(first.clone())]).await);
        let front = Front::start(Setup { base, ..Setup::open(&api) }).await;
        let answer = front.raw(get.as_bytes()).await;
        assert_eq!(status(&answer), "502", "{:?}: {answer}", String::from_utf8_lossy(&first));
    }
    // a header that an API splits in two is two headers, and no second answer; the secret is taken out of both
    let split = format!("HTTP/1.1 200 OK\r\nX: a\r\nX-Injected: {INJECTED}\r\nContent-Length: 2\r\n\r\nok");
    let flood = format!("{}{split}", "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n".repeat(5_000));
    for answers in [split, flood] {
        let base = format!("http://127.0.0.1:{}", script(vec![Some(answers.into())]).await);
        let front = Front::start(Setup { base, ..Setup::open(&api) }).await;
        let answer = front.raw(get.as_bytes()).await;
        assert!(answer.contains("x-injected: [redacted]") && answer.ends_with("ok"), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    }
    // without a length the end of the connection is the end; a document that is cut there is not passed for whole
    let unframed = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{{\"api_key\":\"{PROTECTED}\",\"a\":"
    );
    let answers = vec![Some([unframed.as_bytes(), CLOSE].concat())];
    let base = format!("http://127.0.0.1:{}", script(answers).await);
    let front = Front::start(Setup { base, ..Setup::masked(&api) }).await;
    let answer = front.raw(get.as_bytes()).await;
    assert!(!answer.contains(PROTECTED) && !answer.ends_with("0\r\n\r\n"), "{answer}");
}

/// An API that answers before it has read the body: the answer arrives, and the connection is not used again.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_may_come_before_the_body_is_sent() {
    let api = Api::start().await;
    let early = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n\r\nfull";
    let good = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood";
    let base = format!("http://127.0.0.1:{}", script(vec![Some(early.into()), Some(good.into())]).await);
    let front = Front::start(Setup { base, ..Setup::open(&api) }).await;
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), vec![b'x'; 20 << 20]).expect("a file");
    let place = file.path().to_str().expect("a path");
    let answer = front.curl(&["-T", place, "-H", "Expect:"], "/x").await;
    assert!(answer.contains("full"), "{answer}");
    assert!(front.curl(&[], "/y").await.ends_with("good"));
}
