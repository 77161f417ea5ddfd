//! Sending a text. The id that WhatsApp will know the message by is fixed before anything else, the message is stored
//! with its idempotency key in one transaction, and only then does a command leave: whatever breaks in between, the
//! command is sent again by the outbox and the session sends the message once.

use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use relay::{ChatId, Command, CommandAction, MessageId};
use runtime::ambient;

use super::view::MessageView;
use crate::auth::Tenant;
use crate::connections::live::live;
use crate::fleet::Known;
use crate::http::{Repeatable, kept, settled};
use crate::problem::Problem;
use crate::store::{Outgoing, SeenChat, StoreError};

/// After this a message is not sent any more. Long enough for a session pod to be replaced (a minute), short enough that
/// nobody gets an answer to a question of yesterday.
const DEADLINE: Duration = Duration::from_mins(5);

/// Sends a text into a chat of a connection, and gives the answer to the caller.
pub async fn send(
    tenant: &Tenant,
    known: &Known,
    chat: &ChatId,
    text: &str,
    repeatable: Option<Repeatable>,
) -> Result<Response, Problem> {
    if let Some(answered) = answered(tenant, repeatable.as_ref()).await? {
        return Ok(answered);
    }
    let status = tenant.status(known).await?;
    let now_is = live(known, status.as_ref());
    if !now_is.is_connected() {
        return Err(Problem::not_connected(now_is.status));
    }

    let message = MessageId::outgoing(chat, ambient::random_bytes());
    let mut tx = tenant.begin().await?;
    let now = tx.now().await?;
    // As fine as WhatsApp's clock: so the message sorts with what the phone says of the same second.
    let sent_at = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let (id, deadline) = (ambient::new_id(), sent_at + DEADLINE);
    if let Some(Repeatable { key, fingerprint }) = &repeatable {
        // Somebody may have come with the same key since the look above; whoever is second waits here for the first.
        if let Some(answered) = settled(tx.claim(key, fingerprint, now).await?)? {
            return Ok(answered);
        }
    }
    let seen = SeenChat { activity: Some(sent_at), ..SeenChat::default() };
    let key = tx.see_chat(known.id, chat, &seen).await?;
    let outgoing = Outgoing { wa_id: &message, chat: key, text, sent_at, command: id, deadline };
    let view = MessageView::from(tx.queue_message(known.id, &outgoing).await?);
    if let Some(Repeatable { key, .. }) = &repeatable {
        tx.answer(key, StatusCode::ACCEPTED.as_u16(), &kept(&view)?).await?;
    }
    tx.commit().await?;

    let action = CommandAction::SendText { message, chat: chat.clone(), text: text.to_owned() };
    let command = Command { id, deadline, action, trace: runtime::trace::current() };
    dispatch(tenant, known, &view, command).await;
    Ok((StatusCode::ACCEPTED, Json(view)).into_response())
}

async fn answered(tenant: &Tenant, repeatable: Option<&Repeatable>) -> Result<Option<Response>, Problem> {
    let Some(Repeatable { key, fingerprint }) = repeatable else { return Ok(None) };
    let claim = tenant.begin().await?.claimed(key, fingerprint).await?;
    claim.map_or(Ok(None), settled)
}

/// Hands the command to the relay. What fails here is not told: the message is stored, and the outbox sends it.
async fn dispatch(tenant: &Tenant, known: &Known, view: &MessageView, command: Command) {
    if tenant.send(known, command).await.is_err() {
        return;
    }
    if let Err(error) = remember(tenant, view).await {
        // Then the outbox sends it once more, and the session finds that it was sent.
        tracing::warn!(%error, "dispatch not remembered");
    }
}

async fn remember(tenant: &Tenant, view: &MessageView) -> Result<(), StoreError> {
    let mut tx = tenant.begin().await?;
    tx.dispatched(view.id).await?;
    tx.commit().await
}
