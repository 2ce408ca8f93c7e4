//! Single entries, proven under a signed head.
//!
//! Job: makes inclusion proofs from a log's tiles, and believes an entry only for such a proof.
//! Boundary: files come in through [`Files`]; how far the head itself can be believed is its
//! signature's business. Failure mode: tiles that are missing or altered make no proof, or one that
//! does not verify; nothing is shown then.

use std::cell::RefCell;
use std::collections::HashMap;

use super::checkpoint::Checkpoint;
use super::entry::{self, EntryError};
use super::tile::{Content, Tile, WIDTH, hashes, split_entry};
use super::tree::{
    Hash, Nodes, consistency_proof, inclusion_proof, root, verify_consistency, verify_inclusion,
};
use super::verify::{Broken, Files, FilesError, Reason, VerifyError};
use crate::domain::event::Event;

/// No proof is longer: a log has less than 2^64 entries.
pub const MAX_PROOF: usize = 64;

/// Reads an entry that was handed over with its proof.
///
/// # Errors
/// The proof does not lead to the head, or what it proves is no entry.
pub fn proven(index: u64, bytes: &[u8], proof: &[Hash], head: &Checkpoint) -> Result<Event, Broken> {
    let broken = |reason| Broken { index: Some(index), reason };
    if !verify_inclusion(&Hash::leaf(bytes), index, head.size, proof, &head.root) {
        return Err(broken(Reason::Unproven));
    }
    entry::decode(bytes).map_err(|error: EntryError| broken(Reason::Entry(error)))
}

/// A tile's bytes; when it is partial and gone, those of the full tile that took its place.
///
/// # Errors
/// When it cannot be read.
pub fn tile(files: &dyn Files, tile: Tile) -> Result<Option<Vec<u8>>, FilesError> {
    match files.read(&tile.to_string())? {
        None if tile.width() < WIDTH => files.read(&tile.grown().to_string()),
        found => Ok(found),
    }
}

/// The bundle that holds entry `index` of a log of `size` entries.
///
/// # Errors
/// When it cannot be read.
pub fn bundle(files: &dyn Files, index: u64, size: u64) -> Result<Option<Vec<u8>>, FilesError> {
    let last = (index / WIDTH * WIDTH).saturating_add(WIDTH).min(size).saturating_sub(1);
    tile(files, Tile::ending_at(Content::Entries, last))
}

/// The entries of a bundle with their indices, as far as they are whole.
pub fn entries(bundle: &[u8], index: u64) -> impl Iterator<Item = (u64, &[u8])> {
    let mut rest = bundle;
    (index / WIDTH * WIDTH..).map_while(move |at| {
        let (entry, after) = split_entry(rest)?;
        rest = after;
        Some((at, entry))
    })
}

/// How a log stands to an older head of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extension {
    /// It goes on from there.
    Extends,
    /// It has other entries.
    Forked,
    /// Its tiles are not those of its own head, so nothing is shown.
    Unproven,
}

/// Makes proofs under one head from a log's tiles.
pub struct Prover<'a> {
    files: &'a dyn Files,
    size: u64,
    /// Rows of hashes that were read, by their level and index.
    rows: RefCell<HashMap<(u8, u64), Vec<Hash>>>,
    failed: RefCell<Option<FilesError>>,
}

impl<'a> Prover<'a> {
    /// Proofs under the head of a log of `size` entries.
    #[must_use]
    pub fn new(files: &'a dyn Files, size: u64) -> Self {
        Self { files, size, rows: RefCell::default(), failed: RefCell::default() }
    }

    /// The proof that entry `index` is in the log; `None` when a tile that it takes is not there.
    ///
    /// # Errors
    /// When a tile cannot be read.
    pub fn inclusion(&self, index: u64) -> Result<Option<Vec<Hash>>, FilesError> {
        self.inclusion_under(index, self.size)
    }

    /// The same under an older head, of `size` entries.
    ///
    /// # Errors
    /// When a tile cannot be read.
    pub fn inclusion_under(&self, index: u64, size: u64) -> Result<Option<Vec<Hash>>, FilesError> {
        let proof = if size <= self.size { inclusion_proof(self, index, size) } else { None };
        match self.failed.take() {
            Some(failed) => Err(failed),
            None => Ok(proof),
        }
    }

    /// The proof that the log, which has this head, goes on from its first `old` entries; empty for none and for all
    /// of them. `None` when a tile that it takes is not there, or the tiles are not those of the head: whoever was handed
    /// such a proof would take it for a fork.
    ///
    /// # Errors
    /// When a tile cannot be read.
    pub fn consistency(&self, old: u64, head: &Checkpoint) -> Result<Option<Vec<Hash>>, FilesError> {
        if old == 0 || old >= head.size {
            return Ok(Some(Vec::new()));
        }
        let proof = consistency_proof(self, old, head.size);
        let proof = proof.zip(root(self, old)).and_then(|(proof, before)| {
            verify_consistency((old, &before), (head.size, &head.root), &proof).then_some(proof)
        });
        match self.failed.take() {
            Some(failed) => Err(failed),
            None => Ok(proof),
        }
    }

    /// Whether the log, which has this head, goes on from an older one.
    ///
    /// # Errors
    /// When a tile cannot be read.
    pub fn extends(&self, old: &Checkpoint, head: &Checkpoint) -> Result<Extension, FilesError> {
        if old.size == 0 || old.size == head.size {
            let root = if old.size == 0 { Hash::empty() } else { head.root };
            return Ok(if old.root == root { Extension::Extends } else { Extension::Forked });
        }
        let proof = consistency_proof(self, old.size, head.size);
        let (old, new) = ((old.size, &old.root), (head.size, &head.root));
        let shown = proof.as_ref().is_some_and(|proof| verify_consistency(old, new, proof));
        // INVARIANT: nothing is called a fork of which the tiles themselves may be wrong
        let extension = match shown {
            true => Extension::Extends,
            false if proof.is_some() && self.leads_to(head) => Extension::Forked,
            false => Extension::Unproven,
        };
        match self.failed.take() {
            Some(failed) => Err(failed),
            None => Ok(extension),
        }
    }

    /// The same; that it does not is what is broken.
    ///
    /// # Errors
    /// It is shorter, has other entries, or its tiles do not show it; or a tile cannot be read.
    pub fn continues(&self, old: &Checkpoint, head: &Checkpoint) -> Result<(), VerifyError> {
        let kept = old.size;
        if kept > head.size {
            let reason = Reason::RolledBack { kept, found: head.size };
            return Err(Broken { index: Some(head.size), reason }.into());
        }
        let reason = match self.extends(old, head)? {
            Extension::Extends => return Ok(()),
            Extension::Forked => Reason::Forked { kept },
            Extension::Unproven => Reason::Unextended { kept },
        };
        Err(Broken { index: None, reason }.into())
    }

    /// Whether the tiles that were read are those of this head.
    fn leads_to(&self, head: &Checkpoint) -> bool {
        let read: Vec<(u8, u64)> = self.rows.borrow().keys().copied().collect();
        read.into_iter().all(|(level, index)| self.leads_up(level, index))
            && root(self, head.size) == Some(head.root)
    }

    /// Whether a row is what the rows above it are made of, up to one that is part of the root's own.
    fn leads_up(&self, mut level: u8, mut index: u64) -> bool {
        loop {
            let Some(mut row) = self.row(level, index) else { return false };
            if u64::try_from(row.len()) != Ok(WIDTH) {
                return true;
            }
            while let [_, _, ..] = row.as_slice() {
                row = row.as_chunks().0.iter().map(|[left, right]| Hash::node(left, right)).collect();
            }
            let Some(above) = self.row(level + 1, index / WIDTH) else { return false };
            let place = usize::try_from(index % WIDTH).ok().and_then(|place| above.get(place));
            if place != row.first() {
                return false;
            }
            (level, index) = (level + 1, index / WIDTH);
        }
    }

    fn row(&self, level: u8, index: u64) -> Option<Vec<Hash>> {
        if let Some(row) = self.rows.borrow().get(&(level, index)) {
            return Some(row.clone());
        }
        let count = self.size.checked_shr(u32::from(level) * 8)?;
        let last = index.checked_mul(WIDTH)?.checked_add(WIDTH)?.min(count).checked_sub(1)?;
        let bytes = match tile(self.files, Tile::ending_at(Content::Hashes(level), last)) {
            Ok(bytes) => bytes?,
            Err(error) => {
                self.failed.replace(Some(error));
                return None;
            }
        };
        let row = hashes(&bytes)?;
        let mut rows = self.rows.borrow_mut();
        if rows.len() >= MOST_ROWS {
            rows.clear();
        }
        rows.insert((level, index), row.clone());
        Some(row)
    }
}

impl Nodes for Prover<'_> {
    fn node(&self, height: u32, index: u64) -> Option<Hash> {
        let level = u8::try_from(height / 8).ok()?;
        let (width, first) = (1_u64 << (height % 8), index.checked_shl(height % 8)?);
        let row = self.row(level, first / WIDTH)?;
        let start = usize::try_from(first % WIDTH).ok()?;
        let end = start.checked_add(usize::try_from(width).ok()?)?;
        let mut hashes = row.get(start..end)?.to_vec();
        while hashes.len() > 1 {
            hashes = hashes.as_chunks::<2>().0.iter().map(|[left, right]| Hash::node(left, right)).collect();
        }
        hashes.pop()
    }
}

/// Rows are at most 8 KiB long.
const MOST_ROWS: usize = 64;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use std::collections::HashMap;

    use jiff::Timestamp;

    use super::{Extension, Prover, bundle, entries, proven};
    use crate::domain::event::{Event, What};
    use crate::domain::name::Digest;
    use crate::ledger::builder::{Builder, TileFile};
    use crate::ledger::checkpoint::Checkpoint;
    use crate::ledger::entry::encode;
    use crate::ledger::tree::{Hash, verify_consistency};
    use crate::ledger::verify::{Files, FilesError, Reason};

    struct Memory(HashMap<String, Vec<u8>>);

    impl Files for Memory {
        fn read(&self, path: &str) -> Result<Option<Vec<u8>>, FilesError> {
            Ok(self.0.get(path).cloned())
        }
    }

    fn log(size: u64) -> (Memory, Checkpoint) {
        let (mut builder, mut files) = (Builder::default(), HashMap::new());
        let mut put = |written: Vec<TileFile>| {
            for TileFile { tile, bytes } in written {
                files.insert(tile.to_string(), bytes);
            }
        };
        for number in 0..size {
            let what = What::BrokerStarted { version: number.to_string() };
            let policy = Digest::from_bytes(&[0; 32]);
            let event = Event { at: Timestamp::UNIX_EPOCH, actor: None, policy, what };
            let (mut bytes, mut full) = (Vec::new(), Vec::new());
            encode(&event, &mut bytes).unwrap();
            builder.push(&bytes, Hash::leaf(&bytes), &mut full).unwrap();
            put(full);
        }
        put(builder.partials());
        (Memory(files), Checkpoint { size, root: builder.root() })
    }

    #[test]
    fn every_entry_is_proven_from_tiles_and_a_changed_one_is_not() {
        for size in [1_u64, 2, 255, 256, 257, 511, 700, 66_000] {
            let (files, head) = log(size);
            let prover = Prover::new(&files, size);
            let step = usize::try_from(size / 300 + 1).unwrap();
            for index in (0..size).step_by(step).chain([size - 1]) {
                let bundle = bundle(&files, index, size).unwrap().unwrap();
                let (_, bytes) = entries(&bundle, index).find(|(at, _)| *at == index).unwrap();
                let proof = prover.inclusion(index).unwrap().unwrap();
                let event = proven(index, bytes, &proof, &head).unwrap();
                assert_eq!(event.what, What::BrokerStarted { version: index.to_string() });

                let mut altered = bytes.to_vec();
                *altered.last_mut().unwrap() ^= 1;
                let refused = proven(index, &altered, &proof, &head).unwrap_err();
                assert_eq!((refused.index, refused.reason), (Some(index), Reason::Unproven));
                assert!(size == 1 || proven((index + 1) % size, bytes, &proof, &head).is_err());
            }
            assert_eq!(prover.inclusion(size), Ok(None));
        }
    }

    #[test]
    fn a_head_extends_the_ones_before_it_and_no_other() {
        let (files, head) = log(700);
        let prover = Prover::new(&files, 700);
        for size in [0_u64, 1, 255, 256, 300, 512, 699, 700] {
            let (_, old) = log(size);
            assert_eq!(prover.extends(&old, &head), Ok(Extension::Extends), "{size}");
            let other = Checkpoint { root: Hash::leaf(b"x"), ..old };
            assert_eq!(prover.extends(&other, &head), Ok(Extension::Forked), "{size}");
        }
    }

    #[test]
    fn a_proof_of_consistency_is_handed_out_only_where_the_tiles_carry_it() {
        let (whole, head) = log(700);
        let prover = Prover::new(&whole, 700);
        for size in [0_u64, 1, 255, 256, 300, 512, 699, 700, 701, u64::MAX] {
            let proof = prover.consistency(size, &head).unwrap().unwrap();
            let (_, old) = log(size.min(700));
            let shown = verify_consistency((old.size, &old.root), (700, &head.root), &proof);
            assert!(shown || size == 0, "{size}");
            assert!(proof.is_empty() || (1..700).contains(&size), "{size}");
        }
        for name in ["tile/0/001", "tile/1/000.p/2", "tile/0/002.p/188"] {
            let tamper = |change: &dyn Fn(&mut Memory)| {
                let mut files = Memory(whole.0.clone());
                change(&mut files);
                Prover::new(&files, 700).consistency(300, &head)
            };
            assert_eq!(tamper(&|files| drop(files.0.remove(name))), Ok(None), "{name}");
            let flipped = tamper(&|files| files.0.get_mut(name).unwrap().iter_mut().for_each(|b| *b ^= 1));
            assert_eq!(flipped, Ok(None), "{name}");
        }
    }

    #[test]
    fn entries_are_proven_under_older_heads_too() {
        let (files, _) = log(700);
        let prover = Prover::new(&files, 700);
        for size in [1_u64, 300, 512, 699, 700] {
            let (_, head) = log(size);
            let index = size - 1;
            let bundle = bundle(&files, index, 700).unwrap().unwrap();
            let (_, bytes) = entries(&bundle, index).find(|(at, _)| *at == index).unwrap();
            let proof = prover.inclusion_under(index, size).unwrap().unwrap();
            assert!(proven(index, bytes, &proof, &head).is_ok(), "{size}");
            assert_eq!(prover.inclusion_under(size, size), Ok(None));
        }
        assert_eq!(prover.inclusion_under(3, 701), Ok(None));
    }

    #[test]
    fn what_wrong_tiles_do_not_show_is_not_called_a_fork() {
        let ((whole, head), (_, old)) = (log(700), log(300));
        for name in ["tile/0/001", "tile/1/000.p/2", "tile/0/002.p/188"] {
            let tamper = |change: &dyn Fn(&mut Memory)| {
                let mut files = Memory(whole.0.clone());
                change(&mut files);
                Prover::new(&files, 700).extends(&old, &head)
            };
            let unproven = Ok(Extension::Unproven);
            assert_eq!(tamper(&|files| drop(files.0.remove(name))), unproven, "{name}");
            let flipped = tamper(&|files| files.0.get_mut(name).unwrap().iter_mut().for_each(|b| *b ^= 1));
            assert_eq!(flipped, unproven, "{name}");
        }
    }

    #[test]
    fn tiles_that_are_gone_altered_or_cut_prove_nothing() {
        let (whole, head) = log(700);
        let bundle = bundle(&whole, 300, 700).unwrap().unwrap();
        let (_, bytes) = entries(&bundle, 300).find(|(at, _)| *at == 300).unwrap();
        for name in ["tile/0/001", "tile/1/000.p/2", "tile/0/002.p/188"] {
            let tamper = |change: &dyn Fn(&mut Memory)| {
                let mut files = Memory(whole.0.clone());
                change(&mut files);
                let proof = Prover::new(&files, 700).inclusion(300).unwrap();
                proof.map(|proof| proven(300, bytes, &proof, &head).is_ok())
            };
            assert_eq!(tamper(&|files| drop(files.0.remove(name))), None, "{name}");
            assert_eq!(tamper(&|files| files.0.get_mut(name).unwrap().truncate(33)), None, "{name}");
            let flipped = tamper(&|files| files.0.get_mut(name).unwrap().iter_mut().for_each(|b| *b ^= 1));
            assert_eq!(flipped, Some(false), "{name}");
        }
    }
}
