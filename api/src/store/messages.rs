//! Table `messages`, as requests see it. What ingest and the outbox do to it stands in `messages/progress.rs`.

mod progress;

pub use progress::{Acked, Waiting};

use jiff::Timestamp;
use jiff_sqlx::{Timestamp as PgTimestamp, ToSqlx};
use relay::{ConnectionId, MessageId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ChatKey, MessageKey, StoreError, TenantTx};

/// A message as it is stored.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct MessageRow {
    /// Key.
    pub id: MessageKey,
    /// Orders messages of one second.
    pub seq: i64,
    /// Its connection.
    pub connection_id: Uuid,
    /// Its chat.
    pub chat_id: ChatKey,
    /// WhatsApp's id.
    pub wa_id: String,
    /// Whether the account sent it.
    pub from_me: bool,
    /// Who wrote it; in a group the participant.
    pub author: Option<String>,
    /// Name that the author shows.
    pub push_name: Option<String>,
    /// WhatsApp's word for its type.
    #[sqlx(rename = "type")]
    pub message_type: String,
    /// Text or caption.
    pub text: Option<String>,
    /// WhatsApp's id of the message that it answers.
    pub quoted: Option<String>,
    /// When, to the second.
    pub sent_at: PgTimestamp,
    /// How far it got, by WhatsApp's receipts.
    pub ack: i16,
    /// How its command ended: done, failed, expired or unknown. Unset for what was not sent here, or not done yet.
    pub outcome: Option<String>,
    /// Why it failed.
    pub failure: Option<String>,
}

/// The columns of [`MessageRow`].
macro_rules! columns {
    () => {
        "id, seq, connection_id, chat_id, wa_id, from_me, author, push_name, type, text, quoted, sent_at, ack, outcome, \
         failure"
    };
}
pub(super) use columns;

/// A message that is about to be sent.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// The id that WhatsApp will know it by.
    pub wa_id: &'a MessageId,
    /// Its chat.
    pub chat: ChatKey,
    /// The text.
    pub text: &'a str,
    /// Now, to the second.
    pub sent_at: Timestamp,
    /// The command that sends it.
    pub command: Uuid,
    /// After this it must not be sent any more.
    pub deadline: Timestamp,
}

/// Where a page of messages ended.
#[derive(Debug, Serialize, Deserialize)]
pub struct MessagePosition {
    /// Time of its oldest message.
    #[serde(with = "super::moment")]
    pub sent_at: Timestamp,
    /// Number of its oldest message.
    pub seq: i64,
}

impl TenantTx {
    /// Stores a message that waits to be sent.
    pub async fn queue_message(
        &mut self,
        connection: ConnectionId,
        message: &Outgoing<'_>,
    ) -> Result<MessageRow, StoreError> {
        let row = sqlx::query_as(concat!(
            "INSERT INTO messages (id, company_id, connection_id, chat_id, wa_id, from_me, type, text, sent_at, \
             command_id, deadline) VALUES ($1, $2, $3, $4, $5, true, 'chat', $6, $7, $8, $9) RETURNING ",
            columns!()
        ))
        .bind(MessageKey::of(connection, message.wa_id))
        .bind(&self.company)
        .bind(connection.0)
        .bind(message.chat)
        .bind(message.wa_id.as_str())
        .bind(message.text)
        .bind(message.sent_at.to_sqlx())
        .bind(message.command)
        .bind(message.deadline.to_sqlx())
        .fetch_one(&mut *self.tx)
        .await?;
        Ok(row)
    }

    /// The newest messages of a chat before that position, the newest first.
    pub async fn messages(
        &mut self,
        chat: ChatKey,
        before: Option<&MessagePosition>,
        limit: i64,
    ) -> Result<Vec<MessageRow>, StoreError> {
        let rows = sqlx::query_as(concat!(
            "SELECT ",
            columns!(),
            " FROM messages WHERE company_id = $1 AND chat_id = $2 \
             AND ($3::timestamptz IS NULL OR (sent_at, seq) < ($3, $4)) ORDER BY sent_at DESC, seq DESC LIMIT $5"
        ))
        .bind(&self.company)
        .bind(chat)
        .bind(before.map(|before| before.sent_at.to_sqlx()))
        .bind(before.map(|before| before.seq))
        .bind(limit)
        .fetch_all(&mut *self.tx)
        .await?;
        Ok(rows)
    }

    /// Remembers that a message's command is in the relay.
    pub async fn dispatched(&mut self, message: MessageKey) -> Result<(), StoreError> {
        sqlx::query("UPDATE messages SET dispatched_at = now() WHERE company_id = $1 AND id = $2")
            .bind(&self.company)
            .bind(message)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }
}
