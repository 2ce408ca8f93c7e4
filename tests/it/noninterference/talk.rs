//! Holds a conversation with one side, and keeps every byte of the answers.

use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::conversation::Step;
use crate::support::gateway::Gateway;
use crate::support::raw::{PROTOCOL_3_0, Raw};

/// The messages of one answer: tags and bodies.
pub(super) type Answer = Vec<(u8, Vec<u8>)>;

/// A connection through the gateway of one side.
pub(super) struct Line {
    stream: UnixStream,
    read: BytesMut,
}

impl Line {
    pub(super) async fn open(gateway: &Gateway) -> Self {
        let raw =
            Raw::open(gateway, PROTOCOL_3_0, &[("application_name", "twin")]).await.expect("a connection");
        Self { stream: raw.stream, read: BytesMut::new() }
    }

    /// What is said to each step; fewer answers than steps when the connection was closed.
    pub(super) async fn talk(&mut self, steps: &[Step]) -> Vec<Answer> {
        let mut answers = Vec::new();
        for step in steps {
            let (answer, open) = self.ask(step).await;
            answers.push(answer);
            if !open {
                break;
            }
        }
        answers
    }

    /// Says farewell.
    pub(super) async fn close(mut self) {
        // a closed connection has nobody to hear it
        let _closed = self.stream.write_all(b"X\0\0\0\x04").await;
    }

    /// The answer up to ReadyForQuery, and whether the connection is still there.
    async fn ask(&mut self, step: &Step) -> (Answer, bool) {
        let mut answer = Answer::new();
        if self.stream.write_all(&step.bytes()).await.is_err() {
            return (answer, false);
        }
        let mut length = 0;
        let answered = async {
            while let Some((tag, body)) = self.next().await {
                length += body.len();
                if length > LONGEST {
                    // joins of joins: what came is as good as a closed connection, on either side
                    answer = vec![(b'!', Vec::new())];
                    return false;
                }
                answer.push((tag, body));
                match tag {
                    b'Z' => return true,
                    // CopyInResponse
                    b'G' => {
                        let data = step.copied();
                        let length = u32::try_from(data.len() + 4).expect("short").to_be_bytes();
                        let whole = [b"d", &length[..], data, b"c\0\0\0\x04"].concat();
                        // a closed connection ends what is read
                        let _closed = self.stream.write_all(&whole).await;
                    }
                    _ => {}
                }
            }
            false
        };
        let open = tokio::time::timeout(PATIENCE, answered).await;
        let open = open.unwrap_or_else(|_| panic!("no answer in {PATIENCE:?} to {step:?}"));
        (answer, open)
    }

    async fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some(head) = self.read.get(..5) {
                let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
                if self.read.len() > length {
                    let tag = self.read.get_u8();
                    self.read.advance(4);
                    return Some((tag, self.read.split_to(length - 4).to_vec()));
                }
            }
            if self.stream.read_buf(&mut self.read).await.ok()? == 0 {
                return None;
            }
        }
    }
}

/// No more of an answer is kept and compared, in bytes.
const LONGEST: usize = 16 << 20;
/// How long one may take; joins of joins do.
const PATIENCE: Duration = Duration::from_secs(600);
