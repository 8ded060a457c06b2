//! Compares what a decision costs in traffic-cop and in a bare axum server that does nothing, on this machine, now.
//!
//! Reading order: `request`, `connection` and `generator` make the load; `server`, `store` and `traffic_cop` run what is
//! measured; `throughput` (by way of `bench`), `validated`, `trickle`, `dashboards`, `overload`, `peers` and `instructions` measure;
//! `bars` judges.

mod answer;
mod bars;
mod bench;
mod connection;
mod cores;
mod dashboards;
mod generator;
mod instructions;
mod overload;
mod peers;
mod request;
mod server;
mod statistics;
mod store;
mod throughput;
mod traffic_cop;
mod trickle;
mod validated;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Parser, ValueEnum};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use crate::bars::{Bar, Judged};
use crate::cores::Cores;
use crate::server::{Kind, Subject};

/// Compares traffic-cop's cost per decision with a bare axum server's. Exits with 1 if a bar is missed, with 2 if the comparison
/// itself failed.
#[derive(Debug, Parser)]
struct Options {
    /// What to measure.
    #[arg(value_enum, default_value_t = What::All)]
    what: What,
    /// The service's executable [default: traffic-cop beside this program]
    #[arg(long)]
    traffic_cop: Option<PathBuf>,
    /// The reference's executable [default: bare-axum beside this program]
    #[arg(long)]
    bare_axum: Option<PathBuf>,
    /// Executable of nginx, for `peers`.
    #[arg(long)]
    nginx: Option<PathBuf>,
    /// Executable of flagd, for `peers`.
    #[arg(long)]
    flagd: Option<PathBuf>,
    /// Compare the reference with itself and judge nothing: shows how much this machine's figures vary.
    #[arg(long)]
    against_itself: bool,
    /// Keep-alive connections that ask at the same time.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..))]
    connections: u64,
    /// Timed pairs, each with new processes.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(5..))]
    pairs: u32,
    /// Measured load on each server of a pair, in seconds.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Load on each new server before anything is measured, in seconds.
    #[arg(long, default_value_t = 1)]
    warm_up_seconds: u64,
    /// How often instructions are counted.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    repeats: u32,
    /// Requests of the shorter count.
    #[arg(long, default_value_t = 2_000)]
    low_requests: u64,
    /// Requests of the longer count.
    #[arg(long, default_value_t = 6_000)]
    high_requests: u64,
    /// Keep Callgrind's profiles in this directory, for callgrind_annotate.
    #[arg(long, value_name = "DIRECTORY")]
    keep_profiles: Option<PathBuf>,
    /// Write everything measured to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// The next five.
    All,
    /// User instructions per request; needs valgrind.
    Instructions,
    /// Requests per second, CPU time per request, latency.
    Throughput,
    /// What a proof of each answer adds.
    Validated,
    /// How much longer than a read of the store a proved answer takes at 20 calls a second.
    Trickle,
    /// What twenty open dashboards do to those who call.
    Dashboards,
    /// What ten times the calls do that the server can take; wants a slow server.
    Overload,
    /// What others cost who split calls or evaluate a flag; judges nothing.
    Peers,
}

impl What {
    fn includes(self, part: Self) -> bool {
        self == part || (self == Self::All && !matches!(part, Self::Overload | Self::Peers))
    }
}

/// All that was measured; what was not is null.
#[derive(Debug, Serialize)]
struct Report {
    instructions: Option<instructions::Report>,
    throughput: Option<throughput::Report>,
    validated: Option<validated::Report>,
    trickle: Option<trickle::Report>,
    dashboards: Option<dashboards::Report>,
    overload: Option<overload::Report>,
    peers: Option<Vec<peers::Row>>,
}

impl Report {
    fn bars(&self) -> impl Iterator<Item = &Bar> {
        let instructions = self.instructions.iter().flat_map(|report| &report.bars);
        let throughput = self.throughput.iter().flat_map(|report| &report.bars);
        let validated = self.validated.iter().flat_map(|report| &report.bars);
        let trickle = self.trickle.iter().flat_map(|report| &report.bars);
        let dashboards = self.dashboards.iter().flat_map(|report| &report.bars);
        let overload = self.overload.iter().flat_map(|report| &report.bars);
        instructions
            .chain(throughput)
            .chain(validated)
            .chain(trickle)
            .chain(dashboards)
            .chain(overload)
    }
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("side-by-side: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Measures, reports, and tells whether every bar that was judged is met.
fn run(options: &Options) -> anyhow::Result<bool> {
    let cores = Cores::pick()?;
    cores::pin_this_thread(cores.generator)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let report = runtime.block_on(async {
        // Dropping the measurement ends the servers it has started, paused ones included.
        tokio::select! {
            report = measure(options, cores) => report,
            interrupted = interrupted() => interrupted,
        }
    })?;
    println!("Ratios, median (least–most):");
    for bar in report.bars() {
        println!("{}", bar.line());
    }
    if let Some(path) = &options.json {
        let text = serde_json::to_vec_pretty(&report).context("cannot write the report as JSON")?;
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(report.bars().all(|bar| bar.passed != Some(false)))
}

/// Waits for the signals that ask this program to end; gives only errors.
async fn interrupted() -> anyhow::Result<Report> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot watch for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot watch for SIGTERM")?;
    tokio::select! {
        _ = interrupt.recv() => bail!("interrupted"),
        _ = terminate.recv() => bail!("told to end"),
    }
}

async fn measure(options: &Options, cores: Cores) -> anyhow::Result<Report> {
    let (reference, candidate, judged) = subjects(options)?;
    let mut report = Report {
        instructions: None,
        throughput: None,
        validated: None,
        trickle: None,
        dashboards: None,
        overload: None,
        peers: None,
    };
    let plan = throughput::Plan {
        pairs: options.pairs,
        warm_up: Duration::from_secs(options.warm_up_seconds),
        duration: Duration::from_secs(options.seconds),
    };
    if options.what.includes(What::Instructions) {
        let plan = instructions::Plan {
            repeats: options.repeats,
            low: options.low_requests,
            high: options.high_requests,
            connections: options.connections,
            keep_profiles: options.keep_profiles.clone(),
        };
        report.instructions =
            Some(instructions::compare(&reference, &candidate, cores, &plan, judged).await?);
    }
    if options.what.includes(What::Throughput) {
        let compared = throughput::compare(
            &reference,
            &candidate,
            cores,
            plan,
            options.connections,
            judged,
        );
        report.throughput = Some(compared.await?);
    }
    if options.what.includes(What::Validated) && !options.against_itself {
        report.validated = Some(validated::compare(&candidate, cores, plan).await?);
    }
    if options.what.includes(What::Trickle) && !options.against_itself {
        report.trickle = Some(trickle::measure(&reference, &candidate, cores).await?);
    }
    if options.what.includes(What::Dashboards) && !options.against_itself {
        report.dashboards = Some(dashboards::compare(&candidate, cores, plan).await?);
    }
    if options.what.includes(What::Overload) && !options.against_itself {
        report.overload = Some(overload::measure(&candidate, cores).await?);
    }
    if options.what.includes(What::Peers) && !options.against_itself {
        let subjects = [
            Some(candidate),
            peer("nginx split_clients", Kind::Nginx, &options.nginx),
            peer("flagd", Kind::Flagd, &options.flagd),
        ];
        let subjects: Vec<_> = subjects.into_iter().flatten().collect();
        let rows = peers::compare(&reference, &subjects, cores, plan, options.connections);
        report.peers = Some(rows.await?);
    }
    Ok(report)
}

/// One of the others, if its executable is known.
fn peer(name: &'static str, kind: Kind, binary: &Option<PathBuf>) -> Option<Subject> {
    let Some(binary) = binary.clone() else {
        println!("{name}: left out, its executable is not named");
        return None;
    };
    Some(Subject { name, kind, binary })
}

/// The reference, what is compared with it, and whether the bars apply.
fn subjects(options: &Options) -> anyhow::Result<(Subject, Subject, Judged)> {
    let this = std::env::current_exe().context("cannot find this program's own path")?;
    let beside = |given: &Option<PathBuf>, name: &str| {
        given.clone().unwrap_or_else(|| this.with_file_name(name))
    };
    let binary = beside(&options.bare_axum, "bare-axum");
    let reference = Subject {
        name: "bare axum",
        kind: Kind::BareAxum,
        binary,
    };
    if options.against_itself {
        let candidate = reference.called("bare axum again");
        return Ok((reference, candidate, Judged::No));
    }
    let binary = beside(&options.traffic_cop, "traffic-cop");
    Ok((
        reference,
        Subject {
            name: "traffic-cop",
            kind: Kind::TrafficCop,
            binary,
        },
        Judged::Yes,
    ))
}
