//! The routes of the description (`api/openapi.json`), each with a request that it takes. A route or a body that nothing here
//! knows how to fill fails the tests that walk them: it must be said here.

use serde_json::{Map, Value, json};

const DESCRIPTION: &str = include_str!("../../openapi.json");

/// How a schema says that it is of ids.
const AN_ID: &str = r#""format":"uuid""#;

/// A number that nobody has.
pub const SOMEBODY: &str = "5511999999999";

pub struct Route {
    pub operation: String,
    pub method: String,
    /// As described, with `{id}` in it where it has one.
    pub path: String,
    pub public: bool,
    pub body: Value,
}

/// What an `{id}` is of.
#[derive(Clone, Copy)]
pub struct Ids<'a> {
    pub connection: &'a str,
    pub chat: &'a str,
}

impl Route {
    /// The path for those ids; nothing for a route without one.
    pub fn of(&self, ids: Ids<'_>) -> Option<String> {
        let id = match self.path.split('/').nth(2) {
            Some("connections") => ids.connection,
            Some("chats") => ids.chat,
            _ => {
                assert!(!self.path.contains('{'), "what is the id of {}? Say it here.", self.path);
                return None;
            }
        };
        self.path.contains("{id}").then(|| self.path.replace("{id}", id))
    }

    /// The path for those ids, or the path as it is.
    pub fn path_of(&self, ids: Ids<'_>) -> String {
        self.of(ids).unwrap_or_else(|| self.path.clone())
    }
}

pub fn description() -> Value {
    serde_json::from_str(DESCRIPTION).unwrap()
}

pub fn routes() -> Vec<Route> {
    let description = description();
    let mut routes = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            routes.push(route(path, method, operation));
        }
    }
    // What deletes comes last, so that the others still find something.
    routes.sort_by_key(|route| route.method == "DELETE");
    assert!(routes.len() > 10, "the description is empty");
    routes
}

fn route(path: &str, method: &str, operation: &Value) -> Route {
    let name = operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path} has no name"));
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let unknown: Vec<_> = parameters
        .filter(|parameter| match parameter["in"].as_str() {
            Some("path") => parameter["name"] != "id",
            // An id is what another company may be known by, wherever it stands.
            _ => parameter.to_string().contains(AN_ID),
        })
        .map(|parameter| parameter["name"].to_string())
        .collect();
    assert!(unknown.is_empty(), "{name} has parameters that nothing fills: {unknown:?}");
    let security = operation["security"].as_array().map(Vec::as_slice);
    Route {
        operation: name.to_owned(),
        method: method.to_uppercase(),
        path: path.to_owned(),
        public: security == Some(&[Value::Object(Map::new())]),
        body: body(name, &operation["requestBody"]),
    }
}

fn body(operation: &str, described: &Value) -> Value {
    let schema = &described["content"]["application/json"]["schema"]["$ref"];
    let schema = schema.as_str().and_then(|schema| schema.rsplit('/').next());
    if let Some(schema) = schema {
        let fields = description()["components"]["schemas"][schema].to_string();
        assert!(!fields.contains(AN_ID), "{operation} takes an id in its body: walk it with another company's");
    }
    match schema {
        None if described.is_null() => Value::Null,
        Some("NewConnection") => json!({"name": "Sales"}),
        Some("ConnectionChanges") => json!({"name": "Mine now"}),
        Some("NewMessage") => json!({"text": "hello"}),
        Some("FirstMessage") => json!({"to": SOMEBODY, "text": "hello"}),
        other => panic!("{operation} takes a body that nothing fills: {other:?}"),
    }
}
