//! What a session must know after its process has ended, in a small file on the volume: the link, the account, how far
//! the API was told, and under which other ids WhatsApp keeps what was sent.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use relay::{Account, MessageId};
use serde::{Deserialize, Serialize};

use crate::session::Link;

/// Other ids that are kept. Receipts come within days, and few sends get another id.
const ALIASES: usize = 1000;

/// The content of the file. One that lacks a field, as that of an older program does, says nothing of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Memory {
    /// What is known of the link.
    pub link: Link,
    /// The account that was linked last.
    pub account: Option<Account>,
    /// How far the API was told.
    pub mark: Mark,
    aliases: VecDeque<Alias>,
}

/// WhatsApp does not deliver in the order of sending: what was sent so much before the newest message may come after it, and
/// a kill in between must not hide it.
const LATE: SignedDuration = SignedDuration::from_mins(10);

/// Messages of that time that are known one by one. Of more, those that are told again are told under the id they had.
const RECENT: usize = 500;

/// How far the API was told.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Mark {
    newest: Option<Timestamp>,
    /// Those told of the last [`LATE`] before the newest, in the order of telling.
    recent: VecDeque<Recent>,
    /// Whether the whole history was told once. Until then everything is told again.
    pub complete: bool,
}

/// A message that was told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Recent {
    at: Timestamp,
    id: MessageId,
}

/// WhatsApp keeps a message that we sent under another id than the one that was chosen, because it keeps the person
/// under another address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Alias {
    chosen: MessageId,
    actual: MessageId,
}

impl Mark {
    /// A message was told.
    pub fn saw(&mut self, sent_at: Timestamp, id: &MessageId) {
        self.newest = self.newest.max(Some(sent_at));
        let since = self.since();
        if since > Some(sent_at) || self.knows(id) {
            return;
        }
        self.recent.retain(|recent| since <= Some(recent.at));
        if self.recent.len() >= RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(Recent { at: sent_at, id: id.clone() });
    }

    /// Whether a message from the page's store is to be told.
    #[must_use]
    pub fn misses(&self, sent_at: Timestamp, id: &MessageId) -> bool {
        !self.complete || (self.since() <= Some(sent_at) && !self.knows(id))
    }

    /// Whether a chat whose newest message is of that time can hold something to be told.
    #[must_use]
    pub fn may_miss_in(&self, last_activity: Option<Timestamp>) -> bool {
        !self.complete || last_activity.is_none_or(|at| self.since() <= Some(at))
    }

    /// Whatever was sent before was told.
    fn since(&self) -> Option<Timestamp> {
        self.newest.map(|newest| newest.saturating_sub(LATE).unwrap_or(newest))
    }

    fn knows(&self, id: &MessageId) -> bool {
        self.recent.iter().any(|recent| recent.id == *id)
    }
}

impl Memory {
    /// Reads the file. One that is not there or cannot be read is an empty memory: then the history is told again,
    /// which harms nobody, because a message has one id.
    pub fn load(path: &Path) -> io::Result<Self> {
        match std::fs::read(path) {
            Ok(content) => Ok(serde_json::from_slice(&content).unwrap_or_else(|error| {
                // Its text may quote the account's number.
                tracing::error!(why = ?error.classify(), "what the session remembers cannot be read; starting anew");
                Self::default()
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Writes the file, whole or not at all, also through a power cut.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let fresh = PathBuf::from(path).with_extension("new");
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(&fresh)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)
    }

    /// This account is linked. Another one than before has another history.
    pub fn linked(&mut self, account: &Account, now: Timestamp) -> Account {
        let same = self.account.as_ref().filter(|known| known.id == account.id);
        let linked_at = same.and_then(|known| known.linked_at).or(Some(now));
        if same.is_none() {
            self.mark = Mark::default();
            self.aliases.clear();
        }
        // A page that is still loading does not know every part; what was known stays.
        let account = Account {
            id: account.id.clone(),
            lid: account.lid.clone().or_else(|| same.and_then(|known| known.lid.clone())),
            push_name: account.push_name.clone().or_else(|| same.and_then(|known| known.push_name.clone())),
            linked_at,
        };
        self.account = Some(account.clone());
        account
    }

    /// What was sent under `chosen` is `actual` for WhatsApp.
    pub fn learn_alias(&mut self, chosen: &MessageId, actual: &MessageId) {
        if chosen == actual || self.aliases.iter().any(|alias| alias.actual == *actual) {
            return;
        }
        if self.aliases.len() >= ALIASES {
            self.aliases.pop_front();
        }
        self.aliases.push_back(Alias { chosen: chosen.clone(), actual: actual.clone() });
    }

    /// The id under which the API knows a message.
    #[must_use]
    pub fn chosen(&self, id: &MessageId) -> Option<&MessageId> {
        self.aliases.iter().find(|alias| alias.actual == *id).map(|alias| &alias.chosen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> MessageId {
        format!("true_5511999999999@c.us_3EB0{number}").parse().expect("valid")
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("valid")
    }

    #[test]
    fn what_came_late_around_the_newest_message_is_missed_and_what_is_older_is_not() {
        let (newest, late) = (1000, LATE.as_secs());
        let mut mark = Mark { complete: true, ..Mark::default() };
        assert!(mark.misses(at(newest), &id(1)));
        mark.saw(at(newest), &id(1));
        assert!(!mark.misses(at(newest), &id(1)), "told");
        assert!(
            mark.misses(at(newest), &id(2)) && mark.misses(at(newest + 1), &id(3)),
            "of the same second, and newer"
        );
        assert!(mark.misses(at(newest - late), &id(4)), "sent before, delivered later");
        assert!(!mark.misses(at(newest - late - 1), &id(5)));
        assert!(mark.may_miss_in(Some(at(newest - late))) && !mark.may_miss_in(Some(at(newest - late - 1))));
        mark.saw(at(newest - late), &id(4));
        assert!(!mark.misses(at(newest - late), &id(4)));
    }

    #[test]
    fn of_very_many_messages_some_are_told_again_and_none_is_forgotten() {
        let mut mark = Mark { complete: true, ..Mark::default() };
        let many = u32::try_from(RECENT).expect("few") * 2;
        (0..many).for_each(|number| mark.saw(at(5), &id(number)));
        assert_eq!(mark.recent.len(), RECENT);
        assert!(mark.misses(at(5), &id(0)) && !mark.misses(at(5), &id(many - 1)) && mark.misses(at(5), &id(many)));
    }

    #[test]
    fn an_unfinished_history_is_told_again() {
        let mut mark = Mark::default();
        mark.saw(at(5), &id(1));
        assert!(mark.misses(at(1), &id(2)));
    }

    #[test]
    fn another_account_has_another_history() {
        let account = |id: &str| Account { id: id.to_owned(), lid: None, push_name: None, linked_at: None };
        let mut memory = Memory::default();
        memory.linked(&account("1@c.us"), at(1));
        memory.mark.complete = true;
        assert_eq!(memory.linked(&account("1@c.us"), at(2)).linked_at, Some(at(1)));
        assert!(memory.mark.complete);
        memory.linked(&account("2@c.us"), at(3));
        assert_eq!(memory.mark, Mark::default());
    }

    #[test]
    fn what_was_saved_is_loaded_and_what_is_broken_starts_anew() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("session.json");
        assert_eq!(Memory::load(&path).expect("loads"), Memory::default());
        let mut memory = Memory { link: Link::Removed, ..Memory::default() };
        memory.learn_alias(&id(1), &id(2));
        memory.save(&path).expect("saves");
        let loaded = Memory::load(&path).expect("loads");
        assert_eq!(loaded, memory);
        assert_eq!(loaded.chosen(&id(2)), Some(&id(1)));
        std::fs::write(&path, "{").expect("written");
        assert_eq!(Memory::load(&path).expect("loads"), Memory::default());
    }
}
