//! Who may log in where, and logging in.

use std::borrow::Cow;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Service;
use super::caller::{address, body, proof};
use super::fault::Fault;
use crate::broker::app::random_text;
use crate::broker::authn::{Caller, Exchange};
use crate::wire::control::{BrokerInfo, ProviderInfo, TokenRequest, WhoAmI, WorkloadInfo};
use crate::wire::dpop::endpoint;

pub(super) async fn info(State(service): State<Service>) -> Json<BrokerInfo> {
    let config = service.core.config();
    let providers = config.providers.iter().map(|provider| ProviderInfo {
        name: provider.name.clone(),
        issuer: provider.issuer.clone(),
        client_id: provider.client_id.clone(),
        scopes: provider.scopes.clone(),
        groups_claim: (!provider.groups.is_empty()).then(|| provider.groups_claim.clone()),
    });
    let workloads = config.workloads.iter().map(|workload| WorkloadInfo {
        name: workload.name.clone(),
        issuer: workload.issuer.clone(),
        audience: workload.audience.clone(),
        client_credentials: workload.client_credentials.clone(),
    });
    Json(BrokerInfo {
        version: env!("CARGO_PKG_VERSION").into(),
        public_url: config.public_url.clone(),
        gateway_key: service.core.identity.gateway_key.clone(),
        providers: providers.collect(),
        workloads: workloads.collect(),
    })
}

pub(super) async fn token(State(service): State<Service>, request: Request<Body>) -> Result<Response, Fault> {
    let (parts, content) = request.into_parts();
    let config = service.core.config();
    let url = endpoint(&config.public_url, parts.uri.path());
    let form = form(&body(content).await?)?;
    let call = Exchange {
        request: &form,
        proof: proof(&parts.headers)?,
        url: &url,
        address: address(&parts, &config),
        now: service.core.clock.now(),
        token: random_text(),
    };
    let outcome = service.core.authn.exchange(&config, call).await;
    let exchanged = outcome.inspect_err(|error| {
        service.core.metrics.login_refused();
        tracing::info!(%error, "login refused");
    })?;
    service.core.refreshed(&exchanged);
    // RFC 6749 §5.1: an answer with a token in it is not for caches
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(exchanged.response)).into_response())
}

pub(super) async fn logout(State(service): State<Service>, caller: Caller) -> Result<StatusCode, Fault> {
    service.core.log_out(&caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn whoami(caller: Caller) -> Json<WhoAmI> {
    Json(WhoAmI {
        principal: caller.principal().id.clone(),
        display: caller.principal().display.clone(),
        kind: caller.principal().kind,
        groups: caller.principal().groups.clone(),
        groupless: caller.login.groupless.clone(),
        device: caller.device.id.clone(),
        login_expires: caller.login.expires(),
    })
}

fn form(bytes: &[u8]) -> Result<TokenRequest, Fault> {
    let find = |name: &str| -> Result<Option<String>, Fault> {
        let mut values =
            url::form_urlencoded::parse(bytes).filter(|(key, _)| key == name).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (value, None) => Ok(value.map(Cow::into_owned)),
            // RFC 6749 §3.2: no parameter may come twice
            _ => Err(Fault::bad_request(format!("the form must have `{name}` once"))),
        }
    };
    let field = |name: &str| {
        find(name)?.ok_or_else(|| Fault::bad_request(format!("the form must have `{name}` once")))
    };
    Ok(TokenRequest {
        grant_type: field("grant_type")?,
        subject_token: field("subject_token")?,
        subject_token_type: field("subject_token_type")?,
        host: field("host")?,
        userinfo_token: find("userinfo_token")?,
    })
}
