//! The id in a path.

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use crate::problem::Problem;

/// The id that stands in the path as `{id}`. What cannot be an id is refused; what could be one, but is of nobody, or
/// of somebody else, is for the handler not to find.
pub struct PathId<T>(pub T);

impl<S, T> FromRequestParts<S> for PathId<T>
where
    S: Send + Sync,
    T: FromStr<Err: Display>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(mut path) = Path::<HashMap<String, String>>::from_request_parts(parts, state).await.map_err(
            |rejection| match rejection {
                PathRejection::FailedToDeserializePathParams(_) => Problem::invalid_field("id", "is no UTF-8"),
                fault => Problem::internal(&fault),
            },
        )?;
        let id = path.remove("id").unwrap_or_default();
        id.parse().map(Self).map_err(|error: T::Err| Problem::invalid_field("id", error))
    }
}
