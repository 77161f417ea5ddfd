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
