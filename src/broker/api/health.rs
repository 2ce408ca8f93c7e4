//! For load balancers and Prometheus.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::Service;
use super::fault::Fault;
use crate::broker::app::core::Core;
use crate::broker::ledger::{Unsigned, Unwitnessed};

/// The process answers.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// It may be sent new sessions. A signer or witnesses that do not answer are a reason to look, and none to turn people
/// away.
pub(super) async fn ready(State(service): State<Service>) -> Result<String, Fault> {
    if let Some(why) = service.core.unready() {
        return Err(Fault::unavailable(why));
    }
    let archive = &service.core.archive;
    let unsigned = archive.unsigned().map(|unsigned| waiting(&unsigned));
    let late = archive.unwitnessed().filter(|unwitnessed| unwitnessed.is_late).map(|found| late(&found));
    let worries: Vec<String> = unsigned.into_iter().chain(late).collect();
    Ok(if worries.is_empty() { "ok\n".to_owned() } else { format!("ok, but {}\n", worries.join(", and ")) })
}

fn waiting(unsigned: &Unsigned) -> String {
    let (entries, seconds) = (unsigned.entries, unsigned.age.as_secs());
    format!("the ledger's key has not signed the last {entries} entries of the ledger for {seconds} seconds")
}

fn late(unwitnessed: &Unwitnessed) -> String {
    let minutes = unwitnessed.age.as_secs() / 60;
    format!(
        "witnesses have not cosigned the last {} entries of the ledger for {minutes} minutes",
        unwitnessed.entries
    )
}

pub(super) async fn metrics(State(core): State<Arc<Core>>) -> Result<Response, Fault> {
    core.metrics.witnessed(core.archive.unwitnessed().as_ref());
    core.metrics.signed(core.archive.unsigned().as_ref());
    let text = core.metrics.text().map_err(|error| Fault::internal(&error))?;
    Ok(([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response())
}

/// Where the keys are, for those who take the broker for an OpenID provider, as IAM does (OpenID Connect Discovery §3).
pub(super) async fn discovery(State(service): State<Service>) -> Json<serde_json::Value> {
    let issuer = service.core.config().public_url.as_str().trim_end_matches('/').to_owned();
    Json(serde_json::json!({
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        "issuer": issuer,
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }))
}

/// The keys by which APIs check the broker's tokens (RFC 7517).
pub(super) async fn keys(State(service): State<Service>) -> Json<serde_json::Value> {
    Json(service.core.identity.tokens.set().clone())
}
