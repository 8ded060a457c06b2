//! An environment with a rollout, its calls, and controllers that fail.
//!
//! Time moves in [`TICK`]s. In each, calls come in and are decided by a replica without faults, those whose time has come end and
//! are reported, operators may interfere, and each controller ticks once, by a clock of its own, on a way to the store that fails.
//! After each commit the [`Truth`] checks it.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio_util::sync::CancellationToken;
use traffic_cop::clock::{Clock, ManualClock};
use traffic_cop::control;
use traffic_cop::controller::{Controller, Tick, TickError};
use traffic_cop::domain::command::AddFreeze;
use traffic_cop::domain::conversation::Conversation;
use traffic_cop::domain::decision::{Bucket, Request, bucket};
use traffic_cop::domain::environment::Salt;
use traffic_cop::domain::ids::Revision;
use traffic_cop::domain::judge::evidence::Outcome;
use traffic_cop::domain::judge::metric::{Metric, MetricSet};
use traffic_cop::domain::rollout::command::{
    AbortRollout, PauseRollout, PromoteRollout, ResumeRollout, StartRollout, StepRollout,
};
use traffic_cop::domain::rollout::limits::OnPause;
use traffic_cop::domain::rollout::plan::{DataPolicy, FastLane, Plan, Step, Terms};
use traffic_cop::domain::rollout::{Move, Promotion, Rollout};
use traffic_cop::domain::settings::SettingsCommand;
use traffic_cop::domain::slot::{BySlot, Slot};

use super::truth::{Call, Truth};
use crate::support::{Ask, Fault, FaultProxy, Process, World, asked, commands};

/// How much time passes at once.
pub(super) const TICK: Duration = Duration::from_secs(30);
/// Calls in that time.
const CALLS: usize = 40;

/// The plan of every rollout here: shorter than a real one in everything.
pub(super) fn plan() -> Plan {
    let step = |percent: &str| Step {
        bake_minutes: 5,
        minimum_calls: 15,
        ..Step::at(percent.parse().expect("a weight"))
    };
    let terms = Terms {
        steps: ["20", "50", "100"].map(step).into(),
        fast_lane: FastLane {
            within_seconds: 30,
            grace_seconds: 30,
            ..FastLane::default()
        },
        data: DataPolicy {
            horizon_minutes: 2,
            grace_minutes: 1,
            max_stale_minutes: 30,
            ..DataPolicy::default()
        },
        on_pause: OnPause::Hold,
        maximum_minutes: 24 * 60,
        ..Terms::default()
    };
    Plan::new(terms).expect("a plan")
}

/// What callers do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Callers {
    calls: usize,
    /// Share of calls that end badly, in percent.
    bad: BySlot<u32>,
    /// Share of calls that are reported, in percent.
    reported: BySlot<u32>,
    /// Seconds until a bad end.
    bad_after: u64,
}

impl Callers {
    pub(super) fn healthy() -> Self {
        Self {
            calls: CALLS,
            bad: BySlot { blue: 5, green: 5 },
            reported: BySlot {
                blue: 100,
                green: 100,
            },
            bad_after: 20,
        }
    }

    /// Nobody has cause to complain.
    pub(super) fn content() -> Self {
        Self {
            bad: BySlot { blue: 0, green: 0 },
            ..Self::healthy()
        }
    }

    pub(super) fn none() -> Self {
        Self {
            calls: 0,
            ..Self::healthy()
        }
    }

    pub(super) fn silent() -> Self {
        Self {
            reported: BySlot { blue: 0, green: 0 },
            ..Self::healthy()
        }
    }

    pub(super) fn silent_green() -> Self {
        Self {
            reported: BySlot {
                blue: 100,
                green: 0,
            },
            ..Self::healthy()
        }
    }

    pub(super) fn with_a_dead_green() -> Self {
        Self {
            bad: BySlot {
                blue: 5,
                green: 100,
            },
            bad_after: 3,
            ..Self::healthy()
        }
    }

    /// Of some kind, by chance.
    pub(super) fn drawn(seed: u64) -> Self {
        match seed % 5 {
            0 => Self::with_a_dead_green(),
            1 => Self::silent(),
            2 => Self {
                bad: BySlot { blue: 5, green: 25 },
                ..Self::healthy()
            },
            _ => Self::healthy(),
        }
    }
}

/// What goes wrong.
#[derive(Debug, Clone, Copy)]
pub(super) struct Storm {
    seed: u64,
    /// Whether requests of controllers fail, now and then.
    has_faults: bool,
    /// Out of a hundred ticks of a controller, it crashes in so many, has its clock set in so many, and sits out so many.
    troubles: u32,
    /// Out of a hundred ticks, operators interfere in so many.
    operators: u32,
    /// Somebody takes a step again without asking whether it still follows.
    drops_condition: bool,
}

impl Storm {
    pub(super) const NONE: Self = Self {
        seed: 0,
        has_faults: false,
        troubles: 0,
        operators: 0,
        drops_condition: false,
    };

    /// A controller with a bug: it does not ask whether the step that it judged is still the present one.
    pub(super) const DROPPED_CONDITION: Self = Self {
        drops_condition: true,
        ..Self::NONE
    };

    pub(super) fn of(seed: u64) -> Self {
        Self {
            seed,
            has_faults: true,
            troubles: 8,
            operators: 3,
            drops_condition: false,
        }
    }
}

/// What becomes of the request during which a controller crashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It takes effect, and the controller does not hear of it.
    Delivered,
    /// It reaches nobody.
    NotDelivered,
}

/// A clock that agrees with nobody about the time of day.
#[derive(Debug)]
struct OwnClock {
    time: Arc<ManualClock>,
    off_by: Mutex<SignedDuration>,
}

impl Clock for OwnClock {
    fn now(&self) -> Timestamp {
        let off_by = *self.off_by.lock().expect("no holder panics");
        self.time.now().checked_add(off_by).expect("a time")
    }

    fn monotonic(&self) -> Duration {
        self.time.monotonic()
    }
}

/// A controller in its process.
pub(super) struct Seat {
    controller: Controller,
    clock: Arc<OwnClock>,
    proxy: Arc<FaultProxy>,
    process: Process,
    last: Option<Tick>,
}

impl Seat {
    async fn take(world: &World, proxy: Arc<FaultProxy>, off_by: SignedDuration) -> Self {
        let clock = Arc::new(OwnClock {
            time: world.clock.clone(),
            off_by: Mutex::new(off_by),
        });
        let process = world.newcomer_with(&proxy, clock.clone()).await;
        let controller = process.controller();
        Self {
            controller,
            clock,
            proxy,
            process,
            last: None,
        }
    }

    pub(super) async fn tick(&mut self) -> Result<Tick, String> {
        // As the process does by itself, five times a second; a controller that has something to do reads on anyway.
        if self.last != Some(Tick::Led(0)) {
            let _ = self.process.replica.catch_up().await;
        }
        let ticked = self.controller.tick().await;
        self.last = ticked.as_ref().ok().copied();
        ticked.map_err(|error: TickError| error.to_string())
    }

    /// Ends it in good order.
    pub(super) async fn end(self) {
        let stop = CancellationToken::new();
        stop.cancel();
        self.controller.run(stop).await;
    }

    fn off_by(&self) -> SignedDuration {
        *self.clock.off_by.lock().expect("no holder panics")
    }

    fn set_off_by(&self, off_by: SignedDuration) {
        *self.clock.off_by.lock().expect("no holder panics") = off_by;
    }
}

/// What operators in a storm set at the most.
const LONGEST_FREEZE: Duration = Duration::from_secs(600);

/// The environment of every arena in its world, in turn.
pub(super) const NAME: &str = "Main_IVR";

/// All of it.
pub(super) struct Arena<'a> {
    pub(super) world: &'a World,
    name: String,
    callers: Callers,
    storm: Storm,
    salt: Salt,
    random: StdRng,
    /// Decides calls and takes operators' changes; without faults.
    replica: Process,
    seats: Vec<Seat>,
    truth: Truth,
    /// Reports to come, by the time that they are made.
    due: BTreeMap<(Duration, usize), Outcome>,
    calls: usize,
}

impl<'a> Arena<'a> {
    /// An environment whose rollout has just started, watched by so many controllers.
    pub(super) async fn start(
        world: &'a World,
        controllers: u64,
        callers: Callers,
        storm: Storm,
    ) -> Self {
        let replica = world.process().await;
        let name = format!("{NAME}-{}", uuid::Uuid::new_v4().simple());
        let mut seats = Vec::new();
        for number in 0..controllers {
            let proxy = Arc::new(world.proxy().await);
            let mut seat = Seat::take(world, proxy, SignedDuration::ZERO).await;
            seat.tick().await.expect("nothing to do yet");
            if storm.has_faults {
                fail(&seat.proxy, storm.seed ^ number);
            }
            seats.push(seat);
        }
        let settings = replica
            .replica
            .look(|follower| follower.settings().state().cloned());
        let freezes = settings.flatten().unwrap_or_default().freezes;
        let mut arena = Self {
            world,
            truth: Truth::of(&name, replica.position(), freezes),
            name,
            callers,
            storm,
            salt: Salt([0; 16]),
            random: StdRng::seed_from_u64(storm.seed),
            replica,
            seats,
            due: BTreeMap::new(),
            calls: 0,
        };
        arena.replica.create_with_candidate(&arena.name).await;
        let served = arena.replica.serves(&arena.name).expect("it is served");
        arena.salt = served.environment.salt;
        arena.start_again().await;
        arena
    }

    /// Starts a rollout.
    pub(super) async fn start_again(&mut self) {
        let start = StartRollout {
            plan: plan(),
            force_incompatible: false,
        };
        self.replica.commits(&self.name, start).await;
        self.note().await.expect("a start breaks no promise");
    }

    pub(super) fn rollout(&self) -> Rollout {
        let served = self.replica.serves(&self.name).expect("it is served");
        *served.environment.rollout.clone().expect("a rollout")
    }

    fn revision(&self) -> Revision {
        Revision(self.replica.revision(&self.name))
    }

    /// How long the rollout has been in its step.
    pub(super) fn time_in_step(&self) -> Duration {
        self.truth.time_in_step(self.world.clock.monotonic())
    }

    pub(super) fn calls_to_green(&self) -> usize {
        self.truth.calls_to(Slot::Green)
    }

    pub(super) fn steps(&self) -> usize {
        self.truth.steps()
    }

    /// What happened, as the journal has it.
    pub(super) async fn actions(&self) -> Vec<String> {
        self.truth.actions()
    }

    /// Lets time pass.
    pub(super) async fn run(&mut self, ticks: usize) -> Result<(), String> {
        for _ in 0..ticks {
            self.world.clock.advance(TICK);
            self.replica.catch_up().await;
            self.take_calls().await;
            self.interfere().await?;
            self.tick_all_through_troubles().await?;
            self.note().await?;
        }
        Ok(())
    }

    /// Lets time pass until the rollout is over.
    pub(super) async fn run_until_over(&mut self, most: usize) -> Result<(), String> {
        for _ in 0..most {
            if self.rollout().end().is_some() {
                return Ok(());
            }
            self.run(1).await?;
        }
        Err(format!("not over: {:?}", self.rollout().status))
    }

    /// Lets time pass until the next tick of a controller, who has seen the step begin, leaves it.
    pub(super) async fn run_until_due(&mut self) -> Result<(), String> {
        // It has seen the step a tick after it began.
        while self.time_in_step() < plan().steps[0].bake() {
            self.run(1).await?;
        }
        self.world.clock.advance(TICK);
        Ok(())
    }

    pub(super) async fn run_until_revision_moves(&mut self, most: usize) -> Result<(), String> {
        let before = self.rollout().entered();
        self.run_until_revision_moves_from(before, most).await
    }

    /// Lets time pass until the rollout has left the step that `before` entered.
    pub(super) async fn run_until_revision_moves_from(
        &mut self,
        before: Revision,
        most: usize,
    ) -> Result<(), String> {
        self.replica.catch_up().await;
        self.note().await?;
        for _ in 0..most {
            if self.rollout().entered() != before {
                return Ok(());
            }
            self.run(1).await?;
        }
        Err("it stays where it is".to_owned())
    }

    /// Kills the controllers, and starts others in their place.
    pub(super) async fn restart_controllers(&mut self) {
        let seats = std::mem::take(&mut self.seats);
        for seat in seats {
            let off_by = seat.off_by();
            let proxy = Arc::clone(&seat.proxy);
            drop(seat);
            self.seats.push(Seat::take(self.world, proxy, off_by).await);
        }
    }

    pub(super) fn take_two_controllers(&mut self) -> [Seat; 2] {
        let seats = std::mem::take(&mut self.seats);
        seats
            .try_into()
            .unwrap_or_else(|_| panic!("two controllers"))
    }

    /// Has the first controller crash at its request of this number in a tick. Returns whether it got that far.
    pub(super) async fn crash_during_tick(&mut self, request: usize, fate: Fate) -> bool {
        let seat = &mut self.seats[0];
        let _ = seat.process.replica.catch_up().await;
        let proxy = Arc::clone(&seat.proxy);
        proxy.settled().await;
        let asked = proxy.count_all();
        if fate == Fate::NotDelivered {
            proxy.fail_any(Fault::Pass, request - 1);
            proxy.fail_any(Fault::Silence, 1);
        }
        // A request that has arrived takes effect, though nobody is there for the answer.
        let crashes = proxy.arrived_in_all(asked + request);
        let has_crashed = tokio::select! {
            biased;
            () = crashes => true,
            _ = seat.controller.tick() => false,
        };
        proxy.heal();
        if has_crashed {
            self.restart_controllers().await;
        }
        proxy.settled().await;
        has_crashed
    }

    pub(super) fn fail_reads_of_evidence(&self) {
        for seat in &self.seats {
            seat.proxy
                .fail(Ask::Evidence, Fault::ServerError, usize::MAX);
        }
    }

    /// No more faults.
    pub(super) fn heal(&mut self) {
        self.storm = Storm {
            drops_condition: self.storm.drops_condition,
            ..Storm::NONE
        };
        for seat in &self.seats {
            seat.proxy.heal();
            seat.set_off_by(SignedDuration::ZERO);
        }
    }

    pub(super) fn set_controllers_clock(&self, hours: i64) {
        for seat in &self.seats {
            seat.set_off_by(SignedDuration::from_hours(hours));
        }
    }

    pub(super) async fn pause(&mut self) {
        self.replica.commits(&self.name, PauseRollout {}).await;
        self.note().await.expect("a pause breaks no promise");
    }

    pub(super) async fn resume(&mut self) {
        self.replica.commits(&self.name, ResumeRollout {}).await;
        self.note().await.expect("a resumption breaks no promise");
    }

    /// Sets a freeze window that begins at once.
    pub(super) async fn freeze(&mut self, length: Duration) {
        let freeze = self.freeze_for(length);
        self.replica.commits(&self.name, freeze).await;
        self.note().await.expect("a freeze breaks no promise");
    }

    fn freeze_for(&self, length: Duration) -> AddFreeze {
        AddFreeze {
            start: None,
            end: self.world.clock.now() + length,
            reason: "a test".parse().expect("a reason"),
        }
    }

    /// A short freeze window.
    fn draw_freeze(&mut self) -> AddFreeze {
        let most = LONGEST_FREEZE.as_secs();
        let length = Duration::from_secs(self.random.random_range(30..most));
        self.freeze_for(length)
    }

    /// Ends the rollout, so that no controller is concerned with it any more, and waits for the end of every freeze window, so that
    /// no other is.
    pub(super) async fn end(&mut self) {
        let ended = self.replica.tries(&self.name, commands::rollback()).await;
        // There may be nothing left to roll back.
        let _ = ended;
        self.note().await.expect("a rollback breaks no promise");
        self.world.clock.advance(LONGEST_FREEZE);
    }

    /// Calls come in, and those whose time has come are reported.
    async fn take_calls(&mut self) {
        let now = self.world.clock.monotonic();
        let served = self.replica.serves(&self.name).expect("it is served");
        for call in 0..self.callers.calls {
            self.calls += 1;
            let id = self.conversation_in(call);
            let request = Request {
                conversation_id: &id,
                ..Request::default()
            };
            let decision = self.replica.decide(&self.name, &request);
            let is_bad = self.random.random_range(0..100) < self.callers.bad[decision.slot];
            let is_reported =
                self.random.random_range(0..100) < self.callers.reported[decision.slot];
            let conversation = Conversation::of(&id).hash(&served.environment.salt);
            self.truth.take(Call {
                conversation,
                slot: decision.slot,
                revision: served.revision,
                is_drawn: decision.exposed.is_some() && decision.is_randomised(),
                is_bad,
                reported_at: None,
            });
            if is_reported {
                let after = if is_bad { self.callers.bad_after } else { 60 };
                let at = now + Duration::from_secs(after);
                let outcome = Outcome {
                    conversation,
                    at: self.world.clock.now() + Duration::from_secs(after),
                    bad: if is_bad {
                        Metric::Abandon.into()
                    } else {
                        MetricSet::NONE
                    },
                };
                self.due.insert((at, self.calls), outcome);
            }
        }
        let mut patience = Patience::default();
        while let Err(error) = self.replica.write_exposures().await {
            patience.after(&error);
        }
        let later = self.due.split_off(&(now, usize::MAX));
        let due = std::mem::replace(&mut self.due, later);
        let outcomes: Vec<_> = due.into_values().collect();
        for outcome in &outcomes {
            self.truth.report(outcome.conversation, now);
        }
        let reports = &self.replica.reports;
        while let Err(error) = reports.store(served.clone(), outcomes.clone()).await {
            patience.after(&error);
        }
    }

    /// A conversation id whose bucket lies in this one of as many parts as there are calls: whatever the salt, as large a share of
    /// them goes to the candidate as its weight says, and the same seed gives the same calls.
    fn conversation_in(&self, part: usize) -> String {
        let ids = (0..).map(|attempt| format!("call-{}-{attempt}", self.calls));
        let parts = self.callers.calls;
        let part_of = |id: &str| {
            usize::from(bucket(&self.salt, id).number()) * parts / usize::from(Bucket::COUNT)
        };
        let mut ids = ids.filter(|id| part_of(id) == part);
        ids.next().expect("ids without end")
    }

    /// Operators do what they like, at times.
    async fn interfere(&mut self) -> Result<(), String> {
        if self.random.random_range(0..100) >= self.storm.operators {
            return Ok(());
        }
        // Most of these are refused most of the time, and that is fine.
        let name = self.name.clone();
        let _ = match self.random.random_range(0..8) {
            0 => self.replica.tries(&name, PauseRollout {}).await,
            1 | 2 => self.replica.tries(&name, ResumeRollout {}).await,
            3 => {
                let promote = PromoteRollout {
                    when: Promotion::Now,
                };
                self.replica.tries(&name, promote).await
            }
            4 => self.replica.tries(&name, AbortRollout::default()).await,
            5 => {
                let freeze = self.draw_freeze();
                self.replica.tries(&name, freeze).await
            }
            6 => {
                let freeze = SettingsCommand::AddFreeze(self.draw_freeze());
                let _ = self.replica.change_settings(freeze, asked()).await;
                return self.note().await;
            }
            _ => self.replica.tries(&name, commands::rollback()).await,
        };
        self.note().await
    }

    async fn tick_all_through_troubles(&mut self) -> Result<(), String> {
        for place in 0..self.seats.len() {
            let trouble = self.random.random_range(0..100);
            let troubles = self.storm.troubles;
            if trouble < troubles {
                self.crash(place).await;
            } else if trouble < 2 * troubles {
                let minutes = self.random.random_range(-120..120);
                self.seats[place].set_off_by(SignedDuration::from_mins(minutes));
            } else if trouble < 3 * troubles {
                continue;
            }
            let before = self.revision();
            // A fault, or another controller that leads: the next tick is the retry.
            let _ = self.seats[place].tick().await;
            self.seats[place].proxy.settled().await;
            self.note().await?;
            if self.storm.drops_condition && self.revision() != before {
                self.take_the_step_again().await;
                self.note().await?;
            }
        }
        Ok(())
    }

    /// Has a controller crash in the middle of a tick, and starts another in its place.
    async fn crash(&mut self, place: usize) {
        let request = self.random.random_range(1..12);
        let seat = &mut self.seats[place];
        let proxy = Arc::clone(&seat.proxy);
        let asked = proxy.count_all();
        let crashes = proxy.arrived_in_all(asked + request);
        tokio::select! {
            biased;
            () = crashes => {}
            _ = seat.tick() => {}
        }
        // What was on its way arrives.
        proxy.settled().await;
        let off_by = seat.off_by();
        self.seats[place] = Seat::take(self.world, proxy, off_by).await;
    }

    /// What a controller would do that does not ask whether the step it judged is still the present one.
    async fn take_the_step_again(&mut self) {
        self.replica.catch_up().await;
        let rollout = self.rollout();
        let step = StepRollout::of(&rollout, Move::Advance, rollout.record.clone());
        let request = control::Request {
            actor: "traffic-cop".parse().expect("an actor"),
            ..asked()
        };
        let _ = self.replica.ask(&self.name, step, request).await;
    }

    /// Reads what was committed since, and has it checked.
    async fn note(&mut self) -> Result<(), String> {
        self.replica.catch_up().await;
        let (world, replica) = (self.world, &self.replica);
        let last = replica.tracked(&self.name).sequence;
        let new = self.truth.unseen(last);
        for sequence in new {
            let record = world.tables.record(sequence).await;
            self.truth.check(&record, world.clock.monotonic())?;
        }
        Ok(())
    }
}

/// Lets requests of a controller fail by chance.
fn fail(proxy: &FaultProxy, seed: u64) {
    proxy.fail_by_chance(seed, |random, _| {
        (random.random_range(0..100) < 4).then(|| match random.random_range(0..4) {
            0 => Fault::Refuse,
            1 => Fault::ServerError,
            _ => Fault::DropReply,
        })
    });
}

/// For what fails on a way without faults, since the machine is busy, and may be repeated: what is stored twice counts once.
#[derive(Default)]
struct Patience(u32);

impl Patience {
    fn after(&mut self, error: &dyn Debug) {
        self.0 += 1;
        assert!(self.0 < 10, "no faults here: {error:?}");
    }
}
