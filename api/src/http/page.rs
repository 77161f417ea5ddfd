//! Lists: `limit` and `cursor` in, `{items, nextCursor}` out. A cursor is opaque to clients; inside it is where the
//! page ended, so that rows which come or go meanwhile neither repeat nor hide others.

use std::collections::HashMap;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use crate::problem::{Code, FieldError, Problem};

/// Items of a page when nothing else is asked for.
const USUAL: u16 = 50;

/// Items of a page at most.
const MOST: u16 = 200;

/// The parameters of a list.
#[derive(Debug)]
pub struct ListParams(HashMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for ListParams {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(all) = Query::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::new(Code::InvalidQuery, "The query cannot be read."))?;
        let mut parameters = HashMap::new();
        for (name, value) in all {
            if parameters.insert(name, value).is_some() {
                // Which of them did the caller mean?
                return Err(Problem::new(Code::InvalidQuery, "The query names a parameter twice."));
            }
        }
        Ok(Self(parameters))
    }
}

impl ListParams {
    /// How many items are wanted.
    pub fn limit(&self) -> Result<u16, Problem> {
        let Some(text) = self.0.get("limit") else { return Ok(USUAL) };
        let limit = text.parse().ok().filter(|limit| (1..=MOST).contains(limit));
        limit.ok_or_else(|| refused("limit", format!("must be a number from 1 to {MOST}")))
    }

    /// Where the page before ended.
    pub fn cursor<C: DeserializeOwned>(&self) -> Result<Option<C>, Problem> {
        let Some(text) = self.0.get("cursor").filter(|text| !text.is_empty()) else { return Ok(None) };
        let position = URL_SAFE_NO_PAD.decode(text).ok().and_then(|json| serde_json::from_slice(&json).ok());
        position.map(Some).ok_or_else(|| {
            Problem::new(Code::InvalidCursor, "The cursor must be the nextCursor of a page of this list.")
        })
    }

    /// Whether a switch is on: `true`, `1` or nothing after its name.
    pub fn switch(&self, name: &str) -> Result<bool, Problem> {
        match self.0.get(name).map(String::as_str) {
            Some("true" | "1" | "") => Ok(true),
            Some("false" | "0") | None => Ok(false),
            Some(_) => Err(refused(name, "must be true or false".to_owned())),
        }
    }
}

fn refused(field: &str, message: String) -> Problem {
    let errors = vec![FieldError { field: field.to_owned(), message }];
    Problem::invalid(errors)
}

/// One page.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// What to ask for to get the next one; null on the last.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Of rows of which one more than `limit` was asked for, so that it is known whether there are more.
    pub fn of<R, C: Serialize>(
        mut rows: Vec<R>,
        limit: u16,
        position: impl FnOnce(&R) -> C,
        view: impl FnMut(R) -> T,
    ) -> Self {
        let more = rows.len() > usize::from(limit);
        rows.truncate(usize::from(limit));
        let last = rows.last().filter(|_| more).map(position);
        let next_cursor =
            last.and_then(|position| serde_json::to_vec(&position).ok()).map(|json| URL_SAFE_NO_PAD.encode(json));
        Self { items: rows.into_iter().map(view).collect(), next_cursor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(parameters: &[(&str, &str)]) -> ListParams {
        ListParams(parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn a_page_leads_to_the_next_and_the_last_to_none() {
        let page = Page::of(vec![1, 2, 3], 2, |row| *row, |row| row);
        assert_eq!(page.items, [1, 2]);
        let cursor = page.next_cursor.expect("there is a third");
        assert_eq!(listing(&[("cursor", &cursor)]).cursor::<i32>().expect("readable"), Some(2));
        assert_eq!(Page::of(vec![3], 2, |row| *row, |row| row).next_cursor, None);
    }

    #[test]
    fn parameters_that_make_no_sense_are_refused() {
        for (name, value) in [("limit", "0"), ("limit", "201"), ("limit", "x"), ("limit", "-1")] {
            assert!(listing(&[(name, value)]).limit().is_err(), "{name}={value}");
        }
        assert!(listing(&[("cursor", "%%%")]).cursor::<i32>().is_err());
        assert!(listing(&[("groups", "maybe")]).switch("groups").is_err());
        assert_eq!(listing(&[]).limit().expect("usual"), USUAL);
    }
}
