//! Verifies a proof, line by line.

use std::io::{BufRead, Read as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{ChunkLine, EndLine, EntryLine, EvidenceError, FORM, Fault, HeaderLine, Line, MAX_LINE};
use crate::domain::event::{Event, What};
use crate::domain::name::{Digest, SessionId};
use crate::ledger::checkpoint::Checkpoint;
use crate::ledger::note::VerifierKey;
use crate::ledger::proof::{MAX_PROOF, proven};
use crate::ledger::tree::Hash;
use crate::ledger::verify::{Broken, Reason, Reviews, SessionShown, SessionStory};
use crate::recording::chunk::{Chunk, Place};

/// A proof whose header was read, and is not believed yet.
#[derive(Debug)]
pub struct ProofFile<R> {
    lines: Lines<R>,
    session: SessionId,
    key: VerifierKey,
    note: String,
}

/// What a proof shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// Whose story it is.
    pub session: SessionId,
    /// The head under which everything is proven.
    pub head: Checkpoint,
    /// How many entries were shown.
    pub entries: u64,
    /// How many chunks of the recording are in the file.
    pub chunks: u64,
    /// What the entries say.
    pub story: SessionShown,
}

impl<R: BufRead> ProofFile<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`EvidenceError`].
    pub fn open(input: R) -> Result<Self, EvidenceError> {
        let mut lines = Lines { input, number: 0, line: Vec::new(), before: Sha256::new() };
        let read = header(&mut lines);
        let (HeaderLine { session, checkpoint, .. }, key) = read.map_err(|fault| lines.wrong(fault))?;
        Ok(Self { lines, session, key, note: checkpoint })
    }

    /// The ledger's key, as the file says it: whoever wrote the file chose it.
    #[must_use]
    pub fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// The checkpoint, as a signed note that was not opened yet.
    #[must_use]
    pub fn note(&self) -> &str {
        &self.note
    }

    /// Verifies the file under this key of the ledger. It holds one line at a time, and of the story what a verifier of the
    /// ledger itself would hold of these entries.
    ///
    /// # Errors
    /// [`EvidenceError`]: nothing is shown then.
    pub fn verify(self, key: &VerifierKey, reviews: &dyn Reviews) -> Result<Shown, EvidenceError> {
        let Self { mut lines, session, note, .. } = self;
        let head = Checkpoint::open(&note, key).map_err(|error| lines.wrong(error.into()))?;
        let mut hearing = Hearing {
            head,
            reviews,
            story: SessionStory::new(session.clone()),
            last: None,
            entered: None,
            entries: 0,
            chunks: 0,
        };
        loop {
            match hearing.take(&mut lines) {
                Ok(true) => break,
                Ok(false) => {}
                Err(fault) => return Err(lines.wrong(fault)),
            }
        }
        let Hearing { story, entries, chunks, .. } = hearing;
        let story = story.end().ok_or_else(|| lines.wrong(Fault::Unopened))?;
        if lines.next()? {
            return Err(lines.wrong(Fault::Excess));
        }
        Ok(Shown { session, head, entries, chunks, story })
    }
}

/// What was heard so far.
struct Hearing<'a> {
    head: Checkpoint,
    reviews: &'a dyn Reviews,
    story: SessionStory,
    /// The entry before.
    last: Option<u64>,
    /// The chunk that the entry before holds the digest of.
    entered: Option<Entered>,
    entries: u64,
    chunks: u64,
}

struct Entered {
    index: u64,
    place: Place,
    digest: Digest,
    bytes: u64,
}

impl Hearing<'_> {
    /// Takes the next line; whether it was the last.
    fn take<R: BufRead>(&mut self, lines: &mut Lines<R>) -> Result<bool, Fault> {
        if !lines.next().map_err(|error| error.fault)? {
            lines.number += 1;
            return Err(Fault::Cut);
        }
        match read(&lines.line)? {
            Line::Chunk(line) => self.chunk(&line)?,
            Line::End(EndLine { lines: count, sha256 }) => {
                let (said, found) = (count, lines.number.saturating_sub(1));
                if said != found {
                    return Err(Fault::Count { said, found });
                }
                if sha256 != Digest::from_bytes(&lines.before.clone().finalize().into()) {
                    return Err(Fault::Altered);
                }
                return Ok(true);
            }
            Line::Entry(line) => self.entry(&line)?,
            Line::Header(_) => return Err(Fault::Misplaced("there is a header already")),
        }
        Ok(false)
    }

    fn entry(&mut self, line: &EntryLine) -> Result<(), Fault> {
        let index = line.index;
        if let Some(before) = self.last.replace(index).filter(|before| *before >= index) {
            return Err(Fault::Order { index, before });
        }
        let broken = |reason| Fault::Broken(Broken { index: Some(index), reason });
        // INVARIANT: nothing is told that is not proven under the head
        let hashes: Option<Vec<Hash>> =
            line.proof.iter().take(MAX_PROOF + 1).map(|hash| Hash::parse(hash)).collect();
        let hashes = hashes.ok_or_else(|| broken(Reason::Unproven))?;
        let event = proven(index, line.bytes.as_bytes(), &hashes, &self.head)?;
        self.story.tell(&event, self.reviews).map_err(broken)?;
        self.entered = Entered::by(index, event);
        self.entries += 1;
        Ok(())
    }

    fn chunk(&mut self, line: &ChunkLine) -> Result<(), Fault> {
        let entered = self.entered.take();
        let entered = entered.ok_or(Fault::Misplaced("a chunk stands behind the entry with its digest"))?;
        let altered = || Fault::Chunk(entered.index);
        let bytes = STANDARD.decode(&line.bytes).map_err(|_| altered())?;
        let same = u64::try_from(bytes.len()) == Ok(entered.bytes)
            && Digest::from_bytes(&Sha256::digest(&bytes).into()) == entered.digest;
        if !same {
            return Err(altered());
        }
        // a digest says nothing of whose chunk it is
        if Chunk::open(&bytes)?.place != entered.place {
            let reason = Reason::OutOfPlace("the chunk that it holds is that of another place");
            return Err(Broken { index: Some(entered.index), reason }.into());
        }
        self.chunks += 1;
        Ok(())
    }
}

impl Entered {
    fn by(index: u64, event: Event) -> Option<Self> {
        let What::ChunkClosed { session, connection, chunk, digest, bytes } = event.what else { return None };
        Some(Self { index, place: Place { session, connection, chunk }, digest, bytes })
    }
}

/// Hands out one line at a time.
#[derive(Debug)]
struct Lines<R> {
    input: R,
    /// Of the line that was read, counted from 1.
    number: u64,
    /// With its end, once it was found.
    line: Vec<u8>,
    /// The lines before that one.
    before: Sha256,
}

impl<R: BufRead> Lines<R> {
    /// Reads the next line; `false` when there is none.
    fn next(&mut self) -> Result<bool, EvidenceError> {
        self.before.update(&self.line);
        self.line.clear();
        // INVARIANT: no more of a line is held than a line may have
        let most = u64::try_from(MAX_LINE + 1).unwrap_or(u64::MAX);
        let read = (&mut self.input).take(most).read_until(b'\n', &mut self.line);
        if matches!(read, Ok(0)) {
            return Ok(false);
        }
        self.number += 1;
        read.map_err(|error| self.wrong(Fault::Io(error)))?;
        match self.line.last() {
            Some(b'\n') => Ok(true),
            _ if self.line.len() > MAX_LINE => Err(self.wrong(Fault::TooLong)),
            _ => Err(self.wrong(Fault::Torn)),
        }
    }
}

impl<R> Lines<R> {
    fn wrong(&self, fault: Fault) -> EvidenceError {
        EvidenceError { line: self.number, fault }
    }
}

fn header<R: BufRead>(lines: &mut Lines<R>) -> Result<(HeaderLine, VerifierKey), Fault> {
    if !lines.next().map_err(|error| error.fault)? {
        lines.number += 1;
        return Err(Fault::Cut);
    }
    // a later version may have other members, so its name is looked for first
    if let Ok(Begun { header: Version { proof } }) = serde_json::from_slice(&lines.line)
        && proof != FORM
    {
        return Err(Fault::UnknownVersion(proof.escape_debug().take(LONGEST_WORD).collect()));
    }
    let Line::Header(header) = read(&lines.line)? else {
        return Err(Fault::Misplaced("a proof begins with its header"));
    };
    let key = VerifierKey::parse(&header.key).map_err(Fault::Key)?;
    if key.to_string() == header.key { Ok((header, key)) } else { Err(Fault::NotCanonical) }
}

#[derive(Deserialize)]
struct Begun {
    header: Version,
}

#[derive(Deserialize)]
struct Version {
    proof: String,
}

fn read(bytes: &[u8]) -> Result<Line, Fault> {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let line: Line = serde_json::from_slice(bytes).map_err(|error| Fault::Malformed(sentence(&error)))?;
    // INVARIANT: what is shown is written in one way only, so that no byte of it is free
    match serde_json::to_vec(&line) {
        Ok(again) if again == bytes => Ok(line),
        _ => Err(Fault::NotCanonical),
    }
}

/// What serde says, without what may be long or steer, and without its own count of lines.
fn sentence(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    let what: String = what.escape_debug().take(LONGEST_WORD).collect();
    format!("{what}, at byte {}", error.column())
}

const LONGEST_WORD: usize = 120;
