//! What the evidence about a rollout says, as this process hears it.
//!
//! Any process can tell: it hears the stored evidence from where the last commit left the judge, as the controller does. It
//! listens only while somebody looks, at most every few seconds, and for a moment at a time: what is left it hears at the next
//! look.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::chapter::Chapter;
use super::picture::Picture;
use super::surroundings::is_stale;
use super::words::{Moment, count, percent, share};
use crate::domain::chance;
use crate::domain::ids::{EnvironmentName, Revision};
use crate::domain::judge::arm::{Arm, Tally};
use crate::domain::judge::trouble::Trouble;
use crate::domain::judge::verdict::{Level, MetricFinding, Verdict};
use crate::domain::rollout::{Rollout, Timing, Transition, Wait, step as next_step};
use crate::domain::slot::Slot;
use crate::evidence::{Hearing, Sample};
use crate::http::Listener;
use crate::replica::Served;

/// Least time between two times that a process listens.
const PAUSE: Duration = Duration::from_secs(5);
/// How long a page waits for what there is to hear.
const PATIENCE: Duration = Duration::from_secs(2);
/// Samples of an earlier commit that are kept.
const EARLIER: usize = 1_000;

/// The evidence about a rollout.
#[derive(Debug)]
pub(super) struct Evidence {
    /// The verdict in words and numbers.
    pub(super) summary: String,
    /// What keeps the rollout in its step.
    pub(super) waits: Vec<String>,
    pub(super) needs_a_person: bool,
    pub(super) judged_until: Moment,
    /// Why this may not be all.
    pub(super) caveats: Vec<String>,
    pub(super) metrics: Vec<MetricView>,
}

/// What is known about a metric.
#[derive(Debug)]
pub(super) struct MetricView {
    pub(super) name: &'static str,
    pub(super) is_approximate: bool,
    /// `sound`, `pause` or `abort`.
    pub(super) level: &'static str,
    /// The evidence against its line.
    pub(super) finding: String,
    pub(super) certificate: Option<String>,
    pub(super) picture: Picture,
    /// The version that callers have, then the one on trial.
    pub(super) rates: Vec<RateRow>,
    /// The right end of the rates' scale, in percent.
    pub(super) scale: String,
}

/// How often calls of one version ended badly.
#[derive(Debug)]
pub(super) struct RateRow {
    pub(super) slot: Slot,
    pub(super) calls: String,
    pub(super) bad: String,
    /// The rate, and where it lies 19 times in 20, in percent.
    pub(super) rate: Option<String>,
    pub(super) range: Option<String>,
    /// The same on the scale: where it begins, how long it is, and the rate.
    pub(super) bar: Option<(String, String, String)>,
}

/// What the judge says at the moment.
struct Told {
    verdict: Verdict,
    judged_until: Timestamp,
    samples: Vec<Sample>,
    caveats: Vec<String>,
}

impl Evidence {
    pub(super) async fn of(
        listener: &Listener,
        name: &EnvironmentName,
        served: &Served,
        rollout: &Rollout,
        chapter: Option<&Chapter>,
        in_step: Duration,
    ) -> Self {
        let now = listener.clock.now();
        let began = chapter.and_then(|chapter| chapter.of_rollout().next());
        let began = began.map(|entry| entry.revision);
        let hearings = &listener.dashboard.hearings;
        let told = hearings.hear(listener, name, rollout, began).await;
        let timing = Timing {
            now,
            in_step,
            without_data: Duration::ZERO,
        };
        let frozen = listener.replica.frozen(served, now);
        let frozen = frozen.filter(|_| rollout.end().is_none());
        let waits = match next_step(rollout, &told.verdict, &timing).while_frozen(frozen) {
            Transition::Hold(waits) => waits,
            Transition::Go(_) => Vec::new(),
        };
        let is_for_a_person = |wait: &Wait| matches!(wait, Wait::Person(_) | Wait::Gate);
        let metrics = told.verdict.metrics.iter();
        let view =
            |finding| MetricView::new(finding, told.verdict.candidate, chapter, &told.samples, now);
        Self {
            summary: told.verdict.to_string(),
            needs_a_person: !waits.is_empty() && waits.iter().all(is_for_a_person),
            waits: waits.iter().map(ToString::to_string).collect(),
            judged_until: Moment::new(told.judged_until, now),
            metrics: metrics.map(view).collect(),
            caveats: told.caveats,
        }
    }
}

impl MetricView {
    fn new(
        finding: &MetricFinding,
        candidate: Slot,
        chapter: Option<&Chapter>,
        samples: &[Sample],
        now: Timestamp,
    ) -> Self {
        let known = Arm::BOTH.map(|arm| {
            let Tally { calls, bad } = finding.seen[arm];
            chance::rate(bad, calls)
        });
        let widest = known.iter().flatten().map(|range| range.high);
        // Some room to the right, and whole percents.
        let scale = (widest.fold(0.01, f64::max) * 110.0).ceil() / 100.0;
        Self {
            name: finding.metric.as_str(),
            is_approximate: finding.source.is_approximate(),
            level: match finding.harm.level() {
                Level::Sound => "sound",
                Level::Pause => "pause",
                Level::Abort => "abort",
            },
            finding: finding.harm.to_string(),
            certificate: finding.certificate.map(|certificate| {
                if certificate.is_issued() {
                    "certified harmless".to_owned()
                } else {
                    format!("certificate E = {} of {}", certificate.e, certificate.line)
                }
            }),
            picture: Picture::of(finding, chapter, samples, now),
            rates: Arm::BOTH
                .map(|arm| RateRow::new(arm.slot(candidate), finding.seen[arm], scale))
                .into(),
            scale: percent(scale),
        }
    }
}

impl RateRow {
    fn new(slot: Slot, tally: Tally, scale: f64) -> Self {
        let range = chance::rate(tally.bad, tally.calls);
        let rate = share(tally.bad, tally.calls);
        let place = |share: f64| format!("{:.1}", share / scale * 1_000.0);
        Self {
            slot,
            calls: count(tally.calls),
            bad: count(tally.bad),
            rate: rate.map(percent),
            range: range.map(|range| format!("{} to {}", percent(range.low), percent(range.high))),
            bar: rate.zip(range).map(|(rate, range)| {
                (place(range.low), place(range.high - range.low), place(rate))
            }),
        }
    }
}

/// The rollouts that a process listens to.
#[derive(Debug, Default)]
pub(super) struct Hearings(Mutex<HashMap<EnvironmentName, Place>>);

/// One hearing at a time: who comes meanwhile waits for its end, as writers wait for their turn.
type Place = Arc<tokio::sync::Mutex<Option<Heard>>>;

/// What was heard about a rollout.
#[derive(Debug)]
struct Heard {
    /// The change that began it.
    began: Option<Revision>,
    hearing: Hearing,
    /// When that was, by the monotonic clock.
    at: Option<Duration>,
    /// Whether it was all there was.
    is_whole: bool,
    /// What the leading controller has noted to be wrong with analytics.
    trouble: Option<Trouble>,
    /// How the evidence went before the commit that the hearing goes on from.
    earlier: Vec<Sample>,
}

impl Hearings {
    async fn hear(
        &self,
        listener: &Listener,
        name: &EnvironmentName,
        rollout: &Rollout,
        began: Option<Revision>,
    ) -> Told {
        let place = self.place(name);
        let mut place = place.lock().await;
        let earlier = match place.take() {
            Some(mut known) if known.began == began && known.hearing.is_about(rollout) => {
                known.hearing.follow(rollout);
                *place = Some(known);
                Vec::new()
            }
            Some(known) if known.began == began => known.samples(),
            Some(_) | None => Vec::new(),
        };
        let heard = place.get_or_insert_with(|| Heard {
            began,
            hearing: Hearing::open(name.clone(), rollout).with_samples(),
            at: None,
            is_whole: false,
            trouble: None,
            earlier,
        });
        if rollout.end().is_none() {
            heard.listen(listener, name, rollout).await;
        }
        heard.tell(rollout, listener.clock.now())
    }

    fn place(&self, name: &EnvironmentName) -> Place {
        // A short critical section, never held across an await.
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(places.entry(name.clone()).or_default())
    }
}

impl Heard {
    /// Hears what has come, unless it just did or the store is known to be away.
    async fn listen(&mut self, listener: &Listener, name: &EnvironmentName, rollout: &Rollout) {
        let monotonic = listener.clock.monotonic();
        let is_recent = |at: Duration| monotonic.saturating_sub(at) < PAUSE;
        if self.is_whole && self.at.is_some_and(is_recent) {
            return;
        }
        if is_stale(listener) {
            self.is_whole = false;
            return;
        }
        let store = listener.replica.store();
        let (now, plan_time) = (listener.clock.now(), listener.clock.plan_time());
        let hear = async {
            if !rollout.plan.approximate_metrics().is_empty() {
                self.trouble = store.trouble(name, rollout.entered()).await?;
            }
            self.hearing.hear(store, now, plan_time).await
        };
        self.is_whole = matches!(tokio::time::timeout(PATIENCE, hear).await, Ok(Ok(())));
        self.at = Some(monotonic);
    }

    fn tell(&self, rollout: &Rollout, now: Timestamp) -> Told {
        let judge = self.hearing.judge();
        // One that is over is looked at as it was in the end. A plan has a step.
        let step = rollout
            .current_step()
            .unwrap_or(&rollout.plan.steps[rollout.plan.steps.len() - 1]);
        let mut caveats = Vec::new();
        if !self.is_whole && rollout.end().is_none() {
            caveats.push("Not all of the evidence has been read yet, or the store does not answer: this is what is known so far.".to_owned());
        }
        if self.hearing.unreadable() > 0 {
            caveats.push(format!(
                "{} batches of evidence cannot be read by this binary.",
                self.hearing.unreadable()
            ));
        }
        Told {
            verdict: judge.verdict(step, now).in_trouble(self.trouble),
            judged_until: judge.record().watermark,
            samples: self.samples(),
            caveats,
        }
    }

    /// How the evidence went, as far as it was heard here.
    fn samples(&self) -> Vec<Sample> {
        let skipped = self.earlier.len().saturating_sub(EARLIER);
        let earlier = self.earlier[skipped..].iter();
        earlier.chain(self.hearing.samples()).copied().collect()
    }
}
