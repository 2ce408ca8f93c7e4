//! Tiles and checkpoints onto the disk.
//!
//! INVARIANT: a checkpoint is written after every tile it needs is on the disk, and over entries
//! that are on the disk already. Files appear whole or not at all.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::LedgerError;
use super::commit::Core;
use super::log::{Next, Reader, path, segments};
use super::signers::Signers;
use crate::ledger::builder::{Builder, TileFile};
use crate::ledger::checkpoint::Checkpoint;
use crate::ledger::tile::{CHECKPOINT, Tile, WIDTH};
use crate::ledger::tree::Hash;

/// Reads entries back from the append log and publishes them.
pub(super) struct Publisher {
    dir: PathBuf,
    builder: Builder,
    signers: Signers,
    reader: Option<Reader>,
    /// Full tiles that no signed checkpoint covers yet.
    full: Vec<Tile>,
    /// Keeps other brokers out for as long as it lives.
    _lock: File,
}

impl Publisher {
    pub(super) fn new(dir: &Path, builder: Builder, signers: Signers, lock: File) -> Self {
        Self { dir: dir.to_owned(), builder, signers, reader: None, full: Vec::new(), _lock: lock }
    }

    /// The thread that publishes.
    pub(super) fn run(mut self, core: &Arc<Core>) {
        let period = if self.signers.are_slow { SLOW_PERIOD } else { PERIOD };
        while let Some((upto, leaves)) = core.due(self.builder.size(), period) {
            match self.publish(upto, &leaves) {
                Ok(()) => {
                    for start in core.published(upto) {
                        // one that stays is skipped at the next opening
                        drop(std::fs::remove_file(path(&self.dir, start)));
                    }
                }
                // INVARIANT: entries go on without signatures; they wait in the append log for the next one
                Err(LedgerError::Signing(error)) => {
                    tracing::error!(%error, entries = upto, "the ledger's checkpoint could not be signed");
                    if core.unsigned() {
                        break;
                    }
                }
                Err(error) => core.fail(&error.to_string()),
            }
        }
        core.stopped();
    }

    fn publish(&mut self, upto: u64, leaves: &[Hash]) -> Result<(), LedgerError> {
        let dir = self.dir.clone();
        let mut tiles = Tiles::new(&dir);
        // those of a checkpoint that was not signed
        tiles.full.append(&mut self.full);
        for leaf in leaves {
            self.take(leaf, &mut tiles)?;
        }
        if self.builder.size() != upto {
            return Err(LedgerError::Gap { expected: self.builder.size() });
        }
        self.full.clone_from(&tiles.full);
        let full = tiles.checkpoint(&self.builder, &self.signers)?;
        self.full.clear();
        Tiles::forget_partials(&dir, &full);
        Ok(())
    }

    fn take(&mut self, leaf: &Hash, tiles: &mut Tiles<'_>) -> Result<(), LedgerError> {
        let index = self.builder.size();
        loop {
            if self.reader.is_none() {
                // entries are taken without a gap, so a new segment starts exactly here
                let start = segments(&self.dir)?.into_iter().rfind(|start| *start <= index);
                let start = start.ok_or(LedgerError::Gap { expected: index })?;
                self.reader = Reader::open(&self.dir, start)?;
            }
            let Some(reader) = &mut self.reader else { return Err(LedgerError::Gap { expected: index }) };
            match reader.next()? {
                Next::Entry(entry, found) if found == *leaf => {
                    let mut full = Vec::new();
                    let taken = self.builder.push(entry, found, &mut full);
                    taken.ok_or(LedgerError::Gap { expected: index })?;
                    return tiles.write(full);
                }
                Next::End => {
                    if !path(&self.dir, index).exists() {
                        return Err(LedgerError::Gap { expected: index });
                    }
                    self.reader = None;
                }
                _ => return Err(reader.altered()),
            }
        }
    }
}

/// Writes tiles, then the checkpoint that needs them.
pub(super) struct Tiles<'a> {
    dir: &'a Path,
    dirty: BTreeSet<PathBuf>,
    full: Vec<Tile>,
}

impl<'a> Tiles<'a> {
    pub(super) fn new(dir: &'a Path) -> Self {
        Self { dir, dirty: BTreeSet::new(), full: Vec::new() }
    }

    pub(super) fn write(&mut self, files: Vec<TileFile>) -> Result<(), LedgerError> {
        for file in files {
            let path = self.dir.join(file.tile.to_string());
            let parent = path.parent().unwrap_or(self.dir).to_owned();
            if !self.dirty.contains(&parent) {
                self.make_dir(&parent)?;
            }
            replace(&path, &file.bytes).map_err(LedgerError::io(&path))?;
            self.dirty.insert(parent);
            if file.tile.width() == WIDTH {
                self.full.push(file.tile);
            }
        }
        Ok(())
    }

    /// Signs a checkpoint over what was written; returns the full tiles among it.
    pub(super) fn checkpoint(
        mut self,
        builder: &Builder,
        signers: &Signers,
    ) -> Result<Vec<Tile>, LedgerError> {
        self.write(builder.partials())?;
        for dir in &self.dirty {
            sync_dir(dir).map_err(LedgerError::io(dir))?;
        }
        let head = Checkpoint { size: builder.size(), root: builder.root() };
        let note = signers.note(&head.text(signers.main.verifier().name()))?;
        let path = self.dir.join(CHECKPOINT);
        replace(&path, note.as_bytes()).map_err(LedgerError::io(&path))?;
        sync_dir(self.dir).map_err(LedgerError::io(self.dir))?;
        Ok(self.full)
    }

    /// The specification lets partial tiles go once the full one is there.
    pub(super) fn forget_partials(dir: &Path, full: &[Tile]) {
        for tile in full {
            drop(std::fs::remove_dir_all(dir.join(tile.partials())));
        }
    }

    /// Makes a directory, and notes those above it that must be synced for it to stay.
    fn make_dir(&mut self, dir: &Path) -> Result<(), LedgerError> {
        let mut missing = Vec::new();
        let mut at = dir;
        while !at.is_dir() {
            missing.push(at.to_owned());
            let Some(parent) = at.parent() else { break };
            at = parent;
        }
        for dir in missing.iter().rev() {
            make_private_dir(dir)?;
            self.dirty.extend(dir.parent().map(Path::to_owned));
        }
        Ok(())
    }
}

/// Makes a directory that only we may enter, if it is not there.
pub(in crate::broker) fn make_private_dir(dir: &Path) -> Result<(), LedgerError> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        made => made.map_err(LedgerError::io(dir)),
    }
}

/// Puts a whole file in place; its directory is synced by the caller.
pub(in crate::broker) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)
}

/// Brings the names in a directory to the disk.
pub(in crate::broker) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// How often a checkpoint is signed, at the most, when nobody asks for one.
const PERIOD: Duration = Duration::from_secs(1);
/// The same where a program is started for each signature.
const SLOW_PERIOD: Duration = Duration::from_secs(10);
