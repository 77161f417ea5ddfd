//! A custom resource, from its definition: every field with its type, default and meaning, and every rule.

use std::fmt::Write as _;

use serde_json::Value;

use crate::cell;

/// A page of one version of a custom resource. `definition` is its `CustomResourceDefinition` as JSON.
#[must_use]
pub fn resource(definition: &Value) -> String {
    let spec = &definition["spec"];
    let (names, version) = (&spec["names"], at(spec, "/versions/0"));
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut text = format!(
        "# `{kind}`\n\n`{group}/{version}`, {scope}, short `{short}`.\n\nGenerated from the types in `crds/`; `make generate` writes it anew. `kubectl explain` says the same.\n",
        kind = word(&names["kind"]),
        group = word(&spec["group"]),
        version = word(&version["name"]),
        scope = word(&spec["scope"]).to_lowercase(),
        short = word(at(names, "/shortNames/0")),
    );
    let schema = at(version, "/schema/openAPIV3Schema");
    for part in ["spec", "status"] {
        let schema = at(schema, &format!("/properties/{part}"));
        let _ = write!(text, "\n## {part}\n\n{}\n", said_of(schema));
        text.push_str("\n| field | type | default | meaning |\n|---|---|---|---|\n");
        fields(schema, part, &mut text);
    }
    let mut rules = Vec::new();
    collect_rules(schema, "", &mut rules);
    text.push_str("\n## Rules\n\nThe API server refuses what breaks one of these.\n\n| where | says |\n|---|---|\n");
    for (place, message) in rules {
        let _ = writeln!(text, "| `{place}` | {} |", cell(&message));
    }
    text.push_str("\n## Columns of `kubectl get`\n\n| column | value | shown |\n|---|---|---|\n");
    for column in version["additionalPrinterColumns"].as_array().into_iter().flatten() {
        let shown = if column["priority"].as_i64().unwrap_or(0) > 0 { "with `-o wide`" } else { "always" };
        let _ = writeln!(text, "| {} | `{}` | {shown} |", word(&column["name"]), cell(&word(&column["jsonPath"])));
    }
    text
}

/// What stands at a JSON pointer; null where nothing does.
fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

fn said_of(schema: &Value) -> String {
    cell(schema["description"].as_str().unwrap_or_default())
}

fn fields(schema: &Value, path: &str, text: &mut String) {
    let required: Vec<_> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        let default = match &property["default"] {
            Value::Null if required.contains(&name.as_str()) => "required".to_owned(),
            Value::Null => String::new(),
            value => format!("`{}`", cell(&value.to_string())),
        };
        let _ = writeln!(text, "| `{path}` | {} | {default} | {} |", type_of(property), said_of(property));
        fields(property, &path, text);
        fields(&property["items"], &format!("{path}[]"), text);
    }
}

fn type_of(schema: &Value) -> String {
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().filter_map(Value::as_str).map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    }
    if schema["x-kubernetes-int-or-string"] == true {
        return "integer or string".to_owned();
    }
    let plain = |schema: &Value| {
        let kind = schema["type"].as_str().unwrap_or("any");
        schema["format"].as_str().map_or_else(|| kind.to_owned(), |format| format!("{kind} ({format})"))
    };
    match schema["type"].as_str() {
        Some("array") => format!("list of {}", plain(&schema["items"])),
        Some("object") if schema["additionalProperties"].is_object() => {
            format!("map of {}", type_of(&schema["additionalProperties"]))
        }
        _ => plain(schema),
    }
}

fn collect_rules(schema: &Value, path: &str, rules: &mut Vec<(String, String)>) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        let message = rule["message"].as_str().or(rule["rule"].as_str()).unwrap_or_default();
        rules.push((if path.is_empty() { "." } else { path }.to_owned(), message.to_owned()));
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        if let Some(pattern) = property["pattern"].as_str() {
            rules.push((path.clone(), format!("matches `{pattern}`")));
        }
        collect_rules(property, &path, rules);
        collect_rules(&property["items"], &format!("{path}[]"), rules);
    }
}
