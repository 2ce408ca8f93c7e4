//! Tokens that a real issuer did not sign for this broker. What claims and times make of a token that it did
//! sign is told beside the broker's sources.

use serde_json::{Value, json};

use super::stage::{Forge, trusting};
use crate::support::broker::Broker;
use crate::support::provider::Provider;

/// What somebody hears who comes with such a token.
async fn refused(forge: &Forge, wish: Value) -> String {
    let mut job = forge.env();
    job.set("TOKEN", &forge.provider.mint(wish).await);
    job.run(&["--workload", "env:TOKEN", "whoami"]).await.ends(79).stderr
}

/// The stage lets in what is as it should be, so that each refusal has one reason.
async fn is_let_in(forge: &Forge) {
    let mut job = forge.env();
    job.set("TOKEN", &forge.provider.mint(json!({})).await);
    job.run(&["--workload", "env:TOKEN", "whoami"]).await.ends(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_a_signature_is_refused() {
    let forge = Forge::start();
    is_let_in(&forge).await;
    for name in ["none", "None", "NONE", ""] {
        let said = refused(&forge, json!({"header": {"alg": name}, "forge": "none"})).await;
        assert!(said.contains("it is not signed with"), "{name}: {said}");
    }
    let said = refused(&forge, json!({"forge": "none"})).await;
    assert!(said.contains("its signature is wrong") || said.contains("malformed"), "{said}");
}

/// The public key is known to everybody; as the secret of an HMAC it would let everybody sign.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_signed_with_the_public_key_is_refused() {
    let forge = Forge::start();
    is_let_in(&forge).await;
    for name in ["HS256", "HS384", "HS512"] {
        let said = refused(&forge, json!({"header": {"alg": name}, "forge": "hmac"})).await;
        assert!(said.contains("it is not signed with"), "{name}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_whose_algorithm_is_not_its_keys_is_refused() {
    let forge = Forge::start();
    is_let_in(&forge).await;
    for name in ["ES256", "EdDSA", "PS256"] {
        let said = refused(&forge, json!({"header": {"alg": name}, "forge": "rsa"})).await;
        assert!(said.contains("its issuer has no such key"), "{name}: {said}");
    }
    let said = refused(&forge, json!({"header": {"alg": "RS384"}, "forge": "rsa"})).await;
    assert!(said.contains("it is not signed with"), "{said}");
}

/// A key that came along, or that another issuer has, says nothing for this one.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_with_the_key_of_another_issuer_is_refused() {
    let forge = Forge::start();
    let other = Provider::start();
    let both = trusting(&forge.provider, "ci") + &second(&other);
    let forge = Forge { broker: Broker::start(&both), provider: forge.provider };
    is_let_in(&forge).await;

    let foreign = other.mint(json!({"claims": {"iss": forge.provider.issuer}})).await;
    let mut job = forge.env();
    job.set("TOKEN", &foreign);
    let ran = job.run(&["--workload", "env:TOKEN", "whoami"]).await.ends(79);
    assert!(ran.stderr.contains("its issuer has no such key"), "{}", ran.stderr);

    // its own tokens are good, for what its own rules say
    job.set("TOKEN", &other.mint(json!({})).await);
    let ran = job.run(&["--workload", "env:TOKEN", "whoami"]).await.ends(77);
    assert!(ran.stderr.contains("no rule of the issuer matches"), "{}", ran.stderr);
    job.set("TOKEN", &other.mint(json!({"claims": {"repository": "second/app"}})).await);
    let ran = job.run(&["--workload", "env:TOKEN", "whoami"]).await.ends(0);
    assert!(ran.stdout.contains("second:repo:acme/app"), "{}", ran.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_a_token_brings_along_is_not_used() {
    let forge = Forge::start();
    is_let_in(&forge).await;
    let (other, issuer) = (Provider::start(), &forge.provider.issuer);
    for header in [
        json!({"jku": format!("{}/jwks", other.issuer)}),
        json!({"x5u": format!("{}/jwks", other.issuer)}),
        json!({"jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}}),
    ] {
        let wish = json!({"header": header, "claims": {"iss": issuer}, "forge": "rsa"});
        let mut job = forge.env();
        job.set("TOKEN", &other.mint(wish).await);
        let ran = job.run(&["--workload", "env:TOKEN", "whoami"]).await.ends(79);
        assert!(ran.stderr.contains("its issuer has no such key"), "{header}: {}", ran.stderr);
    }
    let said = refused(&forge, json!({"header": {"crit": ["exp"]}, "forge": "rsa"})).await;
    assert!(said.contains("another type of token") || said.contains("malformed"), "{said}");
}

fn second(provider: &Provider) -> String {
    format!(
        "[[workload]]\nname = \"second\"\nissuer = \"{}\"\naudience = \"urn:hoopctl:broker\"\n\
         [[workload.rule]]\nclaims = {{ repository = \"second/app\" }}\n",
        provider.issuer
    )
}
