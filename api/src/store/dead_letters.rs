//! Table `dead_letters`: what could not be understood or stored, for people to look at.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use relay::{ConnectionId, Entry};

use super::events::parts;
use super::{StoreError, TenantTx};

/// Bytes of a letter that are kept: enough to see what it was, not enough to fill a disk with one broken writer.
const KEPT: usize = 64 * 1024;

impl TenantTx {
    /// Puts an entry of the stream aside, with the reason.
    pub async fn keep_dead_letter(
        &mut self,
        connection: ConnectionId,
        entry: &Entry,
        error: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (ms, seq) = parts(entry.offset);
        sqlx::query(
            "INSERT INTO dead_letters (connection_id, ms, seq, company_id, raw, error, at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        )
        .bind(connection.0)
        .bind(ms)
        .bind(seq)
        .bind(&self.company)
        .bind(storable(&entry.raw))
        .bind(storable(error))
        .bind(now.to_sqlx())
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }
}

/// PostgreSQL takes no NUL in a text.
fn storable(text: &str) -> String {
    let end = (0..=text.len().min(KEPT)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default().replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_short_whole_and_without_nul() {
        assert_eq!(storable("a\0b"), "a\u{fffd}b");
        let kept = storable(&"ä".repeat(KEPT));
        assert_eq!(kept.len(), KEPT);
        assert!(storable(&format!("x{}", "ä".repeat(KEPT))).len() < KEPT);
    }
}
