#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// A provider that gives the answers it was told to, and remembers what it was asked.
struct Fake {
    issuer: Url,
    asked: Arc<Mutex<Vec<String>>>,
}

/// Status and body; an empty body breaks the connection off.
type Answer = (u16, String);

impl Fake {
    /// `token` are the answers of the token endpoint, in order; the last one stays.
    async fn start(token: Vec<Answer>) -> Self {
        Self::with_issuer(None, token).await
    }

    async fn with_issuer(claimed: Option<&str>, token: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let claimed = claimed.unwrap_or(&base).to_owned();
        let discovery = format!(
            r#"{{"issuer":"{claimed}","token_endpoint":"{base}/token","device_authorization_endpoint":"{base}/device",
            "revocation_endpoint":"{base}/revoke","scopes_supported":["openid","offline_access"]}}"#
        );
        let device = format!(
            r#"{{"device_code":"dc","user_code":"ABCD","verification_uri":"{base}/go",
            "verification_uri_complete":"{base}/go?user_code=ABCD","expires_in":600,"interval":1}}"#
        );
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut token = VecDeque::from(token);
            loop {
                let Ok((mut socket, _)) = listener.accept().await else { return };
                let request = read_request(&mut socket).await;
                log.lock().unwrap().push(request.clone());
                let (status, body) = match request.split_whitespace().nth(1).unwrap_or_default() {
                    "/token" if token.len() > 1 => token.pop_front().unwrap(),
                    "/token" => token.front().cloned().unwrap(),
                    "/device" => (200, device.clone()),
                    "/revoke" => (200, "{}".into()),
                    _ => (200, discovery.clone()),
                };
                if body.is_empty() {
                    continue;
                }
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                drop(socket.write_all((head + &body).as_bytes()).await);
                drop(socket.shutdown().await);
            }
        });
        Self { issuer: base.parse().unwrap(), asked }
    }

    async fn provider(&self) -> Result<Provider, ProviderError> {
        Provider::discover(&ProviderInfo {
            name: "corp".parse().unwrap(),
            issuer: self.issuer.clone(),
            client_id: "cli".into(),
            scopes: vec!["profile".into()],
            groups_claim: Some("groups".into()),
        })
        .await
    }

    fn asked(&self, path: &str) -> Vec<String> {
        let line = format!(" {path} ");
        self.asked.lock().unwrap().iter().filter(|request| request.contains(&line)).cloned().collect()
    }
}

async fn read_request(socket: &mut tokio::net::TcpStream) -> String {
    let mut text = String::new();
    let mut buffer = [0_u8; 4096];
    loop {
        let read = socket.read(&mut buffer).await.unwrap();
        text.push_str(&String::from_utf8_lossy(buffer.get(..read).unwrap_or_default()));
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            assert!(read > 0, "half a request");
            continue;
        };
        let length =
            head.lines().find_map(|l| l.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return text;
        }
    }
}

fn error(code: &str) -> Answer {
    (400, format!(r#"{{"error":"{code}"}}"#))
}

fn granted() -> Answer {
    (200, r#"{"access_token":"a","token_type":"Bearer","id_token":"i.d.t","refresh_token":"r"}"#.into())
}

#[tokio::test]
async fn somebody_signs_in() {
    let fake = Fake::start(vec![error("authorization_pending"), granted()]).await;
    let mut prompt = None;
    let signed = fake.provider().await.unwrap().sign_in(|p| prompt = Some(p.clone())).await.unwrap();
    assert_eq!(signed.evidence.id_token.expose_secret(), "i.d.t");
    assert_eq!(signed.refresh_token.unwrap().expose_secret(), "r");
    let prompt = prompt.unwrap();
    assert_eq!(prompt.code, "ABCD");
    assert!(prompt.url_complete.unwrap().ends_with("/go?user_code=ABCD"));
    let asked = fake.asked("/device").concat();
    assert!(asked.contains("scope=profile+openid+offline_access"), "{asked}");
    assert!(asked.contains("client_id=cli"), "{asked}");
}

/// Real time would make this test wait for 7 seconds; the pause is proven by the crate's own answer.
#[tokio::test]
async fn slow_down_is_obeyed_and_survived() {
    let fake = Fake::start(vec![error("slow_down"), granted()]).await;
    let provider = fake.provider().await.unwrap();
    let began = tokio::time::Instant::now();
    provider.sign_in(|_| {}).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_provider_that_stumbles_is_asked_again() {
    let broken_off = (200, String::new());
    let fake = Fake::start(vec![broken_off, (503, "busy".into()), granted()]).await;
    fake.provider().await.unwrap().sign_in(|_| {}).await.unwrap();
    assert_eq!(fake.asked("/token").len(), 3);
}

#[tokio::test]
async fn a_no_and_an_expiry_are_told_apart() {
    let fake = Fake::start(vec![error("access_denied")]).await;
    let denied = fake.provider().await.unwrap().sign_in(|_| {}).await;
    assert!(matches!(denied, Err(ProviderError::Denied)), "{denied:?}");
    let fake = Fake::start(vec![error("expired_token")]).await;
    let expired = fake.provider().await.unwrap().sign_in(|_| {}).await;
    assert!(matches!(expired, Err(ProviderError::Expired)), "{expired:?}");
}

#[tokio::test]
async fn a_provider_without_id_tokens_is_refused() {
    let fake = Fake::start(vec![(200, r#"{"access_token":"a","token_type":"Bearer"}"#.into())]).await;
    let refused = fake.provider().await.unwrap().sign_in(|_| {}).await;
    assert!(matches!(refused, Err(ProviderError::Refused(_))), "{refused:?}");
}

#[tokio::test]
async fn a_refresh_token_that_died_means_a_new_login() {
    let fake = Fake::start(vec![error("invalid_grant")]).await;
    let ended = fake.provider().await.unwrap().refresh(&"old".to_owned().into()).await;
    assert!(matches!(ended, Err(ProviderError::Ended)), "{ended:?}");
    assert_eq!(fake.asked("/token").len(), 1, "a refresh token is spent once");
}

#[tokio::test]
async fn a_lost_network_during_refresh_is_not_the_end_of_the_login() {
    let fake = Fake::start(vec![(200, String::new())]).await;
    let lost = fake.provider().await.unwrap().refresh(&"old".to_owned().into()).await;
    assert!(matches!(lost, Err(ProviderError::Unreachable { .. })), "{lost:?}");
}

#[tokio::test]
async fn revocation_sends_the_token() {
    let fake = Fake::start(vec![granted()]).await;
    fake.provider().await.unwrap().revoke(&"rt".to_owned().into()).await.unwrap();
    assert!(fake.asked("/revoke").concat().contains("token=rt&token_type_hint=refresh_token&client_id=cli"));
}

#[tokio::test]
async fn a_document_of_another_issuer_is_refused() {
    let fake = Fake::with_issuer(Some("https://evil.example"), vec![granted()]).await;
    let refused = fake.provider().await;
    assert!(matches!(refused, Err(ProviderError::Discovery(_))), "{:?}", refused.err());
}

#[test]
fn plain_http_is_for_this_machine_only() {
    for (url, fits) in [
        ("https://id.example/", true),
        ("http://127.0.0.1:8080/", true),
        ("http://localhost/", true),
        ("http://id.example/", false),
        ("http://127.0.0.1.evil.example/", false),
    ] {
        assert_eq!(is_private(&url.parse().unwrap()), fits, "{url}");
    }
}
