//! Whether an entry of a stream is an event of its connection's session. Pure. What is not becomes a dead letter.

use relay::{ConnectionId, Entry, Envelope, Event, Fence, Undecodable};

/// Why an entry is put aside.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// It cannot be read.
    #[error(transparent)]
    Undecodable(#[from] Undecodable),
    /// It says that it belongs to another connection: somebody copied a stream, or writes where they may not.
    #[error("an event of connection {0}")]
    Stranger(ConnectionId),
    /// It was written by a pod that had been overtaken: another one's events were read already.
    #[error("fence {got} is older than {newest}")]
    Overtaken {
        /// The event's fence.
        got: Fence,
        /// The greatest that was seen.
        newest: Fence,
    },
    /// The database does not take one of its values.
    #[error("{0}")]
    Refused(String),
}

impl Unfit {
    /// Every label there is.
    pub const LABELS: &[&str] =
        &["too_large", "malformed", "newer_version", "unknown_kind", "other_connection", "old_fence", "refused_value"];

    /// Which of [`Unfit::LABELS`] it is.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Undecodable(Undecodable::TooLarge(_)) => "too_large",
            Self::Undecodable(Undecodable::Malformed(_)) => "malformed",
            Self::Undecodable(Undecodable::Version(_)) => "newer_version",
            Self::Undecodable(Undecodable::Payload { .. }) => "unknown_kind",
            Self::Stranger(_) => "other_connection",
            Self::Overtaken { .. } => "old_fence",
            Self::Refused(_) => "refused_value",
        }
    }
}

/// The event, if it belongs to that connection and was written under a fence that is none older than `newest`.
pub fn fit(entry: &Entry, connection: ConnectionId, newest: Fence) -> Result<Envelope<Event>, Unfit> {
    let envelope = entry.decode()?;
    match envelope.header.connection {
        Some(other) if other != connection => return Err(Unfit::Stranger(other)),
        // Pods of the first version do not say it.
        _ => {}
    }
    if envelope.header.fence < newest {
        return Err(Unfit::Overtaken { got: envelope.header.fence, newest });
    }
    Ok(envelope)
}
