//! Whether a call may use this tunnel: it must carry the session's secret.
//!
//! Job: find the secret where tools can be told to put it, and compare it. Boundary: says nothing of what the
//! call may do. Failure mode: refused, and the API never hears of it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{AUTHORIZATION, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};

use crate::domain::name::Digest;

/// The header that holds the bare secret.
pub(in crate::gateway) const SESSION: HeaderName = HeaderName::from_static("hoop-session");

/// Whether one of the headers in which the secret may stand holds it.
///
/// INVARIANT: every use without the session's secret is refused.
pub(in crate::gateway) fn is_open(headers: &HeaderMap, secret: &Digest) -> bool {
    let bare = headers.get_all(SESSION).iter().map(|value| value.as_bytes().to_vec());
    let basic = [PROXY_AUTHORIZATION, AUTHORIZATION];
    let basic = basic.iter().flat_map(|name| headers.get_all(name)).filter_map(password);
    bare.chain(basic).any(|shown| is_same(&Digest::from_bytes(&Sha256::digest(&shown).into()), secret))
}

/// The password of Basic credentials (RFC 7617); the user may be any.
fn password(value: &HeaderValue) -> Option<Vec<u8>> {
    let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = BASE64_STANDARD.decode(encoded.trim()).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    pair.get(colon + 1..).map(<[u8]>::to_vec)
}

/// Compares without telling by its time where two digests differ.
fn is_same(a: &Digest, b: &Digest) -> bool {
    let (a, b) = (a.as_str().as_bytes(), b.as_str().as_bytes());
    a.len() == b.len() && a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn the_secret_is_taken_from_three_headers_and_no_other() {
        let secret = Digest::from_bytes(&Sha256::digest("open sesame").into());
        let pair = format!("Basic {}", BASE64_STANDARD.encode("anybody:open sesame"));
        let bare = format!("Bearer {}", "open sesame");
        for (name, value, open) in [
            ("authorization", pair.as_str(), true),
            ("proxy-authorization", &pair, true),
            ("hoop-session", "open sesame", true),
            ("authorization", &bare, false),
            ("cookie", "open sesame", false),
            ("hoop-session", "", false),
            ("hoop-session", "open sesam", false),
            ("authorization", "Basic b3BlbiBzZXNhbWU=", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            assert_eq!(is_open(&headers, &secret), open, "{name}: {value}");
        }
    }
}
