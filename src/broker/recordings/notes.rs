//! Where the ledger speaks of a session, noted beside its recording when it was entered.
//!
//! `SESSION/CONNECTION.entries` has the index of the entry about each chunk, `SESSION/ends` those about the end of the
//! session and of each connection, eight bytes for each. A note is never believed: it says where to look.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::{MAX_CONNECTIONS, RecordingsError, io, place};
use crate::domain::event::What;
use crate::domain::name::SessionId;
use crate::ledger::entry::decode;

/// What of a session an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    /// A chunk of a connection was closed.
    Chunk(u32, u32),
    /// A connection ended.
    Connection(u32),
    /// The session ended.
    Session,
}

impl Mark {
    /// What an event says the end of, or of which chunk, in which session.
    pub(super) fn of(what: &What) -> Option<(&SessionId, Self)> {
        match what {
            What::ChunkClosed { session, connection, chunk, .. } => {
                Some((session, Self::Chunk(*connection, *chunk)))
            }
            What::ConnectionClosed { session, connection, .. } => {
                Some((session, Self::Connection(*connection)))
            }
            What::SessionClosed { session, .. } => Some((session, Self::Session)),
            _ => None,
        }
    }

    /// The same for an entry, if it is about this session.
    pub(super) fn about(entry: &[u8], session: &SessionId) -> Option<(Self, What)> {
        // most entries are about something else, and reading them costs more
        let text = std::str::from_utf8(entry).ok()?;
        if !text.contains(session.as_str()) || !text.contains(CLOSED) {
            return None;
        }
        let what = decode(entry).ok()?.what;
        let (_, mark) = Self::of(&what).filter(|(of, _)| *of == session)?;
        Some((mark, what))
    }

    fn file(self) -> String {
        match self {
            Self::Chunk(connection, _) => format!("{connection}{SUFFIX}"),
            Self::Connection(_) | Self::Session => ENDS.into(),
        }
    }

    fn offset(self) -> u64 {
        match self {
            Self::Chunk(_, chunk) => u64::from(chunk) * NOTE,
            // connections are counted from 1
            Self::Connection(connection) => u64::from(connection) * NOTE,
            Self::Session => 0,
        }
    }
}

/// The notes about one connection's chunks, as they are made.
#[derive(Debug)]
pub(super) struct Notes(Option<File>);

impl Notes {
    pub(super) fn new(dir: &Path, connection: u32) -> Self {
        Self(open(&dir.join(Mark::Chunk(connection, 0).file())).ok())
    }

    /// Notes where a chunk was entered. What cannot be noted is looked for when it is asked for.
    pub(super) fn note(&self, chunk: u32, index: u64) {
        if let Some(file) = &self.0 {
            drop(file.write_all_at(&index.to_be_bytes(), Mark::Chunk(0, chunk).offset()));
        }
    }
}

/// Notes where something of the session in `dir` was entered. What cannot be noted is looked for when it is asked for.
pub(super) fn note(dir: &Path, mark: Mark, index: u64) {
    if let Ok(file) = open(&dir.join(mark.file())) {
        drop(file.write_all_at(&index.to_be_bytes(), mark.offset()));
    }
}

/// Where it was entered, by the note; what is not noted is 0, as is the first entry of all, which is about no session.
pub(super) fn noted(dir: &Path, mark: Mark) -> u64 {
    let mut index = [0; 8];
    let read =
        File::open(dir.join(mark.file())).and_then(|file| file.read_exact_at(&mut index, mark.offset()));
    read.map_or(0, |()| u64::from_be_bytes(index))
}

/// Everything that is noted of the session in `dir`, and the chunks that are files.
pub(super) fn all(dir: &Path) -> Result<(BTreeMap<Mark, u64>, BTreeSet<Mark>), RecordingsError> {
    let (mut marks, mut stored) = (BTreeMap::new(), BTreeSet::new());
    let found = match std::fs::read_dir(dir) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((marks, stored)),
        Err(error) => return Err(io(dir)(error)),
    };
    for entry in found {
        let name = entry.map_err(io(dir))?.file_name();
        let Some(name) = name.to_str() else { continue };
        stored.extend(place(name).map(|(connection, chunk)| Mark::Chunk(connection, chunk)));
        let connection = name.strip_suffix(SUFFIX).and_then(|number| number.parse::<u32>().ok());
        let connection = connection.filter(|number| (1..=MAX_CONNECTIONS).contains(number));
        if connection.is_none() && name != ENDS {
            continue;
        }
        let file = File::open(dir.join(name)).map_err(io(dir))?;
        let mut bytes = Vec::new();
        file.take(MOST_NOTES).read_to_end(&mut bytes).map_err(io(dir))?;
        let indices = bytes.as_chunks::<8>().0.iter().copied().map(u64::from_be_bytes);
        marks.extend((0_u32..).zip(indices).filter(|(_, index)| *index > 0).map(|(number, index)| {
            let mark = match (connection, number) {
                (Some(connection), chunk) => Mark::Chunk(connection, chunk),
                (None, 0) => Mark::Session,
                (None, connection) => Mark::Connection(connection),
            };
            (mark, index)
        }));
    }
    Ok((marks, stored))
}

fn open(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().create(true).write(true).truncate(false).mode(0o600).open(path)
}

/// What the entries about ends and chunks have in them.
const CLOSED: &str = "-closed\"";
const SUFFIX: &str = ".entries";
const ENDS: &str = "ends";
/// The length of a note.
const NOTE: u64 = 8;
/// A file of notes is read no further, in bytes: a million chunks or connections.
const MOST_NOTES: u64 = (NOTE << 20) + NOTE;
