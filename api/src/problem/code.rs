//! Every code that a problem can have, with its status. Codes are for programs and stay as they are for ever; what people
//! read stands beside the place that refuses.

use axum::http::StatusCode;

macro_rules! codes {
    ($($name:ident $status:ident $text:literal $meaning:literal,)+) => {
        /// What is wrong, in one word for programs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code {
            $(#[doc = $meaning] $name,)+
        }

        impl Code {
            /// Every code there is.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The status that it comes with.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)+ }
            }

            /// The code as it is sent.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// When it is sent, for the documentation.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)+ }
            }
        }
    };
}

codes! {
    MalformedJson BAD_REQUEST "malformed_json" "The body is not JSON.",
    BodyUnreadable BAD_REQUEST "body_unreadable" "The body ended early.",
    InvalidQuery BAD_REQUEST "invalid_query" "The query cannot be read, or names a parameter twice.",
    InvalidCursor BAD_REQUEST "invalid_cursor" "The cursor is not the `nextCursor` of a page of this list.",
    InvalidIdempotencyKey BAD_REQUEST "invalid_idempotency_key" "The `Idempotency-Key` has not 1 to 255 visible ASCII characters.",
    TokenMissing UNAUTHORIZED "token_missing" "There is no bearer token.",
    TokenExpired UNAUTHORIZED "token_expired" "The token's time is over.",
    TokenInvalid UNAUTHORIZED "token_invalid" "The token's shape, algorithm, signature or a required claim is wrong.",
    RouteNotFound NOT_FOUND "route_not_found" "There is nothing at this path.",
    ConnectionNotFound NOT_FOUND "connection_not_found" "The company has no connection of this id.",
    ChatNotFound NOT_FOUND "chat_not_found" "The company has no chat of this id.",
    NoQr NOT_FOUND "no_qr" "No code is shown now, or none that has a picture.",
    MethodNotAllowed METHOD_NOT_ALLOWED "method_not_allowed" "The path does not take this method.",
    NotAcceptable NOT_ACCEPTABLE "not_acceptable" "There is no form of the answer that `Accept` allows.",
    Conflict CONFLICT "conflict" "The connection was changed or deleted meanwhile.",
    CompanyNotProvisioned CONFLICT "company_not_provisioned" "The cluster has no namespace for the company.",
    QuotaExceeded CONFLICT "quota_exceeded" "The company may not have more connections.",
    NotConnected CONFLICT "not_connected" "The connection is in a state that does not allow it; `state` says which.",
    BodyTooLarge PAYLOAD_TOO_LARGE "body_too_large" "The body has more than 1 MiB.",
    UnsupportedMediaType UNSUPPORTED_MEDIA_TYPE "unsupported_media_type" "The body is not said to be JSON.",
    InvalidRequest UNPROCESSABLE_ENTITY "invalid_request" "Values cannot be used; `errors` says which and why.",
    IdempotencyKeyReused UNPROCESSABLE_ENTITY "idempotency_key_reused" "The key was used for another request.",
    RateLimited TOO_MANY_REQUESTS "rate_limited" "The company asks more than it may. `Retry-After` says when to go on.",
    InternalError INTERNAL_SERVER_ERROR "internal_error" "A fault of ours; the request id finds it in the log.",
    StorageUnavailable SERVICE_UNAVAILABLE "storage_unavailable" "The database does not answer. Try again.",
    RelayUnavailable SERVICE_UNAVAILABLE "relay_unavailable" "Redis does not answer. Try again.",
    ClusterUnavailable SERVICE_UNAVAILABLE "cluster_unavailable" "The Kubernetes API does not answer. Try again.",
    Timeout SERVICE_UNAVAILABLE "timeout" "The request took too long. Try again.",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_one_word_of_its_own() {
        for (at, code) in Code::ALL.iter().enumerate() {
            let text = code.as_str();
            assert!(text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{text}");
            assert!(Code::ALL.iter().take(at).all(|before| before.as_str() != text), "{text} is there twice");
            assert!(code.status().is_client_error() || code.status().is_server_error(), "{text}");
        }
    }
}
