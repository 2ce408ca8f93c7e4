//! The Merkle tree of RFC 6962 §2.1 over SHA-256.
//!
//! Job: leaf and node hashes, roots, inclusion and consistency proofs, and their verification
//! (RFC 9162 §2.1.3 and §2.1.4). Boundary: proofs are made from any source of subtree hashes
//! ([`Nodes`]). Failure mode: `None` when a needed hash is not there; a proof that does not verify
//! is `false`.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// A SHA-256 hash in the tree. Shown in base64.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// Wraps 32 bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads a hash in base64, as it is shown.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// The hash of a leaf.
    #[must_use]
    pub fn leaf(entry: &[u8]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update([0]);
        hasher.update(entry);
        Self(hasher.finalize().into())
    }

    /// The hash of an inner node.
    #[must_use]
    pub fn node(left: &Self, right: &Self) -> Self {
        let mut hasher = Sha256::new();
        hasher.update([1]);
        hasher.update(left.0);
        hasher.update(right.0);
        Self(hasher.finalize().into())
    }

    /// The root of the tree without leaves.
    #[must_use]
    pub fn empty() -> Self {
        Self(Sha256::digest([]).into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The right edge of a growing tree: enough for its root, 32 bytes for each bit of its size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// Roots of the perfect subtrees that make up the tree, the largest first.
    roots: Vec<Hash>,
}

impl Frontier {
    /// How many leaves there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf.
    pub fn push(&mut self, leaf: Hash) {
        // every size is a multiple of one leaf
        let _ = self.push_subtree(0, leaf);
    }

    /// Appends the root of a perfect subtree with `2^height` leaves.
    ///
    /// Returns `None`, and appends nothing, when the size so far is not a multiple of that.
    pub fn push_subtree(&mut self, height: u32, root: Hash) -> Option<()> {
        let leaves = 1_u64.checked_shl(height)?;
        if !self.size.is_multiple_of(leaves) {
            return None;
        }
        self.size = self.size.checked_add(leaves)?;
        let mut root = root;
        for _ in height..self.size.trailing_zeros() {
            let Some(left) = self.roots.pop() else { break };
            root = Hash::node(&left, &root);
        }
        self.roots.push(root);
        Some(())
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut roots = self.roots.iter().rev();
        let Some(last) = roots.next() else { return Hash::empty() };
        roots.fold(*last, |right, left| Hash::node(left, &right))
    }
}

/// Where the hashes of perfect subtrees come from.
pub trait Nodes {
    /// The hash of the subtree over leaves `index * 2^height ..` of that many leaves.
    fn node(&self, height: u32, index: u64) -> Option<Hash>;
}

/// The proof that leaf `index` is in the tree of `size` leaves (RFC 6962 §2.1.1).
pub fn inclusion_proof(nodes: &impl Nodes, index: u64, size: u64) -> Option<Vec<Hash>> {
    if index >= size {
        return None;
    }
    let mut proof = Vec::new();
    let (mut start, mut end) = (0, size);
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            proof.push(range(nodes, middle, end)?);
            end = middle;
        } else {
            proof.push(range(nodes, start, middle)?);
            start = middle;
        }
    }
    proof.reverse();
    Some(proof)
}

/// The proof that the tree of `old` leaves is a prefix of that of `new` leaves (RFC 6962 §2.1.2).
pub fn consistency_proof(nodes: &impl Nodes, old: u64, new: u64) -> Option<Vec<Hash>> {
    if old == 0 || old > new {
        return None;
    }
    let mut proof = Vec::new();
    let (mut start, mut end) = (0, new);
    while end != old {
        let middle = start + split(end - start);
        if old <= middle {
            proof.push(range(nodes, middle, end)?);
            end = middle;
        } else {
            proof.push(range(nodes, start, middle)?);
            start = middle;
        }
    }
    if start > 0 {
        proof.push(range(nodes, start, end)?);
    }
    proof.reverse();
    Some(proof)
}

/// Whether the proof shows that the leaf is at `index` of the tree with this size and root
/// (RFC 9162 §2.1.3.2).
#[must_use]
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut place, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            hash = Hash::node(sibling, &hash);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            hash = Hash::node(&hash, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Whether the proof shows that one tree is a prefix of the other (RFC 9162 §2.1.4.2).
#[must_use]
pub fn verify_consistency(old: (u64, &Hash), new: (u64, &Hash), proof: &[Hash]) -> bool {
    let ((old_size, old_root), (new_size, new_root)) = (old, new);
    if old_size == new_size {
        return proof.is_empty() && old_root == new_root;
    }
    if old_size == 0 || old_size > new_size {
        return false;
    }
    let mut hashes = proof.iter();
    let first = if old_size.is_power_of_two() { Some(old_root) } else { hashes.next() };
    let Some(first) = first else { return false };
    let (mut place, mut last) = (old_size - 1, new_size - 1);
    while place & 1 == 1 {
        place >>= 1;
        last >>= 1;
    }
    let (mut from_old, mut from_new) = (*first, *first);
    for hash in hashes {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            from_old = Hash::node(hash, &from_old);
            from_new = Hash::node(hash, &from_new);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            from_new = Hash::node(&from_new, hash);
        }
        place >>= 1;
        last >>= 1;
    }
    last == 0 && from_old == *old_root && from_new == *new_root
}

/// A whole tree in memory: 64 bytes for each leaf.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// Hashes of perfect subtrees, by height.
    heights: Vec<Vec<Hash>>,
    frontier: Frontier,
}

impl Tree {
    /// Appends a leaf.
    pub fn push(&mut self, leaf: Hash) {
        self.frontier.push(leaf);
        let mut carried = leaf;
        for height in 0.. {
            if self.heights.len() == height {
                self.heights.push(Vec::new());
            }
            let Some(row) = self.heights.get_mut(height) else { return };
            let left = row.last().copied();
            row.push(carried);
            match left {
                Some(left) if row.len().is_multiple_of(2) => carried = Hash::node(&left, &carried),
                _ => return,
            }
        }
    }

    /// How many leaves there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.frontier.root()
    }
}

impl Nodes for Tree {
    fn node(&self, height: u32, index: u64) -> Option<Hash> {
        self.heights.get(usize::try_from(height).ok()?)?.get(usize::try_from(index).ok()?).copied()
    }
}

/// The largest power of two that is smaller than `count`, for `count` of 2 and more.
fn split(count: u64) -> u64 {
    1 << count.saturating_sub(1).checked_ilog2().unwrap_or(0)
}

/// The root over the first `size` leaves; `None` when a node is not there.
pub fn root(nodes: &impl Nodes, size: u64) -> Option<Hash> {
    if size == 0 { Some(Hash::empty()) } else { range(nodes, 0, size) }
}

/// The root over the leaves `start..end`, where `start` is a multiple of the largest perfect subtree.
fn range(nodes: &impl Nodes, start: u64, end: u64) -> Option<Hash> {
    let mut parts = Vec::new();
    let mut at = start;
    while at < end {
        let height = (end - at).ilog2();
        parts.push(nodes.node(height, at >> height)?);
        at += 1 << height;
    }
    let last = parts.pop()?;
    Some(parts.iter().rev().fold(last, |right, left| Hash::node(left, &right)))
}

#[cfg(test)]
mod tests;
