//! What a client is shown of one channel.
//!
//! Job: pass on what the host says, masked where the target has detectors, recorded before it goes out, and
//! in the host's order: bytes, end, status, close; only that a status goes in front of the end, see
//! [`COURTESY`]. Boundary: knows nothing of what runs. Failure mode: the recording's error.

use std::time::Duration;

use bytes::Bytes;
use russh::{ChannelMsg, ChannelReadHalf};
use tokio::time::Instant;

use super::channel::{Broken, ERR, OUT, TROUBLE, said};
use super::client::Client;
use super::shared::Shared;
use super::veil::Veil;
use crate::gateway::journal::ItemKind;

/// One channel's.
pub(super) struct Display {
    /// Of the deed whose output it is.
    pub(super) number: u64,
    /// How many bytes were shown.
    pub(super) bytes: u64,
    /// How it ended.
    pub(super) tag: Option<String>,
    veil: Option<Veil>,
    /// Whether what it shows is kept.
    is_kept: bool,
    /// Whether something runs that will have a status.
    has_status: bool,
    /// Until when the end of the data waits for the status.
    ending: Option<Instant>,
    /// The end of what was shown.
    tail: Vec<u8>,
}

/// What comes from the host.
pub(super) enum Heard {
    Message(ChannelMsg),
    /// Nothing, for so long that what is held back may be shown.
    Pause,
    /// Nothing any more.
    Silence,
}

impl Display {
    /// What people read.
    pub(super) fn new(number: u64, veil: Option<Veil>) -> Self {
        let (is_kept, has_status) = (true, true);
        Self { number, bytes: 0, tag: None, veil, is_kept, has_status, ending: None, tail: Vec::new() }
    }

    /// A protocol of its own, which passes as it is: for that reason INVARIANT: nothing of it is kept but how much it
    /// was, since no mask has seen it.
    pub(super) fn carried(number: u64) -> Self {
        Self { is_kept: false, ..Self::new(number, None) }
    }

    /// Of a connection, which has no status.
    pub(super) fn forwarded(number: u64) -> Self {
        Self { has_status: false, ..Self::carried(number) }
    }

    /// What comes next. May be dropped at any time.
    pub(super) async fn listen(&mut self, read: &mut ChannelReadHalf) -> Heard {
        let patience = self.veil.as_ref().and_then(Veil::patience).map(|patience| Instant::now() + patience);
        let message = match self.ending.or(patience) {
            Some(until) => match tokio::time::timeout_at(until, read.wait()).await {
                Ok(message) => message,
                Err(_) => return Heard::Pause,
            },
            None => read.wait().await,
        };
        message.map_or(Heard::Silence, Heard::Message)
    }

    /// Shows everything up to the end; whether the host has closed properly.
    pub(super) async fn rest(
        &mut self,
        shared: &Shared,
        read: &mut ChannelReadHalf,
        client: &Client,
    ) -> Result<bool, Broken> {
        loop {
            let heard = self.listen(read).await;
            if let Some(clean) = self.show(shared, client, heard).await? {
                return Ok(clean);
            }
        }
    }

    /// Shows it; `Some` when it was the last, and whether the host has closed properly.
    pub(super) async fn show(
        &mut self,
        shared: &Shared,
        client: &Client,
        heard: Heard,
    ) -> Result<Option<bool>, Broken> {
        let message = match heard {
            Heard::Message(message) => message,
            Heard::Pause => {
                let is_there = self.uncover(shared, client).await? && self.end(client).await;
                return Ok((!is_there).then_some(false));
            }
            Heard::Silence => return Ok(Some(false)),
        };
        // what ends the streams comes behind what was held back; a window or a status may come amid them
        let is_end = matches!(message, ChannelMsg::Eof | ChannelMsg::Close | ChannelMsg::Failure);
        if is_end && !self.uncover(shared, client).await? {
            return Ok(Some(false));
        }
        let sent = match message {
            ChannelMsg::Data { data } => {
                let data = self.covered(false, data);
                self.put(shared, client, false, data).await?
            }
            ChannelMsg::ExtendedData { data, .. } => {
                let data = self.covered(true, data);
                self.put(shared, client, true, data).await?
            }
            ChannelMsg::Eof => {
                self.ending = Some(Instant::now() + COURTESY);
                let waits = self.has_status && self.tag.is_none();
                waits || self.end(client).await
            }
            ChannelMsg::ExitStatus { exit_status } => {
                self.tag = Some(format!("exit {exit_status}"));
                client.exit_status(exit_status).await.is_ok() && self.end(client).await
            }
            ChannelMsg::ExitSignal { signal_name, core_dumped, error_message, lang_tag } => {
                self.tag = Some(format!("signal {signal_name:?}"));
                let how = (signal_name, core_dumped, error_message, lang_tag);
                shared.tell_signal(client.id(), how).await;
                self.end(client).await
            }
            ChannelMsg::Failure => {
                let text = "the host refused to start it";
                self.tag = Some(text.into());
                let _sent = client.error(said(text)).await;
                let _sent = client.exit_status(u32::from(TROUBLE)).await;
                return Ok(Some(false));
            }
            ChannelMsg::Close => return Ok(Some(true)),
            _ => true,
        };
        // otherwise the client has left
        Ok((!sent).then_some(false))
    }

    /// Whether what was shown last asks for a password, as far as that can be told.
    pub(super) fn asks_for_secret(&self) -> bool {
        let text = String::from_utf8_lossy(&self.tail).to_lowercase();
        let line = text.rsplit(['\n', '\r']).next().unwrap_or_default().trim_end();
        line.ends_with(':') && ["password", "passphrase", "passcode"].iter().any(|word| line.contains(word))
    }

    /// Passes the end of the data on, if it has come; whether the client is still there.
    async fn end(&mut self, client: &Client) -> bool {
        match self.ending.take() {
            Some(_) => client.eof().await.is_ok(),
            None => true,
        }
    }

    fn covered(&mut self, is_error: bool, data: Bytes) -> Bytes {
        match &mut self.veil {
            Some(veil) => veil.cover(is_error, &data),
            None => data,
        }
    }

    /// Shows what was held back; whether the client is still there.
    async fn uncover(&mut self, shared: &Shared, client: &Client) -> Result<bool, Broken> {
        let Some(veil) = self.veil.as_mut().filter(|veil| veil.holds()) else { return Ok(true) };
        let (out, err) = (veil.rest(false), veil.rest(true));
        Ok(self.put(shared, client, false, out).await? && self.put(shared, client, true, err).await?)
    }

    /// Records and sends; whether the client is still there.
    async fn put(
        &mut self,
        shared: &Shared,
        client: &Client,
        is_error: bool,
        data: Bytes,
    ) -> Result<bool, Broken> {
        if data.is_empty() {
            return Ok(true);
        }
        let stream = if is_error { ERR } else { OUT };
        if self.is_kept {
            shared.turnstile.reel().piece(ItemKind::Screen, self.number, stream, &data).await?;
        }
        let from = data.len().saturating_sub(TAIL);
        self.tail.extend_from_slice(data.get(from..).unwrap_or_default());
        let forgotten = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..forgotten);
        if is_error {
            return Ok(client.error(data).await.is_ok());
        }
        self.bytes = self.bytes.saturating_add(u64::try_from(data.len()).unwrap_or_default());
        Ok(client.data(data).await.is_ok())
    }
}

/// For how long the end of the data waits for the status. sshd tells them in this order, and Dropbear's client closes
/// at the end once its own input has ended; what closes a channel here closes it both ways (RFC 4254 §5.3), so that a
/// status behind it would be lost and the client would end with 0. Whoever ends the output and works on is not kept
/// waiting for it.
const COURTESY: Duration = Duration::from_millis(500);
/// How much of what was shown is remembered.
const TAIL: usize = 128;
