#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod clients;
mod properties;
mod refusals;
mod vectors;

use aws_credential_types::Credentials;
use http::Request;
use http::request::Parts;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use super::{
    BodyHash, Expected, Payload, Placement, Presented, SessionKeys, SignatureFault, Upstream, Verified,
    session_keys, sign,
};

/// The key of AWS's own examples.
const EXAMPLE_ID: &str = "AKIAIOSFODNN7EXAMPLE";
const EXAMPLE_SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

fn head(method: &str, target: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn hash(body: &[u8]) -> [u8; 32] {
    Sha256::digest(body).into()
}

fn keys() -> SessionKeys {
    session_keys("ses_1", &hash(b"the session's secret"))
}

/// Signs as an SDK with the session's keys does.
fn signed(mut parts: Parts, service: &str, now: Timestamp, payload: Payload) -> Parts {
    let keys = keys();
    let secret = keys.secret.expose_secret();
    let credentials = Credentials::new(keys.access_key.as_str(), secret, None, None, "test");
    let host = "127.0.0.1:9000";
    let upstream = Upstream { credentials: &credentials, host, region: "eu-central-1", service, now };
    sign(&mut parts, &upstream, payload, BodyHash::Known(hash(b""))).unwrap();
    parts
}

/// Reads and verifies with the session's keys, for S3 and DynamoDB in eu-central-1.
fn accepted(parts: &Parts, now: Timestamp) -> Result<Verified, SignatureFault> {
    verify(parts, now, BodyHash::Known(hash(b"")), Some(&keys().token))
}

fn verify(
    parts: &Parts,
    now: Timestamp,
    body: BodyHash,
    session_token: Option<&SecretString>,
) -> Result<Verified, SignatureFault> {
    let keys = keys();
    let (regions, services) = (&["eu-central-1"], &["dynamodb", "s3"]);
    let access_key = keys.access_key.as_str();
    let expected = Expected { access_key, session_token, now, regions, services };
    Presented::read(parts)?.verify(parts, body, &keys.secret, &expected)
}
