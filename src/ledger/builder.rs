//! Grows the tiles of a log, entry by entry.
//!
//! Job: from entries to full tiles as they fill, and to the partial tiles and the root that a
//! checkpoint needs. Boundary: names and bytes; who writes them is upstairs. It keeps the right edge
//! only: at most one partial bundle and one partial tile for each level. Failure mode: an edge that
//! cannot be taken up again says which file is at fault.

use thiserror::Error;

use super::tile::{Content, Tile, WIDTH, append_entry, hashes, split_entry};
use super::tree::{Frontier, Hash};

/// A file of the log: its tile and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TileFile {
    /// Which tile.
    pub tile: Tile,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// The right edge of a log.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    size: u64,
    bundle: Vec<u8>,
    /// By level, the hashes of the tile that is not full yet.
    levels: Vec<Vec<Hash>>,
}

/// Why an edge cannot be taken up again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EdgeError<E> {
    /// A tile that the size demands is not there.
    #[error("`{0}` is missing")]
    Missing(Tile),
    /// It could not be read.
    #[error("{0}")]
    Source(E),
    /// A tile is not what the size or the tree demands.
    #[error("`{0}` has been altered")]
    Altered(Tile),
}

impl Builder {
    /// Takes up the edge of a log of `size` entries from its tiles.
    ///
    /// What `read` returns is checked for shape, and the entries against their hashes; whether the
    /// hashes are right is for the caller to find out from [`Builder::root`].
    ///
    /// # Errors
    /// [`EdgeError`].
    pub fn resume<E>(
        size: u64,
        mut read: impl FnMut(Tile) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<Self, EdgeError<E>> {
        // a partial tile may have been replaced by the full one
        let mut fetch = |tile: Tile| match read(tile).map_err(EdgeError::Source)? {
            Some(bytes) => Ok(bytes),
            None => read(tile.grown()).map_err(EdgeError::Source)?.ok_or(EdgeError::Missing(tile)),
        };
        let mut builder = Self { size, ..Self::default() };
        let mut count = size;
        for level in 0_u8.. {
            if count == 0 {
                break;
            }
            let mut row = Vec::new();
            if !count.is_multiple_of(WIDTH) {
                let tile = Tile::ending_at(Content::Hashes(level), count - 1);
                row = hashes(&fetch(tile)?).ok_or(EdgeError::Altered(tile))?;
                let width = usize::try_from(tile.width()).unwrap_or(usize::MAX);
                if row.len() < width {
                    return Err(EdgeError::Altered(tile));
                }
                row.truncate(width);
            }
            builder.levels.push(row);
            count /= WIDTH;
        }
        if !size.is_multiple_of(WIDTH) {
            let tile = Tile::ending_at(Content::Entries, size - 1);
            let bytes = fetch(tile)?;
            let mut rest = bytes.as_slice();
            for leaf in builder.levels.first().into_iter().flatten() {
                let (entry, after) = split_entry(rest).ok_or(EdgeError::Altered(tile))?;
                if Hash::leaf(entry) != *leaf || append_entry(&mut builder.bundle, entry).is_none() {
                    return Err(EdgeError::Altered(tile));
                }
                rest = after;
            }
        }
        Ok(builder)
    }

    /// How many entries the log has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The hashes of the last entries, those in the bundle that is not full yet.
    #[must_use]
    pub fn edge(&self) -> &[Hash] {
        self.levels.first().map_or(&[], Vec::as_slice)
    }

    /// Appends an entry, and to `full` every tile that it completes.
    ///
    /// Returns `None`, and appends nothing, when the entry is too long for a bundle.
    pub fn push(&mut self, entry: &[u8], leaf: Hash, full: &mut Vec<TileFile>) -> Option<()> {
        append_entry(&mut self.bundle, entry)?;
        self.size += 1;
        if self.size.is_multiple_of(WIDTH) {
            let tile = Tile::ending_at(Content::Entries, self.size - 1);
            full.push(TileFile { tile, bytes: std::mem::take(&mut self.bundle) });
        }
        let (mut hash, mut place) = (leaf, self.size - 1);
        for level in 0_u8.. {
            let at = usize::from(level);
            if self.levels.len() == at {
                self.levels.push(Vec::new());
            }
            let row = self.levels.get_mut(at)?;
            row.push(hash);
            if row.len() < 256 {
                break;
            }
            let tile = Tile::ending_at(Content::Hashes(level), place);
            full.push(TileFile { tile, bytes: concat(row) });
            hash = subtree(row);
            row.clear();
            place /= WIDTH;
        }
        Some(())
    }

    /// The tiles that are not full, as a checkpoint of the log as it is now needs them.
    #[must_use]
    pub fn partials(&self) -> Vec<TileFile> {
        let mut files = Vec::new();
        if !self.bundle.is_empty() {
            let tile = Tile::ending_at(Content::Entries, self.size - 1);
            files.push(TileFile { tile, bytes: self.bundle.clone() });
        }
        let mut count = self.size;
        for (level, row) in (0_u8..).zip(&self.levels) {
            if !row.is_empty() {
                let tile = Tile::ending_at(Content::Hashes(level), count - 1);
                files.push(TileFile { tile, bytes: concat(row) });
            }
            count /= WIDTH;
        }
        files
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut frontier = Frontier::default();
        let mut height = u32::try_from(self.levels.len()).unwrap_or(0) * 8;
        for row in self.levels.iter().rev() {
            height = height.saturating_sub(8);
            for hash in row {
                // the levels above hold whole multiples of this one
                let _ = frontier.push_subtree(height, *hash);
            }
        }
        frontier.root()
    }
}

fn concat(row: &[Hash]) -> Vec<u8> {
    row.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

fn subtree(row: &[Hash]) -> Hash {
    let mut frontier = Frontier::default();
    row.iter().for_each(|hash| frontier.push(*hash));
    frontier.root()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use std::collections::HashMap;

    use super::{Builder, EdgeError, TileFile};
    use crate::ledger::tree::{Hash, Tree};

    #[test]
    fn tiles_and_root_follow_the_tree_and_an_edge_can_be_taken_up_anywhere() {
        let mut files: HashMap<String, Vec<u8>> = HashMap::new();
        let (mut builder, mut tree) = (Builder::default(), Tree::default());
        for number in 0..1100_u32 {
            let entry = number.to_string().into_bytes();
            let mut full = Vec::new();
            builder.push(&entry, Hash::leaf(&entry), &mut full).unwrap();
            tree.push(Hash::leaf(&entry));
            assert_eq!(builder.root(), tree.root());
            full.extend(builder.partials());
            for TileFile { tile, bytes } in full {
                files.insert(tile.to_string(), bytes);
            }
            let again =
                Builder::resume(builder.size(), |tile| Ok::<_, ()>(files.get(&tile.to_string()).cloned()));
            assert_eq!(again.unwrap().root(), tree.root());
        }
        assert_eq!(files.get("tile/1/000.p/4").map(Vec::len), Some(4 * 32));
        assert_eq!(files.get("tile/0/003").map(Vec::len), Some(256 * 32));
        files.retain(|path, _| path != "tile/1/000.p/4");
        let again = Builder::resume(1100, |tile| Ok::<_, ()>(files.get(&tile.to_string()).cloned()));
        assert!(matches!(again, Err(EdgeError::Missing(_))));
    }
}
