//! The engines that a suite runs on, and the harness that runs it on each.
//!
//! An engine out of reach must not look like a pass: its tests are listed as ignored, a line at the end says so, and
//! `TRAFFIC_COP_TEST_REQUIRE=dynalite,endpoint` turns its absence into a failure. `cargo test --test store disk::` picks one.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use libtest_mimic::{Arguments, Trial};
use tempfile::TempDir;
use traffic_cop::store::embedded::Embedded;

use super::World;

/// Names the engines whose absence is a failure, with commas between them.
const REQUIRE: &str = "TRAFFIC_COP_TEST_REQUIRE";
/// A test that takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(300);

/// Something that speaks DynamoDB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    /// The embedded engine, in memory.
    Memory,
    /// The embedded engine, on disk.
    Disk,
    /// dynalite, at `TRAFFIC_COP_TEST_DYNALITE_URL`.
    Dynalite,
    /// Any other, DynamoDB itself among them, at `TRAFFIC_COP_TEST_ENDPOINT_URL`. Region and credentials come from the
    /// environment; the tables have random names and are deleted again.
    Endpoint,
}

/// An engine in use, and what ends with it.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) url: String,
    // The order of the fields is that of their ends: the engine stops before its directory goes.
    embedded: Option<Embedded>,
    directory: Option<TempDir>,
}

impl Engine {
    pub(crate) const ALL: [Self; 4] = [Self::Memory, Self::Disk, Self::Dynalite, Self::Endpoint];
    /// Those that a proxy can stand in front of: DynamoDB itself does not take a request signed for another host. Of the embedded
    /// engine once, since on disk it is the same but for its file, which the other suites look at.
    pub(crate) const LOCAL: [Self; 2] = [Self::Memory, Self::Dynalite];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Dynalite => "dynalite",
            Self::Endpoint => "endpoint",
        }
    }

    /// Environment variable with the URL, of an engine that is not ours to start.
    fn variable(self) -> Option<&'static str> {
        match self {
            Self::Memory | Self::Disk => None,
            Self::Dynalite => Some("TRAFFIC_COP_TEST_DYNALITE_URL"),
            Self::Endpoint => Some("TRAFFIC_COP_TEST_ENDPOINT_URL"),
        }
    }

    fn url(self) -> Option<String> {
        environment_variable(self.variable()?).filter(|url| !url.is_empty())
    }

    /// Why the engine cannot be used, if it cannot.
    pub(crate) fn absence(self) -> Option<String> {
        let variable = self.variable()?;
        let Some(url) = self.url() else {
            return Some(format!("{variable} is not set"));
        };
        (!answers(&url)).then(|| format!("nothing listens at {variable}={url}"))
    }

    /// Whether the engine's absence is a failure: it is asked for, or its URL is given and leads nowhere.
    fn is_required(self) -> bool {
        let required = environment_variable(REQUIRE).unwrap_or_default();
        required.split(',').any(|name| name.trim() == self.name()) || self.url().is_some()
    }

    pub(crate) fn start(self) -> Running {
        let (embedded, directory) = match self {
            Self::Memory => (Some(Embedded::in_memory().expect("an engine")), None),
            Self::Disk => {
                let directory = tempfile::tempdir().expect("a directory");
                let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
                let engine = Embedded::start(directory.path(), any_port).expect("an engine");
                (Some(engine), Some(directory))
            }
            Self::Dynalite | Self::Endpoint => (None, None),
        };
        let url = match &embedded {
            Some(engine) => engine.url(),
            None => self.url().expect("an engine in reach"),
        };
        Running {
            url,
            embedded,
            directory,
        }
    }
}

impl Running {
    /// Stops an engine on disk and starts it again on what it has kept.
    pub(crate) fn restart(&mut self) {
        let directory = self.directory.as_ref().expect("an engine on disk");
        drop(self.embedded.take());
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let engine = Embedded::start(directory.path(), any_port).expect("the engine again");
        self.url = engine.url();
        self.embedded = Some(engine);
    }
}

fn answers(url: &str) -> bool {
    let host = |uri: http::Uri| {
        let port = uri.port_u16().unwrap_or(match uri.scheme_str() {
            Some("https") => 443,
            _ => 80,
        });
        Some((uri.host()?.trim_matches(['[', ']']).to_owned(), port))
    };
    let addresses = url
        .parse()
        .ok()
        .and_then(host)
        .and_then(|host| host.to_socket_addrs().ok());
    addresses
        .into_iter()
        .flatten()
        .any(|address| TcpStream::connect_timeout(&address, Duration::from_secs(2)).is_ok())
}

/// A test in a world of its own.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: for<'a> fn(&'a mut World) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>,
}

/// Lists the tests of a module: `async fn(&mut World)` each. One that is not listed is dead code, which the compiler tells.
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        pub(crate) const CASES: &[$crate::support::engine::Case] = &[$(
            $crate::support::engine::Case {
                name: stringify!($name),
                run: |world| Box::pin($name(world)),
            }
        ),*];
    };
}
pub(crate) use cases;

/// Tests that belong together, and the engines that they run on.
pub(crate) struct Suite {
    pub(crate) name: &'static str,
    pub(crate) cases: &'static [Case],
    pub(crate) engines: &'static [Engine],
}

/// What whoever runs the tests has set.
#[expect(
    clippy::disallowed_methods,
    reason = "a test binary has no other settings"
)]
pub(crate) fn environment_variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Runs `suites` on every engine in reach, and `others` besides.
pub(crate) fn main(suites: &[Suite], mut others: Vec<Trial>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Much of the time is spent waiting for faults to end, so there is room for more tests than there are cores.
    arguments.test_threads.get_or_insert(4);
    let absences = Engine::ALL.map(|engine| (engine, engine.absence()));
    for (engine, absence) in &absences {
        let of_this = suites.iter().filter(|suite| suite.engines.contains(engine));
        for suite in of_this {
            others.extend(
                suite
                    .cases
                    .iter()
                    .map(|case| trial(suite.name, *case, *engine, absence.clone())),
            );
        }
    }
    let conclusion = libtest_mimic::run(&arguments, others);
    if !arguments.list {
        report(&absences);
    }
    conclusion.exit_code()
}

#[expect(
    clippy::print_stderr,
    reason = "what was not tested has to be seen at the end of the run"
)]
fn report(absences: &[(Engine, Option<String>)]) {
    for (engine, absence) in absences {
        if let Some(absence) = absence {
            let name = engine.name();
            eprintln!("SKIPPED: nothing was tested on the engine {name}: {absence}");
        }
    }
}

/// A test of an engine out of reach is ignored, or fails if the engine is asked for; it never passes.
fn trial(suite: &str, case: Case, engine: Engine, absence: Option<String>) -> Trial {
    let is_ignored = absence.is_some() && !engine.is_required();
    let name = format!("{}::{suite}::{}", engine.name(), case.name);
    Trial::test(name, move || match absence {
        Some(absence) => Err(absence.into()),
        None => {
            run(case, engine);
            Ok(())
        }
    })
    .with_ignored_flag(is_ignored)
}

/// What a test runs on.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

fn run(case: Case, engine: Engine) {
    let runtime = runtime();
    let mut world = runtime.block_on(World::start(engine));
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            tokio::time::timeout(PATIENCE, (case.run)(&mut world))
                .await
                .expect("the test comes to its end");
        });
    }));
    runtime.block_on(world.tables.delete());
    drop(runtime);
    drop(world);
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}
