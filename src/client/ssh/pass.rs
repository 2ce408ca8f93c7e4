//! Handing ssh a socket.
//!
//! Job: connect to the loopback of a session and pass the open socket to ssh, so that nothing stands between
//! the two (`ProxyUseFdpass`). Boundary: reads and writes nothing on it. Failure mode: ssh is passed nothing
//! and ends.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::net::UnixStream;

/// Connects to this socket, waits until the other end speaks, and passes it on.
///
/// The other end asks the kernel which process called, so this one must be there until it was let in; and of
/// the two ends of SSH the server may speak first, and ours does.
///
/// # Errors
/// When the socket cannot be connected to, or what is passed to is not a socket.
pub async fn pass(socket: &Path, to: BorrowedFd<'_>) -> io::Result<()> {
    let stream = UnixStream::connect(socket).await?;
    stream.readable().await?;
    let stream = stream.into_std()?;
    // whether it blocks belongs to the open socket, and ssh decides that for itself
    stream.set_nonblocking(false)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let passed = [stream.as_fd()];
    control.push(SendAncillaryMessage::ScmRights(&passed));
    // one byte must go with it
    sendmsg(to, &[IoSlice::new(&[0])], &mut control, SendFlags::empty())?;
    Ok(())
}
