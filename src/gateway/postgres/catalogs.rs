//! What names mean, asked of the database itself over the session's own connection.
//!
//! Job: run the catalog's queries before the client gets its first word in, and keep what comes with
//! the server, which is the same for every database of a version. Boundary: the session's role asks,
//! so it learns nothing that the session could not. Failure mode: the connection does not open.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::BytesMut;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};

use super::lens::Masked;
use super::marks::Marks;
use super::search_path::SearchPath;
use crate::domain::filter::BoundFilter;
use crate::domain::target::Target;
use crate::gateway::leg::Leg;
use crate::mask::MaskPlan;
use crate::sql::{Builtins, Catalog, CatalogError, Protection, ProtectionError, Rows, Temporary};
use crate::wire::postgres::backend::ServerMessage;
use crate::wire::postgres::frame::{self, FrameError, FrameLimits};
use crate::wire::postgres::frontend::ClientMessage;

/// What comes with the servers, by version.
#[derive(Debug, Clone, Default)]
pub(in crate::gateway) struct Catalogs(Arc<Mutex<HashMap<String, Arc<Builtins>>>>);

/// Why the catalog could not be read.
#[derive(Debug, Error)]
pub(super) enum ReadError {
    /// The rows are not what they should be.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The connection failed.
    #[error("the connection failed while the catalog was read: {0}")]
    Lost(#[from] std::io::Error),
    /// A message was malformed.
    #[error("the database sent a malformed message while the catalog was read: {0}")]
    Malformed(#[from] FrameError),
    /// The target is of another protocol: a fault of ours.
    #[error("the target is no database")]
    NotADatabase,
    /// Protection could not be worked out.
    #[error(transparent)]
    Protection(#[from] ProtectionError),
    /// The database refused a query of ours.
    #[error("the database refused a catalog query (SQLSTATE {0})")]
    Refused(String),
}

impl Catalogs {
    /// Reads everything that masks need to know.
    pub(super) async fn read<S>(
        &self,
        leg: &mut Leg<S>,
        target: Arc<Target>,
        plan: &MaskPlan,
        filters: &[BoundFilter],
        role: String,
    ) -> Result<Masked, ReadError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let settings = query(leg, SETTINGS).await?;
        let setting = |column: usize| {
            settings.first().and_then(|row| row.get(column)).cloned().flatten().unwrap_or_default()
        };
        let version = setting(0);
        let path = SearchPath::new(elements(&setting(1)));
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&version).cloned();
        // the marks are of the same moment as the rest: they are read before the transaction is committed
        let (commit, before) = Catalog::QUERIES.split_last().ok_or(ReadError::NotADatabase)?;
        let (begin, before) = before.split_at_checked(Catalog::BEGINNING).ok_or(ReadError::NotADatabase)?;
        let mut rows = queries(leg, begin).await?;
        let builtins = match known {
            Some(builtins) => builtins,
            // INVARIANT: what all connections share is read with nothing of a client's on the path
            None => {
                let rows = queries(leg, Builtins::QUERIES).await?;
                let builtins = Arc::new(Builtins::from_rows(&rows)?);
                let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                Arc::clone(all.entry(version.clone()).or_insert(builtins))
            }
        };
        rows.extend(queries(leg, before).await?);
        let marks = query(leg, Marks::QUERY).await?;
        rows.push(query(leg, commit).await?);
        let catalog = Arc::new(Catalog::from_rows(builtins, &rows)?);
        let marks = Arc::new(Marks::new(&marks, &catalog));
        let Some(postgres) = target.kind.postgres() else { return Err(ReadError::NotADatabase) };
        let protection = if postgres.objects {
            Protection::resolve_with_views(&catalog, plan, filters)?
        } else {
            Protection::resolve(&catalog, plan, filters)?
        };
        let protection = Arc::new(protection);
        let version = version.parse().unwrap_or_default();
        let target = Arc::new(postgres.clone());
        let temporary = Temporary::default();
        Ok(Masked { catalog, temporary, protection, marks, path, role, version, target })
    }
}

const SETTINGS: &str = "SELECT pg_catalog.current_setting('server_version_num'), \
                        pg_catalog.current_setting('search_path')";

async fn queries<S>(leg: &mut Leg<S>, texts: &[&str]) -> Result<Vec<Rows>, ReadError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut all = Vec::with_capacity(texts.len());
    for text in texts {
        all.push(query(leg, text).await?);
    }
    Ok(all)
}

async fn query<S>(leg: &mut Leg<S>, text: &str) -> Result<Rows, ReadError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut request = BytesMut::new();
    ClientMessage::Query(text.as_bytes()).encode(&mut request);
    leg.push(request.freeze());
    std::future::poll_fn(|cx| leg.poll_write(cx)).await?;
    let limit = FrameLimits::default().upstream;
    let mut rows = Vec::new();
    let mut refused = None;
    loop {
        while let Some(frame) = frame::take(&mut leg.input, limit)? {
            match ServerMessage::parse(frame.tag, frame.body()) {
                Ok(Some(ServerMessage::DataRow(columns))) => {
                    let text = |value: &Option<&[u8]>| {
                        value.map(|bytes| String::from_utf8_lossy(bytes).into_owned())
                    };
                    rows.push(columns.iter().map(text).collect());
                }
                Ok(Some(ServerMessage::ErrorResponse(fields))) => {
                    refused = Some(fields.summary().sqlstate);
                }
                Ok(Some(ServerMessage::ReadyForQuery(_))) => {
                    return refused.map_or(Ok(rows), |sqlstate| Err(ReadError::Refused(sqlstate)));
                }
                _ => {}
            }
        }
        if std::future::poll_fn(|cx| leg.poll_read(cx)).await? == 0 {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
    }
}

/// The elements of a `search_path` as SHOW gives it: separated by commas, quoted where necessary.
fn elements(path: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut element = String::new();
    let mut quoted = false;
    let mut characters = path.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                element.push('"');
                characters.next();
            }
            '"' => quoted = !quoted,
            ',' if !quoted => all.push(std::mem::take(&mut element)),
            ' ' if !quoted => {}
            other => element.push(other),
        }
    }
    all.push(element);
    all.retain(|element| !element.is_empty());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_path_is_split_where_postgres_joins_it() {
        assert_eq!(elements(r#""$user", public"#), ["$user", "public"]);
        assert_eq!(elements(r#""a, ""b""", c"#), [r#"a, "b""#, "c"]);
        assert!(elements(r#""""#).is_empty());
    }
}
