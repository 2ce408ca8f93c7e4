//! Greeting and authenticating the client.
//!
//! Job: the server's side of start-up, one type per state; each consumes itself. Boundary: the
//! session's verifier and a nonce are arguments; what a start-up parameter may be is the gateway's
//! question. Failure mode: a [`ClientFault`], which [`fields`](ClientFault::fields) turns into the
//! error to send before closing.
//!
//! [`ExpectStartup`] → [`Started`] → [`ExpectSaslInitial`] → [`ExpectSaslResponse`] →
//! [`Authenticated`]; or, from the first, a [`CancelKey`].

use bytes::{BufMut, BytesMut};

use super::backend::{Authentication, ServerMessage, TransactionStatus};
use super::cancel::{CANCEL_REQUEST, CancelKey};
use super::fault::ClientFault;
use super::frame::{self, FrameError, FrameLimits};
use super::frontend::SaslInitial;
use super::scram::{self, ExpectProof, ScramError, Verifier};
use crate::wire::buffer::Reader;

/// Awaits the first packet, and answers requests for encryption with no.
#[derive(Debug)]
pub struct ExpectStartup {
    limits: FrameLimits,
    tls_asked: bool,
    gss_asked: bool,
}

impl ExpectStartup {
    /// A connection that has sent nothing.
    #[must_use]
    pub fn new(limits: FrameLimits) -> Self {
        Self { limits, tls_asked: false, gss_asked: false }
    }

    /// Takes what came. Appends answers to the output; write them, whatever is returned.
    ///
    /// # Errors
    /// [`ClientFault`].
    pub fn handle(mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<StartupStep, ClientFault> {
        loop {
            let Some(packet) = take_packet(input, self.limits.startup)? else {
                return Ok(StartupStep::More(self));
            };
            let mut reader = Reader::new(&packet);
            let code = reader.u32().map_err(|_| ClientFault::Startup("it has no version"))?;
            match code {
                SSL_REQUEST if !self.tls_asked => self.tls_asked = true,
                GSSENC_REQUEST if !self.gss_asked => self.gss_asked = true,
                CANCEL_REQUEST => {
                    let key = CancelKey::parse(reader.rest())
                        .map_err(|_| ClientFault::Startup("its cancel key is not 4 to 256 bytes long"))?;
                    return Ok(StartupStep::Cancel(key));
                }
                version => return self.start(version, reader, output).map(StartupStep::Started),
            }
            output.put_u8(b'N');
        }
    }

    fn start(self, version: u32, reader: Reader<'_>, output: &mut BytesMut) -> Result<Started, ClientFault> {
        let [major, minor] = [version >> 16, version & 0xffff].map(|n| u16::try_from(n).unwrap_or(u16::MAX));
        if major != 3 {
            return Err(ClientFault::Protocol { major, minor });
        }
        let (parameters, unknown) = read_parameters(reader)?;
        if parameters.user().is_none_or(str::is_empty) {
            return Err(ClientFault::MissingUser);
        }
        if minor > NEWEST_MINOR || !unknown.is_empty() {
            ServerMessage::NegotiateProtocolVersion {
                version: 3 << 16 | u32::from(minor.min(NEWEST_MINOR)),
                options: unknown.iter().map(String::as_bytes).collect(),
            }
            .encode(output);
        }
        Ok(Started { limits: self.limits, parameters, minor: minor.min(NEWEST_MINOR) })
    }
}

/// What came of a first packet.
#[derive(Debug)]
pub enum StartupStep {
    /// The client wants a statement of another connection cancelled. Answer nothing and close.
    Cancel(CancelKey),
    /// More bytes are needed.
    More(ExpectStartup),
    /// The client wants a session.
    Started(Started),
}

/// What came of a later message.
#[derive(Debug)]
pub enum Step<S, N> {
    /// More bytes are needed.
    More(S),
    /// On to the next state.
    Next(N),
}

/// The client has said who it is. The gateway looks at the parameters, then challenges.
#[derive(Debug)]
pub struct Started {
    limits: FrameLimits,
    parameters: StartupParameters,
    minor: u16,
}

impl Started {
    /// What the client asks for.
    #[must_use]
    pub fn parameters(&self) -> &StartupParameters {
        &self.parameters
    }

    /// Demands proof of the session's secret. The user must be the one given here; for any other the
    /// exchange goes on and fails at its end, like a wrong secret. The nonce must be random and new.
    #[must_use]
    pub fn challenge(
        self,
        user: &str,
        verifier: &Verifier,
        nonce: [u8; 18],
        output: &mut BytesMut,
    ) -> ExpectSaslInitial {
        ServerMessage::Authentication(Authentication::Sasl(vec![MECHANISM])).encode(output);
        let given = self.parameters.user().unwrap_or_default();
        // both are made in both cases, for the same work
        let mock = verifier.mock(given);
        let verifier = if given == user { verifier.clone() } else { mock };
        ExpectSaslInitial { started: self, verifier, nonce }
    }
}

/// Awaits the client's choice of a mechanism and its first message.
#[derive(Debug)]
pub struct ExpectSaslInitial {
    started: Started,
    verifier: Verifier,
    nonce: [u8; 18],
}

impl ExpectSaslInitial {
    /// Takes what came.
    ///
    /// # Errors
    /// [`ClientFault`].
    pub fn handle(
        self,
        input: &mut BytesMut,
        output: &mut BytesMut,
    ) -> Result<Step<Self, ExpectSaslResponse>, ClientFault> {
        let Some(frame) = take_password(input, &self.started.limits)? else {
            return Ok(Step::More(self));
        };
        let initial = SaslInitial::parse(frame.body())
            .map_err(|source| ClientFault::Malformed { message: "SASLInitialResponse", source })?;
        match initial.mechanism {
            MECHANISM => {}
            b"SCRAM-SHA-256-PLUS" => return Err(ClientFault::ChannelBinding),
            _ => return Err(ClientFault::SaslMechanism),
        }
        let message = initial.response.ok_or(ClientFault::Scram("its first message is missing"))?;
        let (first, proof) =
            scram::begin(self.verifier, self.nonce, message).map_err(|error| self.started.fault(error))?;
        ServerMessage::Authentication(Authentication::SaslContinue(first.as_bytes())).encode(output);
        Ok(Step::Next(ExpectSaslResponse { started: self.started, proof }))
    }
}

/// Awaits the client's proof.
pub struct ExpectSaslResponse {
    started: Started,
    proof: ExpectProof,
}

impl std::fmt::Debug for ExpectSaslResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ExpectSaslResponse")
    }
}

impl ExpectSaslResponse {
    /// Takes what came. On success the client is told that it is in.
    ///
    /// # Errors
    /// [`ClientFault::Authentication`] for a wrong user or secret, and others.
    pub fn handle(
        self,
        input: &mut BytesMut,
        output: &mut BytesMut,
    ) -> Result<Step<Self, Authenticated>, ClientFault> {
        let Some(frame) = take_password(input, &self.started.limits)? else {
            return Ok(Step::More(self));
        };
        let last = self.proof.finish(frame.body()).map_err(|error| self.started.fault(error))?;
        ServerMessage::Authentication(Authentication::SaslFinal(last.as_bytes())).encode(output);
        ServerMessage::Authentication(Authentication::Ok).encode(output);
        Ok(Step::Next(Authenticated { parameters: self.started.parameters, minor: self.started.minor }))
    }
}

/// The client is in, and waits to hear that the database is ready.
#[derive(Debug)]
pub struct Authenticated {
    parameters: StartupParameters,
    minor: u16,
}

impl Authenticated {
    /// What the client asks for.
    #[must_use]
    pub fn parameters(&self) -> &StartupParameters {
        &self.parameters
    }

    /// Whether the client understands cancel keys that are longer than 4 bytes.
    #[must_use]
    pub fn takes_long_keys(&self) -> bool {
        self.minor >= 2
    }

    /// Tells the client the database's settings, our cancel key, and that all is ready.
    pub fn ready(
        self,
        settings: &[(String, String)],
        key: &CancelKey,
        status: TransactionStatus,
        output: &mut BytesMut,
    ) {
        for (name, value) in settings {
            ServerMessage::ParameterStatus { name: name.as_bytes(), value: value.as_bytes() }.encode(output);
        }
        key.encode_key_data(output);
        ServerMessage::ReadyForQuery(status).encode(output);
    }
}

/// The parameters of a start-up packet, each name once, in the client's order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StartupParameters(Vec<(String, String)>);

impl StartupParameters {
    /// A parameter's value.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The user.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.value("user")
    }

    /// The database: the one named, or the one called like the user.
    #[must_use]
    pub fn database(&self) -> Option<&str> {
        self.value("database").filter(|name| !name.is_empty()).or_else(|| self.user())
    }

    /// Whether the client plainly wants to replicate the whole server, not one database of it. What only may
    /// mean that says no: PostgreSQL takes `fals` for an ordinary connection.
    #[must_use]
    pub fn wants_physical_replication(&self) -> bool {
        let plainly = |value: &str| ["true", "on", "yes", "1"].contains(&value.to_ascii_lowercase().as_str());
        self.value("replication").is_some_and(plainly)
    }

    /// Whether the client wants to replicate. Every value that does not plainly say no says yes.
    #[must_use]
    pub fn wants_replication(&self) -> bool {
        self.value("replication").is_some_and(|value| {
            !["", "0", "f", "false", "n", "no", "of", "off"].contains(&value.to_ascii_lowercase().as_str())
        })
    }
}

impl Started {
    fn fault(&self, error: ScramError) -> ClientFault {
        match error {
            ScramError::ChannelBinding => ClientFault::ChannelBinding,
            ScramError::Malformed(what) => ClientFault::Scram(what),
            ScramError::Proof | ScramError::Verifier => {
                ClientFault::Authentication { user: self.parameters.user().unwrap_or_default().to_owned() }
            }
        }
    }
}

/// Takes a packet without a message type off the front of the input, and its length off the packet.
fn take_packet(input: &mut BytesMut, limit: usize) -> Result<Option<BytesMut>, ClientFault> {
    if input.first() == Some(&TLS_HANDSHAKE) {
        return Err(ClientFault::DirectTls);
    }
    let Some((length, _)) = input.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let claimed = i32::from_be_bytes(*length);
    let length = usize::try_from(claimed).unwrap_or(0);
    if length < 8 {
        return Err(FrameError::Length { tag: 0, length: claimed }.into());
    }
    if length > limit {
        return Err(FrameError::TooLarge { tag: 0, length, limit }.into());
    }
    if input.len() < length {
        return Ok(None);
    }
    let mut packet = input.split_to(length);
    Ok(Some(packet.split_off(4)))
}

fn take_password(input: &mut BytesMut, limits: &FrameLimits) -> Result<Option<frame::Frame>, ClientFault> {
    // before authentication only this type may come, so nothing else is buffered
    match input.first() {
        None | Some(b'p') => Ok(frame::take(input, limits.auth)?),
        Some(&tag) => {
            Err(ClientFault::Unexpected { tag, expected: "an answer to the authentication request" })
        }
    }
}

/// The parameters, and the names of the protocol options (`_pq_.…`), none of which we know.
fn read_parameters(mut reader: Reader<'_>) -> Result<(StartupParameters, Vec<String>), ClientFault> {
    let mut parameters: Vec<(String, String)> = Vec::new();
    let mut unknown = Vec::new();
    loop {
        let mut text = || {
            let bytes = reader.cstr().map_err(|_| ClientFault::Startup("a parameter has no end"))?;
            std::str::from_utf8(bytes).map_err(|_| ClientFault::Startup("a parameter is not UTF-8"))
        };
        let name = text()?;
        if name.is_empty() {
            break;
        }
        let value = text()?;
        if parameters.len() + unknown.len() >= MAX_PARAMETERS {
            return Err(ClientFault::TooMany { what: "start-up parameters", limit: MAX_PARAMETERS });
        }
        if parameters.iter().any(|(n, _)| n == name) || unknown.iter().any(|n| n == name) {
            return Err(ClientFault::DuplicateParameter(name.to_owned()));
        }
        if name.starts_with("_pq_.") {
            unknown.push(name.to_owned());
        } else {
            parameters.push((name.to_owned(), value.to_owned()));
        }
    }
    reader.finish().map_err(|_| ClientFault::Startup("it is longer than its parameters"))?;
    Ok((StartupParameters(parameters), unknown))
}

const GSSENC_REQUEST: u32 = (1234 << 16) | 5680;
const MAX_PARAMETERS: usize = 64;
const MECHANISM: &[u8] = b"SCRAM-SHA-256";
const NEWEST_MINOR: u16 = 2;
pub(super) const SSL_REQUEST: u32 = (1234 << 16) | 5679;
const TLS_HANDSHAKE: u8 = 0x16;

#[cfg(test)]
mod tests;
