//! The ledger's files, as they lie on the disk, and its head for everybody.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::Service;
use super::caller::{Named, number};
use super::fault::Fault;
use crate::broker::authn::Caller;
use crate::domain::action::Action;
use crate::wire::control::{FROM, LedgerHead, SINCE};

/// INVARIANT: nothing of an entry but hashes over many of them is told here, so that every login may ask.
pub(super) async fn head(
    State(service): State<Service>,
    _: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<LedgerHead>, Fault> {
    let (query, since) = since(query.as_deref())?;
    let from = number(query, FROM)?.unwrap_or_default();
    let head = service.core.archive.ledger_head(from, since).await;
    Ok(Json(head.map_err(|error| Fault::unread(&error))?))
}

/// The rest of the query, and the id of the key that the caller remembers, which comes last.
fn since(query: Option<&str>) -> Result<(Option<&str>, Option<&str>), Fault> {
    let parts = query.and_then(|query| query.rsplit_once('&'));
    let Some((rest, last)) = parts else { return Ok((query, None)) };
    let id = last.split_once('=').filter(|(name, _)| *name == SINCE).map(|(_, id)| id);
    let id = id.filter(|id| id.len() == 8 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let wrong =
        || Fault::bad_request(format!("the query does not end in `{SINCE}=ID`, 8 hexadecimal digits"));
    Ok((Some(rest), Some(id.ok_or_else(wrong)?)))
}

pub(super) async fn file(
    State(service): State<Service>,
    caller: Caller,
    Named(path): Named<String>,
) -> Result<Response, Fault> {
    let known = Known::read(&path).ok_or_else(|| Fault::unknown("file of the ledger"))?;
    // heads and key tell nothing of anybody, and everybody may hold them against the broker
    if known == Known::Tile && !is_auditor(&service, &caller) {
        return Err(Fault::unknown("file of the ledger"));
    }
    let bytes = service.core.archive.ledger_file(&path).await.map_err(|error| Fault::internal(&error))?;
    let bytes = bytes.ok_or_else(|| Fault::unknown("file of the ledger"))?;
    let kind = match known {
        Known::Head => "text/plain; charset=utf-8",
        Known::Tile => "application/octet-stream",
    };
    Ok(([(header::CONTENT_TYPE, kind)], bytes).into_response())
}

/// Entries speak of all targets, so whoever audits one sees the ledger as a whole.
fn is_auditor(service: &Service, caller: &Caller) -> bool {
    let config = service.core.config();
    config.targets.values().any(|target| service.core.may(caller.principal(), target, &Action::Audit))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Head,
    Tile,
}

impl Known {
    /// INVARIANT: only paths that this accepts reach the file system.
    fn read(path: &str) -> Option<Self> {
        if matches!(path, "checkpoint" | "cosigned" | "key" | "keys") {
            return Some(Self::Head);
        }
        let rest = path.strip_prefix("tile/")?;
        let is_part = |part: &str| {
            !part.is_empty()
                && part.len() <= 32
                && !part.starts_with('.')
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.')
        };
        (path.len() <= 200 && rest.split('/').all(is_part)).then_some(Self::Tile)
    }
}

#[cfg(test)]
mod tests {
    use super::Known;

    #[test]
    fn only_files_of_the_ledger_are_named() {
        for good in ["checkpoint", "cosigned", "key", "keys"] {
            assert_eq!(Known::read(good), Some(Known::Head), "{good}");
        }
        for good in
            ["tile/0/000", "tile/0/x001/234.p/5", "tile/entries/x001/x234/067.p/255", "tile/2/x000/x000/001"]
        {
            assert_eq!(Known::read(good), Some(Known::Tile), "{good}");
        }
        for bad in [
            "",
            "tile",
            "tile/",
            "tile//0",
            "tile/../key",
            "tile/0/..",
            "tile/0/.hidden",
            "tile/0/%2e%2e",
            "/tile/0",
            "ledger.key",
            "checkpoint/",
            "tile/0/a\\b",
            "tile/0/a\0b",
            "../pki/ca.key",
        ] {
            assert_eq!(Known::read(bad), None, "{bad}");
        }
    }
}
