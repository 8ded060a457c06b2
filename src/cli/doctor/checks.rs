//! What the answers mean: no more than a judgement of each.

use std::time::Duration;

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::Check;
use super::probe::{Answer, Asked};
use crate::cli::api::{Environments, Preflight, ReplicaState, Replicas, Tokens};

/// How long before its end something expires soon.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);
/// How far a clock may be off before changes, tokens and freeze windows are noticeably dated wrong.
const CLOCKS_APART: i64 = 5;
/// A read of the store that takes longer is far from it, or slow.
const SLOW_READ: Duration = Duration::from_millis(50);
/// A heartbeat is written every two seconds.
const OLD_HEARTBEAT_MS: u64 = 6_000;

/// Name of the check of validated answers.
pub(super) const VALIDATION: &str = "no-cache";
/// Name of the check of access to Genesys Cloud.
pub(super) const GENESYS: &str = "access to Genesys Cloud";

/// The health of a replica, as far as it is looked at.
#[derive(Debug, Deserialize)]
struct Health {
    replica: String,
    ready: bool,
    source: Option<String>,
    store: Store,
    #[serde(default)]
    faults: Vec<Fault>,
    #[serde(default)]
    alarms: Vec<Alarm>,
}

#[derive(Debug, Deserialize)]
struct Store {
    journal_fault: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Fault {
    aggregate: String,
    why: String,
}

#[derive(Debug, Deserialize)]
struct Alarm {
    condition: String,
    why: String,
}

/// Why an answer is none that can be judged, as a check.
fn unanswered(name: &'static str, answer: &Answer) -> Check {
    match answer {
        Err(why) => Check::failed(
            name,
            why.clone(),
            "is the server running, and the URL right?",
        ),
        Ok(Asked { status, .. }) if is_refusal(*status) => Check::skipped(
            name,
            format!("the token may not look at this ({})", status.as_u16()),
        ),
        Ok(Asked { status, body, .. }) => {
            let detail = body["detail"].as_str().unwrap_or("no problem document");
            let fix = "see the problem, and the log of the server";
            Check::failed(name, format!("answered {}: {detail}", status.as_u16()), fix)
        }
    }
}

fn is_refusal(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1_000.0)
}

/// Whether the admin listener answers.
pub(super) fn admin(answer: &Answer) -> Check {
    let name = "admin listener";
    match answer {
        Ok(asked) if asked.status.is_success() => {
            Check::ok(name, format!("answers within {}", milliseconds(asked.took)))
        }
        Err(why) => Check::failed(
            name,
            why.clone(),
            "start `traffic-cop serve`, or name it with --server",
        ),
        other => unanswered(name, other),
    }
}

/// Whether the decisions listener answers, and wants calls.
pub(super) fn decisions(answer: &Answer) -> Check {
    let name = "decisions listener";
    match answer {
        Ok(asked) if asked.status.is_success() => {
            let took = milliseconds(asked.took);
            Check::ok(name, format!("ready for calls, answers within {took}"))
        }
        Err(why) => {
            let fix = "start `traffic-cop serve`, or name it with --decisions-server";
            Check::failed(name, why.clone(), fix)
        }
        other => unanswered(name, other),
    }
}

/// Whether the two clocks are together.
pub(super) fn clock(answer: &Answer) -> Check {
    let name = "clock";
    let Some(ahead) = answer.as_ref().ok().and_then(|asked| asked.ahead) else {
        return Check::skipped(name, "the server does not say what time it is");
    };
    if ahead.abs() <= CLOCKS_APART {
        return Check::ok(
            name,
            "that of the server and that of this host are together",
        );
    }
    let apart = ahead.abs();
    let where_to = if ahead > 0 { "ahead of" } else { "behind" };
    Check::warning(
        name,
        format!("that of the server is {apart} s {where_to} that of this host"),
        "synchronise both with NTP (on AWS: the Amazon Time Sync Service)",
    )
}

/// Whether a certificate holds on for a while.
pub(super) fn certificate(name: &'static str, answer: &Answer, now: Timestamp) -> Check {
    let asked = match answer {
        Ok(asked) if asked.is_encrypted => asked,
        Ok(_) => {
            return Check::skipped(
                name,
                "it speaks plain HTTP, as on this host or behind a balancer",
            );
        }
        Err(_) => return Check::skipped(name, "there is no answer"),
    };
    let Some(end) = asked.not_after else {
        return Check::skipped(name, "it cannot be read");
    };
    let detail = format!("valid until {end}");
    if end.duration_since(now) > SOON {
        return Check::ok(name, detail);
    }
    Check::warning(
        name,
        detail,
        "renew it; the service takes the new files by itself",
    )
}

/// Whether the replica answers calls from the journal.
pub(super) fn replica(health: &Answer) -> Check {
    let name = "replica";
    let Some(found) = health.as_ref().ok().and_then(Asked::read::<Health>) else {
        return unanswered(name, health);
    };
    let source = found.source.as_deref().unwrap_or("nothing");
    let fix = "see docs/operations.md, Before an outage";
    if let Some(fault) = found.store.journal_fault {
        return Check::failed(
            name,
            format!("the journal is refused: {fault}"),
            "see docs/operations.md, Alarms",
        );
    }
    if let Some(fault) = found.faults.first() {
        let detail = format!(
            "{} is not served as written: {}",
            fault.aggregate, fault.why
        );
        return Check::failed(
            name,
            detail,
            "roll back or repair it; see docs/operations.md",
        );
    }
    match (found.ready, source) {
        (true, "live") => Check::ok(
            name,
            format!("{} answers calls from the journal", found.replica),
        ),
        (true, source) => Check::failed(
            name,
            format!("calls are answered from {source}, without the store"),
            fix,
        ),
        (false, _) => Check::failed(name, "it is not ready for calls", fix),
    }
}

/// A line for each alarm.
pub(super) fn alarms(health: &Answer) -> Vec<Check> {
    let name = "alarms";
    let Some(found) = health.as_ref().ok().and_then(Asked::read::<Health>) else {
        return vec![Check::skipped(
            name,
            "the replica's health cannot be looked at",
        )];
    };
    if found.alarms.is_empty() {
        return vec![Check::ok(name, "none is raised")];
    }
    let alarms = found.alarms.into_iter().map(|alarm| {
        let fix = format!("see {} in docs/operations.md, Alarms", alarm.condition);
        Check::failed(name, format!("{}: {}", alarm.condition, alarm.why), fix)
    });
    alarms.collect()
}

/// Whether the store is read, and how long that takes beside an answer that needs no store.
pub(super) fn store_reads(environments: &Answer, without: Duration) -> Check {
    let name = "reads of the store";
    let Ok(asked) = environments else {
        return unanswered(name, environments);
    };
    let Some(found) = asked.read::<Environments>() else {
        return unanswered(name, environments);
    };
    if found.stale {
        return Check::failed(
            name,
            "the store does not answer the server, which answers from memory",
            "look at DynamoDB, the network and the credentials; the server's log has the error",
        );
    }
    let took = asked.took.saturating_sub(without);
    let detail = format!("a consistent read takes about {}", milliseconds(took));
    if took <= SLOW_READ {
        return Check::ok(name, detail);
    }
    Check::warning(
        name,
        detail,
        "run the server in the Region of the tables; changes and no-cache wait for such reads",
    )
}

/// Whether the server may write, by what it writes anyway.
pub(super) fn store_writes(health: &Answer, replicas: &Answer) -> Check {
    let name = "writes to the store";
    let known = health.as_ref().ok().and_then(Asked::read::<Health>);
    let list = replicas.as_ref().ok().and_then(Asked::read::<Replicas>);
    let (Some(health), Some(list)) = (known, list) else {
        return unanswered(name, replicas);
    };
    let own = list
        .replicas
        .iter()
        .find(|one| one.replica == health.replica);
    match own {
        Some(own) if own.age_ms <= OLD_HEARTBEAT_MS => Check::ok(
            name,
            "heartbeats are written to the evidence table; the control table is written by the next change and was not tried",
        ),
        Some(own) => Check::failed(
            name,
            format!("the last heartbeat is {} s old", own.age_ms / 1_000),
            "the server needs PutItem on the evidence table; see docs/operations.md, Least privilege",
        ),
        None => Check::failed(
            name,
            "the server has written no heartbeat",
            "the server needs PutItem and Query on the evidence table; see docs/operations.md, Least privilege",
        ),
    }
}

/// Whether every replica follows, with one version of the program.
pub(super) fn peers(replicas: &Answer) -> Check {
    let name = "replicas";
    let Some(found) = replicas.as_ref().ok().and_then(Asked::read::<Replicas>) else {
        return unanswered(name, replicas);
    };
    let of = |is: fn(&ReplicaState) -> bool| {
        let found = found.replicas.iter().filter(|one| is(one));
        found.map(|one| one.replica.as_str()).collect::<Vec<_>>()
    };
    let (live, silent) = (of(|one| one.live), of(|one| !one.live));
    let behind = of(|one| one.live && one.lag > 0);
    let mut versions: Vec<_> = found
        .replicas
        .iter()
        .filter(|one| one.live)
        .map(|one| &one.version)
        .collect();
    versions.sort();
    versions.dedup();
    let count = live.len();
    if !silent.is_empty() {
        let detail = format!("{count} live; silent: {}", silent.join(", "));
        return Check::warning(
            name,
            detail,
            "each was killed, or is cut off and answers calls by what it knew",
        );
    }
    if !behind.is_empty() {
        let detail = format!("{count} live; behind: {}", behind.join(", "));
        return Check::warning(name, detail, "look again in a moment; then at their logs");
    }
    if versions.len() > 1 {
        let detail = format!("{count} live, of {} versions", versions.len());
        return Check::warning(name, detail, "finish the upgrade");
    }
    Check::ok(name, format!("{count} live, and none behind"))
}

/// The first environment that may be read.
pub(super) fn first_environment(environments: &Answer) -> Option<String> {
    let found: Environments = environments.as_ref().ok()?.read()?;
    Some(found.environments.first()?.environment.clone())
}

/// Whether answers are proved to be the latest within the budget.
pub(super) fn validation(answers: &[Answer]) -> Check {
    let good: Vec<_> = answers
        .iter()
        .flatten()
        .filter(|asked| asked.status.is_success())
        .collect();
    let Some(shortest) = good.iter().map(|asked| asked.took).min() else {
        return match answers.first() {
            Some(answer) => unanswered(VALIDATION, answer),
            None => Check::skipped(VALIDATION, "nothing was asked"),
        };
    };
    let validated = good
        .iter()
        .filter(|asked| asked.body["Source"] == "validated")
        .count();
    let detail = format!(
        "{validated} of {} answers were proved to be the latest; the quickest took {}",
        good.len(),
        milliseconds(shortest)
    );
    let fix = "bring the server nearer to the tables, or raise --validation-budget-ms; callers are answered from memory meanwhile";
    match validated {
        0 => Check::failed(VALIDATION, detail, fix),
        _ if validated < good.len() => Check::warning(VALIDATION, detail, fix),
        _ => Check::ok(VALIDATION, detail),
    }
}

/// Whether tokens end soon.
pub(super) fn tokens(answer: &Answer, now: Timestamp) -> Check {
    let name = "tokens";
    let Some(found) = answer.as_ref().ok().and_then(Asked::read::<Tokens>) else {
        return unanswered(name, answer);
    };
    let ending = found.tokens.iter().filter_map(|token| {
        let end: Timestamp = token.expires_at.as_ref()?.parse().ok()?;
        let left = end.duration_since(now);
        let told = if left.is_negative() {
            "has expired"
        } else {
            "expires"
        };
        (left < SOON).then(|| format!("{} {told} on {end}", token.name))
    });
    let ending: Vec<_> = ending.collect();
    if ending.is_empty() {
        let count = found.tokens.len();
        return Check::ok(name, format!("{count}, and none expires within two weeks"));
    }
    let fix = "token rotate gives one another text and another end; token revoke removes it";
    Check::warning(name, ending.join("; "), fix)
}

/// Whether Genesys Cloud lets the server look at flows.
pub(super) fn genesys(answer: &Answer) -> Check {
    let Some(found) = answer.as_ref().ok().and_then(Asked::read::<Preflight>) else {
        return match answer {
            // The candidate holds nothing to look at.
            Ok(asked) if asked.status == StatusCode::CONFLICT => Check::skipped(
                GENESYS,
                "the candidate holds no version to look at; name another --environment",
            ),
            other => unanswered(GENESYS, other),
        };
    };
    let because = found.because.unwrap_or_default();
    match found.outcome.as_str() {
        "fit" => Check::ok(
            GENESYS,
            format!("it answers; {} is fit to get callers", found.flow.name),
        ),
        "unfit" => {
            let found_out: Vec<_> = found
                .findings
                .iter()
                .map(|one| one.detail.as_str())
                .collect();
            let detail = format!("it answers; {}: {}", found.flow.name, found_out.join("; "));
            Check::warning(GENESYS, detail, "see docs/operations.md, Preflight")
        }
        "skipped" => Check::skipped(GENESYS, because),
        _ => Check::failed(
            GENESYS,
            because,
            "see docs/operations.md, Preflight and Analytics",
        ),
    }
}

#[cfg(test)]
mod tests;
