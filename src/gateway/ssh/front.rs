//! What a client asks of the connection, taken up.
//!
//! Job: let the session's own key in, give each channel a task and its mail, answer what russh must be
//! answered at once. Boundary: nothing is decided here but whose key it is; nothing here waits for a channel.
//! Failure mode: the connection ends.
//!
//! Requests to run something are answered with success before they are judged: russh keeps one flag for the
//! latest request only, so that a late answer could go missing. A refusal is told on standard error, with an
//! exit status of ours.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use russh::keys::ssh_key::PublicKey;
use russh::server::{Auth, ChannelOpenHandle, Handler, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelOpenFailure, Disconnect, Pty, Sig};

use super::channel;
use super::client::Client;
use super::destination;
use super::mail::{Ask, Terminal};
use super::shared::Shared;
use crate::domain::facts::{ForwardFacts, ForwardKind};

/// How long the host may take to listen, or to stop.
const PATIENCE: Duration = Duration::from_secs(5);

/// The gateway's side of a connection of a client.
pub(super) struct Front {
    shared: Arc<Shared>,
    /// The one key that may log in.
    key: Option<PublicKey>,
}

impl Front {
    /// For the session of this connection.
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let key = shared.context.ssh_key.as_deref().and_then(|line| PublicKey::from_openssh(line).ok());
        Self { shared, key }
    }

    fn put(&self, channel: ChannelId, ask: Ask, session: &mut Session) -> Result<(), russh::Error> {
        self.shared.boxes.put(channel, ask);
        if self.shared.load.is_abused() {
            session.disconnect(Disconnect::ProtocolError, "more was sent than the windows allow", "")?;
        }
        Ok(())
    }
}

impl Handler for Front {
    type Error = russh::Error;

    async fn auth_publickey(
        &mut self,
        user: &str,
        shown: VerifiedPublicKey<'_>,
    ) -> Result<Auth, russh::Error> {
        let own = self.key.as_ref().is_some_and(|key| key.key_data() == shown.public_key.key_data());
        // whoever asks for another login must not think that they got it
        let login = user == self.shared.target.login || user == self.shared.context.loopback_user;
        Ok(if own && login { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_succeeded(&mut self, session: &mut Session) -> Result<(), russh::Error> {
        self.shared.logged_in(session.handle());
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        let Some(mail) = self.shared.boxes.open(channel.id()) else {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        };
        reply.accept().await;
        let write = Client::new(channel.split().1);
        self.shared.spawn(channel::session(Arc::clone(&self.shared), write, mail));
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        from_host: &str,
        from_port: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        // dropping the reply refuses
        let Some(facts) = destination::reached(host, port) else { return Ok(()) };
        let Some(mail) = self.shared.boxes.open(channel.id()) else {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        };
        let write = Client::new(channel.split().1);
        let to = channel::Destination::Tcp {
            // INVARIANT: the host is told what was judged
            host: facts.host.clone(),
            port,
            from: (from_host.to_owned(), from_port),
        };
        self.shared.spawn(channel::direct(Arc::clone(&self.shared), (facts, to), reply, write, mail));
        Ok(())
    }

    async fn channel_open_direct_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        path: &str,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        let Some(facts) = destination::socket(path) else { return Ok(()) };
        let Some(mail) = self.shared.boxes.open(channel.id()) else {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        };
        let write = Client::new(channel.split().1);
        let to = channel::Destination::Socket(path.to_owned());
        self.shared.spawn(channel::direct(Arc::clone(&self.shared), (facts, to), reply, write, mail));
        Ok(())
    }

    async fn channel_open_confirmation(
        &mut self,
        channel: ChannelId,
        _: u32,
        _: u32,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.shared.boxes.confirm(channel);
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        term: &str,
        columns: u32,
        rows: u32,
        width: u32,
        height: u32,
        modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let size = [columns, rows, width, height];
        let terminal = Terminal { term: term.to_owned(), size, modes: modes.to_vec() };
        self.put(channel, Ask::Pty(Box::new(terminal)), session)?;
        session.channel_success(channel)
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        self.put(channel, Ask::Env(name.to_owned(), value.to_owned()), session)?;
        session.channel_success(channel)
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), russh::Error> {
        self.put(channel, Ask::Shell, session)?;
        session.channel_success(channel)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        self.put(channel, Ask::Exec(command.to_vec()), session)?;
        session.channel_success(channel)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        self.put(channel, Ask::Subsystem(name.to_owned()), session)?;
        session.channel_success(channel)
    }

    async fn window_change_request(
        &mut self,
        channel: ChannelId,
        columns: u32,
        rows: u32,
        width: u32,
        height: u32,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        self.put(channel, Ask::Window([columns, rows, width, height]), session)
    }

    async fn signal(
        &mut self,
        channel: ChannelId,
        signal: Sig,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        self.put(channel, Ask::Signal(signal), session)
    }

    async fn data(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        self.put(channel, Ask::Data(Bytes::copy_from_slice(data)), session)?;
        self.shared.load.pause().await;
        Ok(())
    }

    fn adjust_window(&mut self, _: ChannelId, _: u32) -> u32 {
        self.shared.load.window()
    }

    async fn channel_eof(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), russh::Error> {
        self.put(channel, Ask::Eof, session)
    }

    async fn channel_close(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), russh::Error> {
        self.put(channel, Ask::Close, session)
    }

    async fn agent_request(
        &mut self,
        channel: ChannelId,
        session: &mut Session,
    ) -> Result<bool, russh::Error> {
        let facts = ForwardFacts { kind: ForwardKind::Agent, host: String::new(), port: 0 };
        let allowed = self.shared.may_forward(facts).await.is_some();
        if allowed {
            self.shared.upstreams.allowed.agent();
            self.put(channel, Ask::Agent, session)?;
        }
        Ok(allowed)
    }

    async fn x11_request(
        &mut self,
        channel: ChannelId,
        single: bool,
        protocol: &str,
        cookie: &str,
        screen: u32,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let facts = ForwardFacts { kind: ForwardKind::X11, host: String::new(), port: 0 };
        if self.shared.may_forward(facts).await.is_none() {
            return session.channel_failure(channel);
        }
        self.shared.upstreams.allowed.display();
        let (protocol, cookie) = (protocol.to_owned(), cookie.to_owned());
        self.put(channel, Ask::X11 { single, protocol, cookie, screen }, session)?;
        session.channel_success(channel)
    }

    async fn tcpip_forward(
        &mut self,
        address: &str,
        port: &mut u32,
        _: &mut Session,
    ) -> Result<bool, russh::Error> {
        let Some(facts) = destination::listened(address, *port) else { return Ok(false) };
        if self.shared.may_forward(facts).await.is_none() {
            return Ok(false);
        }
        let upstreams = &self.shared.upstreams;
        // whoever comes at once must not come too early
        upstreams.allowed.listens(*port);
        let bound = async {
            let link = upstreams.listening().await.ok()?;
            link.tcpip_forward(address, *port).await.ok()
        };
        // everybody on the connection waits for this
        let bound = tokio::time::timeout(PATIENCE, bound).await.ok().flatten();
        let Some(bound) = bound else {
            upstreams.allowed.listens_no_more(*port);
            return Ok(false);
        };
        if *port == 0 {
            upstreams.allowed.listens_no_more(0);
            upstreams.allowed.listens(bound);
            *port = bound;
        }
        Ok(true)
    }

    async fn cancel_tcpip_forward(
        &mut self,
        address: &str,
        port: u32,
        _: &mut Session,
    ) -> Result<bool, russh::Error> {
        self.shared.upstreams.allowed.listens_no_more(port);
        let cancelled = async {
            let link = self.shared.upstreams.listening().await.ok()?;
            link.cancel_tcpip_forward(address, port).await.ok()
        };
        Ok(tokio::time::timeout(PATIENCE, cancelled).await.ok().flatten().is_some())
    }
}
