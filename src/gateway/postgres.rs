//! One PostgreSQL connection of a session, from its first byte to its last entry.
//!
//! Job: the order of events: start-up, admission, proof of the session's secret, lease, dial,
//! catalog, relay, farewell. Boundary: each step lives in its own module; this one narrates.
//! Failure mode: the client is told in its own protocol's frame, once; the database's side is closed.

mod brake;
pub(super) mod cancels;
pub(super) mod catalogs;
mod examiner;
mod farewell;
mod front;
mod guards;
mod inspected;
mod lens;
mod marks;
mod observer;
mod opening;
mod patterns;
mod planner;
mod redaction;
mod relay;
mod search_path;
mod tape;
mod temporaries;
mod values;
mod veil;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use self::brake::Brake;
use self::cancels::Cancellable;
use self::examiner::Examiner;
use self::farewell::Farewell;
use self::front::{Front, Introduced};
use self::lens::Lens;
use self::observer::Observer;
use self::planner::{Planner, Reading};
use self::relay::{Parts, Relay};
use self::tape::Tape;
use super::authority::{Admission, Lease, LeaseError, SessionContext};
use super::deps::Deps;
use super::detecting;
use super::dial::{self, Upstream};
use super::entrance;
use super::hold::{Interrupt, Seat};
use super::leg::Leg;
use crate::domain::device::Device;
use crate::domain::filter;
use crate::domain::name::SessionId;
use crate::domain::session::CloseReason;
use crate::domain::target::PostgresTarget;
use crate::mask::MaskPlan;
use crate::wire::postgres::cancel::CancelKey;
use crate::wire::postgres::conversation::{Conversation, ConversationOptions};
use crate::wire::postgres::error::{ErrorFields, Severity};
use crate::wire::postgres::login::LoggedIn;
use crate::wire::postgres::scrub::Scrub;

/// Serves one connection; returns when it is over.
pub(super) async fn serve<S>(deps: &Deps, io: S, session: &SessionId, device: &Device)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let front = match front::introduce(io).await {
        Introduced::Cancel(key, io) => {
            cancel(deps, session, device, &key).await;
            // INVARIANT: not closed before the database has seen the request, as it does it itself: clients send
            // their next statement then, which a late cancel would meet
            return drop(io);
        }
        Introduced::Left => return,
        Introduced::Started(front) => front,
    };
    let admission = match deps.authority.admit(session, device) {
        Ok(admission) => admission,
        Err(refusal) => return front.refuse(&fatal("28000", refusal.to_string())).await,
    };
    run(deps, front, admission, device).await;
}

async fn run<S>(deps: &Deps, front: Front<S>, admission: Admission, device: &Device)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let Admission { context, permit, connection, closing, slot } = admission;
    let Some(target) = context.target.kind.postgres() else {
        return front.refuse(&fatal("08004", "the target is no database")).await;
    };
    if let Err(error) = opening::check(target, front.parameters(), &context) {
        return front.refuse(&error).await;
    }
    let Some(front) = front.authenticate(&context).await else { return };
    let mut closed = closing.clone();
    let prepared = tokio::select! {
        prepared = prepare(deps, &context, target, permit, front.parameters()) => prepared,
        reason = relay::closed(&mut closed) => Err(farewell::closed(&context, reason)),
    };
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return front.refuse(&error).await,
    };
    let Prepared { lease, upstream, logged_in, lens, hides, passed, reading } = prepared;

    let farewell = Farewell::new(deps, Arc::clone(&context), connection);
    let seat = Seat { login: lease.user.clone(), database: front.database().to_owned() };
    let (gate, tape) = match entrance::begin(deps, &context, connection, seat) {
        Ok((gate, recorder)) => (gate, Tape::new(context.target.record, recorder)),
        Err(error) => {
            deps.authority.close(&context.id, CloseReason::LedgerUnwritable);
            return front.refuse(&fatal("58030", error.to_string())).await;
        }
    };

    // configuration has checked them
    let veil = detecting::compiled(&target.detectors, &target.patterns).map_err(|error| error.to_string());
    let veil = veil.and_then(|known| known.map(veil::veil).transpose().map_err(|error| error.to_string()));
    let veil = match veil {
        Ok(veil) => veil,
        Err(error) => return front.refuse(&fatal("58000", format!("the target's detectors: {error}"))).await,
    };
    let masked = hides;
    let options = ConversationOptions {
        inspect: masked,
        scrub: if masked { Scrub::Generic } else { Scrub::None },
        replication: front.parameters().wants_replication(),
        ..ConversationOptions::default()
    };
    let ours = front.cancel_key(logged_in.key.as_ref());
    let interrupt = Interrupt::default();
    let listed = logged_in.key.clone().map(|key| {
        let session = context.id.clone();
        let cancellable = Cancellable {
            session,
            device: device.id.clone(),
            target: Arc::clone(&context.target),
            key,
            interrupt: interrupt.clone(),
        };
        deps.cancels.list(&ours, cancellable)
    });
    let client = front.ready(&logged_in, &ours);
    let planner = Planner::new(Arc::clone(&context), lease, passed, reading);
    let parser = deps.parser.clone();
    let examiner = Examiner::new(gate, lens, &logged_in.settings, parser, interrupt, planner, veil.clone());
    let talk = Conversation::new(options);
    let talk = match veil {
        Some(veil) => talk.with_veil(veil),
        None => talk,
    };
    let parts = Parts { client, upstream, talk, examiner, observer: Observer::default(), tape };
    let brake = Brake::new(Arc::clone(&context.target), logged_in.key.clone());
    let mut relay = Relay::new(parts, brake, closing);
    let end = relay.run().await;
    drop(listed);
    farewell.say(relay, end, target, logged_in.key.as_ref()).await;
    drop(slot);
}

/// What a relay needs from the database's side.
struct Prepared {
    lease: Lease,
    upstream: Leg<Upstream>,
    logged_in: LoggedIn,
    lens: Lens,
    /// Whether columns are masked or rows are hidden for this principal.
    hides: bool,
    /// The client's start-up parameters, as they were passed on.
    passed: Vec<(String, String)>,
    /// How the catalog is read again.
    reading: Option<Reading>,
}

async fn prepare(
    deps: &Deps,
    context: &Arc<SessionContext>,
    target: &PostgresTarget,
    permit: crate::domain::policy::Permit,
    parameters: &crate::wire::postgres::startup::StartupParameters,
) -> Result<Prepared, ErrorFields> {
    let filters = filter::bound(&target.filters, &context.principal)
        .map_err(|unbound| fatal("42501", format!("target {}: {unbound}", context.target.name)))?;
    let lease = deps.authority.lease(context).await.map_err(|error| {
        tracing::warn!(session = %context.id, %error, "no lease");
        let code = match error {
            // as when the connection itself cannot be made
            LeaseError::Upstream(_) => "08001",
            LeaseError::Issuer(_)
            | LeaseError::Secret(_)
            | LeaseError::OverPrivileged(_)
            | LeaseError::Unreachable(_)
            | LeaseError::Journal(_) => "08004",
        };
        fatal(code, format!("target {}: {error}", context.target.name))
    })?;
    let mut plan = MaskPlan::new(&target.masks, &context.principal.groups);
    if target.objects {
        plan = plan.with_objects(&context.target.name);
    }
    // INVARIANT: whoever is shown some of the rows only is as protected from as whoever is shown masks
    let hides = !plan.is_empty() || !filters.is_empty();
    let is_plain = !hides && target.fields.is_empty();
    let passed = opening::passed_on(parameters, target, is_plain);
    let name = &context.target.name;
    let (mut upstream, logged_in) =
        dial::dial(permit, name, target, &lease, passed.clone()).await.map_err(|error| {
            tracing::warn!(session = %context.id, target = %name, %error, "no upstream connection");
            fatal("08001", format!("target {name}: {error}"))
        })?;
    // labels mean something only where names are resolved, and what is sent is what was resolved
    let lens = if is_plain {
        Lens::Plain
    } else {
        let role = lease.user.clone();
        let read =
            deps.catalogs.read(&mut upstream, Arc::clone(&context.target), &plan, &filters, role).await;
        Lens::Masked(Box::new(read.map_err(|error| {
            tracing::warn!(session = %context.id, target = %name, %error, "no catalog");
            fatal("58000", format!("target {name}: {error}"))
        })?))
    };
    let reading = lens.is_masked().then(|| Reading { catalogs: deps.catalogs.clone(), masks: plan, filters });
    Ok(Prepared { lease, upstream, logged_in, lens, hides, passed, reading })
}

/// A cancel request answers nothing, whatever comes of it.
async fn cancel(deps: &Deps, session: &SessionId, device: &Device, key: &CancelKey) {
    let Some(found) = deps.cancels.find(key, session, &device.id) else { return };
    let interrupt = &found.interrupt;
    // what is being judged has not reached the database, where the request would meet nothing and be lost
    let was_judged = tokio::time::timeout(VERDICT_FIRST, interrupt.judged()).await.unwrap_or(true);
    // neither has what is held; earlier statements have, and may run there
    if interrupt.is_all() {
        interrupt.ring();
        return;
    }
    let work = interrupt.work();
    if was_judged && work.is_none() {
        // it was refused: the request would meet what the client sends next
        return;
    }
    let Some(target) = found.target.kind.postgres() else { return };
    let mut passed = pin!(dial::cancel(target, &found.key, || true));
    let outcome = tokio::time::timeout(CANCEL_FIRST, &mut passed).await;
    // only now, so that nothing new runs there that the cancel could meet; but a database that does not answer keeps
    // nobody from taking back what it has not seen
    interrupt.ring();
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(_) => passed.await,
    };
    if let Err(error) = outcome {
        tracing::warn!(%session, %error, "a cancel request could not be passed on");
    } else if was_judged {
        let _out_of_time = tokio::time::timeout(AGAIN_FOR, again(interrupt, work, target, &found.key)).await;
    }
}

/// Makes a request again for as long as the same runs: what the database was sent a moment before it may not have read
/// yet, and forgets the request then.
async fn again(interrupt: &Interrupt, work: Option<u64>, target: &PostgresTarget, key: &CancelKey) {
    let runs = || interrupt.work() == work;
    for pause in AGAIN {
        tokio::time::sleep(pause).await;
        if !runs() || dial::cancel(target, key, runs).await.is_err() {
            return;
        }
    }
}

/// When a request is made again, and until when.
const AGAIN: [Duration; 4] = [
    Duration::from_millis(20),
    Duration::from_millis(80),
    Duration::from_millis(400),
    Duration::from_millis(1500),
];
const AGAIN_FOR: Duration = Duration::from_secs(3);

/// How long a cancel waits for what is being judged.
const VERDICT_FIRST: Duration = Duration::from_secs(10);
/// How long a cancel that is passed on keeps what is held from being taken back.
const CANCEL_FIRST: Duration = Duration::from_secs(1);

fn fatal(sqlstate: &str, message: impl Into<String>) -> ErrorFields {
    ErrorFields::new(Severity::Fatal, sqlstate, message)
}
