//! Parts of a request's address. The framework's own extractors answer in plain text and quote what they could not read; these
//! answer with problem documents that do not.

use axum::extract::FromRequestParts;
use http::Uri;
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::domain::ids::EnvironmentName;
use crate::http::problem::{Kind, Problem};

/// What the path names.
pub(in crate::http) struct Path<T>(pub(in crate::http) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        let detail = "the path does not read as UTF-8, so it names nothing";
        let axum::extract::Path(value) = path.map_err(|_| Problem::new(Kind::NotFound, detail))?;
        Ok(Self(value))
    }
}

/// The parameters of the query.
pub(in crate::http) struct Query<T>(pub(in crate::http) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(&parts.uri)
    }
}

impl<T: DeserializeOwned> Query<T> {
    /// Reads the query of `uri`.
    pub(super) fn of(uri: &Uri) -> Result<Self, Problem> {
        let query = axum::extract::Query::try_from_uri(uri);
        let detail = "a parameter of the query has a wrong value or stands twice; /openapi.json describes them";
        let axum::extract::Query(value) =
            query.map_err(|_| Problem::new(Kind::BadRequest, detail))?;
        Ok(Self(value))
    }
}

/// The name in a path; one that no environment can have names none.
pub(in crate::http) fn environment_name(text: &str) -> Result<EnvironmentName, Problem> {
    text.parse()
        .map_err(|error| Problem::new(Kind::EnvironmentNotFound, format!("{error}")))
}
