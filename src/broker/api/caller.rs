//! Who makes a call, and from where.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::body::Body;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::Service;
use super::fault::Fault;
use super::strangers::Stranger;
use crate::broker::authn::{AuthnError, Caller, Credentials};
use crate::broker::config::Config;
use crate::wire::dpop::{ProofError, endpoint};

/// The other end of the TCP connection; put into each request by `listen`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

impl FromRequestParts<Service> for Caller {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Self, Fault> {
        let config = service.core.config();
        let url = endpoint(&config.public_url, parts.uri.path());
        let authorization = one(&parts.headers, &header::AUTHORIZATION).ok_or_else(not_logged_in)?;
        let token = strip_scheme(authorization).ok_or_else(not_logged_in)?;
        let given =
            Credentials { method: parts.method.as_str(), url: &url, token, proof: proof(&parts.headers)? };
        let address = address(parts, &config);
        let caller = service.core.authn.recognise(&given, address, service.core.clock.now())?;
        if let Some(stranger) = parts.extensions.get::<Stranger>() {
            stranger.is_known();
        }
        Ok(caller)
    }
}

/// What a path names. A path that cannot be read names nothing.
pub(super) struct Named<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Service> for Named<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Self, Fault> {
        let path = Path::<T>::from_request_parts(parts, service).await;
        path.map(|Path(named)| Self(named)).map_err(|_| Fault::no_page())
    }
}

/// The number that a query names so, if it has nothing else in it.
pub(super) fn number(query: Option<&str>, name: &str) -> Result<Option<u64>, Fault> {
    let Some(query) = query.filter(|query| !query.is_empty()) else { return Ok(None) };
    let value = query.split_once('=').filter(|(found, _)| *found == name).and_then(|(_, n)| n.parse().ok());
    value.map(Some).ok_or_else(|| Fault::bad_request(format!("the query is not `{name}=NUMBER`")))
}

/// The one proof of a call (RFC 9449 §4.3: exactly one).
pub(super) fn proof(headers: &HeaderMap) -> Result<&str, Fault> {
    one(headers, &HeaderName::from_static("dpop"))
        .ok_or_else(|| AuthnError::Proof(ProofError::Malformed).into())
}

/// Where a call comes from: the peer, or what a trusted proxy says in its place.
pub(super) fn address(parts: &Parts, config: &Config) -> IpAddr {
    let peer = parts.extensions.get::<Peer>().map_or(NOWHERE, |peer| peer.0.ip().to_canonical());
    forwarded(peer, &parts.headers, config)
}

/// For whom a peer calls. Read from the right, because everything to the left of an untrusted address
/// is that address's own invention.
pub(super) fn forwarded(peer: IpAddr, headers: &HeaderMap, config: &Config) -> IpAddr {
    let mut address = peer;
    let forwarded = headers.get_all("x-forwarded-for").iter().rev();
    // as bytes: what a client put to the left of its proxy's word must not spoil that word
    for hop in forwarded.flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b',')) {
        if !is_proxy(address, config) {
            break;
        }
        let hop = std::str::from_utf8(hop.trim_ascii());
        let Some(next) = hop.ok().and_then(|hop| hop.parse::<IpAddr>().ok()) else { break };
        address = next.to_canonical();
    }
    address
}

/// Whether others call through this address.
pub(super) fn is_proxy(address: IpAddr, config: &Config) -> bool {
    config.trusted_proxies.iter().any(|(network, length)| covers(*network, *length, address))
}

/// The body, if it is not larger than any call needs.
pub(super) async fn body(body: Body) -> Result<Vec<u8>, Fault> {
    let whole = tokio::time::timeout(super::listen::PATIENCE, Limited::new(body, MAX_BODY).collect()).await;
    let whole = whole.map_err(|_| Fault::bad_request("the request took too long"))?;
    match whole {
        Ok(whole) => Ok(whole.to_bytes().to_vec()),
        Err(error) if error.is::<LengthLimitError>() => Err(Fault::too_large()),
        Err(_) => Err(Fault::bad_request("the request ended early")),
    }
}

fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

fn strip_scheme(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("DPoP").then_some(token)
}

fn not_logged_in() -> Fault {
    AuthnError::Unknown.into()
}

fn covers(network: IpAddr, length: u8, address: IpAddr) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(four) => (u128::from(u32::from(four)) << 96, 32),
        IpAddr::V6(six) => (u128::from(six), 128),
    };
    let ((network, width), (address, other_width)) = (bits(network.to_canonical()), bits(address));
    if width != other_width || u32::from(length) > width {
        return false;
    }
    let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
    network & mask == address & mask
}

/// The peer of a request that came through no port: in tests only.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const MAX_BODY: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::covers;

    #[test]
    fn a_network_covers_its_addresses_only() {
        let check = |network: &str, length, address: &str| {
            covers(network.parse().unwrap(), length, address.parse().unwrap())
        };
        assert!(check("10.0.0.0", 8, "10.255.0.1"));
        assert!(!check("10.0.0.0", 8, "11.0.0.1"));
        assert!(check("192.168.1.7", 32, "192.168.1.7"));
        assert!(!check("192.168.1.7", 32, "192.168.1.8"));
        assert!(check("0.0.0.0", 0, "8.8.8.8"));
        assert!(!check("0.0.0.0", 0, "::1"));
        assert!(check("fd00::", 8, "fd12::1"));
        assert!(!check("10.0.0.0", 33, "10.0.0.0"));
    }
}
