//! Every error of the API, as RFC 9457 problem details. A problem says what the caller can act on; what went wrong inside
//! is logged here, under the same request id, and never told.

mod code;

pub use code::Code;

use std::borrow::Cow;
use std::fmt::Display;
use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use relay::RelayError;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::TokenRefused;
use crate::store::StoreError;

/// Seconds after which a part that is away may be back.
const RETRY: u64 = 1;

/// What is wrong with one field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Path of the field, for example `link.phoneNumber`.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

/// An error that a caller sees. Rendered by [`Problem::render`] once the request id is known.
#[derive(Debug, Clone)]
pub struct Problem {
    code: Code,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    state: Option<&'static str>,
    retry_after: Option<u64>,
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    errors: &'a [FieldError],
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
}

impl Problem {
    /// Of that code, with a sentence for people.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        let retry_after = (code.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(RETRY);
        Self { code, detail: detail.into(), errors: Vec::new(), state: None, retry_after }
    }

    /// The connection is in that state.
    #[must_use]
    pub fn not_connected(state: &'static str) -> Self {
        let detail = format!("The connection is not connected to WhatsApp: it is {state}.");
        Self { state: Some(state), ..Self::new(Code::NotConnected, detail) }
    }

    /// What is wrong in each field.
    #[must_use]
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = "The request is well-formed, but some of its values cannot be used.";
        Self { errors, ..Self::new(Code::InvalidRequest, detail) }
    }

    /// What is wrong in one field.
    #[must_use]
    pub fn invalid_field(field: &str, message: impl Display) -> Self {
        Self::invalid(vec![FieldError { field: field.to_owned(), message: message.to_string() }])
    }

    /// A token that was refused.
    #[must_use]
    pub fn unauthorized(refusal: TokenRefused) -> Self {
        match refusal {
            TokenRefused::Missing => Self::new(Code::TokenMissing, "A bearer token is required."),
            TokenRefused::Expired => Self::new(Code::TokenExpired, "The token has expired."),
            TokenRefused::Invalid => Self::new(Code::TokenInvalid, "The token is not valid."),
        }
    }

    /// The company asks too much: not before that time has passed.
    #[must_use]
    pub fn too_many(wait: Duration) -> Self {
        let detail = "The company asks more than it may.";
        Self { retry_after: Some(wait.as_secs().saturating_add(1)), ..Self::new(Code::RateLimited, detail) }
    }

    /// A fault of ours. The cause is logged, not told.
    #[must_use]
    pub fn internal(cause: &dyn Display) -> Self {
        tracing::error!(%cause, "request failed");
        let detail = "Something went wrong on our side. The instance identifies this request in our logs.";
        Self::new(Code::InternalError, detail)
    }

    /// Not now. The cause is logged, not told.
    #[must_use]
    pub fn unavailable(code: Code, cause: &dyn Display) -> Self {
        tracing::warn!(%cause, code = code.as_str(), "request refused for now");
        crate::metrics::UNAVAILABLE.count([code.as_str()]);
        Self::new(code, "A part of the service does not answer now. Try again.")
    }

    /// The response, once the request's id is known.
    #[must_use]
    pub fn render(&self, request_id: &str) -> Response {
        let status = self.code.status();
        let body = Body {
            kind: format!("urn:whatsapp-operator:problem:{}", self.code.as_str()),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: &self.detail,
            instance: request_id,
            code: self.code.as_str(),
            errors: &self.errors,
            state: self.state,
        };
        let text = serde_json::to_string(&body).unwrap_or_default();
        let mut response =
            (status, [(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))], text).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// An empty response that carries the problem; the outermost layer gives it its body.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Away(_) => Self::unavailable(Code::StorageUnavailable, &error),
            StoreError::Refused(_) | StoreError::Fault(_) => Self::internal(&error),
        }
    }
}

impl From<RelayError> for Problem {
    fn from(error: RelayError) -> Self {
        match error {
            RelayError::Redis(_) => Self::unavailable(Code::RelayUnavailable, &error),
            RelayError::Fenced { .. } | RelayError::MayNotChange | RelayError::Encode(_) => Self::internal(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_ours_says_nothing_of_the_inside() {
        let problem = Problem::internal(&"password authentication failed for user \"api\"");
        assert!(!format!("{problem:?}").contains("password"));
        assert_eq!(problem.render("r1").status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
