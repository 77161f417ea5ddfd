//! The API's description, `OpenAPI` 3.1, made from the handlers themselves: a route that is served is in it, with what its
//! attribute says, and the problems that all of its kind can have. `api/openapi.json` is this, and a test compares.

mod problems;
pub mod schemas;

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde_json::{Map, Value};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, License, OpenApi, OpenApiBuilder};

use crate::problem::FieldError;

/// What stands in the tree, and what is served.
pub const GOLDEN: &str = include_str!("../../openapi.json");

const DESCRIPTION: &str = "Connections, chats and messages of WhatsApp accounts, for one company at a time.

Every request but those without security carries a bearer token (JWT, HS256) whose claim `companyId` names the company; what \
is another company's is answered as if it did not exist. Field names are camelCase, times are RFC 3339 in UTC, phone numbers \
are digits with country code and without `+`. Fields may be added at any time, and unknown ones in requests are ignored.

Lists answer `{items, nextCursor}`; `nextCursor` is null on the last page. Every answer carries `X-Request-Id`, which may be \
given by the caller. Answers are never to be cached (`Cache-Control: no-store`); answers to GET carry an `ETag`, and \
`If-None-Match` with it spares the body of what has not changed (304). Every error is a problem (RFC 9457, \
`application/problem+json`) with a stable `code`.";

/// The description before any route is in it.
pub fn base() -> OpenApi {
    let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
    let token = token.description(Some("HS256, with `exp` and `companyId`; `sub` names the caller in logs."));
    let tag = |name: &str, description: &str| TagBuilder::new().name(name).description(Some(description)).build();
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("WhatsApp operator API")
                .version(env!("CARGO_PKG_VERSION"))
                .license(Some(License::new(env!("CARGO_PKG_LICENSE"))))
                .description(Some(DESCRIPTION)),
        )
        .components(Some(
            ComponentsBuilder::new()
                .security_scheme("token", SecurityScheme::Http(token.build()))
                .schema_from::<problems::ProblemDetails>()
                .schema_from::<FieldError>()
                .build(),
        ))
        .security(Some([SecurityRequirement::new("token", [""; 0])]))
        .tags(Some([
            tag("connections", "WhatsApp accounts of the company, each a `WhatsAppConnection` in the cluster."),
            tag("chats", "Conversations of a connection."),
            tag("messages", "Messages of a conversation."),
            tag("service", "The service itself."),
        ]))
        .build()
}

/// The description with the problems of every route, as JSON.
pub fn finish(routes: &OpenApi) -> Result<Value, serde_json::Error> {
    let mut document = serde_json::to_value(routes)?;
    let mut shared = Map::new();
    for operation in operations(&mut document) {
        tidy(operation);
        problems::document(operation, &mut shared)?;
    }
    if let Some(components) = document.get_mut("components").and_then(Value::as_object_mut) {
        components.insert("responses".to_owned(), Value::Object(shared));
    }
    Ok(document)
}

/// Every operation of the description.
fn operations(document: &mut Value) -> impl Iterator<Item = &mut Value> {
    let paths = document.get_mut("paths").and_then(Value::as_object_mut).into_iter().flatten();
    paths.filter_map(|(_, item)| item.as_object_mut()).flatten().map(|(_, operation)| operation)
}

/// Texts are wrapped in the code; a description is paragraphs.
fn tidy(operation: &mut Value) {
    for name in ["summary", "description"] {
        if let Some(Value::String(text)) = operation.get_mut(name) {
            let paragraphs = text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
            *text = paragraphs.collect::<Vec<_>>().join("\n\n");
        }
    }
}

/// Answers with the description.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "describe", tag = "service", security(()),
    responses((status = 200, description = "This document.", body = Object)),
)]
pub async fn describe() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], GOLDEN)
}

#[cfg(test)]
mod reference;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value;

    use super::*;
    use crate::problem::Code;

    fn document() -> Value {
        crate::routes::description().expect("every code of an attribute is a code")
    }

    /// `UPDATE_GOLDEN=1` (`make generate`) writes the files instead of comparing them.
    fn compare(file: &str, is: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, is).expect("the file is writable");
        }
        let stands = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(stands == is, "{file} is not what the handlers say: run `make generate`");
    }

    #[test]
    fn the_description_in_the_tree_is_that_of_the_routes() {
        let document = document();
        compare("openapi.json", &format!("{document:#}\n"));
        compare("../docs/reference/rest.md", &reference::markdown(&document));
    }

    /// What would be lost: a client that meets a code it could not know of.
    #[test]
    fn every_code_is_in_the_description() {
        let text = document().to_string();
        for code in Code::ALL {
            // These two are for what is not described.
            let outside = matches!(code, Code::RouteNotFound | Code::MethodNotAllowed);
            assert!(outside || text.contains(&format!("`{}`", code.as_str())), "{code:?}");
        }
    }

    #[test]
    fn every_field_and_parameter_says_what_it_is() {
        let document = document();
        let mut silent = Vec::new();
        for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
            let parts = schema["allOf"].as_array().cloned().unwrap_or_else(|| vec![schema.clone()]);
            for (field, property) in parts.iter().filter_map(|part| part["properties"].as_object()).flatten() {
                let described = property["description"].as_str().is_some_and(|text| !text.is_empty());
                let described = described || property["$ref"].is_string() || property["oneOf"].is_array();
                silent.extend((!described).then(|| format!("{name}.{field}")));
            }
        }
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("operations") {
                let parameters = operation["parameters"].as_array().into_iter().flatten();
                let mut parts: Vec<_> = parameters.collect();
                parts.push(operation);
                for part in parts {
                    let text = part["description"].as_str().or(part["summary"].as_str());
                    silent.extend(text.is_none_or(str::is_empty).then(|| format!("{method} {path} {}", part["name"])));
                }
            }
        }
        assert!(silent.is_empty(), "{silent:?}");
    }
}
