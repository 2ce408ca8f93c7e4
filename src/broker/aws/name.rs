//! What principals and sessions are called at AWS.
//!
//! Job: a name within what STS takes that no two principals share. Boundary: pure. Failure mode: what does not fit is
//! replaced and cut, and a digest is put behind it.

use sha2::{Digest as _, Sha256};

use crate::domain::name::SessionId;
use crate::domain::principal::PrincipalId;

/// The name of a session of the role, and the source identity: `corp=alice@example.com`. With a session, its id is put
/// behind it.
pub(super) fn session_name(who: &PrincipalId, session: Option<&SessionId>) -> String {
    let full = who.to_string();
    // a provider's name has no colon, and neither has it an equals sign: what one would replace stays told apart
    let spelled: String = full.replacen(':', "=", 1);
    let tail = session.map(|session| format!(".{session}")).unwrap_or_default();
    let room = LONGEST.saturating_sub(tail.len());
    let fits = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    if spelled.len() <= room && spelled.len() >= SHORTEST && spelled.chars().all(fits) {
        return spelled + &tail;
    }
    let digest = Sha256::digest(full.as_bytes());
    let digest: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let kept = room.saturating_sub(digest.len() + 1);
    let spelled: String = spelled.chars().map(|c| if fits(c) { c } else { '-' }).take(kept).collect();
    format!("{spelled},{digest}{tail}")
}

/// The value of a session tag: letters, digits, blanks and `_ . : / = + - @`, up to 256.
pub(super) fn tag_value(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || " _.:/=+-@".contains(c);
    text.chars().map(|c| if fits(c) { c } else { '_' }).take(256).collect()
}

/// What STS takes (API reference, AssumeRole, RoleSessionName).
const LONGEST: usize = 64;
const SHORTEST: usize = 2;
