//! Chats and messages of an account, as its phone and the people it writes with see them.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::App;
use super::body::{Body, In};
use super::problem::Problem;
use crate::world::{ChatId, ChatView, GroupRequest, MessageId, MessageRequest, MessageView, Moment, Phone, SentView};

#[derive(Serialize)]
pub(super) struct Id<T> {
    id: T,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Acknowledgement {
    id: MessageId,
    ack: i8,
}

pub(super) async fn receive(
    State(shared): App,
    In(phone): In<Phone>,
    Body(message): Body<MessageRequest>,
) -> Result<Json<Id<MessageId>>, Problem> {
    Ok(Json(Id { id: shared.world().receive(&phone, message, &Moment::ambient())? }))
}

pub(super) async fn group(
    State(shared): App,
    In(phone): In<Phone>,
    Body(group): Body<GroupRequest>,
) -> Result<Json<Id<ChatId>>, Problem> {
    let id = group.id.clone();
    shared.world().group(&phone, group)?;
    Ok(Json(Id { id }))
}

pub(super) async fn acknowledge(
    State(shared): App,
    In(phone): In<Phone>,
    Body(acknowledgement): Body<Acknowledgement>,
) -> Result<StatusCode, Problem> {
    shared.world().acknowledge(&phone, &acknowledgement.id, acknowledgement.ack)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn sent(State(shared): App, In(phone): In<Phone>) -> Result<Json<Vec<SentView>>, Problem> {
    Ok(Json(shared.world().sent(&phone)?))
}

pub(super) async fn list(State(shared): App, In(phone): In<Phone>) -> Result<Json<Vec<ChatView>>, Problem> {
    Ok(Json(shared.world().chats(&phone)?))
}

pub(super) async fn messages(
    State(shared): App,
    In((phone, chat)): In<(Phone, ChatId)>,
) -> Result<Json<Vec<MessageView>>, Problem> {
    Ok(Json(shared.world().messages(&phone, &chat)?))
}
