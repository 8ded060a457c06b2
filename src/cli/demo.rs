//! `demo`: the whole service in one process, imagined callers, and time that goes by faster.
//!
//! Nothing is played but the callers. Environments, rollouts, calls and reports go through the listeners as everyone's do, and the
//! judge decides by what comes in. What is imagined is when somebody calls and whether they hang up (`crowd.rs`).

mod calls;
mod crowd;
mod scratch;
mod stage;
mod story;

use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::api::Event;
use super::client::Client;
use super::connection::{BaseUrl, TokenArgs, TrustArgs};
use super::events::stream::Follower;
use super::failure::Failure;
use super::output::{Output, print};
use super::rollout::plan_file;
use crate::app;
use crate::clock::{Clock, FastClock};
use crate::config::{Secret, ServeArgs};
use crate::domain::rollout::plan::Plan;
use crate::signals::Stop;
use calls::Calls;
use crowd::Crowd;
use scratch::Scratch;
use stage::{CAST, Part};
use story::End;

/// Time in which a visitor signs in and sees callers get what they always got.
const PRELUDE: Duration = Duration::from_secs(15);

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// How many times as fast as yours time goes by in it.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=600), value_name = "TIMES")]
    speed: u32,
    /// Calls to each environment in a second of yours.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500), value_name = "CALLS")]
    calls_per_second: u32,
    /// The plan of both rollouts: a plan file (YAML or JSON), or a built-in plan: canary or cutover.
    #[arg(long, default_value = "canary", value_name = "FILE|NAME")]
    plan: String,
    /// Where chance starts from: the same seed makes the same callers. Drawn, and printed, if left out.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// End when both rollouts have: exit code 0 if the healthy version was promoted and the harmful one stopped, else 1.
    #[arg(long)]
    until_done: bool,
    /// Address of the decisions listener, on this host; 127.0.0.1:8080 or a free one if left out.
    #[arg(long, value_name = "ADDRESS")]
    decisions: Option<SocketAddr>,
    /// Address of the admin listener with the dashboard, on this host; 127.0.0.1:8081 or a free one if left out.
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,
}

impl Demo {
    /// Runs until somebody ends it.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let plan = plan_file::load(&self.plan)?;
        let decisions = address(self.decisions, 8080)?;
        let admin = address(self.admin, 8081)?;
        // The last to go: everything else is in it.
        let scratch = Scratch::make()?;
        let clock: Arc<dyn Clock> = Arc::new(FastClock::start(self.speed));
        let within = CancellationToken::new();
        // Before anyone is told that the process is there.
        let stop = Stop::listen().context("cannot listen for signals")?;
        let args = settings(&scratch, decisions, admin)?;
        let service = app::start(&args, Arc::clone(&clock)).await?;
        let show = Show {
            seed: self.seed.unwrap_or_else(rand::random),
            decisions: service.decisions_url().context("no address")?,
            admin: service
                .admin_url()
                .context("no address")?
                .unwrap_or_default(),
            token: std::fs::read_to_string(args.store.admin_token_file())
                .context("the admin token")?
                .trim()
                .to_owned(),
            scratch: &scratch,
            plan,
            args: &self,
            clock,
            output,
            began: Instant::now(),
        };
        let mut serving = pin!(service.run(stop.or(within.clone())));
        let ended = tokio::select! {
            served = &mut serving => {
                served?;
                return match self.until_done {
                    true => Err(anyhow!("the demonstration was ended before its rollouts").into()),
                    false => show.say("The demonstration is over, and nothing of it is left."),
                };
            }
            ended = show.go_on() => ended,
        };
        within.cancel();
        serving.await?;
        ended
    }
}

/// The settings of the service, whatever those of another one on this host are.
fn settings(
    scratch: &Scratch,
    decisions: SocketAddr,
    admin: SocketAddr,
) -> Result<ServeArgs, Failure> {
    let (decisions, admin) = (decisions.to_string(), admin.to_string());
    let directory = scratch.path().to_str();
    let directory = directory.context("the directory for temporary files is not UTF-8")?;
    let args = [
        ["--data-dir", directory],
        ["--decisions", &decisions],
        ["--admin", &admin],
        // Nobody stands behind a balancer here.
        ["--shutdown-delay-ms", "0"],
        ["--log", "error,dynoxide=off"],
    ];
    let args = ServeArgs::of_arguments(args.into_iter().flatten());
    Ok(args.context("the settings of the service")?)
}

/// The address that is wanted; without one the usual one, or any other that is free.
fn address(wanted: Option<SocketAddr>, usual: u16) -> Result<SocketAddr, Failure> {
    let here = |port| SocketAddr::from(([127, 0, 0, 1], port));
    match wanted {
        Some(address) if address.ip().is_loopback() => Ok(address),
        Some(address) => Err(Failure::usage(format!(
            "a demonstration is for this host only: expected a loopback address, such as 127.0.0.1:{usual}, not {address}"
        ))),
        None if TcpListener::bind(here(usual)).is_ok() => Ok(here(usual)),
        None => Ok(here(0)),
    }
}

/// A demonstration whose service runs.
struct Show<'a> {
    seed: u64,
    decisions: String,
    admin: String,
    token: String,
    scratch: &'a Scratch,
    plan: Plan,
    args: &'a Demo,
    clock: Arc<dyn Clock>,
    output: Output,
    began: Instant,
}

impl Show<'_> {
    /// Sets everything up, has callers call, and tells what happens: until both rollouts have ended if that was asked for, else
    /// for ever.
    async fn go_on(&self) -> Result<(), Failure> {
        self.introduce()?;
        let (admin, decisions) = (self.client(&self.admin)?, self.client(&self.decisions)?);
        stage::set(&admin).await?;
        let mut changes = Follower::start(admin.clone(), None, None).await?;
        let crowds = self.crowds();
        // They hang up when this ends.
        let mut calling = JoinSet::new();
        for (part, crowd) in CAST.iter().zip(&crowds) {
            let calls = Calls {
                decisions: decisions.clone(),
                environment: part.environment()?,
                on_trial: Part::ON_TRIAL,
                crowd: Arc::clone(crowd),
                clock: Arc::clone(&self.clock),
            };
            calling.spawn(calls.make());
        }
        if !self.args.until_done {
            let seconds = PRELUDE.as_secs();
            self.say(&format!(
                "Callers ring, and all of them get {}. The rollouts begin in {seconds} seconds.",
                Part::USUAL
            ))?;
            tokio::time::sleep(PRELUDE).await;
        }
        for part in &CAST {
            stage::start_rollout(&admin, part, self.plan.clone()).await?;
        }
        let mut ends = [None; CAST.len()];
        loop {
            let block = changes.next().await?;
            let Ok(event) = serde_json::from_str::<Event>(&block.data) else {
                continue;
            };
            self.say(&story::tell(&event))?;
            let about = |part: &Part| event.environment.as_deref() == Some(part.name);
            let Some(place) = CAST.iter().position(about) else {
                continue;
            };
            let part = &CAST[place];
            let Some(end) = End::of(&event, part).filter(|_| ends[place].is_none()) else {
                continue;
            };
            ends[place] = Some(end);
            if part.is_harmful {
                let crowd = crowds[place].lock();
                let tally = crowd.unwrap_or_else(PoisonError::into_inner).tally();
                self.say(&story::tell_cost(part, tally))?;
            }
            if let [Some(healthy), Some(harmful)] = ends {
                if self.args.until_done {
                    return verdict([healthy, harmful]);
                }
                self.hand_over()?;
            }
        }
    }

    fn client(&self, url: &str) -> Result<Client, Failure> {
        let base: BaseUrl = url.parse().context("the address of a listener")?;
        let token = TokenArgs::of(Secret::from(self.token.clone()));
        Client::new(&base, &token, &TrustArgs::default())
    }

    fn crowds(&self) -> [Arc<Mutex<Crowd>>; CAST.len()] {
        let per_second = f64::from(self.args.calls_per_second) / f64::from(self.args.speed);
        let mut seed = self.seed;
        CAST.each_ref().map(|part| {
            let [usual, on_trial] = part.callers();
            let crowd = Crowd::new(seed, per_second, usual, on_trial);
            seed = seed.wrapping_add(1);
            Arc::new(Mutex::new(crowd))
        })
    }

    /// Prints where to look, and at what.
    fn introduce(&self) -> Result<(), Failure> {
        let Self {
            seed, admin, token, ..
        } = self;
        let (speed, per_second) = (self.args.speed, self.args.calls_per_second);
        if self.output == Output::Json {
            let told = json!({
                "dashboard": admin, "decisions": self.decisions, "token": token, "seed": seed, "speed": speed,
                "token_file": self.scratch.token_file(), "calls_per_second": per_second,
            });
            return print(&told.to_string());
        }
        let mut text = format!(
            "A demonstration: the callers are imagined, everything else is real. Time goes by {speed} times as fast: {}.\n\
             Nothing leaves this machine, and nothing stays when it ends (Ctrl-C).\n\n  \
             dashboard  {admin}/\n  \
             token      {token}\n  \
             decisions  {}\n\n\
             Sign in to the dashboard with that token. Callers of two environments ring, {per_second} a second each; seed {seed}.\n",
            second(speed),
            self.decisions,
        );
        for part in &CAST {
            let (before, after) = (part.usual, part.on_trial);
            text += &format!(
                "  {:<13} {before} % hang up in {}; in {}, which nobody has met yet, {after} % will. The judge does not know.\n",
                part.name,
                Part::USUAL,
                Part::ON_TRIAL
            );
        }
        text += "Open Payments_IVR and watch the evidence climb towards its lines.\n";
        print(&text)
    }

    /// Tells what can be done by hand once the rollouts have ended.
    fn hand_over(&self) -> Result<(), Failure> {
        if self.output == Output::Json {
            return Ok(());
        }
        print(&format!(
            "\nThat was the tour. Calls go on, and it is your turn: Main_IVR has its rollback on its page of the dashboard, and so has a\n\
             second terminal:\n\n  \
             export TRAFFIC_COP_SERVER={} TRAFFIC_COP_TOKEN_FILE={}\n  \
             traffic-cop watch\n  \
             traffic-cop rollback Main_IVR --reason \"I want to see it\"\n",
            self.admin,
            self.scratch.token_file().display()
        ))
    }

    /// Prints one line, with how long it is since the start, by the visitor's clock.
    fn say(&self, text: &str) -> Result<(), Failure> {
        let passed = self.began.elapsed();
        match self.output {
            Output::Table => print(&format!("{}  {text}", minutes(passed))),
            Output::Json => {
                print(&json!({ "seconds": passed.as_secs(), "text": text }).to_string())
            }
        }
    }
}

/// What a second of the visitor's is at this speed.
fn second(speed: u32) -> String {
    match (speed, speed.is_multiple_of(60)) {
        (1, _) => "a second is a second".to_owned(),
        (60, _) => "a second is a minute".to_owned(),
        (_, true) => format!("a second is {} minutes", speed / 60),
        (_, false) => format!("a second is {speed} seconds"),
    }
}

fn minutes(passed: Duration) -> String {
    let seconds = passed.as_secs();
    format!("{:>2}:{:02}", seconds / 60, seconds % 60)
}

/// Whether the rollouts had the ends that they deserve.
fn verdict(ends: [End; CAST.len()]) -> Result<(), Failure> {
    let wrong: Vec<_> = CAST
        .iter()
        .zip(ends)
        .filter(|(part, end)| !end.is_deserved(part))
        .map(|(part, end)| match end {
            End::Promoted => format!("{} was promoted", part.name),
            End::Stopped => format!("{} was stopped", part.name),
            End::Held => format!("{} waits for a person", part.name),
        })
        .collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let alpha = "evidence errs now and then, as often as the plan allows";
    Err(anyhow!("{}: {alpha}", wrong.join(", ")).into())
}

#[cfg(test)]
mod tests;
