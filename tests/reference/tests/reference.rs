//! The pages of `docs/reference/` say what the code says. `UPDATE_GOLDEN=1` (`make generate`) writes them instead of
//! comparing: without this a setting could be renamed and the page would send people to the old one.

use std::path::Path;

use clap::CommandFactory;
use kube::CustomResourceExt;

fn compare(name: &str, made: &str) -> std::io::Result<()> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, made)?;
    }
    let stands = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(stands == made, "docs/reference/{name} is not what the code says: run `make generate`");
    Ok(())
}

#[test]
fn the_custom_resource() {
    let definition = serde_json::to_value(crds::WhatsAppConnection::crd()).expect("a definition is JSON");
    let page = reference::resource(&definition);
    for field in ["spec.companyId", "spec.link.method", "status.conditions[].reason"] {
        assert!(page.contains(&format!("`{field}`")), "{field} is missing");
    }
    compare("whatsappconnection.md", &page).expect("a page can be written");
}

#[test]
fn the_reasons() {
    let all = crds::Reason::ALL.iter().map(|reason| (reason.as_str(), reason.meaning()));
    compare("reasons.md", &reference::reasons(all)).expect("a page can be written");
}

#[test]
fn the_settings_of_every_program() {
    for (name, command) in [
        ("operator", operator::settings::Arguments::command()),
        ("api", api::settings::Arguments::command()),
        ("session-pod", session_pod::settings::Arguments::command()),
    ] {
        let page = reference::settings(&command.name(name));
        assert!(page.contains("| `REDIS_URL` |"), "{name} has no setting for Redis");
        compare(&format!("settings-{name}.md"), &page).expect("a page can be written");
    }
}

/// What would be lost: the way to the runbook, at night.
#[test]
fn every_link_between_the_documents_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (mut left, mut dead, mut links) = (vec![root], Vec::new(), 0);
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
            let (path, name) = (entry.path(), entry.file_name());
            let skipped = ["node_modules", "target", "dist"].iter().any(|skipped| name == *skipped);
            if entry.file_type().expect("a type").is_dir() && !skipped && !name.to_string_lossy().starts_with('.') {
                left.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                let text = std::fs::read_to_string(&path).expect("text");
                let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
                // Patterns in tables look a little like links.
                for target in
                    targets.filter(|target| !target.is_empty() && !target.contains("://") && !target.contains('['))
                {
                    links += 1;
                    if !path.parent().expect("it is in one").join(target).exists() {
                        dead.push(format!("{}: {target}", path.display()));
                    }
                }
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
    assert!(links > 40, "only {links} links: is this where the documents are?");
}
