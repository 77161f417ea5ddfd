//! Names: of people's choice to a name that Kubernetes takes. Pure.

use crate::http::text;

/// Characters of the longest display name, as in the resource's schema.
const LONGEST: usize = 128;

/// Characters that are taken over into the resource's name; with the suffix it stays a DNS label of 63.
const TAKEN_OVER: usize = 40;

/// A display name that can be used.
pub fn display_name(given: String) -> Result<String, String> {
    let name = text(given, 1, LONGEST)?.trim().to_owned();
    if name.is_empty() { Err("must not be blank".to_owned()) } else { Ok(name) }
}

/// Name of a resource: what the display name leaves in lower-case ASCII, and a suffix that makes it unique.
#[must_use]
pub fn resource_name(display_name: &str, suffix: [u8; 4]) -> String {
    let mut slug = String::new();
    for character in display_name.chars().flat_map(char::to_lowercase) {
        if slug.len() >= TAKEN_OVER {
            break;
        }
        if character.is_ascii_alphanumeric() {
            slug.push(character);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    let slug = if slug.is_empty() { "connection" } else { slug };
    format!("{slug}-{}", hex::encode(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_people_call_it_kubernetes_can_take() {
        let named = |name: &str| resource_name(name, [0xab, 0xcd, 0xef, 0x01]);
        assert_eq!(named("Vendas São Paulo"), "vendas-s-o-paulo-abcdef01");
        assert_eq!(named("  --Sales--  "), "sales-abcdef01");
        assert_eq!(named("日本"), "connection-abcdef01");
        assert!(named(&"x y".repeat(60)).len() <= 63);
    }
}
