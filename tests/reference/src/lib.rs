//! Makes the pages of `docs/reference/` that describe what a person may write: the custom resource and the settings.
//! Nothing here is said twice: every sentence is the documentation of the field or of the flag.

mod reasons;
mod resource;
mod settings;

pub use reasons::reasons;
pub use resource::resource;
pub use settings::settings;

/// A cell of a table: one line, and no bar that would end it.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
