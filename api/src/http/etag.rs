//! `ETag` and `If-None-Match` (RFC 9110, 13.1.2): a client that looks again and again (lists, the QR code) gets the body only
//! when it has changed. The tag is a digest of the body, so it spares bytes, not work.

use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use crate::problem::Problem;

/// Bytes of the largest body that is digested: a page of 200 chats has about 100 KiB. Larger ones go without a tag.
const LARGEST: usize = 4 * 1024 * 1024;

/// Bytes of the digest that make the tag: enough that two bodies never share one by chance.
const LENGTH: usize = 16;

/// Gives successful answers to GET their tag, and nothing but the tag to whoever has the body.
pub async fn etag(request: Request, next: Next) -> Response {
    let asks = request.method() == Method::GET;
    let had: Vec<_> = request.headers().get_all(IF_NONE_MATCH).iter().cloned().collect();
    let response = next.run(request).await;
    let size = response.body().size_hint().exact().and_then(|size| usize::try_from(size).ok());
    let small = size.is_some_and(|size| size <= LARGEST);
    if asks && small && response.status() == StatusCode::OK { tagged(response, &had).await } else { response }
}

async fn tagged(response: Response, had: &[HeaderValue]) -> Response {
    let (mut parts, body) = response.into_parts();
    let body = match to_bytes(body, LARGEST).await {
        Ok(body) => body,
        Err(error) => return Problem::internal(&error).into_response(),
    };
    let digest = Sha256::digest(&body);
    let tag = format!("\"{}\"", hex::encode(digest.get(..LENGTH).unwrap_or_default()));
    let unchanged = had.iter().filter_map(|value| value.to_str().ok()).any(|list| names(list, &tag));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        parts.headers.insert(ETAG, tag);
    }
    if !unchanged {
        return Response::from_parts(parts, Body::from(body));
    }
    parts.status = StatusCode::NOT_MODIFIED;
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.remove(CONTENT_TYPE);
    Response::from_parts(parts, Body::empty())
}

/// Whether an `If-None-Match` names the tag: weakly, as it is to be compared there.
fn names(list: &str, tag: &str) -> bool {
    list.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_in_a_list() {
        for (list, found) in [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\", \"a\"", true),
            ("*", true),
            ("\"b\"", false),
            ("a", false),
            ("", false),
        ] {
            assert_eq!(names(list, "\"a\""), found, "{list}");
        }
    }
}
