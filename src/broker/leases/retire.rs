//! Taking a role back until nothing of it is left (design §3.6).
//!
//! Order matters: first nobody can log in any more, then whoever is in is thrown out, then what they
//! prepared is rolled back, then their routines go, what they made passes to a keeper without
//! privileges, what they were granted is dropped, and the role with it. Failure mode: the role
//! stays, cannot log in, and the caller hears what is left.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::domain::target::{PostgresTarget, RoleIssuer};
use crate::gateway::authority::LeaseError;

use super::name::{KEEPER, identifier, is_session_role, literal};
use super::objects::{claims, databases};
use super::powerless::{self, join};
use super::server::{PATIENCE, Rights, Servers, Session, bounded, reason};

/// Takes the role back. Says what could not be removed; nothing when nothing is left.
pub(super) async fn role(
    servers: &Servers,
    postgres: &PostgresTarget,
    issuer: &RoleIssuer,
    role: &str,
) -> Result<Option<String>, LeaseError> {
    // INVARIANT: whatever a row says, nobody's role but ours is ever dropped
    if !is_session_role(role) {
        return Ok(Some(format!("{role} is not the name of a session's role")));
    }
    let mut admin = servers.admin(postgres, issuer, &postgres.database).await?;
    let session = admin.session()?;
    if !exists(&session.client, role).await? {
        admin.done();
        return Ok(None);
    }
    shut(servers, postgres, issuer, session, role).await?;
    let mut left = Vec::new();
    if !throw_out(&session.client, role).await? {
        left.push("it still has a backend, which did not end within ten seconds".to_owned());
    }
    let places = places(&session.client, role).await?;
    // what its login said is in each database that has views of ours
    let said: BTreeSet<&String> = databases(postgres).filter(|_| postgres.objects).collect();
    let others = places.iter().chain(said).filter(|name| **name != postgres.database);
    for database in others.collect::<BTreeSet<_>>() {
        match servers.admin(postgres, issuer, database).await {
            Ok(mut other) => {
                let session = other.session()?;
                if places.contains(database) {
                    left.extend(clean(session, database, role).await?);
                }
                claims::forget(&session.client, role).await?;
                other.done();
            }
            Err(error) => left.push(format!("in database {database}: {}", reason(error))),
        }
    }
    if places.contains(&postgres.database) {
        left.extend(clean(session, &postgres.database, role).await?);
    }
    // INVARIANT: before the role itself goes, so that whoever goes on after a crash comes here again
    claims::forget(&session.client, role).await?;
    // a login that was under way when the role was closed shows up only now
    if left.is_empty() && !throw_out(&session.client, role).await? {
        left.push("it has a backend again".to_owned());
    }
    if left.is_empty()
        && let Err(error) = drop_role(session, role).await
    {
        left.push(reason(error));
    }
    admin.done();
    Ok((!left.is_empty()).then(|| left.join("; ")))
}

async fn exists(client: &Client, role: &str) -> Result<bool, LeaseError> {
    let query = "SELECT FROM pg_catalog.pg_roles WHERE rolname = $1::text";
    Ok(!bounded(client.query_typed(query, &[(&role, Type::TEXT)])).await?.is_empty())
}

/// Closes the role, also when a transaction of its own holds its row: `ALTER ROLE CURRENT_USER`, which
/// PostgreSQL grants to everybody, then PREPARE TRANSACTION would keep it open for ever. Whoever is in
/// is thrown out and what is prepared rolled back, and then it is closed.
async fn shut(
    servers: &Servers,
    postgres: &PostgresTarget,
    issuer: &RoleIssuer,
    session: &Session,
    role: &str,
) -> Result<(), LeaseError> {
    let mut attempts = 0;
    loop {
        let Err(error) = close(session, role).await else { return Ok(()) };
        attempts += 1;
        // it may have come back in between; the reaper's next round is soon
        if attempts == CLOSING_ATTEMPTS {
            return Err(error);
        }
        if session.rights == Rights::CreateRole {
            bounded(session.client.batch_execute(&join(session, &identifier(role)))).await?;
        }
        throw_out(&session.client, role).await?;
        roll_back(&session.client, role).await?;
        for database in places(&session.client, role).await?.iter().filter(|name| **name != postgres.database)
        {
            let mut other = servers.admin(postgres, issuer, database).await?;
            roll_back(&other.session()?.client, role).await?;
            other.done();
        }
    }
}

/// Nobody logs in as it from here on, and we are a member of it where our rights rest on that.
async fn close(session: &Session, role: &str) -> Result<(), LeaseError> {
    let name = identifier(role);
    let statement = match session.rights {
        Rights::Doorway => format!("SELECT hoopctl_admin.close_role({})", literal(role)),
        Rights::Superuser | Rights::None => format!("ALTER ROLE {name} NOLOGIN CONNECTION LIMIT 0"),
        Rights::CreateRole => {
            format!("ALTER ROLE {name} NOLOGIN CONNECTION LIMIT 0; {}", join(session, &name))
        }
    };
    Ok(bounded(session.client.batch_execute(&statement)).await?)
}

/// Terminates its backends and waits until none is left; says whether that came to pass.
async fn throw_out(client: &Client, role: &str) -> Result<bool, LeaseError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let rows = bounded(client.query_typed(TERMINATE, &[(&role, Type::TEXT)])).await?;
        if rows.is_empty() {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The databases in which it left something.
async fn places(client: &Client, role: &str) -> Result<BTreeSet<String>, LeaseError> {
    let rows = bounded(client.query_typed(PLACES, &[(&role, Type::TEXT)])).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Removes what the role has in this database; says what stays.
async fn clean(session: &Session, database: &str, role: &str) -> Result<Option<String>, LeaseError> {
    let client = &session.client;
    let name = identifier(role);
    roll_back(client, role).await?;
    let mut left = drop_routines(client, role).await?;
    let owns = bounded(client.query_typed(OWNS, &[(&role, Type::TEXT)])).await?;
    // a routine that stays must not pass to the keeper: the role, locked, is the safer owner
    if left.is_empty() && !owns.is_empty() {
        match powerless::ensure(session, KEEPER).await? {
            None => {
                let keeper = identifier(KEEPER);
                if let Err(error) =
                    bounded(client.batch_execute(&format!("REASSIGN OWNED BY {name} TO {keeper}"))).await
                {
                    left.push(format!("what it made could not pass to {KEEPER}: {}", reason(error)));
                }
            }
            Some(fault) => left.push(fault),
        }
    }
    if left.is_empty()
        && let Err(error) = bounded(client.batch_execute(&format!("DROP OWNED BY {name}"))).await
    {
        left.push(reason(error));
    }
    Ok((!left.is_empty()).then(|| format!("in database {database}: {}", left.join(", "))))
}

/// Rolls back what it prepared; only the role itself may, so we become it for that.
async fn roll_back(client: &Client, role: &str) -> Result<(), LeaseError> {
    let rows = bounded(client.query_typed(PREPARED, &[(&role, Type::TEXT)])).await?;
    if rows.is_empty() {
        return Ok(());
    }
    bounded(client.batch_execute(&format!("SET ROLE {}", identifier(role)))).await?;
    for row in &rows {
        // alone in its message: it cannot run inside of a transaction, which several would be
        bounded(client.batch_execute(&format!("ROLLBACK PREPARED{}", literal(row.get(0))))).await?;
    }
    Ok(bounded(client.batch_execute("RESET ROLE")).await?)
}

/// Drops its routines, each as soon as nothing else of it needs the routine.
///
/// A routine that only its own things hang on goes with them; one that somebody else's things hang
/// on stays, and with it the role.
async fn drop_routines(client: &Client, role: &str) -> Result<Vec<String>, LeaseError> {
    let rows = bounded(client.query_typed(ROUTINES, &[(&role, Type::TEXT)])).await?;
    let mut left = Vec::new();
    for row in &rows {
        let (name, foreign): (String, bool) = (row.get(1), row.get(2));
        if foreign {
            left.push(format!("others use its routine {name}"));
            continue;
        }
        // an earlier CASCADE may have taken it along
        let oid: u32 = row.get(0);
        let there = bounded(
            client.query_typed("SELECT FROM pg_catalog.pg_proc WHERE oid = $1", &[(&oid, Type::OID)]),
        )
        .await?;
        if there.is_empty() {
            continue;
        }
        if let Err(error) = bounded(client.batch_execute(&format!("DROP ROUTINE {name} CASCADE"))).await {
            left.push(format!("its routine {name}: {}", reason(error)));
        }
    }
    Ok(left)
}

async fn drop_role(session: &Session, role: &str) -> Result<(), LeaseError> {
    let statement = if session.rights == Rights::Doorway {
        format!("SELECT hoopctl_admin.drop_role({})", literal(role))
    } else {
        format!("DROP ROLE {}", identifier(role))
    };
    Ok(bounded(session.client.batch_execute(&statement)).await?)
}

/// How often closing a role is tried before the reaper's next round.
const CLOSING_ATTEMPTS: u32 = 3;
/// How often the server is asked whether the backends are gone.
const POLL: Duration = Duration::from_millis(20);

const TERMINATE: &str = "
    SELECT pg_terminate_backend(a.pid)
    FROM pg_catalog.pg_stat_activity a JOIN pg_catalog.pg_roles r ON r.oid = a.usesysid
    WHERE r.rolname = $1::text AND a.pid <> pg_backend_pid()";

const PLACES: &str = "
    SELECT d.datname::text FROM pg_catalog.pg_shdepend s
    JOIN pg_catalog.pg_roles r ON s.refclassid = 'pg_catalog.pg_authid'::regclass AND s.refobjid = r.oid
    JOIN pg_catalog.pg_database d ON d.oid = s.dbid OR (s.dbid = 0 AND d.datname = current_database())
    WHERE r.rolname = $1::text
    UNION
    SELECT p.database::text FROM pg_catalog.pg_prepared_xacts p WHERE p.owner = $1::text";

const PREPARED: &str = "
    SELECT gid FROM pg_catalog.pg_prepared_xacts
    WHERE owner = $1::text AND database = current_database()";

const OWNS: &str = "
    SELECT FROM pg_catalog.pg_shdepend s
    JOIN pg_catalog.pg_roles r ON s.refclassid = 'pg_catalog.pg_authid'::regclass AND s.refobjid = r.oid
    WHERE r.rolname = $1::text AND s.deptype = 'o'
      AND s.dbid IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))
    LIMIT 1";

// what hangs on a routine and belongs to somebody else, or is of a kind that has no owner here
const ROUTINES: &str = "
    SELECT p.oid, p.oid::regprocedure::text, EXISTS (
        SELECT FROM pg_catalog.pg_depend d
        WHERE d.refclassid = 'pg_catalog.pg_proc'::regclass AND d.refobjid = p.oid AND d.deptype IN ('n', 'a')
          AND p.proowner IS DISTINCT FROM CASE d.classid
            WHEN 'pg_catalog.pg_class'::regclass THEN (SELECT relowner FROM pg_catalog.pg_class WHERE oid = d.objid)
            WHEN 'pg_catalog.pg_proc'::regclass THEN (SELECT proowner FROM pg_catalog.pg_proc WHERE oid = d.objid)
            WHEN 'pg_catalog.pg_type'::regclass THEN (SELECT typowner FROM pg_catalog.pg_type WHERE oid = d.objid)
            WHEN 'pg_catalog.pg_operator'::regclass THEN (SELECT oprowner FROM pg_catalog.pg_operator WHERE oid = d.objid)
            WHEN 'pg_catalog.pg_trigger'::regclass THEN (SELECT c.relowner FROM pg_catalog.pg_trigger t
                JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid WHERE t.oid = d.objid)
            WHEN 'pg_catalog.pg_attrdef'::regclass THEN (SELECT c.relowner FROM pg_catalog.pg_attrdef t
                JOIN pg_catalog.pg_class c ON c.oid = t.adrelid WHERE t.oid = d.objid)
            WHEN 'pg_catalog.pg_rewrite'::regclass THEN (SELECT c.relowner FROM pg_catalog.pg_rewrite t
                JOIN pg_catalog.pg_class c ON c.oid = t.ev_class WHERE t.oid = d.objid)
            WHEN 'pg_catalog.pg_policy'::regclass THEN (SELECT c.relowner FROM pg_catalog.pg_policy t
                JOIN pg_catalog.pg_class c ON c.oid = t.polrelid WHERE t.oid = d.objid)
            WHEN 'pg_catalog.pg_constraint'::regclass THEN (SELECT c.relowner FROM pg_catalog.pg_constraint t
                JOIN pg_catalog.pg_class c ON c.oid = t.conrelid WHERE t.oid = d.objid)
          END)
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_roles r ON r.oid = p.proowner
    WHERE r.rolname = $1::text ORDER BY p.oid";
