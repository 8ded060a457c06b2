//! What may be done to an environment, as forms: each says beforehand what it would come to.
//!
//! That is asked of the domain, with the state that is served: what it would refuse stands beside the form, in its own words.
//! The form can be sent all the same, since the state may be another by then; what counts is the answer.

use super::action::{Action, PlanChoice};
use super::form::Form;
use super::outcome::nothing;
use super::session::Visitor;
use crate::domain::access::Scope;
use crate::domain::ids::{EnvironmentName, Revision};
use crate::domain::{Aggregate as _, Change, Context, Environment, Refusal};
use crate::http::Listener;
use crate::http::problem::Kind;
use crate::replica::Served;

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
    /// What a rollout may go by.
    pub(super) plans: Vec<PlanChoice>,
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
            plans: match action {
                Action::Start => PlanChoice::all(field("plan")),
                _ => Vec::new(),
            },
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
