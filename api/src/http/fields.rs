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
