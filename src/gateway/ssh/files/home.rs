//! Where relative paths start on the host.
//!
//! Job: ask the host's own `sftp` where it starts: the old scp protocol has no way to say it, and what is
//! judged has to be an absolute path. Boundary: runs nothing but the subsystem. Failure mode: `None`, upon
//! which only absolute paths can be judged.

use std::time::Duration;

use bytes::BytesMut;
use russh::ChannelMsg;

use crate::gateway::ssh::dial::Link;
use crate::wire::buffer::Reader;
use crate::wire::ssh::path::RemotePath;
use crate::wire::ssh::sftp::{Packet, Request};

/// The directory that the login starts in.
pub(in crate::gateway::ssh) async fn home(link: &Link) -> Option<RemotePath> {
    tokio::time::timeout(PATIENCE, ask(link)).await.ok().flatten()
}

async fn ask(link: &Link) -> Option<RemotePath> {
    let mut channel = link.channel_open_session().await.ok()?;
    channel.request_subsystem(true, "sftp").await.ok()?;
    let hello = Packet::build(INIT, VERSION, |_| {});
    channel.data_bytes(hello.into_bytes()).await.ok()?;
    channel.data_bytes(Request::Realpath { path: b"." }.encode().into_bytes()).await.ok()?;
    let mut input = BytesMut::new();
    let found = loop {
        match channel.wait().await? {
            ChannelMsg::Data { data } => input.extend_from_slice(&data),
            ChannelMsg::Failure | ChannelMsg::Close | ChannelMsg::Eof => return None,
            _ => {}
        }
        let mut found = None;
        while let Some(packet) = Packet::take(&mut input).ok()? {
            if packet.kind() != HELLO {
                found = Some(packet);
            }
        }
        if let Some(packet) = found {
            break packet;
        }
    };
    let _sent = channel.close().await;
    if found.kind() != NAME {
        return None;
    }
    let mut reader = Reader::new(found.body());
    if reader.u32().ok()? != 1 {
        return None;
    }
    let length = usize::try_from(reader.u32().ok()?).ok()?;
    RemotePath::absolute(reader.bytes(length).ok()?).ok()
}

/// How long the host may take.
const PATIENCE: Duration = Duration::from_secs(10);
// draft-ietf-secsh-filexfer-02 §3 and §4
const INIT: u8 = 1;
const HELLO: u8 = 2;
const NAME: u8 = 104;
const VERSION: u32 = 3;
