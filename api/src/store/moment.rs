//! Times inside of cursors, as microseconds since 1970, which is as fine as PostgreSQL's are. A cursor comes back from a
//! client: a time that PostgreSQL has no form for is no cursor of ours.

use jiff::Timestamp;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The first moment of the year 1. PostgreSQL goes back further, jiff even more.
const FIRST: i64 = -62_135_596_800_000_000;

pub fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    at.as_microsecond().serialize(serializer)
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let microseconds = i64::deserialize(deserializer)?;
    let at = Timestamp::from_microsecond(microseconds).map_err(D::Error::custom)?;
    if microseconds < FIRST { Err(D::Error::custom("before the year 1")) } else { Ok(at) }
}
