//! `hoopctl audit …`.

mod evidence;
mod export;
mod fetch;
mod prove;
mod proven;
mod quorum;
pub(super) mod rotations;
mod tail;
mod witness;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::broker::ledger::DirectoryFiles;
use crate::cli::args::{AuditCommand, BESIDE, Global, Verify};
use crate::cli::context::Context;
use crate::cli::failure::{Failure, FailureKind};
use crate::cli::ui::Ui;
use crate::client::approvals::SignedReviews;
use crate::client::ledger::memory::{Memory, Remembered};
use crate::client::ledger::{Head, LedgerError};
use crate::ledger::note::VerifierKey;
use crate::ledger::policy::Witnessed;
use crate::ledger::proof::Prover;
use crate::ledger::rotation::Chain;
use crate::ledger::tile::{CHECKPOINT, KEY};
use crate::ledger::verify::{Audit, Files, FilesError, Verified, VerifyError};
use fetch::{Ledger, Recordings};
use quorum::Quorum;

/// Verifies or reads the ledger.
///
/// # Errors
/// [`Failure`].
pub async fn run(global: Global, ui: Ui, command: AuditCommand) -> Result<u8, Failure> {
    match command {
        // offline: neither a login nor a place for state is needed
        AuditCommand::Verify(args) if args.file.is_some() => blocking(move || evidence::run(ui, &args)).await,
        AuditCommand::Verify(args) if args.dir.is_some() => {
            blocking(move || {
                let (verified, key, witnessed) = offline(&args)?;
                report(ui, &verified, key, witnessed.as_ref());
                Ok(0)
            })
            .await
        }
        AuditCommand::Export(args) => export::run(global, ui, args).await,
        AuditCommand::Prove(args) => prove::run(global, ui, args).await,
        AuditCommand::Verify(args) => online(&Context::read(global, ui)?, args).await,
        AuditCommand::Tail(args) => tail::run(&Context::read(global, ui)?, &args).await,
        AuditCommand::Witness(args) => witness::run(ui, args).await,
    }
}

/// Whose word is taken for the ledger's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyFrom {
    File,
    Ledger,
    Memory,
    Policy,
}

impl KeyFrom {
    /// As programs read it.
    fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Ledger => "ledger",
            Self::Memory => "memory",
            Self::Policy => "policy",
        }
    }
}

fn offline(args: &Verify) -> Result<(Verified, KeyFrom, Option<Witnessed>), Failure> {
    let quorum = Quorum::read(&args.witnesses)?;
    let dir = args.dir.clone().unwrap_or_default();
    let log = DirectoryFiles::new(&dir);
    let recordings = args.recordings.as_ref().map(|folder| recordings(&dir, folder)).transpose()?;
    let of_policy = quorum.as_ref().map_or(Ok(None), |quorum| quorum.key(&log, unreadable))?;
    let (key, from) = match (&args.key, of_policy) {
        (Some(path), _) => (text_of(path)?, KeyFrom::File),
        (None, Some(key)) => (key, KeyFrom::Policy),
        (None, None) => (ledgers_own_key(&log, unreadable)?, KeyFrom::Ledger),
    };
    let kept = args.checkpoint.as_deref().map(text_of).transpose()?;
    let recordings = recordings.as_ref().map(|files| files as &dyn Files);
    let (verified, witnessed) = verify(&log, recordings, &key, kept.as_deref(), quorum.as_ref(), unreadable)?;
    Ok((verified, from, witnessed))
}

/// The recordings in a folder, or where a broker keeps them: beside the ledger.
fn recordings(ledger: &Path, folder: &Path) -> Result<DirectoryFiles, Failure> {
    let beside = ledger.join("../recordings");
    let folder = if folder.as_os_str() == BESIDE { &beside } else { folder };
    if folder.is_dir() {
        return Ok(DirectoryFiles::new(folder));
    }
    let message = format!("there is no folder of recordings at `{}`", folder.display());
    Err(Failure::new(FailureKind::Usage, message).hint("name it with `--recordings FOLDER`"))
}

async fn online(context: &Context, args: Verify) -> Result<u8, Failure> {
    let api = context.api().await?;
    let (ui, handle) = (context.ui, tokio::runtime::Handle::current());
    let quorum = Quorum::read(&args.witnesses)?;
    let waiting = ui.wait("reading the ledger");
    let done = blocking(move || {
        let log = Ledger::new(&api, &handle);
        let recordings = args.recordings.as_ref().map(|_| Recordings::new(&api, &handle));
        let memory = api.memory();
        let before = memory.read()?;
        let of_policy = quorum.as_ref().map_or(Ok(None), |quorum| quorum.key(&log, unanswered))?;
        let (key, from) = match (&args.key, of_policy, &before) {
            (Some(path), _, _) => (text_of(path)?, KeyFrom::File),
            (None, Some(key), _) => (key, KeyFrom::Policy),
            (None, None, Some(before)) => (before.key.to_string(), KeyFrom::Memory),
            (None, None, None) => (ledgers_own_key(&log, unanswered)?, KeyFrom::Ledger),
        };
        let verifying = verifier(&key)?;
        if let Some(before) = &before
            && before.key != verifying
            && !Chain::of(&log).map_err(unverified(unanswered))?.joins(&verifying, &before.key)
        {
            return Err(LedgerError::NamedKey.into());
        }
        let remembered =
            before.as_ref().and_then(|before| before.head.as_ref()).map(|(note, _)| note.as_str());
        let named = args.checkpoint.as_ref().map(text_of).transpose()?;
        let recordings = recordings.as_ref().map(|files| files as &dyn Files);
        let kept = named.as_deref().or(remembered);
        let (verified, witnessed) = verify(&log, recordings, &key, kept, quorum.as_ref(), unanswered)?;
        // what was found good is what the next ledger must extend
        if let Some(note) = log.head() {
            let head = Head::open(&verified.key, &note)?.with_keys(verified.keys());
            remember(memory, before, &head, &log)?;
        }
        Ok((verified, from, witnessed))
    })
    .await;
    drop(waiting);
    let (verified, from, witnessed) = done?;
    report(ui, &verified, from, witnessed.as_ref());
    Ok(0)
}

fn verify(
    log: &dyn Files,
    recordings: Option<&dyn Files>,
    key: &str,
    kept: Option<&str>,
    quorum: Option<&Quorum>,
    unread: fn(&FilesError) -> Failure,
) -> Result<(Verified, Option<Witnessed>), Failure> {
    let key = verifier(key)?;
    let witnessed = quorum.map(|quorum| quorum.head(log, &key, unread)).transpose()?;
    let verified = Audit { log, recordings, key: &key, kept, reviews: &SignedReviews }.run();
    let verified = verified.map_err(unverified(unread))?;
    if let Some(witnessed) = &witnessed {
        quorum::continues(log, witnessed, &verified.checkpoint)?;
    }
    Ok((verified, witnessed))
}

fn unverified(unread: fn(&FilesError) -> Failure) -> impl Fn(VerifyError) -> Failure {
    move |error| match error {
        VerifyError::Broken(broken) => broken.into(),
        VerifyError::Files(error) => unread(&error),
    }
}

fn verifier(key: &str) -> Result<VerifierKey, Failure> {
    VerifierKey::parse(key.trim()).map_err(|error| {
        Failure::new(FailureKind::BadData, format!("the ledger's key cannot be read: {error}"))
    })
}

/// Remembers the head of a log whose tiles are at hand, unless more was remembered since what there was `before`.
///
/// INVARIANT: a head that is remembered is given up for one that extends it, and for no other.
fn remember(
    memory: &Memory,
    mut before: Option<Remembered>,
    head: &Head,
    log: &dyn Files,
) -> Result<(), Failure> {
    let prover = Prover::new(log, head.checkpoint().size);
    let mut is_first = true;
    loop {
        if let Some(kept) = before.as_ref().and_then(Remembered::kept) {
            if !is_first && kept.size > head.checkpoint().size {
                // another command has seen the log grow while this one read it
                return Ok(());
            }
            if let Err(error) = prover.continues(&kept, head.checkpoint()) {
                let shown = [("shown-checkpoint", head.note().to_owned())];
                let evidence = memory.witness(before.as_ref(), &shown);
                let kept = evidence
                    .map(|at| format!("what it showed and what is remembered is kept in `{}`", at.display()));
                return Err(kept.into_iter().fold(error.into(), Failure::hint));
            }
        }
        if memory.advance(before.as_ref(), head)? {
            return Ok(());
        }
        (before, is_first) = (memory.read()?, false);
    }
}

/// A folder with something in the place of a file that is none, or cannot be read, is not a ledger in good order.
fn unreadable(error: &FilesError) -> Failure {
    Failure::new(FailureKind::BadData, format!("the ledger cannot be verified: {error}"))
        .hint("a copy of a ledger has ordinary files and folders only")
}

fn unanswered(error: &FilesError) -> Failure {
    VerifyError::Files(error.clone()).into()
}

fn report(ui: Ui, verified: &Verified, key: KeyFrom, witnessed: Option<&Witnessed>) {
    let head = verified.checkpoint;
    if ui.json {
        let root = head.root.to_string();
        return ui.object(&json!({
            "verified": true,
            "entries": head.size,
            "root": root,
            "sessions": verified.sessions,
            "statements": verified.statements,
            "chunks": verified.chunks,
            "reviews": verified.reviews,
            "recordings": verified.recordings,
            "extends": verified.kept,
            "witnessed": witnessed.map(quorum::as_json),
            "key_from": key.word(),
            "key": verified.key.to_string(),
            "rotations": rotations::as_json(&verified.rotations),
        }));
    }
    let (size, sessions, statements) = (head.size, verified.sessions, verified.statements);
    ui.line(&format!(
        "the ledger is in good order: {size} entries, {sessions} sessions, {statements} statements"
    ));
    if verified.reviews > 0 {
        let (count, plural) = (verified.reviews, if verified.reviews == 1 { "" } else { "s" });
        ui.line(&format!("every approval was given and signed by its reviewers: {count} review{plural}"));
    }
    if verified.recordings {
        ui.line(&format!("the recordings are what was entered: {} chunks", verified.chunks));
    }
    if let Some(size) = verified.kept {
        ui.line(&format!("it extends the checkpoint of {size} entries that was kept"));
    }
    if let Some(witnessed) = witnessed {
        quorum::report(ui, witnessed, size);
    }
    rotations::report(ui, &verified.rotations);
    if key == KeyFrom::Ledger {
        ui.talk(OWN_WORD);
    }
}

fn ledgers_own_key(files: &dyn Files, unread: fn(&FilesError) -> Failure) -> Result<String, Failure> {
    let bytes = files.read(KEY).map_err(|error| unread(&error))?.ok_or_else(|| {
        Failure::new(FailureKind::Usage, "there is no ledger, or no key beside it")
            .hint("name the key with `--key FILE`")
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The key in a file that somebody named.
pub(super) fn named_key(path: Option<&PathBuf>) -> Result<Option<VerifierKey>, Failure> {
    path.map(|path| verifier(&text_of(path)?)).transpose()
}

fn text_of(path: impl AsRef<Path>) -> Result<String, Failure> {
    let path: PathBuf = path.as_ref().into();
    let mut text = String::new();
    // a pipe will do; what comes out of it has an end
    let read = File::open(&path).and_then(|file| file.take(LONGEST_NOTE).read_to_string(&mut text));
    read.map(|_| text).map_err(|error| {
        Failure::new(FailureKind::Usage, format!("cannot read `{}`: {error}", path.display()))
    })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.map_err(|error| Failure::new(FailureKind::Internal, error.to_string()))?
}

/// What is said of a key that nobody named or remembers.
const OWN_WORD: &str = "note: the key is the ledger's own word; compare it once with what the operator gives, or name it with `--key`";
/// Keys and checkpoints are a few lines.
const LONGEST_NOTE: u64 = 1 << 16;
/// The name under which [`fetch::Ledger`] keeps what it saw.
const HEAD: &str = CHECKPOINT;
