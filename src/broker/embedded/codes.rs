//! Device codes and refresh tokens, as a machine that is told the time.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use rand::RngExt as _;

/// What is waiting, and what was given.
#[derive(Default)]
pub(super) struct Codes {
    // by device code
    pending: HashMap<String, Pending>,
    // by refresh token
    refresh: HashMap<String, Refresh>,
    // used tokens and the login they belonged to: presenting one again ends that login
    spent: HashMap<String, u64>,
    next_login: u64,
    misses: Vec<Timestamp>,
}

/// What a device is told to show.
pub(super) struct Started {
    pub(super) device_code: String,
    pub(super) user_code: String,
}

/// A person's yes, as tokens tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) signed_in: Timestamp,
    pub(super) offline: bool,
    number: u64,
}

/// The answers of RFC 8628 §3.5 and RFC 6749 §5.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    AccessDenied,
    AuthorizationPending,
    ExpiredToken,
    InvalidGrant,
    SlowDown,
}

/// Why a code typed by a person leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Miss {
    TooMany,
    Unknown,
}

struct Pending {
    user_code: String,
    expires: Timestamp,
    interval: SignedDuration,
    polled: Option<Timestamp>,
    offline: bool,
    answer: Answer,
}

enum Answer {
    Approved(String, Timestamp),
    Denied,
    Open,
}

struct Refresh {
    login: Login,
    expires: Timestamp,
}

impl Codes {
    /// A device asks; `None` when too many are waiting already.
    pub(super) fn start(&mut self, now: Timestamp, offline: bool) -> Option<Started> {
        self.pending.retain(|_, pending| pending.expires + GRACE > now);
        if self.pending.len() >= MOST_PENDING {
            return None;
        }
        let device_code = random_token();
        let user_code = loop {
            let code = random_user_code();
            if self.pending.values().all(|pending| pending.user_code != code) {
                break code;
            }
        };
        let pending = Pending {
            user_code: user_code.clone(),
            expires: now + LIFETIME,
            interval: INTERVAL,
            polled: None,
            offline,
            answer: Answer::Open,
        };
        self.pending.insert(device_code.clone(), pending);
        Some(Started { device_code, user_code })
    }

    /// A person typed a code: is it waiting? Misses are counted, so that codes cannot be guessed.
    pub(super) fn look_up(&mut self, now: Timestamp, typed: &str) -> Result<(), Miss> {
        self.find(now, typed).map(|_| ())
    }

    /// A person's answer to a code; `None` is a no.
    pub(super) fn answer(&mut self, now: Timestamp, typed: &str, user: Option<String>) -> Result<(), Miss> {
        let pending = self.find(now, typed)?;
        pending.answer = user.map_or(Answer::Denied, |user| Answer::Approved(user, now));
        Ok(())
    }

    /// A device polls.
    pub(super) fn poll(&mut self, now: Timestamp, device_code: &str) -> Result<Login, Refusal> {
        let pending = self.pending.get_mut(device_code).ok_or(Refusal::InvalidGrant)?;
        if pending.expires <= now {
            self.pending.remove(device_code);
            return Err(Refusal::ExpiredToken);
        }
        let previous = pending.polled.replace(now);
        let (user, signed_in) = match &pending.answer {
            Answer::Open => {
                if previous.is_some_and(|previous| now.duration_since(previous) < pending.interval) {
                    // RFC 8628 §3.5: by five seconds, for this and all later requests
                    pending.interval += SLOWER;
                    return Err(Refusal::SlowDown);
                }
                return Err(Refusal::AuthorizationPending);
            }
            Answer::Denied => {
                self.pending.remove(device_code);
                return Err(Refusal::AccessDenied);
            }
            Answer::Approved(user, signed_in) => (user.clone(), *signed_in),
        };
        let offline = pending.offline;
        self.pending.remove(device_code);
        self.next_login += 1;
        Ok(Login { user, signed_in, offline, number: self.next_login })
    }

    /// A refresh token for a login.
    pub(super) fn issue_refresh(&mut self, now: Timestamp, login: Login) -> String {
        self.refresh.retain(|_, refresh| refresh.expires > now);
        if self.refresh.len() >= MOST_LOGINS || self.spent.len() >= MOST_SPENT {
            // bounded memory at the price of everybody's sign-in, in a demo
            self.refresh.clear();
            self.spent.clear();
        }
        let token = random_token();
        self.refresh.insert(token.clone(), Refresh { login, expires: now + REFRESH_LIFETIME });
        token
    }

    /// Takes a refresh token, once. A second time means that it was copied: the login ends.
    pub(super) fn spend_refresh(&mut self, now: Timestamp, token: &str) -> Result<Login, Refusal> {
        if let Some(number) = self.spent.get(token).copied() {
            self.end(number);
            return Err(Refusal::InvalidGrant);
        }
        let refresh = self.refresh.remove(token).ok_or(Refusal::InvalidGrant)?;
        self.spent.insert(token.to_owned(), refresh.login.number);
        if refresh.expires <= now { Err(Refusal::InvalidGrant) } else { Ok(refresh.login) }
    }

    /// Ends the login that a token belongs to, if there is one.
    pub(super) fn revoke(&mut self, token: &str) {
        let current = self.refresh.get(token).map(|refresh| refresh.login.number);
        if let Some(number) = current.or_else(|| self.spent.get(token).copied()) {
            self.end(number);
        }
    }

    fn end(&mut self, number: u64) {
        self.refresh.retain(|_, refresh| refresh.login.number != number);
    }

    fn find(&mut self, now: Timestamp, typed: &str) -> Result<&mut Pending, Miss> {
        self.misses.retain(|miss| now.duration_since(*miss) < MISS_WINDOW);
        if self.misses.len() >= MOST_MISSES {
            return Err(Miss::TooMany);
        }
        let code = normalise(typed);
        let open = |pending: &Pending| {
            normalise(&pending.user_code) == code
                && pending.expires > now
                && matches!(pending.answer, Answer::Open)
        };
        let key = self.pending.iter().find(|(_, pending)| open(pending)).map(|(key, _)| key.clone());
        match key.and_then(|key| self.pending.get_mut(&key)) {
            Some(pending) => Ok(pending),
            None => {
                self.misses.push(now);
                Err(Miss::Unknown)
            }
        }
    }
}

/// RFC 8628 §6.1: people type lower case and other separators.
fn normalise(code: &str) -> String {
    code.chars().filter(char::is_ascii_alphanumeric).take(16).map(|c| c.to_ascii_uppercase()).collect()
}

/// RFC 8628 §6.1: letters without vowels, so that no words come up; 20^8 is 34 bits.
fn random_user_code() -> String {
    let mut rng = rand::rng();
    let mut letters = || -> String {
        let letter = |_| char::from(CHARSET.get(rng.random_range(0..CHARSET.len())).copied().unwrap_or(b'B'));
        (0..4).map(letter).collect()
    };
    let first = letters();
    format!("{first}-{}", letters())
}

pub(super) fn random_token() -> String {
    use base64::Engine as _;
    let bytes: [u8; 32] = rand::rng().random();
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

const CHARSET: &[u8] = b"BCDFGHJKLMNPQRSTVWXZ";
pub(super) const LIFETIME: SignedDuration = SignedDuration::from_mins(10);
pub(super) const INTERVAL: SignedDuration = SignedDuration::from_secs(1);
const SLOWER: SignedDuration = SignedDuration::from_secs(5);
// how long an expired code is still answered with `expired_token`
const GRACE: SignedDuration = SignedDuration::from_mins(10);
const REFRESH_LIFETIME: SignedDuration = SignedDuration::from_hours(12);
const MISS_WINDOW: SignedDuration = SignedDuration::from_mins(1);
const MOST_MISSES: usize = 10;
const MOST_PENDING: usize = 256;
const MOST_LOGINS: usize = 1024;
const MOST_SPENT: usize = 16_384;
