//! What the tests of the forms share.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::time::Duration;

use jiff::Timestamp;

use crate::client::playback::{Piece, Scene, Shown};
use crate::domain::event::VerdictWord;
use crate::domain::name::{DeviceId, ProviderName, RuleName, SessionId, TargetName};
use crate::domain::principal::{PrincipalId, Subject};
use crate::domain::session::{Session, SessionState};
use crate::recording::item::{Outcome, Statement};

pub(super) fn session() -> Session {
    let principal =
        PrincipalId { provider: ProviderName::new("corp").unwrap(), subject: Subject::new("alice").unwrap() };
    Session {
        id: SessionId::from_random([0; 16]),
        principal,
        display: "Alice\u{1b}[2J".into(),
        target: TargetName::new("bastion").unwrap(),
        device: DeviceId::new("d".repeat(43)).unwrap(),
        client_address: "192.0.2.7".into(),
        client_host: "laptop".into(),
        opened: Timestamp::UNIX_EPOCH,
        expires: Timestamp::UNIX_EPOCH,
        state: SessionState::Active,
        statements: 0,
        grant: None,
    }
}

/// Half a second after the one before.
pub(super) fn scene(what: Shown) -> Scene {
    let at = Timestamp::from_second(1_700_000_000).unwrap();
    Scene { at, wait: Duration::from_millis(500), what }
}

pub(super) fn piece(number: u64, stream: u8, bytes: impl AsRef<[u8]>) -> Piece {
    Piece { number, stream, bytes: bytes.as_ref().to_vec() }
}

pub(super) fn statement(number: u64, text: &str) -> Shown {
    Shown::Statement(Statement {
        number,
        text: text.into(),
        parameters: Vec::new(),
        verdict: VerdictWord::Allow,
        rule: RuleName::new("rule").unwrap(),
        sent: None,
        at: Timestamp::from_second(1_700_000_000).unwrap(),
    })
}

pub(super) fn outcome(number: u64, tag: &str) -> Shown {
    Shown::Outcome(Outcome { number, rows: 0, tag: Some(tag.into()), error: None })
}
