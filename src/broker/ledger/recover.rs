//! Takes a ledger up where it was left, or refuses to.
//!
//! The checkpoint must be signed by our key, the tiles must carry it, and the append log must go on
//! from it without a gap. Then everything in the log is published, and the log starts anew. Dying
//! anywhere in between changes nothing: the next start does the same again.

use std::fs::File;
use std::path::Path;

use super::LedgerError;
use super::key;
use super::log::{Disk, Next, Reader, Segment, path, pending, segments};
use super::publish::{Tiles, make_private_dir, replace, sync_dir};
use crate::ledger::builder::Builder;
use crate::ledger::checkpoint::Checkpoint;
use crate::ledger::note::Signer;
use crate::ledger::tile::{CHECKPOINT, KEY};
use crate::ledger::tree::Hash;

/// A ledger that is in order.
pub(super) struct Recovered {
    pub(super) builder: Builder,
    pub(super) signer: Signer,
    pub(super) segment: Segment,
    pub(super) lock: File,
}

pub(super) fn recover(
    dir: &Path,
    origin: &str,
    key: &Path,
    disk: &dyn Disk,
) -> Result<Recovered, LedgerError> {
    std::fs::create_dir_all(dir).map_err(LedgerError::io(dir))?;
    make_private_dir(&pending(dir))?;
    let lock = lock(dir)?;

    let note = read(&dir.join(CHECKPOINT))?;
    let starts = segments(dir)?;
    let tiles = dir.join("tile").exists();
    let signer = key::load(key, origin, note.is_none() && starts.is_empty() && !tiles)?;
    let head = match note {
        Some(note) => {
            let note = String::from_utf8(note).map_err(|_| super::CheckpointError::Text)?;
            Checkpoint::open(&note, signer.verifier())?
        }
        // before the first checkpoint, everything is still in the first segment
        None if tiles && starts.first() != Some(&0) => return Err(LedgerError::CheckpointMissing),
        None if starts.first().is_some_and(|start| *start > 0) => return Err(LedgerError::CheckpointMissing),
        None => Checkpoint { size: 0, root: Hash::empty() },
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
    replay(dir, &starts, &mut builder, &mut tiles)?;
    tiles.checkpoint(&builder, &signer)?;
    let verifier = dir.join(KEY);
    replace(&verifier, format!("{}\n", signer.verifier()).as_bytes()).map_err(LedgerError::io(&verifier))?;

    let pending = pending(dir);
    let segment = Segment::create(disk, dir, builder.size()).map_err(LedgerError::io(&pending))?;
    segment.sink.sync().map_err(LedgerError::io(&pending))?;
    sync_dir(&pending).map_err(LedgerError::io(&pending))?;
    sync_dir(dir).map_err(LedgerError::io(dir))?;
    for start in starts.into_iter().filter(|start| *start != builder.size()) {
        let old = path(dir, start);
        std::fs::remove_file(&old).map_err(LedgerError::io(&old))?;
    }
    Ok(Recovered { builder, signer, segment, lock })
}

/// Appends to the edge what the log has beyond it.
fn replay(
    dir: &Path,
    starts: &[u64],
    builder: &mut Builder,
    tiles: &mut Tiles<'_>,
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
