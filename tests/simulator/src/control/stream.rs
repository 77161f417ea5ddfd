//! What befalls an account's connection.

use axum::extract::State;
use axum::http::StatusCode;

use serde::Deserialize;

use super::App;
use super::body::{Body, In};
use super::problem::Problem;
use crate::world::{Answers, Phone};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sends {
    answers: Answers,
}

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

pub(super) async fn reload(State(shared): App, In(phone): In<Phone>) -> Result<StatusCode, Problem> {
    shared.world().reload(&phone)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn sends(
    State(shared): App,
    In(phone): In<Phone>,
    Body(sends): Body<Sends>,
) -> Result<StatusCode, Problem> {
    shared.world().answer_sends(&phone, sends.answers)?;
    Ok(StatusCode::NO_CONTENT)
}
