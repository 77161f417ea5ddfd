//! One batch of events into the database, in one transaction with the cursor: all of it is there, or nothing. What
//! cannot be understood or stored becomes a dead letter, and the stream goes on.

use jiff::Timestamp;
use relay::{Entry, Envelope, Event, Message, Offset, SessionState, TraceParent};
use runtime::{ambient, trace};
use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::clean::clean;
use super::fit::{Unfit, fit};
use super::tell::{Place, Told};
use crate::fleet::Known;
use crate::metrics;
use crate::store::{Acked, Cursor, SeenChat, Store, StoreError, StoredEvent, TenantScope, TenantTx};

/// A batch that is committed.
#[derive(Debug)]
pub struct Written {
    /// Where the cursor is now.
    pub cursor: Cursor,
    /// What clients are to be told, in order.
    pub told: Vec<Told>,
    counts: Counts,
}

/// What is counted once it is committed: what is rolled back comes again.
#[derive(Debug)]
struct Counts {
    events: Vec<&'static str>,
    dead_letters: Vec<&'static str>,
}

impl Written {
    const fn nothing(cursor: Cursor) -> Self {
        Self { cursor, told: Vec::new(), counts: Counts { events: Vec::new(), dead_letters: Vec::new() } }
    }
}

/// Why a batch was not committed.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Somebody else has the connection now, or it was deleted. Nothing of ours was committed.
    #[error("the cursor is not ours any more")]
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
    let mut all = Written::nothing(cursor);
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
    // First, so that whoever was overtaken writes nothing at all, and two who differ never wait for each other's rows.
    if !tx.hold(known.id, &cursor).await? {
        return Err(WriteError::Overtaken);
    }
    let mut written = Written::nothing(cursor);
    for entry in entries {
        let envelope = match refused {
            Some(reason) => Err(Unfit::Refused(reason.to_owned())),
            None => fit(entry, known.id, written.cursor.session),
        };
        match envelope {
            Ok(envelope) => {
                let span = span(known, envelope.header.trace);
                record(&mut tx, known, entry, envelope, &mut written).instrument(span).await?;
            }
            Err(unfit) => {
                written.counts.dead_letters.push(unfit.label());
                tracing::warn!(connection = %known.id, offset = %entry.offset, reason = unfit.label(), "dead letter");
                tx.keep_dead_letter(known.id, entry, &unfit.to_string(), now).await?;
            }
        }
        written.cursor.last = entry.offset;
    }
    tx.advance(known.id, &written.cursor).await?;
    tx.commit().await?;
    written.counts.events.iter().for_each(|kind| metrics::EVENTS.count([*kind]));
    written.counts.dead_letters.iter().for_each(|reason| metrics::DEAD_LETTERS.count([*reason]));
    for entry in entries {
        metrics::EVENT_SECONDS.observe(entry.offset.age(ambient::now()), []);
    }
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
    known: &Known,
    entry: &Entry,
    envelope: Envelope<Event>,
    written: &mut Written,
) -> Result<(), StoreError> {
    let connection = known.id;
    let Entry { offset, previous, .. } = *entry;
    let place = &Place { known, offset, previous: written.cursor.told };
    let event = clean(envelope.payload);
    written.cursor.session = written.cursor.session.max(envelope.header.fence);
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
            written.cursor.linked_at = linked_at(written.cursor.linked_at, change.state, envelope.header.at);
            ("state", Some(place.connection_status(change)), true)
        }
        Event::CommandDone { command, outcome } => {
            let row = tx.settle(connection, *command, outcome).await?;
            ("commandDone", row.map(|row| place.message_status(row)), true)
        }
    };
    written.counts.events.push(kind);
    let told = told.filter(|_| live);
    let payload = told.as_ref().and_then(|told| serde_json::to_value(told).ok());
    tx.keep_event(connection, &StoredEvent { offset, previous, kind, at: envelope.header.at, payload }).await?;
    if let Some(told) = told {
        written.cursor.told = offset;
        written.told.push(told);
    }
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

    fn known() -> Known {
        let resource = serde_json::json!({
            "apiVersion": "whatsapp-operator.dev/v1alpha1", "kind": "WhatsAppConnection",
            "metadata": {"name": "sales", "namespace": "company-acme"}, "spec": {"companyId": "acme"},
        });
        let id = relay::ConnectionId(uuid::Uuid::from_u128(7));
        let resource = serde_json::from_value(resource).expect("valid");
        Known { id, company: "acme".parse().expect("valid"), resource }
    }

    fn entry(number: u64) -> Entry {
        let text = format!(
            r#"{{"v":1,"kind":"state","at":"2026-11-23T10:00:00Z","fence":1,"body":{{"state":"Connected","reason":"{number}"}}}}"#
        );
        Entry { offset: Offset::new(number, 0), previous: Offset::START, size: text.len(), raw: text }
    }

    async fn store() -> Store {
        let options: sqlx::postgres::PgConnectOptions =
            harness::Postgres::shared().await.database().await.parse().expect("a URL");
        crate::store::migrate(&options).await.expect("migrated");
        Store::new(options)
    }

    async fn take(store: &Store, known: &Known) -> Cursor {
        let mut tx = store.begin(&TenantScope::of_connection(known)).await.expect("begun");
        let cursor = tx.take(known.id).await.expect("taken");
        tx.commit().await.expect("committed");
        cursor
    }

    /// What would be lost: that each event is stored and told once, when a replica was paused and another went on.
    #[tokio::test]
    async fn who_was_overtaken_commits_nothing() {
        let (store, known, now) = (store().await, known(), Timestamp::UNIX_EPOCH);
        let before = take(&store, &known).await;
        let written = write(&store, &known, before, &[entry(1)], now).await.expect("it is the owner");
        let after = take(&store, &known).await;
        assert_eq!((after.last, after.told, after.session), (Offset::new(1, 0), Offset::new(1, 0), relay::Fence(1)));
        for stale in [before, written.cursor] {
            let refused = write(&store, &known, stale, &[entry(2)], now).await;
            assert!(matches!(refused, Err(WriteError::Overtaken)), "{refused:?}");
        }
        let written = write(&store, &known, after, &[entry(2)], now).await.expect("it is the owner");
        assert_eq!(written.told.len(), 1);
        assert_eq!(written.told.first().and_then(Told::step).map(|step| step.previous), Some(Offset::new(1, 0)));
        assert_eq!(take(&store, &known).await.last, Offset::new(2, 0));
    }

    /// What would be lost otherwise: a session whose last reader stopped in the middle of a transaction, for as long as
    /// that reader's connection lives.
    #[tokio::test]
    async fn who_pauses_in_the_middle_does_not_hold_others_up() {
        let (store, known, now) = (store().await, known(), Timestamp::UNIX_EPOCH);
        let cursor = take(&store, &known).await;
        let mut paused = store.begin(&TenantScope::of_connection(&known)).await.expect("begun");
        assert!(paused.hold(known.id, &cursor).await.expect("asked"));
        let after = take(&store, &known).await;
        write(&store, &known, after, &[entry(1)], now).await.expect("it is the owner");
        let woken = paused.advance(known.id, &cursor).await.expect_err("its transaction was ended");
        assert!(matches!(woken, StoreError::Away(_)), "{woken:?}");
    }
}
