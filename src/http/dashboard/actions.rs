//! What may be done to an environment, as forms: each says beforehand what it would come to.
//!
//! That is asked of the domain, with the state that is served: what it would refuse stands beside the form, in its own words.
//! The form can be sent all the same, since the state may be another by then; what counts is the answer.

use crate::control::{Answer, Outcome as Wrote};
use crate::domain::access::Scope;
use crate::domain::command::{Command, Cutover, Rollback, SetWeight};
use crate::domain::ids::{EnvironmentName, Revision};
use crate::domain::rollout::command::{AbortRollout, PauseRollout, PromoteRollout, ResumeRollout};
use crate::domain::rollout::{Promotion, Status};
use crate::domain::slot::Slot;
use crate::domain::weight::Weight;
use crate::domain::{Aggregate as _, Change, Context, Environment, Refusal, Unchanged};
use crate::http::Listener;
use crate::http::admin::preflight::PreflightView;
use crate::http::problem::{Kind, Problem};
use crate::replica::Served;

use super::form::Form;
use super::session::Visitor;
use super::words::count;

/// Something that may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Take callers back.
    Rollback,
    /// Give the candidate every call.
    Cutover,
    /// Give the candidate a share.
    Weight,
    /// Stop the rollout in its step.
    Pause,
    /// Go on with it.
    Resume,
    /// Agree to leave its step.
    Promote,
    /// Give it up.
    Abort,
}

impl Action {
    /// All of them, in the order of a page.
    pub(super) const ALL: [Self; 7] = [
        Self::Rollback,
        Self::Pause,
        Self::Resume,
        Self::Promote,
        Self::Abort,
        Self::Weight,
        Self::Cutover,
    ];

    /// Where it is done, below the environment: as in the admin API.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Rollback => "rollback",
            Self::Cutover => "cutover",
            Self::Weight => "weight",
            Self::Pause => "rollout/pause",
            Self::Resume => "rollout/resume",
            Self::Promote => "rollout/promote",
            Self::Abort => "rollout/abort",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Rollback => "Roll back",
            Self::Cutover => "Cut over",
            Self::Weight => "Set the weight",
            Self::Pause => "Pause the rollout",
            Self::Resume => "Resume the rollout",
            Self::Promote => "Promote",
            Self::Abort => "Abort the rollout",
        }
    }

    /// Whether it has to name the revision that was seen: all but what takes callers back, or stops.
    pub(super) fn names_revision(self) -> bool {
        !matches!(self, Self::Rollback | Self::Pause | Self::Abort)
    }

    /// Whether it may leave calls inside the version left.
    fn may_keep_calls(self) -> bool {
        matches!(self, Self::Rollback | Self::Abort)
    }

    /// Whether it makes sense to offer it.
    fn is_offered(self, environment: &Environment) -> bool {
        let under_way = environment.rollout_under_way();
        let is_paused = under_way.is_some_and(|one| matches!(one.status, Status::Paused { .. }));
        match self {
            Self::Rollback | Self::Cutover | Self::Weight => true,
            Self::Pause | Self::Promote => under_way.is_some() && !is_paused,
            Self::Resume => is_paused,
            Self::Abort => under_way.is_some(),
        }
    }

    /// The command that `form` makes.
    pub(super) fn command(self, form: &Form) -> Result<Command, String> {
        let (keep_calls, force_incompatible) =
            (form.is_ticked("keep_calls"), form.is_ticked("force"));
        Ok(match self {
            Self::Rollback => Rollback { keep_calls }.into(),
            Self::Cutover => Cutover {
                to: None,
                force_incompatible,
            }
            .into(),
            Self::Weight => SetWeight {
                weight: weight(form.field("weight"))?,
                force_incompatible,
            }
            .into(),
            Self::Pause => PauseRollout {}.into(),
            Self::Resume => ResumeRollout {}.into(),
            Self::Promote => PromoteRollout {
                when: if form.field("when") == "now" {
                    Promotion::Now
                } else {
                    Promotion::WhenReady
                },
            }
            .into(),
            Self::Abort => AbortRollout { keep_calls }.into(),
        })
    }

    /// A command that tells whether it would be refused.
    fn trial(self, environment: &Environment) -> Command {
        match self {
            Self::Weight => SetWeight {
                weight: Weight::from_bps(environment.weight.bps().saturating_add(1))
                    .unwrap_or(Weight::FULL),
                force_incompatible: false,
            }
            .into(),
            Self::Promote => PromoteRollout {
                when: Promotion::Now,
            }
            .into(),
            // Nothing else depends on what stands in a form.
            _ => self
                .command(&Form::default())
                .unwrap_or_else(|_| Rollback { keep_calls: false }.into()),
        }
    }

    /// What it comes to for callers, in words.
    fn says(self, environment: &Environment, after: &Environment) -> String {
        let named = |slot: Slot| match &environment.slots[slot].version {
            Some(version) => format!("{slot} {}", version.label),
            None => slot.to_string(),
        };
        let active = named(environment.active);
        let candidate = named(environment.candidate());
        match self {
            Self::Rollback if after.active == environment.active => format!(
                "Takes back the {} % of new calls that {candidate} has: every new call goes to {active}.",
                environment.weight
            ),
            Self::Rollback => format!(
                "Goes back to {candidate}: every new call goes there. {active} is marked as rolled back."
            ),
            Self::Cutover => {
                format!("Every new call goes to {candidate}. Calls inside {active} finish there.")
            }
            Self::Weight => format!(
                "The percent of new calls that go to {candidate}; now {}.",
                environment.weight
            ),
            Self::Pause => "Stops in the present step until somebody resumes.".to_owned(),
            Self::Resume => "Goes on in the step that was paused, from its beginning.".to_owned(),
            Self::Promote => format!("Agrees that {candidate} leaves its present step."),
            Self::Abort => format!("Gives {candidate} up: every new call goes to {active}."),
        }
    }
}

/// A weight as people type it.
fn weight(text: &str) -> Result<Weight, String> {
    let text = text.trim();
    let text = text.strip_suffix('%').unwrap_or(text).trim_end();
    text.replace(',', ".")
        .parse()
        .map_err(|error| format!("{error}"))
}

/// The forms of a page.
#[derive(Debug)]
pub(super) struct Actions {
    pub(super) token: String,
    /// Tells two states of the forms apart.
    pub(super) version: String,
    /// The one that takes callers back.
    pub(super) rescue: ActionForm,
    pub(super) others: Vec<ActionForm>,
}

/// A form.
#[derive(Debug)]
pub(super) struct ActionForm {
    pub(super) path: &'static str,
    /// Part of the ids of what belongs to it.
    pub(super) id: String,
    pub(super) title: &'static str,
    pub(super) is_rescue: bool,
    /// What it would come to.
    pub(super) says: Option<String>,
    /// Why it would be refused, or change nothing.
    pub(super) obstacle: Option<String>,
    /// The sender's name for this write: sent twice, it is done once.
    pub(super) key: String,
    /// The revision that was seen, where it has to be named.
    pub(super) revision: Option<Revision>,
    pub(super) weight: Option<String>,
    pub(super) keep_calls: Option<bool>,
    pub(super) force: Option<bool>,
    /// Whether to send callers to a flow that nobody has looked at; offered where a look stood against it.
    pub(super) skip_preflight: Option<bool>,
    /// Whether a promotion is to wait until everything holds, or not.
    pub(super) now: Option<bool>,
    pub(super) reason: String,
    /// Why it was refused when it was sent.
    pub(super) refused: Option<String>,
}

impl Actions {
    /// The forms for who may send them; one that was sent and refused keeps what stood in it.
    pub(super) fn of(
        listener: &Listener,
        visitor: &Visitor,
        name: &EnvironmentName,
        served: &Served,
        sent: Option<&Sent>,
    ) -> Option<Self> {
        let may = visitor.caller.may(Scope::Operate, Some(name.as_str()));
        may.then_some(())?;
        let environment = &served.environment;
        let now = listener.clock.now();
        let next = listener.replica.look(|follower| follower.position.next);
        let context = Context {
            now,
            revision: served.revision.next(),
            sequence: next.unwrap_or_default(),
            draw: [0; 16],
            drain_time: listener.control.drain_time(),
            others: 0,
            last_calls: None,
            frozen: listener.replica.frozen(served, now),
        };
        let form = |action: Action| {
            let sent = sent.filter(|sent| sent.action == action);
            ActionForm::new(action, served, &context, sent)
        };
        let is_offered = |action: &Action| {
            let is_sent = sent.is_some_and(|sent| sent.action == *action);
            *action != Action::Rollback && (is_sent || action.is_offered(environment))
        };
        let rescue = form(Action::Rollback);
        let others = Action::ALL.into_iter().filter(is_offered);
        let others: Vec<_> = others.map(form).collect();
        let obstacles = std::iter::once(&rescue).chain(&others);
        let obstacles = obstacles.map(|form| form.obstacle.as_deref().unwrap_or_default());
        let obstacles: Vec<_> = obstacles.collect();
        Some(Self {
            token: visitor.form_token(),
            version: format!("{} {}", served.revision, obstacles.join("; ")),
            rescue,
            others,
        })
    }
}

impl ActionForm {
    fn new(action: Action, served: &Served, context: &Context, sent: Option<&Sent>) -> Self {
        let environment = &served.environment;
        let trial = Environment::apply(Some(environment), &action.trial(environment), context);
        let is_incompatible = matches!(&trial, Err(Refusal::IncompatibleInterface(_)));
        let (says, obstacle) = match trial {
            Ok(Change::To(Some(after))) => (Some(action.says(environment, &after)), None),
            Ok(Change::To(None)) => (None, None),
            Ok(Change::Nothing(unchanged)) => (None, Some(nothing(unchanged).to_owned())),
            Err(refusal) if action == Action::Weight => (
                Some(action.says(environment, environment)),
                Some(format!("More is not possible now: {refusal}.")),
            ),
            Err(refusal) => (None, Some(format!("Not possible now: {refusal}."))),
        };
        let form = sent.map(|sent| &sent.form);
        let field = |name: &str| form.map_or("", |form| form.field(name));
        let is_ticked = |name: &str| form.is_some_and(|form| form.is_ticked(name));
        let weight = sent.map_or_else(
            || environment.weight.to_string(),
            |sent| sent.form.field("weight").to_owned(),
        );
        Self {
            path: action.path(),
            id: action.path().replace('/', "-"),
            title: action.title(),
            is_rescue: action == Action::Rollback,
            says,
            obstacle,
            key: uuid::Uuid::new_v4().to_string(),
            revision: action.names_revision().then_some(served.revision),
            weight: (action == Action::Weight).then_some(weight),
            keep_calls: action.may_keep_calls().then(|| is_ticked("keep_calls")),
            force: (is_incompatible || is_ticked("force")).then(|| is_ticked("force")),
            skip_preflight: sent
                .filter(|sent| sent.stood_against_the_flow() || is_ticked("skip_preflight"))
                .map(|_| is_ticked("skip_preflight")),
            now: (action == Action::Promote).then(|| field("when") == "now"),
            reason: field("reason").to_owned(),
            refused: sent.map(|sent| sent.refused.clone()),
        }
    }
}

/// A form that was sent and refused.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) action: Action,
    pub(super) form: Form,
    pub(super) refused: String,
    /// Why the writer refused it, if it got that far.
    pub(super) kind: Option<Kind>,
}

impl Sent {
    /// Whether a look at the flow was what stood against it.
    fn stood_against_the_flow(&self) -> bool {
        matches!(self.kind, Some(Kind::FlowUnfit | Kind::PreflightUnknown))
    }
}

/// What came of a form that was sent.
#[derive(Debug)]
pub(super) enum Attempted {
    /// It was refused; what stood in it stands there still.
    Refused(Sent),
    /// It was done, or there was nothing to do.
    Done(Outcome),
}

impl Attempted {
    pub(super) fn into_parts(self) -> (Option<Sent>, Option<Outcome>) {
        match self {
            Self::Refused(sent) => {
                let outcome = Outcome {
                    is_done: false,
                    title: format!("Not done: {}", sent.action.title().to_lowercase()),
                    detail: sent.refused.clone(),
                    preflight: None,
                    receipt: None,
                };
                (Some(sent), Some(outcome))
            }
            Self::Done(outcome) => (None, Some(outcome)),
        }
    }
}

/// What people are told of it.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) is_done: bool,
    pub(super) title: String,
    pub(super) detail: String,
    /// What a look at the flow came to.
    pub(super) preflight: Option<String>,
    /// Which replicas have it.
    pub(super) receipt: Option<ReceiptView>,
}

/// Which replicas decide by a change.
#[derive(Debug)]
pub(super) struct ReceiptView {
    pub(super) is_complete: bool,
    pub(super) text: String,
    pub(super) replicas: Vec<(String, String)>,
}

impl Outcome {
    pub(super) fn of(
        action: Action,
        answer: &Answer<Environment>,
        preflight: Option<&PreflightView>,
    ) -> Self {
        let revision = answer.revision;
        let (title, detail) = match answer.outcome {
            Wrote::Committed(sequence) => (
                format!("Done: {}", action.title().to_lowercase()),
                format!("This is revision {revision}, journal entry {sequence}."),
            ),
            Wrote::Repeated(sequence) => (
                format!("Done before: {}", action.title().to_lowercase()),
                format!(
                    "The same form was sent before and made revision {revision}, journal entry {sequence}; nothing was changed again."
                ),
            ),
            Wrote::Unchanged(unchanged) => (
                format!("Nothing to do: {}", action.title().to_lowercase()),
                nothing(unchanged).to_owned(),
            ),
        };
        Self {
            is_done: true,
            title,
            detail,
            preflight: preflight.map(PreflightView::in_words),
            receipt: answer.receipt.as_ref().map(ReceiptView::of),
        }
    }
}

impl ReceiptView {
    fn of(receipt: &crate::replica::receipt::Receipt) -> Self {
        use crate::replica::receipt::{Standing, Status};
        let replicas = receipt.replicas.iter().map(|confirmation| {
            let said = match confirmation.standing {
                Standing::Acknowledged(after) => {
                    let ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
                    format!("has it, within {} ms", count(ms))
                }
                Standing::Unconfirmed => "is alive and has not confirmed it in time".to_owned(),
                Standing::Silent => {
                    "was silent before: killed, or cut off and deciding by what it knew".to_owned()
                }
            };
            (confirmation.replica.clone(), said)
        });
        Self {
            is_complete: receipt.status == Status::All,
            text: match receipt.status {
                Status::All => "Every live replica decides by it.",
                Status::Unconfirmed => "Not every live replica has confirmed it in time.",
                Status::Unknown => {
                    "The heartbeats cannot be read, so nobody can say which replicas have it."
                }
            }
            .to_owned(),
            replicas: replicas.collect(),
        }
    }
}

/// What it sent, for refusals by the writer.
pub(super) fn refused(action: Action, form: Form, problem: &Problem) -> Attempted {
    Attempted::Refused(Sent {
        action,
        form,
        refused: sentence(problem.detail()),
        kind: Some(problem.kind()),
    })
}

/// `text` as a sentence of its own.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    let end = if text.ends_with('.') { "" } else { "." };
    format!("{}{}{end}", first.unwrap_or_default(), letters.as_str())
}

/// Why nothing has to be done.
fn nothing(unchanged: Unchanged) -> &'static str {
    match unchanged {
        Unchanged::AlreadyActive => "The candidate is active already.",
        Unchanged::AlreadyRolledBack => {
            "There is nothing to take back: the version in the other slot was rolled back already."
        }
        Unchanged::SameWeight => "The weight is this already.",
        Unchanged::AlreadyPaused => "The rollout is paused already.",
        Unchanged::AlreadyAborted => "The rollout was aborted already.",
        Unchanged::SameFlow
        | Unchanged::NoSuchOverride
        | Unchanged::NoSuchFreeze
        | Unchanged::NoSuchWebhook
        | Unchanged::SameInterface
        | Unchanged::SameVariables => "It is so already.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_read_as_people_type_it() {
        for text in ["12.5", " 12.5 ", "12,5", "12.5 %", "12.50%"] {
            assert_eq!(weight(text).map(Weight::bps), Ok(1_250), "{text}");
        }
        for text in ["", "%", "101", "5.001", "-1", "five"] {
            assert!(weight(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_refusal_is_a_sentence() {
        assert_eq!(sentence("slot green is claimed"), "Slot green is claimed.");
        assert_eq!(sentence("Wait."), "Wait.");
        assert_eq!(sentence(""), ".");
    }
}
