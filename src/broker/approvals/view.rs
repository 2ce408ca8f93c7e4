//! What of requests somebody may see.
//!
//! A request is seen by its requester, by those who could review it, and by those who audit its
//! target. Whoever is masked more than the requester does not see the requester's statements: they
//! are redacted for the requester's masks only, and what a reviewer signs cannot be redacted again.
//! So they cannot review them either. To everybody else the request does not exist.

use std::time::Duration;

use jiff::Timestamp;

use super::{ApprovalError, Approvals, words};
use crate::broker::authn::Caller;
use crate::broker::config::Config;
use crate::broker::store::StoreError;
use crate::broker::store::grants;
use crate::broker::store::requests::{self as table, Cursor, Stored};
use crate::domain::action::Action;
use crate::domain::approval::{Decision, RequestState, Voice};
use crate::domain::filter;
use crate::domain::name::RequestId;
use crate::domain::policy::Verdict;
use crate::domain::target::{Target, TargetKind};
use crate::wire::control::RequestView;

impl Approvals {
    /// A request that the caller may see.
    pub(crate) fn visible(
        &self,
        config: &Config,
        caller: &Caller,
        id: &RequestId,
    ) -> Result<Stored, ApprovalError> {
        self.find(id)?.filter(|stored| sees(config, caller, stored)).ok_or(ApprovalError::Unknown("request"))
    }

    /// A request as the caller may see it.
    pub(crate) fn view(
        &self,
        config: &Config,
        caller: &Caller,
        id: &RequestId,
    ) -> Result<RequestView, ApprovalError> {
        let stored = self.visible(config, caller, id)?;
        Ok(self.show(caller, config, stored)?)
    }

    /// Waits until a pending request changes, or the time is over.
    pub(crate) async fn wait(
        &self,
        config: &Config,
        caller: &Caller,
        id: &RequestId,
        patience: Duration,
    ) -> Result<(), ApprovalError> {
        // a place to wait at only for what there is, and is not answered yet
        if self.visible(config, caller, id)?.life.state != RequestState::Pending {
            return Ok(());
        }
        let _place = self.place(&caller.principal().id)?;
        // before the look, so that no change is missed
        let mut changed = self.watch(id);
        let stored = self.visible(config, caller, id)?;
        if stored.life.state == RequestState::Pending {
            // running out of time is an outcome like any other
            let _ = tokio::time::timeout(patience, changed.changed()).await;
        }
        Ok(())
    }

    /// The caller's own requests, newest first.
    pub(crate) fn mine(
        &self,
        config: &Config,
        caller: &Caller,
        before: Option<&RequestId>,
    ) -> Result<Vec<RequestView>, ApprovalError> {
        let before = self.cursor(config, caller, before)?;
        let stored = self.store.read(|on| table::of(on, &caller.principal().id, &before, PAGE))?;
        let views = stored.into_iter().map(|stored| self.show(caller, config, stored));
        Ok(cut(views.collect::<Result<_, _>>()?))
    }

    /// The requests that the caller may review now, newest first.
    pub(crate) fn reviewable(
        &self,
        config: &Config,
        caller: &Caller,
        before: Option<&RequestId>,
    ) -> Result<Vec<RequestView>, ApprovalError> {
        let mut before = self.cursor(config, caller, before)?;
        let voice = self.voice(caller, Decision::Approve)?;
        let (groups, now) = (&caller.principal().groups, self.clock.now());
        let mut views = Vec::new();
        for _ in 0..PASSES {
            let page = self.store.read(|on| table::inbox(on, groups.iter(), &before, PAGE))?;
            let Some(last) = page.last() else { break };
            before = (last.request.filed.as_second(), last.request.id.to_string());
            for stored in page {
                // whoever may review a request may see it
                if views.len() < PAGE as usize && is_reviewable(config, caller, &voice, &stored, now) {
                    views.push(face(stored, true));
                }
            }
            if views.len() >= PAGE as usize {
                break;
            }
        }
        Ok(cut(views))
    }

    fn cursor(
        &self,
        config: &Config,
        caller: &Caller,
        before: Option<&RequestId>,
    ) -> Result<Cursor, ApprovalError> {
        let Some(id) = before else { return Ok((i64::MAX, String::new())) };
        let stored = self.visible(config, caller, id)?;
        Ok((stored.request.filed.as_second(), id.to_string()))
    }

    fn show<S: Into<String>>(
        &self,
        caller: &Caller,
        config: &Config,
        stored: Stored<S>,
    ) -> Result<RequestView, StoreError> {
        let grant = match &stored.life.state {
            RequestState::Granted { grant } => self.store.read(|on| grants::find(on, grant))?,
            _ => None,
        };
        let voice = self.voice(caller, Decision::Approve)?;
        let reviewable = is_reviewable(config, caller, &voice, &stored, self.clock.now());
        Ok(RequestView { grant, ..face(stored, reviewable) })
    }

    /// Whether the caller may take back what a request became.
    pub(super) fn may_revoke(&self, config: &Config, caller: &Caller, stored: &Stored) -> bool {
        let who = caller.principal();
        let target = config.targets.get(&stored.request.target);
        stored.life.threshold.concerns(&who.groups)
            || target.is_some_and(|target| {
                matches!(config.policy.judge(who, target, &Action::Kill), Verdict::Allow(_))
            })
    }
}

pub(super) fn sees(config: &Config, caller: &Caller, stored: &Stored) -> bool {
    let who = caller.principal();
    if stored.request.requester == who.id {
        return true;
    }
    let reviews = stored.life.threshold.concerns(&who.groups) && is_masked_no_more(config, caller, stored);
    let audits =
        |target: &Target| matches!(config.policy.judge(who, target, &Action::Audit), Verdict::Allow(_));
    reviews || config.targets.get(&stored.request.target).is_some_and(audits)
}

fn is_reviewable<S>(
    config: &Config,
    caller: &Caller,
    voice: &Voice,
    stored: &Stored<S>,
    now: Timestamp,
) -> bool {
    stored.life.admits(voice, now).is_ok() && is_masked_no_more(config, caller, stored)
}

/// What everybody who may see a request is shown, without the grant that it became.
fn face<S: Into<String>>(stored: Stored<S>, reviewable: bool) -> RequestView {
    let missing = match stored.life.state {
        RequestState::Pending => words::missing(&stored.life.missing()),
        _ => String::new(),
    };
    RequestView { subject: stored.subject.into(), missing, reviewable, grant: None, request: stored.request }
}

/// Whether everything that was redacted for the caller would have been for the requester, too.
fn is_masked_no_more<S>(config: &Config, caller: &Caller, stored: &Stored<S>) -> bool {
    if stored.session.is_none() {
        // a request for a session shows nothing of the database
        return true;
    }
    let Some(target) = config.targets.get(&stored.request.target) else { return false };
    let (own, theirs) = (&caller.principal().groups, &stored.who.groups);
    match &target.kind {
        TargetKind::Aws(aws) => aws.masks.iter().all(|rule| !rule.mask.binds(own) || rule.mask.binds(theirs)),
        TargetKind::Http(http) => http.masks.iter().all(|rule| !rule.binds(own) || rule.binds(theirs)),
        TargetKind::Postgres(postgres) => {
            // whoever sees a row may write what is in it into a statement
            postgres.masks.iter().all(|rule| !rule.binds(own) || rule.binds(theirs))
                && filter::shows_as_much(&postgres.filters, &stored.who, caller.principal())
        }
        // what detectors find is hidden from everybody
        TargetKind::Ssh(_) => true,
    }
}

/// As many views as one answer carries.
fn cut(views: Vec<RequestView>) -> Vec<RequestView> {
    let mut bytes = 0_usize;
    let mut fits = |view: &RequestView| {
        bytes = bytes.saturating_add(view.subject.len());
        bytes <= PAGE_BYTES
    };
    views
        .into_iter()
        .enumerate()
        .take_while(|(place, view)| fits(view) || *place == 0)
        .map(|(_, view)| view)
        .collect()
}

const PAGE: u32 = 100;
/// How many pages of an inbox are looked through for a page of what the caller may review.
const PASSES: usize = 10;
const PAGE_BYTES: usize = 4 * 1024 * 1024;
