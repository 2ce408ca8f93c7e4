//! Secrets in the bodies of requests, by the names that they have everywhere.
//!
//! Job: the masks through which bodies are recorded and shown on targets that have none of their own. Boundary: JSON and
//! forms; the API gets every body as it is. Failure mode: a body that is not what its type says is recorded no further.

use std::sync::{Arc, LazyLock};

use crate::domain::mask::Mask;
use crate::domain::name::RuleName;
use crate::mask::document::{DocumentPath, DocumentPlan, DocumentRule, KeyCase};

/// The masks; `None` only when the names in this file are no names.
pub(in crate::gateway) fn plan() -> Option<Arc<DocumentPlan>> {
    static PLAN: LazyLock<Option<Arc<DocumentPlan>>> = LazyLock::new(|| {
        let rules: Option<Vec<DocumentRule>> = NAMES.iter().map(|name| rule(name)).collect();
        DocumentPlan::new(&rules?, KeyCase::Ignore).ok().map(Arc::new)
    });
    PLAN.clone()
}

fn rule(name: &str) -> Option<DocumentRule> {
    let path = DocumentPath::new(&format!("$..{name}")).ok()?;
    Some(DocumentRule { name: RuleName::new("secret").ok()?, path, mask: Mask::Full })
}

/// Members and fields, whatever their case.
const NAMES: &[&str] = &[
    "access_key",
    "access_token",
    "accesskey",
    "accesstoken",
    "api_key",
    "apikey",
    "assertion",
    "auth_token",
    "authorization",
    "authtoken",
    "client_assertion",
    "client_secret",
    "clientsecret",
    "connection_string",
    "connectionstring",
    "credential",
    "credentials",
    "csrf_token",
    "csrftoken",
    "current_password",
    "currentpassword",
    "id_token",
    "idtoken",
    "jwt",
    "new_password",
    "newpassword",
    "old_password",
    "oldpassword",
    "otp",
    "passphrase",
    "passwd",
    "password",
    "password_confirmation",
    "passwordconfirmation",
    "private_key",
    "privatekey",
    "pwd",
    "refresh_token",
    "refreshtoken",
    "secret",
    "secret_key",
    "secretaccesskey",
    "secretkey",
    "session_token",
    "sessiontoken",
    "signing_key",
    "token",
    "webhook_secret",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_names_fit_one_plan() {
        assert!(plan().is_some());
    }
}
