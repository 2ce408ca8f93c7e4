//! The caller's device keys.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::Service;
use super::caller::Named;
use super::fault::Fault;
use crate::broker::authn::Caller;
use crate::domain::name::DeviceId;
use crate::wire::control::{DeviceListing, Listing};

pub(super) async fn list(
    State(service): State<Service>,
    caller: Caller,
) -> Result<Json<DeviceListing>, Fault> {
    Ok(Json(Listing { items: service.core.devices.list(&caller.principal().id)? }))
}

pub(super) async fn revoke(
    State(service): State<Service>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<StatusCode, Fault> {
    let id = DeviceId::new(id).map_err(|_| Fault::unknown("device"))?;
    match service.core.revoke_device(&caller, &id).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Fault::unknown("device")),
    }
}
