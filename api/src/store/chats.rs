//! Table `chats`.

use jiff::Timestamp;
use jiff_sqlx::{Timestamp as PgTimestamp, ToSqlx};
use relay::{ChatId, ConnectionId, Phone};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ChatKey, StoreError, TenantTx};

/// What is known of a chat at one moment. Unset means that nothing new is known.
#[derive(Debug, Default)]
pub struct SeenChat<'a> {
    /// Name that WhatsApp shows.
    pub name: Option<&'a str>,
    /// Name that the other person shows, from a message of theirs.
    pub push_name: Option<&'a str>,
    /// The other person's number.
    pub phone: Option<&'a Phone>,
    /// The other person's `@lid`.
    pub lid: Option<&'a str>,
    /// Messages that nobody has read.
    pub unread: Option<u32>,
    /// When something happened in it.
    pub activity: Option<Timestamp>,
}

/// A chat with the latest message in it.
#[derive(Debug, sqlx::FromRow)]
pub struct ChatRow {
    /// Key.
    pub id: ChatKey,
    /// Its connection.
    pub connection_id: Uuid,
    /// WhatsApp's id.
    pub wa_id: String,
    /// individual, group, or another of WhatsApp's kinds.
    pub kind: String,
    /// Name that WhatsApp shows.
    pub name: Option<String>,
    /// Name that the other person shows.
    pub push_name: Option<String>,
    /// The other person's number.
    pub phone: Option<String>,
    /// The other person's `@lid`.
    pub lid: Option<String>,
    /// Messages that nobody has read.
    pub unread: i32,
    /// The latest activity; the epoch while none is known.
    pub last_activity_at: PgTimestamp,
    /// Key of the latest message, and with it the three below.
    pub last_id: Option<super::MessageKey>,
    /// Its text.
    pub last_text: Option<String>,
    /// Its type.
    pub last_type: Option<String>,
    /// Whether the account sent it.
    pub last_from_me: Option<bool>,
    /// When.
    pub last_sent_at: Option<PgTimestamp>,
    /// The activity that gives the chat its place on the page.
    pub position: PgTimestamp,
    /// Number of the newest message or raised chat when the first page was taken.
    pub mark: i64,
}

/// Where a page of chats ended.
#[derive(Debug, Serialize, Deserialize)]
pub struct ChatPosition {
    /// Activity of its last chat.
    #[serde(with = "super::moment")]
    pub activity: Timestamp,
    /// Key of its last chat.
    pub id: ChatKey,
    /// Number of the newest message or raised chat when the first page was taken.
    pub mark: i64,
}

/// Which chats.
#[derive(Debug)]
pub struct ChatPage {
    /// Groups besides individual conversations.
    pub groups: bool,
    /// After that position.
    pub after: Option<ChatPosition>,
    /// At most so many.
    pub limit: i64,
}

macro_rules! select {
    ($before:literal, $position:literal, $rest:literal) => {
        concat!(
            $before,
            "SELECT ",
            $position,
            ", c.id, c.connection_id, c.wa_id, c.kind, c.name, c.push_name, c.phone, c.lid, c.unread, ",
            "c.last_activity_at, m.id AS last_id, m.text AS last_text, m.type AS last_type, ",
            "m.from_me AS last_from_me, m.sent_at AS last_sent_at FROM chats c LEFT JOIN LATERAL (",
            "SELECT * FROM messages m WHERE m.chat_id = c.id ORDER BY m.sent_at DESC, m.seq DESC LIMIT 1) m ON true ",
            $rest
        )
    };
}

impl TenantTx {
    /// Stores what is known of a chat, makes it if it is new, and gives its key.
    pub async fn see_chat(
        &mut self,
        connection: ConnectionId,
        chat: &ChatId,
        seen: &SeenChat<'_>,
    ) -> Result<ChatKey, StoreError> {
        let key = ChatKey::of(connection, chat);
        sqlx::query(
            "INSERT INTO chats (id, company_id, connection_id, wa_id, kind, name, push_name, phone, lid, unread, \
             last_activity_at, raised_seq) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, COALESCE($10, 0), \
             COALESCE($11, 'epoch'), nextval('messages_seq_seq')) \
             ON CONFLICT (id) DO UPDATE SET name = COALESCE($6, chats.name), \
             push_name = COALESCE($7, chats.push_name), phone = COALESCE($8, chats.phone), \
             lid = COALESCE($9, chats.lid), unread = COALESCE($10, chats.unread), \
             last_activity_at = GREATEST(chats.last_activity_at, EXCLUDED.last_activity_at), \
             raised_seq = CASE WHEN EXCLUDED.last_activity_at > chats.last_activity_at \
             THEN EXCLUDED.raised_seq ELSE chats.raised_seq END",
        )
        .bind(key)
        .bind(&self.company)
        .bind(connection.0)
        .bind(chat.as_str())
        .bind(kind(chat))
        .bind(seen.name)
        .bind(seen.push_name)
        .bind(seen.phone.map(Phone::as_str).or_else(|| chat.as_str().strip_suffix("@c.us")))
        .bind(seen.lid.or_else(|| chat.as_str().ends_with("@lid").then_some(chat.as_str())))
        .bind(seen.unread.map(|unread| i32::try_from(unread).unwrap_or(i32::MAX)))
        .bind(seen.activity.map(ToSqlx::to_sqlx))
        .execute(&mut *self.tx)
        .await?;
        Ok(key)
    }

    /// A page of a connection's chats, the latest activity first: as it was when the first page was taken. A chat that got
    /// a message since then, or was raised without one (`moved`), stands where it stood, or else it would be on no page at all when it had not been
    /// reached yet. What has only come since then is last. When that was is the client's word, so it counts for the newest
    /// 10,000 messages at most: else a page could be made to read all that there are.
    pub async fn chats(&mut self, connection: ConnectionId, page: &ChatPage) -> Result<Vec<ChatRow>, StoreError> {
        let rows = sqlx::query_as(select!(
            "WITH mark AS (SELECT COALESCE(GREATEST($7, CASE WHEN $7 IS NOT NULL THEN \
             (SELECT seq FROM messages WHERE company_id = $1 AND connection_id = $2 AND seq > $7 \
             ORDER BY seq DESC OFFSET 10000 LIMIT 1) END), \
             GREATEST((SELECT max(seq) FROM messages WHERE company_id = $1 AND connection_id = $2), \
             (SELECT max(raised_seq) FROM chats WHERE company_id = $1 AND connection_id = $2)), 0) AS seq), \
             listed AS NOT MATERIALIZED (SELECT id, last_activity_at FROM chats WHERE company_id = $1 AND connection_id = $2 \
             AND (kind = 'individual' OR ($3 AND kind = 'group'))), \
             moved AS (SELECT chat_id FROM messages WHERE company_id = $1 AND connection_id = $2 \
             AND seq > (SELECT seq FROM mark) UNION SELECT id FROM chats WHERE company_id = $1 AND connection_id = $2 \
             AND raised_seq > (SELECT seq FROM mark)), \
             stood AS (SELECT id, COALESCE((SELECT max(sent_at) FROM messages \
             WHERE chat_id = listed.id AND seq <= (SELECT seq FROM mark)), 'epoch') AS position \
             FROM listed WHERE id IN (SELECT chat_id FROM moved)), \
             page AS ((SELECT id, last_activity_at AS position FROM listed \
             WHERE ($4::timestamptz IS NULL OR (last_activity_at, id) < ($4, $5)) \
             AND id NOT IN (SELECT chat_id FROM moved) ORDER BY last_activity_at DESC, id DESC LIMIT $6) \
             UNION ALL (SELECT id, position FROM stood WHERE $4::timestamptz IS NULL OR (position, id) < ($4, $5)) \
             ORDER BY position DESC, id DESC LIMIT $6) ",
            "page.position, (SELECT seq FROM mark) AS mark",
            "JOIN page ON page.id = c.id WHERE c.company_id = $1 ORDER BY page.position DESC, c.id DESC"
        ))
        .bind(&self.company)
        .bind(connection.0)
        .bind(page.groups)
        .bind(page.after.as_ref().map(|after| after.activity.to_sqlx()))
        .bind(page.after.as_ref().map(|after| after.id))
        .bind(page.limit)
        .bind(page.after.as_ref().map(|after| after.mark))
        .fetch_all(&mut *self.tx)
        .await?;
        Ok(rows)
    }

    /// The chat of that key, with its latest message.
    pub async fn chat(&mut self, key: ChatKey) -> Result<Option<ChatRow>, StoreError> {
        let row = sqlx::query_as(select!(
            "",
            "c.last_activity_at AS position, 0::bigint AS mark",
            "WHERE c.company_id = $1 AND c.id = $2"
        ))
        .bind(&self.company)
        .bind(key)
        .fetch_optional(&mut *self.tx)
        .await?;
        Ok(row)
    }
}

fn kind(chat: &ChatId) -> &'static str {
    if chat.is_individual() {
        "individual"
    } else if chat.is_group() {
        "group"
    } else {
        "other"
    }
}
