//! `rollout status`, `rollout evidence` and `rollout watch`.

use std::time::Duration;

use reqwest::Url;

use super::Look;
use crate::cli::api::{Observed, Rollout, RolloutEvidence};
use crate::cli::client::Client;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, table};
use crate::domain::slot::Slot;

/// Pause between two looks: each has the server read what is stored.
const PAUSE: Duration = Duration::from_secs(5);

impl Look {
    /// Prints where the rollout stands.
    pub(super) async fn status(self, output: Output) -> Result<(), Failure> {
        let client = self.admin.client()?;
        let answer = client.get(self.evidence_url(&client)).await?;
        output.print(&answer, |evidence| status(&evidence))
    }

    /// Prints what the evidence says.
    pub(super) async fn evidence(self, output: Output) -> Result<(), Failure> {
        let client = self.admin.client()?;
        let answer = client.get(self.evidence_url(&client)).await?;
        output.print(&answer, |evidence| describe(&evidence))
    }

    /// Prints how the rollout stands whenever that has changed, until it is over.
    pub(super) async fn watch(self, output: Output) -> Result<(), Failure> {
        let client = self.admin.client()?;
        let mut last = String::new();
        loop {
            match client.get(self.evidence_url(&client)).await {
                Ok(answer) => {
                    let evidence: RolloutEvidence = answer.read()?;
                    let text = status(&evidence);
                    if text != last {
                        output.print(&answer, |_: RolloutEvidence| format!("{text}\n"))?;
                        last = text;
                    }
                    if evidence.rollout.is_over() {
                        return Ok(());
                    }
                }
                Err(failure) if failure.is_for_good() => return Err(failure),
                // The server is restarting, or another one takes its place.
                Err(_) => {}
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn evidence_url(&self, client: &Client) -> Url {
        let name = self.environment.as_str();
        client.url(&["v1", "environments", name, "rollout", "evidence"])
    }
}

/// Where a rollout stands, on one line.
pub(super) fn headline(rollout: &Rollout) -> String {
    let version = rollout.flow_version.as_deref().unwrap_or("a version");
    let place = match (rollout.status.as_str(), rollout.step) {
        ("running", Some(step)) => {
            let (steps, weight) = (rollout.steps, &rollout.weight);
            format!("step {step} of {steps}, {weight} % of new calls")
        }
        ("paused", Some(step)) => {
            let (steps, weight) = (rollout.steps, &rollout.weight);
            format!("paused in step {step} of {steps}, {weight} % of new calls")
        }
        (status, _) => status.to_owned(),
    };
    let cause = rollout.cause.as_ref();
    let cause = cause.map_or_else(String::new, |cause| format!(" ({cause})"));
    let (environment, candidate) = (&rollout.environment, rollout.candidate);
    format!("{environment}: {version} in {candidate}: {place}{cause}")
}

fn status(evidence: &RolloutEvidence) -> String {
    let rollout = &evidence.rollout;
    let mut lines = vec![headline(rollout)];
    if evidence.rollout.stale {
        lines.push("warning: the store does not answer; this is what was known before".to_owned());
    }
    lines.push(format!("evidence: {}", evidence.summary));
    if !rollout.is_over() {
        lines.extend(
            evidence
                .waits
                .iter()
                .map(|wait| format!("waits for: {wait}")),
        );
        if evidence.waits.is_empty() {
            lines.push("next: the controller moves it on".to_owned());
        }
    }
    lines.join("\n")
}

/// All of it: the status, evidence against its lines, and the calls.
fn describe(evidence: &RolloutEvidence) -> String {
    let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |e| format!("{e:.2}"));
    let verdict = &evidence.verdict;
    let mut findings: Vec<[String; 4]> = verdict
        .metrics
        .iter()
        .map(|found| {
            let harm = &found.harm;
            let lines = [harm.e, harm.pause_line, harm.abort_line].map(number);
            let [e, pause, abort] = lines;
            [format!("harm: {}", found.metric), e, pause, abort]
        })
        .collect();
    let others = [
        ("harm at once", verdict.fast_lane.as_ref()),
        ("split of calls", Some(&verdict.decisions)),
        ("split of reports", Some(&verdict.reports)),
    ];
    for (name, finding) in others {
        if let Some(finding) = finding {
            let lines = [finding.e, finding.pause_line, finding.abort_line].map(number);
            let [e, pause, abort] = lines;
            findings.push([name.to_owned(), e, pause, abort]);
        }
    }
    let candidate = evidence.rollout.candidate;
    let calls = verdict.metrics.iter().flat_map(|found| {
        let seen = &found.seen;
        [
            row(&found.metric, candidate.other(), &seen.active),
            row(&found.metric, candidate, &seen.candidate),
        ]
    });
    let observation = &evidence.observation;
    let observed = verdict.metrics.iter().flat_map(|found| {
        let seen = observation.calls.get(&found.metric);
        seen.into_iter().flat_map(|seen| {
            [
                row(&found.metric, candidate.other(), &seen.active),
                row(&found.metric, candidate, &seen.candidate),
            ]
        })
    });
    let header = ["metric", "slot", "calls", "bad", "share"];
    [
        status(evidence),
        String::new(),
        table(["evidence", "E", "pauses at", "aborts at"], findings),
        format!("\njudged until {}", evidence.judged_until),
        table(header, calls),
        format!(
            "\nlast {} minutes, {}",
            observation.minutes, observation.label
        ),
        table(header, observed),
    ]
    .join("\n")
}

fn row(metric: &str, slot: Slot, seen: &Observed) -> [String; 5] {
    let share = if seen.calls == 0 {
        "–".to_owned()
    } else {
        format!("{:.1} %", 100.0 * seen.bad as f64 / seen.calls as f64)
    };
    [
        metric.to_owned(),
        slot.to_string(),
        seen.calls.to_string(),
        seen.bad.to_string(),
        share,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence() -> RolloutEvidence {
        let json = r#"{"environment":"Main_IVR","revision":9,"candidate":"green","flow_version":"2.0","status":"running",
            "cause":null,"step":2,"steps":4,"weight":25,"promotion":null,"going_since":"2026-01-05T08:00:00Z","plan":{},
            "stale":false,"age_ms":0,"summary":"abandon: E = 3.1 of 20; 12 of 50 matured green calls; split as set",
            "verdict":{"candidate":"green","metrics":[{"metric":"abandon","source":"outcomes",
                "harm":{"e":3.14,"pause_line":20.0,"abort_line":100.0},"late":{"e":1.0,"pause_line":20.0,"abort_line":null},
                "certificate":null,"seen":{"active":{"calls":812,"bad":41},"candidate":{"calls":40,"bad":3}}}],
                "fast_lane":{"e":0.5,"pause_line":null,"abort_line":100.0},"decisions":{"e":1.2,"pause_line":100.0,"abort_line":null},
                "reports":{"e":0.9,"pause_line":100.0,"abort_line":null}},
            "waits":["7 minutes of bake time left","12 of 50 matured green calls"],"needs_a_person":false,
            "judged_until":"2026-01-05T08:20:00Z","unreadable_batches":0,
            "observation":{"minutes":30,"label":"an observation; nothing is decided by it",
                "calls":{"abandon":{"active":{"calls":600,"bad":30},"candidate":{"calls":0,"bad":0}}}}}"#;
        serde_json::from_str(json).expect("an answer")
    }

    #[test]
    fn the_status_says_where_it_stands_and_what_it_waits_for() {
        insta::assert_snapshot!(status(&evidence()), @"
        Main_IVR: 2.0 in green: step 2 of 4, 25 % of new calls
        evidence: abandon: E = 3.1 of 20; 12 of 50 matured green calls; split as set
        waits for: 7 minutes of bake time left
        waits for: 12 of 50 matured green calls
        ");
    }

    #[test]
    fn a_rollout_that_is_over_waits_for_nothing() {
        let mut evidence = evidence();
        evidence.rollout.status = "aborted".to_owned();
        evidence.rollout.step = None;
        evidence.rollout.cause = Some("evidence of harm: abandon".to_owned());
        insta::assert_snapshot!(status(&evidence), @"
        Main_IVR: 2.0 in green: aborted (evidence of harm: abandon)
        evidence: abandon: E = 3.1 of 20; 12 of 50 matured green calls; split as set
        ");
    }

    #[test]
    fn the_evidence_stands_against_its_lines_and_the_observation_is_labelled() {
        insta::assert_snapshot!(describe(&evidence()), @"
        Main_IVR: 2.0 in green: step 2 of 4, 25 % of new calls
        evidence: abandon: E = 3.1 of 20; 12 of 50 matured green calls; split as set
        waits for: 7 minutes of bake time left
        waits for: 12 of 50 matured green calls

         evidence           E      pauses at   aborts at
        ─────────────────────────────────────────────────
         harm: abandon      3.14   20.00       100.00
         harm at once       0.50   –           100.00
         split of calls     1.20   100.00      –
         split of reports   0.90   100.00      –

        judged until 2026-01-05T08:20:00Z
         metric    slot    calls   bad   share
        ───────────────────────────────────────
         abandon   blue    812     41    5.0 %
         abandon   green   40      3     7.5 %

        last 30 minutes, an observation; nothing is decided by it
         metric    slot    calls   bad   share
        ───────────────────────────────────────
         abandon   blue    600     30    5.0 %
         abandon   green   0       0     –
        ");
    }
}
