//! The text of a message that is to be sent.

use crate::http::text;

/// Characters of the longest text that WhatsApp takes.
const LONGEST: usize = 65_536;

/// A text that can be sent.
pub fn message_text(given: String) -> Result<String, String> {
    text(given, 1, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_counted_not_bytes() {
        assert!(message_text("ü".repeat(LONGEST)).is_ok());
        assert!(message_text("ü".repeat(LONGEST + 1)).is_err());
        assert!(message_text(String::new()).is_err());
        assert!(message_text("a\0".to_owned()).is_err());
    }
}
