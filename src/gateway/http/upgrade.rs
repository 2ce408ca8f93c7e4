//! What a call becomes after an upgrade: bytes in both directions.
//!
//! Job: relay them, record them, stop when the injected credential comes back. Boundary: only on targets
//! without masks, because there is no form to mask by. Failure mode: both sides are closed.
//!
//! A secret that comes back is not replaced, because frames would lose their shape: the connection is cut before
//! the piece that completes it.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::dial::Link;
use super::shared::Shared;
use crate::gateway::journal::ItemKind;
use crate::recording::item::Outcome;
use crate::wire::http::redact::{BodyRedactor, Redactor};

const PIECE: usize = 16 * 1024;
/// How long one direction goes on without the other.
const GRACE: Duration = Duration::from_secs(10);
const LEFT: &str = "the client had left, and the API went on";

/// Relays until one side ends.
pub(in crate::gateway) async fn relay(
    shared: Arc<Shared>,
    number: u64,
    client: OnUpgrade,
    api: OnUpgrade,
    redactor: Option<Redactor>,
    link: Link,
) {
    let (client, api) = match tokio::try_join!(client, api) {
        Ok(both) => both,
        Err(error) => return tracing::debug!(session = %shared.context.id, %error, "no upgrade"),
    };
    let (from_client, to_client) = tokio::io::split(TokioIo::new(client));
    let (from_api, to_api) = tokio::io::split(TokioIo::new(api));
    let watcher = redactor.map(|redactor| redactor.body());
    let out = copy(&shared, number, 1, from_client, to_api, None);
    let back = copy(&shared, number, 2, from_api, to_client, watcher);
    let shown = follow(out, back, GRACE).await.unwrap_or_else(|| (0, Some(LEFT.into())));
    // its place among the calls to the API is taken until here
    drop(link);
    let (rows, error) = shown;
    let outcome = Outcome { number, rows, tag: Some("101".into()), error };
    if let Err(error) = shared.turnstile.reel().outcome(&outcome).await {
        shared.fail(&error);
    }
}

/// Both directions; once one has ended, the other has a while to follow, so that nobody who is gone holds a connection.
async fn follow<A>(out: impl Future, back: impl Future<Output = A>, grace: Duration) -> Option<A> {
    let (mut out, mut back) = (std::pin::pin!(out), std::pin::pin!(back));
    tokio::select! {
        _ = out.as_mut() => tokio::time::timeout(grace, back).await.ok(),
        shown = back.as_mut() => {
            let _in_time = tokio::time::timeout(grace, out).await;
            Some(shown)
        }
    }
}

/// Copies one direction; how many bytes passed, and why no more did.
async fn copy(
    shared: &Shared,
    number: u64,
    stream: u8,
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut watcher: Option<BodyRedactor>,
) -> (u64, Option<String>) {
    let (mut buffer, mut passed) = (BytesMut::with_capacity(PIECE), 0_u64);
    let mut ignored = BytesMut::new();
    let why = loop {
        buffer.clear();
        match from.read_buf(&mut buffer).await {
            Ok(0) => break None,
            Ok(_) => {}
            Err(error) => break Some(error.to_string()),
        }
        if let Some(watcher) = &mut watcher {
            ignored.clear();
            watcher.feed(&buffer, &mut ignored);
            if watcher.found() > 0 {
                break Some("the credential that was injected came back".to_owned());
            }
        }
        let recorded = shared.turnstile.reel().piece(ItemKind::Body, number, stream, &buffer).await;
        if let Err(error) = recorded {
            shared.fail(&error);
            break Some(error.to_string());
        }
        passed += buffer.len() as u64;
        if let Err(error) = to.write_all(&buffer).await {
            break Some(error.to_string());
        }
        if let Err(error) = to.flush().await {
            break Some(error.to_string());
        }
    };
    // the other side may be gone
    let _closed = to.shutdown().await;
    (passed, why)
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn nobody_who_is_gone_holds_an_upgraded_connection() {
        let none = Duration::ZERO;
        assert_eq!(follow(ready(()), pending::<u8>(), none).await, None);
        assert_eq!(follow(pending::<()>(), ready(7), none).await, Some(7));
        assert_eq!(follow(ready(()), ready(7), none).await, Some(7));
    }
}
