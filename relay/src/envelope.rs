//! The wrapping of everything that goes through Redis: `{v, kind, at, fence, connection?, trace?, body}`, readable by
//! older and newer sides.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::ConnectionId;
use crate::offset::Fence;
use crate::trace::TraceParent;

/// Version of the envelope. A reader refuses a newer one: fields are added without raising it.
pub const VERSION: u32 = 1;

/// Largest payload that a reader looks at, in bytes. WhatsApp's longest text is 65,536 characters of up to four bytes.
pub(crate) const LARGEST: usize = 512 * 1024;

/// What stands on the outside of every payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// When the writer made it, by the writer's clock.
    pub at: Timestamp,
    /// The fence under which the writer held the session; zero for writers that hold none (the API).
    pub fence: Fence,
    /// The connection whose session wrote it, where that is said: a reader can tell that it found it where it belongs.
    pub connection: Option<ConnectionId>,
    /// What it was written in the course of, where that is known.
    pub trace: Option<TraceParent>,
}

/// A payload with its header. `T` is an enum that serialises as `{kind, body}`.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope<T> {
    /// The outside.
    pub header: Header,
    /// The inside.
    pub payload: T,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    v: u32,
    kind: String,
    at: Timestamp,
    #[serde(default)]
    fence: Fence,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    connection: Option<ConnectionId>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "TraceParent::lenient")]
    trace: Option<TraceParent>,
    #[serde(default)]
    body: Value,
}

/// Why a payload cannot be read. It is kept as a dead letter; the stream goes on.
#[derive(Debug, thiserror::Error)]
pub enum Undecodable {
    /// Larger than any payload of ours.
    #[error("payload of {0} bytes is too large")]
    TooLarge(usize),
    /// Not JSON, or not an envelope.
    #[error("not an envelope: {0}")]
    Malformed(serde_json::Error),
    /// From a newer writer.
    #[error("envelope version {0} is newer than this reader")]
    Version(u32),
    /// A kind that this reader does not know, or whose body does not fit it.
    #[error("kind {kind:?}: {source}")]
    Payload {
        /// The kind as written.
        kind: String,
        /// What does not fit.
        source: serde_json::Error,
    },
}

impl<T: Serialize + DeserializeOwned> Envelope<T> {
    /// Wraps a payload.
    #[must_use]
    pub const fn new(at: Timestamp, fence: Fence, payload: T) -> Self {
        Self { header: Header { at, fence, connection: None, trace: None }, payload }
    }

    /// The same, saying whose it is.
    #[must_use]
    pub fn of(mut self, connection: ConnectionId) -> Self {
        self.header.connection = Some(connection);
        self
    }

    /// The same, in the course of something.
    #[must_use]
    pub fn traced(mut self, trace: Option<TraceParent>) -> Self {
        self.header.trace = trace;
        self
    }

    /// The JSON text that is written.
    pub fn encode(&self) -> Result<String, serde_json::Error> {
        let Inner { kind, body } = serde_json::from_value(serde_json::to_value(&self.payload)?)?;
        let Header { at, fence, connection, trace } = self.header;
        serde_json::to_string(&Wire { v: VERSION, kind, at, fence, connection, trace, body })
    }

    /// Reads what another side wrote. Unknown fields are ignored, an unknown kind is an error.
    pub fn decode(text: &str) -> Result<Self, Undecodable> {
        if text.len() > LARGEST {
            return Err(Undecodable::TooLarge(text.len()));
        }
        let wire: Wire = serde_json::from_str(text).map_err(Undecodable::Malformed)?;
        if wire.v > VERSION {
            return Err(Undecodable::Version(wire.v));
        }
        let inner = Inner { kind: wire.kind.clone(), body: wire.body };
        let payload = serde_json::to_value(inner)
            .and_then(serde_json::from_value)
            .map_err(|source| Undecodable::Payload { kind: wire.kind, source })?;
        let header = Header { at: wire.at, fence: wire.fence, connection: wire.connection, trace: wire.trace };
        Ok(Self { header, payload })
    }
}

#[derive(Serialize, Deserialize)]
struct Inner {
    kind: String,
    #[serde(default)]
    body: Value,
}
