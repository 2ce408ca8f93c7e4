//! What policy says of one action, for people and scripts.

use serde::Serialize;

use super::attempt::Attempt;
use crate::domain::action::{Action, Petition};
use crate::domain::name::RuleName;
use crate::domain::policy::{Denial, Hold, Policy, Verdict};
use crate::domain::principal::Principal;
use crate::domain::target::Target;

/// A verdict in words.
pub(super) struct Answer {
    /// `allow`, `deny` or `hold`.
    pub(super) word: &'static str,
    /// The rule behind it.
    pub(super) rule: RuleName,
    /// Why; empty for an allowed one.
    pub(super) reason: String,
    /// What to do next.
    pub(super) hint: Option<String>,
    /// What it takes, where it is held.
    pub(super) takes: Option<Takes>,
}

/// What it takes to let through what is held.
#[derive(Debug, Serialize)]
pub(super) struct Takes {
    /// The rules that demand it.
    rules: Vec<RuleName>,
    /// How many people of which groups.
    threshold: String,
    /// The longest standing decision, in seconds; 0 for none.
    standing: u64,
    /// Whether only people may answer.
    people_only: bool,
    /// The rule that would answer instead of people.
    answered_by: Option<RuleName>,
}

impl Answer {
    /// Asks policy.
    pub(super) fn of(policy: &Policy, who: &Principal, target: &Target, attempt: &Attempt) -> Self {
        let action = match attempt {
            Attempt::Deed(deed) => deed.action(),
            Attempt::Refused(denial) => return Self::denied(denial.clone()),
            Attempt::Session(action) => *action,
        };
        match policy.judge(who, target, &action) {
            Verdict::Allow(permit) => Self {
                word: "allow",
                rule: permit.rule().clone(),
                reason: String::new(),
                hint: None,
                takes: None,
            },
            Verdict::Deny(denial) => Self::denied(denial),
            Verdict::Hold(hold) => {
                let rule = hold.rules.first().cloned().unwrap_or_else(RuleName::default_deny);
                let takes = Takes::of(policy, who, target, &action, &hold);
                Self { word: "hold", rule, reason: hold.reason, hint: None, takes: Some(takes) }
            }
        }
    }

    fn denied(denial: Denial) -> Self {
        Self { word: "deny", rule: denial.rule, reason: denial.reason, hint: denial.hint, takes: None }
    }
}

impl Takes {
    fn of(policy: &Policy, who: &Principal, target: &Target, action: &Action<'_>, hold: &Hold) -> Self {
        let of_session =
            matches!(action, Action::Approve(_) | Action::Audit | Action::Connect | Action::Kill);
        let action = (!of_session).then_some(*action);
        let petition = Petition { rules: &hold.rules, seconds: None, action };
        let resolved = hold.threshold.resolve(target.owner.as_ref());
        Self {
            rules: hold.rules.clone(),
            threshold: resolved.as_ref().unwrap_or(&hold.threshold).to_string(),
            standing: hold.standing,
            people_only: hold.people_only,
            answered_by: policy.answers(who, target, &petition),
        }
    }

    /// The same for people.
    pub(super) fn sentences(&self) -> Vec<String> {
        let rules: Vec<&str> = self.rules.iter().map(RuleName::as_str).collect();
        let mut all = vec![format!("it takes {}, for {}", self.threshold, rules.join(", "))];
        if let Some(rule) = &self.answered_by {
            all.push(format!("the rule {rule} answers instead of people"));
        }
        if self.people_only {
            all.push("only people may answer".into());
        }
        if self.standing > 0 {
            all.push(format!("a reviewer may decide for up to {} s ahead", self.standing));
        }
        all
    }
}
