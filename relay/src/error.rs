//! How a step of the relay can fail, classified where it is known.

use crate::offset::Fence;

/// A failed exchange with Redis.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// Redis did not answer, refused, or answered something unexpected. Trying again may help.
    #[error("redis: {0}")]
    Redis(#[from] redis::RedisError),
    /// Somebody took the session over: this writer must stop at once and for good.
    #[error("fence {mine} is outdated: the session was taken over")]
    Fenced {
        /// The fence that was refused.
        mine: Fence,
    },
    /// This process may change nothing (any more): another one leads.
    #[error("nothing may be changed: this process does not lead")]
    MayNotChange,
    /// A value of ours does not become JSON. A fault in the program.
    #[error("value cannot be encoded: {0}")]
    Encode(#[from] serde_json::Error),
}
