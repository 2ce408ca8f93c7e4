//! One channel, from its opening to its close.
//!
//! Job: collect what belongs to it, judge what it is to do, open its other half at the host, and move bytes
//! both ways. Boundary: each direction moves by itself; what is shown is recorded before it goes out.
//! Failure mode: a refusal on standard error with an exit status of ours.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use russh::server::ChannelOpenHandle;
use russh::{ChannelOpenFailure, ChannelReadHalf, ChannelWriteHalf, client};
use tokio::sync::mpsc;

use super::client::Client;
use super::dial::{DialError, Link, Reverse, ReverseKind};
use super::display::Display;
use super::files::{self, Machine};
use super::mail::{Ask, Mail, Terminal};
use super::shared::{Shared, case};
use super::supervised;
use crate::domain::action::{Deed, Shell};
use crate::domain::facts::ForwardFacts;
use crate::gateway::hold::{Interrupt, Notice};
use crate::gateway::journal::{ItemKind, JournalError};
use crate::gateway::judge::{Case, Judged, Refused, RefusedBy};
use crate::recording::item::{Outcome, Resize};
use crate::shell::{self, Transfer};
use crate::wire::ssh::scp;

/// The host's side of a channel.
pub(super) type Host = ChannelWriteHalf<client::Msg>;

/// Where a direct channel goes.
#[derive(Debug, Clone)]
pub(super) enum Destination {
    /// A Unix socket of the host.
    Socket(String),
    /// A port that the host can reach, and where the client says that it comes from.
    Tcp { host: String, port: u32, from: (String, u32) },
}

/// What a session channel is to run.
enum Work {
    Exec(Vec<u8>),
    Shell,
    Subsystem(String),
}

/// What goes with it.
#[derive(Default)]
struct Setting {
    terminal: Option<Box<Terminal>>,
    env: BTreeMap<String, String>,
    agent: bool,
    x11: Option<(bool, String, String, u32)>,
}

impl Setting {
    /// Whether another variable fits.
    fn has_room(&self, value: &str) -> bool {
        self.env.len() < MOST_VARIABLES && value.len() <= LONGEST_VALUE
    }

    /// The variables, as reviewers may see them.
    fn shown(&self, shared: &Shared) -> BTreeMap<String, String> {
        let shown = |(name, value): (&String, &String)| (name.clone(), shared.redacted(value.clone()));
        self.env.iter().map(shown).collect()
    }
}

/// How work is judged.
enum Aim {
    /// Not at all: this is why.
    Refuse(&'static str),
    /// File by file, by the words of the old `scp`.
    Scp(Vec<String>),
    /// File by file.
    Sftp,
    /// As a whole; what it shows is for people, and masked, unless it is a protocol of its own.
    Whole { case: Box<Case>, is_shown: bool },
}

/// How a channel ended.
pub(super) enum End {
    /// It was refused or failed, which the client is told, with this exit status.
    Told(String, u8),
    /// It is over, or the client has left.
    Over,
}

impl From<JournalError> for Broken {
    fn from(error: JournalError) -> Self {
        Self(error)
    }
}

/// What ends the connection.
pub(super) struct Broken(pub(super) JournalError);

/// Standard output and error in a recording.
pub(super) const OUT: u8 = 1;
pub(super) const ERR: u8 = 2;
/// How many variables a channel may set, and how long each may be.
const MOST_VARIABLES: usize = 64;
const LONGEST_VALUE: usize = 4096;
/// How long the host may take to close a channel that the client has closed.
pub(super) const LINGER: Duration = Duration::from_secs(5);

/// A session channel.
pub(super) async fn session(shared: Arc<Shared>, client: Client, mut mail: Mail) {
    let end = match run(&shared, &client, &mut mail).await {
        Ok(end) => end,
        Err(Broken(error)) => {
            shared.break_off(&error);
            End::Told(format!("the session ends: {error}"), TROUBLE)
        }
    };
    let id = client.id();
    // whoever has left is told nothing
    if let End::Told(text, code) = end {
        let _sent = client.error(said(&text)).await;
        let _sent = client.exit_status(u32::from(code)).await;
    }
    let _sent = client.eof().await;
    let _sent = client.close().await;
    shared.boxes.close(id);
}

async fn run(shared: &Shared, client: &Client, mail: &mut Mail) -> Result<End, Broken> {
    let mut setting = Setting::default();
    let work = loop {
        match mail.next().await {
            Some(Ask::Agent) => setting.agent = true,
            Some(Ask::Env(name, value)) => {
                let deed = Deed::Env { name: name.clone() };
                // the value may be a secret: it is in the digest, and reviewers see it where it matters
                let exact = format!("{name}={value}").into_bytes();
                let case = Case { exact, ..case(deed, name.clone()) };
                // as sshd does with what its AcceptEnv does not name: it is left out, and the rest goes on
                if setting.has_room(&value) && shared.turnstile.judge_at_once(&case).await?.is_ok() {
                    setting.env.insert(name, value);
                }
            }
            Some(Ask::Exec(command)) => break Work::Exec(command),
            Some(Ask::Pty(terminal)) => setting.terminal = Some(terminal),
            Some(Ask::Shell) => break Work::Shell,
            Some(Ask::Subsystem(name)) => break Work::Subsystem(name),
            Some(Ask::Window(size)) => {
                if let Some(terminal) = &mut setting.terminal {
                    terminal.size = size;
                }
            }
            Some(Ask::X11 { single, protocol, cookie, screen }) => {
                setting.x11 = Some((single, protocol, cookie, screen));
            }
            Some(Ask::Close) | None => return Ok(End::Over),
            Some(Ask::Data(_) | Ask::Eof | Ask::Signal(_)) => {}
        }
    };
    let (case, is_shown) = match aim(&work, &setting, shared) {
        Aim::Refuse(why) => return Ok(End::Told(format!("denied: {why}"), DENIED)),
        Aim::Scp(words) => return carry(shared, (client, mail), work, Some(words), setting).await,
        Aim::Sftp => return carry(shared, (client, mail), work, None, setting).await,
        Aim::Whole { case, is_shown } => (case, is_shown),
    };
    let number = match wait(shared, client, mail, &case, setting.terminal.is_some()).await? {
        Ok(number) => number,
        Err(refused) => return Ok(told(&refused)),
    };
    let link = match shared.upstreams.take().await {
        Ok(link) => link,
        Err(error) => return Ok(unreachable(shared, &error)),
    };
    let is_supervised = matches!(work, Work::Shell) && shared.target.supervised;
    let (mut read, host) = match start(&link, work, &setting).await {
        Ok(started) => started,
        Err(error) => return Ok(unreachable(shared, &error.into())),
    };
    if let Some(terminal) = &setting.terminal {
        let [columns, rows, ..] = terminal.size;
        shared.turnstile.reel().json(ItemKind::Resize, &Resize { number, columns, rows }).await?;
    }
    let mut display = match is_shown {
        true => Display::new(number, shared.veil(setting.terminal.is_some())),
        false => Display::carried(number),
    };
    let clean = if is_supervised {
        supervised::run(shared, (client, mail), (&mut read, &host), &mut display).await?
    } else {
        relay(shared, (client, mail), (&mut read, &host), &mut display).await?
    };
    let _sent = host.close().await;
    record(shared, display).await?;
    if clean {
        shared.upstreams.give_back(link);
    }
    Ok(End::Over)
}

fn aim(work: &Work, setting: &Setting, shared: &Shared) -> Aim {
    let terminal = setting.terminal.is_some();
    let whole = |case: Case, is_shown| {
        let case = Case { settings: setting.shown(shared), ..case };
        Aim::Whole { case: Box::new(case), is_shown }
    };
    match work {
        Work::Exec(command) => {
            let judged = shell::judge(command, terminal);
            let is_shown = match judged.transfer {
                Some(Transfer::Sftp) => return Aim::Sftp,
                Some(Transfer::ScpFrom(_) | Transfer::ScpTo(_)) => {
                    let why = "scp's old protocol asks for files by a pattern; name them, or leave -O out";
                    return shell::words(command).map_or(Aim::Refuse(why), Aim::Scp);
                }
                transfer => transfer.is_none(),
            };
            let text = shared.redacted(String::from_utf8_lossy(command).into_owned());
            whole(Case { exact: command.clone(), ..case(Deed::Exec(judged.facts), text) }, is_shown)
        }
        Work::Shell if shared.target.supervised && !terminal => {
            Aim::Refuse("a supervised shell needs a terminal; give the command itself, or use -t")
        }
        Work::Shell => {
            let shell = Shell { terminal, supervised: shared.target.supervised };
            whole(case(Deed::Shell(shell), "an interactive shell".into()), true)
        }
        Work::Subsystem(name) if name == "sftp" => Aim::Sftp,
        Work::Subsystem(name) => {
            whole(case(Deed::Subsystem { name: name.clone() }, format!("subsystem {name}")), false)
        }
    }
}

/// Carries files, each of which is judged.
async fn carry(
    shared: &Shared,
    (client, mail): (&Client, &mut Mail),
    work: Work,
    words: Option<Vec<String>>,
    setting: Setting,
) -> Result<End, Broken> {
    let link = match shared.upstreams.take().await {
        Ok(link) => link,
        Err(error) => return Ok(unreachable(shared, &error)),
    };
    let (work, machine) = match words {
        None => (work, Machine::sftp()),
        Some(words) => {
            let home = files::home(&link).await;
            let words: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
            // INVARIANT: the host runs what was understood, not what was sent
            match scp::Command::parse(&words, home.as_ref()) {
                Ok(Some(command)) => (Work::Exec(command.line()), Machine::scp(command)),
                Ok(None) => return Ok(End::Told("denied: this is no scp that can be judged".into(), DENIED)),
                Err(error) => return Ok(End::Told(format!("denied: {error}"), DENIED)),
            }
        }
    };
    // a terminal would change the bytes
    let setting = Setting { terminal: None, ..setting };
    let started = match start(&link, work, &setting).await {
        Ok(started) => started,
        Err(error) => return Ok(unreachable(shared, &error.into())),
    };
    match files::run(shared, (client, mail), started, machine).await? {
        Ok(clean) => {
            if clean {
                shared.upstreams.give_back(link);
            }
            Ok(End::Over)
        }
        Err(end) => Ok(end),
    }
}

/// Judges a case while the client can take it back, and tells the client what is held.
async fn wait(
    shared: &Shared,
    client: &Client,
    mail: &mut Mail,
    case: &Case,
    terminal: bool,
) -> Result<Judged, JournalError> {
    let interrupt = Interrupt::default();
    let interrupted = interrupt.arm();
    let (tell, mut told) = mpsc::unbounded_channel::<Notice>();
    let tell = move |notice| {
        // nobody listens only when the judge is gone as well
        drop(tell.send(notice));
    };
    let judged = shared.turnstile.judge(case, interrupted, tell);
    tokio::pin!(judged);
    let mut waits = true;
    loop {
        tokio::select! {
            biased;
            judged = &mut judged => {
                // whoever answers at once must not be quicker than what is said of the hold
                while let Ok(notice) = told.try_recv() {
                    let _sent = client.error(noticed(&notice)).await;
                }
                return judged;
            }
            Some(notice) = told.recv() => {
                let _sent = client.error(noticed(&notice)).await;
            }
            () = mail.given_up(terminal), if waits => {
                interrupt.ring();
                waits = false;
            }
        }
    }
}

/// Opens the other half and starts what was allowed.
async fn start(link: &Link, work: Work, setting: &Setting) -> Result<(ChannelReadHalf, Host), russh::Error> {
    let channel = link.channel_open_session().await?;
    for (name, value) in &setting.env {
        channel.set_env(false, name, value).await?;
    }
    if let Some(terminal) = &setting.terminal {
        let [columns, rows, width, height] = terminal.size;
        channel.request_pty(false, &terminal.term, columns, rows, width, height, &terminal.modes).await?;
    }
    if setting.agent {
        channel.agent_forward(false).await?;
    }
    if let Some((single, protocol, cookie, screen)) = &setting.x11 {
        channel.request_x11(false, *single, protocol, cookie, *screen).await?;
    }
    match work {
        Work::Exec(command) => channel.exec(true, command).await?,
        Work::Shell => channel.request_shell(true).await?,
        Work::Subsystem(name) => channel.request_subsystem(true, name).await?,
    }
    Ok(channel.split())
}

/// A channel to a port or a socket.
pub(super) async fn direct(
    shared: Arc<Shared>,
    (facts, to): (ForwardFacts, Destination),
    reply: ChannelOpenHandle,
    client: Client,
    mut mail: Mail,
) {
    let id = client.id();
    let shown = match &to {
        Destination::Socket(path) => path.clone(),
        Destination::Tcp { host, port, .. } => format!("{host}:{port}"),
    };
    let case = case(Deed::Forward(facts), format!("forward to {shown}"));
    // nobody can be told anything before the channel is open
    let judged = shared.turnstile.judge(&case, Interrupt::default().arm(), |_| {}).await;
    let number = match judged {
        Ok(Ok(number)) => number,
        Ok(Err(_)) => {
            reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
            return shared.boxes.close(id);
        }
        Err(error) => {
            shared.break_off(&error);
            return shared.boxes.close(id);
        }
    };
    let opened = async {
        let link = shared.upstreams.take().await?;
        let channel = match to {
            Destination::Socket(path) => link.channel_open_direct_streamlocal(path).await?,
            Destination::Tcp { host, port, from } => {
                link.channel_open_direct_tcpip(host, port, from.0, from.1).await?
            }
        };
        Ok::<_, DialError>((link, channel))
    };
    let (link, channel) = match opened.await {
        Ok(opened) => opened,
        Err(error) => {
            tracing::debug!(session = %shared.context.id, %error, "a forwarding failed");
            reply.reject(ChannelOpenFailure::ConnectFailed).await;
            return shared.boxes.close(id);
        }
    };
    reply.accept().await;
    match pipe(&shared, number, (&client, &mut mail), channel.split()).await {
        Ok(true) => shared.upstreams.give_back(link),
        Ok(false) => {}
        Err(Broken(error)) => shared.break_off(&error),
    }
    let _sent = client.eof().await;
    let _sent = client.close().await;
    shared.boxes.close(id);
}

/// Opens towards the client what the host opens, until nothing opens any more.
pub(super) async fn reversed(shared: Arc<Shared>, mut opened: mpsc::Receiver<Reverse>) {
    while let Some(reverse) = opened.recv().await {
        let task = back(Arc::clone(&shared), reverse);
        shared.spawn(task);
    }
}

async fn back(shared: Arc<Shared>, reverse: Reverse) {
    let Some(handle) = shared.handle() else { return };
    let Reverse { channel, kind } = reverse;
    // that it was let be when it was asked for says nothing of this moment
    let number = match kind.facts() {
        Some(facts) => shared.may_forward(facts).await,
        None => None,
    };
    let Some(number) = number else {
        let _closed = channel.close().await;
        return;
    };
    let opened = match kind {
        ReverseKind::Agent => handle.channel_open_agent().await,
        ReverseKind::Forwarded { listened, from } => {
            handle.channel_open_forwarded_tcpip(listened.0, listened.1, from.0, from.1).await
        }
        ReverseKind::X11 { from } => handle.channel_open_x11(from.0, from.1).await,
    };
    let Ok(towards) = opened else {
        let _closed = channel.close().await;
        return;
    };
    let id = towards.id();
    let Some(mut mail) = shared.boxes.claim(id).await else { return };
    // what it reads comes by mail
    let client = Client::new(towards.split().1);
    if let Err(Broken(error)) = pipe(&shared, number, (&client, &mut mail), channel.split()).await {
        shared.break_off(&error);
    }
    let _sent = client.eof().await;
    let _sent = client.close().await;
    shared.boxes.close(id);
}

/// Moves what is forwarded; whether the host has closed properly.
async fn pipe(
    shared: &Shared,
    number: u64,
    client: (&Client, &mut Mail),
    (mut read, host): (ChannelReadHalf, Host),
) -> Result<bool, Broken> {
    let mut display = Display::forwarded(number);
    let clean = relay(shared, client, (&mut read, &host), &mut display).await?;
    let _sent = host.close().await;
    record(shared, display).await?;
    Ok(clean)
}

/// Moves bytes both ways until the host closes; whether it did, so that its connection can be used again.
async fn relay(
    shared: &Shared,
    (client, mail): (&Client, &mut Mail),
    (read, host): (&mut ChannelReadHalf, &Host),
    display: &mut Display,
) -> Result<bool, Broken> {
    let up = forward(shared, display.number, mail, host);
    let down = display.rest(shared, read, client);
    tokio::pin!(up, down);
    tokio::select! {
        clean = &mut down => clean,
        done = &mut up => {
            done?;
            // the client has closed, or left: the host is told, and may say goodbye
            let _sent = host.close().await;
            tokio::time::timeout(LINGER, &mut down).await.unwrap_or(Ok(false))
        }
    }
}

async fn record(shared: &Shared, display: Display) -> Result<(), Broken> {
    let Display { number, bytes, tag, .. } = display;
    let outcome = Outcome { number, rows: bytes, tag, error: None };
    shared.turnstile.reel().outcome(&outcome).await?;
    Ok(())
}

/// From the client to the host, until the client closes or leaves.
async fn forward(shared: &Shared, number: u64, mail: &mut Mail, host: &Host) -> Result<(), Broken> {
    while let Some(ask) = mail.next().await {
        let sent = match ask {
            Ask::Close => return Ok(()),
            Ask::Data(bytes) => host.data_bytes(bytes).await,
            Ask::Eof => host.eof().await,
            Ask::Signal(signal) => host.signal(signal).await,
            Ask::Window([columns, rows, width, height]) => {
                let resize = Resize { number, columns, rows };
                shared.turnstile.reel().json(ItemKind::Resize, &resize).await?;
                host.window_change(columns, rows, width, height).await
            }
            // a channel runs one thing
            Ask::Agent
            | Ask::Env(..)
            | Ask::Exec(_)
            | Ask::Pty(_)
            | Ask::Shell
            | Ask::Subsystem(_)
            | Ask::X11 { .. } => Ok(()),
        };
        if sent.is_err() {
            // the host has closed; what it still had to say is on its way
            std::future::pending::<()>().await;
        }
    }
    Ok(())
}

fn told(refused: &Refused) -> End {
    let Refused { denial, by } = refused;
    let code = match by {
        RefusedBy::Client => return End::Told("interrupted while it was held".into(), INTERRUPTED),
        RefusedBy::Policy => DENIED,
        RefusedBy::Review => REVIEWED,
    };
    let hint = denial.hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    End::Told(format!("denied: {} (rule {}){hint}", denial.reason, denial.rule), code)
}

fn unreachable(shared: &Shared, error: &DialError) -> End {
    let name = &shared.context.target.name;
    tracing::warn!(session = %shared.context.id, target = %name, %error, "no connection to the host");
    End::Told(format!("target {name}: {error}"), UNREACHABLE)
}

/// As it is told on a terminal that may be raw.
pub(super) fn said(text: &str) -> Bytes {
    Bytes::from(text.lines().map(|line| format!("hoopctl: {line}\r\n")).collect::<String>())
}

/// That something is held.
pub(super) fn noticed(Notice { message, detail, hint }: &Notice) -> Bytes {
    said(&format!("{message}\n{detail}\n{hint}"))
}

// exit statuses as in design §10
const UNREACHABLE: u8 = 69;
pub(super) const TROUBLE: u8 = 70;
const REVIEWED: u8 = 76;
const DENIED: u8 = 77;
/// As a shell says it of a command that Ctrl-C ended.
const INTERRUPTED: u8 = 130;
