//! The API's side of the relay: it reads and trims events, writes commands, and looks at status and link codes.

use jiff::Timestamp;
use redis::AsyncCommands;

use crate::command::Command;
use crate::connection::Redis;
use crate::envelope::{Envelope, LARGEST, Undecodable};
use crate::error::RelayError;
use crate::event::Event;
use crate::ids::{CompanyId, ConnectionId};
use crate::lease::evaluate;
use crate::names::{LIVE_CHANNELS, Names, WAKE_EVENTS_CHANNELS, company_channel};
use crate::offset::{Fence, Offset};
use crate::session_side::{Order, Snapshot};
use crate::status::{LinkCode, SessionStatus};

/// A command that no pod has read after this many others is not going to be: the stream is kept short.
const COMMANDS_KEPT: usize = 10_000;

/// KEYS: events. ARGV: after, most, largest, glimpse, bytes. Entries after an id, oldest first: at most so many, and no
/// more once they have so many bytes together; of one that is too large only its beginning and its size. A reader that
/// asked for entries alone would hold whatever a session writes: 200 of 512 MB each.
const READ: &str = r"
local found, bytes, after = {}, 0, ARGV[1]
while true do
  local some = redis.call('XRANGE', KEYS[1], '(' .. after, '+', 'COUNT', 16)
  for _, entry in ipairs(some) do
    local text, previous, fields = '', '', entry[2]
    for i = 1, #fields, 2 do
      if fields[i] == 'e' then text = fields[i + 1] elseif fields[i] == 'p' then previous = fields[i + 1] end
    end
    local size = #text
    if size > tonumber(ARGV[3]) then text = string.sub(text, 1, tonumber(ARGV[4])) end
    after, bytes = entry[1], bytes + #text
    found[#found + 1] = {after, previous, size, text}
    if #found >= tonumber(ARGV[2]) or bytes >= tonumber(ARGV[5]) then return found end
  end
  if #some < 16 then return found end
end";

/// Bytes that are read of an entry that is too large: enough to see what it was.
const GLIMPSE: usize = 64 * 1024;

/// Bytes after which one reading ends: several of the largest, thousands of the usual.
const READING: usize = 4 * 1024 * 1024;

/// An event as it stands in the stream.
#[derive(Debug)]
pub struct Entry {
    /// Its place for ever.
    pub offset: Offset,
    /// The place of the one before it, so that a gap is visible.
    pub previous: Offset,
    /// The text as written, for the dead letters; of one that is too large its beginning.
    pub raw: String,
    /// Bytes of the whole text.
    pub size: usize,
}

impl Entry {
    fn from_reply((id, previous, size, text): (String, Vec<u8>, usize, Vec<u8>)) -> Self {
        let previous = String::from_utf8(previous).unwrap_or_default();
        Self {
            offset: id.parse().unwrap_or(Offset::START),
            previous: previous.parse().unwrap_or(Offset::START),
            raw: String::from_utf8_lossy(&text).into_owned(),
            size,
        }
    }

    /// The event inside. An error makes the entry a dead letter; the stream goes on.
    pub fn decode(&self) -> Result<Envelope<Event>, Undecodable> {
        if self.size > LARGEST {
            return Err(Undecodable::TooLarge(self.size));
        }
        Envelope::decode(&self.raw)
    }
}

/// The relay as the API sees it.
#[derive(Clone)]
pub struct ApiRelay(Redis);

impl ApiRelay {
    /// On a connection of a user that may touch all keys of all sessions.
    #[must_use]
    pub const fn new(redis: Redis) -> Self {
        Self(redis)
    }

    /// Pattern of the channels that say that a stream has events.
    pub const WAKE_EVENTS: &'static str = WAKE_EVENTS_CHANNELS;
    /// Pattern of the channels that carry [`crate::Live`].
    pub const LIVE: &'static str = LIVE_CHANNELS;

    /// Events after `cursor`, oldest first, at most so many, and fewer when they are large.
    pub async fn events(
        &mut self,
        connection: ConnectionId,
        cursor: Offset,
        most: usize,
    ) -> Result<Vec<Entry>, RelayError> {
        let numbers = [most, LARGEST, GLIMPSE, READING].map(|number| number.to_string());
        let [most, largest, glimpse, reading] = numbers.each_ref().map(String::as_str);
        let arguments = [&cursor.to_string(), most, largest, glimpse, reading];
        let found: Vec<(String, Vec<u8>, usize, Vec<u8>)> =
            evaluate(&mut self.0, READ, &[Names(connection).events()], &arguments).await?;
        Ok(found.into_iter().map(Entry::from_reply).collect())
    }

    /// Forgets events up to and including `cursor`, which must have been committed.
    pub async fn trim(&mut self, connection: ConnectionId, cursor: Offset) -> Result<(), RelayError> {
        let mut command = redis::cmd("XTRIM");
        command.arg(Names(connection).events()).arg("MINID").arg(cursor.next().to_string());
        Ok(command.query_async(&mut self.0).await?)
    }

    /// Leaves a command for the session and wakes it. When this returns, Redis has it.
    pub async fn send(&mut self, connection: ConnectionId, command: Command, now: Timestamp) -> Result<(), RelayError> {
        let payload = Envelope::new(now, Fence::default(), Order::Command(command)).encode()?;
        let names = Names(connection);
        let mut add = redis::cmd("XADD");
        add.arg(names.commands()).arg("MAXLEN").arg("~").arg(COMMANDS_KEPT).arg("*").arg("c").arg(payload);
        let _: String = add.query_async(&mut self.0).await?;
        // A lost wake-up costs seconds (the pod also looks by itself), never a command.
        let _: Result<(), _> = self.0.publish(names.wake_commands(), "").await;
        Ok(())
    }

    /// The newest status, with the fence under which it was written; nothing when the session never spoke.
    pub async fn status(&mut self, connection: ConnectionId) -> Result<Option<Envelope<SessionStatus>>, RelayError> {
        read_status(&mut self.0, connection).await
    }

    /// The code that links a phone now, if one is shown.
    pub async fn link(&mut self, connection: ConnectionId) -> Result<Option<LinkCode>, RelayError> {
        let text: Option<String> = self.0.get(Names(connection).link()).await?;
        Ok(text.and_then(|text| match Envelope::<Snapshot>::decode(&text).ok()?.payload {
            Snapshot::Link(code) => Some(code),
            Snapshot::Status(_) => None,
        }))
    }

    /// Tells all replicas of a company's committed event.
    pub async fn publish_committed(&mut self, company: &CompanyId, payload: &str) -> Result<(), RelayError> {
        Ok(self.0.publish(company_channel(company), payload).await?)
    }
}

pub(crate) async fn read_status(
    redis: &mut Redis,
    connection: ConnectionId,
) -> Result<Option<Envelope<SessionStatus>>, RelayError> {
    let text: Option<String> = redis.get(Names(connection).status()).await?;
    // A status that cannot be read is as good as none: the next one replaces it.
    Ok(text.and_then(|text| {
        let Envelope { header, payload } = Envelope::<Snapshot>::decode(&text).ok()?;
        match payload {
            Snapshot::Status(status) => Some(Envelope { header, payload: *status }),
            Snapshot::Link(_) => None,
        }
    }))
}
