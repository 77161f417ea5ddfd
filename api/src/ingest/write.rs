//! One batch of events into the database, in one transaction with the cursor: all of it is there, or nothing. What
//! cannot be understood or stored becomes a dead letter, and the stream goes on.

use jiff::Timestamp;
use relay::{Entry, Envelope, Event, Message, Offset, SessionState, TraceParent};
use runtime::{ambient, trace};
use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::clean::clean;
use super::tell::{Place, Told};
use crate::fleet::Known;
use crate::metrics;
use crate::store::{Acked, Cursor, SeenChat, Store, StoreError, StoredEvent, TenantScope, TenantTx};

/// A batch that is committed.
#[derive(Debug)]
pub struct Written {
    /// Where the cursor is now.
    pub cursor: Cursor,
    /// What sockets are to be told, in order.
    pub told: Vec<Told>,
}

/// Why a batch was not committed.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Somebody else wrote first, or the connection was deleted. Nothing of ours was committed.
    #[error("the cursor moved meanwhile")]
    Overtaken,
}

/// Commits the entries, which follow the cursor, and moves it.
pub async fn write(
    store: &Store,
    known: &Known,
    cursor: Cursor,
    entries: &[Entry],
    now: Timestamp,
) -> Result<Written, WriteError> {
    match commit(store, known, cursor, entries, None, now).await {
        // One of them cannot be stored. Each on its own, the others are.
        Err(WriteError::Store(StoreError::Refused(_))) => one_by_one(store, known, cursor, entries, now).await,
        other => other,
    }
}

async fn one_by_one(
    store: &Store,
    known: &Known,
    cursor: Cursor,
    entries: &[Entry],
    now: Timestamp,
) -> Result<Written, WriteError> {
    let mut all = Written { cursor, told: Vec::new() };
    for entry in entries {
        let one = std::slice::from_ref(entry);
        let written = match commit(store, known, all.cursor, one, None, now).await {
            Err(WriteError::Store(StoreError::Refused(error))) => {
                commit(store, known, all.cursor, one, Some(&error.to_string()), now).await
            }
            other => other,
        }?;
        all.cursor = written.cursor;
        all.told.extend(written.told);
    }
    Ok(all)
}

/// One transaction. With `refused`, the entries are put aside for that reason without a look into them.
async fn commit(
    store: &Store,
    known: &Known,
    cursor: Cursor,
    entries: &[Entry],
    refused: Option<&str>,
    now: Timestamp,
) -> Result<Written, WriteError> {
    let mut tx = store.begin(&TenantScope::of_connection(known)).await?;
    let mut written = Written { cursor, told: Vec::new() };
    for entry in entries {
        let decoded = match refused {
            Some(reason) => Err(reason.to_owned()),
            None => entry.decode().map_err(|error| error.to_string()),
        };
        match decoded {
            Ok(envelope) => {
                let span = span(known, envelope.header.trace);
                record(&mut tx, &Place { known, entry }, envelope, &mut written).instrument(span).await?;
            }
            Err(reason) => {
                metrics::DEAD_LETTERS.count([]);
                tracing::warn!(connection = %known.id, offset = %entry.offset, "dead letter");
                tx.keep_dead_letter(known.id, entry, &reason, now).await?;
            }
        }
    }
    let last = entries.last().map_or(cursor.last, |entry| entry.offset);
    if !tx.advance(known.id, &cursor, last).await? {
        return Err(WriteError::Overtaken);
    }
    tx.commit().await?;
    for entry in entries {
        metrics::EVENT_SECONDS.observe(entry.offset.age(ambient::now()), []);
    }
    written.cursor.last = last;
    Ok(written)
}

/// Of the trace in whose course the event happened. One of its own for every message would be of use to nobody.
fn span(known: &Known, trace: Option<TraceParent>) -> Span {
    let Some(trace) = trace else { return Span::none() };
    let (company, connection) = (&known.company, known.id);
    let span = tracing::info_span!(target: trace::TARGET, "ingest", %company, %connection, trace_id = Empty);
    trace::follow(&span, Some(trace));
    span
}

async fn record(
    tx: &mut TenantTx,
    place: &Place<'_>,
    envelope: Envelope<Event>,
    written: &mut Written,
) -> Result<(), StoreError> {
    let connection = place.known.id;
    let Entry { offset, previous, .. } = *place.entry;
    let event = clean(envelope.payload);
    let (kind, told, live) = match &event {
        Event::Message(message) => {
            ("message", message_came(tx, place, message, offset).await?, is_news(message, written.cursor.linked_at))
        }
        Event::Ack(ack) => {
            let row = tx.ack(connection, &ack.id, ack.ack).await?;
            ("ack", row.map(|row| place.message_status(row)), true)
        }
        Event::Chat(chat) => {
            let seen = SeenChat {
                name: chat.name.as_deref(),
                phone: chat.phone.as_ref(),
                lid: chat.lid.as_deref(),
                unread: Some(chat.unread),
                activity: chat.last_activity_at,
                push_name: None,
            };
            tx.see_chat(connection, &chat.id, &seen).await?;
            ("chat", None, false)
        }
        Event::State(change) => {
            let linked_at = linked_at(written.cursor.linked_at, change.state, envelope.header.at);
            if linked_at != written.cursor.linked_at {
                tx.set_linked_at(connection, linked_at).await?;
                written.cursor.linked_at = linked_at;
            }
            ("state", Some(place.connection_status(change)), true)
        }
        Event::CommandDone { command, outcome } => {
            let row = tx.settle(connection, *command, outcome).await?;
            ("commandDone", row.map(|row| place.message_status(row)), true)
        }
    };
    metrics::EVENTS.count([kind]);
    let payload = told.as_ref().and_then(|told| serde_json::to_value(told).ok());
    tx.keep_event(connection, &StoredEvent { offset, previous, kind, at: envelope.header.at, payload }).await?;
    written.told.extend(told.filter(|_| live));
    Ok(())
}

/// Since when the phone is linked, after that step of its session.
fn linked_at(before: Option<Timestamp>, state: SessionState, at: Timestamp) -> Option<Timestamp> {
    match state {
        SessionState::AwaitingLink | SessionState::LoggedOut => None,
        SessionState::Connected => before.or(Some(at)),
        _ => before,
    }
}

/// Whether sockets are told of a message. One that was found later was missed while the session was away, and is news
/// all the same, unless it is older than the link: then it is of the history that the phone brought along. WhatsApp's
/// clock knows whole seconds, so the second of the link counts as after it.
fn is_news(message: &Message, linked_at: Option<Timestamp>) -> bool {
    !message.recovered || linked_at.is_some_and(|linked_at| message.sent_at.as_second() >= linked_at.as_second())
}

async fn message_came(
    tx: &mut TenantTx,
    place: &Place<'_>,
    message: &Message,
    offset: Offset,
) -> Result<Option<Told>, StoreError> {
    // What others call themselves names their chat; in a group it names one of many.
    let theirs = !message.from_me && message.chat.is_individual();
    let seen = SeenChat {
        push_name: message.push_name.as_deref().filter(|_| theirs),
        activity: Some(message.sent_at),
        ..SeenChat::default()
    };
    let chat = tx.see_chat(place.known.id, &message.chat, &seen).await?;
    Ok(match tx.record_message(place.known.id, chat, message, offset).await? {
        Acked::New(row) => Some(place.new_message(row, message.recovered)),
        Acked::Grown(row) => Some(place.message_status(row)),
        Acked::Known => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_connected_after_a_link_counts() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let first = linked_at(None, SessionState::Connected, at(1));
        assert_eq!(first, Some(at(1)));
        assert_eq!(linked_at(first, SessionState::Reconnecting, at(2)), first);
        assert_eq!(linked_at(first, SessionState::Connected, at(3)), first);
        assert_eq!(linked_at(first, SessionState::AwaitingLink, at(4)), None);
        assert_eq!(linked_at(first, SessionState::LoggedOut, at(4)), None);
    }
}
