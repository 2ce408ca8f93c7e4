//! The certified provider `oidc-provider` on a port of its own, and a person who uses its forms.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use url::Url;

use super::postgres::free_port;

/// A running provider. People: alice (dba, oncall), bob (dev), mallory (none), and alice-admin (dev), who has
/// alice's e-mail address.
pub(crate) struct Provider {
    /// Exactly as its discovery document and its tokens say it: no slash at the end.
    pub(crate) issuer: String,
    child: Child,
    commands: Option<ChildStdin>,
    answers: Answers,
}

/// The lines that it prints.
struct Answers(Receiver<String>);

/// The public client that it knows.
pub(crate) const CLIENT_ID: &str = "hoopctl";

impl Provider {
    /// Starts one.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one whose ID tokens say little: groups are at its userinfo endpoint only, the time of a
    /// sign-in nowhere.
    pub(crate) fn start_lean() -> Self {
        Self::start_with(&[("LEAN", "yes")])
    }

    fn start_with(variables: &[(&str, &str)]) -> Self {
        let folder = folder();
        for _ in 0..8 {
            let port = free_port();
            let mut child = Command::new("node")
                .arg("server.mjs")
                .env("PORT", port.to_string())
                .envs(variables.iter().copied())
                .current_dir(&folder)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .expect("node runs");
            let commands = child.stdin.take();
            let answers = Answers::of(child.stdout.take().expect("a pipe"));
            let issuer = format!("http://127.0.0.1:{port}");
            if answers.say(&format!("ready {issuer}")) {
                return Self { issuer, child, commands, answers };
            }
            let _killed = child.kill();
            child.wait().expect("it ends");
        }
        panic!("oidc-provider did not start in {}; run: tests/setup/oidc-provider.sh", folder.display());
    }

    /// A token of the workload `robot`, by client credentials.
    pub(crate) async fn job_token(&self) -> String {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let form = [("grant_type", "client_credentials")];
        let request = client.post(format!("{}/token", self.issuer)).basic_auth("robot", Some("robot-secret"));
        let answer = request.form(&form).send().await.expect("the provider answers");
        let answer: serde_json::Value = answer.json().await.expect("JSON");
        answer["access_token"].as_str().unwrap_or_else(|| panic!("no token: {answer}")).to_owned()
    }

    /// A token as a platform hands it to a job: see `tests/setup/workload-tokens.mjs`.
    pub(crate) async fn mint(&self, wish: serde_json::Value) -> String {
        self.platform("mint", &wish).await
    }

    /// Changes what the tokens say that a runner of GitHub hands out.
    pub(crate) async fn github_claims(&self, claims: serde_json::Value) {
        self.platform("actions/claims", &claims).await;
    }

    /// How often a runner was asked for a token.
    pub(crate) async fn github_asked(&self) -> u64 {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let answer = client.get(format!("{}/actions/asked", self.issuer)).send().await.expect("an answer");
        answer.json::<serde_json::Value>().await.expect("JSON")["asked"].as_u64().expect("a number")
    }

    /// What a runner of GitHub sets for a job that may ask for tokens.
    pub(crate) fn github_job(&self) -> [(&'static str, String); 3] {
        [
            ("GITHUB_ACTIONS", "true".into()),
            ("ACTIONS_ID_TOKEN_REQUEST_URL", format!("{}/actions/token?api-version=2.0", self.issuer)),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "runner".into()),
        ]
    }

    async fn platform(&self, path: &str, wish: &serde_json::Value) -> String {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let asked = client.post(format!("{}/{path}", self.issuer)).body(wish.to_string());
        let answer = asked.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{path} {wish}");
        answer.text().await.expect("text")
    }

    /// From now on its clock is so many seconds behind.
    pub(crate) fn go_back(&mut self, seconds: u32) {
        self.command(&format!("back {seconds}"));
    }

    /// Changes somebody's groups, seen in the next ID token.
    pub(crate) fn set_groups(&mut self, person: &str, groups: &[&str]) {
        self.command(&format!("groups {person} {}", groups.join(",")));
    }

    /// Ends it.
    pub(crate) fn stop(&mut self) {
        self.commands = None;
        let _killed = self.child.kill();
        let _gone = self.child.wait();
    }

    /// Removes somebody.
    pub(crate) fn remove(&mut self, person: &str) {
        self.command(&format!("remove {person}"));
    }

    fn command(&mut self, line: &str) {
        let commands = self.commands.as_mut().expect("it runs");
        writeln!(commands, "{line}").expect("it listens");
        assert!(self.answers.say(&format!("done {}", line.trim())), "oidc-provider ended, or hangs");
    }
}

impl Answers {
    fn of(stdout: ChildStdout) -> Self {
        let (told, answers) = mpsc::channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
            lines.try_for_each(|line| told.send(line))
        });
        Self(answers)
    }

    /// Waits for a line; notices of the provider's own come before it. Not when it ends, or takes a minute.
    fn say(&self, awaited: &str) -> bool {
        std::iter::from_fn(|| self.0.recv_timeout(Duration::from_secs(60)).ok()).any(|line| line == awaited)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Opens the page that a device shows (`verification_uri_complete`), signs in and consents, all
/// through the provider's own forms.
pub(crate) async fn approve(page: &str, person: &str) {
    let mut browser = Browser::new();
    let (mut at, mut html) = browser.get(Url::parse(page).expect("a page")).await;
    let mut answer = vec![("confirm".to_owned(), "yes".to_owned())];
    for _ in 0..6 {
        if html.contains("Sign-in Success") {
            return;
        }
        let form = Form::find(&html).unwrap_or_else(|| panic!("no form at {at}: {html}"));
        let prompt = form.fields.get("prompt").cloned();
        let mut fields: Vec<(String, String)> = form.fields.into_iter().collect();
        if prompt.as_deref() == Some("login") {
            fields.push(("login".into(), person.into()));
            fields.push(("password".into(), "any".into()));
        }
        fields.append(&mut answer);
        let action = at.join(&form.action).expect("an action");
        (at, html) = browser.post(action, &fields).await;
    }
    panic!("the sign-in did not come to an end: {html}");
}

/// As much of a browser as forms need: cookies and redirects.
struct Browser {
    client: reqwest::Client,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    fn new() -> Self {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(60))
            .build()
            .expect("a client");
        Self { client, cookies: BTreeMap::new() }
    }

    async fn get(&mut self, url: Url) -> (Url, String) {
        let request = self.client.get(url.clone());
        self.follow(url, request).await
    }

    async fn post(&mut self, url: Url, fields: &[(String, String)]) -> (Url, String) {
        let request = self.client.post(url.clone()).form(fields);
        self.follow(url, request).await
    }

    async fn follow(&mut self, mut url: Url, mut request: reqwest::RequestBuilder) -> (Url, String) {
        for _ in 0..10 {
            let cookies: Vec<String> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let response =
                request.header(COOKIE, cookies.join("; ")).send().await.expect("the provider answers");
            for cookie in response.headers().get_all(SET_COOKIE) {
                let cookie = cookie.to_str().expect("a cookie").split(';').next().expect("a pair");
                let (name, value) = cookie.split_once('=').expect("a pair");
                if value.is_empty() {
                    self.cookies.remove(name);
                } else {
                    self.cookies.insert(name.to_owned(), value.to_owned());
                }
            }
            let Some(location) = response.headers().get(LOCATION) else {
                return (url, response.text().await.expect("a page"));
            };
            url = url.join(location.to_str().expect("a location")).expect("a location");
            request = self.client.get(url.clone());
        }
        panic!("too many redirects at {url}");
    }
}

struct Form {
    action: String,
    fields: BTreeMap<String, String>,
}

impl Form {
    /// The first form of a page: its action and the fields that have a value already.
    fn find(html: &str) -> Option<Self> {
        let (_, rest) = html.split_once("<form")?;
        let (form, _) = rest.split_once("</form>")?;
        let action = attribute(form.split('>').next()?, "action")?;
        let named = |input: &str| {
            let tag = input.split('>').next()?;
            Some((attribute(tag, "name")?, attribute(tag, "value")?))
        };
        Some(Self { action, fields: form.split("<input").skip(1).filter_map(named).collect() })
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!("{name}=\""))?;
    Some(rest.split('"').next()?.replace("&amp;", "&"))
}

fn folder() -> PathBuf {
    crate::support::cached("oidc-provider", "oidc-provider")
}

#[tokio::test]
async fn a_device_signs_in_and_refreshes() {
    use serde_json::Value;
    let mut provider = Provider::start();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let discovery: Value = client
        .get(format!("{}/.well-known/openid-configuration", provider.issuer))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let post = async |endpoint: &str, form: &[(&str, &str)]| -> Value {
        let url = discovery[endpoint].as_str().unwrap();
        client.post(url).form(form).send().await.unwrap().json().await.unwrap()
    };
    let scope = "openid profile email groups offline_access";
    let device = post("device_authorization_endpoint", &[("client_id", CLIENT_ID), ("scope", scope)]).await;
    approve(device["verification_uri_complete"].as_str().unwrap(), "alice").await;
    let code = device["device_code"].as_str().unwrap();
    let grant = "urn:ietf:params:oauth:grant-type:device_code";
    let tokens =
        post("token_endpoint", &[("client_id", CLIENT_ID), ("grant_type", grant), ("device_code", code)])
            .await;
    assert_eq!(claims(&tokens)["groups"], serde_json::json!(["dba", "oncall"]));
    assert_eq!(claims(&tokens)["email"], "alice@example.test");

    provider.set_groups("alice", &["dev"]);
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let form = [("client_id", CLIENT_ID), ("grant_type", "refresh_token"), ("refresh_token", refresh)];
    let again = post("token_endpoint", &form).await;
    assert_eq!(claims(&again)["groups"], serde_json::json!(["dev"]));
}

fn claims(tokens: &serde_json::Value) -> serde_json::Value {
    use base64::Engine as _;
    let token = tokens["id_token"].as_str().unwrap_or_else(|| panic!("no ID token: {tokens}"));
    let middle = token.split('.').nth(1).unwrap();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(middle).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}
