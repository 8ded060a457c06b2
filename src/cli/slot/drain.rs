//! `slot drain`.

use std::time::Duration;

use clap::Args;
use reqwest::Url;
use tokio::time::Instant;

use crate::cli::api::{Drain, SlotDrain};
use crate::cli::client::Client;
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
        let deadline = Instant::now() + Duration::from_secs(self.timeout);
        loop {
            let answer = client.get(self.url(&client)).await?;
            let drain: Drain = answer.read()?;
            let slot = self.slot.unwrap_or(drain.active.other());
            let state = &drain.slots[slot];
            if self.wait && state.status == "draining" && Instant::now() + PAUSE < deadline {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            output.print(&answer, |drain: Drain| describe(&drain))?;
            return verdict(slot, state);
        }
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

    fn drain() -> Drain {
        let json = r#"{"environment":"Main_IVR","revision":3,"active":"green","minutes":30,"drain_seconds":1800,"slots":{
            "blue":{"calls":12,"last_call":"2026-01-05T08:00:00Z","share_ended_at":"2026-01-05T07:59:00Z","status":"draining","drained_at":"2026-01-05T08:30:00Z"},
            "green":{"calls":340,"last_call":"2026-01-05T08:00:01Z","share_ended_at":null,"status":"takes_new_calls","drained_at":null}},
            "silent":[{"replica":"a","reported_at":"2026-01-05T07:00:00Z"}]}"#;
        serde_json::from_str(json).expect("an answer")
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
}
