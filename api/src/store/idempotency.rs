//! Table `idempotency_keys`: what was answered to a request that its caller may repeat.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use serde_json::Value;

use super::{StoreError, TenantTx};

/// SHA-256 of method, path and body of a request.
pub type Fingerprint = [u8; 32];

/// What is known of a key.
#[derive(Debug, PartialEq)]
pub enum Claim {
    /// Nothing: it is ours now.
    New,
    /// The same request was begun, and no answer is known (yet).
    Begun,
    /// The same request was answered.
    Answered {
        /// HTTP status.
        status: u16,
        /// JSON body.
        response: Value,
    },
    /// It was used for another request.
    Differs,
}

impl TenantTx {
    /// Takes the key, or tells who did. Waits for a transaction that is just taking it.
    pub async fn claim(&mut self, key: &str, fingerprint: &Fingerprint, now: Timestamp) -> Result<Claim, StoreError> {
        let taken = sqlx::query(
            "INSERT INTO idempotency_keys (company_id, key, fingerprint, created_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT DO NOTHING",
        )
        .bind(&self.company)
        .bind(key)
        .bind(&fingerprint[..])
        .bind(now.to_sqlx())
        .execute(&mut *self.tx)
        .await?;
        if taken.rows_affected() == 1 {
            return Ok(Claim::New);
        }
        Ok(self.claimed(key, fingerprint).await?.unwrap_or(Claim::Begun))
    }

    /// What is known of a key, without taking it.
    pub async fn claimed(&mut self, key: &str, fingerprint: &Fingerprint) -> Result<Option<Claim>, StoreError> {
        let row: Option<(Vec<u8>, Option<i16>, Option<Value>)> = sqlx::query_as(
            "SELECT fingerprint, status, response FROM idempotency_keys WHERE company_id = $1 AND key = $2",
        )
        .bind(&self.company)
        .bind(key)
        .fetch_optional(&mut *self.tx)
        .await?;
        Ok(row.map(|(seen, status, response)| match (status, response) {
            _ if seen != fingerprint => Claim::Differs,
            (Some(status), Some(response)) => {
                Claim::Answered { status: u16::try_from(status).unwrap_or(200), response }
            }
            _ => Claim::Begun,
        }))
    }

    /// Remembers the answer to the request with that key.
    pub async fn answer(&mut self, key: &str, status: u16, response: &Value) -> Result<(), StoreError> {
        sqlx::query("UPDATE idempotency_keys SET status = $3, response = $4 WHERE company_id = $1 AND key = $2")
            .bind(&self.company)
            .bind(key)
            .bind(i16::try_from(status).unwrap_or(0))
            .bind(response)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }
}
