//! The host's side: answers, and whom they belong to.

use std::collections::HashMap;

use bytes::Bytes;

use super::handles::{Access, File, FileId};
use super::packet::{Packet, kind};
use super::reply::{self, OK, Reply, VERSION};
use super::request::Request;
use super::{Event, Inspector, Phase, Question, UpstreamFault};
use crate::wire::buffer::ReadError;
use crate::wire::ssh::path::RemotePath;

impl Inspector {
    pub(super) fn take_reply(&mut self, packet: Packet) -> Result<(), UpstreamFault> {
        match self.phase {
            Phase::ExpectInit => Err(UpstreamFault::Unexpected(packet.kind())),
            Phase::ExpectVersion => self.take_version(&packet),
            Phase::ExpectStart | Phase::Open => self.take_answered(packet),
        }
    }

    fn take_version(&mut self, packet: &Packet) -> Result<(), UpstreamFault> {
        if packet.kind() != kind::VERSION {
            return Err(UpstreamFault::Unexpected(packet.kind()));
        }
        if packet.id() != VERSION {
            return Err(UpstreamFault::Version(packet.id()));
        }
        let version = reply::version(packet.body()).map_err(malformed(kind::VERSION))?;
        self.client.push(version);
        self.phase = Phase::ExpectStart;
        let ask = Request::Realpath { path: b"." }.encode();
        let bytes = self.outstanding.send(ask, 0, Pending::Start, Vec::new());
        self.upstream.push(bytes);
        Ok(())
    }

    fn take_answered(&mut self, mut packet: Packet) -> Result<(), UpstreamFault> {
        let kind = packet.kind();
        let Sent { client, pending, asked } =
            self.outstanding.take(packet.id()).ok_or(UpstreamFault::Unasked)?;
        let reply = Reply::parse(kind, packet.body())
            .map_err(malformed(kind))?
            .ok_or(UpstreamFault::Unexpected(kind))?;
        let status = if let Reply::Status(code) = reply { code } else { OK };
        match (pending, reply) {
            (Pending::Start, Reply::Name | Reply::Status(_)) => {
                let name = if kind == kind::NAME { reply::first_name(packet.body()) } else { Ok(None) };
                let name = name.map_err(malformed(kind))?;
                self.start = name.and_then(|name| RemotePath::absolute(name).ok());
                let directory = self.start.as_ref().map(RemotePath::shown);
                self.events.push_back(Event::Started { directory });
                self.phase = Phase::Open;
                return Ok(());
            }
            (Pending::Open { path, access }, Reply::Handle(handle)) => {
                let file = File { path, access, asked: asked.clone(), read: 0, written: 0 };
                // INVARIANT: a handle stands for the one path that was judged
                if !self.handles.insert(handle, file) {
                    return Err(UpstreamFault::Reused);
                }
            }
            (Pending::Read { file, length }, Reply::Data { length: sent }) => {
                let sent = u64::try_from(sent).unwrap_or(u64::MAX);
                if sent > u64::from(length) {
                    return Err(UpstreamFault::Oversized);
                }
                if let Some(file) = self.handles.file(file) {
                    file.read = file.read.saturating_add(sent);
                }
            }
            (Pending::Write { file, length }, Reply::Status(code)) => {
                if let Some(file) = self.handles.file(file).filter(|_| code == OK) {
                    file.written = file.written.saturating_add(u64::from(length));
                }
            }
            (Pending::Close { file }, Reply::Status(_)) => {
                if let Some(file) = self.handles.remove(file) {
                    self.report_closed(file);
                }
            }
            (Pending::Limits, Reply::Extended) => {
                let limits = reply::limits(client, packet.body(), self.options.handles);
                self.client.push(limits.map_err(malformed(kind))?);
                return Ok(());
            }
            // a request that wants more than a STATUS gets none of success, but servers do so for READDIR
            (Pending::Open { .. }, Reply::Status(OK)) => return Err(UpstreamFault::Unexpected(kind)),
            (_, Reply::Status(_))
            | (Pending::Plain(Answers::Attributes), Reply::Attributes)
            | (Pending::Plain(Answers::Extended), Reply::Extended)
            | (Pending::Plain(Answers::Name), Reply::Name) => {}
            _ => return Err(UpstreamFault::Unexpected(kind)),
        }
        if !asked.is_empty() {
            self.events.push_back(Event::Finished { asked, status });
        }
        packet.set_id(client);
        self.client.push(packet.into_bytes());
        Ok(())
    }
}

fn malformed(kind: u8) -> impl Fn(ReadError) -> UpstreamFault {
    move |error| UpstreamFault::Malformed { kind, error }
}

/// What the host has not answered, by the id that we gave it.
#[derive(Debug, Default)]
pub(super) struct Outstanding {
    sent: HashMap<u32, Sent>,
    last: u32,
}

impl Outstanding {
    pub(super) fn len(&self) -> usize {
        self.sent.len()
    }

    /// How many of them open something.
    pub(super) fn opening(&self) -> usize {
        self.sent.values().filter(|sent| matches!(sent.pending, Pending::Open { .. })).count()
    }

    /// Gives the packet an id of ours and remembers whose it is.
    pub(super) fn send(
        &mut self,
        mut packet: Packet,
        client: u32,
        pending: Pending,
        asked: Vec<Question>,
    ) -> Bytes {
        // INVARIANT: no two requests on their way have one id; there are fewer of them than ids
        loop {
            self.last = self.last.wrapping_add(1);
            if !self.sent.contains_key(&self.last) {
                break;
            }
        }
        self.sent.insert(self.last, Sent { client, pending, asked });
        packet.set_id(self.last);
        packet.into_bytes()
    }

    fn take(&mut self, id: u32) -> Option<Sent> {
        self.sent.remove(&id)
    }

    /// The questions of everything that is left and was asked about.
    pub(super) fn drain(&mut self) -> Vec<Vec<Question>> {
        let mut asked: Vec<_> = self.sent.drain().map(|(_, sent)| sent.asked).collect();
        asked.retain(|asked| !asked.is_empty());
        asked.sort_by_key(|asked| asked.first().map(|question| question.id));
        asked
    }
}

#[derive(Debug)]
struct Sent {
    client: u32,
    pending: Pending,
    asked: Vec<Question>,
}

/// What an answer will mean.
#[derive(Debug, Clone)]
pub(super) enum Pending {
    Close {
        file: FileId,
    },
    Limits,
    Open {
        path: RemotePath,
        access: Access,
    },
    /// Nothing for us.
    Plain(Answers),
    Read {
        file: FileId,
        length: u32,
    },
    /// Our own question where paths start.
    Start,
    Write {
        file: FileId,
        length: u32,
    },
}

/// What a request may be answered with, other than a STATUS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answers {
    Attributes,
    Extended,
    Name,
    Nothing,
}
