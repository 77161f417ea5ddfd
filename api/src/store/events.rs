//! Table `events`: every committed event for ever, in the order of its connection's stream.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use relay::{ConnectionId, Offset};
use serde_json::Value;
use uuid::Uuid;

use super::{StoreError, TenantTx};

/// An event as it is kept.
#[derive(Debug)]
pub struct StoredEvent {
    /// Its place.
    pub offset: Offset,
    /// The place of the one before it in the stream, told or not.
    pub previous: Offset,
    /// Its kind, as in the relay.
    pub kind: &'static str,
    /// When it was written.
    pub at: Timestamp,
    /// What clients are told.
    pub payload: Option<Value>,
}

/// What clients were told of one event.
#[derive(Debug)]
pub struct ToldEvent {
    /// Its place in its connection.
    pub offset: Offset,
    /// The words, which name the connection.
    pub payload: Value,
}

impl TenantTx {
    /// Keeps an event. One that is there already stays as it is.
    pub async fn keep_event(&mut self, connection: ConnectionId, event: &StoredEvent) -> Result<(), StoreError> {
        let (ms, seq) = parts(event.offset);
        sqlx::query(
            "INSERT INTO events (connection_id, ms, seq, company_id, previous, kind, at, payload) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
        )
        .bind(connection.0)
        .bind(ms)
        .bind(seq)
        .bind(&self.company)
        .bind(event.previous.to_string())
        .bind(event.kind)
        .bind(event.at.to_sqlx())
        .bind(&event.payload)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    /// What clients were told after those places, in the order of the places: the first `most` of all of them.
    pub async fn told_after(
        &mut self,
        places: &[(ConnectionId, Offset)],
        most: i64,
    ) -> Result<Vec<ToldEvent>, StoreError> {
        let connections: Vec<Uuid> = places.iter().map(|(connection, _)| connection.0).collect();
        let (ms, seq): (Vec<i64>, Vec<i64>) = places.iter().map(|(_, offset)| parts(*offset)).unzip();
        let rows: Vec<(i64, i64, Value)> = sqlx::query_as(
            "SELECT e.ms, e.seq, e.payload \
             FROM unnest($2::uuid[], $3::bigint[], $4::bigint[]) AS place (connection_id, ms, seq) \
             CROSS JOIN LATERAL (SELECT * FROM events WHERE company_id = $1 \
             AND connection_id = place.connection_id AND (ms, seq) > (place.ms, place.seq) AND payload IS NOT NULL \
             ORDER BY ms, seq LIMIT $5) e ORDER BY e.ms, e.seq, e.connection_id LIMIT $5",
        )
        .bind(&self.company)
        .bind(connections)
        .bind(ms)
        .bind(seq)
        .bind(most)
        .fetch_all(&mut *self.tx)
        .await?;
        let told = |(ms, seq, payload): (i64, i64, Value)| {
            let part = |number: i64| u64::try_from(number).unwrap_or(0);
            ToldEvent { offset: Offset::new(part(ms), part(seq)), payload }
        };
        Ok(rows.into_iter().map(told).collect())
    }

    /// Whether clients were told of an event at each of these places. The start counts as one.
    pub async fn all_told(&mut self, places: &[(ConnectionId, Offset)]) -> Result<bool, StoreError> {
        let named: Vec<_> = places.iter().filter(|(_, offset)| *offset != Offset::START).collect();
        let connections: Vec<Uuid> = named.iter().map(|(connection, _)| connection.0).collect();
        let (ms, seq): (Vec<i64>, Vec<i64>) = named.iter().map(|(_, offset)| parts(*offset)).unzip();
        let there: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM events JOIN unnest($2::uuid[], $3::bigint[], $4::bigint[]) \
             AS place (connection_id, ms, seq) USING (connection_id, ms, seq) \
             WHERE company_id = $1 AND payload IS NOT NULL",
        )
        .bind(&self.company)
        .bind(connections)
        .bind(ms)
        .bind(seq)
        .fetch_one(&mut *self.tx)
        .await?;
        Ok(usize::try_from(there).is_ok_and(|there| there == named.len()))
    }
}

/// The two numbers of an offset as PostgreSQL has them. Redis' own are unsigned; milliseconds since 1970 and a count
/// within one of them stay far below the signed limit.
pub(super) fn parts(offset: Offset) -> (i64, i64) {
    let (milliseconds, number) = offset.parts();
    (i64::try_from(milliseconds).unwrap_or(i64::MAX), i64::try_from(number).unwrap_or(i64::MAX))
}
