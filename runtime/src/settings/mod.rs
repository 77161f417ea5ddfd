//! Settings are read once, as text, and judged as a whole: whoever got three of them wrong learns of all three.

mod shared;

pub use shared::{RedisArguments, RedisSettings, ServerArguments};

use std::fmt::Display;
use std::process::ExitCode;

/// What is wrong with the settings.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Complaints(Vec<String>);

impl Complaints {
    /// The value, or a complaint under the setting's name.
    pub fn check<T, E: Display>(&mut self, name: &str, value: Result<T, E>) -> Option<T> {
        value.map_err(|error| self.0.push(format!("{name}: {error}"))).ok()
    }

    /// A complaint unless the condition holds.
    pub fn require(&mut self, name: &str, condition: bool, complaint: &str) {
        if !condition {
            self.0.push(format!("{name}: {complaint}"));
        }
    }

    /// The settings, if nothing was complained of and every part is there.
    pub fn into_result<T>(self, settings: Option<T>) -> Result<T, Self> {
        match settings {
            Some(settings) if self.0.is_empty() => Ok(settings),
            _ => Err(self),
        }
    }

    /// Every complaint, in the order of checking.
    #[must_use]
    pub fn all(&self) -> &[String] {
        &self.0
    }

    /// Tells the person who started the program, all at once. Exit code 2: it was called wrongly.
    #[must_use]
    #[expect(clippy::print_stderr, reason = "this is what a person at a terminal reads; logging is not set up yet")]
    pub fn report(&self) -> ExitCode {
        eprintln!("The settings cannot be used:");
        for complaint in &self.0 {
            eprintln!("  {complaint}");
        }
        eprintln!("Each is an environment variable or a flag; see --help.");
        ExitCode::from(2)
    }
}

/// A secret from a file, without the newline that editors and `kubectl create secret` users leave at its end.
pub fn read_secret(path: &std::path::Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let text = text.trim_end_matches(['\n', '\r']);
    if text.is_empty() { Err(format!("{} is empty", path.display())) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_complaints_are_told_together() {
        let mut complaints = Complaints::default();
        assert_eq!(complaints.check("PORT", "3001".parse::<u16>()), Some(3001));
        let port = complaints.check("ADMIN_PORT", "x".parse::<u16>());
        complaints.require("JWT_SECRET", false, "must have at least 32 bytes");
        let all = complaints.into_result(port).expect_err("two are wrong");
        assert_eq!(all.all().len(), 2);
    }
}
