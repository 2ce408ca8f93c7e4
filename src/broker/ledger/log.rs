//! The append log: entries that are not in published tiles yet.
//!
//! A segment is a file named after the index of its first entry: magic, that index, then records of
//! length (4 bytes), the first 8 bytes of the leaf hash, and the entry. A segment that was torn in
//! its last record is what `kill -9` or a power cut leaves; any other damage is tampering.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::LedgerError;
use crate::ledger::entry::MAX_ENTRY;
use crate::ledger::tree::Hash;

/// Where segments are written; tests hand in disks that fail.
pub(super) trait Disk: Send + Sync {
    /// Makes a file to append to; an older one of that name is emptied.
    fn create(&self, path: &Path) -> io::Result<Box<dyn Sink>>;
}

/// A file that is appended to.
pub(super) trait Sink: Send + Sync {
    /// Appends all of it with as few calls as the system allows.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;

    /// Brings it to the disk.
    fn sync(&self) -> io::Result<()>;
}

pub(super) struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Sink>> {
        let file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path)?;
        Ok(Box::new(file))
    }
}

impl Sink for File {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = self;
        file.write_all(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// A segment that is being written.
pub(super) struct Segment {
    pub(super) start: u64,
    pub(super) sink: Box<dyn Sink>,
}

impl Segment {
    pub(super) fn create(disk: &dyn Disk, dir: &Path, start: u64) -> io::Result<Self> {
        let sink = disk.create(&path(dir, start))?;
        let mut header = MAGIC.to_vec();
        header.extend_from_slice(&start.to_be_bytes());
        sink.append(&header)?;
        Ok(Self { start, sink })
    }
}

/// Where the segment with this first index is.
pub(super) fn path(dir: &Path, start: u64) -> PathBuf {
    pending(dir).join(format!("{start:020}.log"))
}

/// The directory of the segments.
pub(super) fn pending(dir: &Path) -> PathBuf {
    dir.join("pending")
}

/// The first indices of the segments there are, in order.
pub(super) fn segments(dir: &Path) -> Result<Vec<u64>, LedgerError> {
    let pending = pending(dir);
    let mut starts = Vec::new();
    for found in std::fs::read_dir(&pending).map_err(LedgerError::io(&pending))? {
        let name = found.map_err(LedgerError::io(&pending))?.file_name();
        if let Some(start) = name.to_str().and_then(|name| name.strip_suffix(".log")) {
            starts.extend(start.parse::<u64>());
        }
    }
    starts.sort_unstable();
    Ok(starts)
}

/// Appends a record to a batch.
pub(super) fn frame(batch: &mut Vec<u8>, entry: &[u8], leaf: &Hash) {
    // an entry is at most 65,535 bytes long
    let length = u32::try_from(entry.len()).unwrap_or(u32::MAX);
    batch.extend_from_slice(&length.to_be_bytes());
    batch.extend_from_slice(check(leaf));
    batch.extend_from_slice(entry);
}

/// Reads a segment record by record.
pub(super) struct Reader {
    path: PathBuf,
    file: BufReader<File>,
    offset: u64,
    entry: Vec<u8>,
}

/// What comes next in a segment.
pub(super) enum Next<'a> {
    /// An entry.
    Entry(&'a [u8], Hash),
    /// The end, after a whole record.
    End,
    /// A record that is not whole, or not what was written.
    Damaged,
}

impl Reader {
    /// Opens the segment; `None` when not even its header was written.
    pub(super) fn open(dir: &Path, start: u64) -> Result<Option<Self>, LedgerError> {
        let path = path(dir, start);
        let file = File::open(&path).map_err(LedgerError::io(&path))?;
        let mut file = BufReader::with_capacity(1 << 16, file);
        let mut header = Vec::new();
        file.by_ref().take(HEADER).read_to_end(&mut header).map_err(LedgerError::io(&path))?;
        let mut expected = MAGIC.to_vec();
        expected.extend_from_slice(&start.to_be_bytes());
        if header == expected {
            return Ok(Some(Self { path, file, offset: HEADER, entry: Vec::new() }));
        }
        if header.strip_prefix(FAMILY).and_then(|rest| rest.first()).is_some_and(|version| *version > b'1') {
            return Err(LedgerError::UnknownVersion { path: path.display().to_string() });
        }
        let torn = header.iter().zip(&expected).all(|(found, expected)| found == expected || *found == 0);
        if torn && file.bytes().next().is_none() {
            return Ok(None);
        }
        Err(LedgerError::Altered { path: path.display().to_string(), offset: 0 })
    }

    /// Reads the next record.
    pub(super) fn next(&mut self) -> Result<Next<'_>, LedgerError> {
        let mut head = [0; 12];
        let got = self.fill(&mut head)?;
        if got == 0 {
            return Ok(Next::End);
        }
        let Some((length, rest)) = head.split_first_chunk::<4>() else { return Ok(Next::Damaged) };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if got < head.len() || length == 0 || length > MAX_ENTRY {
            return Ok(Next::Damaged);
        }
        self.entry.clear();
        let wanted = u64::try_from(length).unwrap_or(u64::MAX);
        let read = self.file.by_ref().take(wanted).read_to_end(&mut self.entry);
        read.map_err(LedgerError::io(&self.path))?;
        let leaf = Hash::leaf(&self.entry);
        if self.entry.len() < length || check(&leaf) != rest {
            return Ok(Next::Damaged);
        }
        self.offset = self.offset.saturating_add(12).saturating_add(wanted);
        Ok(Next::Entry(&self.entry, leaf))
    }

    /// Whether the damage found is a last record that was torn while it was written.
    ///
    /// It is, when the file ends inside that record, or when nothing but zeros follows from within
    /// it: that is what a power cut makes of data that was never synced.
    pub(super) fn torn(&self) -> Result<bool, LedgerError> {
        self.ends_torn().map_err(LedgerError::io(&self.path))
    }

    fn ends_torn(&self) -> io::Result<bool> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.offset))?;
        let mut length = Vec::new();
        (&mut file).take(4).read_to_end(&mut length)?;
        let Some(length) = length.first_chunk::<4>() else { return Ok(true) };
        let long = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if long > MAX_ENTRY {
            return Ok(false);
        }
        // the record itself is short; however much there is behind it is looked at piece by piece
        let (mut record, rest) = (Vec::new(), long + 8);
        (&mut file).take(u64::try_from(rest).unwrap_or(u64::MAX)).read_to_end(&mut record)?;
        let is_cut = record.len() < rest || record.last() == Some(&0);
        Ok(is_cut && is_zero(file)?)
    }

    /// The error for damage that is not a torn record.
    pub(super) fn altered(&self) -> LedgerError {
        LedgerError::Altered { path: self.path.display().to_string(), offset: self.offset }
    }

    fn fill(&mut self, head: &mut [u8]) -> Result<usize, LedgerError> {
        let mut got = 0;
        while let Some(room) = head.get_mut(got..).filter(|room| !room.is_empty()) {
            match self.file.read(room) {
                Ok(0) => break,
                Ok(read) => got += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(LedgerError::io(&self.path)(error)),
            }
        }
        Ok(got)
    }
}

/// Whether there is nothing more but zeros.
fn is_zero(mut file: File) -> io::Result<bool> {
    let mut piece = vec![0; 1 << 16];
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(true),
            Ok(read) if piece.iter().take(read).any(|byte| *byte != 0) => return Ok(false),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn check(leaf: &Hash) -> &[u8] {
    leaf.as_bytes().first_chunk::<8>().map_or(&[], |check| check)
}

/// What all versions begin with.
const FAMILY: &[u8] = b"HOOPLOG";
const MAGIC: &[u8; 8] = b"HOOPLOG1";
const HEADER: u64 = 16;
