//! The scripts for the page, read from the image. They are not looked into: what they do is TypeScript's business.

use std::path::Path;

/// Their names in the page folder.
pub const FILES: [&str; 4] = ["probe.js", "prelude.js", "wa-js.js", "bridge.js"];

/// The scripts in the order in which they are evaluated.
#[derive(Clone)]
pub struct Scripts {
    /// Says whether WhatsApp's modules are there.
    pub probe: String,
    /// Sets up wa-js before it runs.
    pub prelude: String,
    /// wa-js, unmodified.
    pub wa_js: String,
    /// Our bridge on top of it.
    pub bridge: String,
}

impl Scripts {
    /// Reads them.
    pub fn read(folder: &Path) -> std::io::Result<Self> {
        let [probe, prelude, wa_js, bridge] = FILES.map(|file| std::fs::read_to_string(folder.join(file)));
        Ok(Self { probe: probe?, prelude: prelude?, wa_js: wa_js?, bridge: bridge? })
    }
}
