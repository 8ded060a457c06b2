//! Requests per second, CPU time per request and latency, in alternation.
//!
//! On shared hardware a core's speed changes by a quarter within a second. So a pair is not one run after the other: both
//! servers are up on the same core, and load goes to one and the other in turn, in slices that are short against those
//! changes. The one that is not asked is paused, so that its background work takes no time from the other. A pair's figures
//! are the sums over its slices. Each pair has new processes, so that no process's luck with its memory layout lasts.

use std::time::Duration;

use serde::Serialize;

use crate::bars::{self, Bar, Judged};
use crate::bench::{Bench, Run, SLICE};
use crate::cores::Cores;
use crate::generator::Load;
use crate::server::Subject;
use crate::statistics::{Latency, Spread};

/// Below this share of its core a server was not what limited the run.
const FULL: f64 = 0.95;

/// How to measure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// How many pairs.
    pub(crate) pairs: u32,
    /// Load on each new server before anything is measured.
    pub(crate) warm_up: Duration,
    /// Measured load on each server of a pair, in all.
    pub(crate) duration: Duration,
}

/// One side of a comparison.
#[derive(Debug, Clone)]
pub(crate) struct Side {
    /// Who is asked.
    pub(crate) subject: Subject,
    /// What, and how often.
    pub(crate) load: Load,
    /// How many people look on.
    pub(crate) dashboards: usize,
}

impl Side {
    /// One that nobody looks at.
    pub(crate) fn new(subject: &Subject, load: Load) -> Self {
        Self {
            subject: subject.clone(),
            load,
            dashboards: 0,
        }
    }
}

/// All measurements.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pairs: Vec<Pair>,
    /// CPU and throughput against the reference, pair by pair.
    pub(crate) bars: [Bar; 2],
}

/// Both servers in the same stretch of time.
#[derive(Debug, Serialize)]
pub(crate) struct Pair {
    /// What is compared with.
    pub(crate) reference: Run,
    /// What is judged.
    pub(crate) candidate: Run,
}

/// Measures how much both servers take.
pub(crate) async fn compare(
    reference: &Subject,
    candidate: &Subject,
    cores: Cores,
    plan: Plan,
    connections: u64,
    judged: Judged,
) -> anyhow::Result<Report> {
    println!(
        "Throughput: {connections} connections in slices of {SLICE:?}, servers on core {}, load on core {}",
        cores.server, cores.generator
    );
    let [reference, candidate] =
        [reference, candidate].map(|subject| Side::new(subject, Load::closed(connections)));
    let pairs = pairs(&reference, &candidate, cores, plan).await?;
    let ratio = |figure: fn(&Run) -> f64| {
        Spread::of(
            pairs
                .iter()
                .map(|p| figure(&p.candidate) / figure(&p.reference)),
        )
    };
    let cpu = ratio(|run| run.cpu_us_per_request);
    let throughput = ratio(|run| run.requests_per_second);
    let bars = [
        Bar::new("CPU per request / bare axum", cpu, bars::CPU, judged),
        Bar::new(
            "throughput / bare axum",
            throughput,
            bars::THROUGHPUT,
            judged,
        ),
    ];
    Ok(Report { pairs, bars })
}

/// Measures pair by pair and prints a row for each server, and then the medians.
pub(crate) async fn pairs(
    reference: &Side,
    candidate: &Side,
    cores: Cores,
    plan: Plan,
) -> anyhow::Result<Vec<Pair>> {
    println!(
        "{:<18} {:>10} {:>8} {:>8} {:>8} {:>8} {:>9} {:>9} {:>7} {:>7}",
        "server",
        "req/s",
        "CPU µs",
        "p50 µs",
        "p90 µs",
        "p99 µs",
        "p99.9 µs",
        "max µs",
        "busy",
        "load"
    );
    let mut pairs = Vec::new();
    for number in 0..plan.pairs {
        // Whatever the order of set-up does to a process, such as where its memory lies, falls on both sides.
        let pair = if number.is_multiple_of(2) {
            let (reference, candidate) = measure(reference, candidate, cores, plan).await?;
            Pair {
                reference,
                candidate,
            }
        } else {
            let (candidate, reference) = measure(candidate, reference, cores, plan).await?;
            Pair {
                reference,
                candidate,
            }
        };
        print_row(&pair.reference);
        print_row(&pair.candidate);
        pairs.push(pair);
    }
    print_medians(&pairs);
    Ok(pairs)
}

/// Sets both up, the `first` first, and gives each its slices.
async fn measure(
    first: &Side,
    second: &Side,
    cores: Cores,
    plan: Plan,
) -> anyhow::Result<(Run, Run)> {
    let mut first = Bench::set_up(first, cores, plan.warm_up).await?;
    let mut second = Bench::set_up(second, cores, plan.warm_up).await?;
    while first.measured() < plan.duration {
        // Whoever comes second comes first the next time, so that a steady drift in speed favours neither.
        first.slice().await?;
        second.slice().await?;
        second.slice().await?;
        first.slice().await?;
    }
    Ok((first.finish().await?, second.finish().await?))
}

fn print_row(run: &Run) {
    let Latency {
        p50_us,
        p90_us,
        p99_us,
        p999_us,
        max_us,
    } = run.latency;
    let note = if run.server_busy < FULL {
        "  server's core not full"
    } else {
        ""
    };
    println!(
        "{:<18} {:>10.0} {:>8.2} {p50_us:>8.0} {p90_us:>8.0} {p99_us:>8.0} {p999_us:>9.0} {max_us:>9.0} {:>6.1}% {:>6.1}%{note}",
        run.server,
        run.requests_per_second,
        run.cpu_us_per_request,
        run.server_busy * 100.0,
        run.generator_busy * 100.0
    );
}

fn print_medians(pairs: &[Pair]) {
    println!("Medians of {} pairs (least–most):", pairs.len());
    for side in [(|pair| &pair.reference) as fn(&Pair) -> &Run, |pair| {
        &pair.candidate
    }] {
        let of = |figure: fn(&Run) -> f64| Spread::of(pairs.iter().map(side).map(figure));
        let (rate, cpu) = (
            of(|run| run.requests_per_second),
            of(|run| run.cpu_us_per_request),
        );
        let (p50, p99) = (of(|run| run.latency.p50_us), of(|run| run.latency.p99_us));
        println!(
            "{:<18} {:.0} req/s ({:.0}–{:.0}), CPU {:.2} µs ({:.2}–{:.2}), p50 {:.0} µs, p99 {:.0} µs ({:.0}–{:.0})",
            pairs.first().map_or("", |pair| side(pair).server),
            rate.median,
            rate.min,
            rate.max,
            cpu.median,
            cpu.min,
            cpu.max,
            p50.median,
            p99.median,
            p99.min,
            p99.max
        );
    }
}
