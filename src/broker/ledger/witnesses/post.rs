//! The submission of one checkpoint to one witness, over HTTP.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use thiserror::Error;
use url::Url;

use crate::ledger::note::NoteError;
use crate::ledger::witness::SIZE;

/// Speaks to witnesses.
pub(super) struct Post(reqwest::Client);

/// What a witness answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Signature lines.
    Cosigned(String),
    /// It has cosigned a checkpoint of another size.
    Conflict(u64),
    /// It does not follow from what it has cosigned.
    Disputed(u16),
}

/// Why there is no cosignature.
#[derive(Debug, Error)]
pub(super) enum Fault {
    #[error("its clock says {said} s after 1970")]
    Clock { said: u64 },
    #[error("its cosignature: {0}")]
    Cosignature(NoteError),
    #[error("{0}")]
    Disputed(String),
    #[error("what was cosigned could not be kept: {0}")]
    Kept(String),
    #[error("it answered {0}")]
    Refused(u16),
    #[error("its answer is none of tlog-witness")]
    Strange,
    #[error("the ledger's tiles do not make the proof")]
    Tiles,
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
}

impl Post {
    pub(super) fn new() -> Self {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .user_agent(concat!("hoopctl/", env!("CARGO_PKG_VERSION")))
            .build()
            .unwrap_or_default();
        Self(client)
    }

    pub(super) async fn submit(&self, prefix: &Url, body: String) -> Result<Answer, Fault> {
        // an address may hold a token, so it is not told
        let unreachable = |error: reqwest::Error| Fault::Unreachable(error.without_url().to_string());
        let url = prefix.join("add-checkpoint").map_err(|error| Fault::Unreachable(error.to_string()))?;
        let request = self.0.post(url).header(CONTENT_TYPE, "text/plain; charset=utf-8").body(body);
        let mut answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        let is_size = answer.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == SIZE);
        match status {
            StatusCode::OK => {}
            StatusCode::CONFLICT if is_size => {}
            StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => {
                return Ok(Answer::Disputed(status.as_u16()));
            }
            other => return Err(Fault::Refused(other.as_u16())),
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            if bytes.len() + chunk.len() > MAX_ANSWER {
                return Err(Fault::Strange);
            }
            bytes.extend_from_slice(&chunk);
        }
        let text = String::from_utf8(bytes).map_err(|_| Fault::Strange)?;
        if status == StatusCode::OK {
            return Ok(Answer::Cosigned(text));
        }
        let size = text.strip_suffix('\n').ok_or(Fault::Strange)?;
        let parsed: u64 = size.parse().map_err(|_| Fault::Strange)?;
        if parsed.to_string() == size { Ok(Answer::Conflict(parsed)) } else { Err(Fault::Strange) }
    }
}

/// How long a submission may take.
const PATIENCE: Duration = Duration::from_secs(10);
const MAX_ANSWER: usize = 1 << 16;
