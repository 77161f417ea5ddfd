//! Pages that wait, and the phones that scan them.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use super::App;
use super::body::Body;
use super::problem::Problem;
use crate::plan::PagePlan;
use crate::world::{Moment, Names, PageView, Phone};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Scan {
    qr: String,
    phone: Phone,
    #[serde(default)]
    push_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Pair {
    phone: Phone,
    code: String,
    #[serde(default)]
    push_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expire {
    phone: Phone,
}

pub(super) async fn plan(State(shared): App, Body(plan): Body<PagePlan>) -> Result<StatusCode, Problem> {
    shared.world().plan_page(plan)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn expire(State(shared): App, Body(expire): Body<Expire>) -> Result<StatusCode, Problem> {
    shared.world().expire_pairing(&expire.phone)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn list(State(shared): App) -> Json<Vec<PageView>> {
    Json(shared.world().pages())
}

pub(super) async fn scan(State(shared): App, Body(scan): Body<Scan>) -> Result<StatusCode, Problem> {
    shared.world().scan(&scan.qr, scan.phone, Names { push_name: scan.push_name }, &Moment::ambient())?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn pair(State(shared): App, Body(pair): Body<Pair>) -> Result<StatusCode, Problem> {
    shared.world().pair(pair.phone, &pair.code, Names { push_name: pair.push_name }, &Moment::ambient())?;
    Ok(StatusCode::NO_CONTENT)
}
