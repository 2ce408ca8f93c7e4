//! A channel that carries files.
//!
//! Job: drive an inspecting machine between a client and the host's `sftp` or `scp`: each operation is an
//! action of its own, judged, entered and recorded before the host hears of it. Boundary: what the bytes mean
//! is the machine's; contents pass as they are. Failure mode: an operation that is refused fails alone, and is
//! told on standard error as well; a stream that cannot be followed ends the channel.

mod home;
mod machine;

use std::collections::{HashMap, VecDeque};

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use russh::{ChannelMsg, ChannelReadHalf};
use tokio::sync::mpsc;

pub(super) use self::home::home;
use self::machine::Seen;
pub(super) use self::machine::{Fault, Machine};
use super::channel::{Broken, End, Host, TROUBLE, noticed, said};
use super::client::Client;
use super::docket::Docket;
use super::mail::{Ask, Mail};
use super::shared::{Shared, case};
use crate::domain::action::Deed;
use crate::domain::facts::FileFacts;
use crate::gateway::hold::Notice;
use crate::gateway::judge::{Judged, Refused};
use crate::recording::item::Outcome;
use crate::wire::ssh::refusal::Refusal;

/// Moves files until the channel is over; whether the host's connection can be used again, else how the
/// client is told of its end.
pub(super) async fn run(
    shared: &Shared,
    (client, mail): (&Client, &mut Mail),
    (mut read, host): (ChannelReadHalf, Host),
    machine: Machine,
) -> Result<Result<bool, End>, Broken> {
    let (docket, told) = Docket::new(shared.turnstile.clone());
    let mut drive = Drive {
        shared,
        client,
        host: &host,
        machine,
        from_client: BytesMut::new(),
        from_host: BytesMut::new(),
        docket,
        numbers: HashMap::new(),
        writes: FuturesUnordered::new(),
        busy: [false; 2],
        words: VecDeque::new(),
        ending: VecDeque::new(),
        stage: Stage::Open,
    };
    let end = drive.run(mail, &mut read, told).await;
    drive.machine.finish();
    drive.record().await?;
    drop(drive);
    let _sent = host.close().await;
    end
}

/// The two sides that are written to.
const CLIENT: usize = 0;
const HOST: usize = 1;
/// More input of a side than this waits where it comes from.
const INPUT: usize = 512 * 1024;
/// More lines than this are not told.
const WORDS: usize = 256;

/// How far the client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// It sends nothing more; the host is still to be told.
    Ended,
    /// And the host was told.
    Told,
    /// It has closed the channel, or has left.
    Left,
}

struct Drive<'a> {
    shared: &'a Shared,
    client: &'a Client,
    host: &'a Host,
    machine: Machine,
    /// What was not taken yet.
    from_client: BytesMut,
    from_host: BytesMut,
    /// Operations that are being judged.
    docket: Docket<u64>,
    /// The number of the deed that a question became.
    numbers: HashMap<u64, u64>,
    /// At most one for each side.
    writes: FuturesUnordered<BoxFuture<'a, (usize, bool)>>,
    busy: [bool; 2],
    /// For standard error.
    words: VecDeque<Bytes>,
    /// What the host says of its end, which comes behind all that it has sent.
    ending: VecDeque<ChannelMsg>,
    stage: Stage,
}

impl Drive<'_> {
    async fn run(
        &mut self,
        mail: &mut Mail,
        read: &mut ChannelReadHalf,
        mut told: mpsc::UnboundedReceiver<Notice>,
    ) -> Result<Result<bool, End>, Broken> {
        loop {
            if let Err(fault) = self.step().await? {
                return Ok(Err(End::Told(fault.to_string(), TROUBLE)));
            }
            if self.stage == Stage::Left && self.docket.is_empty() {
                return Ok(Ok(false));
            }
            if let Some(clean) = self.pass_end().await {
                return Ok(Ok(clean));
            }
            let open = matches!(self.stage, Stage::Open | Stage::Ended | Stage::Told);
            let takes_client = open && self.from_client.len() < INPUT && self.machine.wants_client();
            let takes_host =
                self.ending.is_empty() && self.from_host.len() < INPUT && self.machine.wants_host();
            tokio::select! {
                Some((id, judged)) = self.docket.next(), if !self.docket.is_empty() => {
                    self.answer(id, judged?);
                }
                Some((side, sent)) = self.writes.next(), if !self.writes.is_empty() => {
                    if let Some(busy) = self.busy.get_mut(side) {
                        *busy = false;
                    }
                    if !sent && side == CLIENT {
                        self.leave();
                    }
                }
                Some(notice) = told.recv() => self.say(noticed(&notice)),
                ask = mail.next(), if takes_client => self.hear(ask).await,
                message = read.wait(), if takes_host => match message {
                    Some(ChannelMsg::Data { data }) => self.from_host.extend_from_slice(&data),
                    Some(ChannelMsg::ExtendedData { data, .. }) => self.say(data),
                    Some(
                        message @ (ChannelMsg::Eof
                        | ChannelMsg::ExitStatus { .. }
                        | ChannelMsg::ExitSignal { .. }
                        | ChannelMsg::Close
                        | ChannelMsg::Failure),
                    ) => self.ending.push_back(message),
                    // what holds up reading must not be held up by windows and the like
                    Some(_) => {}
                    None => return Ok(Ok(false)),
                },
            }
        }
    }

    /// Lets the machine do all that it can do now.
    async fn step(&mut self) -> Result<Result<(), Fault>, Broken> {
        loop {
            let before = (self.from_client.len(), self.from_host.len());
            let taken = self
                .machine
                .handle_client(&mut self.from_client)
                .and_then(|()| self.machine.handle_host(&mut self.from_host));
            if let Err(fault) = taken {
                return Ok(Err(fault));
            }
            let mut moved = before != (self.from_client.len(), self.from_host.len());
            while let Some((id, facts)) = self.machine.question() {
                moved = true;
                self.ask(id, facts);
            }
            self.record().await?;
            moved |= self.write();
            if !moved {
                return Ok(Ok(()));
            }
        }
    }

    fn ask(&mut self, id: u64, facts: FileFacts) {
        let text = shown(&facts);
        self.docket.put(id, case(Deed::File(facts), text));
    }

    fn answer(&mut self, id: u64, judged: Judged) {
        match judged {
            Ok(number) => {
                self.numbers.insert(id, number);
                self.machine.answer(id, None);
            }
            Err(Refused { denial, .. }) => {
                let refusal =
                    Refusal { rule: denial.rule.to_string(), reason: denial.reason, hint: denial.hint };
                self.say(Bytes::from(format!("{refusal}\r\n")));
                self.machine.answer(id, Some(refusal));
            }
        }
    }

    /// Records how operations ended.
    async fn record(&mut self) -> Result<(), Broken> {
        while let Some(seen) = self.machine.event() {
            let (asked, tag, error) = match seen {
                Seen::Nothing => continue,
                Seen::Refused(reason) => {
                    self.say(said(&reason));
                    continue;
                }
                Seen::Done { asked, tag } => (asked, Some(tag), None),
                Seen::Failed { asked, why } => {
                    (asked.into_iter().map(|id| (id, 0)).collect(), None, Some(why))
                }
            };
            for (id, bytes) in asked {
                let Some(number) = self.numbers.remove(&id) else { continue };
                let outcome = Outcome { number, rows: bytes, tag: tag.clone(), error: error.clone() };
                self.shared.turnstile.reel().outcome(&outcome).await?;
            }
        }
        Ok(())
    }

    /// Begins to write what waits; whether there was something.
    fn write(&mut self) -> bool {
        let mut began = false;
        let [client_busy, host_busy] = self.busy;
        if !client_busy {
            let client = self.client;
            let next: Option<BoxFuture<'_, bool>> = if let Some(words) = self.words.pop_front() {
                Some(Box::pin(async move { client.error(words).await.is_ok() }))
            } else if let Some(bytes) = self.machine.take_for_client() {
                Some(Box::pin(async move { client.data(bytes).await.is_ok() }))
            } else {
                None
            };
            if let Some(next) = next {
                self.writes.push(Box::pin(async move { (CLIENT, next.await) }));
                began = true;
            }
        }
        if !host_busy && let Some(bytes) = self.machine.take_for_host() {
            let host = self.host;
            self.writes.push(Box::pin(async move { (HOST, host.data_bytes(bytes).await.is_ok()) }));
            self.busy = [client_busy || began, true];
            return true;
        }
        self.busy = [client_busy || began, host_busy];
        began
    }

    async fn hear(&mut self, ask: Option<Ask>) {
        match ask {
            Some(Ask::Data(bytes)) => self.from_client.extend_from_slice(&bytes),
            Some(Ask::Eof) => self.stage = Stage::Ended,
            Some(Ask::Signal(signal)) => drop(self.host.signal(signal).await),
            Some(Ask::Close) | None => self.leave(),
            // a channel runs one thing, and this one has no terminal
            Some(_) => {}
        }
    }

    /// The client does not wait for anything any more.
    fn leave(&mut self) {
        self.stage = Stage::Left;
        self.docket.give_up();
    }

    /// Passes on the ends of the two directions, each behind all that came before it. Whether the host has
    /// closed properly, once it has closed.
    async fn pass_end(&mut self) -> Option<bool> {
        let quiet = self.docket.is_empty() && self.writes.is_empty();
        if !quiet {
            return None;
        }
        if self.stage == Stage::Ended && self.machine.is_through(&self.from_client) {
            self.stage = Stage::Told;
            let _sent = self.host.eof().await;
        }
        while let Some(message) = self.ending.pop_front() {
            match message {
                // it goes out in front of the close: behind it, the status might be too late for the client
                ChannelMsg::Eof => {}
                ChannelMsg::ExitStatus { exit_status } => {
                    drop(self.client.exit_status(exit_status).await);
                }
                ChannelMsg::ExitSignal { signal_name, core_dumped, error_message, lang_tag } => {
                    let how = (signal_name, core_dumped, error_message, lang_tag);
                    self.shared.tell_signal(self.client.id(), how).await;
                }
                ChannelMsg::Close => return Some(true),
                ChannelMsg::Failure => {
                    let text = "the host refused to start it";
                    let _sent = self.client.error(said(text)).await;
                    let _sent = self.client.exit_status(u32::from(TROUBLE)).await;
                    return Some(false);
                }
                _ => {}
            }
        }
        None
    }

    fn say(&mut self, words: Bytes) {
        if self.words.len() < WORDS {
            self.words.push_back(words);
        }
    }
}

fn shown(facts: &FileFacts) -> String {
    let FileFacts { operation, path, to } = facts;
    match to {
        Some(to) => format!("{} {path} -> {to}", operation.as_str()),
        None => format!("{} {path}", operation.as_str()),
    }
}
