//! Looking at a flow before callers are sent there: by itself, and on the way of a change.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::Uri;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::{IntoParams, ToSchema};

use super::caller::Caller;
use super::environments::freshen;
use super::extract::{Path, Query, environment_name};
use super::receipt::WriteParams;
use super::view::with_etag;
use crate::config::Policy;
use crate::control;
use crate::domain::access::Scope;
use crate::domain::command::{Command, Flow};
use crate::domain::ids::{AggregateKey, EnvironmentName, Revision, VersionLabel};
use crate::domain::preflight::{may_send_callers, slot_to_look_at, version_in};
use crate::domain::slot::Slot;
use crate::domain::{Environment, Refusal};
use crate::genesys::preflight::Finding;
use crate::http::Listener;
use crate::http::preflight::Outcome;
use crate::http::problem::{Kind, Problem, ProblemSchema};
use crate::telemetry::OutcomeLabels;

/// What a look at a flow came to.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct PreflightView {
    /// Whether the flow is fit to get callers, as far as Genesys Cloud tells.
    outcome: OutcomeName,
    /// Why that is not known, or nobody looked; null otherwise.
    because: Option<String>,
    /// The slot.
    slot: Slot,
    /// Its flow.
    flow: Flow,
    /// The version that it should hold.
    flow_version: VersionLabel,
    /// What was found, problems and notes.
    findings: Vec<FindingView>,
}

/// The outcome's name.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = PreflightOutcome)]
#[serde(rename_all = "snake_case")]
enum OutcomeName {
    /// It is.
    Fit,
    /// It is not.
    Unfit,
    /// Genesys Cloud was asked in vain.
    Unknown,
    /// It was not asked.
    Skipped,
}

/// Something that was found.
#[derive(Debug, Serialize, ToSchema)]
struct FindingView {
    /// What: `missing`, `deleted`, `inactive`, `other_type`, `unpublished`, `other_version`, `published_since`, `locked`, `busy`;
    /// `not_compared` and `untold` are notes.
    finding: &'static str,
    /// Whether it stands against sending callers there. A note says what is not known.
    problem: bool,
    /// In words.
    detail: String,
}

/// A look at the candidate's flow.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CandidatePreflight {
    /// The environment.
    environment: EnvironmentName,
    /// Its revision; also the ETag.
    revision: Revision,
    /// What this deployment does about it: `warn`, `refuse` or `off`.
    policy: &'static str,
    #[serde(flatten)]
    preflight: PreflightView,
}

/// Looks at the candidate's flow.
#[utoipa::path(
    get,
    path = "/v1/environments/{environment}/preflight",
    operation_id = "preflight",
    tag = "environments",
    summary = "Ask Genesys Cloud whether the candidate's flow is fit to get callers",
    params(("environment" = EnvironmentName, Path)),
    responses(
        (status = 200, description = "What was found", body = CandidatePreflight),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(super) async fn show(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    // It spends of what may be asked of Genesys Cloud, which rollouts need too.
    caller.require(Scope::Operate, Some(&name))?;
    let name = environment_name(&name)?;
    freshen(&listener).await?;
    let snapshot = listener.replica.snapshot();
    let snapshot = snapshot.as_ref().ok_or_else(Problem::not_ready)?;
    let served = snapshot
        .environments
        .get(&name)
        .ok_or_else(Problem::no_environment)?;
    let candidate = served.environment.candidate();
    let preflight = look(&listener, &served.environment, candidate).await?;
    let view = CandidatePreflight {
        environment: name,
        revision: served.revision,
        policy: listener.preflight.policy.as_str(),
        preflight: preflight.view,
    };
    Ok(with_etag(served.revision, Json(view).into_response()))
}

/// The parameters of a write that is preceded by a look.
pub(super) struct CheckedWriteParams;

impl IntoParams for CheckedWriteParams {
    fn into_params(within: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let mut params = WriteParams::into_params(&within);
        params.extend(Wish::into_params(within));
        params
    }
}

/// Whether to look.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wish {
    /// Make the change without looking at the flow first. Say why in the reason.
    #[param(inline, value_type = Option<Skip>)]
    preflight: Option<String>,
}

/// What may be wished for.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes what `looking` reads")]
enum Skip {
    /// Do not look.
    Skip,
}

/// Whether whoever makes a change wants the flow to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Looking {
    /// As the deployment does.
    Wanted,
    /// They do not, and say why in the reason.
    Unwanted,
}

fn looking(uri: &Uri) -> Result<Looking, Problem> {
    let Wish { preflight } = Query::of(uri)?.0;
    match preflight.as_deref() {
        None => Ok(Looking::Wanted),
        Some("skip") => Ok(Looking::Unwanted),
        Some(_) => Err(Problem::new(
            Kind::BadRequest,
            "parameter preflight: expected skip",
        )),
    }
}

/// Looks at the flow that `command` would send callers to, if it would; `None` if nobody has to.
///
/// Between the look and the change the flow may change, and so may the environment: it is advice, not a lock.
///
/// # Errors
/// The flow is not fit or nothing is known of it, and the policy is to refuse that.
pub(super) async fn before(
    listener: &Listener,
    caller: &Caller,
    name: &EnvironmentName,
    command: &Command,
    request: &control::Request,
) -> Result<Option<PreflightView>, Problem> {
    if !may_send_callers(command) {
        return Ok(None);
    }
    let looking = looking(caller.uri())?;
    before_change(listener, looking, name, command, request).await
}

/// The same, for who says otherwise than in an address whether to look.
///
/// # Errors
/// As [`before`].
pub(in crate::http) async fn before_change(
    listener: &Listener,
    looking: Looking,
    name: &EnvironmentName,
    command: &Command,
    request: &control::Request,
) -> Result<Option<PreflightView>, Problem> {
    if !may_send_callers(command) {
        return Ok(None);
    }
    if listener.preflight.policy == Policy::Off {
        return Ok(None);
    }
    let key = AggregateKey::Environment(name.clone());
    let rehearsed = listener
        .control
        .rehearse::<Environment>(&key, command, request);
    let Some((Some(before), Some(after))) = rehearsed.await else {
        return Ok(None);
    };
    let Some(slot) = slot_to_look_at(command, &before, &after) else {
        return Ok(None);
    };
    if looking == Looking::Unwanted {
        tracing::warn!(%name, actor = %request.actor, reason = %request.reason, "a preflight was skipped on request");
        let skipped = Outcome::Skipped("on request");
        return Ok(Some(told(listener, &after, slot, &skipped)?.view));
    }
    let preflight = look(listener, &after, slot).await?;
    match listener.preflight.policy {
        Policy::Refuse => preflight.refuse().map(Some),
        Policy::Warn | Policy::Off => Ok(Some(preflight.view)),
    }
}

/// A look, to be shown or to be held against a change.
struct Looked {
    view: PreflightView,
    outcome: Outcome,
}

async fn look(
    listener: &Listener,
    environment: &Environment,
    slot: Slot,
) -> Result<Looked, Problem> {
    let version = version_in(environment, slot).ok_or(Refusal::SlotEmpty(slot))?;
    let flow = &environment.slots[slot].flow;
    let outcome = listener.preflight.look(&flow.id, version).await;
    told(listener, environment, slot, &outcome)
}

/// Counts `outcome` and puts it into words.
fn told(
    listener: &Listener,
    environment: &Environment,
    slot: Slot,
    outcome: &Outcome,
) -> Result<Looked, Problem> {
    let version = version_in(environment, slot).ok_or(Refusal::SlotEmpty(slot))?;
    let labels = OutcomeLabels {
        outcome: outcome.name(),
    };
    listener.metrics.preflights.get_or_create(&labels).inc();
    let view = PreflightView {
        outcome: match outcome {
            Outcome::Fit(_) => OutcomeName::Fit,
            Outcome::Unfit(_) => OutcomeName::Unfit,
            Outcome::Unknown(_) => OutcomeName::Unknown,
            Outcome::Skipped(_) => OutcomeName::Skipped,
        },
        because: outcome.because(),
        slot,
        flow: environment.slots[slot].flow.clone(),
        flow_version: version.label.clone(),
        findings: outcome.findings().iter().map(FindingView::new).collect(),
    };
    Ok(Looked {
        view,
        outcome: outcome.clone(),
    })
}

impl Looked {
    /// Lets through what is fit.
    fn refuse(self) -> Result<PreflightView, Problem> {
        let (kind, detail) = match &self.outcome {
            Outcome::Fit(_) | Outcome::Skipped(_) => return Ok(self.view),
            Outcome::Unfit(findings) => {
                let found = findings.iter().filter(|finding| finding.is_problem());
                let found: Vec<_> = found.map(ToString::to_string).collect();
                (
                    Kind::FlowUnfit,
                    format!("is not fit to get callers: {}", found.join("; ")),
                )
            }
            Outcome::Unknown(because) => (
                Kind::PreflightUnknown,
                format!("could not be looked at: Genesys Cloud {because}"),
            ),
        };
        let Flow { id, name } = &self.view.flow;
        let detail = format!(
            "the flow {name} ({id}) {detail}. Nothing was changed. Mend that, or ask with preflight=skip and say why in the reason"
        );
        Err(Problem::new(kind, detail).with("preflight", json!(self.view)))
    }
}

impl PreflightView {
    /// What it came to, in words.
    pub(in crate::http) fn in_words(&self) -> String {
        let name = &self.flow.name;
        let found: Vec<_> = self
            .findings
            .iter()
            .map(|one| one.detail.as_str())
            .collect();
        let found = found.join("; ");
        let because = self.because.as_deref().unwrap_or_default();
        match self.outcome {
            OutcomeName::Fit if found.is_empty() => {
                format!("Genesys Cloud says that the flow {name} is fit to get callers.")
            }
            OutcomeName::Fit => {
                format!("Genesys Cloud says that the flow {name} is fit to get callers: {found}.")
            }
            OutcomeName::Unfit => format!(
                "Look at the flow {name}: it is not fit to get callers, Genesys Cloud says: {found}."
            ),
            OutcomeName::Unknown => {
                format!("Whether the flow {name} is fit to get callers is not known: {because}.")
            }
            OutcomeName::Skipped => format!("Nobody looked at the flow {name} first: {because}."),
        }
    }
}

impl FindingView {
    fn new(finding: &Finding) -> Self {
        Self {
            finding: finding.name(),
            problem: finding.is_problem(),
            detail: finding.to_string(),
        }
    }
}
