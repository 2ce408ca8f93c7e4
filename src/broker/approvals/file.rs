//! Requests for sessions.

use jiff::{SignedDuration, Timestamp};

use super::issue::{longest, turn_into_grant};
use super::limits::Load;
use super::{ApprovalError, Approvals, ended};
use crate::broker::authn::Caller;
use crate::broker::config::Config;
use crate::broker::store::requests::{self as table, Stored};
use crate::broker::store::{emails, grants, untold};
use crate::domain::action::{Action, Petition};
use crate::domain::approval::{
    Life, Marks, Purpose, ReleasedBy, Request, RequestState, SessionSubject, Step, Subject, SubjectText,
    What as Matter,
};
use crate::domain::event::{Actor, Durability, What};
use crate::domain::name::{GrantId, GroupName, RequestId, TargetName};
use crate::domain::policy::{Hold, Verdict};
use crate::domain::target::Target;
use crate::domain::text;
use crate::wire::control::AskSession;

impl Approvals {
    /// Files a request for sessions on a target, or finds the one that was filed with the same key.
    pub(crate) async fn ask(
        &self,
        config: &Config,
        caller: &Caller,
        ask: &AskSession,
    ) -> Result<RequestId, ApprovalError> {
        let who = caller.principal();
        let name = TargetName::new(ask.target.as_str()).map_err(|_| ApprovalError::NoTarget)?;
        let target = config.targets.get(&name).ok_or(ApprovalError::NoTarget)?;
        let hold = match config.policy.judge(who, target, &Action::Connect) {
            Verdict::Hold(hold) => hold,
            Verdict::Deny(_) => return Err(ApprovalError::NoTarget),
            Verdict::Allow(_) => {
                return Err(ApprovalError::Bad(format!("a session on `{name}` needs no approval from you")));
            }
        };
        if let Some(known) = self.known(caller, ask)? {
            return Ok(known);
        }
        let terms = self.terms(config, caller, target, ask)?;
        let new = self.draft(config, caller, target, &hold, ask, &terms)?;
        let petition = Petition { rules: &hold.rules, seconds: Some(ask.seconds), action: None };
        let rule = config.policy.answers(who, target, &petition).filter(|_| !hold.people_only);
        let load = Load { most: config.reviews.requests_per_hour, answered: rule.is_some() };
        self.admits(&new, load)?;
        // INVARIANT: nobody can review what is not in the ledger
        self.scribe.enter(Some(caller.actor()), filed(&new), Durability::Synced).await?;
        let id = new.request.id.clone();
        if let Err(error) = self.insert(&new, load) {
            self.came_to_nothing(&new).await;
            // two calls with one key at the same instant: the other was first
            return self.known(caller, ask)?.ok_or(error);
        }
        if let Some(rule) = rule {
            let most = longest(config, &target.name);
            self.answer(Some(caller.actor()), &id, ReleasedBy::Rule(rule), most).await?;
        }
        Ok(id)
    }

    /// What is asked for, checked.
    fn terms(
        &self,
        config: &Config,
        caller: &Caller,
        target: &Target,
        ask: &AskSession,
    ) -> Result<Terms, ApprovalError> {
        let bad = |text: String| Err(ApprovalError::Bad(text));
        let now = self.now();
        let reason = said(ask);
        let is_line = !ask.reason.trim().chars().any(char::is_control);
        if reason.is_empty() || reason.chars().count() > MAX_REASON || !is_line {
            return bad(format!("a reason is needed: 1 to {MAX_REASON} characters on one line"));
        }
        let key_fits =
            |key: &String| !key.is_empty() && key.len() <= 128 && key.bytes().all(|b| b.is_ascii_graphic());
        if !ask.key.as_ref().is_none_or(key_fits) {
            return bad("a key is 1 to 128 printable characters without spaces".into());
        }
        let most = config.reviews.grant_max(&target.name);
        if ask.seconds < MIN_SECONDS || ask.seconds > most.as_secs() {
            return bad(format!(
                "an approval on `{}` lasts from 1 minute to {}",
                target.name,
                period(most.as_secs())
            ));
        }
        let length = SignedDuration::from_secs(i64::try_from(ask.seconds).unwrap_or(i64::MAX));
        let mut expires =
            later(now, SignedDuration::try_from(config.reviews.request_expires).unwrap_or_default());
        if let Some(starts) = ask.starts {
            if starts > later(now, MOST_AHEAD) || starts < later(now, -SKEW) {
                return bad("a start lies between now and 30 days from now".into());
            }
            expires = expires.min(later(starts, length));
        }
        if let Some(id) = &ask.extends {
            let grant = self.store.read(|on| grants::find(on, id))?;
            let whose = &caller.principal().id;
            let grant = grant.filter(|grant| grant.principal == *whose && grant.target == target.name);
            let grant = grant.ok_or(ApprovalError::Unknown("grant"))?;
            if !grant.carries(now) || ask.starts.is_some() || ask.once {
                return bad(
                    "only a grant in force can be made longer, and neither its start nor its use".into()
                );
            }
            if later(grant.ends, length) > later(now, SignedDuration::try_from(most).unwrap_or_default()) {
                return bad(format!("it would last longer than {} from now", period(most.as_secs())));
            }
            expires = expires.min(grant.ends);
        }
        let session = SessionSubject {
            seconds: ask.seconds,
            starts: ask.starts,
            once: ask.once,
            extends: ask.extends.clone(),
        };
        Ok(Terms { reason, session, now, expires })
    }

    /// The request that the caller filed with the same key.
    fn known(&self, caller: &Caller, ask: &AskSession) -> Result<Option<RequestId>, ApprovalError> {
        let Some(key) = &ask.key else { return Ok(None) };
        let known = self.store.read(|on| table::by_key(on, &caller.principal().id, key))?;
        let Some(known) = known else { return Ok(None) };
        let subject = known.subject.subject();
        let Matter::Session(session) = &subject.what else { return Ok(None) };
        // a start that was given as "in an hour" is another instant at each attempt
        let same = session.seconds == ask.seconds
            && session.once == ask.once
            && session.extends == ask.extends
            && session.starts.is_some() == ask.starts.is_some()
            && subject.reason.as_deref() == Some(said(ask).as_str())
            && subject.target.as_str() == ask.target;
        if same {
            Ok(Some(known.request.id))
        } else {
            Err(ApprovalError::Conflict("the key was used for another request".into()))
        }
    }

    fn draft(
        &self,
        config: &Config,
        caller: &Caller,
        target: &Target,
        hold: &Hold,
        ask: &AskSession,
        terms: &Terms,
    ) -> Result<Stored, ApprovalError> {
        let mut who = caller.principal().clone();
        self.store.read(|on| emails::complete(on, &who.id, &mut who.kin))?;
        let threshold = answerable(config, target, hold).map_err(ApprovalError::Denied)?;
        let id = RequestId::from_random(rand::random());
        let subject = Subject {
            version: 1,
            request: id.clone(),
            requester: who.id.clone(),
            target: target.name.clone(),
            policy: self.policy(),
            rules: hold.rules.clone(),
            reason: Some(terms.reason.clone()),
            what: Matter::Session(terms.session.clone()),
        };
        let subject = SubjectText::write(subject).map_err(|error| ApprovalError::Bad(error.to_string()))?;
        let grant = ask.extends.clone().unwrap_or_else(|| GrantId::from_random(rand::random()));
        let life = Life {
            purpose: Purpose::Session(grant),
            state: RequestState::Pending,
            requester: who.person(),
            device: caller.device.id.clone(),
            threshold,
            people_only: hold.people_only,
            voices: Vec::new(),
            answer: None,
            expires: terms.expires,
        };
        let request = Request {
            id,
            requester: who.id.clone(),
            display: who.display.clone(),
            device: life.device.clone(),
            target: target.name.clone(),
            subject: subject.digest(),
            threshold: life.threshold.clone(),
            people_only: hold.people_only,
            // a grant stands by itself
            standing_max: 0,
            filed: terms.now,
            expires: terms.expires,
            state: RequestState::Pending,
            reviews: Vec::new(),
        };
        Ok(Stored { version: 0, who, life, request, subject, session: None, key: ask.key.clone() })
    }

    /// Enters the end of a request that was entered and could not be stored.
    pub(super) async fn came_to_nothing(&self, new: &Stored) {
        let over = Life { state: RequestState::Void, ..new.life.clone() };
        let what = ended(&new.request.id, &over);
        if self.scribe.enter(None, what.clone(), Durability::Written).await.is_err()
            && let Err(error) = self.store.write(|on| untold::put(on, None, &what))
        {
            tracing::error!(request = %new.request.id, %error, "the end of a request was not entered");
        }
    }

    /// Lets a rule or a standing decision answer a request.
    pub(super) async fn answer(
        &self,
        actor: Option<Actor>,
        id: &RequestId,
        by: ReleasedBy,
        most: SignedDuration,
    ) -> Result<(), ApprovalError> {
        let (rule, standing) = match &by {
            ReleasedBy::Rule(rule) => (Some(rule.clone()), None),
            ReleasedBy::Standing(request) => (None, Some(request.clone())),
        };
        let what = What::RequestAnswered { request: id.clone(), rule, standing };
        self.scribe.enter(actor.clone(), what, Durability::Synced).await?;
        let now = self.now();
        let made = self.advance(actor.as_ref(), id, &Step::Answer(by), |on, before, after| {
            turn_into_grant(on, before, after, now, most)
        })?;
        self.granted(actor, &made).await?;
        self.wake(id);
        Ok(())
    }
}

/// What is asked for, and when.
struct Terms {
    reason: String,
    session: SessionSubject,
    now: Timestamp,
    expires: Timestamp,
}

/// The reason, as it is kept and shown to everybody: nobody is deceived by what cannot be seen.
fn said(ask: &AskSession) -> String {
    text::line(ask.reason.trim())
}

/// What a hold demands, if there is anybody who could answer it.
pub(super) fn answerable(
    config: &Config,
    target: &Target,
    hold: &Hold,
) -> Result<crate::domain::approval::Threshold, String> {
    let Some(threshold) = hold.threshold.resolve(target.owner.as_ref()) else {
        return Err(format!("the rule asks the owner of `{}`, which has none", target.name));
    };
    let groups = config.groups();
    let is_known = |group: &GroupName| groups.contains(group);
    let unknown = threshold.needs().find_map(|need| match &need.from {
        crate::domain::approval::threshold::Reviewers::Group(group) if is_known(group) => None,
        other => Some(other.to_string()),
    });
    match unknown {
        Some(group) => Err(format!("nobody can be in the group `{group}`, which would have to review it")),
        None if threshold.is_empty() => Err("the rule does not say who reviews it".into()),
        None => Ok(threshold),
    }
}

/// The entry that a request was filed.
pub(super) fn filed(new: &Stored) -> What {
    What::RequestFiled {
        request: new.request.id.clone(),
        target: new.request.target.clone(),
        session: new.session.clone(),
        subject: for_ledger(&new.subject),
        digest: new.subject.digest(),
        // in the form that a machine reads, since `audit verify` counts the reviews again
        threshold: new.life.threshold.to_string(),
        expires: new.life.expires,
        kin: Marks::beside(&new.request.id, &new.life.requester),
    }
}

/// The subject as an entry has room for it: the whole text, or without the facts and cut.
fn for_ledger(subject: &SubjectText) -> String {
    if subject.text().len() <= MAX_ENTERED {
        return subject.text().to_owned();
    }
    let mut value = serde_json::to_value(subject.subject()).unwrap_or_default();
    if let Some(what) = value.get_mut("what").and_then(serde_json::Value::as_object_mut) {
        what.remove("facts");
        what.remove("shape");
    }
    let text = value.to_string();
    text.char_indices().take_while(|(at, c)| at + c.len_utf8() <= MAX_ENTERED).map(|(_, c)| c).collect()
}

pub(super) fn later(from: Timestamp, by: SignedDuration) -> Timestamp {
    from.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn period(seconds: u64) -> String {
    match seconds {
        _ if seconds.is_multiple_of(3600) => format!("{} h", seconds / 3600),
        _ if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}

pub(super) const MAX_REASON: usize = 500;
const MIN_SECONDS: u64 = 60;
const MOST_AHEAD: SignedDuration = SignedDuration::from_hours(30 * 24);
/// By how much a client's clock may be behind.
const SKEW: SignedDuration = SignedDuration::from_mins(5);
/// What of a subject goes into an entry, in bytes: quoting may double it, and an entry has 64 KiB.
const MAX_ENTERED: usize = 24 * 1024;
