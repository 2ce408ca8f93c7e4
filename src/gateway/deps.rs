//! What every connection needs, whatever its protocol.

use std::sync::Arc;

use russh::keys::PrivateKey;

use super::authority::Authority;
use super::aws::HeldCalls;
use super::clock::Clock;
use super::http::Specifications;
use super::journal::Journal;
use super::parser::Parser;
use super::postgres::cancels::Cancels;
use super::postgres::catalogs::Catalogs;

/// What every connection needs.
#[derive(Clone)]
pub(super) struct Deps {
    pub(super) authority: Arc<dyn Authority>,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) clock: Clock,
    /// Reads SQL.
    pub(super) parser: Parser,
    /// Of PostgreSQL's connections, to cancel what they run.
    pub(super) cancels: Cancels,
    /// Of PostgreSQL's databases.
    pub(super) catalogs: Catalogs,
    /// Of AWS.
    pub(super) held: HeldCalls,
    /// Of HTTP APIs.
    pub(super) specifications: Specifications,
    /// What the gateway shows inside an SSH session.
    pub(super) host_key: Arc<PrivateKey>,
}
