//! `watch`: `status`, live.

mod screen;

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::client::Client;
use super::connection::AdminArgs;
use super::events::stream::Follower;
use super::failure::Failure;
use super::output::{Output, print_for};
use super::overview::{Detail, Overview, news};
use super::paint::{Paint, paint};
use crate::clock::{Clock as _, SystemClock};
use crate::domain::ids::EnvironmentName;
use crate::signals::Stop;
use screen::Screen;

/// Time between two looks if nothing changes.
const PAUSE: Duration = Duration::from_secs(2);
/// How long a look may take before the server counts as away.
const PATIENCE: Duration = Duration::from_secs(5);
/// Least time between two looks at what takes the server more than a moment.
const DETAILS_EVERY: Duration = Duration::from_secs(5);
/// Pause before changes are followed again that could not be.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// Arguments of `watch`.
#[derive(Debug, Args)]
pub(super) struct Watch {
    /// The environment; all that the token may read, if left out.
    #[arg(value_name = "ENVIRONMENT")]
    environment: Option<EnvironmentName>,
    #[command(flatten)]
    admin: AdminArgs,
}

impl Watch {
    /// Shows how things stand until somebody ends it: as a picture on a terminal, elsewhere as a line per change.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.admin.client()?;
        let mut stop = Stop::listen().context("cannot listen for signals")?;
        // The first look has to succeed: whoever mistyped an address is told so.
        let overview = Overview::look(&client, self.environment.as_ref()).await?;
        let (tell, mut told) = mpsc::channel(1);
        let mut following = JoinSet::new();
        following.spawn(follow(
            client.clone(),
            self.environment.clone(),
            tell.clone(),
        ));
        let mut watcher = Watcher {
            client,
            only: self.environment,
            clock: SystemClock::start(),
            details: BTreeMap::new(),
            detailed_at: None,
            answered_at: Timestamp::UNIX_EPOCH,
            shown: Shown::new(output),
            overview,
        };
        let mut seen = tokio::select! {
            () = stop.wait() => return Ok(()),
            () = watcher.take_details() => Ok(()),
        };
        loop {
            if watcher.show(seen)?.is_break() {
                return Ok(());
            }
            let is_news = tokio::select! {
                () = stop.wait() => return Ok(()),
                change = told.recv() => change.is_some(),
                () = sleep(PAUSE) => false,
            };
            seen = tokio::select! {
                () = stop.wait() => return Ok(()),
                seen = watcher.look(is_news) => seen,
            };
        }
    }
}

/// Tells of each change that it comes. One that nobody has heard of yet stands for those after it.
async fn follow(client: Client, only: Option<EnvironmentName>, tell: mpsc::Sender<()>) {
    loop {
        let started = Follower::start(client.clone(), only.clone(), None).await;
        if let Ok(mut changes) = started {
            while changes.next().await.is_ok() {
                // An error means that one waits already.
                let _ = tell.try_send(());
            }
        }
        // Whether the token is the reason, the next look says.
        sleep(RETRY_PAUSE).await;
    }
}

/// Somebody who looks again and again.
struct Watcher {
    client: Client,
    only: Option<EnvironmentName>,
    clock: SystemClock,
    details: BTreeMap<String, Detail>,
    detailed_at: Option<Instant>,
    /// When the server answered last.
    answered_at: Timestamp,
    shown: Shown,
    /// What it answered.
    overview: Overview,
}

/// What somebody has seen already, and how it is shown.
enum Shown {
    Picture(Screen),
    Lines {
        output: Output,
        facts: BTreeMap<String, String>,
        is_lost: bool,
    },
}

/// What a look came to: why the server is taken to be away, if it is.
type Seen = Result<(), Failure>;

impl Shown {
    fn new(output: Output) -> Self {
        match output {
            Output::Table if std::io::stdout().is_terminal() => Self::Picture(Screen::open()),
            output => Self::Lines {
                output,
                facts: BTreeMap::new(),
                is_lost: false,
            },
        }
    }

    /// Whether details are shown: they change all the time, so a line for each would be no news.
    fn has_details(&self) -> bool {
        matches!(self, Self::Picture(_))
    }
}

impl Watcher {
    async fn look(&mut self, is_news: bool) -> Seen {
        if is_news {
            self.detailed_at = None;
        }
        let look = Overview::look(&self.client, self.only.as_ref());
        match timeout(PATIENCE, look).await {
            Ok(Ok(overview)) => self.overview = overview,
            Ok(Err(failure)) => return Err(failure),
            Err(_) => {
                let seconds = PATIENCE.as_secs();
                return Err(Failure::no_answer(format!("no answer within {seconds} s")));
            }
        }
        self.take_details().await;
        Ok(())
    }

    /// Takes note that the server has answered, and asks for details if it is time.
    async fn take_details(&mut self) {
        self.answered_at = self.clock.now();
        let is_due = self
            .detailed_at
            .is_none_or(|at| at.elapsed() >= DETAILS_EVERY);
        if self.shown.has_details() && is_due {
            let details = timeout(PATIENCE, self.overview.details(&self.client)).await;
            self.details = details.unwrap_or_default();
            self.detailed_at = Some(Instant::now());
        }
    }

    /// Shows what was seen. It is over where nobody reads, and where no more is to be seen.
    fn show(&mut self, seen: Seen) -> Result<ControlFlow<()>, Failure> {
        let lost = match seen {
            Ok(()) => None,
            Err(failure) if failure.is_for_good() => return Err(failure),
            Err(failure) => Some(failure.problem.message().to_owned()),
        };
        let now = self.clock.now();
        match &mut self.shown {
            Shown::Picture(screen) => {
                let standing = headline(now, self.answered_at, lost.as_deref());
                let overview = self.overview.describe_with(&self.details);
                let server = self.client.base();
                screen.draw(&format!("{server}  {standing}\n\n{overview}"));
                Ok(ControlFlow::Continue(()))
            }
            Shown::Lines {
                output,
                facts,
                is_lost,
            } => {
                let was_lost = std::mem::replace(is_lost, lost.is_some());
                if let Some(why) = lost {
                    let told = (!was_lost).then(|| tell_loss(*output, now, &why));
                    return told.map_or(Ok(ControlFlow::Continue(())), |told| print_for(&told));
                }
                let seen = self.overview.facts();
                let mut news = news(facts, &seen);
                if was_lost {
                    news.insert(0, "the server answers again".to_owned());
                }
                *facts = seen;
                if news.is_empty() {
                    return Ok(ControlFlow::Continue(()));
                }
                print_for(&tell_news(*output, now, &news, &self.overview))
            }
        }
    }
}

/// The time, and whether what stands below is of that time.
fn headline(now: Timestamp, answered_at: Timestamp, lost: Option<&str>) -> String {
    let time = |time: Timestamp| time.strftime("%H:%M:%S UTC").to_string();
    match lost {
        None => format!("{}  (Ctrl-C ends it)", time(now)),
        Some(why) => {
            let seconds = now.duration_since(answered_at).as_secs();
            let text = format!(
                "NO ANSWER since {} ({seconds} s): {why}. Below is what was known then.",
                time(answered_at)
            );
            paint(Paint::Bad, &text)
        }
    }
}

fn tell_loss(output: Output, now: Timestamp, why: &str) -> String {
    match output {
        Output::Table => format!("{}  no answer: {why}", at(now)),
        Output::Json => json!({ "at": at(now), "lost": why }).to_string(),
    }
}

fn tell_news(output: Output, now: Timestamp, news: &[String], overview: &Overview) -> String {
    let at = at(now);
    match output {
        Output::Table => {
            let lines = news.iter().map(|news| format!("{at}  {news}"));
            lines.collect::<Vec<_>>().join("\n")
        }
        Output::Json => {
            let mut told = overview.raw().clone();
            told["at"] = at.into();
            told["news"] = news.into();
            told.to_string()
        }
    }
}

fn at(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_server_that_is_away_is_said_to_be_and_since_when() {
        let (then, now) = (time("2026-11-30T10:00:00Z"), time("2026-11-30T10:00:12.7Z"));
        assert_eq!(headline(now, now, None), "10:00:12 UTC  (Ctrl-C ends it)");
        assert_eq!(
            headline(now, then, Some("connection refused")),
            "NO ANSWER since 10:00:00 UTC (12 s): connection refused. Below is what was known then."
        );
        assert_eq!(
            tell_loss(Output::Json, now, "gone"),
            r#"{"at":"2026-11-30T10:00:12Z","lost":"gone"}"#
        );
    }
}
