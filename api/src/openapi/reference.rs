//! `docs/reference/rest.md`, made from the description. For tests only: they write and compare it.

use std::fmt::Write;

use serde_json::Value;

use crate::problem::Code;

const HEAD: &str = "# The REST interface

Generated from `api/openapi.json`, which is generated from the handlers; tests compare both. To write them anew: `make generate`.
The service serves the same document at `GET /openapi.json`.

";

/// The page.
pub fn markdown(document: &Value) -> String {
    let mut page = HEAD.to_owned();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    page += &text(&document["info"]["description"]);
    page += "\n\n| call | what it does | parameters | answer | problems |\n|---|---|---|---|---|\n";
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let what = [text(&operation["summary"]), text(&operation["description"])];
            let what = what.iter().filter(|text| !text.is_empty()).map(|text| text.trim_end_matches('.'));
            let what = what.map(|text| format!("{text}.")).collect::<Vec<_>>().join(" ").replace("?.", "?");
            let (answers, problems) = answers(operation);
            let parameters = parameters(document, operation);
            let _ = writeln!(
                page,
                "| `{} {path}` | {} | {parameters} | {answers} | {problems} |",
                method.to_uppercase(),
                what.replace('\n', " ")
            );
        }
    }
    page += "\n## Problems\n\nThose of every closed call (401, 429, 500, 503) are not repeated above.\n\n";
    page += "| status | code | when |\n|---|---|---|\n";
    for code in Code::ALL {
        let _ = writeln!(page, "| {} | `{}` | {} |", code.status().as_u16(), code.as_str(), code.meaning());
    }
    page
}

fn parameters(document: &Value, operation: &Value) -> String {
    let named = operation["parameters"].as_array().into_iter().flatten().filter(|parameter| parameter["in"] != "path");
    let mut all: Vec<_> =
        named.map(|parameter| format!("`{}`", parameter["name"].as_str().unwrap_or_default())).collect();
    let body = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str();
    if let Some(schema) = body.and_then(|reference| document.pointer(reference.trim_start_matches('#'))) {
        let required = |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
        let fields = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name);
        let fields = fields.map(|name| format!("`{name}`{}", if required(name) { "" } else { "?" }));
        all.push(format!("body {{{}}}", fields.collect::<Vec<_>>().join(", ")));
    }
    all.join(", ")
}

/// The good answers, and the codes of the bad ones that are the call's own.
fn answers(operation: &Value) -> (String, String) {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let media = response["content"].as_object().into_iter().flatten().map(|(media, _)| media.as_str());
        let media: Vec<_> = media.filter(|media| *media != "application/json").collect();
        match status.as_str() {
            "401" | "429" | "500" | "503" => {}
            status if status.starts_with('4') => {
                let schema = &response["content"]["application/problem+json"]["schema"]["allOf"][1];
                let codes = schema["properties"]["code"]["enum"].as_array().into_iter().flatten();
                bad.extend(codes.map(|code| format!("`{}`", code.as_str().unwrap_or_default())));
            }
            status => {
                let more = if media.is_empty() { String::new() } else { format!(" Also {}.", media.join(", ")) };
                good.push(format!("{status}: {}{more}", response["description"].as_str().unwrap_or_default()));
            }
        }
    }
    (good.join(" "), bad.join(", "))
}
