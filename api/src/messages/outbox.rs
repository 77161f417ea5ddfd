//! The sweep over messages that were stored but may not have left: the process ended in between, or Redis was away. A
//! command that leaves twice is harmless (the page is asked for the message's id before it sends); one that never leaves
//! is a message that somebody waits for. One replica does it for all; that two do it for a moment is harmless, too.

use std::time::Duration;

use jiff::Timestamp;
use relay::{Command, CommandAction, ConnectionId};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::ingest::message_status_now;
use crate::metrics;
use crate::store::{StoreError, Waiting};

/// How often it looks.
const SWEEP: Duration = Duration::from_secs(5);

/// A message that was stored more recently is most likely just leaving. Its time is rounded down to the second.
const SETTLED: Duration = Duration::from_secs(5);

/// Messages of one transaction. The next follows at once when there were as many.
const MOST: i64 = 100;

/// How long after its deadline a message still waits for a word from its session.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long idempotency keys are kept.
const KEYS: Duration = Duration::from_hours(24);

/// How long entries of the audit log are kept: 90 days.
const AUDIT: Duration = Duration::from_hours(90 * 24);

/// Old rows that one transaction removes: some 0.1 s. All at once could take longer than a statement may, after a busy day
/// or a long pause, and then none would ever go.
const OLD: u32 = 10_000;

/// Sweeps until the process ends.
pub async fn sweep(app: App, stop: CancellationToken) -> Result<(), StoreError> {
    let mut ticks = interval(SWEEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return Ok(()),
        }
        if app.replicas().leads()
            && let Err(error) = once(&app, &stop).await
        {
            tracing::warn!(%error, "outbox sweep failed");
        }
    }
}

async fn once(app: &App, stop: &CancellationToken) -> Result<(), StoreError> {
    let now = app.store().now().await?;
    while send_again(app, now, stop).await? {}
    while give_up(app, now).await? {}
    while !stop.is_cancelled() && forget_keys(app, now - KEYS).await? {}
    while !stop.is_cancelled() && forget_audit(app, now - AUDIT).await? {}
    Ok(())
}

/// True when there may be more.
async fn forget_keys(app: &App, before: Timestamp) -> Result<bool, StoreError> {
    let mut tx = app.store().begin_cross_tenant().await?;
    let gone = tx.forget_keys(before, OLD).await?;
    tx.commit().await?;
    Ok(gone >= u64::from(OLD))
}

/// True when there may be more.
async fn forget_audit(app: &App, before: Timestamp) -> Result<bool, StoreError> {
    let mut tx = app.store().begin_cross_tenant().await?;
    let gone = tx.forget_audit(before, OLD).await?;
    tx.commit().await?;
    Ok(gone >= u64::from(OLD))
}

/// Sends what had not left. No lock is held meanwhile: two replicas may send the same, which is harmless. True when there
/// may be more.
async fn send_again(app: &App, now: Timestamp, stop: &CancellationToken) -> Result<bool, StoreError> {
    let mut tx = app.store().begin_cross_tenant().await?;
    let waiting = tx.waiting(now - SETTLED, now, MOST).await?;
    tx.commit().await?;
    let mut left = Vec::new();
    for message in &waiting {
        let Some(command) = command(message) else { continue };
        let id = ConnectionId(message.connection_id);
        if stop.is_cancelled() || app.ask_relay(async |relay| relay.send(id, command, now).await).await.is_err() {
            break;
        }
        left.push(message.id);
    }
    if left.is_empty() {
        return Ok(false);
    }
    tracing::info!(messages = left.len(), "sent what had not left");
    metrics::RESENT.add(left.len(), []);
    let mut tx = app.store().begin_cross_tenant().await?;
    tx.all_dispatched(&left).await?;
    tx.commit().await?;
    // Whatever stopped it short would stop it again.
    Ok(left.len() == waiting.len() && full(&waiting))
}

/// Gives up on what nobody tells of any more, and tells that. True when there may be more.
async fn give_up(app: &App, now: Timestamp) -> Result<bool, StoreError> {
    let mut tx = app.store().begin_cross_tenant().await?;
    let given_up = tx.give_up(now - PATIENCE, MOST).await?;
    tx.commit().await?;
    let more = full(&given_up);
    if !given_up.is_empty() {
        tracing::warn!(messages = given_up.len(), "no word of their end");
        metrics::GIVEN_UP.add(given_up.len(), []);
    }
    for row in given_up {
        let Some(known) = app.fleet().connection(ConnectionId(row.connection_id)) else { continue };
        let Ok(payload) = serde_json::to_string(&message_status_now(row)) else { continue };
        if app.ask_relay(async |relay| relay.publish_committed(&known.company, &payload).await).await.is_err() {
            // They are stored as given up all the same; who reads them sees it.
            break;
        }
    }
    Ok(more)
}

fn full<T>(batch: &[T]) -> bool {
    i64::try_from(batch.len()).is_ok_and(|length| length >= MOST)
}

fn command(message: &Waiting) -> Option<Command> {
    let action = CommandAction::SendText {
        message: message.wa_id.parse().ok()?,
        chat: message.chat_wa_id.parse().ok()?,
        text: message.text.clone(),
    };
    Some(Command { id: message.command_id, deadline: message.deadline.to_jiff(), action, trace: None })
}
