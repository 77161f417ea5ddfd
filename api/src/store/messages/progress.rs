//! How stored messages get further: what WhatsApp tells of them, how their commands end, and which of them wait.

use jiff::Timestamp;
use jiff_sqlx::{Timestamp as PgTimestamp, ToSqlx};
use relay::{ConnectionId, Message, MessageId, Offset, Outcome};
use uuid::Uuid;

use super::super::events::parts;
use super::super::{ChatKey, CrossTenantTx, MessageKey, StoreError, TenantTx};
use super::{MessageRow, columns};

/// What became of a message that WhatsApp told of.
#[derive(Debug)]
pub enum Acked {
    /// It was not known, or not told of, before: it is news.
    New(MessageRow),
    /// It was known; its receipt grew.
    Grown(MessageRow),
    /// All of it was known.
    Known,
}

/// A message whose command may not have reached the relay.
#[derive(Debug, sqlx::FromRow)]
pub struct Waiting {
    /// Key.
    pub id: MessageKey,
    /// Its connection.
    pub connection_id: Uuid,
    /// WhatsApp's id of its chat.
    pub chat_wa_id: String,
    /// Its own id at WhatsApp.
    pub wa_id: String,
    /// The text.
    pub text: String,
    /// The command that sends it.
    pub command_id: Uuid,
    /// After this it must not be sent any more.
    pub deadline: PgTimestamp,
}

impl TenantTx {
    /// Stores a message that WhatsApp told of, once. A message that was queued here becomes news with the first event
    /// that tells of it, under the row it already has.
    pub async fn record_message(
        &mut self,
        connection: ConnectionId,
        chat: ChatKey,
        message: &Message,
        offset: Offset,
    ) -> Result<Acked, StoreError> {
        let (ms, seq) = parts(offset);
        let row: Option<MessageRow> = sqlx::query_as(concat!(
            "INSERT INTO messages (id, company_id, connection_id, chat_id, wa_id, from_me, author, push_name, type, \
             text, quoted, sent_at, ack, event_ms, event_seq) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) \
             ON CONFLICT (connection_id, wa_id) DO UPDATE SET ack = GREATEST(messages.ack, EXCLUDED.ack), \
             event_ms = EXCLUDED.event_ms, event_seq = EXCLUDED.event_seq WHERE messages.event_ms IS NULL RETURNING ",
            columns!()
        ))
        .bind(MessageKey::of(connection, &message.id))
        .bind(&self.company)
        .bind(connection.0)
        .bind(chat)
        .bind(message.id.as_str())
        .bind(message.from_me)
        .bind(&message.author)
        .bind(&message.push_name)
        .bind(&message.message_type)
        .bind(&message.text)
        .bind(&message.quoted)
        .bind(message.sent_at.to_sqlx())
        .bind(i16::from(message.ack))
        .bind(ms)
        .bind(seq)
        .fetch_optional(&mut *self.tx)
        .await?;
        match row {
            Some(row) => Ok(Acked::New(row)),
            None => Ok(self.ack(connection, &message.id, message.ack).await?.map_or(Acked::Known, Acked::Grown)),
        }
    }

    /// Raises the receipt of an own message. Receipts come late and twice: it never falls, and a failure counts only
    /// while nobody has received anything.
    pub async fn ack(
        &mut self,
        connection: ConnectionId,
        message: &MessageId,
        ack: i8,
    ) -> Result<Option<MessageRow>, StoreError> {
        let row = sqlx::query_as(concat!(
            "UPDATE messages SET ack = GREATEST(ack, $4), outcome = CASE WHEN $4 < 0 THEN 'failed' ELSE outcome END, \
             failure = CASE WHEN $4 < 0 THEN 'rejected' ELSE failure END \
             WHERE company_id = $1 AND connection_id = $2 AND wa_id = $3 AND from_me \
             AND (ack < $4 OR ($4 < 0 AND ack <= 0 AND outcome IS DISTINCT FROM 'failed')) RETURNING ",
            columns!()
        ))
        .bind(&self.company)
        .bind(connection.0)
        .bind(message.as_str())
        .bind(i16::from(ack))
        .fetch_optional(&mut *self.tx)
        .await?;
        Ok(row)
    }

    /// Stores how a message's command ended. The first certain word counts.
    pub async fn settle(
        &mut self,
        connection: ConnectionId,
        command: Uuid,
        outcome: &Outcome,
    ) -> Result<Option<MessageRow>, StoreError> {
        let (word, failure) = match outcome {
            Outcome::Done => ("done", None),
            Outcome::Failed { reason } => ("failed", Some(reason.as_str())),
            Outcome::Expired => ("expired", None),
            Outcome::Unknown => ("unknown", None),
        };
        let row = sqlx::query_as(concat!(
            "UPDATE messages SET outcome = $4, failure = $5 WHERE company_id = $1 AND connection_id = $2 \
             AND command_id = $3 AND (outcome IS NULL OR outcome = 'unknown') RETURNING ",
            columns!()
        ))
        .bind(&self.company)
        .bind(connection.0)
        .bind(command)
        .bind(word)
        .bind(failure)
        .fetch_optional(&mut *self.tx)
        .await?;
        Ok(row)
    }
}

impl CrossTenantTx {
    /// Messages that were queued before `queued_before` and whose command, which may still be begun `now`, is not
    /// known to be in the relay.
    pub async fn waiting(
        &mut self,
        queued_before: Timestamp,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<Waiting>, StoreError> {
        let rows = sqlx::query_as(
            "SELECT m.id, m.connection_id, c.wa_id AS chat_wa_id, m.wa_id, COALESCE(m.text, '') AS text, \
             m.command_id, m.deadline FROM messages m JOIN chats c ON c.id = m.chat_id \
             WHERE m.command_id IS NOT NULL AND m.outcome IS NULL AND m.dispatched_at IS NULL AND m.sent_at < $1 \
             AND m.deadline > $2 ORDER BY m.deadline LIMIT $3",
        )
        .bind(queued_before.to_sqlx())
        .bind(now.to_sqlx())
        .bind(limit)
        .fetch_all(&mut *self.tx)
        .await?;
        Ok(rows)
    }

    /// Remembers that these are in the relay.
    pub async fn all_dispatched(&mut self, messages: &[MessageKey]) -> Result<(), StoreError> {
        sqlx::query("UPDATE messages SET dispatched_at = now() WHERE id = ANY($1)")
            .bind(messages)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    /// Gives up on messages whose deadline passed before `now` without a word from their session, and gives them. Even
    /// what is not known to be in the relay may have left (the process ended before it could say so), so nobody knows
    /// how they ended; a receipt may still tell.
    pub async fn give_up(&mut self, now: Timestamp, limit: i64) -> Result<Vec<MessageRow>, StoreError> {
        let rows = sqlx::query_as(concat!(
            "UPDATE messages SET outcome = 'unknown' WHERE id IN (SELECT id FROM messages \
             WHERE command_id IS NOT NULL AND outcome IS NULL AND deadline < $1 \
             ORDER BY deadline LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING ",
            columns!()
        ))
        .bind(now.to_sqlx())
        .bind(limit)
        .fetch_all(&mut *self.tx)
        .await?;
        Ok(rows)
    }
}
