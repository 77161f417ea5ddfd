//! Every error of the API, as RFC 9457 problem details. A problem says what the caller can act on; what went wrong inside
//! is logged here, under the same request id, and never told.

use std::borrow::Cow;
use std::fmt::Display;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use relay::RelayError;
use serde::Serialize;

use crate::auth::TokenRefused;
use crate::store::StoreError;

/// What is wrong with one field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Path of the field, for example `link.phoneNumber`.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

/// An error that a caller sees. Rendered by [`Problem::render`] once the request id is known.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    state: Option<&'static str>,
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
    /// Of that status, with a stable code and a sentence for people.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, detail: detail.into(), errors: Vec::new(), state: None }
    }

    /// 404.
    #[must_use]
    pub fn not_found(code: &'static str, detail: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// 409.
    #[must_use]
    pub fn conflict(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 409, because the connection is in that state.
    #[must_use]
    pub fn not_connected(state: &'static str) -> Self {
        let detail = format!("The connection is not connected to WhatsApp: it is {state}.");
        Self { state: Some(state), ..Self::conflict("not_connected", detail) }
    }

    /// 422, with what is wrong in each field.
    #[must_use]
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = "The request is well-formed, but some of its values cannot be used.";
        Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", detail) }
    }

    /// 422, for one field.
    #[must_use]
    pub fn invalid_field(field: &str, message: impl Display) -> Self {
        Self::invalid(vec![FieldError { field: field.to_owned(), message: message.to_string() }])
    }

    /// 401.
    #[must_use]
    pub fn unauthorized(refusal: TokenRefused) -> Self {
        let (code, detail) = match refusal {
            TokenRefused::Missing => ("token_missing", "A bearer token is required."),
            TokenRefused::Expired => ("token_expired", "The token has expired."),
            TokenRefused::Invalid => ("token_invalid", "The token is not valid."),
        };
        Self::new(StatusCode::UNAUTHORIZED, code, detail)
    }

    /// 500. The cause is logged, not told.
    #[must_use]
    pub fn internal(cause: &dyn Display) -> Self {
        tracing::error!(%cause, "request failed");
        let detail = "Something went wrong on our side. The instance identifies this request in our logs.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", detail)
    }

    /// 503. The cause is logged, not told.
    #[must_use]
    pub fn unavailable(code: &'static str, cause: &dyn Display) -> Self {
        tracing::warn!(%cause, code, "request refused for now");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, "A part of the service does not answer now. Try again.")
    }

    /// The response, once the request's id is known.
    #[must_use]
    pub fn render(&self, request_id: &str) -> Response {
        let body = Body {
            kind: format!("urn:whatsapp-operator:problem:{}", self.code),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            instance: request_id,
            code: self.code,
            errors: &self.errors,
            state: self.state,
        };
        let text = serde_json::to_string(&body).unwrap_or_default();
        let mut response =
            (self.status, [(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))], text).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// An empty response that carries the problem; the outermost layer gives it its body.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Away(_) => Self::unavailable("storage_unavailable", &error),
            StoreError::Refused(_) | StoreError::Fault(_) => Self::internal(&error),
        }
    }
}

impl From<RelayError> for Problem {
    fn from(error: RelayError) -> Self {
        match error {
            RelayError::Redis(_) => Self::unavailable("relay_unavailable", &error),
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
