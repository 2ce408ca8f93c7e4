//! `hoopctl audit verify FILE`: what a proof shows of one session, and what it does not.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use jiff::Timestamp;
use serde_json::json;

use super::quorum::{self, Quorum};
use super::{KeyFrom, text_of, verifier};
use crate::cli::args::Verify;
use crate::cli::failure::{Failure, FailureKind};
use crate::cli::ui::Ui;
use crate::client::approvals::SignedReviews;
use crate::client::evidence::{EvidenceError, Fault, ProofFile, Shown};
use crate::domain::principal::PrincipalId;
use crate::domain::session::CloseReason;
use crate::domain::text;
use crate::ledger::note::VerifierKey;
use crate::ledger::policy::Witnessed;
use crate::ledger::tile::CHECKPOINT;
use crate::ledger::verify::{Closed, Files, FilesError, Opened, SessionShown};

/// Verifies a file without network or state.
///
/// # Errors
/// [`Failure`]: nothing is shown then.
pub(super) fn run(ui: Ui, args: &Verify) -> Result<u8, Failure> {
    let path = args.file.as_deref().unwrap_or_else(|| Path::new(""));
    let quorum = Quorum::read(&args.witnesses)?;
    let proof = open(path)?;
    let note = Note(proof.note().as_bytes().to_vec());
    let of_policy = quorum.as_ref().map_or(Ok(None), |quorum| quorum.key(&note, super::unreadable))?;
    let (key, from) = match (&args.key, of_policy) {
        (Some(path), _) => (verifier(&text_of(path)?)?, KeyFrom::File),
        (None, Some(key)) => (verifier(&key)?, KeyFrom::Policy),
        (None, None) => (proof.key().clone(), KeyFrom::Ledger),
    };
    let witnessed = quorum.map(|quorum| quorum.head(&note, &key, super::unreadable)).transpose()?;
    let shown = proof.verify(&key, &SignedReviews).map_err(|error| refused(path, &error))?;
    let witnessed = witnessed.as_ref();
    Report { shown: &shown, key: &key, key_from: Some(from), witnessed, written: None }.print(ui);
    Ok(0)
}

/// A file, of which the header was read.
pub(super) fn open(path: &Path) -> Result<ProofFile<BufReader<File>>, Failure> {
    let file = File::open(path).map_err(|error| unread(path, &error))?;
    ProofFile::open(BufReader::new(file)).map_err(|error| refused(path, &error))
}

/// What is said of a file that is not believed.
pub(super) fn refused(path: &Path, error: &EvidenceError) -> Failure {
    if let Fault::Io(error) = &error.fault {
        return unread(path, error);
    }
    // what is wrong with it may be in words of its own
    let what = text::name(&error.to_string(), LONGEST);
    Failure::new(FailureKind::BadData, format!("`{}` shows nothing: {what}", path.display())).hint(
        "one byte that differs is enough: ask whoever made it for the file anew, and for the ledger's key",
    )
}

fn unread(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(FailureKind::Usage, format!("cannot read `{}`: {error}", path.display()))
}

/// The checkpoint of a proof, as if it lay in a ledger.
struct Note(Vec<u8>);

impl Files for Note {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, FilesError> {
        Ok((path == CHECKPOINT).then(|| self.0.clone()))
    }
}

/// What is said of a proof that was found good.
pub(super) struct Report<'a> {
    pub(super) shown: &'a Shown,
    pub(super) key: &'a VerifierKey,
    /// Whose word the key is; `None` when the file was made under it just now.
    pub(super) key_from: Option<KeyFrom>,
    pub(super) witnessed: Option<&'a Witnessed>,
    /// The file that was written.
    pub(super) written: Option<&'a Path>,
}

impl Report<'_> {
    pub(super) fn print(&self, ui: Ui) {
        if ui.json {
            return ui.object(&self.document());
        }
        self.sentences().iter().for_each(|sentence| ui.line(sentence));
        if let Some(witnessed) = self.witnessed {
            quorum::report(ui, witnessed, self.shown.head.size);
        }
        self.silences().iter().for_each(|silence| ui.line(&format!("not shown: {silence}")));
        if let Some(path) = self.written {
            ui.talk(&format!("wrote {}", path.display()));
        }
    }

    fn document(&self) -> serde_json::Value {
        let Shown { session, head, entries, chunks, story } = self.shown;
        let opened = story.opened.as_ref();
        let mut document = json!({
            "verified": true,
            "session": session,
            "principal": opened.and_then(principal),
            "target": opened.map(|opened| &opened.target),
            "opened": opened.map(|opened| opened.at),
            "closed": story.closed.map(|closed| closed.at),
            "reason": story.closed.map(|closed| closed.reason),
            "entries": entries,
            "connections": story.connections,
            "statements": story.statements(),
            "allowed": story.allowed,
            "denied": story.denied,
            "held": story.held,
            "reviews": story.reviews,
            "chunks": story.chunks,
            "chunks_shown": chunks,
            "ledger": { "name": self.key.name(), "key": self.key.to_string(), "entries": head.size, "root": head.root.to_string() },
            "witnessed": self.witnessed.map(quorum::as_json),
            "not_shown": self.silences(),
        });
        if let Some(members) = document.as_object_mut() {
            members.extend(self.key_from.map(|from| ("key_from".to_owned(), json!(from.word()))));
            members.extend(self.written.map(|path| ("file".to_owned(), json!(path))));
        }
        document
    }

    /// What was shown.
    fn sentences(&self) -> Vec<String> {
        let Shown { session, head, entries, chunks, story } = self.shown;
        let mut said = vec![format!(
            "{} about `{session}` {} proven to be in the ledger `{}`, under its signed checkpoint of {}",
            count(*entries, "entry", "entries"),
            if *entries == 1 { "is" } else { "are" },
            text::name(self.key.name(), LONGEST),
            count(head.size, "entry", "entries")
        )];
        if let Some(opened) = &story.opened {
            let who = principal(opened).map_or_else(|| "somebody".to_owned(), ToString::to_string);
            let end = match story.closed {
                Some(Closed { at, reason, .. }) => {
                    format!("it closed at {}: {}", time(at), reason.sentence())
                }
                None => "it is not closed".to_owned(),
            };
            said.push(format!("{who} opened it on `{}` at {}; {end}", opened.target, time(opened.at)));
        }
        let judged = format!(
            "{}: {} allowed, {} denied, {} held",
            count(story.statements(), "statement", "statements"),
            story.allowed,
            story.denied,
            story.held
        );
        said.push(match story.is_counted() {
            true => format!("every statement of it is here, numbered without a gap and counted: {judged}"),
            false => format!("its statements are numbered without a gap: {judged}"),
        });
        said.push(format!(
            "connections to their end, with every statement and chunk that the end counts: {}",
            story.connections
        ));
        if story.reviews > 0 {
            let reviews = count(story.reviews, "review", "reviews");
            said.push(format!("every approval in it was given and signed by its reviewers: {reviews}"));
        }
        if *chunks > 0 {
            said.push(format!(
                "the recording in it is what was entered: {chunks} of {} chunks",
                story.chunks
            ));
        }
        said
    }

    /// What was not.
    fn silences(&self) -> Vec<String> {
        let Shown { chunks, story, .. } = self.shown;
        let mut silences = Vec::new();
        if self.key_from == Some(KeyFrom::Ledger) {
            silences.push(format!(
                "whose ledger it is: the key is the file's own word; compare it with what the operator gives, or name that with `--key`: {}",
                text::name(&self.key.to_string(), LONGEST)
            ));
        }
        if self.witnessed.is_none() {
            silences.push(
                "that others were shown the same ledger: `--policy` names witnesses, who say so".into(),
            );
        }
        silences.extend(open_ends(story));
        let left = story.chunks.saturating_sub(*chunks);
        if left > 0 {
            silences.push(format!(
                "{left} of {} chunks of its recording: they are not in the file",
                story.chunks
            ));
        }
        silences.push(
            "whether requests, reviews, grants, leases, caps or revoked devices were left out: no entry counts them".into(),
        );
        silences.push("other sessions, and that the rest of the ledger is in good order: `hoopctl audit verify` finds that".into());
        silences.push("that the broker wrote down what happened, and that its clock was right".into());
        silences
    }
}

/// Where the story goes on and nobody counts.
fn open_ends(story: &SessionShown) -> Vec<String> {
    let mut silences = Vec::new();
    match story.closed {
        None => silences.push(
            "how it goes on: it was open when the file was made, or the end of the story was left out".into(),
        ),
        Some(Closed { reason: CloseReason::BrokerRestarted, .. }) => silences.push(
            "that nothing is missing at the end: the broker was killed meanwhile, and could not count".into(),
        ),
        Some(Closed { connections, .. }) => {
            let left = u64::from(connections).saturating_sub(story.connections);
            if left > 0 {
                silences.push(format!(
                    "the end of {left} of its {}: they did not get as far as the target, or their entries were left out; no statement was",
                    count(connections.into(), "connection", "connections")
                ));
            }
        }
    }
    if story.cut > 0 && !story.is_counted() {
        let cut = count(story.cut, "connection", "connections");
        silences.push(format!("the end of {cut} that had begun"));
    }
    silences
}

fn principal(opened: &Opened) -> Option<&PrincipalId> {
    opened.actor.as_ref().map(|actor| &actor.principal)
}

fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn time(at: Timestamp) -> String {
    format!("{at:.0}")
}

/// How much is shown of what may be of any length, in characters.
const LONGEST: usize = 400;
