//! Entries of the ledger, each proven under its signed head: what `audit tail` and `audit export` print, and
//! `audit prove` hands on.

use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::runtime::Handle;

use super::fetch::Ledger;
use crate::broker::ledger::DirectoryFiles;
use crate::cli::args::Global;
use crate::cli::context::Context;
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
use crate::ledger::tile::{COSIGNED, KEY, WIDTH};
use crate::ledger::tree::Hash;
use crate::ledger::verify::{Broken, Files, FilesError, Reason};

/// An entry that was proven.
pub(super) struct Entry<'a> {
    /// Its place.
    pub(super) index: u64,
    /// As it was entered.
    pub(super) bytes: &'a [u8],
    /// What it says.
    pub(super) event: &'a Event,
    /// What it was proven with.
    pub(super) proof: &'a [Hash],
}

/// A ledger whose entries are proven before anybody sees them.
pub(super) struct Proven {
    files: Box<dyn Files + Send>,
    key: VerifierKey,
    /// What is remembered of a broker's.
    memory: Option<Memory>,
    unread: fn(&FilesError) -> Failure,
    /// The head that was read last.
    head: Option<Head>,
}

/// The ledger in a folder, or the one at a broker, which is handed out beside it; with the key that somebody named.
pub(super) async fn source(
    global: Global,
    ui: Ui,
    dir: Option<PathBuf>,
    key: Option<PathBuf>,
) -> Result<(Proven, Option<Arc<Api>>), Failure> {
    let Some(dir) = dir else {
        let context = Context::read(global, ui)?;
        let api = context.api().await?;
        let ledger = Proven::online(&api, super::named_key(key.as_ref())?, ui).await?;
        return Ok((ledger, Some(api)));
    };
    // offline: neither a login nor a place for state is needed
    let ledger = super::blocking(move || {
        let key = match key {
            Some(path) => super::text_of(path)?,
            None => {
                ui.talk(super::OWN_WORD);
                super::ledgers_own_key(&DirectoryFiles::new(&dir), super::unreadable)?
            }
        };
        Ok(Proven::offline(&dir, super::verifier(&key)?))
    });
    Ok((ledger.await?, None))
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
    fn offline(dir: &Path, key: VerifierKey) -> Self {
        let files = Box::new(DirectoryFiles::new(dir));
        Self { files, key, memory: None, unread: super::unreadable, head: None }
    }

    /// The log's key: the one that signed the head that was read, else the one to begin with.
    pub(super) fn key(&self) -> &VerifierKey {
        self.head.as_ref().map_or(&self.key, Head::key)
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
            Prover::new(&*self.files, head.size).continues(before.checkpoint(), &head)?;
        }
        if let Some(memory) = &self.memory {
            super::remember(memory, remembered, &shown, &*self.files)?;
        }
        let before = self.head.replace(shown).map_or(0, |before| before.checkpoint().size);
        Ok(before..head.size)
    }

    /// The newest head that holds these entries and that witnesses have cosigned, else the one that was read.
    ///
    /// INVARIANT: it is signed by the key, and the one that was read extends it.
    pub(super) fn witnessed(&self, entries: u64) -> Result<Option<Head>, Failure> {
        let Some(read) = &self.head else { return Ok(None) };
        let head = read.checkpoint();
        let note = self.files.read(COSIGNED).map_err(|error| (self.unread)(&error))?;
        let Some(note) = note else { return Ok(Some(read.clone())) };
        let cosigned = match Head::open(read.key(), &note) {
            Ok(cosigned) => cosigned,
            // cosigned before the key was changed: whoever verifies has the last key only
            Err(_) if Head::open(&self.key, &note).is_ok() => return Ok(Some(read.clone())),
            Err(error) => return Err(error.into()),
        };
        let size = cosigned.checkpoint().size;
        if size < entries || size > head.size {
            return Ok(Some(read.clone()));
        }
        Prover::new(&*self.files, head.size).continues(cosigned.checkpoint(), head)?;
        Ok(Some(cosigned))
    }

    /// Hands out entries of the head that was read, in order, until there are no more or enough were seen.
    pub(super) fn each(
        &self,
        range: Range<u64>,
        take: impl FnMut(Entry<'_>) -> Result<ControlFlow<()>, Failure>,
    ) -> Result<(), Failure> {
        let Some(head) = &self.head else { return Ok(()) };
        let range = range.start..range.end.min(head.checkpoint().size);
        self.pick(range, head.checkpoint(), take)
    }

    /// Hands out these entries, which are in order, until enough were seen; `under` is the head that was read, or one that it
    /// extends.
    ///
    /// INVARIANT: no entry is handed out that is not proven under that head.
    pub(super) fn pick(
        &self,
        indices: impl IntoIterator<Item = u64>,
        under: &Checkpoint,
        mut take: impl FnMut(Entry<'_>) -> Result<ControlFlow<()>, Failure>,
    ) -> Result<(), Failure> {
        let Some(head) = &self.head else { return Ok(()) };
        let head = head.checkpoint();
        let prover = Prover::new(&*self.files, head.size);
        let mut indices = indices.into_iter().peekable();
        while let Some(first) = indices.peek().copied() {
            let next = (first / WIDTH + 1).saturating_mul(WIDTH);
            let bundle = self.bundle(first, head)?;
            let mut found = entries(&bundle, first);
            while let Some(at) = indices.next_if(|at| *at < next) {
                let missing = || Broken { index: Some(at), reason: Reason::Missing };
                let (_, bytes) = found.find(|(index, _)| *index == at).ok_or_else(missing)?;
                let proof = prover.inclusion_under(at, under.size).map_err(|error| (self.unread)(&error))?;
                let proof = proof.ok_or(Broken { index: Some(at), reason: Reason::Unproven })?;
                let event = proven(at, bytes, &proof, under)?;
                if take(Entry { index: at, bytes, event: &event, proof: &proof })?.is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn bundle(&self, index: u64, head: &Checkpoint) -> Result<Vec<u8>, Failure> {
        let read = bundle(&*self.files, index, head.size).map_err(|error| (self.unread)(&error))?;
        Ok(read.ok_or(Broken { index: Some(index), reason: Reason::Missing })?)
    }
}
