//! Waiting for a receipt: how a request asks for one, and how it is shown.

use std::time::Duration;

use http::Uri;
use serde::{Deserialize, Serialize};
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::{IntoParams, ToSchema};

use super::extract::Query;
use super::view::milliseconds;
use crate::control::Answer;
use crate::domain::ids::IdempotencyKey;
use crate::http::problem::{Kind, Problem};
use crate::replica::receipt::{Confirmation, Receipt, Standing};

/// Milliseconds to wait if the request names none.
const DEFAULT_WAIT_MS: u64 = 2_000;
/// The longest wait in milliseconds: past that, somebody should look.
const LONGEST_WAIT_MS: u64 = 10_000;

/// The header that says what a write has seen.
fn precondition(required: Required) -> Parameter {
    let etag = ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::String))
        .pattern(Some(r#"^(\*|[0-9]{1,19}|"[0-9]{1,19}")$"#));
    ParameterBuilder::new()
        .name("If-Match")
        .parameter_in(ParameterIn::Header)
        .required(required)
        .description(Some(
            "The ETag of the state you have seen, with or without its quotes, or `*` for whatever there is.",
        ))
        .schema(Some(etag))
        .example(Some("*".into()))
        .build()
}

/// The parameters of a write that begin with `precondition`.
fn write_params(
    precondition: Parameter,
    within: impl Fn() -> Option<ParameterIn>,
) -> Vec<Parameter> {
    let mut params = vec![precondition];
    params.extend(Naming::into_params(&within));
    params.extend(Waiting::into_params(within));
    params
}

/// How a write is named.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes what `Caller::request` reads")]
struct Naming {
    /// Your own name for this write: a repeat under the same name is recognised and answered as the first time.
    #[param(rename = "Idempotency-Key", required = false)]
    idempotency_key: IdempotencyKey,
}

/// Whether to wait for a receipt.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Waiting {
    /// Wait until every live replica has said that it has the change; the answer then carries a `receipt`.
    #[param(inline, value_type = Option<Whom>)]
    wait: Option<String>,
    /// Milliseconds to wait at the most, 1 to 10000; 2000 if left out.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 10000)]
    timeout_ms: Option<String>,
}

/// Whom to wait for.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes what `wait` reads")]
enum Whom {
    /// Every live replica.
    All,
}

/// The parameters of a write that has to say what it has seen.
pub(super) struct WriteParams;

impl IntoParams for WriteParams {
    fn into_params(within: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        write_params(precondition(Required::True), within)
    }
}

/// The parameters of a write that need not say what it has seen.
pub(super) struct FreeWriteParams;

impl IntoParams for FreeWriteParams {
    fn into_params(within: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        write_params(precondition(Required::False), within)
    }
}

/// How long the request to `uri` wants to wait for a receipt; `None` if it wants none.
pub(super) fn wait(uri: &Uri) -> Result<Option<Duration>, Problem> {
    let Waiting { wait, timeout_ms } = Query::of(uri)?.0;
    let timeout_ms = match timeout_ms {
        Some(text) => text
            .parse()
            .ok()
            .filter(|ms| (1..=LONGEST_WAIT_MS).contains(ms))
            .ok_or_else(|| bad("parameter timeout_ms: expected a whole number, 1 to 10000"))?,
        None => DEFAULT_WAIT_MS,
    };
    match wait.as_deref() {
        Some("all") => Ok(Some(Duration::from_millis(timeout_ms))),
        Some(_) => Err(bad("parameter wait: expected all")),
        None => Ok(None),
    }
}

fn bad(detail: &str) -> Problem {
    Problem::new(Kind::BadRequest, detail)
}

/// Which replicas decide by a change. The change is made, whatever this says.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReceiptView {
    /// `all`: every live replica has it. `unconfirmed`: one that was alive did not say so in time. `unknown`: the replicas'
    /// heartbeats cannot be read.
    status: &'static str,
    /// Each replica, in the order of their ids.
    replicas: Vec<ConfirmationView>,
}

/// A replica in a receipt.
#[derive(Debug, Serialize, ToSchema)]
struct ConfirmationView {
    /// Its id.
    replica: String,
    /// `acknowledged`; `unconfirmed`: it is alive and did not say so in time; `silent`: it was not alive any more, so it was
    /// killed, or it is cut off and answers calls by what it knew.
    status: &'static str,
    /// Milliseconds from the commit to the acknowledgement, at the most; null without one. Of a change that was made before,
    /// they count from this request.
    acknowledged_ms: Option<u64>,
}

/// What an answer says of the last-good file: only that it does not hold the change, if so.
pub(super) fn saved<A>(answer: &Answer<A>) -> Option<bool> {
    (!answer.is_saved).then_some(false)
}

impl ReceiptView {
    pub(super) fn new(receipt: &Receipt) -> Self {
        Self {
            status: receipt.status.as_str(),
            replicas: receipt.replicas.iter().map(ConfirmationView::new).collect(),
        }
    }
}

impl ConfirmationView {
    fn new(confirmation: &Confirmation) -> Self {
        let (status, acknowledged_ms) = match confirmation.standing {
            Standing::Acknowledged(after) => ("acknowledged", Some(after)),
            Standing::Unconfirmed => ("unconfirmed", None),
            Standing::Silent => ("silent", None),
        };
        Self {
            replica: confirmation.replica.clone(),
            status,
            acknowledged_ms: acknowledged_ms.map(milliseconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait_of(query: &str) -> Result<Option<u128>, Kind> {
        let uri = format!("/v1/environments/Main/cutover?{query}");
        wait(&uri.parse().expect("a URI"))
            .map(|wait| wait.map(|wait| wait.as_millis()))
            .map_err(|problem| problem.kind())
    }

    #[test]
    fn a_wait_has_a_default_and_bounds() {
        assert_eq!(wait_of(""), Ok(None));
        assert_eq!(wait_of("reason=because"), Ok(None));
        assert_eq!(wait_of("wait=all"), Ok(Some(2_000)));
        assert_eq!(wait_of("wait=all&timeout_ms=1"), Ok(Some(1)));
        assert_eq!(wait_of("timeout_ms=10000&wait=all"), Ok(Some(10_000)));
        for bad in [
            "wait=",
            "wait=none",
            "wait=all&wait=all",
            "wait=all&timeout_ms=0",
            "wait=all&timeout_ms=10001",
            "wait=all&timeout_ms=soon",
            "timeout_ms=-1",
        ] {
            assert_eq!(wait_of(bad), Err(Kind::BadRequest), "{bad}");
        }
    }
}
