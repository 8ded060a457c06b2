//! What the answers mean: no more than a judgement of each.

mod replicas;

use std::time::Duration;

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};

use super::Check;
use super::probe::{Answer, Asked};
use crate::cli::api::{Environments, Preflight, Tokens};

pub(super) use replicas::{alarms, peers, replica, store_reads, store_writes};

/// How long before its end something expires soon.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);
/// How far a clock may be off before changes, tokens and freeze windows are noticeably dated wrong.
const CLOCKS_APART: i64 = 5;
/// Name of the check of validated answers.
pub(super) const VALIDATION: &str = "no-cache";
/// Name of the check of access to Genesys Cloud.
pub(super) const GENESYS: &str = "access to Genesys Cloud";

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
