//! The lease on a session: who holds it may touch the profile and write events; who lost it is refused by its fence.

use std::time::Duration;

use jiff::Timestamp;

use crate::connection::Redis;
use crate::error::RelayError;
use crate::ids::ConnectionId;
use crate::names::Names;
use crate::offset::Fence;

/// A holder that was not heard of for this long is dead or cut off. Renewal every third of it survives two lost answers.
pub(crate) const TIME_TO_LIVE: Duration = Duration::from_secs(15);

/// KEYS: lease, fence. ARGV: holder, ms. The same holder may take it again (its process was restarted in the same pod,
/// and a kubelet never runs two of one container), anybody else only when it is free. Each taking gets a new fence. None is
/// below the clock's milliseconds: a Redis that lost its data, or came back from a backup, would give out numbers anew, and
/// whoever remembers a greater one (the API) would take the session for an overtaken one. The clock is told as well: it is
/// the one that all who share this Redis can agree on.
const ACQUIRE: &str = r"
local held, time = redis.call('GET', KEYS[1]), redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if held and held:match('^(.*)#') ~= ARGV[1] then return {0, redis.call('PTTL', KEYS[1]), now} end
local fence = redis.call('INCR', KEYS[2])
if fence < now then
  fence = now
  redis.call('SET', KEYS[2], fence)
end
redis.call('SET', KEYS[1], ARGV[1] .. '#' .. fence, 'PX', ARGV[2])
return {1, fence, now}";

/// KEYS: lease. ARGV: holder#fence, ms. One when it is still held, and the clock.
const RENEW: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {0, now} end
return {redis.call('PEXPIRE', KEYS[1], ARGV[2]), now}";

/// KEYS: lease. ARGV: holder#fence.
const RELEASE: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
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
}

impl Lease {
    /// How often a holder should renew.
    pub const RENEW_EVERY: Duration = Duration::from_secs(5);

    /// After so long without a successful renewal the holder must have stopped its browser: a third party may hold the
    /// lease from [`TIME_TO_LIVE`] on, and three seconds is what the stop may take.
    pub const GIVE_UP_AFTER: Duration = Duration::from_secs(12);

    /// Takes the lease for `holder` (the pod's UID) if it is free or already the same holder's.
    pub async fn acquire(redis: &mut Redis, connection: ConnectionId, holder: &str) -> Result<Acquired, RelayError> {
        let names = Names(connection);
        let (taken, number, now): (u8, i64, i64) =
            evaluate(redis, ACQUIRE, &[names.lease(), names.fence()], &[holder, &milliseconds()]).await?;
        if taken == 0 {
            return Ok(Acquired::HeldByOther(Duration::from_millis(u64::try_from(number).unwrap_or(0))));
        }
        let fence = Fence(u64::try_from(number).unwrap_or(0));
        Ok(Acquired::Held(Self { names, holder: holder.to_owned(), fence, taken_at: time(now)? }))
    }

    /// Prolongs the lease, and gives the time by Redis' clock; [`RelayError::Fenced`] when it is not ours any more.
    pub async fn renew(&self, redis: &mut Redis) -> Result<Timestamp, RelayError> {
        let (held, now): (u8, i64) =
            evaluate(redis, RENEW, &[self.names.lease()], &[&self.value(), &milliseconds()]).await?;
        if held == 1 { time(now) } else { Err(RelayError::Fenced { mine: self.fence }) }
    }

    /// Gives the lease back, so that the next pod need not wait. Nothing happens when it is not ours any more.
    pub async fn release(&self, redis: &mut Redis) -> Result<(), RelayError> {
        evaluate::<u8>(redis, RELEASE, &[self.names.lease()], &[&self.value()]).await.map(drop)
    }

    fn value(&self) -> String {
        format!("{}#{}", self.holder, self.fence)
    }
}

/// Only a Redis whose clock is thousands of years off says anything else.
fn time(milliseconds: i64) -> Result<Timestamp, RelayError> {
    let unusable = |_| redis::RedisError::from((redis::ErrorKind::UnexpectedReturnType, "no time"));
    Ok(Timestamp::from_millisecond(milliseconds).map_err(unusable)?)
}

fn milliseconds() -> String {
    TIME_TO_LIVE.as_millis().to_string()
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
