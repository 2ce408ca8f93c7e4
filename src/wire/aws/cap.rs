//! Asks for fewer entries than the caller did.
//!
//! Job: `max-keys` and its like, and DynamoDB's `Limit`, are lowered to a cap before the call is signed. So a listing is
//! answered in pages that clients know how to follow, where cutting it off would look like an outage; how much all pages
//! have together is for the caller to count ([`super::listing`]). Boundary: query and body. Failure mode: [`Unjudged`] for a
//! call that names more entries than the cap.

use std::num::NonZeroU32;

use super::call::{AwsCall, Detail, Unjudged};

/// Lowers what a call asks for to at most this many. Where the body changes, the new one is returned; it belongs to a new
/// digest.
///
/// # Errors
/// When a batch names more, or the body is not what was read before.
pub fn lower(call: &mut AwsCall, most: NonZeroU32, body: Option<&[u8]>) -> Result<Option<Vec<u8>>, Unjudged> {
    let most = i64::from(most.get());
    match &call.detail {
        Detail::S3(detail) => {
            let Some((parameter, default)) = detail.page else { return Ok(None) };
            let asked = call.facts.limit.unwrap_or(default);
            // none are asked for; that stays
            if asked > most {
                call.query.set(parameter, most.to_string());
                call.facts.limit = Some(most);
            }
            Ok(None)
        }
        Detail::Dynamo(detail) if detail.limits => {
            // without a limit it is up to 1 MB, or 100 tables
            if call.facts.limit.is_some_and(|limit| limit <= most) {
                return Ok(None);
            }
            let unread = || Unjudged::new("the call's body was not read");
            let mut body: serde_json::Value =
                serde_json::from_slice(body.ok_or_else(unread)?).map_err(|_| unread())?;
            let most_of_a_page = if call.facts.operation == "ListTables" { most.min(100) } else { most };
            body.as_object_mut().ok_or_else(unread)?.insert("Limit".into(), most_of_a_page.into());
            call.facts.limit = Some(most_of_a_page);
            serde_json::to_vec(&body).map(Some).map_err(|_| unread())
        }
        Detail::Dynamo(_) if call.facts.limit.is_some_and(|limit| limit > most) => {
            Err(Unjudged::of(format!("the call asks for more than {most} items at once")))
        }
        Detail::Dynamo(_) | Detail::Named => Ok(None),
    }
}

#[cfg(test)]
mod tests;
