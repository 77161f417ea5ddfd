//! The sweep over messages that were stored but may not have left: the process ended in between, or Redis was away. A
//! command that leaves twice is harmless (the page is asked for the message's id before it sends); one that never leaves
//! is a message that somebody waits for.

use std::time::Duration;

use jiff::Timestamp;
use relay::{Command, CommandAction, ConnectionId};
use runtime::ambient;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::store::{StoreError, Waiting};

/// How often it looks.
const SWEEP: Duration = Duration::from_secs(5);

/// A message that was stored more recently is most likely just leaving. Its time is rounded down to the second.
const SETTLED: Duration = Duration::from_secs(5);

/// Messages of one sweep. The next follows at once when there were as many.
const MOST: i64 = 100;

/// How long after its deadline a message still waits for a word from its session.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long idempotency keys are kept.
const KEYS: Duration = Duration::from_hours(24);

/// Sweeps until the process ends.
pub async fn sweep(app: App, stop: CancellationToken) -> Result<(), StoreError> {
    let mut ticks = interval(SWEEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return Ok(()),
        }
        if let Err(error) = once(&app, ambient::now()).await {
            tracing::warn!(%error, "outbox sweep failed");
        }
    }
}

async fn once(app: &App, now: Timestamp) -> Result<(), StoreError> {
    let mut tx = app.store().begin_house().await?;
    let waiting = tx.waiting(now - SETTLED, MOST).await?;
    let mut left = Vec::new();
    for message in waiting.iter().filter(|message| message.deadline.to_jiff() > now) {
        let Some(command) = command(message) else { continue };
        let id = ConnectionId(message.connection_id);
        if app.ask_relay(async |relay| relay.send(id, command, now).await).await.is_err() {
            break;
        }
        left.push(message.id);
    }
    if !left.is_empty() {
        tracing::info!(messages = left.len(), "sent what had not left");
        metrics::counter!("api_outbox_resent_total").increment(u64::try_from(left.len()).unwrap_or(u64::MAX));
        tx.all_dispatched(&left).await?;
    }
    let given_up = tx.give_up(now - PATIENCE).await?;
    if given_up > 0 {
        tracing::warn!(messages = given_up, "no word of their end");
        metrics::counter!("api_messages_given_up_total").increment(given_up);
    }
    tx.forget_keys(now - KEYS).await?;
    tx.commit().await
}

fn command(message: &Waiting) -> Option<Command> {
    let action = CommandAction::SendText {
        message: message.wa_id.parse().ok()?,
        chat: message.chat_wa_id.parse().ok()?,
        text: message.text.clone(),
    };
    Some(Command { id: message.command_id, deadline: message.deadline.to_jiff(), action })
}
