//! What it costs that an answer is proved: decisions with `Cache-Control: no-cache` against plain ones, both of traffic-cop, at
//! the same rate.
//!
//! The rate is fixed, since proofs are shared by the calls that come meanwhile: what matters is how many reads of the store a
//! second of calls takes. The store is a process of its own, on the load's core.
//!
//! What it costs where nothing is shared is measured in [`crate::trickle`].

use serde::Serialize;

use crate::bars::{self, Bar, Judged};
use crate::cores::Cores;
use crate::generator::Load;
use crate::request::Freshness;
use crate::server::Subject;
use crate::statistics::Spread;
use crate::throughput::{self, Pair, Plan, Side};

/// Calls a second: several times what the largest contact centres have.
const RATE: f64 = 5_000.0;
/// Enough that each has its answer long before its next call is due.
const CONNECTIONS: u64 = 256;

/// All measurements.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pairs: Vec<Pair>,
    /// CPU against plain decisions, pair by pair; the share of answers that are proved.
    pub(crate) bars: [Bar; 2],
}

/// Measures pair by pair.
pub(crate) async fn compare(
    traffic_cop: &Subject,
    cores: Cores,
    plan: Plan,
) -> anyhow::Result<Report> {
    let side = |name, freshness| {
        let load = Load::open(CONNECTIONS, RATE, freshness);
        Side::new(&traffic_cop.called(name), load)
    };
    println!("Validated decisions: {RATE} calls a second over {CONNECTIONS} connections");
    let plain = side("plain", Freshness::Any);
    let validated = side("validated", Freshness::Proved);
    let pairs = throughput::pairs(&plain, &validated, cores, plan).await?;
    let of = |figure: fn(&Pair) -> f64| Spread::of(pairs.iter().map(figure));
    let bars = [
        Bar::new(
            "CPU per validated / plain",
            of(|pair| pair.candidate.cpu_us_per_request / pair.reference.cpu_us_per_request),
            bars::VALIDATED_CPU,
            Judged::Yes,
        ),
        Bar::new(
            "share of answers proved",
            of(|pair| pair.candidate.proved),
            bars::PROVED,
            Judged::Yes,
        ),
    ];
    Ok(Report { pairs, bars })
}
