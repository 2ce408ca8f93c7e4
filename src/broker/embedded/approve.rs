//! A person's part, played through the same form that a person uses.

use thiserror::Error;
use url::Url;

/// What the person says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision<'a> {
    /// Yes, as this user.
    Approve(&'a str),
    /// No.
    Deny,
    /// Yes, as this user, at a provider that is locked.
    Unlock {
        /// The user.
        user: &'a str,
        /// What the lock wants.
        passcode: &'a str,
    },
}

/// Why a code could not be answered.
#[derive(Debug, Error)]
pub enum ApproveError {
    /// The provider could not be reached.
    #[error("the sign-in page could not be reached: {0}")]
    Http(#[from] reqwest::Error),
    /// The page has no form of ours.
    #[error("the sign-in page at {0} shows no form")]
    NoForm(Url),
    /// The page said no.
    #[error("the sign-in page refused the answer with status {0}")]
    Refused(u16),
}

/// Opens the page that a device shows (`verification_uri_complete`) and answers it.
///
/// # Errors
/// When the page cannot be reached, or does not take the answer.
pub async fn decide(page: &Url, decision: Decision<'_>) -> Result<(), ApproveError> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let opened = client.get(page.clone()).send().await?;
    if !opened.status().is_success() {
        return Err(ApproveError::Refused(opened.status().as_u16()));
    }
    let cookie = opened
        .headers()
        .get(reqwest::header::SET_COOKIE)
        .and_then(|cookie| cookie.to_str().ok())
        .and_then(|cookie| cookie.split(';').next())
        .map(str::to_owned);
    let text = opened.text().await?;
    let (Some(cookie), Some(csrf), Some(user_code)) =
        (cookie, hidden(&text, "csrf"), hidden(&text, "user_code"))
    else {
        return Err(ApproveError::NoForm(page.clone()));
    };
    let (user, passcode, decision) = match decision {
        Decision::Approve(user) => (user, "", "approve"),
        Decision::Deny => ("", "", "deny"),
        Decision::Unlock { user, passcode } => (user, passcode, "approve"),
    };
    let fields = [
        ("csrf", csrf),
        ("user_code", user_code),
        ("user", user),
        ("passcode", passcode),
        ("decision", decision),
    ];
    let mut action = page.clone();
    action.set_query(None);
    let answered = client.post(action).header(reqwest::header::COOKIE, cookie).form(&fields).send().await?;
    if answered.status().is_success() {
        Ok(())
    } else {
        Err(ApproveError::Refused(answered.status().as_u16()))
    }
}

fn hidden<'a>(page: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\""))?;
    rest.split('"').next()
}
