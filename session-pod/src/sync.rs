//! Compares the page's store with what the API was told, and tells what is missing, marked as recovered. What came as
//! an event meanwhile is told once: the journal sees to that.

use jiff::Timestamp;
use relay::{ChatId, Event, Message, MessageId};

use crate::engine::{Engine, EngineError};
use crate::journal::Journal;
use crate::memory::Mark;

/// Chats that are looked at: those with the newest activity.
const CHATS: u32 = 200;

/// Messages of each chat that the first comparison tells.
const FIRST_MESSAGES: u32 = 20;

/// A later one reads a chat backwards in pages until it meets what was told, at most so many: a chat in which more than
/// 1,000 messages were missed shows a gap, which reading on demand (a later feature) can fill.
const PAGE: u32 = 100;
const PAGES: usize = 10;

/// Tells what was missed since the mark; the whole recent history the first time.
pub async fn recover(engine: &dyn Engine, journal: &Journal, now: fn() -> Timestamp) -> Result<usize, EngineError> {
    let mark = journal.mark();
    let mut told = 0;
    for chat in engine.chats(CHATS).await? {
        if !mark.may_miss_in(chat.last_activity_at) {
            continue;
        }
        let id = chat.id.clone();
        journal.tell(Event::Chat(chat), now());
        for message in missed(engine, &id, &mark).await? {
            journal.tell(Event::Message(message), now());
            told += 1;
        }
    }
    Ok(told)
}

/// Tells all chats and the latest messages of each, whether or not they were told before.
pub async fn list(
    engine: &dyn Engine,
    journal: &Journal,
    chats: u32,
    messages: u32,
    now: fn() -> Timestamp,
) -> Result<(), EngineError> {
    for chat in engine.chats(chats.clamp(1, MOST)).await? {
        let id = chat.id.clone();
        journal.tell_again(Event::Chat(chat), now());
        if messages > 0 {
            for message in page(engine, &id, messages.min(MOST), None).await? {
                journal.tell_again(Event::Message(message), now());
            }
        }
    }
    Ok(())
}

/// The bridge's own limit for both.
const MOST: u32 = 1000;

/// The messages of a chat that were not told, oldest first.
async fn missed(engine: &dyn Engine, chat: &ChatId, mark: &Mark) -> Result<Vec<Message>, EngineError> {
    if !mark.complete {
        return page(engine, chat, FIRST_MESSAGES, None).await;
    }
    let mut missed: Vec<Message> = Vec::new();
    for _ in 0..PAGES {
        let before = missed.first().map(|message| message.id.clone());
        let mut older = page(engine, chat, PAGE, before.as_ref()).await?;
        let read = older.len();
        older.retain(|message| mark.misses(message.sent_at, &message.id));
        let all_missed = older.len() == read;
        older.append(&mut missed);
        missed = older;
        if !all_missed || u32::try_from(read).unwrap_or(u32::MAX) < PAGE {
            break;
        }
    }
    Ok(missed)
}

async fn page(
    engine: &dyn Engine,
    chat: &ChatId,
    most: u32,
    before: Option<&MessageId>,
) -> Result<Vec<Message>, EngineError> {
    match engine.messages(chat, most, before).await {
        // Deleted since the list was made, or the anchor was.
        Err(EngineError::Refused("not_found")) => Ok(Vec::new()),
        other => other,
    }
}
