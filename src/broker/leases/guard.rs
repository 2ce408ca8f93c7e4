//! A stream that lets a PostgreSQL server ask for SCRAM and for nothing else.
//!
//! Job: read along until the server's first authentication request. Boundary: changes no byte.
//! Failure mode: a server that asks for a password in clear or as MD5, or for none at all, is cut
//! off before anything derived from the secret is sent.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

/// The stream.
pub(super) struct ScramOnly<S> {
    stream: S,
    seen: Seen,
}

/// How far the server's side of the conversation was read.
enum Seen {
    /// This much of the next message's start.
    Header(Vec<u8>),
    /// So many bytes of another message are to come.
    Skip(u32),
    /// SCRAM was asked for; nothing more is looked at.
    Scram,
}

impl<S> ScramOnly<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, seen: Seen::Header(Vec::with_capacity(HEADER)) }
    }
}

impl Seen {
    fn look(&mut self, bytes: &[u8]) -> io::Result<()> {
        for byte in bytes {
            match self {
                Self::Scram => return Ok(()),
                Self::Skip(left) if *left > 1 => *left -= 1,
                Self::Skip(_) => *self = Self::Header(Vec::with_capacity(HEADER)),
                Self::Header(header) => {
                    header.push(*byte);
                    if let Some(next) = judge(header)? {
                        *self = next;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Decides on the start of a message: its type, its length and, of an authentication request, which.
fn judge(header: &[u8]) -> io::Result<Option<Seen>> {
    let &[tag, a, b, c, d, ref rest @ ..] = header else { return Ok(None) };
    let length = u32::from_be_bytes([a, b, c, d]);
    if tag != b'R' {
        let left = length.saturating_sub(4);
        return Ok(Some(if left == 0 { Seen::Header(Vec::with_capacity(HEADER)) } else { Seen::Skip(left) }));
    }
    let &[a, b, c, d] = rest else { return Ok(None) };
    match u32::from_be_bytes([a, b, c, d]) {
        10 => Ok(Some(Seen::Scram)),
        0 => Err(refusal("asks for no password at all")),
        3 => Err(refusal("asks for the password in clear")),
        5 => Err(refusal("asks for the password as MD5")),
        _ => Err(refusal("asks for something else")),
    }
}

fn refusal(what: &str) -> io::Error {
    let text = format!("the server {what}; set scram-sha-256 in its pg_hba.conf and password_encryption");
    io::Error::new(io::ErrorKind::PermissionDenied, text)
}

impl<S: AsyncRead + Unpin> AsyncRead for ScramOnly<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let verdict = self.seen.look(buf.filled().get(before..).unwrap_or_default());
        if verdict.is_err() {
            buf.set_filled(before);
        }
        Poll::Ready(verdict)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ScramOnly<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: TlsStream + Unpin> TlsStream for ScramOnly<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.stream.channel_binding()
    }
}

/// Puts the guard inside of TLS.
pub(super) struct GuardedTls<C>(pub(super) C);

impl<S, C> TlsConnect<S> for GuardedTls<C>
where
    C: TlsConnect<S>,
    C::Future: Send + 'static,
{
    type Stream = ScramOnly<C::Stream>;
    type Error = C::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Stream, Self::Error>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        let handshake = self.0.connect(stream);
        Box::pin(async move { handshake.await.map(ScramOnly::new) })
    }
}

/// Type, length and authentication code.
const HEADER: usize = 9;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use tokio::io::AsyncReadExt as _;

    use super::*;

    fn request(code: u32) -> Vec<u8> {
        let mut bytes = b"N\0\0\0\x06\0\0v\0\0\0\x04".to_vec();
        bytes.push(b'R');
        bytes.extend(8_u32.to_be_bytes());
        bytes.extend(code.to_be_bytes());
        bytes
    }

    #[tokio::test]
    async fn only_scram_passes() {
        for code in 0..16 {
            let bytes = request(code);
            let mut read = Vec::new();
            let answer = ScramOnly::new(bytes.as_slice()).read_to_end(&mut read).await;
            assert_eq!(answer.is_ok(), code == 10, "authentication request {code}");
        }
    }

    #[test]
    fn the_pieces_in_which_it_arrives_do_not_matter() {
        for code in [3, 10] {
            let mut seen = Seen::Header(Vec::new());
            let verdict = request(code).iter().try_for_each(|byte| seen.look(&[*byte]));
            assert_eq!(verdict.is_ok(), code == 10);
        }
        let mut seen = Seen::Header(Vec::new());
        seen.look(&request(10)).unwrap();
        seen.look(&request(3)).unwrap();
    }
}
