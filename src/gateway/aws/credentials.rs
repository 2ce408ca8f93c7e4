//! Credentials of AWS, handed out over a session's tunnel.
//!
//! Job: answer `GET /credentials` as SDKs ask for it (container credential provider), each time as an action `issue`
//! that is judged, entered and recorded like any other. Boundary: serves nothing else, and sees nothing of what is done
//! with the credentials. Failure mode: an answer that names the rule and the next step; what cannot be entered closes
//! the session, and nothing is handed out.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Unit;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::domain::action::Deed;
use crate::domain::device::Device;
use crate::domain::name::{Digest, RuleName, SessionId};
use crate::domain::policy::Denial;
use crate::domain::session::CloseReason;
use crate::domain::target::{AwsTarget, TargetKind};
use crate::gateway::authority::{Admission, Authority, Credential, Lease, LeaseError, SessionContext};
use crate::gateway::clock::Clock;
use crate::gateway::deps::Deps;
use crate::gateway::entrance;
use crate::gateway::hold::Seat;
use crate::gateway::journal::JournalError;
use crate::gateway::judge::{Case, Judged, Turnstile};
use crate::recording::item::Outcome;

/// Serves one connection; returns when it is over.
pub(super) async fn serve<S>(deps: &Deps, io: S, session: &SessionId, device: &Device)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let admitted = deps.authority.admit(session, device);
    // the permit to reach the resource is not needed: nothing is dialled from here
    let Admission { context, permit: _, connection, closing, slot } = match admitted {
        Ok(admission) => admission,
        Err(refusal) => return tracing::debug!(%session, %refusal, "no admission"),
    };
    let TargetKind::Aws(target) = &context.target.kind else { return };
    let seat = Seat { login: target.role.clone(), database: target.region.clone() };
    let turnstile = match entrance::begin_with_tasks(deps, &context, connection, seat) {
        Ok(turnstile) => turnstile,
        Err(error) => {
            tracing::error!(%session, %error, "a connection could not be entered");
            return deps.authority.close(session, CloseReason::LedgerUnwritable);
        }
    };
    let teller = Arc::new(Teller {
        target: target.as_ref().clone(),
        context: Arc::clone(&context),
        authority: Arc::clone(&deps.authority),
        clock: deps.clock.clone(),
        turnstile,
        closing,
        tasks: Mutex::default(),
    });
    teller.converse(io).await;
    let mut tasks = std::mem::take(&mut *teller.tasks());
    // what was taken back is entered as such
    let _in_time = tokio::time::timeout(TELLING, async { while tasks.join_next().await.is_some() {} }).await;
    tasks.shutdown().await;
    entrance::end(deps, &context, &teller.turnstile, connection).await;
    drop(slot);
}

/// One connection.
struct Teller {
    context: Arc<SessionContext>,
    target: AwsTarget,
    authority: Arc<dyn Authority>,
    clock: Clock,
    turnstile: Turnstile,
    closing: watch::Receiver<Option<CloseReason>>,
    tasks: Mutex<JoinSet<()>>,
}

/// Why there are no credentials.
struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    rule: Option<String>,
    hint: Option<String>,
}

type Answer = Response<Full<Bytes>>;

impl Teller {
    async fn converse<S>(self: &Arc<Self>, io: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = service_fn(|request| {
            let teller = Arc::clone(self);
            async move { Ok::<_, Infallible>(teller.answer(&request).await) }
        });
        let mut server = http1::Builder::new();
        server
            .max_buf_size(HEAD)
            .max_headers(MOST_HEADERS)
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE);
        let serving = server.serve_connection(TokioIo::new(io), service);
        let mut serving = std::pin::pin!(serving);
        let over = tokio::select! {
            end = serving.as_mut() => Some(end),
            () = self.over() => None,
        };
        match over {
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::debug!(session = %self.context.id, %error, "the connection ended"),
            None => {
                serving.as_mut().graceful_shutdown();
                let _in_time = tokio::time::timeout(TELLING, serving).await;
            }
        }
    }

    async fn answer(&self, request: &Request<Incoming>) -> Answer {
        let answer = tokio::select! {
            biased;
            () = self.over() => Err(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "SessionClosed",
                format!("session {} has closed", self.context.id),
            )),
            answer = self.attempt(request) => answer,
        };
        answer.unwrap_or_else(Refusal::respond)
    }

    async fn attempt(&self, request: &Request<Incoming>) -> Result<Answer, Refusal> {
        // INVARIANT: every use without the session's secret is refused
        if !is_open(request.headers(), &self.context.secret) {
            return Err(self.refuse("secret", Refusal::closed()).await);
        }
        if request.uri().path() != PATH {
            return Err(self.refuse("path", Refusal::elsewhere(request.uri().path())).await);
        }
        if request.method() != Method::GET {
            return Err(self.refuse("method", Refusal::method()).await);
        }
        let number = match self.judge(self.case(None)).await {
            Err(error) => return Err(self.unrecorded(&error)),
            Ok(Err(refused)) => return Err(Refusal::denied(refused.denial)),
            Ok(Ok(number)) => number,
        };
        // INVARIANT: nothing is asked of AWS before the verdict is entered
        let lease = self.authority.lease(&self.context).await;
        let answer = lease.map_err(|error| Refusal::no_lease(&error)).and_then(|lease| self.tell(lease));
        let (status, error) = match &answer {
            Ok(answer) => (answer.status(), None),
            Err(refusal) => (refusal.status, Some(refusal.message.clone())),
        };
        let outcome = Outcome { number, rows: 0, tag: Some(status.as_u16().to_string()), error };
        let recorded = self.turnstile.reel().outcome(&outcome).await;
        recorded.map_err(|error| self.unrecorded(&error))?;
        answer
    }

    /// Judges a case that may have to wait: when the caller goes away meanwhile, it is taken back, which is entered.
    async fn judge(&self, case: Case) -> Result<Judged, JournalError> {
        let spawn = |task| {
            self.tasks().spawn(task);
        };
        self.turnstile.judge_while_asked(case, spawn).await
    }

    /// What is to be judged, or why it is not.
    fn case(&self, why: Option<&str>) -> Case {
        let left = self.context.expires.duration_since(self.clock.now()).as_secs().max(0).unsigned_abs();
        // the context tells the session's first end; it may have been made longer since
        let seconds = if left == 0 { self.target.seconds } else { left.min(self.target.seconds) };
        let facts = self.target.issue(&self.context.principal.groups, seconds);
        let text = match why {
            None => format!("credentials of {}", self.target.role),
            Some(why) => format!("credentials of {} ({why})", self.target.role),
        };
        Case {
            protocol: "aws",
            // what was allowed once says nothing of other limits
            exact: format!("{text}\n{seconds}\n{:?}\n{:?}", facts.actions, facts.resources).into_bytes(),
            text,
            sent: None,
            deed: Deed::Issue(facts),
            settings: BTreeMap::new(),
        }
    }

    /// Enters what is refused before policy is asked.
    async fn refuse(&self, rule: &str, refusal: Refusal) -> Refusal {
        let rule = RuleName::new(format!("credentials.{rule}")).unwrap_or_else(|_| RuleName::default_deny());
        let denial = Denial { rule, reason: refusal.message.clone(), hint: None };
        match self.turnstile.refuse(&self.case(Some(&refusal.message)), denial).await {
            Ok(_) => refusal,
            Err(error) => self.unrecorded(&error),
        }
    }

    /// As SDKs read it (container credential provider: `AccessKeyId`, `SecretAccessKey`, `Token`, `Expiration`).
    fn tell(&self, lease: Lease) -> Result<Answer, Refusal> {
        let Credential::Aws(keys) = lease.credential else {
            return Err(Refusal::no_lease(&LeaseError::Issuer("the lease is not one of AWS".into())));
        };
        // never later than it is
        let expires = lease
            .expires
            .round(jiff::TimestampRound::new().smallest(Unit::Second).mode(jiff::RoundMode::Floor));
        let expires = expires.unwrap_or(lease.expires);
        let body = json!({
            "AccessKeyId": keys.access_key_id,
            "SecretAccessKey": keys.secret_access_key.expose_secret(),
            "Token": keys.session_token.expose_secret(),
            "Expiration": expires,
            "RoleArn": self.target.role,
        });
        Ok(respond(StatusCode::OK, &body))
    }

    fn unrecorded(&self, error: &JournalError) -> Refusal {
        tracing::error!(session = %self.context.id, %error, "an issue of credentials could not be entered");
        self.authority.close(&self.context.id, CloseReason::LedgerUnwritable);
        let message = "the audit ledger cannot be written, so the session closes";
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "LedgerUnwritable", message)
    }

    /// Comes when the session closes.
    async fn over(&self) {
        let mut closing = self.closing.clone();
        // whoever could close it is gone, which is as good as closed
        let _closed = closing.wait_for(Option::is_some).await;
    }

    fn tasks(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), rule: None, hint: None }
    }

    fn closed() -> Self {
        let mut refusal = Self::new(
            StatusCode::UNAUTHORIZED,
            "NotYourSession",
            "the call does not carry the session's secret",
        );
        let hint = "SDKs send AWS_CONTAINER_AUTHORIZATION_TOKEN by themselves; run them with `hoopctl exec`";
        refusal.hint = Some(hint.into());
        refusal
    }

    fn elsewhere(path: &str) -> Self {
        let shown: String = path.chars().take(100).collect();
        Self::new(
            StatusCode::NOT_FOUND,
            "NotFound",
            format!("there is {PATH} and nothing else, not `{shown}`"),
        )
    }

    fn method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "credentials are asked for with GET")
    }

    fn denied(denial: Denial) -> Self {
        let message = format!("denied by rule {}: {}", denial.rule, denial.reason);
        let refusal = Self::new(StatusCode::FORBIDDEN, "AccessDenied", message);
        Self { rule: Some(denial.rule.to_string()), hint: denial.hint, ..refusal }
    }

    fn no_lease(error: &LeaseError) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "NoCredentials", error.to_string())
    }

    fn respond(self) -> Answer {
        let mut body = json!({ "code": self.code, "message": format!("hoopctl: {}", self.message) });
        if let Some(members) = body.as_object_mut() {
            members.extend(self.rule.map(|rule| ("rule".to_owned(), Value::from(rule))));
            members.extend(self.hint.map(|hint| ("hint".to_owned(), Value::from(hint))));
        }
        let mut answer = respond(self.status, &body);
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
        }
        answer
    }
}

fn respond(status: StatusCode, body: &Value) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body.to_string())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// Whether `Authorization` is the session's secret, as SDKs send `AWS_CONTAINER_AUTHORIZATION_TOKEN`. Digests are
/// compared, so that the time that it takes tells nothing.
fn is_open(headers: &HeaderMap, secret: &Digest) -> bool {
    let mut shown = headers.get_all(AUTHORIZATION).iter();
    match (shown.next(), shown.next()) {
        (Some(value), None) => Digest::from_bytes(&Sha256::digest(value.as_bytes()).into()) == *secret,
        _ => false,
    }
}

const PATH: &str = "/credentials";
const HEAD: usize = 16 << 10;
const MOST_HEADERS: usize = 64;
/// How long a connection may say nothing.
const IDLE: Duration = Duration::from_secs(120);
/// How long a client that was told to go may take to read that.
const TELLING: Duration = Duration::from_millis(500);
