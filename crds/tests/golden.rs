//! The YAML in the tree is what the types say. Without this a field could exist in the code and be pruned in clusters.
//! `UPDATE_GOLDEN=1` (`make generate`) writes the files instead of comparing them.

use std::path::Path;

#[test]
fn the_yaml_in_the_tree_is_generated_from_the_types() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, yaml) in crds::yaml::definitions().expect("definitions become YAML") {
        // The chart carries a copy, because Helm reads nothing outside of a chart's folder.
        for place in [root.join(&name), root.join("../charts/whatsapp-operator-crds/files").join(&name)] {
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                std::fs::create_dir_all(place.parent().expect("a folder")).expect("folder is writable");
                std::fs::write(&place, &yaml).expect("file is writable");
            }
            let stands = std::fs::read_to_string(&place).unwrap_or_default();
            assert_eq!(stands, yaml, "{} is not what the types say: run `make generate`", place.display());
        }
    }
}

#[test]
fn every_field_is_documented() {
    let definition = serde_json::to_value(<crds::WhatsAppConnection as kube::CustomResourceExt>::crd()).expect("JSON");
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut missing = Vec::new();
    for part in ["spec", "status"] {
        undocumented(&schema["properties"][part], part, &mut missing);
    }
    assert!(missing.is_empty(), "fields that `kubectl explain` says nothing about: {missing:?}");
}

fn undocumented(schema: &serde_json::Value, path: &str, missing: &mut Vec<String>) {
    let Some(properties) = schema["properties"].as_object() else { return };
    for (name, property) in properties {
        let path = format!("{path}.{name}");
        if property["description"].as_str().is_none_or(str::is_empty) {
            missing.push(path.clone());
        }
        undocumented(property, &path, missing);
        undocumented(&property["items"], &path, missing);
    }
}
