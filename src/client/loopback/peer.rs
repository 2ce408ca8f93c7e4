//! Who is at the other end of a loopback connection.
//!
//! Job: user and process of a peer, and whether it descends from the child. Boundary: asks the
//! kernel only. Failure mode: whoever cannot be told is refused. A process of the same user can
//! still trace the child, so for that user this is a hurdle and not a wall (design §3.9).

use std::net::SocketAddr;

use tokio::net::UnixStream;

/// What the kernel says of a peer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peer {
    /// Its user; unknown when the kernel could not tell.
    pub uid: Option<u32>,
    /// Its process, where the platform tells.
    pub pid: Option<i32>,
    /// Its program, where the platform tells.
    pub exe: Option<String>,
}

/// A process that cannot be mistaken for a later one with the same id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// When it started, in the kernel's ticks; zero where the platform does not tell.
    pub start: u64,
}

/// Whether a peer may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It may.
    Allow,
    /// It may not, for this reason.
    Refuse(&'static str),
}

/// Decides on a peer; with a child, only its descendants may pass.
#[must_use]
pub fn decide(peer: &Peer, child: Option<&Process>) -> Decision {
    match peer.uid {
        None => return Decision::Refuse("the calling process could not be identified"),
        Some(uid) if uid != rustix::process::geteuid().as_raw() => {
            return Decision::Refuse("this loopback belongs to another user");
        }
        Some(_) => {}
    }
    match child {
        None => Decision::Allow,
        Some(child) => platform::lineage(peer, child),
    }
}

/// The peer of a Unix socket, as it was when it connected.
#[must_use]
pub fn of_unix(socket: &UnixStream) -> Peer {
    let Ok(credential) = socket.peer_cred() else { return Peer::default() };
    let pid = credential.pid();
    Peer { uid: Some(credential.uid()), pid, exe: pid.and_then(platform::program) }
}

/// The peer of a loopback TCP connection, found in the kernel's tables.
#[must_use]
pub fn of_tcp(here: SocketAddr, there: SocketAddr) -> Peer {
    platform::of_tcp(here, there)
}

impl Process {
    /// Looks at a process that is running now.
    #[must_use]
    pub fn observe(pid: i32) -> Option<Self> {
        platform::observe(pid)
    }
}

#[cfg(target_os = "linux")]
mod platform {
    use std::net::SocketAddr;

    use procfs::process::{FDTarget, Process as Proc, Stat, all_processes};

    use super::{Decision, Peer, Process};

    pub(super) fn observe(pid: i32) -> Option<Process> {
        stat(pid).map(|stat| Process { pid, start: stat.starttime })
    }

    pub(super) fn program(pid: i32) -> Option<String> {
        Some(Proc::new(pid).ok()?.exe().ok()?.display().to_string())
    }

    pub(super) fn lineage(peer: &Peer, child: &Process) -> Decision {
        match peer.pid {
            Some(pid) if descends(pid, child) => Decision::Allow,
            Some(_) => Decision::Refuse("only the program that hoopctl started may use this loopback"),
            None => Decision::Refuse("the calling process could not be identified"),
        }
    }

    /// Walks from the peer up to the child. A process id that was handed to another process
    /// in between shows: a parent is never younger than its child, and the peer must still be the
    /// same process at the end.
    fn descends(pid: i32, child: &Process) -> bool {
        let Some(first) = stat(pid) else { return false };
        let start = first.starttime;
        let mut current = first;
        for _ in 0..MAX_DEPTH {
            if current.pid == child.pid {
                return current.starttime == child.start
                    && stat(pid).is_some_and(|now| now.starttime == start);
            }
            if current.ppid <= 1 {
                return false;
            }
            match stat(current.ppid) {
                Some(parent) if parent.starttime <= current.starttime => current = parent,
                _ => return false,
            }
        }
        false
    }

    pub(super) fn of_tcp(here: SocketAddr, there: SocketAddr) -> Peer {
        // a socket of both families calls by a mapped address (RFC 4291 §2.5.5.2), as those of gRPC's C core do
        let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        // the peer's own end: what is remote for us is local for it
        let ends = |e: &procfs::net::TcpNetEntry| {
            plain(e.local_address) == plain(there) && plain(e.remote_address) == plain(here)
        };
        let of = |table: procfs::ProcResult<Vec<_>>| table.into_iter().flatten().find(ends);
        let end = match here.is_ipv4() {
            true => of(procfs::net::tcp()).or_else(|| of(procfs::net::tcp6())),
            false => of(procfs::net::tcp6()),
        };
        let Some(end) = end else { return Peer::default() };
        // sockets of other users cannot be looked up further, and need not be
        let pid = (end.uid == rustix::process::geteuid().as_raw()).then(|| holder(end.inode)).flatten();
        Peer { uid: Some(end.uid), pid, exe: pid.and_then(program) }
    }

    /// The one process that holds a socket; none when several do, for then any of them may speak.
    fn holder(inode: u64) -> Option<i32> {
        let me = i32::try_from(std::process::id()).ok()?;
        let holds = |process: &Proc| {
            let Ok(open) = process.fd() else { return false };
            open.flatten().any(|fd| matches!(fd.target, FDTarget::Socket(found) if found == inode))
        };
        let mut holders = all_processes().ok()?.flatten().filter(|p| p.pid != me && holds(p)).map(|p| p.pid);
        let first = holders.next()?;
        holders.next().is_none().then_some(first)
    }

    fn stat(pid: i32) -> Option<Stat> {
        Proc::new(pid).ok()?.stat().ok()
    }

    const MAX_DEPTH: usize = 256;
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use std::net::SocketAddr;

    use super::{Decision, Peer, Process};

    pub(super) fn observe(pid: i32) -> Option<Process> {
        Some(Process { pid, start: 0 })
    }

    pub(super) fn program(_pid: i32) -> Option<String> {
        None
    }

    /// The platform does not tell processes of one user apart; the session's secret must do.
    pub(super) fn lineage(_peer: &Peer, _child: &Process) -> Decision {
        Decision::Allow
    }

    /// There is no table to look in, so the session's secret must do.
    pub(super) fn of_tcp(_here: SocketAddr, _there: SocketAddr) -> Peer {
        Peer { uid: Some(rustix::process::geteuid().as_raw()), ..Peer::default() }
    }
}
