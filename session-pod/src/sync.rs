//! Compares the page's store with what the API was told, and tells what is missing, marked as recovered. What came as
//! an event meanwhile is told once: the journal sees to that.

use jiff::Timestamp;
use relay::{ChatId, Event, Message, MessageId};

use crate::engine::{Engine, EngineError, Page};
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
            for message in page(engine, &id, messages.min(MOST), None).await?.messages {
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
        return Ok(page(engine, chat, FIRST_MESSAGES, None).await?.messages);
    }
    let mut missed: Vec<Message> = Vec::new();
    for _ in 0..PAGES {
        let before = missed.first().map(|message| message.id.clone());
        let Page { messages: mut older, more } = page(engine, chat, PAGE, before.as_ref()).await?;
        let read = older.len();
        older.retain(|message| mark.misses(message.sent_at, &message.id));
        let all_missed = older.len() == read;
        older.append(&mut missed);
        missed = older;
        // With nothing read there is nothing to go on from.
        if !all_missed || !more || read == 0 {
            break;
        }
    }
    Ok(missed)
}

async fn page(engine: &dyn Engine, chat: &ChatId, most: u32, before: Option<&MessageId>) -> Result<Page, EngineError> {
    match engine.messages(chat, most, before).await {
        // Deleted since the list was made. When it may be the anchor that is gone, older messages would be forgotten:
        // then the comparison fails, and the next one begins with an anchor that is there.
        Err(EngineError::Refused("not_found")) if before.is_none() => Ok(Page::default()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::scripted::Scripted;

    const CHAT: &str = "5511999999999@c.us";

    fn page_of(seconds: &[i64], more: bool) -> Page {
        let message = |second: &i64| Message {
            id: format!("false_{CHAT}_3A{second}").parse().expect("valid"),
            chat: CHAT.parse().expect("valid"),
            author: None,
            push_name: None,
            from_me: false,
            message_type: "chat".to_owned(),
            text: None,
            sent_at: Timestamp::from_second(*second).expect("valid"),
            ack: 0,
            quoted: None,
            recovered: true,
        };
        Page { messages: seconds.iter().map(message).collect(), more }
    }

    /// All messages until second 1 were told.
    async fn missed_in(pages: impl IntoIterator<Item = Option<Page>>) -> Result<Vec<i64>, EngineError> {
        let mut mark = Mark::default();
        mark.complete = true;
        mark.saw(Timestamp::from_second(1).expect("valid"), &format!("false_{CHAT}_3A1").parse().expect("valid"));
        let engine = Scripted { pages: std::sync::Mutex::new(pages.into_iter().collect()), ..Scripted::default() };
        let missed = missed(&engine, &CHAT.parse().expect("valid"), &mark).await?;
        Ok(missed.iter().map(|message| message.sent_at.as_second()).collect())
    }

    #[tokio::test]
    async fn a_page_of_few_messages_is_not_the_end_and_what_was_told_is() {
        let pages = [
            Some(page_of(&[5], true)),
            Some(page_of(&[3, 4], true)),
            Some(page_of(&[1, 2], true)),
            Some(page_of(&[0], false)),
        ];
        assert_eq!(missed_in(pages).await, Ok(vec![2, 3, 4, 5]));
        assert_eq!(missed_in([Some(page_of(&[5], false)), Some(page_of(&[4], false))]).await, Ok(vec![5]));
    }

    #[tokio::test]
    async fn a_deleted_chat_has_nothing_and_a_deleted_anchor_is_tried_again() {
        assert_eq!(missed_in([None]).await, Ok(vec![]));
        assert_eq!(missed_in([Some(page_of(&[5], true)), None]).await, Err(EngineError::Refused("not_found")));
    }
}
