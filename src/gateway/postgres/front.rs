//! The client's start-up.
//!
//! Job: drive the start-up machine over a stream within a deadline. Boundary: nothing is kept, counted or opened for
//! a client before it has proven that it knows the session's secret; what it may bring is `opening`'s business. Failure
//! mode: a FATAL error in the protocol's own frame, then the end.

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::fatal;
use crate::gateway::authority::SessionContext;
use crate::gateway::leg::Leg;
use crate::wire::postgres::cancel::CancelKey;
use crate::wire::postgres::error::ErrorFields;
use crate::wire::postgres::fault::ClientFault;
use crate::wire::postgres::frame::FrameLimits;
use crate::wire::postgres::login::LoggedIn;
use crate::wire::postgres::scram::Verifier;
use crate::wire::postgres::startup::{
    Authenticated, ExpectStartup, Started, StartupParameters, StartupStep, Step,
};

/// How long a client may take to say who it is, and again to prove it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What came of a client's first packets.
pub(super) enum Introduced<S> {
    /// It wants a statement of another connection cancelled, and waits on this one until that has been asked for.
    Cancel(CancelKey, S),
    /// It left, broke the protocol, or took too long; it was told.
    Left,
    /// It wants a session.
    Started(Front<S>),
}

/// A client that has said who it is.
pub(super) struct Front<S, State = Started> {
    io: S,
    input: BytesMut,
    state: State,
}

/// Reads a client's first packets.
pub(super) async fn introduce<S>(mut io: S) -> Introduced<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut input = BytesMut::with_capacity(1024);
    let hello = async {
        let mut state = ExpectStartup::new(FrameLimits::default());
        loop {
            read(&mut io, &mut input).await?;
            let mut output = BytesMut::new();
            let step = state.handle(&mut input, &mut output);
            write(&mut io, &output).await?;
            match step {
                Ok(StartupStep::More(more)) => state = more,
                Ok(step) => return Ok(step),
                Err(fault) => {
                    tell(&mut io, &fault.fields()).await;
                    return Err(Gone);
                }
            }
        }
    };
    match tokio::time::timeout(PATIENCE, hello).await {
        Ok(Ok(StartupStep::Started(state))) => Introduced::Started(Front { io, input, state }),
        Ok(Ok(StartupStep::Cancel(key))) => Introduced::Cancel(key, io),
        Ok(Ok(StartupStep::More(_)) | Err(Gone)) | Err(_) => Introduced::Left,
    }
}

impl<S> Front<S, Started>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    /// What the client asks for.
    pub(super) fn parameters(&self) -> &StartupParameters {
        self.state.parameters()
    }

    /// Demands proof of the session's secret. `None` when the client failed, and was told.
    pub(super) async fn authenticate(mut self, context: &SessionContext) -> Option<Front<S, Authenticated>> {
        let Ok(verifier) = Verifier::parse(&context.verifier) else {
            tracing::error!(session = %context.id, "the session's verifier is malformed");
            self.refuse(&fatal("XX000", "the session cannot be authenticated")).await;
            return None;
        };
        let proof = async {
            let mut output = BytesMut::new();
            let mut choice =
                self.state.challenge(&context.loopback_user, &verifier, rand::random(), &mut output);
            write(&mut self.io, &output).await?;
            // INVARIANT: whoever has half a message waits for bytes, not for the same half again
            let mut response = loop {
                let mut output = BytesMut::new();
                let step = choice.handle(&mut self.input, &mut output);
                write(&mut self.io, &output).await?;
                match step {
                    Ok(Step::More(more)) => {
                        choice = more;
                        read(&mut self.io, &mut self.input).await?;
                    }
                    Ok(Step::Next(next)) => break next,
                    Err(fault) => return Err(give_up(&mut self.io, &fault).await),
                }
            };
            loop {
                let mut output = BytesMut::new();
                let step = response.handle(&mut self.input, &mut output);
                write(&mut self.io, &output).await?;
                match step {
                    Ok(Step::More(more)) => {
                        response = more;
                        read(&mut self.io, &mut self.input).await?;
                    }
                    Ok(Step::Next(next)) => return Ok(next),
                    Err(fault) => return Err(give_up(&mut self.io, &fault).await),
                }
            }
        };
        match tokio::time::timeout(PATIENCE, proof).await {
            Ok(Ok(state)) => Some(Front { io: self.io, input: self.input, state }),
            Ok(Err(Gone)) | Err(_) => None,
        }
    }

    /// Tells the client no, and ends.
    pub(super) async fn refuse(mut self, error: &ErrorFields) {
        tell(&mut self.io, error).await;
    }
}

impl<S> Front<S, Authenticated>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    /// What the client asks for.
    pub(super) fn parameters(&self) -> &StartupParameters {
        self.state.parameters()
    }

    /// The database it asks for.
    pub(super) fn database(&self) -> &str {
        self.parameters().database().unwrap_or_default()
    }

    /// A new cancel key, as long as the client understands. The process is the database's own where it
    /// has named one, because drivers compare it with `pg_backend_pid()` and with who notifies.
    pub(super) fn cancel_key(&self, of_database: Option<&CancelKey>) -> CancelKey {
        let ours = if self.state.takes_long_keys() {
            CancelKey::long(rand::random())
        } else {
            CancelKey::short(rand::random())
        };
        let process = of_database.map_or(ours.process, |key| key.process);
        CancelKey { process, ..ours }
    }

    /// Tells the client that the database is ready.
    pub(super) fn ready(self, logged_in: &LoggedIn, key: &CancelKey) -> Leg<S> {
        let mut output = BytesMut::new();
        self.state.ready(&logged_in.settings, key, logged_in.status, &mut output);
        let mut leg = Leg::new(self.io, self.input);
        leg.push(output.freeze());
        leg
    }

    /// Tells the client no, and ends.
    pub(super) async fn refuse(mut self, error: &ErrorFields) {
        tell(&mut self.io, error).await;
    }
}

/// The client is gone, or was told to go.
struct Gone;

async fn give_up<S: AsyncWrite + Unpin>(io: &mut S, fault: &ClientFault) -> Gone {
    tell(io, &fault.fields()).await;
    Gone
}

async fn read<S: AsyncRead + Unpin>(io: &mut S, input: &mut BytesMut) -> Result<(), Gone> {
    match io.read_buf(input).await {
        Ok(0) | Err(_) => Err(Gone),
        Ok(_) => Ok(()),
    }
}

async fn write<S: AsyncWrite + Unpin>(io: &mut S, output: &[u8]) -> Result<(), Gone> {
    if output.is_empty() {
        return Ok(());
    }
    io.write_all(output).await.map_err(|_| Gone)?;
    io.flush().await.map_err(|_| Gone)
}

async fn tell<S: AsyncWrite + Unpin>(io: &mut S, error: &ErrorFields) {
    let mut output = BytesMut::new();
    error.encode_error(&mut output);
    // a client that does not listen is told nothing
    let told = async {
        write(io, &output).await?;
        io.shutdown().await.map_err(|_| Gone)
    };
    let _ = tokio::time::timeout(Duration::from_secs(1), told).await;
}
