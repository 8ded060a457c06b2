//! User instructions per request, counted by Valgrind's Callgrind.
//!
//! Hardware counters are missing on many virtual machines; Callgrind counts everywhere and hardly varies. Each server runs
//! twice, with a low and a high number of requests, and the difference in instructions is divided by the difference in requests:
//! start-up, connection set-up and shutdown cancel. Both runs stay up equally long, so work on timers cancels too: Valgrind slows
//! requests down far more than timers, and would otherwise charge each request for many times its share of background work.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::Serialize;

use crate::bars::{self, Bar, Judged};
use crate::cores::Cores;
use crate::generator::{Generator, Load};
use crate::server::Subject;
use crate::statistics::Spread;

/// How to count.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// How often each server is measured.
    pub(crate) repeats: u32,
    /// Requests of the run with few.
    pub(crate) low: u64,
    /// Requests of the run with many.
    pub(crate) high: u64,
    /// Connections that ask at the same time.
    pub(crate) connections: u64,
    /// Where Callgrind's profiles stay; without it they are removed.
    pub(crate) keep_profiles: Option<PathBuf>,
}

/// All counts.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    repeats: Vec<Repeat>,
    /// Instructions against the reference, repeat by repeat.
    pub(crate) bars: [Bar; 1],
}

/// Both servers counted once, in user instructions per request.
#[derive(Debug, Serialize)]
struct Repeat {
    reference: f64,
    candidate: f64,
}

/// Counts both and prints a row for each count.
pub(crate) async fn compare(
    reference: &Subject,
    candidate: &Subject,
    cores: Cores,
    plan: &Plan,
    judged: Judged,
) -> anyhow::Result<Report> {
    ensure!(
        plan.low < plan.high,
        "the low number of requests must be below the high one"
    );
    println!(
        "User instructions per request: Callgrind, {} requests less {}",
        plan.high, plan.low
    );
    let mut repeats = Vec::new();
    for number in 1..=plan.repeats {
        let reference = count(reference, cores, plan, &format!("{number}-reference")).await?;
        repeats.push(Repeat {
            reference,
            candidate: count(candidate, cores, plan, &format!("{number}-candidate")).await?,
        });
    }
    let ratio = Spread::of(
        repeats
            .iter()
            .map(|repeat| repeat.candidate / repeat.reference),
    );
    Ok(Report {
        repeats,
        bars: [Bar::new(
            "user instructions / bare axum",
            ratio,
            bars::INSTRUCTIONS,
            judged,
        )],
    })
}

async fn count(subject: &Subject, cores: Cores, plan: &Plan, name: &str) -> anyhow::Result<f64> {
    let scratch = tempfile::tempdir().context("cannot make a temporary directory")?;
    let directory = plan.keep_profiles.as_deref().unwrap_or(scratch.path());
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    let profile = |requests: u64| directory.join(format!("callgrind.out.{name}-{requests}"));
    let run = async |requests, at_least| {
        profiled(
            subject,
            cores,
            plan.connections,
            requests,
            at_least,
            &profile(requests),
        )
        .await
        .context(subject.name)
    };
    let (many, up) = run(plan.high, Duration::ZERO).await?;
    let (few, _) = run(plan.low, up).await?;
    let per_request = (many as f64 - few as f64) / (plan.high - plan.low) as f64;
    println!("{:<18} {per_request:>10.0}", subject.name);
    Ok(per_request)
}

/// One run under Callgrind: the instructions of the whole process, and how long it was under load or, to make up
/// `at_least`, idle.
async fn profiled(
    subject: &Subject,
    cores: Cores,
    connections: u64,
    requests: u64,
    at_least: Duration,
    profile: &Path,
) -> anyhow::Result<(u64, Duration)> {
    let wrapper = [
        "valgrind",
        "--tool=callgrind",
        &format!("--callgrind-out-file={}", profile.display()),
    ];
    let server = subject.start(cores, &wrapper.map(str::to_owned)).await?;
    let target = server.target(Load::closed(connections));
    let began = Instant::now();
    Generator::connect(&target)
        .await?
        .run_count(requests)
        .await?;
    tokio::time::sleep(at_least.saturating_sub(began.elapsed())).await;
    let up = began.elapsed();
    server.stop().await?;
    let text = fs::read_to_string(profile)
        .with_context(|| format!("cannot read {}", profile.display()))?;
    Ok((
        total(&text).with_context(|| format!("no totals in {}", profile.display()))?,
        up,
    ))
}

/// The instructions of a whole profile: its line `totals:`.
fn total(profile: &str) -> Option<u64> {
    profile
        .lines()
        .find_map(|line| line.strip_prefix("totals:"))?
        .trim()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_a_profile_is_found() {
        assert_eq!(
            total("events: Ir\nfn=(1)\n1 5\n\ntotals: 123456\n"),
            Some(123_456)
        );
        assert_eq!(total("events: Ir\n"), None);
    }
}
