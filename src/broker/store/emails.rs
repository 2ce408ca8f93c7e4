//! The table `emails`: who signed in last with which e-mail address.

use rusqlite::{Connection, OptionalExtension as _};

use crate::domain::principal::{Kin, Principal, PrincipalId, PrincipalKind};

/// Remembers the address of a person who signs in. A machine's own claim speaks for nobody else.
pub(crate) fn remember(on: &Connection, who: &Principal) -> rusqlite::Result<()> {
    let Some(email) = who.kin.email.as_ref().filter(|_| who.kind == PrincipalKind::Human) else {
        return Ok(());
    };
    on.prepare_cached(
        "INSERT INTO emails (principal, email) VALUES (?1, ?2)
         ON CONFLICT (principal) DO UPDATE SET email = excluded.email",
    )?
    .execute([who.id.to_string().as_str(), email])?;
    Ok(())
}

/// Adds the addresses that somebody's token did not tell, as far as they are known by now: their own, so that
/// a client which asks for fewer scopes makes nobody another person, and the owner's.
pub(crate) fn complete(on: &Connection, who: &PrincipalId, kin: &mut Kin) -> rusqlite::Result<()> {
    if kin.email.is_none() {
        kin.email = of(on, who)?;
    }
    if let (Some(owner), None) = (&kin.owner, &kin.owner_email) {
        kin.owner_email = of(on, owner)?;
    }
    Ok(())
}

fn of(on: &Connection, who: &PrincipalId) -> rusqlite::Result<Option<String>> {
    on.prepare_cached("SELECT email FROM emails WHERE principal = ?1")?
        .query_row([who.to_string()], |row| row.get(0))
        .optional()
}
