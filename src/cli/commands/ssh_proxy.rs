//! What ssh starts by itself (`ProxyCommand`); no commands for people.
//!
//! ssh shows what is said on standard error, so failures are told as everywhere.

use std::future::pending;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader, copy_buf};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;

use super::opening::{Wanted, close, open};
use crate::cli::args::Ask;
use crate::cli::context::Context;
use crate::cli::exit;
use crate::cli::failure::{Failure, FailureKind};
use crate::client::loopback::locallog::{Line, LocalLog};
use crate::client::loopback::peer::{Decision, Peer};
use crate::client::session::LiveSession;
use crate::client::signals::Signals;
use crate::client::ssh::keys::KeyPlace;
use crate::client::ssh::pass;
use crate::client::tunnel::{Ahead, Stream};
use crate::domain::name::TargetName;

/// Opens a session and carries ssh's bytes.
///
/// # Errors
/// [`Failure`].
pub async fn run(context: &Context, target: &str) -> Result<u8, Failure> {
    let target =
        TargetName::new(target).map_err(|error| Failure::new(FailureKind::Usage, error.to_string()))?;
    let mut signals = Signals::watch()?;
    // INVARIANT: the key and the host key are there before ssh hears the first byte, and so before it looks
    let keys = KeyPlace::new(&context.place()?, target.as_str())?;
    let key = keys.hold()?;
    let api = context.api().await?;
    let ahead = Ahead::dial(&api);
    let public = Some(key.public().to_owned());
    let wanted = vec![Wanted { target: target.as_str(), key: public, lasts: false }];
    let opened = open(context, &api, wanted, &Ask::nothing(), &mut signals).await?;
    let Some((session, _secret)) = opened.into_iter().next() else {
        return Err(Failure::new(FailureKind::Internal, "there is no session"));
    };
    let outcome = serve(context, &session, (&target, &keys), ahead, &mut signals).await;
    close(context, [session]).await;
    outcome
}

async fn serve(
    context: &Context,
    session: &LiveSession,
    (target, keys): (&TargetName, &KeyPlace),
    ahead: Ahead,
    signals: &mut Signals,
) -> Result<u8, Failure> {
    if session.protocol != "ssh" {
        let message = format!("`{target}` speaks `{}`, not SSH", session.protocol);
        return Err(
            Failure::new(FailureKind::Usage, message).hint(format!("type `hoopctl connect {target}`"))
        );
    }
    keys.know(target.as_str(), session.ssh_host_key.as_deref())?;
    let log = LocalLog::new(context.client.home.logs()?, context.client.clock.clone());
    // nobody can come here but the program that started this one
    let peer = Peer {
        uid: Some(rustix::process::getuid().as_raw()),
        pid: rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get()),
        exe: None,
    };
    log.write(&Line::new(log.now(), session.id.as_str(), &peer, &Decision::Allow));
    let opened = session.opener(Some(ahead)).open().await;
    let far = opened.map_err(|refusal| Failure::new(FailureKind::Unreachable, refusal.message))?;
    tokio::select! {
        carried = carry(far) => carried.map(|()| 0).map_err(|error| {
            Failure::new(FailureKind::Unreachable, format!("the connection broke: {error}"))
        }),
        signal = signals.ended() => Ok(exit::SIGNAL.saturating_add(signal)),
    }
}

/// Copies until the far end has said all; what ssh would still say then, nobody hears.
async fn carry(far: Box<dyn Stream>) -> io::Result<()> {
    let (from_far, mut to_far) = tokio::io::split(far);
    let (stdin, stdout) = (io::stdin(), io::stdout());
    let (from_ssh, mut to_ssh) = (reader(stdin.as_fd())?, writer(stdout.as_fd())?);
    let up = async {
        copy_buf(&mut BufReader::with_capacity(BUFFER, from_ssh), &mut to_far).await?;
        to_far.shutdown().await?;
        pending::<io::Result<()>>().await
    };
    let down = async {
        copy_buf(&mut BufReader::with_capacity(BUFFER, from_far), &mut to_ssh).await?;
        to_ssh.flush().await
    };
    tokio::select! {
        done = down => done,
        failed = up => failed,
    }
}

/// ssh gives pipes, which need no threads; other programs may give anything.
fn reader(from: BorrowedFd<'_>) -> io::Result<Box<dyn AsyncRead + Unpin>> {
    match pipe::Receiver::from_owned_fd(from.try_clone_to_owned()?) {
        Ok(pipe) => Ok(Box::new(pipe)),
        Err(_) => Ok(Box::new(File::from_std(from.try_clone_to_owned()?.into()))),
    }
}

fn writer(to: BorrowedFd<'_>) -> io::Result<Box<dyn AsyncWrite + Unpin>> {
    match pipe::Sender::from_owned_fd(to.try_clone_to_owned()?) {
        Ok(pipe) => Ok(Box::new(pipe)),
        Err(_) => Ok(Box::new(File::from_std(to.try_clone_to_owned()?.into()))),
    }
}

/// Hands ssh the socket of a session that is open, or carries its bytes: also where standard output is none over
/// which a socket could be handed.
///
/// # Errors
/// [`Failure`].
pub async fn socket(socket: &Path, is_carried: bool) -> Result<u8, Failure> {
    if is_carried || !takes_sockets(io::stdout().as_fd()) {
        let carried = async { carry(Box::new(UnixStream::connect(socket).await?)).await };
        return carried.await.map(|()| 0).map_err(|error| {
            let message = format!("`{}` cannot be carried: {error}", socket.display());
            Failure::new(FailureKind::Unreachable, message)
        });
    }
    pass::pass(socket, io::stdout().as_fd()).await.map_err(|error| {
        let message = format!("`{}` cannot be handed to ssh: {error}", socket.display());
        Failure::new(FailureKind::Unreachable, message)
    })?;
    Ok(0)
}

fn takes_sockets(to: BorrowedFd<'_>) -> bool {
    matches!(rustix::net::sockopt::socket_domain(to), Ok(rustix::net::AddressFamily::UNIX))
}

const BUFFER: usize = 256 << 10;
