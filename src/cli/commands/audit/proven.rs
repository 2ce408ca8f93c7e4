//! Entries of the ledger, each proven under its signed head: what `audit tail` and `audit export` print.

use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::fetch::Ledger;
use crate::broker::ledger::DirectoryFiles;
use crate::cli::failure::Failure;
use crate::cli::ui::Ui;
use crate::client::api::Api;
use crate::client::ledger::memory::Memory;
use crate::client::ledger::{Head, LedgerError};
use crate::domain::event::Event;
use crate::ledger::checkpoint::Checkpoint;
use crate::ledger::note::VerifierKey;
use crate::ledger::proof::{Prover, bundle, entries, proven};
use crate::ledger::rotation::{Chain, SignedHead};
use crate::ledger::tile::{KEY, WIDTH};
use crate::ledger::verify::{Broken, Files, FilesError, Reason};

/// An entry that was proven.
pub(super) struct Entry<'a> {
    /// Its place.
    pub(super) index: u64,
    /// As it was entered.
    pub(super) bytes: &'a [u8],
    /// What it says.
    pub(super) event: &'a Event,
}

/// A ledger whose entries are proven before anybody sees them.
pub(super) struct Proven {
    files: Box<dyn Files + Send>,
    key: VerifierKey,
    /// What is remembered of a broker's.
    memory: Option<Memory>,
    unread: fn(&FilesError) -> Failure,
    /// The head that was read last.
    head: Option<Checkpoint>,
}

impl Proven {
    /// The ledger at a broker, with the key that somebody named for it. Must be used off the runtime's own threads.
    pub(super) async fn online(api: &Arc<Api>, named: Option<VerifierKey>, ui: Ui) -> Result<Self, Failure> {
        let before = api.memory().read()?;
        let key = match (&before, named) {
            // that it is the remembered one, or of its family, is seen with each head
            (_, Some(named)) => named,
            (Some(before), None) => before.key.clone(),
            (None, None) => {
                let key = super::verifier(&String::from_utf8_lossy(&api.ledger_file(KEY).await?))?;
                ui.talk(super::OWN_WORD);
                key
            }
        };
        let files = Box::new(Ledger::new(api, &Handle::current()));
        Ok(Self { files, key, memory: Some(api.memory().clone()), unread: super::unanswered, head: None })
    }

    /// A folder with a ledger, whose key this is.
    pub(super) fn offline(dir: &Path, key: VerifierKey) -> Self {
        let files = Box::new(DirectoryFiles::new(dir));
        Self { files, key, memory: None, unread: super::unreadable, head: None }
    }

    /// The log's name.
    pub(super) fn origin(&self) -> &str {
        self.key.name()
    }

    /// Reads the head; returns the entries that it adds to the one before.
    ///
    /// INVARIANT: a head is signed by the key, or by one that followed it in that very log, and extends the one before and the one that is remembered.
    pub(super) fn advance(&mut self) -> Result<Range<u64>, Failure> {
        let remembered = self.memory.as_ref().map(Memory::read).transpose()?.flatten();
        let unproven = super::unverified(self.unread);
        if let Some(remembered) = &remembered
            && remembered.key != self.key
            && !Chain::of(&*self.files).map_err(&unproven)?.joins(&self.key, &remembered.key)
        {
            return Err(LedgerError::NamedKey.into());
        }
        let signed = SignedHead::read(&*self.files, &self.key).map_err(&unproven)?;
        signed.chain.prove(&*self.files, &signed.checkpoint).map_err(&unproven)?;
        let shown =
            Head::open(&signed.key, signed.note.as_bytes())?.with_keys(signed.chain.family(&self.key));
        let head = *shown.checkpoint();
        if let Some(before) = &self.head {
            Prover::new(&*self.files, head.size).continues(before, &head)?;
        }
        if let Some(memory) = &self.memory {
            super::remember(memory, remembered, &shown, &*self.files)?;
        }
        let before = self.head.replace(head).map_or(0, |before| before.size);
        Ok(before..head.size)
    }

    /// Hands out entries of the head that was read, in order, until there are no more or enough were seen.
    ///
    /// INVARIANT: no entry is handed out that is not proven under the head.
    pub(super) fn each(
        &self,
        range: Range<u64>,
        mut take: impl FnMut(Entry<'_>) -> Result<ControlFlow<()>, Failure>,
    ) -> Result<(), Failure> {
        let Some(head) = &self.head else { return Ok(()) };
        let prover = Prover::new(&*self.files, head.size);
        let (mut index, end) = (range.start, range.end.min(head.size));
        while index < end {
            let next = (index / WIDTH + 1).saturating_mul(WIDTH).min(end);
            let bundle = self.bundle(index, head)?;
            let mut found = entries(&bundle, index).filter(|(at, _)| (index..next).contains(at));
            for at in index..next {
                let missing = || Broken { index: Some(at), reason: Reason::Missing };
                let (_, bytes) = found.next().ok_or_else(missing)?;
                let proof = prover.inclusion(at).map_err(|error| (self.unread)(&error))?;
                let unproven = || Broken { index: Some(at), reason: Reason::Unproven };
                let event = proven(at, bytes, &proof.ok_or_else(unproven)?, head)?;
                if take(Entry { index: at, bytes, event: &event })?.is_break() {
                    return Ok(());
                }
            }
            index = next;
        }
        Ok(())
    }

    fn bundle(&self, index: u64, head: &Checkpoint) -> Result<Vec<u8>, Failure> {
        let read = bundle(&*self.files, index, head.size).map_err(|error| (self.unread)(&error))?;
        Ok(read.ok_or(Broken { index: Some(index), reason: Reason::Missing })?)
    }
}
