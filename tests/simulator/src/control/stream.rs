//! What befalls an account's connection.

use axum::extract::State;
use axum::http::StatusCode;

use super::App;
use super::body::In;
use super::problem::Problem;
use crate::world::Phone;

pub(super) async fn disconnect(State(shared): App, In(phone): In<Phone>) -> Result<StatusCode, Problem> {
    shared.world().disconnect(&phone)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn reconnect(State(shared): App, In(phone): In<Phone>) -> Result<StatusCode, Problem> {
    shared.world().reconnect(&phone)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn conflict(State(shared): App, In(phone): In<Phone>) -> Result<StatusCode, Problem> {
    shared.world().conflict(&phone)?;
    Ok(StatusCode::NO_CONTENT)
}
