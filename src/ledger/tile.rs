//! Names and contents of the files of a tiled log (C2SP `tlog-tiles`).
//!
//! Job: paths to tiles and back, hash tiles of height 8, entry bundles. Boundary: text and bytes
//! only. Failure mode: `None` for whatever does not have exactly the shape of the specification, so
//! that a parsed path can never leave the log's directory.

use std::fmt;

use super::entry::MAX_ENTRY;
use super::tree::Hash;

/// How many hashes or entries a full tile has.
pub const WIDTH: u64 = 256;

/// The path of the signed head.
pub const CHECKPOINT: &str = "checkpoint";

/// The path of the newest head that witnesses have cosigned: an addition of ours to `tlog-tiles`.
pub const COSIGNED: &str = "cosigned";

/// The path of the verifier key.
pub const KEY: &str = "key";

/// The path of the notes by which keys followed each other (`rotation`): an addition of ours to `tlog-tiles`.
pub const KEYS: &str = "keys";

/// No file of a log is longer: a bundle of 256 entries of the longest kind.
pub const MAX_FILE: usize = 256 * (MAX_ENTRY + 2);

/// A file of a log that may be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// The signed head. It changes.
    Checkpoint,
    /// The newest head that witnesses have cosigned. It changes.
    Cosigned,
    /// The key that signs it.
    Key,
    /// How keys followed each other. It changes.
    Keys,
    /// A tile. It never changes.
    Tile(Tile),
}

impl Resource {
    /// Parses a path below the log's address: the only way from a request to a file.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        match path {
            CHECKPOINT => Some(Self::Checkpoint),
            COSIGNED => Some(Self::Cosigned),
            KEY => Some(Self::Key),
            KEYS => Some(Self::Keys),
            other => Tile::parse(other).map(Self::Tile),
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checkpoint => f.write_str(CHECKPOINT),
            Self::Cosigned => f.write_str(COSIGNED),
            Self::Key => f.write_str(KEY),
            Self::Keys => f.write_str(KEYS),
            Self::Tile(tile) => tile.fmt(f),
        }
    }
}

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Entries.
    Entries,
    /// Hashes of this level, 0 to 63.
    Hashes(u8),
}

/// A tile's place in a log. Its display is its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    content: Content,
    index: u64,
    /// 1 to 256.
    width: u64,
}

impl Tile {
    /// The tile of `content` that holds place `last` as its last one, full or partial.
    #[must_use]
    pub fn ending_at(content: Content, last: u64) -> Self {
        Self { content, index: last / WIDTH, width: last % WIDTH + 1 }
    }

    /// The full tile with this index.
    #[must_use]
    pub fn full(content: Content, index: u64) -> Self {
        Self { content, index, width: WIDTH }
    }

    /// The full tile that takes this one's place once there is enough for it.
    #[must_use]
    pub fn grown(self) -> Self {
        Self { width: WIDTH, ..self }
    }

    /// The first entry that is below byte `at` of this tile; of a bundle of entries, its first one.
    #[must_use]
    pub fn first(self, at: usize) -> u64 {
        let start = self.index.saturating_mul(WIDTH);
        match self.content {
            Content::Entries => start,
            Content::Hashes(level) => {
                let place = u64::try_from(at / 32).unwrap_or(u64::MAX).min(self.width.saturating_sub(1));
                let below = 1_u64.checked_shl(u32::from(level).saturating_mul(8)).unwrap_or(u64::MAX);
                start.saturating_add(place).saturating_mul(below)
            }
        }
    }

    /// How many hashes or entries it has.
    #[must_use]
    pub fn width(self) -> u64 {
        self.width
    }

    /// The directory that holds the partial forms of this tile.
    #[must_use]
    pub fn partials(self) -> String {
        format!("{}.p", self.grown())
    }

    /// Parses a path such as `tile/0/x001/234.p/17`.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let (content, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let content = match content {
            "entries" => Content::Entries,
            level => Content::Hashes(u8::try_from(decimal(level)?).ok().filter(|level| *level <= 63)?),
        };
        let (index, width) = match rest.split_once(".p/") {
            None => (rest, WIDTH),
            Some((index, width)) => (index, decimal(width).filter(|width| (1..WIDTH).contains(width))?),
        };
        let tile = Self { content, index: parse_index(index)?, width };
        // one tile has one spelling
        (tile.to_string() == path).then_some(tile)
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.content {
            Content::Entries => f.write_str("tile/entries/")?,
            Content::Hashes(level) => write!(f, "tile/{level}/")?,
        }
        let mut scale = 1_u64;
        while self.index / scale >= 1000 {
            scale *= 1000;
        }
        while scale > 1 {
            write!(f, "x{:03}/", self.index / scale % 1000)?;
            scale /= 1000;
        }
        write!(f, "{:03}", self.index % 1000)?;
        if self.width == WIDTH { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

/// Appends an entry to a bundle. `None` when it is too long for one.
pub fn append_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Option<()> {
    let length = u16::try_from(entry.len()).ok()?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Some(())
}

/// Takes the first entry off a bundle. `None` when there is no whole entry.
#[must_use]
pub fn split_entry(bundle: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bundle.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// The hashes of a tile. `None` when the length does not fit.
#[must_use]
pub fn hashes(bytes: &[u8]) -> Option<Vec<Hash>> {
    let (chunks, rest) = bytes.as_chunks::<32>();
    rest.is_empty().then(|| chunks.iter().copied().map(Hash::new).collect())
}

fn decimal(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

fn parse_index(text: &str) -> Option<u64> {
    text.split('/').try_fold(0_u64, |index, part| {
        let group = decimal(part.strip_prefix('x').unwrap_or(part)).filter(|group| *group < 1000)?;
        index.checked_mul(1000)?.checked_add(group)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Content, Resource, Tile, append_entry, split_entry};

    #[test]
    fn paths_are_those_of_the_specification() {
        let path = |content, last| Tile::ending_at(content, last).to_string();
        assert_eq!(Tile::full(Content::Hashes(0), 1_234_067).to_string(), "tile/0/x001/x234/067");
        // a tree of 70,000 leaves, the specification's own example
        assert_eq!(path(Content::Hashes(0), 69_999), "tile/0/273.p/112");
        assert_eq!(path(Content::Hashes(1), 272), "tile/1/001.p/17");
        assert_eq!(path(Content::Hashes(2), 0), "tile/2/000.p/1");
        assert_eq!(path(Content::Entries, 255), "tile/entries/000");
    }

    #[test]
    fn other_paths_are_nothing() {
        for path in [
            "tile/0/../../x",
            "tile/0/1",
            "tile/64/000",
            "tile/00/000",
            "tile/0/x000/000",
            "tile/0/000.p/256",
            "tile/0/000.p/0",
            "tile/0/000.p/01",
            "tile/entries/x001",
            "tile/entries/000.p/",
            "/checkpoint",
            "pending/0.log",
            "tile/0/x999/x999/x999/x999/x999/x999/999",
        ] {
            assert_eq!(Resource::parse(path), None, "{path}");
        }
    }

    #[test]
    fn an_entry_over_two_bytes_of_length_is_refused() {
        let mut bundle = Vec::new();
        assert_eq!(append_entry(&mut bundle, &[0; 65_536]), None);
        assert!(bundle.is_empty());
    }

    proptest! {
        #[test]
        fn every_tile_is_found_under_its_path(level in 0_u8..64, last in 0_u64..1 << 50) {
            for content in [Content::Entries, Content::Hashes(level)] {
                let tile = Tile::ending_at(content, last);
                prop_assert_eq!(Tile::parse(&tile.to_string()), Some(tile));
            }
        }

        #[test]
        fn garbage_never_panics(path in "[tilenrsx0-9./p]{0,40}", bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Resource::parse(&path);
            let mut rest = bytes.as_slice();
            while let Some((_, after)) = split_entry(rest) {
                rest = after;
            }
        }
    }
}
