//! The lease on a session: who holds it may touch the profile and write events; who lost it is refused by its fence.

use std::time::Duration;

use jiff::Timestamp;

use crate::connection::Redis;
use crate::error::RelayError;
use crate::ids::ConnectionId;
use crate::names::Names;
use crate::offset::Fence;

/// KEYS: lease, fence, holder. ARGV: holder, ms, the lease that another pod was last seen to hold, and whether to take that
/// one over. The same holder may take it again (its process was restarted in the same pod, and a kubelet never runs two of one
/// container), anybody else only when it is free. Each taking gets a new fence. None is below the clock's milliseconds: a Redis
/// that lost its data, or came back from a backup, would give out numbers anew, and whoever remembers a greater one (the API)
/// would take the session for an overtaken one. The clock is told as well: it is the one that all who share this Redis can
/// agree on. Where another pod has not given the session back, it stays on record until the taking is confirmed; so does one
/// of which only the caller knows, because Redis lost its data.
const ACQUIRE: &str = r"
local held, time = redis.call('GET', KEYS[1]), redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if held and held:match('^(.-)#') ~= ARGV[1] and not (ARGV[4] == '1' and held == ARGV[3]) then
  return {0, redis.call('PTTL', KEYS[1]), now, held}
end
local fence = redis.call('INCR', KEYS[2])
if fence < now then
  fence = now
  redis.call('SET', KEYS[2], fence)
end
local mine = ARGV[1] .. '#' .. fence .. '#0'
redis.call('SET', KEYS[1], mine, 'PX', ARGV[2])
local last = redis.call('GET', KEYS[3])
if not last and ARGV[3] ~= '' then
  last = '?'
  redis.call('SET', KEYS[3], last)
end
if last and last ~= '' and last:match('^(.-)#') ~= ARGV[1] then return {1, fence, now, last} end
redis.call('SET', KEYS[3], mine)
return {1, fence, now, ''}";

/// KEYS: lease, fence, holder. ARGV: holder, fence. Whether it is ours: also one that ran out while its holder went on renewing
/// it (the clock of Redis was set forward), as long as nobody else has taken it.
const IS_OURS: &str = r"
local mine = ARGV[1] .. '#' .. ARGV[2] .. '#'
local function is_mine(value) return value and value:sub(1, #mine) == mine end
local held, last = redis.call('GET', KEYS[1]), redis.call('GET', KEYS[3])
local ours = is_mine(held) or (not held and redis.call('GET', KEYS[2]) == ARGV[2] and is_mine(last))";

/// The same, and ms. One when it is still held, and the clock. Renewals are counted, so that whoever waits sees each.
const RENEW: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if not ours then return {0, now} end
local renewed = mine .. (tonumber((held or last):sub(#mine + 1)) + 1)
redis.call('SET', KEYS[1], renewed, 'PX', ARGV[3])
if is_mine(last) then redis.call('SET', KEYS[3], renewed) end
return {1, now}";

/// The same. One when it is still held: then nobody else is on record any more.
const CONFIRM: &str = r"
if not ours then return 0 end
redis.call('SET', KEYS[3], held or last)
return 1";

/// The same. That it was given back is put on record; whoever else is on it stays there.
const RELEASE: &str = r"
if not ours then return 0 end
if is_mine(last) then redis.call('SET', KEYS[3], '') end
redis.call('DEL', KEYS[1])
return 1";

/// The answer to the wish for a lease.
#[derive(Debug)]
pub enum Acquired {
    /// It is ours.
    Held(Lease),
    /// Another pod has it.
    HeldByOther {
        /// At most for so long if nothing is heard of that one, by the clock of Redis.
        left: Duration,
        /// This very lease; another one after each renewal.
        value: String,
    },
}

/// A lease that was taken. Dropping it does not give it back: that would need the network.
#[derive(Debug, Clone)]
pub struct Lease {
    names: Names,
    holder: String,
    /// The number of this taking.
    pub fence: Fence,
    /// When it was taken, by Redis' clock.
    pub taken_at: Timestamp,
    /// The last lease, as far as Redis knows, of a pod that did not give it back: it ran out, by the clock of Redis, which
    /// somebody may have set, so that its holder may not know that yet.
    pub not_given_back: Option<String>,
}

impl Lease {
    /// A holder that was not heard of for this long is dead or cut off. Renewal every third of it survives two lost answers.
    pub const TIME_TO_LIVE: Duration = Duration::from_secs(15);

    /// How often a holder should renew.
    pub const RENEW_EVERY: Duration = Duration::from_secs(5);

    /// After so long without a successful renewal the holder must have stopped its browser: a third party may hold the
    /// lease from [`Lease::TIME_TO_LIVE`] on, and three seconds is what the stop may take.
    pub const GIVE_UP_AFTER: Duration = Duration::from_secs(12);

    /// Takes the lease for `holder` (the pod's UID) if it is free or already the same holder's. Where another pod has
    /// [not given it back](Lease::not_given_back) the taking is to be [confirmed](Lease::confirm) once that one must have
    /// stopped. `seen` is the lease that another pod was last seen to hold.
    pub async fn acquire(
        redis: &mut Redis,
        connection: ConnectionId,
        holder: &str,
        seen: Option<&str>,
    ) -> Result<Acquired, RelayError> {
        Self::take(redis, connection, holder, seen.unwrap_or_default(), false).await
    }

    /// The same, and takes over this lease of another pod, which was not renewed for [`Lease::TIME_TO_LIVE`] by a clock of the
    /// caller's own: when the clock of Redis is set back, a lease outlives its holder by as much.
    pub async fn take_over(
        redis: &mut Redis,
        connection: ConnectionId,
        holder: &str,
        silent: &str,
    ) -> Result<Acquired, RelayError> {
        Self::take(redis, connection, holder, silent, true).await
    }

    async fn take(
        redis: &mut Redis,
        connection: ConnectionId,
        holder: &str,
        seen: &str,
        over: bool,
    ) -> Result<Acquired, RelayError> {
        let names = Names(connection);
        let keys = [names.lease(), names.fence(), names.holder()];
        let arguments = [holder, &milliseconds(), seen, if over { "1" } else { "0" }];
        let (taken, number, now, other): (u8, i64, i64, String) = evaluate(redis, ACQUIRE, &keys, &arguments).await?;
        if taken == 0 {
            let left = Duration::from_millis(u64::try_from(number).unwrap_or(0));
            return Ok(Acquired::HeldByOther { left, value: other });
        }
        let fence = Fence(u64::try_from(number).unwrap_or(0));
        let not_given_back = Some(other).filter(|other| !other.is_empty());
        Ok(Acquired::Held(Self { names, holder: holder.to_owned(), fence, taken_at: time(now)?, not_given_back }))
    }

    /// Prolongs the lease, and gives the time by Redis' clock; [`RelayError::Fenced`] when it is not ours any more.
    pub async fn renew(&self, redis: &mut Redis) -> Result<Timestamp, RelayError> {
        let (held, now): (u8, i64) = self.if_ours(redis, RENEW, &[&milliseconds()]).await?;
        if held == 1 { time(now) } else { Err(RelayError::Fenced { mine: self.fence }) }
    }

    /// Says that whoever had it before must have stopped.
    pub async fn confirm(&self, redis: &mut Redis) -> Result<(), RelayError> {
        let held: u8 = self.if_ours(redis, CONFIRM, &[]).await?;
        if held == 1 { Ok(()) } else { Err(RelayError::Fenced { mine: self.fence }) }
    }

    /// Gives the lease back, so that the next pod need not wait. Nothing happens when it is not ours any more.
    pub async fn release(&self, redis: &mut Redis) -> Result<(), RelayError> {
        self.if_ours::<u8>(redis, RELEASE, &[]).await.map(drop)
    }

    async fn if_ours<T: redis::FromRedisValue>(
        &self,
        redis: &mut Redis,
        script: &str,
        more: &[&str],
    ) -> Result<T, RelayError> {
        let keys = [self.names.lease(), self.names.fence(), self.names.holder()];
        let fence = self.fence.to_string();
        let arguments: Vec<_> = [self.holder.as_str(), &fence].into_iter().chain(more.iter().copied()).collect();
        evaluate(redis, &format!("{IS_OURS}{script}"), &keys, &arguments).await
    }
}

/// Only a Redis whose clock is thousands of years off says anything else.
fn time(milliseconds: i64) -> Result<Timestamp, RelayError> {
    let unusable = |_| redis::RedisError::from((redis::ErrorKind::UnexpectedReturnType, "no time"));
    Ok(Timestamp::from_millisecond(milliseconds).map_err(unusable)?)
}

fn milliseconds() -> String {
    Lease::TIME_TO_LIVE.as_millis().to_string()
}

/// EVAL with the text each time: no NOSCRIPT to handle after a restart of Redis, and no SCRIPT LOAD in the session's
/// rights. The scripts are a few hundred bytes and run every few seconds.
pub(crate) async fn evaluate<T: redis::FromRedisValue>(
    redis: &mut Redis,
    script: &str,
    keys: &[String],
    arguments: &[&str],
) -> Result<T, RelayError> {
    let mut command = redis::cmd("EVAL");
    command.arg(script).arg(keys.len()).arg(keys).arg(arguments);
    Ok(command.query_async(redis).await?)
}
