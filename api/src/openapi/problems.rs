//! The problems of an operation. Its attribute names those that are its own (`x-problems`); those that come with a token, a
//! body, an id, a list or a key follow from its shape.

use std::collections::BTreeMap;

use serde::de::Error;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::problem::{Code, FieldError};

/// Where an operation's attribute names its own problems.
const OWN: &str = "x-problems";

/// What is wrong (RFC 9457).
#[derive(ToSchema)]
#[schema(as = Problem)]
#[expect(dead_code, reason = "it is read by the derive only: the body borrows its parts")]
pub struct ProblemDetails {
    /// The code as a URI.
    #[schema(example = "urn:whatsapp-operator:problem:connection_not_found")]
    r#type: String,
    /// The status in words.
    title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong, for people.
    detail: String,
    /// The request's id, as in `X-Request-Id`.
    instance: String,
    /// What is wrong, for programs.
    code: String,
    /// What is wrong with each field.
    #[schema(required = false)]
    errors: Vec<FieldError>,
    /// The state of the connection, where that is the reason.
    #[schema(required = false)]
    state: String,
}

/// The statuses that every closed operation answers with in the same words.
const SHARED: [(u16, &str); 4] =
    [(401, "Unauthorized"), (429, "TooManyRequests"), (500, "InternalServerError"), (503, "ServiceUnavailable")];

/// Puts the problems of an operation into its responses, and those that all have into `shared`.
pub fn document(operation: &mut Value, shared: &mut Map<String, Value>) -> Result<(), serde_json::Error> {
    let Some(operation) = operation.as_object_mut() else { return Ok(()) };
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in codes(operation)? {
        by_status.entry(code.status().as_u16()).or_default().push(code);
    }
    let responses = operation.entry("responses").or_insert_with(|| json!({}));
    if let Some(responses) = responses.as_object_mut() {
        for (status, codes) in by_status {
            let response = match SHARED.iter().find(|(shared, _)| *shared == status) {
                Some((_, name)) => {
                    shared.insert((*name).to_owned(), response(&codes));
                    json!({"$ref": format!("#/components/responses/{name}")})
                }
                None => response(&codes),
            };
            responses.insert(status.to_string(), response);
        }
    }
    Ok(())
}

fn codes(operation: &mut Map<String, Value>) -> Result<Vec<Code>, serde_json::Error> {
    let own = operation.remove(OWN).unwrap_or_default();
    let own = own.as_array().into_iter().flatten().filter_map(Value::as_str).map(parse);
    let mut wanted: Vec<Code> = own.collect::<Result<_, _>>()?;
    let has = |place: &str, name: Option<&str>| {
        let parameters = operation.get("parameters").and_then(Value::as_array).into_iter().flatten();
        parameters.into_iter().any(|parameter| {
            let is = |key: &str, value: &str| parameter.get(key).and_then(Value::as_str) == Some(value);
            is("in", place) && name.is_none_or(|name| is("name", name))
        })
    };
    if !operation.contains_key("security") {
        wanted.extend([Code::TokenMissing, Code::TokenExpired, Code::TokenInvalid]);
        wanted.extend([Code::RateLimited, Code::InternalError, Code::Timeout]);
        wanted.extend([Code::StorageUnavailable, Code::RelayUnavailable, Code::ClusterUnavailable]);
    }
    if has("path", None) {
        wanted.push(Code::InvalidRequest);
    }
    if has("query", None) {
        wanted.extend([Code::InvalidQuery, Code::InvalidRequest]);
    }
    if has("query", Some("cursor")) {
        wanted.push(Code::InvalidCursor);
    }
    if has("header", Some("Idempotency-Key")) {
        wanted.extend([Code::InvalidIdempotencyKey, Code::IdempotencyKeyReused]);
    }
    if operation.contains_key("requestBody") {
        wanted.extend([Code::MalformedJson, Code::BodyUnreadable, Code::BodyTooLarge]);
        wanted.extend([Code::UnsupportedMediaType, Code::InvalidRequest]);
    }
    // In the order of the list of codes, each once.
    Ok(Code::ALL.iter().copied().filter(|code| wanted.contains(code)).collect())
}

fn parse(text: &str) -> Result<Code, serde_json::Error> {
    let code = Code::ALL.iter().copied().find(|code| code.as_str() == text);
    code.ok_or_else(|| serde_json::Error::custom(format!("{text} is no code")))
}

fn response(codes: &[Code]) -> Value {
    let texts: Vec<_> = codes.iter().map(|code| code.as_str()).collect();
    let lines: Vec<_> = codes.iter().map(|code| format!("`{}`: {}", code.as_str(), code.meaning())).collect();
    let schema = json!({
        "allOf": [
            {"$ref": "#/components/schemas/Problem"},
            {"type": "object", "properties": {"code": {"type": "string", "enum": texts}}},
        ],
    });
    let mut response = json!({
        "description": lines.join("\n"),
        "content": {"application/problem+json": {"schema": schema}},
    });
    let header = |description: &str, schema: Value| json!({"description": description, "schema": schema});
    let headers = match codes.first().map(|code| code.status().as_u16()) {
        Some(401) => json!({"WWW-Authenticate": header("`Bearer`", json!({"type": "string"}))}),
        Some(429 | 503) => {
            json!({"Retry-After": header("Seconds until it is worth trying again.", json!({"type": "integer"}))})
        }
        _ => return response,
    };
    if let Some(response) = response.as_object_mut() {
        response.insert("headers".to_owned(), headers);
    }
    response
}
