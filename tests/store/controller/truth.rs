//! What is true, whatever controllers believe: every call, every moment, every commit.
//!
//! A commit of a controller fails the check if
//! - the state is not what that one step makes of the state before, or carries another judge's step;
//! - a step was left before its bake time had passed since the commit that entered it, or, at 100 %, before its last compared
//!   calls had matured, unless a person said *now*;
//! - a step was left while a freeze window was in force, by the clock of who left it;
//! - fewer calls of the candidate than the plan asks for had reported by then in that step, or too small a share of either
//!   version's had: silence never promotes;
//! - the judge has counted calls that nobody decided, or bad ends that nobody reported.
//!
//! And a call fails it that goes to the candidate by a revision at which the rollout was aborted or rolled back.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use traffic_cop::domain::Environment;
use traffic_cop::domain::freeze::{Freezes, Frozen, Place};
use traffic_cop::domain::ids::{AggregateKey, Revision, Sequence};
use traffic_cop::domain::judge::Record as Judged;
use traffic_cop::domain::judge::arm::Arm;
use traffic_cop::domain::judge::evidence::ConversationHash;
use traffic_cop::domain::rollout::{Commit, Move, Promotion, Rollout, Status};
use traffic_cop::domain::settings::Settings;
use traffic_cop::domain::slot::Slot;
use traffic_cop::domain::weight::Weight;
use traffic_cop::store::format::Document;
use traffic_cop::store::record::Record;

/// A call as it was.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub(super) conversation: ConversationHash,
    pub(super) slot: Slot,
    pub(super) revision: Revision,
    pub(super) is_drawn: bool,
    pub(super) is_bad: bool,
    pub(super) reported_at: Option<Duration>,
}

/// All of it.
pub(super) struct Truth {
    key: String,
    calls: BTreeMap<ConversationHash, Call>,
    /// Journal entries seen.
    seen: u64,
    /// When each revision was committed.
    committed_at: BTreeMap<Revision, Duration>,
    environment: Option<Environment>,
    /// The freeze windows of the deployment.
    freezes: Freezes,
    revision: Revision,
    actions: Vec<String>,
    steps: usize,
}

impl Truth {
    /// Of an environment that does not exist yet, the journal ending with `last`.
    pub(super) fn of(name: &str, last: Sequence, freezes: Freezes) -> Self {
        Self {
            key: format!("environment/{name}"),
            calls: BTreeMap::new(),
            seen: last.0,
            committed_at: BTreeMap::new(),
            environment: None,
            freezes,
            revision: Revision(0),
            actions: Vec::new(),
            steps: 0,
        }
    }

    /// Takes in a call. Checks that it went nowhere that a rollback had closed.
    pub(super) fn take(&mut self, call: Call) {
        let is_closed = self.environment.as_ref().is_some_and(|environment| {
            self.revision == call.revision && environment.share(call.slot) == Weight::ZERO
        });
        assert!(!is_closed, "a call went to {}: {call:?}", call.slot);
        self.calls.insert(call.conversation, call);
    }

    pub(super) fn report(&mut self, conversation: ConversationHash, at: Duration) {
        if let Some(call) = self.calls.get_mut(&conversation) {
            call.reported_at = Some(at);
        }
    }

    /// The entries up to `last` that were not looked at.
    pub(super) fn unseen(&mut self, last: Sequence) -> Vec<u64> {
        let unseen = (self.seen + 1..=last.0).collect();
        self.seen = self.seen.max(last.0);
        unseen
    }

    pub(super) fn time_in_step(&self, now: Duration) -> Duration {
        let entered = self.rollout().map(Rollout::entered);
        let entered = entered.and_then(|entered| self.committed_at.get(&entered));
        entered.map_or(Duration::ZERO, |entered| now - *entered)
    }

    pub(super) fn calls_to(&self, slot: Slot) -> usize {
        self.calls.values().filter(|call| call.slot == slot).count()
    }

    pub(super) fn steps(&self) -> usize {
        self.steps
    }

    pub(super) fn actions(&self) -> Vec<String> {
        self.actions.clone()
    }

    fn rollout(&self) -> Option<&Rollout> {
        self.environment.as_ref()?.rollout.as_deref()
    }

    fn in_step(&self, entered: Revision, slot: Slot) -> impl Iterator<Item = &Call> {
        self.calls
            .values()
            .filter(move |call| call.is_drawn && call.slot == slot && call.revision >= entered)
    }

    /// Checks a commit that was made at `now`.
    pub(super) fn check(&mut self, record: &Record, now: Duration) -> Result<(), String> {
        let change = &record.change;
        if change.aggregate == AggregateKey::Settings {
            let settings = Document::<Settings>::read(change.format, &change.state);
            let settings = settings.map_err(|error| error.to_string())?.state;
            self.freezes = settings
                .map(|settings| settings.freezes)
                .unwrap_or_default();
        }
        if change.aggregate.to_string() != self.key {
            return Ok(());
        }
        let document = Document::<Environment>::read(change.format, &change.state);
        let after = document.map_err(|error| error.to_string())?.state;
        let after = after.ok_or("nobody deletes it")?;
        if change.revision != self.revision.next() {
            return Err(format!("{} after {}", change.revision, self.revision));
        }
        if change.actor.as_str() == "traffic-cop" {
            let before = self.rollout().ok_or("a step of no rollout")?;
            self.check_step(before, &after, record, now)
                .map_err(|why| format!("{} at {}: {why}", change.action, change.revision))?;
            self.steps += 1;
        }
        self.actions.push(change.action.clone());
        self.committed_at.insert(change.revision, now);
        self.revision = change.revision;
        self.environment = Some(after);
        Ok(())
    }

    fn check_step(
        &self,
        before: &Rollout,
        after: &Environment,
        record: &Record,
        now: Duration,
    ) -> Result<(), String> {
        let rollout = after.rollout.as_deref().ok_or("the rollout is gone")?;
        let chosen = chosen(&record.change.action, rollout)?;
        self.check_counts(rollout)?;
        let commit = Commit {
            revision: record.change.revision,
            now: record.change.at,
        };
        let expected = before
            .clone()
            .with_record(judged(rollout, before, chosen))
            .after(chosen, commit);
        match expected {
            Ok(expected) if expected.status == rollout.status => {}
            other => return Err(format!("from {:?} follows {other:?}", before.status)),
        }
        if after.weight != rollout.weight() {
            return Err("another weight than the rollout calls for".to_owned());
        }
        match chosen {
            Move::Advance | Move::Finish => {
                self.check_frozen(record.change.at)?;
                self.check_promotion(before, now)
            }
            Move::Pause(_) | Move::Abort(_) => Ok(()),
        }
    }

    /// Whether no freeze window was in force, at the time that the commit has.
    fn check_frozen(&self, at: Timestamp) -> Result<(), String> {
        let of_deployment = Frozen::of(&self.freezes, Place::Deployment, at);
        let before = self.environment.as_ref();
        match before.and_then(|before| before.frozen(of_deployment.as_ref(), at)) {
            Some(frozen) => Err(format!("left at {at} in spite of {frozen}")),
            None => Ok(()),
        }
    }

    /// Whether the step may be left at `now`.
    fn check_promotion(&self, before: &Rollout, now: Duration) -> Result<(), String> {
        let Status::Running { step, promotion } = before.status else {
            return Err(format!("left while {:?}", before.status));
        };
        let (plan, planned) = (&before.plan, &before.plan.steps[step]);
        let passed = self.time_in_step(now);
        let is_drawing = plan.weight(step) != Weight::FULL;
        if !is_drawing && passed < plan.data.maturity() {
            return Err(format!("{passed:?} at 100 %: too soon for the last calls"));
        }
        if promotion == Some(Promotion::Now) {
            return Ok(());
        }
        if passed < planned.bake() {
            return Err(format!("{passed:?} of the bake time {:?}", planned.bake()));
        }
        if !is_drawing {
            return Ok(());
        }
        let entered = before.entered();
        let reported = |slot| {
            self.in_step(entered, slot)
                .filter(|call| call.reported_at.is_some_and(|at| at <= now))
                .count()
        };
        let green = reported(before.candidate);
        if green < planned.minimum_calls as usize {
            return Err(format!("{green} calls of {}", planned.minimum_calls));
        }
        if reported(before.candidate.other()) == 0 {
            return Err("no call of the active version was heard of".to_owned());
        }
        Ok(())
    }

    /// Whether the judge has counted no more than there was.
    fn check_counts(&self, rollout: &Rollout) -> Result<(), String> {
        for (metric, found) in rollout.record.metrics.iter() {
            let Some(found) = found else { continue };
            for arm in Arm::BOTH {
                let slot = arm.slot(rollout.candidate);
                let calls = self.calls.values().filter(|call| call.slot == slot);
                let drawn = calls.clone().filter(|call| call.is_drawn).count() as u64;
                let bad = calls
                    .filter(|call| call.is_bad && call.reported_at.is_some())
                    .count() as u64;
                let seen = found.seen[arm];
                if seen.calls > drawn || seen.bad > bad {
                    return Err(format!(
                        "{metric}: {seen:?} of {drawn} {slot} calls, {bad} of them bad"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// What the judge knew when it chose: the committed record, but for what the step itself begins anew.
fn judged(after: &Rollout, before: &Rollout, chosen: Move) -> Judged {
    let mut record = after.record.clone();
    if chosen == Move::Advance {
        record.step = before.record.step;
    }
    record
}

/// The move that an action of a controller is.
fn chosen(action: &str, after: &Rollout) -> Result<Move, String> {
    match (action, &after.status) {
        ("advance_rollout", _) => Ok(Move::Advance),
        ("finish_rollout", _) => Ok(Move::Finish),
        ("pause_rollout", Status::Paused { cause, .. }) => Ok(Move::Pause(*cause)),
        ("abort_rollout", Status::Aborted(cause)) => Ok(Move::Abort(*cause)),
        (action, status) => Err(format!("{action} left it {status:?}")),
    }
}
