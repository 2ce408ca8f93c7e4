//! What the gateway asks, answered.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::core::Core;
use crate::domain::action::Action;
use crate::domain::device::Device;
use crate::domain::name::{Digest, RequestId, SessionId};
use crate::domain::policy::{SessionPolicy, Verdict};
use crate::domain::session::CloseReason;
use crate::domain::target::{Target, TargetKind};
use crate::gateway::authority::{
    Admission, Authority, Filed, Held, HoldError, Lease, LeaseError, Refusal, SessionContext,
};

impl Authority for Core {
    fn admit(&self, session: &SessionId, device: &Device) -> Result<Admission, Refusal> {
        let entrance = self.sessions.admit(session, device)?;
        let context = entrance.context;
        // each connection needs a permit of its own, from the policy of this moment; where that holds
        // sessions back, the grant that this one stands on must still carry it
        let policy = &self.config().policy;
        let verdict = match policy.judge(&context.principal, &context.target, &Action::Connect) {
            Verdict::Hold(_) => {
                let grant = self.sessions.grant_of(session);
                if !grant.is_some_and(|grant| self.approvals.carries(&grant)) {
                    self.sessions.close(session, CloseReason::GrantRevoked);
                    return Err(Refusal::Closed(CloseReason::GrantRevoked));
                }
                policy.judge_reviewed(&context.principal, &context.target, &Action::Connect)
            }
            verdict => verdict,
        };
        match verdict {
            Verdict::Allow(permit) => Ok(Admission {
                context,
                permit,
                connection: entrance.connection,
                closing: entrance.stop,
                slot: entrance.slot,
            }),
            Verdict::Deny(_) | Verdict::Hold(_) => {
                self.sessions.close(session, CloseReason::PolicyChanged);
                Err(Refusal::Closed(CloseReason::PolicyChanged))
            }
        }
    }

    fn target(&self, session: &SessionId, device: &Device) -> Result<Arc<Target>, Refusal> {
        self.sessions.target(session, device)
    }

    fn session_policy(&self, context: &SessionContext) -> SessionPolicy {
        self.config().policy.session(&context.principal, &context.target)
    }

    fn lease<'a>(&'a self, context: &'a SessionContext) -> BoxFuture<'a, Result<Lease, LeaseError>> {
        Box::pin(async move {
            let starting = || LeaseError::Upstream("the broker is still starting".into());
            let leases = self.leases.get().ok_or_else(starting)?;
            // INVARIANT: credentials that go elsewhere are made for sessions that live only
            if matches!(context.target.kind, TargetKind::Aws(_)) && !self.sessions.is_open(&context.id) {
                return Err(LeaseError::Issuer("the session has closed".into()));
            }
            let ends = self.sessions.ends(&context.id);
            // the context tells the session's first end, and a grant may have been made longer since
            let longer = ends.filter(|ends| *ends > context.expires);
            let longer = longer.map(|expires| SessionContext { expires, ..context.clone() });
            let lease = leases.issue(longer.as_ref().unwrap_or(context)).await?;
            // and while it was being made
            match self.sessions.ends(&context.id) {
                // its grant was made longer; what ends by itself is made anew instead
                Some(until) if lease.expires < until && context.target.kind.postgres().is_some() => {
                    match leases.extend(&context.id, until).await {
                        Ok(()) => Ok(Lease { expires: until, ..lease }),
                        Err(_) if self.clock.now() < lease.expires => Ok(lease),
                        Err(error) => Err(error),
                    }
                }
                _ => Ok(lease),
            }
        })
    }

    fn hold(
        &self,
        context: &Arc<SessionContext>,
        held: Held,
    ) -> BoxFuture<'static, Result<Filed, HoldError>> {
        // of this moment: the grant under it may have been made longer
        let Some(until) = self.sessions.open_until(&context.id) else {
            return Box::pin(async { Err(HoldError::Refused("its session is over".into())) });
        };
        Box::pin(Arc::clone(&self.approvals).hold(self.config(), Arc::clone(context), until, held))
    }

    fn release<'a>(&'a self, request: &'a RequestId) -> BoxFuture<'a, Result<(), HoldError>> {
        Box::pin(self.approvals.release(request, &self.sessions))
    }

    fn close(&self, session: &SessionId, reason: CloseReason) {
        self.sessions.close(session, reason);
    }

    fn policy(&self) -> Digest {
        self.scribe.policy()
    }

    fn strict(&self) -> bool {
        self.config().strict_ledger
    }
}
