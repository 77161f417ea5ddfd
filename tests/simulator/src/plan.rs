//! How the page that is served differs from the one that wa-js knows: WhatsApp changes its own every few weeks.

use serde::{Deserialize, Serialize};

use crate::world::Refusal;

/// For pages that are loaded from now on. The page itself works in every case, as WhatsApp's own code does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PagePlan {
    /// Milliseconds between the parts of the page, of which four come one after the other.
    pub pause_ms: Option<u32>,
    /// Modules whose exports have other names.
    pub changed: Vec<String>,
    /// Modules that are registered under another id.
    pub renamed: Vec<String>,
    /// Milliseconds that the loading of chats takes.
    pub sync_ms: Option<u32>,
    /// Whatever defines `window.WPP`, as wa-js does, throws.
    pub refuse_wa_js: bool,
}

impl PagePlan {
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        let is_id = |id: &String| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if self.changed.iter().chain(&self.renamed).all(is_id) {
            Ok(())
        } else {
            Err(Refusal::Invalid("changed, renamed: ids of modules, such as WAWebMsgCollection".to_owned()))
        }
    }

    /// For an attribute of the page: no id holds anything that would end it.
    pub(crate) fn attribute(&self) -> String {
        serde_json::to_string(self).unwrap_or_default().replace('"', "&quot;")
    }
}
