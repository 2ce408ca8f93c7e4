//! What a review of the gateway's HTTP half found, and must not be found again.

use std::sync::{Arc, Mutex};

use bytes::BytesMut;
use hoopctl::domain::approval::What;
use hoopctl::gateway::journal::ItemKind;
use hoopctl::wire::http::encoding::{Coding, Encoder};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::api::{Api, Front, INJECTED, PROTECTED, Setup};
use crate::support::gateway::SECRET;

const STATUS: &[&str] = &["-o", "/dev/null", "-w", "%{http_code}"];
const JSON: &[&str] = &["-H", "Content-Type: application/json", "-d"];

/// An API that answers every call with the same bytes.
struct Script {
    base: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Script {
    async fn start(answer: impl Into<Vec<u8>>) -> Self {
        let (answer, heads) = (answer.into(), Arc::<Mutex<Vec<String>>>::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let seen = Arc::clone(&heads);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(play(stream, answer.clone(), Arc::clone(&seen)));
            }
        });
        Self { base, heads }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("not poisoned").clone()
    }
}

async fn play(mut stream: TcpStream, answer: Vec<u8>, heads: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while let Ok(byte) = stream.read_u8().await {
        head.push(byte);
        if head.ends_with(b"\r\n\r\n") {
            heads.lock().expect("not poisoned").push(String::from_utf8_lossy(&head).into_owned());
            head.clear();
            if stream.write_all(&answer).await.is_err() {
                return;
            }
        }
    }
}

/// Neither a reason phrase, which nothing looks at, nor a way to the API past the gateway.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_says_nothing_beside_what_is_looked_at() {
    let more = "Set-Cookie: JSESSIONID=of-the-api\r\nAlt-Svc: h2=\"elsewhere.example:443\"\r\n";
    for (head, expected) in [
        (
            format!("HTTP/1.1 401 bad key {INJECTED}\r\nContent-Length: 0\r\n{more}\r\n"),
            "HTTP/1.1 401 Unauthorized",
        ),
        (
            format!("HTTP/1.1 101 for {INJECTED}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n{more}\r\n"),
            "HTTP/1.1 101 Switching Protocols",
        ),
    ] {
        let api = Api::start().await;
        let script = Script::start(head.clone()).await;
        let front = Front::start(Setup { base: script.base.clone(), ..Setup::open(&api) }).await;
        let upgrade = if head.contains("101") { "Connection: Upgrade\r\nUpgrade: websocket\r\n" } else { "" };
        let call = format!("GET /x HTTP/1.1\r\nHost: x\r\nHoop-Session: {SECRET}\r\n{upgrade}\r\n");
        let answer = front.raw(call.as_bytes()).await;
        assert!(answer.starts_with(expected), "{answer}");
        for told in ["sk-upstream", "set-cookie", "JSESSIONID", "alt-svc"] {
            assert!(!answer.contains(told), "{told}: {answer}");
        }
        assert_eq!(script.heads().len(), 1);
    }
}

/// The client invents the name of a GraphQL operation: rules about operations do not go by it.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_in_graphql_is_no_operation() {
    const ONLY: &str = r#"@id("reads") permit(principal, action == Hoop::Action::"call", resource)
        when { context has operation && context.operation == "getTrace" };
        @id("by-name") permit(principal, action == Hoop::Action::"call", resource)
        when { context has graphql_name && context.graphql_name == "known" };"#;
    let api = Api::start().await;
    let front = Front::start(Setup { policy: ONLY, graphql: Some("/graphql"), ..Setup::open(&api) }).await;
    let ask = async |body: &str| front.curl(&[STATUS, JSON, &[body]].concat(), "/graphql").await;
    assert_eq!(ask(r#"{"query":"mutation getTrace { deleteAll }"}"#).await, "403");
    assert_eq!(ask(r#"{"query":"query known { a }"}"#).await, "200");
    assert_eq!(api.lines(), ["POST /graphql"]);
}

/// What is approved is the whole call, so the whole call is shown: its headers, and its body through the masks.
#[tokio::test(flavor = "multi_thread")]
async fn reviewers_see_what_they_approve() {
    let api = Api::start().await;
    let front = Front::start(Setup { policy: HELD, ..Setup::masked(&api) }).await;
    let body = format!(r#"{{"api_key":"{PROTECTED}","to":"everybody"}}"#);
    let call = [JSON, &[&body], &["-H", "X-Scope: all", "-H", "X-Api-Key: mine"]].concat();
    let review = async {
        let request = front.desk.next().await;
        let What::Deed(deed) = &request.subject.subject().what else { panic!("a session") };
        let sent = deed.sent.clone().expect("what is sent");
        for shown in ["POST /purge\n", "x-scope: all\n", r#"{"api_key":"[masked]","to":"everybody"}"#] {
            assert!(sent.contains(shown), "{shown}: {sent}");
        }
        for kept in [PROTECTED, "mine", SECRET, "authorization"] {
            assert!(!sent.contains(kept), "{kept}: {sent}");
        }
        let exact = deed.exact.clone();
        front.desk.approve(request);
        exact
    };
    let (answer, first) = tokio::join!(front.curl(&call, "/purge"), review);
    assert!(answer.contains("cannot be masked"), "it was asked: {answer}");
    // another header is another call
    let other = [JSON, &[&body], &["-H", "X-Scope: one"]].concat();
    let review = async {
        let request = front.desk.next().await;
        let What::Deed(deed) = &request.subject.subject().what else { panic!("a session") };
        let exact = deed.exact.clone();
        front.desk.approve(request);
        exact
    };
    let (_, second) = tokio::join!(front.curl(&other, "/purge"), review);
    assert_ne!(first, second);
}

const HELD: &str = r#"@id("calls") permit(principal, action == Hoop::Action::"call", resource);
@id("purge-is-reviewed") @reason("purging is looked at by a second person") @review("corp/dba:1")
forbid (principal, action == Hoop::Action::"call", resource) when { context.path == "/purge" };"#;

/// Rails, Laravel and Google's APIs let a field stand for the method, so that a judged POST would be a DELETE.
#[tokio::test(flavor = "multi_thread")]
async fn no_field_stands_for_the_method() {
    let api = Api::start().await;
    let front = Front::start(Setup::open(&api)).await;
    for (arguments, path) in [
        (&["-d", "a=1&_method=DELETE"][..], "/x"),
        (&["-d", "a=1"], "/x?_Method=DELETE"),
        (&["-d", "a=1"], "/x?a=1;%24httpMethod=DELETE"),
    ] {
        assert_eq!(front.curl(&[STATUS, arguments].concat(), path).await, "400", "{arguments:?} {path}");
    }
    // a part is found while it passes: the API never has the whole of it
    let answer = front.curl(&[STATUS, &["-F", "a=1", "-F", "_method=DELETE"]].concat(), "/x").await;
    assert_eq!(answer, "502");
    assert!(api.seen().iter().all(|call| call.body.is_empty()), "{:?}", api.seen());
    assert_eq!(front.curl(&[STATUS, &["-F", "a=1", "-F", "method=DELETE"]].concat(), "/x").await, "200");
    assert_eq!(front.curl(&[STATUS, &["-d", "a=1&method=b"]].concat(), "/x").await, "200");
}

/// What a form says is known to rules, as what JSON says is.
#[tokio::test(flavor = "multi_thread")]
async fn fields_of_forms_are_facts() {
    const NO_KEYS: &str = r#"@id("calls") permit(principal, action == Hoop::Action::"call", resource);
        @id("no-keys") @reason("keys are not set here")
        forbid (principal, action == Hoop::Action::"call", resource) when { context.fields.contains("api_key") };"#;
    let api = Api::start().await;
    let front = Front::start(Setup { policy: NO_KEYS, ..Setup::open(&api) }).await;
    for body in ["api_key=a", "x=1&Api%5FKey=a", "x=1;api_key=a"] {
        assert_eq!(front.curl(&[STATUS, &["-d", body]].concat(), "/x").await, "403", "{body}");
    }
    assert_eq!(front.curl(&[STATUS, JSON, &[r#"{"API_KEY":"a"}"#]].concat(), "/x").await, "403");
    assert!(api.lines().is_empty());
}

/// A token of the client's own beside the lease's would be one that nobody here granted.
#[tokio::test(flavor = "multi_thread")]
async fn no_token_of_the_clients_goes_along() {
    let api = Api::start().await;
    let front = Front::start(Setup::open(&api)).await;
    assert_eq!(front.curl(STATUS, "/x?access_token=mine").await, "400");
    front.curl(&["-H", "Private-Token: mine", "-H", "X-Vault-Token: mine"], "/x").await;
    assert!(!format!("{:?}", api.seen()).contains("mine"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_gets_nothing_through() {
    let api = Api::start().await;
    let front = Front::start(Setup::open(&api)).await;
    for header in ["Sec-Fetch-Site: cross-site", "Origin: https://evil.example", "Origin: null"] {
        assert_eq!(
            front.curl(&[STATUS, &["-d", "a=b", "-H", header]].concat(), "/x").await,
            "400",
            "{header}"
        );
    }
    assert!(api.lines().is_empty());
    let own = format!("Origin: http://{}", front.address);
    assert_eq!(front.curl(&[STATUS, &["-H", &own]].concat(), "/x").await, "200");
}

/// Nobody waits for the next event of a quiet stream to notice that its reader has left.
#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_stream_ends_when_its_reader_leaves() {
    let api = Api::start().await;
    let front = Front::start(Setup::open(&api)).await;
    let mut stream = TcpStream::connect(front.address).await.expect("a gateway");
    let call = format!("GET /events HTTP/1.1\r\nHost: x\r\nHoop-Session: {SECRET}\r\n\r\n");
    stream.write_all(call.as_bytes()).await.expect("it writes");
    let mut head = [0; 16];
    stream.read_exact(&mut head).await.expect("a head");
    drop(stream);
    super::until("the outcome is recorded", || {
        String::from_utf8_lossy(&front.book.recorded(ItemKind::Outcome)).contains("the client has left")
    })
    .await;
}

/// A client that hangs up before the API has answered leaves an outcome in the recording all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_nobody_waits_for_has_an_outcome() {
    let api = Api::start().await;
    let silent = Script::start("").await;
    let front = Front::start(Setup { base: silent.base.clone(), ..Setup::open(&api) }).await;
    let mut stream = TcpStream::connect(front.address).await.expect("a gateway");
    let call = format!("GET /x HTTP/1.1\r\nHost: x\r\nHoop-Session: {SECRET}\r\n\r\n");
    stream.write_all(call.as_bytes()).await.expect("it writes");
    super::until("the API has it", || !silent.heads().is_empty()).await;
    drop(stream);
    super::until("the outcome is recorded", || {
        String::from_utf8_lossy(&front.book.recorded(ItemKind::Outcome)).contains("before the API answered")
    })
    .await;
}

/// The longest answer is one of unpacked bytes, also where nothing else looks into it.
#[tokio::test(flavor = "multi_thread")]
async fn a_packed_answer_is_as_long_as_it_unpacks_to() {
    let api = Api::start().await;
    let (mut packed, mut encoder) = (BytesMut::new(), Encoder::new(&[Coding::Gzip]).expect("memory"));
    encoder.encode(&[b'x'; 50_000], &mut packed).expect("packs");
    encoder.finish(&mut packed).expect("packs");
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", packed.len());
    let script = Script::start([head.as_bytes(), &packed].concat()).await;
    let open = || Setup { base: script.base.clone(), injection: None, ..Setup::open(&api) };
    let short = Front::start(Setup { most: Some(10_000), ..open() }).await;
    let answer = short.curl(&["--compressed"], "/x").await;
    assert!(!answer.starts_with('x') || answer.contains("curl: ("), "{} bytes", answer.len());
    let long = Front::start(Setup { most: Some(100_000), ..open() }).await;
    assert_eq!(long.curl(&["--compressed"], "/x").await.len(), 50_000);
}

/// Recordings are read by others: what is secret by its name is not in them, on targets without masks either.
#[tokio::test(flavor = "multi_thread")]
async fn passwords_are_sent_and_not_recorded() {
    let api = Api::start().await;
    let front = Front::start(Setup::open(&api)).await;
    let json = r#"{"user":"alice","newPassword":"hunter2-json","deep":[{"API_KEY":"hunter2-deep"}]}"#;
    front.curl(&[JSON, &[json]].concat(), "/x").await;
    front.curl(&["-d", "user=alice&client_secret=hunter2-form"], "/x").await;
    assert_eq!(api.seen()[0].body, json);
    assert_eq!(api.seen()[1].body, "user=alice&client_secret=hunter2-form");
    let recorded = String::from_utf8_lossy(&front.book.recorded(ItemKind::Body)).into_owned();
    assert!(recorded.contains("alice") && !recorded.contains("hunter2"), "{recorded}");
}

/// Rules can go by headers, but for credentials.
#[tokio::test(flavor = "multi_thread")]
async fn headers_are_facts() {
    const RULES: &str = r#"@id("calls") permit(principal, action == Hoop::Action::"call", resource);
        @id("no-force") @reason("nothing is forced")
        forbid (principal, action == Hoop::Action::"call", resource) when { context.headers.contains("x-force: yes") };
        @id("no-as") @reason("nobody is somebody else")
        forbid (principal, action == Hoop::Action::"call", resource) when { context.headers.contains("x-act-as") };
        @id("no-secrets") @reason("a credential is no fact")
        forbid (principal, action == Hoop::Action::"call", resource)
        when { context.headers.contains("authorization") || context.headers.contains("x-own-token") };"#;
    let api = Api::start().await;
    let front = Front::start(Setup { policy: RULES, ..Setup::open(&api) }).await;
    for (header, expected) in
        [("X-Force: yes", "403"), ("X-Force: no", "200"), ("X-Act-As: bob", "403"), ("X-Own-Token: a", "200")]
    {
        assert_eq!(front.curl(&[STATUS, &["-H", header]].concat(), "/x").await, expected, "{header}");
    }
}
