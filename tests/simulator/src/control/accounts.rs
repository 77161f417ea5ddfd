//! The accounts, and unlinking one's devices.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use super::body::{Body, In};
use super::problem::Problem;
use super::{App, UNLINKED_BY_PHONE};
use crate::world::{AccountView, Ban, Phone};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Logout {
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BanRequest {
    kind: Ban,
}

pub(super) async fn ban(
    State(shared): App,
    In(phone): In<Phone>,
    Body(ban): Body<BanRequest>,
) -> Result<StatusCode, Problem> {
    shared.world().ban(&phone, ban.kind)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn list(State(shared): App) -> Json<Vec<AccountView>> {
    Json(shared.world().accounts())
}

pub(super) async fn logout(
    State(shared): App,
    In(phone): In<Phone>,
    Body(logout): Body<Logout>,
) -> Result<StatusCode, Problem> {
    shared.world().log_out(&phone, logout.reason.as_deref().unwrap_or(UNLINKED_BY_PHONE))?;
    Ok(StatusCode::NO_CONTENT)
}
