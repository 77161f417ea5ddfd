//! Whether the definition that a cluster serves has all that this build writes and relies on. An older one prunes what it
//! does not know without a word: whatever is kept in a status field would simply not be there any more. Pure.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::Value;

use crate::WhatsAppConnection;

/// What the served definition of `WhatsAppConnection` lacks, by path: fields, values of a field, rules. Empty when it is as
/// new as this build, or newer: what is only there is no harm.
#[must_use]
pub fn lacking(served: &CustomResourceDefinition) -> Vec<String> {
    let (needed, mut missing) = (WhatsAppConnection::crd(), Vec::new());
    for version in &needed.spec.versions {
        let there = served.spec.versions.iter().find(|there| there.name == version.name && there.served);
        match there {
            Some(there) => compare(&json(&version.schema), &json(&there.schema), &version.name, &mut missing),
            None => missing.push(version.name.clone()),
        }
    }
    missing
}

fn json(schema: &impl serde::Serialize) -> Value {
    let schema = serde_json::to_value(schema).unwrap_or_default();
    schema.get("openAPIV3Schema").cloned().unwrap_or_default()
}

fn compare(needed: &Value, there: &Value, path: &str, missing: &mut Vec<String>) {
    for (name, property) in needed.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = format!("{path}.{name}");
        match there.get("properties").and_then(|properties| properties.get(name)) {
            Some(there) => compare(property, there, &path, missing),
            None => missing.push(path),
        }
    }
    if let (Some(needed), Some(there)) = (needed.get("items"), there.get("items")) {
        compare(needed, there, &format!("{path}[]"), missing);
    }
    for value in each(needed, "enum").filter(|value| !each(there, "enum").any(|there| there == *value)) {
        missing.push(format!("{path}={value}"));
    }
    let rule = |rule: &Value| rule.get("rule").cloned();
    let rules = || each(there, "x-kubernetes-validations").map(rule);
    for needed in each(needed, "x-kubernetes-validations").filter(|needed| !rules().any(|there| there == rule(needed)))
    {
        missing.push(format!("{path} ({})", needed.get("message").and_then(Value::as_str).unwrap_or("a rule")));
    }
}

fn each<'a>(schema: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    schema.get(key).and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition with one part of its schema changed.
    fn with(pointer: &str, change: impl FnOnce(&mut Value)) -> CustomResourceDefinition {
        let mut definition = serde_json::to_value(WhatsAppConnection::crd()).expect("JSON");
        let pointer = format!("/spec/versions/0/schema/openAPIV3Schema{pointer}");
        change(definition.pointer_mut(&pointer).expect("is there"));
        serde_json::from_value(definition).expect("a definition")
    }

    #[test]
    fn an_older_definition_is_told_by_what_it_lacks() {
        let take = |name: &'static str| move |part: &mut Value| drop(part.as_object_mut().expect("a map").remove(name));
        assert!(lacking(&WhatsAppConnection::crd()).is_empty());
        assert_eq!(lacking(&with("/properties/status/properties", take("volume"))), ["v1alpha1.status.volume"]);
        assert_eq!(
            lacking(&with("/properties/spec/properties/storage/properties", take("size"))),
            ["v1alpha1.spec.storage.size"]
        );
        let one_less = |part: &mut Value| drop(part.as_array_mut().expect("a list").pop());
        assert_eq!(
            lacking(&with("/properties/spec/properties/nodeLoss/enum", one_less)),
            ["v1alpha1.spec.nodeLoss=\"ForceDelete\""]
        );
        let rules = lacking(&with("/x-kubernetes-validations", one_less));
        assert!(rules[0].contains("metadata.name"), "{rules:?}");
        assert_eq!(rules.len(), 1);
        let mut other = WhatsAppConnection::crd();
        other.spec.versions[0].name = "v1".to_owned();
        assert_eq!(lacking(&other), ["v1alpha1"]);
    }

    #[test]
    fn a_newer_definition_lacks_nothing() {
        let newer = with("/properties/spec/properties", |part| {
            part.as_object_mut().expect("a map").insert("later".to_owned(), serde_json::json!({"type": "string"}));
        });
        assert!(lacking(&newer).is_empty());
    }
}
