//! Logging in at the database.
//!
//! Job: the client's side of TLS negotiation and start-up, so that the credential is given only
//! inside SCRAM. Boundary: TLS itself and the certificate's hash come from the driver. Failure mode:
//! an [`UpstreamFault`]; a request for the password in the clear or as MD5 is one, and so is being
//! let in without a password.
//!
//! With TLS: write [`ssl_request`], give the answer to [`judge_ssl_answer`], do the handshake. Then
//! [`Login::begin`], and [`Login::handle`] until it is [`LoginStep::Done`].

use bytes::{BufMut, BytesMut};
use postgres_protocol::authentication::sasl::{
    ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256,
};
use secrecy::{ExposeSecret, SecretString};

use super::backend::{Authentication, ServerMessage, TransactionStatus};
use super::cancel::CancelKey;
use super::fault::UpstreamFault;
use super::frame::{self, Frame, FrameLimits};
use super::frontend::{ClientMessage, SaslInitial};
use super::startup::SSL_REQUEST;
use crate::wire::buffer::{put_counted, put_cstr};

/// The packet that asks for TLS.
#[must_use]
pub fn ssl_request() -> BytesMut {
    let mut out = BytesMut::with_capacity(8);
    put_counted(&mut out, |out| out.put_u32(SSL_REQUEST));
    out
}

/// Judges the answer to [`ssl_request`]: true when the handshake can begin, false when there is no
/// answer yet.
///
/// # Errors
/// [`UpstreamFault::TlsRefused`]; [`UpstreamFault::PlaintextBehindTls`] when more came than the one
/// byte, which would otherwise be taken for something that came through TLS.
pub fn judge_ssl_answer(input: &mut BytesMut) -> Result<bool, UpstreamFault> {
    match input.split_first() {
        None => Ok(false),
        Some((b'S', [])) => {
            input.clear();
            Ok(true)
        }
        Some((b'S', _)) => Err(UpstreamFault::PlaintextBehindTls),
        // an ErrorResponse here comes unauthenticated, so its text is nobody's business
        Some((b'N' | b'E', _)) => Err(UpstreamFault::TlsRefused),
        Some((&tag, _)) => {
            Err(UpstreamFault::Unexpected { tag, expected: "the answer to the request for TLS" })
        }
    }
}

/// How to log in.
#[derive(Debug, Clone)]
pub struct LoginOptions {
    /// The role.
    pub user: String,
    /// Its password.
    pub password: SecretString,
    /// Everything else for the start-up packet: `database`, `application_name`, `client_encoding`…
    pub parameters: Vec<(String, String)>,
    /// What the connection runs on.
    pub channel: Channel,
    /// Whether being let in without a password is fine.
    pub trust: Trust,
    /// The longest messages.
    pub limits: FrameLimits,
}

/// What a connection runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Channel {
    /// Bare TCP or a Unix socket.
    Plain,
    /// TLS.
    Tls {
        /// The certificate's `tls-server-end-point` hash (RFC 5929); `None` where its signature
        /// algorithm has none. Then a database that offers channel binding is turned down.
        endpoint: Option<Vec<u8>>,
    },
}

/// Whether being let in without a password is fine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trust {
    /// It is: the connection is authenticated otherwise, such as by a client certificate.
    Accept,
    /// It is not: the database is misconfigured, or not ours.
    #[default]
    Refuse,
}

/// A login under way.
#[derive(Debug)]
pub struct Login {
    limits: FrameLimits,
    state: State,
}

impl Login {
    /// Begins; appends the start-up packet to the output.
    #[must_use]
    pub fn begin(options: LoginOptions, output: &mut BytesMut) -> Self {
        put_counted(output, |out| {
            out.put_u32(3 << 16);
            put_cstr(out, b"user");
            put_cstr(out, options.user.as_bytes());
            for (name, value) in &options.parameters {
                put_cstr(out, name.as_bytes());
                put_cstr(out, value.as_bytes());
            }
            out.put_u8(0);
        });
        Self { limits: options.limits, state: State::Authentication(ExpectAuthentication { options }) }
    }

    /// Takes what the database sent; appends answers to the output.
    ///
    /// # Errors
    /// [`UpstreamFault`].
    pub fn handle(mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<LoginStep, UpstreamFault> {
        while let Some(frame) = frame::take(input, self.limits.auth)? {
            let message = ServerMessage::parse(frame.tag, frame.body())
                .map_err(|source| UpstreamFault::Malformed { message: "start-up", source })?;
            match message {
                Some(ServerMessage::ErrorResponse(fields)) => {
                    return Err(UpstreamFault::Refused(Box::new(fields.summary())));
                }
                Some(ServerMessage::NoticeResponse(_)) => continue,
                Some(message) => match self.state.handle(&message, &frame, output)? {
                    Ok(state) => self.state = state,
                    Err(done) => return Ok(LoginStep::Done(done)),
                },
                None => return Err(unexpected(&frame, "a start-up message")),
            }
        }
        Ok(LoginStep::More(self))
    }
}

/// What came of a message.
#[derive(Debug)]
pub enum LoginStep {
    /// The connection is ready.
    Done(LoggedIn),
    /// More bytes are needed.
    More(Login),
}

/// A connection that is ready.
#[derive(Debug)]
pub struct LoggedIn {
    /// The settings that the database reported.
    pub settings: Vec<(String, String)>,
    /// The key that cancels what the connection runs; some poolers give none.
    pub key: Option<CancelKey>,
    /// Where it stands with regard to transactions.
    pub status: TransactionStatus,
}

#[derive(Debug)]
enum State {
    Authentication(ExpectAuthentication),
    Continue(ExpectSaslContinue),
    Final(ExpectSaslFinal),
    Ok,
    Ready(ExpectReady),
}

impl State {
    /// The next state, or the end.
    fn handle(
        self,
        message: &ServerMessage<'_>,
        frame: &Frame,
        output: &mut BytesMut,
    ) -> Result<Result<Self, LoggedIn>, UpstreamFault> {
        match (self, message) {
            (Self::Ready(state), message) => state.handle(message, frame),
            (Self::Authentication(state), ServerMessage::Authentication(request)) => {
                state.handle(request, output).map(Ok)
            }
            (Self::Continue(state), ServerMessage::Authentication(Authentication::SaslContinue(bytes))) => {
                state.handle(bytes, output).map(Ok)
            }
            (Self::Final(state), ServerMessage::Authentication(Authentication::SaslFinal(bytes))) => {
                state.handle(bytes).map(Ok)
            }
            (Self::Ok, ServerMessage::Authentication(Authentication::Ok)) => {
                Ok(Ok(Self::Ready(ExpectReady::default())))
            }
            _ => Err(unexpected(frame, "the next step of authentication")),
        }
    }
}

/// Awaits the database's request.
#[derive(Debug)]
struct ExpectAuthentication {
    options: LoginOptions,
}

impl ExpectAuthentication {
    fn handle(self, request: &Authentication<'_>, output: &mut BytesMut) -> Result<State, UpstreamFault> {
        let offered = match request {
            Authentication::Sasl(mechanisms) => mechanisms,
            Authentication::Ok => {
                return match self.options.trust {
                    Trust::Accept => Ok(State::Ready(ExpectReady::default())),
                    Trust::Refuse => Err(UpstreamFault::Trust),
                };
            }
            Authentication::Cleartext => return Err(UpstreamFault::Weak("cleartext password")),
            Authentication::Md5(_) => return Err(UpstreamFault::Weak("MD5 password")),
            Authentication::SaslContinue(_) | Authentication::SaslFinal(_) | Authentication::Other(_) => {
                return Err(UpstreamFault::Mechanism);
            }
        };
        let offers = |mechanism: &str| offered.contains(&mechanism.as_bytes());
        let (mechanism, binding) = match self.options.channel {
            Channel::Tls { endpoint: Some(hash) } if offers(SCRAM_SHA_256_PLUS) => {
                (SCRAM_SHA_256_PLUS, ChannelBinding::tls_server_end_point(hash))
            }
            Channel::Tls { endpoint: None } if offers(SCRAM_SHA_256_PLUS) => {
                return Err(UpstreamFault::Downgrade);
            }
            _ if !offers(SCRAM_SHA_256) => return Err(UpstreamFault::Mechanism),
            // "y": we could have bound, you did not offer it. A database that did offer it, to
            // somebody in between, fails the exchange on reading this
            Channel::Tls { endpoint: Some(_) } => (SCRAM_SHA_256, ChannelBinding::unrequested()),
            Channel::Plain | Channel::Tls { endpoint: None } => {
                (SCRAM_SHA_256, ChannelBinding::unsupported())
            }
        };
        let scram = ScramSha256::new(self.options.password.expose_secret().as_bytes(), binding);
        SaslInitial { mechanism: mechanism.as_bytes(), response: Some(scram.message()) }.encode(output);
        Ok(State::Continue(ExpectSaslContinue { scram: Scram(scram) }))
    }
}

/// Awaits the server's first SCRAM message.
#[derive(Debug)]
struct ExpectSaslContinue {
    scram: Scram,
}

impl ExpectSaslContinue {
    fn handle(mut self, bytes: &[u8], output: &mut BytesMut) -> Result<State, UpstreamFault> {
        self.scram.0.update(bytes).map_err(|error| UpstreamFault::Scram(error.to_string()))?;
        ClientMessage::Password(self.scram.0.message()).encode(output);
        Ok(State::Final(ExpectSaslFinal { scram: self.scram }))
    }
}

/// Awaits the server's own proof.
#[derive(Debug)]
struct ExpectSaslFinal {
    scram: Scram,
}

impl ExpectSaslFinal {
    fn handle(mut self, bytes: &[u8]) -> Result<State, UpstreamFault> {
        self.scram.0.finish(bytes).map_err(|error| UpstreamFault::Scram(error.to_string()))?;
        Ok(State::Ok)
    }
}

/// Awaits the end of start-up.
#[derive(Debug, Default)]
struct ExpectReady {
    settings: Vec<(String, String)>,
    key: Option<CancelKey>,
}

impl ExpectReady {
    fn handle(
        mut self,
        message: &ServerMessage<'_>,
        frame: &Frame,
    ) -> Result<Result<State, LoggedIn>, UpstreamFault> {
        match message {
            ServerMessage::ParameterStatus { name, value } if self.settings.len() < MAX_SETTINGS => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                self.settings.push((text(name), text(value)));
            }
            ServerMessage::BackendKeyData { process, key } => {
                self.key = Some(CancelKey { process: *process, secret: bytes::Bytes::copy_from_slice(key) });
            }
            ServerMessage::ReadyForQuery(status) => {
                return Ok(Err(LoggedIn { settings: self.settings, key: self.key, status: *status }));
            }
            _ => return Err(unexpected(frame, "settings, a key, or readiness")),
        }
        Ok(Ok(State::Ready(self)))
    }
}

/// Holds a password, so it shows nothing.
struct Scram(ScramSha256);

impl std::fmt::Debug for Scram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scram")
    }
}

fn unexpected(frame: &Frame, expected: &'static str) -> UpstreamFault {
    UpstreamFault::Unexpected { tag: frame.tag, expected }
}

const MAX_SETTINGS: usize = 256;

#[cfg(test)]
mod tests;
