//! What others cost who split calls or evaluate a flag, each against the reference in the same stretch of time.
//!
//! They do less: none knows a caller's flow version, an environment's state or a token, and nginx does not look at the body, so its
//! choice is not sticky. They are rows to compare with, not bars.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use serde::Serialize;

use crate::cores::Cores;
use crate::generator::Load;
use crate::server::Subject;
use crate::statistics::Spread;
use crate::throughput::{self, Pair, Plan, Side};

/// What a vCPU costs in an hour on AWS Fargate (Linux on x86, us-east-1, on demand): <https://aws.amazon.com/fargate/pricing/>.
const DOLLARS_PER_VCPU_HOUR: f64 = 0.040_48;

/// A server beside the reference.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    name: &'static str,
    requests_per_second: Spread,
    cpu_us: Spread,
    throughput_by_reference: Spread,
    cpu_by_reference: Spread,
    dollars_per_million: f64,
}

/// Measures each of `subjects` against `reference` and prints a row for each.
///
/// # Errors
/// One of them cannot be measured.
pub(crate) async fn compare(
    reference: &Subject,
    subjects: &[Subject],
    cores: Cores,
    plan: Plan,
    connections: u64,
) -> anyhow::Result<Vec<Row>> {
    let side = |subject| Side::new(subject, Load::closed(connections));
    let mut rows = Vec::new();
    for subject in subjects {
        let pairs = throughput::pairs(&side(reference), &side(subject), cores, plan).await?;
        rows.push(row(subject.name, &pairs));
    }
    println!(
        "{:<22} {:>10} {:>8} {:>14} {:>14} {:>14}",
        "server", "req/s", "CPU µs", "req/s by axum", "CPU by axum", "$ by million"
    );
    for row in &rows {
        println!(
            "{:<22} {:>10.0} {:>8.2} {:>14.3} {:>14.3} {:>14.6}",
            row.name,
            row.requests_per_second.median,
            row.cpu_us.median,
            row.throughput_by_reference.median,
            row.cpu_by_reference.median,
            row.dollars_per_million
        );
    }
    Ok(rows)
}

fn row(name: &'static str, pairs: &[Pair]) -> Row {
    let of = |figure: fn(&Pair) -> f64| Spread::of(pairs.iter().map(figure));
    let cpu_us = of(|pair| pair.candidate.cpu_us_per_request);
    Row {
        name,
        requests_per_second: of(|pair| pair.candidate.requests_per_second),
        throughput_by_reference: of(|pair| {
            pair.candidate.requests_per_second / pair.reference.requests_per_second
        }),
        cpu_by_reference: of(|pair| {
            pair.candidate.cpu_us_per_request / pair.reference.cpu_us_per_request
        }),
        // Microseconds of a million requests are seconds.
        dollars_per_million: cpu_us.median / 3_600.0 * DOLLARS_PER_VCPU_HOUR,
        cpu_us,
    }
}

/// nginx that draws five of a hundred requests and answers a whole decision, in one process.
///
/// # Errors
/// The configuration cannot be written.
pub(crate) fn nginx(
    binary: &Path,
    address: SocketAddr,
    directory: &Path,
) -> anyhow::Result<Command> {
    let configuration = format!(
        r#"daemon off;
master_process off;
pid nginx.pid;
error_log stderr error;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    split_clients $request_id $slot {{ 5% green; * blue; }}
    server {{
        listen {address};
        default_type application/json;
        add_header Cache-Control "no-store, no-cache";
        location / {{
            return 200 '{{"Active_Flow_ID":"flow-$slot","Active_Flow_Name":"Main IVR $slot","Slot":"$slot","Flow_Version":"v1","Traffic_Weight":5,"Schema_Version":0,"Flow_Version_Known":true,"Reason":"weighted","Revision":1,"Source":"live"}}';
        }}
    }}
}}
"#
    );
    let file = directory.join("nginx.conf");
    fs::write(&file, configuration).with_context(|| format!("cannot write {}", file.display()))?;
    let mut command = Command::new(binary);
    command.arg("-p").arg(directory).arg("-c").arg(&file);
    Ok(command)
}

/// flagd that evaluates a flag with a fractional split, by its HTTP interface (OFREP).
///
/// # Errors
/// The flag cannot be written.
pub(crate) fn flagd(
    binary: &Path,
    address: SocketAddr,
    others: [u16; 3],
    directory: &Path,
) -> anyhow::Result<Command> {
    let flag = serde_json::json!({
        "flags": {
            crate::request::FLAG: {
                "state": "ENABLED",
                "variants": { "blue": "blue", "green": "green" },
                "defaultVariant": "blue",
                "targeting": { "fractional": [["blue", 95], ["green", 5]] },
            }
        }
    });
    let file = directory.join("flags.json");
    fs::write(&file, flag.to_string())
        .with_context(|| format!("cannot write {}", file.display()))?;
    let [port, management, sync] = others.map(|port| port.to_string());
    let mut command = Command::new(binary);
    command
        .args(["start", "--uri"])
        .arg(format!("file:{}", file.display()))
        .args(["--ofrep-port", &address.port().to_string(), "--port", &port])
        .args(["--management-port", &management, "--sync-port", &sync])
        .env("GOMAXPROCS", "1");
    Ok(command)
}
