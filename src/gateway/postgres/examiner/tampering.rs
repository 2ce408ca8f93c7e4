//! Attempts on policy and on protected objects.
//!
//! Job: tell that a statement takes another role where rules hold, and count the attempts of a session. Boundary: what
//! else is an attempt on a masked target is found where statements are rewritten. Failure mode: an attempt that cannot
//! be entered ends the connection.

use super::{Examiner, rule};
use crate::domain::event::What;
use crate::domain::policy::Denial;
use crate::domain::session::CloseReason;
use crate::gateway::journal::JournalError;
use crate::gateway::postgres::inspected::Inspected;

/// The rule of all of them.
const TAMPER: &str = "policy.tamper";
/// This many in a session close it.
const MOST: u32 = 3;

impl Examiner {
    /// The refusal of a text that takes another role, on a target with rules. What a function takes is not seen here:
    /// the rules hold for the session, whatever its role.
    pub(super) fn another_role(&self, inspected: &Inspected) -> Option<Denial> {
        let takes = |part: &super::Part| {
            part.facts.verb == "set"
                && matches!(part.facts.setting.as_deref(), Some("role" | "session_authorization"))
        };
        (inspected.parts.iter().any(takes) && self.rules()).then(|| Denial {
            rule: rule(TAMPER),
            reason: "taking another role is not allowed".into(),
            hint: Some("the session's role is the one it was given".into()),
        })
    }

    /// Counts an attempt, and closes the session at the third.
    pub(super) fn count_tampering(&self, denial: &Denial) -> Result<(), JournalError> {
        if denial.rule.as_str() != TAMPER {
            return Ok(());
        }
        self.gate.enter(What::PolicyTampered {
            session: self.gate.context().id.clone(),
            attempt: denial.reason.clone(),
        })?;
        if self.gate.context().attempts.count() >= MOST {
            self.gate.close(CloseReason::Tampering);
        }
        Ok(())
    }
}
