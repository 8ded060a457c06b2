//! `slot drain`.

use std::time::Duration;

use clap::Args;
use reqwest::Url;
use tokio::time::Instant;

use crate::cli::api::{Drain, SlotDrain};
use crate::cli::client::{Answer, Client};
use crate::cli::connection::AdminArgs;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, table};
use crate::domain::ids::EnvironmentName;
use crate::domain::slot::Slot;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_secs(5);

/// Arguments of `slot drain`.
#[derive(Debug, Args)]
pub(in crate::cli) struct DrainArgs {
    /// The environment.
    #[arg(value_name = "ENVIRONMENT")]
    environment: EnvironmentName,
    /// The slot that the exit code is about, blue or green; the candidate if left out.
    #[arg(long, value_name = "SLOT")]
    slot: Option<Slot>,
    /// Minutes to count calls over, 1 to 60; the drain time if left out.
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u16).range(1..=60))]
    minutes: Option<u16>,
    /// Wait until the slot has drained.
    #[arg(long)]
    wait: bool,
    /// Seconds to wait at the most.
    #[arg(
        long,
        default_value_t = 3600,
        value_name = "SECONDS",
        requires = "wait"
    )]
    timeout: u64,
    #[command(flatten)]
    admin: AdminArgs,
}

impl DrainArgs {
    /// Prints how things stand. Ends in success if the slot has drained.
    pub(in crate::cli) async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.admin.client()?;
        let (answer, drain) = self.last_look(&client, PAUSE).await?;
        output.print(&answer, |drain: Drain| describe(&drain))?;
        let slot = self.slot_of(&drain);
        verdict(slot, &drain.slots[slot])
    }

    /// Looks once, or with `--wait` until there is nothing more to wait for or the time is up.
    async fn last_look(
        &self,
        client: &Client,
        pause: Duration,
    ) -> Result<(Answer, Drain), Failure> {
        let deadline = Instant::now() + Duration::from_secs(self.timeout);
        loop {
            let looked = self.look(client).await;
            let is_over = Instant::now() + pause >= deadline;
            match looked {
                Ok((answer, drain)) => {
                    let status = &drain.slots[self.slot_of(&drain)].status;
                    if !self.wait || is_over || status != "draining" {
                        return Ok((answer, drain));
                    }
                }
                Err(failure) if !self.wait || failure.is_for_good() => return Err(failure),
                Err(failure) if is_over => {
                    let why = failure.problem.message();
                    return Err(Failure::pending(format!(
                        "whether the slot has drained is not known: {why}"
                    )));
                }
                // The server is restarting, or another one takes its place.
                Err(_) => {}
            }
            tokio::time::sleep(pause).await;
        }
    }

    fn slot_of(&self, drain: &Drain) -> Slot {
        self.slot.unwrap_or(drain.active.other())
    }

    async fn look(&self, client: &Client) -> Result<(Answer, Drain), Failure> {
        let answer = client.get(self.url(client)).await?;
        let drain = answer.read()?;
        Ok((answer, drain))
    }

    fn url(&self, client: &Client) -> Url {
        let mut url = client.url(&["v1", "environments", self.environment.as_str(), "drain"]);
        if let Some(minutes) = self.minutes {
            url.query_pairs_mut()
                .append_pair("minutes", &minutes.to_string());
        }
        url
    }
}

fn verdict(slot: Slot, state: &SlotDrain) -> Result<(), Failure> {
    match (state.status.as_str(), &state.drained_at) {
        ("drained", _) => Ok(()),
        ("takes_new_calls", _) => Err(Failure::refused(format!(
            "slot {slot} takes new calls; it drains once they are moved away"
        ))),
        (_, Some(drained_at)) => Err(Failure::pending(format!(
            "slot {slot} has not drained: calls may be inside until {drained_at}, if no more follow"
        ))),
        (_, None) => Err(Failure::pending(format!("slot {slot} has not drained"))),
    }
}

fn describe(drain: &Drain) -> String {
    let row = |name: &str, cell: fn(&SlotDrain) -> String| {
        let slots = &drain.slots;
        [name.to_owned(), cell(&slots.blue), cell(&slots.green)]
    };
    let calls = format!("calls in {} min", drain.minutes);
    let rows = [
        row(&calls, |slot| slot.calls.to_string()),
        row("last call", |slot| known(slot.last_call.as_deref())),
        row("no share since", |slot| {
            known(slot.share_ended_at.as_deref())
        }),
        row("status", |slot| slot.status.replace('_', " ")),
        row("drained at", |slot| known(slot.drained_at.as_deref())),
    ];
    let mut lines = vec![table(["", "blue", "green"], rows)];
    lines.extend(drain.silent.iter().map(|silent| {
        format!(
            "note: replica {} has been silent since {}; if it still runs, nobody knows of the calls that it decides",
            silent.replica, silent.reported_at
        )
    }));
    lines.join("\n")
}

fn known(time: Option<&str>) -> String {
    time.unwrap_or("–").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;
    use crate::cli::stand_in::StandIn;

    const DRAINING: &str = r#"{"environment":"Main_IVR","revision":3,"active":"green","minutes":30,"drain_seconds":1800,"slots":{
            "blue":{"calls":12,"last_call":"2026-01-05T08:00:00Z","share_ended_at":"2026-01-05T07:59:00Z","status":"draining","drained_at":"2026-01-05T08:30:00Z"},
            "green":{"calls":340,"last_call":"2026-01-05T08:00:01Z","share_ended_at":null,"status":"takes_new_calls","drained_at":null}},
            "silent":[{"replica":"a","reported_at":"2026-01-05T07:00:00Z"}]}"#;

    fn drain() -> Drain {
        serde_json::from_str(DRAINING).expect("an answer")
    }

    #[test]
    fn both_slots_stand_side_by_side() {
        insta::assert_snapshot!(describe(&drain()), @"
                           blue                   green
        ───────────────────────────────────────────────────────────────
         calls in 30 min   12                     340
         last call         2026-01-05T08:00:00Z   2026-01-05T08:00:01Z
         no share since    2026-01-05T07:59:00Z   –
         status            draining               takes new calls
         drained at        2026-01-05T08:30:00Z   –
        note: replica a has been silent since 2026-01-05T07:00:00Z; if it still runs, nobody knows of the calls that it decides
        ");
    }

    #[test]
    fn the_exit_code_says_whether_the_slot_has_drained() {
        let mut drain = drain();
        let exit = |slot, drain: &Drain| match verdict(slot, &drain.slots[slot]) {
            Ok(()) => Exit::Done,
            Err(failure) => failure.exit,
        };
        assert_eq!(exit(Slot::Blue, &drain), Exit::Pending);
        assert_eq!(exit(Slot::Green, &drain), Exit::Refused);
        drain.slots.blue.status = "drained".to_owned();
        assert_eq!(exit(Slot::Blue, &drain), Exit::Done);
    }

    /// The last look of somebody who waits for blue, of a server with these answers.
    async fn last_look(
        answers: &[(u16, &str)],
        timeout: &str,
    ) -> (StandIn, Result<String, Failure>) {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            drain: DrainArgs,
        }
        let server = StandIn::start(answers).await;
        let line = ["x", "Main_IVR", "--slot", "blue", "--wait"];
        let more = ["--timeout", timeout, "--server", &server.url];
        let line: Line = clap::Parser::try_parse_from(line.into_iter().chain(more)).unwrap();
        let client = line.drain.admin.client().unwrap();
        let looked = line.drain.last_look(&client, Duration::ZERO).await;
        (
            server,
            looked.map(|(_, drain)| drain.slots.blue.status.clone()),
        )
    }

    #[tokio::test]
    async fn a_server_that_is_away_for_a_moment_is_waited_for() {
        let drained = DRAINING.replace("draining", "drained");
        let away = (503, "away");
        let answers = [away, (200, DRAINING), away, (200, &drained)];
        let (server, looked) = last_look(&answers, "3600").await;
        assert_eq!(looked.unwrap(), "drained");
        assert_eq!(server.authorizations().len(), 4);
    }

    #[tokio::test]
    async fn who_may_not_look_waits_for_nothing() {
        let (_, looked) = last_look(&[(503, "away"), (403, "no")], "3600").await;
        assert_eq!(looked.unwrap_err().exit, Exit::NotAllowed);
    }

    #[tokio::test]
    async fn a_wait_whose_time_is_up_ends_as_one() {
        for answer in [(503, "away"), (200, DRAINING)] {
            let (_, looked) = last_look(&[answer], "0").await;
            let status = looked.map_err(|failure| failure.exit);
            let expected = match answer.0 {
                200 => Ok("draining".to_owned()),
                _ => Err(Exit::Pending),
            };
            assert_eq!(status, expected);
        }
    }
}
