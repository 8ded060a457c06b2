//! How the admin API shows things.

mod freezes;
mod interfaces;
mod overrides;
mod rollout;

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::ETAG;
use http::{HeaderValue, StatusCode};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::preflight::PreflightView;
use super::receipt::{self, ReceiptView};
use crate::control::{Answer, Outcome};
use crate::domain::Unchanged;
use crate::domain::command::Flow;
use crate::domain::environment::{Content, Environment, FlowVersion, SlotState};
use crate::domain::ids::{
    EnvironmentName, InterfaceNumber, PublishedVersion, Revision, Sequence, VariableName,
    VersionLabel,
};
use crate::domain::interface::VariableValue;
use crate::domain::slot::{BySlot, Slot};
use crate::domain::weight::Weight;
use crate::store::cursors::Obstacle;
pub(super) use freezes::{FreezeView, FrozenView};
use interfaces::InterfaceView;
use overrides::OverrideView;
use rollout::RolloutGlance;

/// An environment at a revision.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EnvironmentView {
    /// Its name.
    environment: EnvironmentName,
    /// The revision; also the ETag.
    revision: Revision,
    /// The slot that takes new calls by default.
    active: Slot,
    /// The other slot.
    candidate: Slot,
    /// Percent of new calls that go to the candidate.
    weight: Weight,
    /// The slots.
    slots: BySlot<SlotView>,
    /// The version that was active before the present one.
    previously_active: Option<VersionLabel>,
    /// Versions that no slot holds any more and that are still remembered, oldest first.
    retired: Vec<RetiredView>,
    /// Smoke-test overrides, the last added last.
    overrides: Vec<OverrideView>,
    /// The rollout under way; null if there is none.
    rollout: Option<RolloutGlance>,
    /// Times in which nobody moves callers towards the candidate, the last added last.
    freezes: Vec<FreezeView>,
    /// The interfaces that flow versions can name, in the order of their numbers.
    interfaces: Vec<InterfaceView>,
    /// The values of variables; one that is not here has its default.
    values: BTreeMap<VariableName, VariableValue>,
    /// Why a later record's state is not the one shown and served; null if there is none.
    fault: Option<String>,
}

/// A slot.
#[derive(Debug, Serialize, ToSchema)]
struct SlotView {
    /// The Architect flow that it is bound to.
    flow: Flow,
    /// What it holds, as far as anyone can say.
    status: SlotStatus,
    /// The flow version last registered; while the status is `claimed` or `unknown`, no longer certain.
    flow_version: Option<FlowVersionView>,
    /// The claim on it.
    claim: Option<ClaimView>,
    /// Percent of new calls that go here.
    share: Weight,
    /// When it last stopped taking new calls; null if it takes some or never did.
    share_ended_at: Option<Timestamp>,
}

/// What a slot holds.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum SlotStatus {
    /// The version shown.
    Version,
    /// Nothing.
    Empty,
    /// Something is being published.
    Claimed,
    /// Something may have been published under a claim that ended.
    Unknown,
}

/// A flow version in a slot.
#[derive(Debug, Serialize, ToSchema)]
struct FlowVersionView {
    /// Its label.
    label: VersionLabel,
    /// What Genesys Cloud calls the version of the flow that was published for it; null if nobody said.
    published_version: Option<PublishedVersion>,
    /// Its interface; 0 is none.
    interface: InterfaceNumber,
    /// When it was registered.
    registered_at: Timestamp,
    /// Whether it was rolled back and has not been given calls since.
    rolled_back: bool,
    /// Whether calls that are inside it may come back to it.
    admits_own_calls: bool,
    /// An interface that its own is not compatible with, which somebody accepted with a reason; null if there is none.
    breaks: Option<InterfaceNumber>,
}

/// A claim.
#[derive(Debug, Serialize, ToSchema)]
struct ClaimView {
    /// The version about to be published.
    flow_version: VersionLabel,
    /// When the claim ends.
    expires_at: Timestamp,
}

/// A retired version.
#[derive(Debug, Serialize, ToSchema)]
struct RetiredView {
    /// Its label.
    label: VersionLabel,
    /// Its interface.
    interface: InterfaceNumber,
}

impl EnvironmentView {
    /// `environment` as it is at `now`.
    pub(super) fn new(
        name: EnvironmentName,
        revision: Revision,
        environment: &Environment,
        now: Timestamp,
    ) -> Self {
        let retired = environment.retired.iter();
        Self {
            environment: name,
            revision,
            active: environment.active,
            candidate: environment.candidate(),
            weight: environment.weight,
            slots: BySlot::from_fn(|slot| {
                SlotView::new(&environment.slots[slot], environment.share(slot), now)
            }),
            previously_active: environment.previously_active.clone(),
            retired: retired
                .map(|version| RetiredView {
                    label: version.label.clone(),
                    interface: version.interface,
                })
                .collect(),
            overrides: OverrideView::all(environment, now),
            rollout: RolloutGlance::of(environment),
            freezes: FreezeView::all(&environment.freezes, now),
            interfaces: InterfaceView::all(environment),
            values: environment.values.clone(),
            fault: None,
        }
    }

    pub(super) fn with_fault(self, fault: Option<String>) -> Self {
        Self { fault, ..self }
    }
}

impl SlotView {
    fn new(slot: &SlotState, share: Weight, now: Timestamp) -> Self {
        let claim = slot.claim.as_ref();
        Self {
            flow: slot.flow.clone(),
            status: match slot.content(now) {
                Content::Empty => SlotStatus::Empty,
                Content::Version(_) => SlotStatus::Version,
                Content::Claimed(_) => SlotStatus::Claimed,
                Content::Unknown(_) => SlotStatus::Unknown,
            },
            flow_version: slot.version.as_ref().map(FlowVersionView::new),
            claim: claim.map(|claim| ClaimView {
                flow_version: claim.flow_version.clone(),
                expires_at: claim.expires_at,
            }),
            share,
            share_ended_at: slot.share_ended_at,
        }
    }
}

impl FlowVersionView {
    fn new(version: &FlowVersion) -> Self {
        Self {
            label: version.label.clone(),
            published_version: version.published.clone(),
            interface: version.interface,
            registered_at: version.registered_at,
            rolled_back: version.is_rolled_back(),
            admits_own_calls: version.admits_own_calls(),
            breaks: version.breaks,
        }
    }
}

/// How fresh an answer is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(super) struct Freshness {
    /// Whether the store could not be asked, so that the answer is from memory.
    pub(super) stale: bool,
    /// Milliseconds since the answer was known to be the latest; null if that was before this process started.
    pub(super) age_ms: Option<u64>,
}

/// What holds a follower of the journal up.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HeldUpView {
    /// Since when.
    since: Timestamp,
    /// What it is.
    why: String,
}

impl HeldUpView {
    pub(super) fn new(Obstacle { since, why }: &Obstacle) -> Self {
        Self {
            since: *since,
            why: why.clone(),
        }
    }
}

/// What a command came to.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WriteView {
    /// `committed`, `repeated` (this very write was committed before) or `unchanged`.
    outcome: &'static str,
    /// Why nothing had to change.
    because: Option<Unchanged>,
    /// Where the record is in the journal.
    sequence: Option<Sequence>,
    /// The revision afterwards.
    revision: Revision,
    /// The environment afterwards; null once it is deleted.
    state: Option<EnvironmentView>,
    /// What else has to be done.
    notice: Option<&'static str>,
    /// What a look at the flow came to that callers are sent to, if the change sends some there.
    #[serde(skip_serializing_if = "Option::is_none")]
    preflight: Option<PreflightView>,
    /// False if the replica that answers could not write this to its last-good file in time: the change is made, but after a restart
    /// while the store is away this replica would not know it. Left out otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    saved: Option<bool>,
    /// Who decides by it, if the request waited to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<ReceiptView>,
}

impl WriteView {
    pub(super) fn new(name: EnvironmentName, answer: &Answer<Environment>, now: Timestamp) -> Self {
        let (outcome, because, sequence) = parts(answer.outcome);
        let state = answer.state.as_ref();
        Self {
            outcome,
            because,
            sequence,
            revision: answer.revision,
            state: state
                .map(|environment| EnvironmentView::new(name, answer.revision, environment, now)),
            notice: None,
            preflight: None,
            saved: receipt::saved(answer),
            receipt: answer.receipt.as_ref().map(ReceiptView::new),
        }
    }

    pub(super) fn with_notice(self, notice: Option<&'static str>) -> Self {
        Self { notice, ..self }
    }

    pub(super) fn with_preflight(self, preflight: Option<PreflightView>) -> Self {
        Self { preflight, ..self }
    }

    pub(super) fn into_response(self, status: StatusCode) -> Response {
        with_etag(self.revision, (status, Json(self)).into_response())
    }
}

/// The outcome in the API's words.
pub(super) fn parts(outcome: Outcome) -> (&'static str, Option<Unchanged>, Option<Sequence>) {
    match outcome {
        Outcome::Committed(sequence) => ("committed", None, Some(sequence)),
        Outcome::Repeated(sequence) => ("repeated", None, Some(sequence)),
        Outcome::Unchanged(because) => ("unchanged", Some(because), None),
    }
}

/// `response` with the revision as its ETag.
pub(super) fn with_etag(revision: Revision, mut response: Response) -> Response {
    // Digits and quotes are valid in a header.
    let etag = HeaderValue::from_str(&format!("\"{revision}\"")).expect("a quoted number");
    response.headers_mut().insert(ETAG, etag);
    response
}

/// A duration in the API's unit.
pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
