//! Takes a ledger up where it was left, or refuses to.
//!
//! The checkpoint must be signed by the key that was in force then, the tiles must carry it, and the append log must go on
//! from it without a gap. Then everything in the log is published, and the log starts anew. Dying
//! anywhere in between changes nothing: the next start does the same again.

use std::fs::File;
use std::path::Path;

use super::LedgerError;
use super::log::{Disk, Next, Reader, Segment, path, pending, segments};
use super::publish::{Tiles, make_private_dir, replace, sync_dir};
use super::signers::{AnySigner, LedgerKeys, Signers};
use crate::domain::event::What;
use crate::ledger::builder::Builder;
use crate::ledger::checkpoint::{Checkpoint, CheckpointError};
use crate::ledger::entry::decode;
use crate::ledger::note::{NoteError, VerifierKey};
use crate::ledger::rotation::{Cause, Chain, Rotation};
use crate::ledger::tile::{CHECKPOINT, KEY, KEYS};
use crate::ledger::tree::Hash;

/// A ledger that is in order.
pub(super) struct Recovered {
    pub(super) builder: Builder,
    pub(super) signers: Signers,
    /// How its keys followed each other.
    pub(super) chain: Chain,
    pub(super) segment: Segment,
    pub(super) lock: File,
}

/// What a ledger is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// To be given another key: the one before may still be in force.
    Rotates,
    /// To be written.
    Serves,
}

pub(super) fn recover(
    dir: &Path,
    origin: &str,
    keys: &LedgerKeys,
    disk: &dyn Disk,
    mode: Mode,
) -> Result<Recovered, LedgerError> {
    std::fs::create_dir_all(dir).map_err(LedgerError::io(dir))?;
    make_private_dir(&pending(dir))?;
    let lock = lock(dir)?;

    let note = read(&dir.join(CHECKPOINT))?;
    let starts = segments(dir)?;
    let tiles = dir.join("tile").exists();
    let is_new = note.is_none() && starts.is_empty() && !tiles;
    let previous = keys.previous.as_ref().map(|place| place.load(None)).transpose()?;
    let makes = match &previous {
        Some(previous) if mode == Mode::Rotates => Some(previous.verifier().name()),
        _ => is_new.then_some(origin),
    };
    let current = match keys.key.load(makes) {
        Err(LedgerError::KeyMissing) if previous.is_some() => return Err(LedgerError::NotRotated),
        current => current?,
    };
    let chain = read_chain(dir)?;
    let (head, mut key) = match note {
        Some(note) => {
            let note = String::from_utf8(note).map_err(|_| CheckpointError::Text)?;
            open(&note, &chain, &current, previous.as_ref())?
        }
        // before the first checkpoint, everything is still in the first segment
        None if tiles && starts.first() != Some(&0) => return Err(LedgerError::CheckpointMissing),
        None if starts.first().is_some_and(|start| *start > 0) => return Err(LedgerError::CheckpointMissing),
        None => (Checkpoint { size: 0, root: Hash::empty() }, current.verifier().clone()),
    };
    let mut builder = Builder::resume(head.size, |tile| {
        read(&dir.join(tile.to_string())).map_err(|error| error.to_string())
    })?;
    if builder.root() != head.root {
        return Err(LedgerError::Root);
    }
    if starts.is_empty() && head.size > 0 {
        // the log always has a segment, if only an empty one
        return Err(LedgerError::Gap { expected: head.size });
    }

    let mut tiles = Tiles::new(dir);
    let (before, mut chain) = (chain.clone(), chain);
    replay(dir, &starts, &mut builder, &mut tiles, &mut chain)?;
    if let Some(last) = chain.last() {
        // INVARIANT: a note that is beside the log was read in the log, or is covered by its head
        if last.index >= builder.size() {
            return Err(LedgerError::Gap { expected: last.index });
        }
        key = last.new.clone();
    }
    if chain != before {
        let path = dir.join(KEYS);
        replace(&path, chain.to_string().as_bytes()).map_err(LedgerError::io(&path))?;
        sync_dir(dir).map_err(LedgerError::io(dir))?;
    }
    let signers = choose(keys, (current, previous), &key, &chain, mode)?;
    let full = tiles.checkpoint(&builder, &signers)?;
    Tiles::forget_partials(dir, &full);
    let verifier = dir.join(KEY);
    replace(&verifier, format!("{key}\n").as_bytes()).map_err(LedgerError::io(&verifier))?;

    let pending = pending(dir);
    let segment = Segment::create(disk, dir, builder.size()).map_err(LedgerError::io(&pending))?;
    segment.sink.sync().map_err(LedgerError::io(&pending))?;
    sync_dir(&pending).map_err(LedgerError::io(&pending))?;
    sync_dir(dir).map_err(LedgerError::io(dir))?;
    for start in starts.into_iter().filter(|start| *start != builder.size()) {
        let old = path(dir, start);
        std::fs::remove_file(&old).map_err(LedgerError::io(&old))?;
    }
    Ok(Recovered { builder, signers, chain, segment, lock })
}

/// Opens the head with the key that was in force for it.
fn open(
    note: &str,
    chain: &Chain,
    current: &AnySigner,
    previous: Option<&AnySigner>,
) -> Result<(Checkpoint, VerifierKey), LedgerError> {
    // the size is only asked to know whose signature to look for; what that is over is looked at then
    let (text, _) = crate::ledger::note::split_text(note).map_err(CheckpointError::from)?;
    let (_, claimed) = Checkpoint::read(text)?;
    if let Some(key) = chain.at(claimed.size) {
        return Ok((Checkpoint::open(note, key)?, key.clone()));
    }
    match Checkpoint::open(note, current.verifier()) {
        Ok(head) => Ok((head, current.verifier().clone())),
        Err(error @ CheckpointError::Note(NoteError::Unsigned)) => {
            let previous = previous.ok_or(error)?.verifier();
            Ok((Checkpoint::open(note, previous)?, previous.clone()))
        }
        Err(error) => Err(error.into()),
    }
}

/// Who signs for this key.
fn choose(
    keys: &LedgerKeys,
    (current, previous): (AnySigner, Option<AnySigner>),
    key: &VerifierKey,
    chain: &Chain,
    mode: Mode,
) -> Result<Signers, LedgerError> {
    let are_slow = keys.key.is_slow() || keys.previous.as_ref().is_some_and(|place| place.is_slow());
    if current.verifier() == key {
        let hands_over = |former: &AnySigner| {
            chain.last().is_some_and(|last| last.old == *former.verifier() && last.cause == Cause::Planned)
        };
        return Ok(Signers { main: current, former: previous.filter(hands_over), are_slow });
    }
    match previous {
        Some(previous) if previous.verifier() == key && mode == Mode::Rotates => {
            Ok(Signers { main: previous, former: None, are_slow })
        }
        Some(previous) if previous.verifier() == key => Err(LedgerError::NotRotated),
        _ => Err(LedgerError::ForeignKey { wanted: key.to_string() }),
    }
}

fn read_chain(dir: &Path) -> Result<Chain, LedgerError> {
    let Some(file) = read(&dir.join(KEYS))? else { return Ok(Chain::default()) };
    let file = String::from_utf8(file).map_err(|_| crate::ledger::rotation::RotationError::Malformed)?;
    Ok(Chain::parse(&file)?)
}

/// Adds what an entry says of the keys, unless it is known.
fn note_key(index: u64, entry: &[u8], chain: &mut Chain) -> Result<(), LedgerError> {
    // in a text of somebody's the quotes are escaped
    if !entry.windows(ROTATED.len()).any(|found| found == ROTATED) {
        return Ok(());
    }
    let event = decode(entry).map_err(|error| LedgerError::Edge(format!("entry {index}: {error}")))?;
    let Some(rotation) = Rotation::entered(index, &event.what)? else { return Ok(()) };
    if chain.rotations().any(|known| *known == rotation) {
        return Ok(());
    }
    match event.what {
        What::KeyRotated { proof, .. } => Ok(chain.push(proof)?),
        _ => Ok(()),
    }
}

/// Appends to the edge what the log has beyond it.
fn replay(
    dir: &Path,
    starts: &[u64],
    builder: &mut Builder,
    tiles: &mut Tiles<'_>,
    chain: &mut Chain,
) -> Result<(), LedgerError> {
    let (size, edge) = (builder.size(), builder.edge().to_vec());
    let edge_start = size - u64::try_from(edge.len()).unwrap_or(size);
    // segments that were published already, but not yet removed, may lie before the others
    let mut index = starts.first().copied().unwrap_or(size);
    if index > size {
        return Err(LedgerError::Gap { expected: size });
    }
    for (place, start) in starts.iter().enumerate() {
        if *start != index {
            return Err(LedgerError::Gap { expected: index });
        }
        let last = place + 1 == starts.len();
        let Some(mut reader) = Reader::open(dir, *start)? else {
            if last { break } else { return Err(LedgerError::Gap { expected: index }) }
        };
        loop {
            match reader.next()? {
                Next::End => break,
                Next::Damaged => {
                    // never acknowledged: what enters returns after the whole record is written
                    if last && index >= size && reader.torn()? {
                        break;
                    }
                    return Err(reader.altered());
                }
                Next::Entry(entry, leaf) if index >= size => {
                    note_key(index, entry, chain)?;
                    let mut full = Vec::new();
                    builder.push(entry, leaf, &mut full).ok_or(LedgerError::Gap { expected: index })?;
                    tiles.write(full)?;
                }
                Next::Entry(_, leaf) => {
                    let known =
                        index.checked_sub(edge_start).and_then(|at| edge.get(usize::try_from(at).ok()?));
                    if known.is_some_and(|known| *known != leaf) {
                        return Err(LedgerError::Root);
                    }
                }
            }
            index += 1;
        }
    }
    // a log that ends before the checkpoint has lost what the checkpoint covers
    if index < size { Err(LedgerError::Gap { expected: index }) } else { Ok(()) }
}

fn lock(dir: &Path) -> Result<File, LedgerError> {
    let path = pending(dir).join("lock");
    let file = File::create(&path).map_err(LedgerError::io(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(LedgerError::InUse),
        Err(std::fs::TryLockError::Error(error)) => Err(LedgerError::io(&path)(error)),
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, LedgerError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LedgerError::io(path)(error)),
    }
}

/// What an entry has that changes the key.
const ROTATED: &[u8] = br#""type":"key-rotated""#;
