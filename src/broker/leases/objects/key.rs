//! The key of token masks.
//!
//! Job: make one per target and database, once. Boundary: it is made here, and stays in the database; it is
//! never read back. Failure mode: no key, no views.
//!
//! It travels as a binary COPY: no server setting writes the data of a COPY to the log, while parameters are
//! logged by `log_statement` and `log_min_duration_statement` whatever a role without superuser asks for.
//! A failing line of a COPY in text form would be quoted in the log; one in binary form is not.

use rand::TryRng as _;
use rand::rngs::SysRng;
use secrecy::zeroize::Zeroizing;
use tokio_postgres::Client;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};

use crate::domain::name::TargetName;
use crate::gateway::authority::LeaseError;
use crate::sql::BROKER_SCHEMA;

use super::{OWNER, as_owner};
use crate::broker::leases::fault::Fault;
use crate::broker::leases::server::bounded;

/// Makes the table and the target's key, where they are not there.
pub(super) async fn ensure(client: &Client, target: &TargetName) -> Result<(), Fault> {
    let table = bounded(client.query_typed(TABLE, &[(&BROKER_SCHEMA, Type::TEXT)])).await?;
    if table.is_empty() {
        bounded(client.batch_execute(&as_owner(CREATE))).await?;
    }
    bounded(client.batch_execute(&format!("SET LOCAL ROLE {OWNER}"))).await?;
    let known = "SELECT FROM hoopctl.key WHERE target = $1::text";
    let known = bounded(client.query_typed(known, &[(&target.as_str(), Type::TEXT)])).await?;
    if known.is_empty() {
        write(client, target).await?;
    }
    bounded(client.batch_execute("RESET ROLE")).await
}

async fn write(client: &Client, target: &TargetName) -> Result<(), Fault> {
    let mut key = Zeroizing::new([0_u8; 32]);
    SysRng
        .try_fill_bytes(key.as_mut_slice())
        .map_err(|error| LeaseError::Secret(format!("no random bytes for a key: {error}")))?;
    let (inner, outer) = (padded(&key, 0x36), padded(&key, 0x5c));
    bounded(async {
        let sink = client.copy_in(COPY).await?;
        let mut writer =
            std::pin::pin!(BinaryCopyInWriter::new(sink, &[Type::TEXT, Type::BYTEA, Type::BYTEA]));
        let row: [&(dyn ToSql + Sync); 3] = [&target.as_str(), &inner.as_slice(), &outer.as_slice()];
        writer.as_mut().write(&row).await?;
        writer.as_mut().finish().await
    })
    .await
    .map(drop)
}

/// The key as one block of SHA-256, each byte with the pad's (RFC 2104).
fn padded(key: &[u8; 32], pad: u8) -> Zeroizing<[u8; 64]> {
    let mut block = Zeroizing::new([pad; 64]);
    for (place, byte) in block.iter_mut().zip(key) {
        *place ^= byte;
    }
    block
}

const TABLE: &str = "
    SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1::text AND c.relname = 'key' AND c.relkind = 'r'";

const CREATE: &str = "
    CREATE TABLE hoopctl.key (target text PRIMARY KEY, ipad bytea NOT NULL, opad bytea NOT NULL);
    COMMENT ON TABLE hoopctl.key IS 'the keys of token masks; without them tokens can never be made again'";

const COPY: &str = "COPY hoopctl.key (target, ipad, opad) FROM STDIN (FORMAT binary)";
