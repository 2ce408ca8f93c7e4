//! The members of entries about requests, reviews and grants.

use crate::domain::event::What;
use crate::domain::name::Digest;
use crate::ledger::json::Writer;

/// Members in sorted order; of any other event, none.
pub(super) fn write(json: &mut Writer<'_>, what: &What) {
    match what {
        What::GrantExtended { grant, request, ends } => {
            json.text("ends", &ends.to_string());
            json.text("grant", grant.as_str());
            json.text("request", request.as_str());
        }
        What::GrantIssued { grant, request, principal, target, starts, ends, once } => {
            json.text("ends", &ends.to_string());
            json.text("grant", grant.as_str());
            json.flag("once", *once);
            json.object("principal");
            json.text("provider", principal.provider.as_str());
            json.text("subject", principal.subject.as_str());
            json.close();
            json.text("request", request.as_str());
            json.text("starts", &starts.to_string());
            json.text("target", target.as_str());
        }
        What::GrantRevoked { grant, reason } => {
            json.text("grant", grant.as_str());
            json.text("reason", reason);
        }
        What::GrantUsed { grant, session } => {
            json.text("grant", grant.as_str());
            json.text("session", session.as_str());
        }
        What::RequestAnswered { request, rule, standing } => {
            json.text("request", request.as_str());
            if let Some(rule) = rule {
                json.text("rule", rule.as_str());
            }
            if let Some(standing) = standing {
                json.text("standing", standing.as_str());
            }
        }
        What::RequestEnded { request, outcome } => {
            json.text("outcome", outcome);
            json.text("request", request.as_str());
        }
        What::RequestFiled { request, target, session, subject, digest, threshold, expires, kin } => {
            json.text("digest", digest.as_str());
            json.text("expires", &expires.to_string());
            write_kin(json, kin);
            json.text("request", request.as_str());
            if let Some(session) = session {
                json.text("session", session.as_str());
            }
            json.text("subject", subject);
            json.text("target", target.as_str());
            json.text("threshold", threshold);
        }
        What::RequestReleased { request, session } => {
            json.text("request", request.as_str());
            json.text("session", session.as_str());
        }
        What::ReviewGiven { request, decision, groups, kin, proof } => {
            json.text("decision", decision);
            json.texts("groups", groups.iter());
            write_kin(json, kin);
            json.text("proof", proof);
            json.text("request", request.as_str());
        }
        What::ReviewRejected { request, fault } => {
            json.text("fault", fault);
            json.text("request", request.as_str());
        }
        What::StandingRevoked { request, reason } => {
            json.text("reason", reason);
            json.text("request", request.as_str());
        }
        _ => {}
    }
}

/// Came later: written only when it says something, so that older entries stay canonical.
fn write_kin(json: &mut Writer<'_>, kin: &[Digest]) {
    if !kin.is_empty() {
        json.texts("kin", kin.iter().map(Digest::as_str));
    }
}

#[cfg(test)]
mod tests;
