//! The lease on a session: who holds it may touch the profile and write events; who lost it is refused by its fence.

use std::time::Duration;

use jiff::Timestamp;

use crate::connection::Redis;
use crate::error::RelayError;
use crate::ids::ConnectionId;
use crate::names::Names;
use crate::offset::Fence;

/// KEYS: lease, fence, holder. ARGV: holder, ms, whether to take it from another. The same holder may take it again (its
/// process was restarted in the same pod, and a kubelet never runs two of one container), anybody else only when it is free.
/// Each taking gets a new fence. None is below the clock's milliseconds: a Redis that lost its data, or came back from a
/// backup, would give out numbers anew, and whoever remembers a greater one (the API) would take the session for an
/// overtaken one. The clock is told as well: it is the one that all who share this Redis can agree on. Where another pod has
/// not given the session back, it stays on record until the taking is confirmed.
const ACQUIRE: &str = r"
local held, time = redis.call('GET', KEYS[1]), redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if held and held:match('^(.*)#') ~= ARGV[1] and ARGV[3] == '0' then return {0, redis.call('PTTL', KEYS[1]), now, 0} end
local fence = redis.call('INCR', KEYS[2])
if fence < now then
  fence = now
  redis.call('SET', KEYS[2], fence)
end
redis.call('SET', KEYS[1], ARGV[1] .. '#' .. fence, 'PX', ARGV[2])
local last = redis.call('GET', KEYS[3])
local let_go = (not last or last == ARGV[1]) and 1 or 0
if let_go == 1 then redis.call('SET', KEYS[3], ARGV[1]) end
return {1, fence, now, let_go}";

/// KEYS: lease, fence, holder. ARGV: holder, ms, fence. One when it is still held, and the clock. A lease that ran out while
/// its holder went on renewing it (the clock of Redis was set forward) is its holder's as long as nobody else has taken it.
const RENEW: &str = r"
local held, time = redis.call('GET', KEYS[1]), redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ours = held == ARGV[1] .. '#' .. ARGV[3]
if not held then ours = redis.call('GET', KEYS[2]) == ARGV[3] and redis.call('GET', KEYS[3]) == ARGV[1] end
if not ours then return {0, now} end
redis.call('SET', KEYS[1], ARGV[1] .. '#' .. ARGV[3], 'PX', ARGV[2])
return {1, now}";

/// KEYS: lease, holder. ARGV: holder, fence. One when it is still held: then nobody else is on record any more.
const CONFIRM: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] .. '#' .. ARGV[2] then return 0 end
redis.call('SET', KEYS[2], ARGV[1])
return 1";

/// KEYS: lease, holder. ARGV: holder, fence. Whoever else is on record stays there.
const RELEASE: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] .. '#' .. ARGV[2] then return 0 end
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
return redis.call('DEL', KEYS[1])";

/// The answer to the wish for a lease.
#[derive(Debug)]
pub enum Acquired {
    /// It is ours.
    Held(Lease),
    /// Somebody else has it, at most for so long if nothing is heard of them.
    HeldByOther(Duration),
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
    /// Whether nobody else can still be at work: the one before gave it back, or was the same pod. Otherwise its lease ran out,
    /// by the clock of Redis, which somebody may have set: that pod may not know it yet.
    pub was_free: bool,
}

impl Lease {
    /// A holder that was not heard of for this long is dead or cut off. Renewal every third of it survives two lost answers.
    pub const TIME_TO_LIVE: Duration = Duration::from_secs(15);

    /// How often a holder should renew.
    pub const RENEW_EVERY: Duration = Duration::from_secs(5);

    /// After so long without a successful renewal the holder must have stopped its browser: a third party may hold the
    /// lease from [`Lease::TIME_TO_LIVE`] on, and three seconds is what the stop may take.
    pub const GIVE_UP_AFTER: Duration = Duration::from_secs(12);

    /// Takes the lease for `holder` (the pod's UID) if it is free or already the same holder's. Where it
    /// [was not free](Lease::was_free) the taking is to be [confirmed](Lease::confirm) once the pod before must have stopped.
    pub async fn acquire(redis: &mut Redis, connection: ConnectionId, holder: &str) -> Result<Acquired, RelayError> {
        Self::take(redis, connection, holder, "0").await
    }

    /// Takes it from whoever has it. Only for one who has seen by a clock of its own that it was not renewed for
    /// [`Lease::TIME_TO_LIVE`]: when the clock of Redis is set back, a lease outlives its holder by as much.
    pub async fn take_over(redis: &mut Redis, connection: ConnectionId, holder: &str) -> Result<Acquired, RelayError> {
        Self::take(redis, connection, holder, "1").await
    }

    async fn take(
        redis: &mut Redis,
        connection: ConnectionId,
        holder: &str,
        from_another: &str,
    ) -> Result<Acquired, RelayError> {
        let names = Names(connection);
        let keys = [names.lease(), names.fence(), names.holder()];
        let (taken, number, now, was_free): (u8, i64, i64, u8) =
            evaluate(redis, ACQUIRE, &keys, &[holder, &milliseconds(), from_another]).await?;
        if taken == 0 {
            return Ok(Acquired::HeldByOther(Duration::from_millis(u64::try_from(number).unwrap_or(0))));
        }
        let fence = Fence(u64::try_from(number).unwrap_or(0));
        let (holder, taken_at) = (holder.to_owned(), time(now)?);
        Ok(Acquired::Held(Self { names, holder, fence, taken_at, was_free: was_free == 1 }))
    }

    /// Prolongs the lease, and gives the time by Redis' clock; [`RelayError::Fenced`] when it is not ours any more.
    pub async fn renew(&self, redis: &mut Redis) -> Result<Timestamp, RelayError> {
        let keys = [self.names.lease(), self.names.fence(), self.names.holder()];
        let (held, now): (u8, i64) =
            evaluate(redis, RENEW, &keys, &[&self.holder, &milliseconds(), &self.fence.to_string()]).await?;
        if held == 1 { time(now) } else { Err(RelayError::Fenced { mine: self.fence }) }
    }

    /// Says that whoever had it before must have stopped.
    pub async fn confirm(&self, redis: &mut Redis) -> Result<(), RelayError> {
        let keys = [self.names.lease(), self.names.holder()];
        let held: u8 = evaluate(redis, CONFIRM, &keys, &[&self.holder, &self.fence.to_string()]).await?;
        if held == 1 { Ok(()) } else { Err(RelayError::Fenced { mine: self.fence }) }
    }

    /// Gives the lease back, so that the next pod need not wait. Nothing happens when it is not ours any more.
    pub async fn release(&self, redis: &mut Redis) -> Result<(), RelayError> {
        let keys = [self.names.lease(), self.names.holder()];
        evaluate::<u8>(redis, RELEASE, &keys, &[&self.holder, &self.fence.to_string()]).await.map(drop)
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
