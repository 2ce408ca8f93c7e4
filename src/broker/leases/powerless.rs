//! Roles of ours that own things and can do nothing else: the keeper, and the owner of our views.
//!
//! Failure mode: a role of that name which could do more is left alone, and named in a sentence.

use tokio_postgres::types::{ToSql, Type};

use super::fault::Fault;
use super::group::make;
use super::name::identifier;
use super::server::{Rights, Session, bounded};

/// Makes sure that the role is there, owns without power, and that we may act as it; a sentence when not.
pub(super) async fn ensure(session: &Session, role: &str) -> Result<Option<String>, Fault> {
    let client = &session.client;
    let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&role, Type::TEXT)];
    let ask = || bounded(client.query_typed(POWERLESS, &parameters));
    let mut rows = ask().await?;
    let name = identifier(role);
    if rows.is_empty() && matches!(session.rights, Rights::CreateRole | Rights::Superuser) {
        make(
            session,
            &format!(
                "CREATE ROLE {name} NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
            ),
        )
        .await?;
        rows = ask().await?;
    }
    let Some(row) = rows.first() else { return Ok(Some(format!("there is no role {role}"))) };
    let (harmless, ours): (bool, bool) = (row.get(0), row.get(1));
    if !harmless {
        return Ok(Some(format!(
            "role {role} can log in or belongs to other roles, so it must not own anything"
        )));
    }
    if !ours && session.rights == Rights::CreateRole {
        bounded(client.batch_execute(&join(session, &name))).await?;
    }
    Ok(None)
}

/// The statement that makes us a member with the role's privileges.
pub(super) fn join(session: &Session, quoted: &str) -> String {
    // from 16 on, making a role brings ADMIN OPTION only
    let options = if session.major >= 16 { " WITH INHERIT TRUE, SET TRUE" } else { "" };
    format!("GRANT {quoted} TO CURRENT_USER{options}")
}

const POWERLESS: &str = "
    SELECT NOT (k.rolcanlogin OR k.rolsuper OR k.rolcreaterole OR k.rolreplication OR k.rolbypassrls)
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_auth_members m WHERE m.member = k.oid),
           pg_has_role(current_user, k.oid, 'USAGE')
    FROM pg_catalog.pg_roles k WHERE k.rolname = $1::text";
