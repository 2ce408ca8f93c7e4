//! `hoopctl audit prove`.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use tokio::runtime::Handle;

use super::evidence::{self, Report};
use super::fetch::Recordings;
use super::proven::{self, Entry, Proven};
use crate::cli::args::{Global, Prove};
use crate::cli::commands::session;
use crate::cli::failure::{Failure, FailureKind};
use crate::cli::file::{WholeFile, unwritable};
use crate::cli::ui::Ui;
use crate::client::approvals::SignedReviews;
use crate::client::evidence::{Choice, ProofWriter};
use crate::domain::event::{Event, What};
use crate::domain::name::SessionId;
use crate::ledger::verify::{Broken, Files, Reason, recorded_chunk};

/// Writes one session's record, and verifies what was written.
///
/// # Errors
/// [`Failure`]; there is no file then.
pub(super) async fn run(global: Global, ui: Ui, args: Prove) -> Result<u8, Failure> {
    let session = session::id(&args.session)?;
    let (mut ledger, api) = proven::source(global, ui, args.dir.clone(), args.key).await?;
    let files: Option<Box<dyn Files + Send>> = match (args.recordings, &api) {
        (None, _) => None,
        (Some(_), Some(api)) => Some(Box::new(Recordings::new(api, &Handle::current()))),
        (Some(folder), None) => Some(Box::new(super::recordings(&args.dir.unwrap_or_default(), &folder)?)),
    };
    let mut reel = Reel { files, only: args.chunks.into_iter().collect(), missed: BTreeSet::new() };
    reel.missed.clone_from(&reel.only);
    let waiting = ui.wait("reading the ledger");
    let done = super::blocking(move || {
        let mut file = WholeFile::create(&args.out)?;
        write(&mut ledger, &session, &mut reel, &mut file)?;
        file.close()?;
        // INVARIANT: no file gets its name that whoever it is for would refuse
        let proof = evidence::open(file.temporary())?;
        let shown = proof.verify(ledger.key(), &SignedReviews);
        let shown = shown.map_err(|error| evidence::refused(&args.out, &error))?;
        file.done()?;
        Ok((shown, ledger.key().clone(), args.out))
    })
    .await;
    drop(waiting);
    let (shown, key, path) = done?;
    Report { shown: &shown, key: &key, key_from: None, witnessed: None, written: Some(&path) }.print(ui);
    Ok(0)
}

fn write(
    ledger: &mut Proven,
    session: &SessionId,
    reel: &mut Reel,
    file: &mut WholeFile,
) -> Result<(), Failure> {
    let range = ledger.advance()?;
    let mut choice = Choice::new(session.clone());
    ledger.each(range, |Entry { index, event, .. }| {
        choice.follow(index, event, &SignedReviews);
        Ok(ControlFlow::Continue(()))
    })?;
    let chosen = choice.finish();
    let Some(last) = chosen.last() else {
        let message = format!("the ledger has no session `{session}`");
        return Err(Failure::new(FailureKind::Usage, message).hint(
            "`hoopctl session list` shows the ids; what was entered just now is under the next checkpoint",
        ));
    };
    let head = ledger.witnessed(last.saturating_add(1))?;
    let head = head.ok_or(Broken { index: None, reason: Reason::CheckpointMissing })?;
    let path = file.path().to_owned();
    let failed = |error: std::io::Error| unwritable(&path, &error);
    let mut proof = ProofWriter::new(file, session, ledger.key(), head.note()).map_err(failed)?;
    ledger.pick(chosen, head.checkpoint(), |entry| {
        proof.entry(entry.index, entry.bytes, entry.proof).map_err(failed)?;
        if let Some(chunk) = reel.chunk(entry.index, entry.event)? {
            proof.chunk(&chunk).map_err(failed)?;
        }
        Ok(ControlFlow::Continue(()))
    })?;
    if let Some((connection, chunk)) = reel.missed.first() {
        let message = format!("`{session}` has no chunk {connection}-{chunk} of a recording");
        return Err(Failure::new(FailureKind::Usage, message)
            .hint(format!("`hoopctl audit export --session {session}` shows them as `chunk-closed`")));
    }
    proof.end().map_err(failed)
}

/// The chunks that are to be shown.
struct Reel {
    /// `None` when none are.
    files: Option<Box<dyn Files + Send>>,
    /// Only these, if some are named, as connection and chunk.
    only: BTreeSet<(u32, u32)>,
    /// Those of them that were not met yet.
    missed: BTreeSet<(u32, u32)>,
}

impl Reel {
    /// The chunk that this entry holds the digest of, if it is to be shown.
    fn chunk(&mut self, index: u64, event: &Event) -> Result<Option<Vec<u8>>, Failure> {
        let (What::ChunkClosed { session, connection, chunk, digest, bytes }, Some(files)) =
            (&event.what, &self.files)
        else {
            return Ok(None);
        };
        if !self.only.is_empty() && !self.only.contains(&(*connection, *chunk)) {
            return Ok(None);
        }
        self.missed.remove(&(*connection, *chunk));
        let read = recorded_chunk(files.as_ref(), (session, *connection, *chunk), digest, *bytes);
        let content = read.map_err(|error| super::unanswered(&error))?;
        Ok(Some(content.map_err(|reason| Broken { index: Some(index), reason })?))
    }
}
