//! `explain`.

use clap::Args;
use http::Method;
use serde_json::json;

use super::api::{AffinityRule, Explanation, OverrideRule, WeightedRule};
use super::call::Call;
use super::connection::AdminArgs;
use super::failure::Failure;
use super::glance;
use super::moment::Moment;
use super::output::{Output, table};
use crate::domain::ids::EnvironmentName;

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The environment.
    #[arg(value_name = "ENVIRONMENT")]
    environment: EnvironmentName,
    #[command(flatten)]
    call: Call,
    /// As it was at this revision, or at this time, such as 2026-11-23T02:00:00Z.
    #[arg(long, value_name = "REVISION|TIME")]
    at: Option<Moment>,
    #[command(flatten)]
    admin: AdminArgs,
}

impl Explain {
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.admin.client()?;
        let url = client.url(&["v1", "environments", self.environment.as_str(), "explain"]);
        let question = json!({
            "conversation_id": self.call.conversation_id,
            "flow_version": self.call.flow_version,
            "ani": self.call.ani,
            "dnis": self.call.dnis,
            "at": self.at.map(|moment| moment.to_string()),
        });
        let request = client.request(Method::POST, url).json(&question);
        let answer = client.answer(request).await?;
        output.print(&answer, |explanation| describe(&explanation))
    }
}

/// First where the call goes, then each rule, the one that decides marked.
fn describe(explanation: &Explanation) -> String {
    let mut lines = glance::warnings(
        explanation
            .stale
            .then(|| glance::staleness(explanation.age_ms)),
        explanation.fault.as_deref(),
    );
    let decision = &explanation.decision;
    let version = decision.flow_version.as_deref().unwrap_or("no version");
    lines.push(format!(
        "{} at revision {}, {}: {} takes this call: {} ({}), flow version {version}\n",
        explanation.environment,
        explanation.revision,
        explanation.at,
        decision.slot,
        decision.flow.name,
        decision.flow.id,
    ));
    let rules = [
        ("override", overrides(&explanation.overrides)),
        ("affinity", affinity(&explanation.affinity)),
        ("weighted", weighted(&explanation.weighted)),
        ("active", active(explanation)),
    ];
    let rows = rules.map(|(rule, says)| {
        let mark = if rule == decision.reason { "→" } else { "" };
        [mark.to_owned(), rule.to_owned(), says]
    });
    lines.push(table(["", "rule", "says"], rows));
    let all = &explanation.overrides.overrides;
    if !all.is_empty() {
        let rows = all.iter().map(|one| {
            [
                one.calls.to_string(),
                one.to.clone(),
                one.outcome.replace('_', " "),
                one.expires_at.clone(),
                one.owner.clone(),
            ]
        });
        let header = ["calls", "to", "for this call", "expires", "owner"];
        lines.push(format!("\n{}", table(header, rows)));
    }
    lines.join("\n")
}

fn overrides(rule: &OverrideRule) -> String {
    let numbers = [("ANI", &rule.ani), ("DNIS", &rule.dnis)];
    let unread: Vec<_> = numbers
        .into_iter()
        .filter(|(_, number)| *number == "no_number")
        .map(|(name, _)| format!("; the {name} is no number"))
        .collect();
    let verdict = match (&rule.slot, rule.overrides.len()) {
        (Some(slot), _) => format!("{slot}: an override is for this call"),
        (None, 0) => "there is no override".to_owned(),
        (None, 1) => "the one override does not apply, see below".to_owned(),
        (None, many) => format!("none of {many} overrides applies, see below"),
    };
    verdict + &unread.concat()
}

fn affinity(rule: &AffinityRule) -> String {
    let slot = rule.slot.as_deref().unwrap_or_default();
    match rule.outcome.as_str() {
        "applies" => format!("{slot}: it holds the version that the call was in"),
        "no_version" => "the call was in no version yet".to_owned(),
        "unknown_version" => "nobody here knows the version that the call was in".to_owned(),
        "retired_version" => "no slot holds the version that the call was in any more".to_owned(),
        "rolled_back" => format!("not {slot}: the version that the call was in was rolled back"),
        "slot_claimed" => {
            format!("not {slot}: it is claimed, or was, so what it holds is not known")
        }
        other => other.replace('_', " "),
    }
}

fn weighted(rule: &WeightedRule) -> String {
    let weight = &rule.weight;
    let drawn = if rule.drawn {
        ", drawn at random: the call has no conversation id"
    } else {
        ""
    };
    if !rule.applies {
        return format!("the weight is 0 (bucket {}{drawn})", rule.bucket);
    }
    // The weight has at most two decimals, so this is a whole number but for the rounding of floats.
    let below = (weight.as_f64().unwrap_or_default() * 100.0).round();
    let place = if f64::from(rule.bucket) < below {
        "is below"
    } else {
        "is not below"
    };
    format!(
        "{}: bucket {} {place} {below}, the candidate's {weight} %{drawn}",
        rule.slot, rule.bucket
    )
}

fn active(explanation: &Explanation) -> String {
    let rule = &explanation.active;
    if rule.applies {
        format!("{}: no new call goes to the candidate", rule.slot)
    } else {
        format!("the weight is {} %", explanation.weighted.weight)
    }
}

#[cfg(test)]
mod tests;
