#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use proptest::prelude::{any, proptest};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::*;

const NOW: i64 = 1_800_000_000;

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn key(seed: u8) -> DeviceKey {
    DeviceKey::from_bytes(&[seed; 32])
}

fn url() -> Url {
    Url::parse("https://broker.example:8443/v1/whoami").unwrap()
}

fn expect<'a>(url: &'a Url, token: Option<&'a str>) -> Expected<'a> {
    Expected { method: "GET", url, access_token: token, now: now() }
}

/// A proof with any header and claims, signed with the key.
fn forge(key: &DeviceKey, header: &serde_json::Value, claims: &serde_json::Value) -> String {
    use ed25519_dalek::Signer as _;
    let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let signature = key.0.sign(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

fn header(key: &DeviceKey) -> serde_json::Value {
    let x = URL_SAFE_NO_PAD.encode(key.0.verifying_key().as_bytes());
    json!({"typ": "dpop+jwt", "alg": "EdDSA", "jwk": {"kty": "OKP", "crv": "Ed25519", "x": x}})
}

fn claims() -> serde_json::Value {
    json!({"jti": "a", "htm": "GET", "htu": url().as_str(), "iat": NOW})
}

#[test]
fn a_proof_holds_for_what_it_was_made_for() {
    let proof = prove(&key(1), "GET", &url(), Some("token"), "id-1", now()).unwrap();
    let held = check(&proof, &expect(&url(), Some("token"))).unwrap();
    assert_eq!(held, Proof { device: key(1).thumbprint(), jti: "id-1".into(), issued: now() });
}

#[test]
fn query_and_fragment_do_not_count() {
    let asked = Url::parse("https://broker.example:8443/v1/whoami?x=1#y").unwrap();
    let proof = prove(&key(1), "GET", &asked, None, "id", now()).unwrap();
    check(&proof, &expect(&url(), None)).unwrap();
    check(&proof, &expect(&asked, None)).unwrap();
}

#[test]
fn another_method_is_refused() {
    let proof = prove(&key(1), "POST", &url(), None, "id", now()).unwrap();
    assert_eq!(check(&proof, &expect(&url(), None)), Err(ProofError::Method));
}

#[test]
fn another_url_is_refused() {
    for other in [
        "https://broker.example/v1/whoami",
        "http://broker.example:8443/v1/whoami",
        "https://broker.example:8443/v1/devices",
    ] {
        let proof = prove(&key(1), "GET", &Url::parse(other).unwrap(), None, "id", now()).unwrap();
        assert_eq!(check(&proof, &expect(&url(), None)), Err(ProofError::Url), "{other}");
    }
}

#[test]
fn another_token_is_refused() {
    for (made, sent) in [(Some("a"), Some("b")), (None, Some("b")), (Some("a"), None)] {
        let proof = prove(&key(1), "GET", &url(), made, "id", now()).unwrap();
        assert_eq!(check(&proof, &expect(&url(), sent)), Err(ProofError::Token));
    }
}

#[test]
fn the_window_is_a_minute_back_and_five_seconds_ahead() {
    for (offset, fine) in [(-61, false), (-60, true), (5, true), (6, false), (i64::from(i32::MAX), false)] {
        let issued = Timestamp::from_second(NOW + offset).unwrap();
        let proof = prove(&key(1), "GET", &url(), None, "id", issued).unwrap();
        assert_eq!(check(&proof, &expect(&url(), None)).is_ok(), fine, "{offset}");
    }
}

#[test]
fn a_swapped_key_is_refused() {
    let proof = forge(&key(2), &header(&key(1)), &claims());
    assert_eq!(check(&proof, &expect(&url(), None)), Err(ProofError::Signature));
}

#[test]
fn other_algorithms_are_refused() {
    for alg in ["none", "HS256", "ES256", "RS256", "eddsa", "Ed25519"] {
        let mut header = header(&key(1));
        header.as_object_mut().unwrap().insert("alg".into(), alg.into());
        let proof = forge(&key(1), &header, &claims());
        assert_eq!(check(&proof, &expect(&url(), None)), Err(ProofError::Algorithm), "{alg}");
    }
}

#[test]
fn keys_that_are_private_foreign_or_weak_are_refused() {
    let good = header(&key(1))["jwk"].clone();
    let mut private = good.clone();
    private["d"] = "AAAA".into();
    let mut foreign = good.clone();
    foreign["crv"] = "X25519".into();
    let mut weak = good;
    weak["x"] = URL_SAFE_NO_PAD.encode([0; 32]).into();
    for jwk in [private, foreign, weak, json!({"kty": "oct", "k": "AAAA"}), json!(null)] {
        let mut header = header(&key(1));
        header["jwk"] = jwk;
        let proof = forge(&key(1), &header, &claims());
        assert_eq!(check(&proof, &expect(&url(), None)), Err(ProofError::Key), "{header}");
    }
}

#[test]
fn another_type_of_token_is_no_proof() {
    let mut header = header(&key(1));
    header["typ"] = "JWT".into();
    let proof = forge(&key(1), &header, &claims());
    assert_eq!(check(&proof, &expect(&url(), None)), Err(ProofError::Malformed));
}

#[test]
fn a_proof_without_a_usable_id_is_refused() {
    for jti in [String::new(), "a b".into(), "x".repeat(129)] {
        let mut claims = claims();
        claims["jti"] = jti.into();
        let proof = forge(&key(1), &header(&key(1)), &claims);
        assert_eq!(check(&proof, &expect(&url(), None)), Err(ProofError::Malformed));
    }
}

#[test]
fn a_key_survives_the_store_and_hides_in_debug() {
    let kept = DeviceKey::from_bytes(key(7).to_bytes().expose_secret());
    assert_eq!(kept.thumbprint(), key(7).thumbprint());
    assert_eq!(format!("{kept:?}"), format!("DeviceKey({:?})", kept.thumbprint()));
}

#[test]
fn an_endpoint_keeps_the_path_of_the_public_url() {
    let at = |base: &str| endpoint(&Url::parse(base).unwrap(), "/v1/token").to_string();
    assert_eq!(at("https://b.example"), "https://b.example/v1/token");
    assert_eq!(at("https://b.example/hoop/?q#f"), "https://b.example/hoop/v1/token");
}

proptest! {
    #[test]
    fn garbage_is_refused(text in "[ -~]{0,200}", flip in any::<usize>()) {
        assert!(check(&text, &expect(&url(), None)).is_err());
        let mut proof = prove(&key(1), "GET", &url(), None, "id", now()).unwrap().into_bytes();
        let place = flip % proof.len();
        proof[place] ^= 1;
        if let Ok(changed) = String::from_utf8(proof) {
            assert!(check(&changed, &expect(&url(), None)).is_err());
        }
    }
}
