//! Keys of rows, made from what WhatsApp calls the thing: the same event gives the same key whenever it is read again,
//! so that ingest never looks a key up and never stores a thing twice.

use std::fmt;
use std::str::FromStr;

use relay::{ChatId, ConnectionId, MessageId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! key {
    ($(#[doc = $doc:literal])+ $name:ident, $of:ty) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type)]
        #[serde(transparent)]
        #[sqlx(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// The key of that thing of that connection.
            #[must_use]
            pub fn of(connection: ConnectionId, id: &$of) -> Self {
                Self(Uuid::new_v5(&connection.0, id.as_str().as_bytes()))
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(value: &str) -> Result<Self, uuid::Error> {
                value.parse().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }
    };
}

key!(
    /// Key of a chat: what the API calls its id.
    ChatKey, ChatId
);
key!(
    /// Key of a message: what the API calls its id.
    MessageKey, MessageId
);
