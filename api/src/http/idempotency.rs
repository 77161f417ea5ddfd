//! `Idempotency-Key`: the same request sent twice under one key has one effect and one answer. Keys belong to their
//! company and are kept for a day.

use axum::extract::OptionalFromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::problem::{Code, Problem};
use crate::store::{Claim, Fingerprint};

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Longest key. A UUID has 36.
const LONGEST: usize = 255;

/// The key of a request, with method and path that it was used for.
pub struct IdempotencyKey {
    key: String,
    request: Sha256,
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Problem> {
        let Some(value) = parts.headers.get(HEADER) else { return Ok(None) };
        let key = value.to_str().ok().filter(|key| (1..=LONGEST).contains(&key.len()));
        let key = key.ok_or_else(|| {
            let detail = "The header idempotency-key must have 1 to 255 visible ASCII characters.";
            Problem::new(Code::InvalidIdempotencyKey, detail)
        })?;
        let request =
            Sha256::new().chain_update(parts.method.as_str()).chain_update([0]).chain_update(parts.uri.path());
        Ok(Some(Self { key: key.to_owned(), request: request.chain_update([0]) }))
    }
}

impl IdempotencyKey {
    /// The key, bound to a body.
    #[must_use]
    pub fn with(self, digest: &[u8; 32]) -> Repeatable {
        Repeatable { fingerprint: self.request.chain_update(digest).finalize().into(), key: self.key }
    }
}

/// A request that may be repeated.
pub struct Repeatable {
    /// Its key.
    pub key: String,
    /// What tells it from another request.
    pub fingerprint: Fingerprint,
}

/// The answer that a claim already gives; nothing when the request is still to be done.
pub fn settled(claim: Claim) -> Result<Option<Response>, Problem> {
    match claim {
        Claim::New | Claim::Begun => Ok(None),
        Claim::Answered { status, response } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
            let mut response = (status, axum::Json(response)).into_response();
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
            Ok(Some(response))
        }
        Claim::Differs => {
            let detail = "This idempotency key was used for another request.";
            Err(Problem::new(Code::IdempotencyKeyReused, detail))
        }
    }
}

/// A view as the JSON that is kept for repetitions.
pub fn kept(view: &impl Serialize) -> Result<serde_json::Value, Problem> {
    serde_json::to_value(view).map_err(|error| Problem::internal(&error))
}
