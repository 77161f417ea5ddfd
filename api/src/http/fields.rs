//! The values of a request, judged together: whoever got three of them wrong learns of all three.

use std::fmt::Display;

use crate::problem::{FieldError, Problem};

/// What is wrong with the fields of a request.
#[derive(Debug, Default)]
pub struct Fields(Vec<FieldError>);

impl Fields {
    /// The value, or a complaint under the field's name.
    pub fn check<T, E: Display>(&mut self, field: &str, value: Result<T, E>) -> Option<T> {
        value.map_err(|error| self.0.push(FieldError { field: field.to_owned(), message: error.to_string() })).ok()
    }

    /// The value that must be there and good.
    pub fn require<I, T, E: Display>(
        &mut self,
        field: &str,
        value: Option<I>,
        parse: impl FnOnce(I) -> Result<T, E>,
    ) -> Option<T> {
        match value {
            Some(value) => self.check(field, parse(value)),
            None => self.check(field, Err("is required")),
        }
    }

    /// The value of a field that has two names. Our own views show some under both, so both may come back, but they must
    /// say the same.
    pub fn either(&mut self, one: (&str, Option<String>), other: (&str, Option<String>)) -> Option<String> {
        if let (Some(this), Some(that)) = (&one.1, &other.1)
            && this != that
        {
            self.check(one.0, Err::<(), _>(format!("differs from {}, which is the same field", other.0)));
        }
        one.1.or(other.1)
    }

    /// The whole, if nothing was complained of and every part is there.
    pub fn finish<T>(self, whole: Option<T>) -> Result<T, Problem> {
        match whole {
            Some(whole) if self.0.is_empty() => Ok(whole),
            _ => Err(Problem::invalid(self.0)),
        }
    }
}

/// A text of so many characters. Characters, not bytes: that is what people and WhatsApp count.
pub fn text(value: String, least: usize, most: usize) -> Result<String, String> {
    let length = value.chars().count();
    if !(least..=most).contains(&length) {
        return Err(format!("must have {least} to {most} characters, has {length}"));
    }
    // PostgreSQL and WhatsApp take no NUL in a text.
    if value.contains('\0') { Err("must not contain the character NUL".to_owned()) } else { Ok(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_names_of_one_field_must_agree() {
        let some = |text: &str| Some(text.to_owned());
        for (one, other, value, good) in [
            (some("a"), None, some("a"), true),
            (None, some("a"), some("a"), true),
            (some("a"), some("a"), some("a"), true),
            (None, None, None, true),
            (some("a"), some("b"), some("a"), false),
        ] {
            let mut fields = Fields::default();
            assert_eq!(fields.either(("displayName", one), ("name", other)), value);
            assert_eq!(fields.finish(Some(())).is_ok(), good);
        }
    }
}
