//! One server of a pair: up all the time, under load only in its own slices, and paused between them.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::cores::Cores;
use crate::dashboards::Dashboard;
use crate::generator::{Generator, Load, Pace, Spell};
use crate::server::Server;
use crate::statistics::Latency;
use crate::throughput::Side;

/// One slice of load; then the server answers what is still under way and is paused.
pub(crate) const SLICE: Duration = Duration::from_millis(50);
/// The same of load at a fixed rate, which takes longer to become steady.
const OPEN_SLICE: Duration = Duration::from_millis(250);

/// What one server did in one pair.
#[derive(Debug, Serialize)]
pub(crate) struct Run {
    /// Its name.
    pub(crate) server: &'static str,
    /// Answered requests.
    pub(crate) requests: usize,
    /// Answered requests by time of load.
    pub(crate) requests_per_second: f64,
    /// CPU time by answered requests, in microseconds.
    pub(crate) cpu_us_per_request: f64,
    /// From sending a request to having its answer.
    pub(crate) latency: Latency,
    /// Share of the answers that were proved.
    pub(crate) proved: f64,
    /// Share of its core that the server used.
    pub(crate) server_busy: f64,
    /// Share of its core that the load generator used.
    pub(crate) generator_busy: f64,
}

/// A running server, paused except during its own slices, with the connections to it.
pub(crate) struct Bench {
    name: &'static str,
    server: Server,
    generator: Generator,
    dashboards: Vec<Dashboard>,
    slice: Duration,
    sums: Sums,
}

/// What the slices so far add up to.
#[derive(Default)]
struct Sums {
    wall: Duration,
    server_cpu: Duration,
    generator_cpu: Duration,
    spell: Spell,
}

impl Bench {
    /// Starts a server, keeps it under load for `warm_up` and pauses it.
    pub(crate) async fn set_up(
        Side {
            subject,
            load,
            dashboards,
        }: &Side,
        cores: Cores,
        warm_up: Duration,
    ) -> anyhow::Result<Self> {
        let server = subject.start(cores, &[]).await.context(subject.name)?;
        let dashboards = Dashboard::open(&server, *dashboards).context(subject.name)?;
        let mut generator = Generator::connect(&server.target(*load))
            .await
            .context(subject.name)?;
        generator.run_for(warm_up).await.context(subject.name)?;
        server.pause()?;
        Ok(Self {
            name: subject.name,
            server,
            generator,
            dashboards,
            slice: slice_of(*load),
            sums: Sums::default(),
        })
    }

    /// Measures one slice.
    pub(crate) async fn slice(&mut self) -> anyhow::Result<()> {
        let (began, server_cpu, generator_cpu) =
            (Instant::now(), self.server.cpu_time()?, own_cpu_time()?);
        self.server.resume()?;
        let spell = self
            .generator
            .run_for(self.slice)
            .await
            .context(self.name)?;
        self.server.pause()?;
        self.sums.wall += began.elapsed();
        self.sums.server_cpu += self.server.cpu_time()? - server_cpu;
        self.sums.generator_cpu += own_cpu_time()? - generator_cpu;
        self.sums.spell.proved += spell.proved;
        self.sums.spell.latencies_ns.extend(spell.latencies_ns);
        Ok(())
    }

    /// Load measured so far.
    pub(crate) fn measured(&self) -> Duration {
        self.sums.wall
    }

    /// Stops the server and tells what it did.
    pub(crate) async fn finish(self) -> anyhow::Result<Run> {
        // The connections go first: a server may wait for them before it ends.
        drop((self.generator, self.dashboards));
        self.server.stop().await.context(self.name)?;
        let Sums {
            wall,
            server_cpu,
            generator_cpu,
            spell: Spell {
                latencies_ns,
                proved,
            },
        } = self.sums;
        let requests = latencies_ns.len();
        Ok(Run {
            server: self.name,
            requests,
            requests_per_second: requests as f64 / wall.as_secs_f64(),
            cpu_us_per_request: server_cpu.as_secs_f64() * 1e6 / requests as f64,
            latency: Latency::of(latencies_ns),
            proved: proved as f64 / requests as f64,
            server_busy: server_cpu.as_secs_f64() / wall.as_secs_f64(),
            generator_busy: generator_cpu.as_secs_f64() / wall.as_secs_f64(),
        })
    }
}

fn slice_of(load: Load) -> Duration {
    match load.pace {
        Pace::Closed => SLICE,
        Pace::Open(_) => OPEN_SLICE,
    }
}

fn own_cpu_time() -> anyhow::Result<Duration> {
    let time = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)
        .context("cannot read the own CPU clock")?;
    Ok(time.into())
}
