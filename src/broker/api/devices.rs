//! The caller's device keys.

use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::Request;

use super::Service;
use super::caller::{Named, body};
use super::fault::Fault;
use crate::broker::authn::Caller;
use crate::broker::devices::Reach;
use crate::domain::name::DeviceId;
use crate::wire::control::{ConfirmDevice, DeviceListing, DeviceRevocation, Listing, ONLY, PendingDevice};

pub(super) async fn list(
    State(service): State<Service>,
    caller: Caller,
) -> Result<Json<DeviceListing>, Fault> {
    Ok(Json(Listing { items: service.core.devices.list(&caller.principal().id)? }))
}

pub(super) async fn pending(State(service): State<Service>, caller: Caller) -> Json<Listing<PendingDevice>> {
    let items = service.core.devices.pending.of(&caller.principal().id, service.core.clock.now());
    Json(Listing { items })
}

pub(super) async fn confirm(
    State(service): State<Service>,
    caller: Caller,
    request: Request<Body>,
) -> Result<Json<PendingDevice>, Fault> {
    let bytes = body(request.into_body()).await?;
    let ask: ConfirmDevice = serde_json::from_slice(&bytes)
        .map_err(|error| Fault::bad_request("the body cannot be read").detail(error.to_string()))?;
    Ok(Json(service.core.confirm_device(&caller, &ask).await?))
}

pub(super) async fn revoke(
    State(service): State<Service>,
    caller: Caller,
    Named(id): Named<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<DeviceRevocation>, Fault> {
    let id = DeviceId::new(id).map_err(|_| Fault::unknown("device"))?;
    // INVARIANT: whatever is not asked for clearly revokes more, never less
    let reach = if query.as_deref() == Some(ONLY) { Reach::Only } else { Reach::LetIn };
    match service.core.revoke_device(&caller, &id, reach).await? {
        Some(further) => Ok(Json(DeviceRevocation { further })),
        None => Err(Fault::unknown("device")),
    }
}
