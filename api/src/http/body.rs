//! JSON bodies. Not JSON is 400, too large 413, another media type 415, a wrong type 422 with the path of the field. A body is an
//! object.
//! Fields that nobody knows are ignored: clients of other versions send them.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::Object;
use crate::problem::{Code, FieldError, Problem};

/// A body that was understood.
pub struct Body<T> {
    /// What it says.
    pub value: T,
    /// SHA-256 of its bytes.
    pub digest: [u8; 32],
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let media_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !is_json(media_type) {
            let detail = "The body must be JSON, with content-type application/json.";
            return Err(Problem::new(Code::UnsupportedMediaType, detail));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                let detail = "The body is larger than this service reads.";
                Problem::new(Code::BodyTooLarge, detail)
            }
            _ => Problem::new(Code::BodyUnreadable, "The body could not be read."),
        })?;
        Ok(Self { value: parse(&bytes)?, digest: Sha256::digest(&bytes).into() })
    }
}

fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let Object(value) = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let field = if path == "." { "body".to_owned() } else { path };
        refusal(field, error.inner())
    })?;
    deserializer.end().map_err(|error| refusal(String::new(), &error))?;
    Ok(value)
}

fn refusal(field: String, error: &serde_json::Error) -> Problem {
    if error.is_data() {
        Problem::invalid(vec![FieldError { field, message: error.to_string() }])
    } else {
        Problem::new(Code::MalformedJson, format!("The body is not JSON: {error}."))
    }
}
