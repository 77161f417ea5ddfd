//! The session pod's side of the relay: it writes events, status and link codes, and reads commands.

use jiff::Timestamp;
use redis::AsyncCommands;
use redis::streams::{StreamReadOptions, StreamReadReply};

use crate::command::Command;
use crate::connection::Redis;
use crate::envelope::Envelope;
use crate::error::RelayError;
use crate::event::{Event, Live};
use crate::ids::ConnectionId;
use crate::lease::{Lease, evaluate};
use crate::names::Names;
use crate::offset::{Fence, Offset};
use crate::status::{LinkCode, SessionStatus};
use crate::trace::TraceParent;

/// KEYS: events, fence. ARGV: fence, payload. Refuses a writer whose session was taken over. Each entry names the one
/// before it, read inside the script: were it the writer's memory, an XADD whose answer was lost would leave a false gap.
const APPEND: &str = r"
if tonumber(redis.call('GET', KEYS[2]) or '0') > tonumber(ARGV[1]) then return false end
local previous = '0-0'
local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
if not info.err then
  for i = 1, #info, 2 do if info[i] == 'last-generated-id' then previous = info[i + 1] end end
end
return redis.call('XADD', KEYS[1], '*', 'e', ARGV[2], 'p', previous)";

/// KEYS: status or link, fence. ARGV: fence, payload, ms to live or 0.
const SET: &str = r"
if tonumber(redis.call('GET', KEYS[2]) or '0') > tonumber(ARGV[1]) then return 0 end
if ARGV[3] == '0' then redis.call('SET', KEYS[1], ARGV[2]) else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1";

/// KEYS: link, fence. ARGV: fence.
const CLEAR: &str = r"
if tonumber(redis.call('GET', KEYS[2]) or '0') > tonumber(ARGV[1]) then return 0 end
redis.call('DEL', KEYS[1])
return 1";

/// KEYS: commands, fence. ARGV: fence, entry. What a pod that was taken over still answers, the next one answers, too.
const FINISH: &str = r"
if tonumber(redis.call('GET', KEYS[2]) or '0') > tonumber(ARGV[1]) then return 0 end
redis.call('XDEL', KEYS[1], ARGV[2])
return 1";

/// Commands read at once. A session does them one after the other anyway, and each may be half a megabyte.
pub const COMMANDS_AT_ONCE: usize = 32;

/// The relay as a session sees it. Every write carries the fence of its lease.
#[derive(Clone)]
pub struct SessionRelay {
    redis: Redis,
    names: Names,
    fence: Fence,
}

impl SessionRelay {
    /// For the holder of a lease.
    #[must_use]
    pub fn new(redis: Redis, connection: ConnectionId, lease: &Lease) -> Self {
        Self { redis, names: Names(connection), fence: lease.fence }
    }

    /// Writes a durable event and wakes the API. When this returns, Redis has it.
    pub async fn append(&mut self, event: &Event, at: Timestamp) -> Result<Offset, RelayError> {
        self.append_traced(event, at, None).await
    }

    /// The same, in the course of something.
    pub async fn append_traced(
        &mut self,
        event: &Event,
        at: Timestamp,
        trace: Option<TraceParent>,
    ) -> Result<Offset, RelayError> {
        let payload = Envelope::new(at, self.fence, event.clone()).of(self.names.0).traced(trace).encode()?;
        let keys = [self.names.events(), self.names.fence()];
        let id: Option<String> = evaluate(&mut self.redis, APPEND, &keys, &[&self.fence.to_string(), &payload]).await?;
        let id = id.ok_or(RelayError::Fenced { mine: self.fence })?;
        // A lost wake-up costs a moment (the API also looks by itself), never an event.
        let _: Result<(), _> = self.redis.publish(self.names.wake_events(), "").await;
        Ok(id.parse().unwrap_or(Offset::START))
    }

    /// Replaces the status and tells who listens.
    pub async fn set_status(&mut self, status: &SessionStatus, at: Timestamp) -> Result<(), RelayError> {
        let payload = Envelope::new(at, self.fence, Snapshot::Status(Box::new(status.clone()))).encode()?;
        self.set(self.names.status(), &payload, 0).await?;
        Ok(self.redis.publish(self.names.status_channel(), "").await?)
    }

    /// Shows a link code until it expires, or takes it away, and tells who listens.
    pub async fn set_link(&mut self, link: Option<&LinkCode>, now: Timestamp) -> Result<(), RelayError> {
        if let Some(code) = link {
            let left = code.expires_at.duration_since(now).as_millis().max(1);
            let payload = Envelope::new(now, self.fence, Snapshot::Link(code.clone())).encode()?;
            self.set(self.names.link(), &payload, left).await?;
        } else {
            let keys = [self.names.link(), self.names.fence()];
            let kept: u8 = evaluate(&mut self.redis, CLEAR, &keys, &[&self.fence.to_string()]).await?;
            self.unless_fenced(kept)?;
        }
        let live = Envelope::new(now, self.fence, Live::Link(link.cloned())).encode()?;
        Ok(self.redis.publish(self.names.live_channel(), live).await?)
    }

    async fn set(&mut self, key: String, payload: &str, milliseconds: i128) -> Result<(), RelayError> {
        let keys = [key, self.names.fence()];
        let arguments = [&self.fence.to_string(), payload, &milliseconds.to_string()];
        let kept: u8 = evaluate(&mut self.redis, SET, &keys, &arguments).await?;
        self.unless_fenced(kept)
    }

    fn unless_fenced(&self, kept: u8) -> Result<(), RelayError> {
        if kept == 1 { Ok(()) } else { Err(RelayError::Fenced { mine: self.fence }) }
    }

    /// The oldest [`COMMANDS_AT_ONCE`] commands after this one, oldest first. Each stays until [`Self::finish`], so a
    /// crash repeats it. What cannot be read comes as an error with its place.
    pub async fn commands(
        &mut self,
        after: Offset,
    ) -> Result<Vec<(Offset, Result<Command, crate::Undecodable>)>, RelayError> {
        let options = StreamReadOptions::default().count(COMMANDS_AT_ONCE);
        let reply: Option<StreamReadReply> =
            self.redis.xread_options(&[self.names.commands()], &[after.to_string()], &options).await?;
        let ids = reply.map(|r| r.keys).unwrap_or_default().into_iter().flat_map(|key| key.ids);
        Ok(ids
            .map(|entry| {
                let text: String = entry.get("c").unwrap_or_default();
                let command = Envelope::<Order>::decode(&text).map(|envelope| match envelope.payload {
                    Order::Command(command) => command,
                });
                (entry.id.parse().unwrap_or(Offset::START), command)
            })
            .collect())
    }

    /// Takes a command off the stream once its outcome is written.
    pub async fn finish(&mut self, command: Offset) -> Result<(), RelayError> {
        let keys = [self.names.commands(), self.names.fence()];
        let arguments: [&str; 2] = [&self.fence.to_string(), &command.to_string()];
        let kept: u8 = evaluate(&mut self.redis, FINISH, &keys, &arguments).await?;
        self.unless_fenced(kept)
    }

    /// The channel on which the API says that a command waits.
    #[must_use]
    pub fn wake_channel(&self) -> String {
        self.names.wake_commands()
    }
}

/// What stands in the keys that hold one value.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", content = "body", rename_all = "camelCase")]
pub(crate) enum Snapshot {
    Status(Box<SessionStatus>),
    Link(LinkCode),
}

/// What stands in the stream of commands.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", content = "body", rename_all = "camelCase")]
pub(crate) enum Order {
    Command(Command),
}
