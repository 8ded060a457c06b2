//! Too much to do: what is put off, and in which order.
//!
//! The measure is how long a request waits for its turn. A pulse (`pulse.rs`) goes through the same sockets, queue and threads
//! as requests do, and the shortest wait of the last few counts: a stall is over by itself, and only what lasts is overload.
//! The more of a decision's deadline the wait takes, the more is put off: first what people look at, then changes, health,
//! and at last decisions themselves, which would come too late. A rollback is never put off.

mod pulse;
mod shed;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::{Method, Request};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use pulse::Pulse;
pub(super) use shed::{in_time, shed};

use super::problem::{Kind, Problem};

/// What a request is for; what comes first is put off first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// The dashboard, the documentation, metrics.
    View,
    /// A stream of events, which lasts.
    Stream,
    /// Reads of the admin API.
    Read,
    /// Changes.
    Write,
    /// Outcomes of calls, which are reported again if need be.
    Report,
    /// Health, which balancers ask for.
    Health,
    /// Decisions.
    Decision,
    /// What takes calls away from a version that harms: rollback, abort, pause.
    Rescue,
}

impl Class {
    /// The label of the metric.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Stream => "stream",
            Self::Read => "read",
            Self::Write => "write",
            Self::Report => "report",
            Self::Health => "health",
            Self::Decision => "decision",
            Self::Rescue => "rescue",
        }
    }

    /// What a request to either listener is for; decisions have their own way (`decisions.rs`).
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let path = request.uri().path().trim_end_matches('/');
        let is_look = matches!(*request.method(), Method::GET | Method::HEAD);
        match path.rsplit('/').next().unwrap_or_default() {
            _ if path.starts_with("/v1/health/") => Self::Health,
            // Without an access token there is no decision.
            _ if path == "/oauth/token" => Self::Decision,
            // A flow that takes a call waits for them.
            "variables" if *request.method() == Method::POST => Self::Decision,
            "outcomes" => Self::Report,
            "events" if is_look && (path == "/v1/events" || path.starts_with("/dashboard/")) => {
                Self::Stream
            }
            _ if is_look && path.starts_with("/v1/") => Self::Read,
            _ if is_look => Self::View,
            "rollback" | "abort" | "pause" => Self::Rescue,
            _ => Self::Write,
        }
    }

    /// Eighths of a decision's deadline that a request may wait for its turn before this is put off.
    fn patience(self) -> Option<u32> {
        match self {
            Self::View | Self::Stream => Some(2),
            Self::Read => Some(3),
            Self::Write | Self::Report => Some(4),
            Self::Health => Some(6),
            Self::Decision => Some(8),
            Self::Rescue => None,
        }
    }
}

/// How much may be under way at a time on the admin listener, by class. Rollbacks are not counted.
#[derive(Debug, Clone, Copy)]
pub struct AdminPlaces {
    /// Dashboard, documentation, metrics.
    pub views: u32,
    /// Streams of events.
    pub streams: u32,
    /// Reads.
    pub reads: u32,
    /// Changes.
    pub writes: u32,
}

impl Default for AdminPlaces {
    fn default() -> Self {
        Self {
            views: 16,
            streams: 64,
            reads: 64,
            writes: 32,
        }
    }
}

/// How much there is to do, and what is put off for it.
#[derive(Debug)]
pub struct Load {
    /// The deadline of a decision.
    deadline: Duration,
    decisions: Arc<Wait>,
    administration: Arc<Wait>,
    views: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    reads: Arc<Semaphore>,
    writes: Arc<Semaphore>,
}

/// How long what arrives waits for its turn on some threads, in microseconds.
#[derive(Debug, Default)]
pub struct Wait(AtomicU32);

impl Wait {
    /// The wait that lasts.
    #[must_use]
    pub fn get(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed).into())
    }

    fn set(&self, wait: Duration) {
        let micros = u32::try_from(wait.as_micros()).unwrap_or(u32::MAX);
        self.0.store(micros, Ordering::Relaxed);
    }
}

impl Default for Load {
    fn default() -> Self {
        Self::new(Duration::from_millis(250), AdminPlaces::default())
    }
}

impl Load {
    /// No load yet, decisions with this deadline, and so much room on the admin listener.
    #[must_use]
    pub fn new(deadline: Duration, places: AdminPlaces) -> Self {
        let semaphore = |places: u32| Arc::new(Semaphore::new(places as usize));
        Self {
            deadline,
            decisions: Arc::default(),
            administration: Arc::default(),
            views: semaphore(places.views),
            streams: semaphore(places.streams),
            reads: semaphore(places.reads),
            writes: semaphore(places.writes),
        }
    }

    /// The wait on the threads that make decisions.
    #[must_use]
    pub fn of_decisions(&self) -> &Arc<Wait> {
        &self.decisions
    }

    /// The wait on the threads that do everything else.
    #[must_use]
    pub fn of_administration(&self) -> &Arc<Wait> {
        &self.administration
    }

    /// Whether decisions come too late to be of use.
    pub(super) fn is_too_late(&self) -> bool {
        self.decisions.get() > self.deadline
    }

    /// Whether new callers are left in the system's queue, which costs nothing, while those that are in are served.
    pub(super) fn is_full(&self) -> bool {
        self.decisions.get() > self.deadline / 2
    }

    /// A place for a request of this class, or why it has to come again.
    pub(super) fn admit(&self, class: Class) -> Result<Option<OwnedSemaphorePermit>, Problem> {
        let wait = match class {
            Class::Report | Class::Health | Class::Decision | Class::Rescue => self.decisions.get(),
            // Either may be short of time, and both share the processors.
            Class::View | Class::Stream | Class::Read | Class::Write => {
                self.decisions.get().max(self.administration.get())
            }
        };
        if class
            .patience()
            .is_some_and(|eighths| wait > self.deadline / 8 * eighths)
        {
            return Err(Problem::overloaded());
        }
        let places = match class {
            Class::View => &self.views,
            Class::Stream => &self.streams,
            Class::Read => &self.reads,
            Class::Write => &self.writes,
            // As many reports as have room in their queue.
            Class::Report | Class::Health | Class::Decision | Class::Rescue => return Ok(None),
        };
        let place = Arc::clone(places).try_acquire_owned();
        place.map(Some).map_err(|_| Problem::overloaded())
    }
}

impl Problem {
    /// A request that is put off for others.
    pub(super) fn overloaded() -> Self {
        Self::new(
            Kind::Overloaded,
            "other requests come first at the moment; try again after the time in Retry-After",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Class; 8] = [
        Class::View,
        Class::Stream,
        Class::Read,
        Class::Write,
        Class::Report,
        Class::Health,
        Class::Decision,
        Class::Rescue,
    ];

    #[test]
    fn the_longer_the_wait_the_more_is_put_off_in_order_and_a_rollback_never() {
        let load = Load::default();
        let mut before: Vec<Class> = Vec::new();
        for ms in 0..1_000 {
            load.decisions.set(Duration::from_millis(ms));
            let put_off: Vec<Class> = ALL
                .into_iter()
                .filter(|class| load.admit(*class).is_err())
                .collect();
            assert_eq!(put_off, ALL[..put_off.len()], "in order, at {ms} ms");
            assert!(put_off.len() >= before.len());
            before = put_off;
        }
        assert_eq!(before, ALL[..7]);
        load.decisions.set(Duration::ZERO);
        assert!(ALL.into_iter().all(|class| load.admit(class).is_ok()));
    }

    #[test]
    fn a_busy_admin_api_puts_off_its_own_and_nothing_else() {
        let load = Load::default();
        load.administration.set(Duration::from_secs(10));
        let put_off = ALL.map(|class| load.admit(class).is_err());
        assert_eq!(
            put_off,
            [true, true, true, true, false, false, false, false]
        );
    }

    #[test]
    fn each_class_has_its_own_places() {
        let load = Load::new(
            Duration::from_millis(250),
            AdminPlaces {
                views: 1,
                ..AdminPlaces::default()
            },
        );
        let view = load.admit(Class::View).unwrap();
        assert!(view.is_some() && load.admit(Class::View).is_err());
        assert!(load.admit(Class::Read).is_ok());
        drop(view);
        assert!(load.admit(Class::View).is_ok());
    }

    #[test]
    fn newcomers_wait_from_half_the_deadline_on_and_calls_are_given_up_past_it() {
        let load = Load::default();
        let verdict = |ms| {
            load.decisions.set(Duration::from_millis(ms));
            (load.is_full(), load.is_too_late())
        };
        assert_eq!(verdict(125), (false, false));
        assert_eq!(verdict(126), (true, false));
        assert_eq!(verdict(250), (true, false));
        assert_eq!(verdict(251), (true, true));
    }

    #[test]
    fn requests_are_of_the_class_that_their_path_says() {
        let class = |method: &str, path: &str| {
            Class::of(
                &Request::builder()
                    .method(method)
                    .uri(path)
                    .body(())
                    .unwrap(),
            )
        };
        for (method, path, expected) in [
            ("GET", "/metrics", Class::View),
            ("GET", "/docs/", Class::View),
            ("GET", "/openapi.json", Class::View),
            ("GET", "/", Class::View),
            ("GET", "/v1/events", Class::Stream),
            ("GET", "/dashboard", Class::View),
            ("GET", "/dashboard/environments/a/cutover", Class::View),
            ("GET", "/dashboard/environments/a/events", Class::Stream),
            ("POST", "/dashboard/environments/a/weight", Class::Write),
            ("POST", "/dashboard/environments/a/rollback", Class::Rescue),
            (
                "POST",
                "/dashboard/environments/a/rollout/pause",
                Class::Rescue,
            ),
            ("GET", "/v1/environments", Class::Read),
            ("HEAD", "/v1/environments/rollback", Class::Read),
            ("PUT", "/v1/environments/a", Class::Write),
            ("POST", "/v1/environments/a/cutover", Class::Write),
            ("DELETE", "/v1/tokens/a", Class::Write),
            ("POST", "/v1/environments/a/outcomes", Class::Report),
            ("GET", "/v1/health/ready", Class::Health),
            ("POST", "/oauth/token", Class::Decision),
            ("POST", "/v1/environments/a/rollback", Class::Rescue),
            ("POST", "/v1/environments/a/rollout/abort", Class::Rescue),
            ("POST", "/v1/environments/a/rollout/pause", Class::Rescue),
        ] {
            assert_eq!(class(method, path), expected, "{method} {path}");
        }
    }
}
