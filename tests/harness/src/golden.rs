//! Sections of documents that are generated from code: compared by a test, and written anew with `UPDATE_GOLDEN=1`.

use std::path::Path;

/// Compares what stands between `<!-- NAME -->` and `<!-- end of NAME -->` in a file with what it should be.
///
/// # Panics
/// When it is something else, or cannot be read.
#[expect(clippy::panic, reason = "this is how a test fails")]
pub fn golden_section(file: &Path, name: &str, should: &str) {
    let kept = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let (Some((before, rest)), Some((_, after))) = (kept.split_once(&begin), kept.split_once(&end)) else {
        panic!("{} has no section {name}", file.display());
    };
    let made = format!("{before}{begin}\n{}\n\n{end}{after}", should.trim());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(file, made).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    } else {
        assert!(
            kept == made,
            "section {name} of {} is not what the code says: `make generate`\n{rest}",
            file.display()
        );
    }
}
