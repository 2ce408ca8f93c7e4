//! Opens an upstream connection.
//!
//! Job: TCP, TLS and the login with the session's lease. Boundary: takes a [`Permit`] by value, one
//! per connection, and looks nothing up again. Failure mode: a [`DialError`]; there is no second try
//! with less security.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use super::authority::Lease;
use super::leg::Leg;
use super::tls::{self, TlsError};
use crate::domain::name::TargetName;
use crate::domain::policy::Permit;
use crate::domain::target::{PostgresTarget, UpstreamTls};
use crate::wire::postgres::cancel::CancelKey;
use crate::wire::postgres::fault::UpstreamFault;
use crate::wire::postgres::frame::FrameLimits;
use crate::wire::postgres::login::{
    Channel, LoggedIn, Login, LoginOptions, LoginStep, Trust, judge_ssl_answer, ssl_request,
};

/// A stream to a database.
pub(super) type Upstream = Either<TcpStream, TlsStream<tls::Buffered>>;

/// Why a database could not be reached.
#[derive(Debug, Error)]
pub(super) enum DialError {
    /// The permit is for something else: a fault of ours.
    #[error("the permit does not cover this target")]
    Permit,
    /// No answer, or none that helps.
    #[error("the database cannot be reached: {0}")]
    Unreachable(#[from] io::Error),
    /// It took too long.
    #[error("the database did not answer within {} seconds", PATIENCE.as_secs())]
    Slow,
    /// The channel is not to be trusted.
    #[error("the database cannot be trusted: {0}")]
    Tls(#[from] TlsError),
    /// The login failed.
    #[error(transparent)]
    Login(#[from] UpstreamFault),
}

/// How long a connect and login may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connects and logs in.
///
/// INVARIANT: nobody dials without a permit, and a permit opens one connection.
pub(super) async fn dial(
    permit: Permit,
    name: &TargetName,
    target: &PostgresTarget,
    lease: &Lease,
    parameters: Vec<(String, String)>,
) -> Result<(Leg<Upstream>, LoggedIn), DialError> {
    if permit.target() != name || permit.action() != "connect" {
        return Err(DialError::Permit);
    }
    let login = async {
        let stream = open(target).await?;
        log_in(stream, lease, parameters).await
    };
    tokio::time::timeout(PATIENCE, login).await.map_err(|_| DialError::Slow)?
}

/// Asks the database to cancel what a connection runs, if it still is to when there is a way to ask. It answers nothing,
/// whatever comes of it.
pub(super) async fn cancel(
    target: &PostgresTarget,
    key: &CancelKey,
    is_wanted: impl Fn() -> bool,
) -> Result<(), DialError> {
    let send = async {
        let mut stream = open(target).await?;
        if !is_wanted() {
            return Ok(());
        }
        let mut request = BytesMut::new();
        key.encode_request(&mut request);
        stream.write_all(&request).await?;
        stream.flush().await?;
        // the database closes when it has seen the request
        let mut nothing = [0; 1];
        let _closed = stream.read(&mut nothing).await?;
        Ok(())
    };
    tokio::time::timeout(PATIENCE, send).await.map_err(|_| DialError::Slow)?
}

async fn open(target: &PostgresTarget) -> Result<Upstream, DialError> {
    let mut socket = TcpStream::connect((target.host.as_str(), target.port)).await?;
    socket.set_nodelay(true)?;
    keep_alive(&socket)?;
    let UpstreamTls::VerifyFull { root_certificates } = &target.tls else {
        return Ok(Either::Left(socket));
    };
    let config = tls::verifying_client(root_certificates.as_deref())?;
    socket.write_all(&ssl_request()).await?;
    let mut answer = BytesMut::with_capacity(64);
    while !judge_ssl_answer(&mut answer)? {
        if socket.read_buf(&mut answer).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
    Ok(Either::Right(tls::handshake(config, &target.host, socket).await?))
}

async fn log_in(
    mut stream: Upstream,
    lease: &Lease,
    parameters: Vec<(String, String)>,
) -> Result<(Leg<Upstream>, LoggedIn), DialError> {
    let channel = match &stream {
        Either::Left(_) => Channel::Plain,
        Either::Right(tls) => Channel::Tls { endpoint: tls::server_end_point(tls) },
    };
    let options = LoginOptions {
        user: lease.user.clone(),
        password: lease.password().clone(),
        parameters,
        channel,
        trust: Trust::Refuse,
        limits: FrameLimits::default(),
    };
    let mut output = BytesMut::new();
    let mut input = BytesMut::with_capacity(4096);
    let mut login = Login::begin(options, &mut output);
    loop {
        stream.write_all(&output).await?;
        stream.flush().await?;
        output.clear();
        if stream.read_buf(&mut input).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        match login.handle(&mut input, &mut output)? {
            LoginStep::Done(done) => return Ok((Leg::new(stream, input), done)),
            LoginStep::More(more) => login = more,
        }
    }
}

/// Whoever vanished without a word is noticed within a minute and a half.
pub(crate) fn keep_alive(socket: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt;
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, Duration::from_secs(45))?;
    sockopt::set_tcp_keepintvl(socket, Duration::from_secs(15))?;
    sockopt::set_tcp_keepcnt(socket, 3)?;
    Ok(())
}
