//! The lines of the protocol.

use bytes::{BufMut as _, BytesMut};
use thiserror::Error;

/// A line from the side that has the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// `D`: what follows is inside this directory.
    Directory {
        /// The mode.
        mode: u32,
        /// The name, as it came.
        name: Vec<u8>,
    },
    /// `\x02`: it gives up, and says why.
    Fatal(Vec<u8>),
    /// `C`: a file.
    File {
        /// The mode.
        mode: u32,
        /// How many bytes of contents follow.
        size: u64,
        /// The name, as it came.
        name: Vec<u8>,
    },
    /// `E`: the directory is over.
    Leave,
    /// `T`: the times of the file or directory that comes next.
    Times {
        /// Of modification: seconds and microseconds.
        modified: (u64, u64),
        /// Of access.
        accessed: (u64, u64),
    },
    /// `\x01`: something went wrong with one file.
    Warning(Vec<u8>),
}

impl Line {
    /// Reads a line without its end.
    ///
    /// # Errors
    /// [`LineError::Malformed`].
    pub fn parse(line: &[u8]) -> Result<Self, LineError> {
        let (tag, rest) = line.split_first().ok_or(LineError::Malformed)?;
        let fields = |count| rest.splitn(count, |byte| *byte == b' ');
        let parsed = match tag {
            1 => Some(Self::Warning(rest.to_vec())),
            2 => Some(Self::Fatal(rest.to_vec())),
            b'C' | b'D' => {
                let mut fields = fields(3);
                let mode = fields.next().and_then(mode);
                let size = fields.next().and_then(number);
                let name = fields.next().map(<[u8]>::to_vec);
                mode.zip(size).zip(name).map(|((mode, size), name)| match tag {
                    b'C' => Self::File { mode, size, name },
                    _ => Self::Directory { mode, name },
                })
            }
            b'E' => rest.is_empty().then_some(Self::Leave),
            b'T' => {
                let numbers: Option<Vec<u64>> = fields(4).map(number).collect();
                match numbers.as_deref() {
                    Some(&[seconds, micros, access, access_micros]) => {
                        Some(Self::Times { modified: (seconds, micros), accessed: (access, access_micros) })
                    }
                    _ => None,
                }
            }
            _ => None,
        };
        parsed.ok_or(LineError::Malformed)
    }

    /// Writes the line and its end.
    pub fn put(&self, out: &mut BytesMut) {
        match self {
            Self::Directory { mode, name } => {
                out.put_slice(format!("D{mode:04o} 0 ").as_bytes());
                put_text(out, name);
            }
            Self::Fatal(message) => {
                out.put_u8(2);
                put_text(out, message);
            }
            Self::File { mode, size, name } => {
                out.put_slice(format!("C{mode:04o} {size} ").as_bytes());
                put_text(out, name);
            }
            Self::Leave => out.put_u8(b'E'),
            Self::Times { modified, accessed } => {
                let text = format!("T{} {} {} {}", modified.0, modified.1, accessed.0, accessed.1);
                out.put_slice(text.as_bytes());
            }
            Self::Warning(message) => {
                out.put_u8(1);
                put_text(out, message);
            }
        }
        out.put_u8(b'\n');
    }
}

/// A line has one end.
fn put_text(out: &mut BytesMut, text: &[u8]) {
    out.extend(text.iter().map(|byte| if *byte == b'\n' { b' ' } else { *byte }));
}

/// Takes a line off the front of the input; `None` while it has no end.
pub(super) fn take(input: &mut BytesMut) -> Result<Option<BytesMut>, LineError> {
    let head = input.get(..LONGEST).unwrap_or(input);
    let Some(end) = head.iter().position(|byte| *byte == b'\n') else {
        return if input.len() >= LONGEST { Err(LineError::TooLong) } else { Ok(None) };
    };
    let mut line = input.split_to(end + 1);
    line.truncate(end);
    Ok(Some(line))
}

/// Takes an answer: a zero, or a message with its end.
pub(super) fn take_reply(input: &mut BytesMut) -> Result<Option<BytesMut>, LineError> {
    match input.first() {
        None => Ok(None),
        Some(0) => Ok(Some(input.split_to(1))),
        Some(1 | 2) => Ok(take(input)?.map(|mut line| {
            line.put_u8(b'\n');
            line
        })),
        Some(_) => Err(LineError::Malformed),
    }
}

fn mode(text: &[u8]) -> Option<u32> {
    let octal = (3..=5).contains(&text.len()) && text.iter().all(|byte| (b'0'..=b'7').contains(byte));
    let mode = octal.then(|| text.iter().fold(0, |mode, byte| mode * 8 + u32::from(byte - b'0')))?;
    (mode <= 0o7777).then_some(mode)
}

fn number(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let number: u64 = digits.then(|| std::str::from_utf8(text).ok()?.parse().ok())??;
    i64::try_from(number).is_ok().then_some(number)
}

/// Why a line cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LineError {
    /// It is not what the protocol knows.
    #[error("a line that its protocol does not know")]
    Malformed,
    /// It has no end within reason.
    #[error("a line of more than {LONGEST} bytes")]
    TooLong,
}

/// A path's longest name, and what stands before it, with room to spare.
const LONGEST: usize = 8192;
