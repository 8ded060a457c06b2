//! The journal as evidence: proving it here, and taking it along to prove it elsewhere.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream, StreamExt};
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use utoipa::IntoParams;

use super::caller::Caller;
use super::extract::Query;
use crate::domain::access::Scope;
use crate::domain::ids::Sequence;
use crate::http::Listener;
use crate::http::problem::{Kind, Problem, ProblemSchema};
use crate::store::StoreError;
use crate::store::audit::Page;
use crate::store::record::RecordHash;
use crate::store::verify::Verification;

/// What is known of the journal from elsewhere.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Told {
    /// Hash of an entry that was told earlier as the last one; a journal without it is not in order.
    #[param(
        pattern = "^[0-9a-f]{64}$",
        example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    )]
    head: Option<String>,
}

impl Told {
    fn head(self) -> Result<Option<RecordHash>, Problem> {
        let head = self.head.map(|head| head.parse()).transpose();
        let detail =
            "parameter head: expected the hash of an entry, 64 hexadecimal digits in lower case";
        head.map_err(|_| Problem::new(Kind::BadRequest, detail))
    }
}

/// Verifies the journal.
#[utoipa::path(
    get,
    path = "/v1/journal/verification",
    operation_id = "verify_journal",
    tag = "operations",
    summary = "Read the whole journal and say what is wrong with it; may take minutes",
    params(Told),
    responses(
        (status = 200, description = "What was found", body = Verification),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(super) async fn verify(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
    Query(told): Query<Told>,
) -> Result<Response, Problem> {
    caller.require(Scope::Admin, None)?;
    let store = listener.replica.store();
    Ok(Json(store.verify(told.head()?).await?).into_response())
}

/// Exports the journal.
#[utoipa::path(
    get,
    path = "/v1/journal/export",
    operation_id = "export_journal",
    tag = "operations",
    summary = "The whole journal, one entry a line, to be proved without the store",
    description = "Each line is an entry as DynamoDB writes items in JSON. `traffic-cop audit verify` proves the file.",
    responses(
        (status = 200, description = "The entries in their order", body = String, content_type = "application/x-ndjson"),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(super) async fn export(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
) -> Result<Response, Problem> {
    caller.require(Scope::Admin, None)?;
    // The first page before the head of the answer: a store that is away is a problem and no empty file.
    let first = listener.replica.store().export_from(Sequence(0)).await?;
    let media_type = HeaderValue::from_static("application/x-ndjson");
    let body = Body::from_stream(pages(listener, first));
    Ok(([(CONTENT_TYPE, media_type)], body).into_response())
}

/// The lines of `page` and of all pages after it. An error ends the answer before its end, which the client notices.
fn pages(
    listener: Arc<Listener>,
    page: Option<Page>,
) -> impl Stream<Item = Result<String, StoreError>> {
    stream::unfold((listener, Ok(page)), |(listener, page)| async move {
        match page.transpose()? {
            Ok(Page { lines, next }) => {
                let page = listener.replica.store().export_from(next).await;
                Some((Ok(lines), (listener, page)))
            }
            Err(error) => Some((Err(error), (listener, Ok(None)))),
        }
    })
    .inspect(|lines| {
        if let Err(error) = lines {
            tracing::error!(%error, "an export of the journal breaks off");
        }
    })
}
