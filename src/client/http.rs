//! An HTTP API at the loopback.
//!
//! Job: takes a connection of the child's and brings it to the gateway: as it is when it speaks to us as to the API
//! itself, call by call when it speaks to us as to a proxy. Boundary: judges nothing and keeps nothing; the gateway
//! does, and checks the session's secret in every call again. Failure mode: what the proxy cannot place is answered
//! 403 or 407, what does not reach the gateway 502; nothing is ever sent to another host.

use std::io::Cursor;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use bytes::BytesMut;
use http::HeaderValue;
use http::uri::Authority;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use url::Url;

use super::launch::Endpoint;
use super::loopback::refusal::Frame;
use super::loopback::{Opener, copy};
use super::protocol::{Desk, Form, FormError, Protocol};
use super::tunnel::Stream;
use certificate::Certificate;
use child::HttpLogin;

pub mod certificate;
pub mod child;
pub mod curl;
mod proxy;

/// The user that goes with the session's secret in `Authorization` and `Proxy-Authorization`.
pub const USER: &str = "hoop";

/// What a connection of the child's may reach, and how it shows that it may.
pub struct Door {
    /// Where it listens.
    pub address: SocketAddr,
    /// The target's name, which is also a host name at the proxy.
    pub target: String,
    /// Where the target really is.
    pub base: Url,
    /// The session's secret.
    pub secret: SecretString,
    /// Ends TLS in the target's name.
    pub tls: TlsAcceptor,
    /// What must be trusted for that, PEM.
    pub authority: String,
    /// Other targets of the same program, which it may ask for here as well.
    pub beside: OnceLock<Vec<Beside>>,
}

/// Another target of the same program.
#[derive(Clone)]
pub struct Beside {
    /// What it is.
    pub door: Arc<Door>,
    /// The way to it.
    pub opener: Arc<dyn Opener>,
}

/// Makes what speaks with the child.
///
/// # Errors
/// [`FormError`] when the broker has not said where the target is, or there is no certificate.
pub fn door(desk: &Desk<'_>) -> Result<Door, FormError> {
    let Endpoint::Tcp(address) = desk.endpoint else { return Err(FormError::Missing("a port")) };
    let base = desk.session.base.clone().ok_or(FormError::Missing("where the target is"))?;
    let host = base.host_str().ok_or(FormError::Missing("the host of the target"))?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let names = vec![bare.to_owned(), desk.target.to_owned()];
    let Certificate { acceptor, authority } = Certificate::make(names, desk.now, desk.session.expires)?;
    let (target, secret) = (desk.target.to_owned(), desk.secret.clone());
    Ok(Door { address, target, base, secret, tls: acceptor, authority, beside: OnceLock::new() })
}

/// Fills in the form: curl has a file of its own, and other programs have variables.
///
/// # Errors
/// [`FormError`].
pub fn fill(desk: &Desk<'_>) -> Result<Form, FormError> {
    let door = Arc::new(door(desk)?);
    let login = HttpLogin { door: &door, place: desk.place, socket: Protocol::Http.socket() };
    Ok(Form {
        client: "curl".into(),
        arguments: vec!["-K".into(), login.curl_file()?.into()],
        variables: login.environment(),
        named: login.named(),
        files: vec![login.trust()],
        hides: child::mixes,
        door: Some(door),
    })
}

/// As which of its names the target was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Called {
    /// By the host of its base: paths begin with the base's.
    Base,
    /// By its name, or as this loopback: paths are below the base.
    Target,
}

impl Door {
    /// Serves a connection until it is over.
    pub async fn serve(self: Arc<Self>, mut socket: Box<dyn Stream>, opener: Arc<dyn Opener>) {
        let mut read = BytesMut::new();
        let manner = loop {
            match manner(&read) {
                Some(manner) => break manner,
                None => match socket.read_buf(&mut read).await {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                },
            }
        };
        match manner {
            Manner::Direct => match opener.open().await {
                Ok(mut tunnel) => {
                    if tunnel.write_all(&read).await.is_ok() {
                        copy(&mut socket, &mut tunnel).await;
                    }
                }
                Err(refusal) => refusal.send(Frame::Http, &mut socket).await,
            },
            Manner::Proxy => proxy::serve(self, rewound(read, socket), opener).await,
        }
    }

    /// Which of the target's names this is, if it is one; `port` is what stands for none.
    fn called(&self, authority: &Authority, port: u16) -> Option<Called> {
        let host = authority.host();
        let port = authority.port_u16().unwrap_or(port);
        let standard = matches!(port, 80 | 443);
        let own = authority.as_str() == self.address.to_string();
        if own || (standard && host.eq_ignore_ascii_case(&self.target)) {
            return Some(Called::Target);
        }
        let base = self.base.port_or_known_default()?;
        let fits = port == base || (port == 80 && base == 443);
        (fits && host.eq_ignore_ascii_case(self.base.host_str()?)).then_some(Called::Base)
    }

    /// What the path is below the base.
    fn below<'a>(&self, called: Called, path: &'a str) -> Option<&'a str> {
        let prefix = match called {
            Called::Base => self.base.path().trim_end_matches('/'),
            Called::Target => "",
        };
        match path.strip_prefix(prefix)? {
            "" => Some("/"),
            rest if rest.starts_with(['/', '?']) => Some(rest),
            _ => None,
        }
    }

    /// Whether a `Proxy-Authorization` holds the session's secret. Digests are compared, so that the time that it
    /// takes tells nothing.
    fn admits(&self, given: Option<&HeaderValue>) -> bool {
        let secret = given.and_then(|value| child::password(value.as_bytes()));
        let expected = Sha256::digest(self.secret.expose_secret());
        secret.is_some_and(|secret| Sha256::digest(secret.expose_secret()) == expected)
    }
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("target", &self.target).finish_non_exhaustive()
    }
}

/// How a connection begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// As to the API itself, in whatever version of HTTP.
    Direct,
    /// As to a proxy: `CONNECT`, or a target with a scheme.
    Proxy,
}

/// Decides by the first bytes; `None` when there are too few.
fn manner(read: &[u8]) -> Option<Manner> {
    let Some(space) = read.iter().position(|byte| *byte == b' ') else {
        // a method is a token, and none is longer
        let token = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'-';
        return (read.len() > LONGEST_METHOD || !read.iter().all(token)).then_some(Manner::Direct);
    };
    if read.starts_with(b"CONNECT ") {
        return Some(Manner::Proxy);
    }
    match read.get(space + 1)? {
        b'h' | b'H' => Some(Manner::Proxy),
        _ => Some(Manner::Direct),
    }
}

/// A stream with what was read of it put back.
fn rewound(read: BytesMut, stream: Box<dyn Stream>) -> Box<dyn Stream> {
    let (reader, writer) = tokio::io::split(stream);
    Box::new(tokio::io::join(Cursor::new(read.freeze()).chain(reader), writer))
}

const LONGEST_METHOD: usize = 40;

#[cfg(test)]
mod tests;
