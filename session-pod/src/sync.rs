//! Compares the page's store with what the API was told, and tells what is missing, marked as recovered. What came as
//! an event meanwhile is told once: the journal sees to that.

use jiff::Timestamp;
use relay::{Chat, ChatId, Event, Message, MessageId};

use crate::engine::{Engine, EngineError, Page};
use crate::journal::Journal;
use crate::memory::Mark;

/// Chats that are looked at: those with the newest activity. More of them only when something may have been missed in each.
const CHATS: u32 = 200;

/// Messages of each chat that the first comparison tells.
const FIRST_MESSAGES: u32 = 20;

/// A later one reads a chat backwards in pages until it meets what was surely told, at most so many: a chat in which more than
/// 1,000 messages were missed shows a gap, which reading on demand (a later feature) can fill.
const PAGE: u32 = 100;
const PAGES: usize = 10;

/// Chats in a row that take too long before that is no fault of theirs, but of the page.
const SLOW: u32 = 2;

/// What a comparison did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// The messages that were missing.
    pub messages: usize,
    /// Chats that the page has and does not give.
    pub unread: usize,
}

/// Tells what was missed since the mark; the whole recent history the first time.
pub async fn recover(engine: &dyn Engine, journal: &Journal, now: fn() -> Timestamp) -> Result<Told, EngineError> {
    let mark = journal.mark();
    let (mut told, mut slow) = (Told::default(), 0);
    for chat in chats(engine, &mark).await? {
        if !mark.may_miss_in(chat.last_activity_at) {
            continue;
        }
        let id = chat.id.clone();
        journal.tell(Event::Chat(chat), now());
        match missed(engine, &id, &mark).await {
            Ok(missed) => {
                slow = 0;
                told.messages += missed.len();
                for message in missed {
                    journal.tell(Event::Message(message), now());
                }
            }
            Err(error @ (EngineError::NotReady | EngineError::Silent | EngineError::Gone)) => return Err(error),
            Err(error @ EngineError::Timeout) if slow >= SLOW => return Err(error),
            // It is about this chat alone, and the others' messages must not wait for it.
            Err(error) => {
                slow += u32::from(error == EngineError::Timeout);
                tracing::debug!(%error, "a chat cannot be read");
                told.unread += 1;
            }
        }
    }
    Ok(told)
}

/// The chats to look at. Of the history only the newest are told, and of what was missed all that the page gives at once.
async fn chats(engine: &dyn Engine, mark: &Mark) -> Result<Vec<Chat>, EngineError> {
    let newest = engine.chats(CHATS).await?;
    let full = u32::try_from(newest.len()).is_ok_and(|count| count >= CHATS);
    if full && mark.complete && newest.iter().all(|chat| mark.may_miss_in(chat.last_activity_at)) {
        return engine.chats(MOST).await;
    }
    Ok(newest)
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
    let (mut missed, mut before): (Vec<Message>, _) = (Vec::new(), None);
    for _ in 0..PAGES {
        let Page { messages: mut older, more } = page(engine, chat, PAGE, before.as_ref()).await?;
        // With nothing read there is nothing to go on from; and before what was surely told there is nothing to look for.
        let Some(oldest) = older.first().map(|message| (message.id.clone(), message.sent_at)) else { break };
        older.retain(|message| mark.misses(message.sent_at, &message.id));
        older.append(&mut missed);
        missed = older;
        if !more || !mark.may_miss_in(Some(oldest.1)) {
            break;
        }
        before = Some(oldest.0);
    }
    Ok(missed)
}

async fn page(engine: &dyn Engine, chat: &ChatId, most: u32, before: Option<&MessageId>) -> Result<Page, EngineError> {
    match engine.messages(chat, most, before).await {
        // Deleted since the list was made. When it may be the anchor that is gone, older messages would be forgotten: then the
        // chat is read again later, with an anchor that is there.
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

    const DELETED: Result<Page, EngineError> = Err(EngineError::Refused("not_found"));

    /// What was missed after the message of second 10,000 was told.
    async fn missed_in(pages: impl IntoIterator<Item = Result<Page, EngineError>>) -> Result<Vec<i64>, EngineError> {
        let mut mark = Mark::default();
        mark.complete = true;
        mark.saw(at(10_000), &format!("false_{CHAT}_3A10000").parse().expect("valid"));
        let missed = missed(&of(Vec::new(), pages), &CHAT.parse().expect("valid"), &mark).await?;
        Ok(missed.iter().map(|message| message.sent_at.as_second()).collect())
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("valid")
    }

    fn of(chats: Vec<Chat>, pages: impl IntoIterator<Item = Result<Page, EngineError>>) -> Scripted {
        Scripted { chats, pages: std::sync::Mutex::new(pages.into_iter().collect()), ..Scripted::default() }
    }

    #[tokio::test]
    async fn a_page_of_few_messages_is_not_the_end_and_what_was_told_is() {
        let pages = [
            page_of(&[12_001], true),
            page_of(&[11_501, 12_000], true),
            // Told, and others of that time may come before it.
            page_of(&[10_000, 11_500], true),
            page_of(&[9_995], true),
            page_of(&[9_000, 9_990], true),
            page_of(&[8_000], false),
        ];
        assert_eq!(missed_in(pages.map(Ok)).await, Ok(vec![9_990, 9_995, 11_500, 11_501, 12_000, 12_001]));
        assert_eq!(missed_in([page_of(&[10_005], false), page_of(&[10_004], false)].map(Ok)).await, Ok(vec![10_005]));
    }

    #[tokio::test]
    async fn a_deleted_chat_has_nothing_and_a_deleted_anchor_is_tried_again() {
        assert_eq!(missed_in([DELETED]).await, Ok(vec![]));
        assert_eq!(missed_in([Ok(page_of(&[10_005], true)), DELETED]).await, Err(EngineError::Refused("not_found")));
    }

    #[tokio::test]
    async fn a_chat_that_cannot_be_read_keeps_no_other_from_being_told() {
        let folder = tempfile::tempdir().expect("folder");
        let journal = Journal::open(folder.path(), 1 << 20).expect("opens");
        let chat = |id: &str| Chat {
            id: id.parse().expect("valid"),
            name: None,
            unread: 0,
            last_activity_at: None,
            phone: None,
            lid: None,
        };
        let chats = || vec![chat("5511000000001@c.us"), chat(CHAT)];
        let pages = [Err(EngineError::Unintelligible("messages")), Ok(page_of(&[5], false))];
        let told = recover(&of(chats(), pages), &journal, || Timestamp::UNIX_EPOCH).await;
        assert_eq!(told, Ok(Told { messages: 1, unread: 1 }));
        let slow = [Err(EngineError::Timeout), Ok(page_of(&[6], false))];
        let told = recover(&of(chats(), slow), &journal, || Timestamp::UNIX_EPOCH).await;
        assert_eq!(told, Ok(Told { messages: 1, unread: 1 }));
        for error in [EngineError::Silent, EngineError::NotReady] {
            let pages = [Err(error)];
            let failed = recover(&of(chats(), pages), &journal, || Timestamp::UNIX_EPOCH).await;
            assert!(failed.is_err(), "that is not about the chat: {failed:?}");
        }
        let many = (0..3).map(|_| chat(CHAT)).collect();
        let failed =
            recover(&of(many, (0..3).map(|_| Err(EngineError::Timeout))), &journal, || Timestamp::UNIX_EPOCH).await;
        assert_eq!(failed, Err(EngineError::Timeout), "so many are the page's fault");
    }
}
