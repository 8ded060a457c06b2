//! The two listeners and what they answer.
//!
//! Decisions and administration are apart so that a balancer on the internet never exposes control, and a dashboard never
//! costs a call.

mod admin;
pub mod body;
pub mod dashboard;
pub mod decisions;
mod head;
pub mod health;
mod limits;
pub mod listener;
mod oauth;
pub mod openapi;
pub mod overload;
pub mod preflight;
pub mod problem;
mod trace;

use std::any::Any;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::HeaderValue;
use http::header::CACHE_CONTROL;
use hyper::service::Service;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use tower_http::catch_panic::CatchPanicLayer;

use crate::access::Authenticator;
use crate::clock::Clock;
use crate::control::Control;
use crate::domain::ids::DataTableId;
use crate::evidence::{Exposures, Reports, TestCallLog};
use crate::genesys::flow_end::FlowEnds;
use crate::replica::Replica;
use crate::telemetry::Metrics;
pub(crate) use admin::events::ChangeEvent;
use dashboard::Dashboard;
pub use limits::RequestLimits;
use overload::Load;
use preflight::Preflight;
use problem::{Kind, Problem};
use trace::Spans;

/// On every answer, errors included: nobody between us and a caller may keep it.
pub const NO_STORE: HeaderValue = HeaderValue::from_static("no-store, no-cache");

/// What every handler has at hand.
#[derive(Debug)]
pub struct Listener {
    /// What decisions are made from.
    pub replica: Arc<Replica>,
    /// The writer.
    pub control: Arc<Control>,
    /// Where decisions leave what they are evidence of.
    pub exposures: Exposures,
    /// Where decisions by an override are noted.
    pub test_calls: TestCallLog,
    /// Where outcomes are reported.
    pub reports: Reports,
    /// What the ends of flows mean that Genesys Cloud tells of.
    pub flow_ends: FlowEnds,
    /// The data table in Genesys Cloud that is mirrored to, if the settings name one.
    pub data_table: Option<DataTableId>,
    /// Who looks at a flow before callers are sent there.
    pub preflight: Preflight,
    /// Who may do what.
    pub authenticator: Authenticator,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Metrics,
    /// What the dashboard remembers.
    pub dashboard: Dashboard,
    /// How much a request may hold.
    pub limits: RequestLimits,
    /// How much there is to do, and what is put off for it.
    pub load: Arc<Load>,
    /// Cancelled once the process is on its way out: not ready any more, still answering, but for streams.
    pub draining: CancellationToken,
}

impl Listener {
    /// Whether calls should be sent here.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.replica.is_ready() && !self.draining.is_cancelled()
    }

    /// Counts `response` if it is a problem.
    fn count(&self, response: &Response) {
        if let Some(kind) = response.extensions().get::<Kind>() {
            self.metrics.problem(kind.name());
        }
    }

    /// The answer to a request that nobody else gets to see.
    fn refuse(&self, problem: Problem) -> Response {
        let response = problem.into_response();
        self.count(&response);
        response
    }
}

/// What the decisions listener answers.
///
/// From the outside in: problems are counted where they leave; health is put off when decisions are all there is time for; a
/// panic becomes a problem document, and costs that one request alone. Decisions do without the last two, whose work they do
/// themselves: a layer would cost as much as the decision.
pub fn decisions_router(listener: Arc<Listener>) -> Router {
    Router::new()
        .merge(health::router())
        .merge(oauth::router())
        .route(
            "/v1/environments/{environment}/variables",
            post(decisions::variables::look_up),
        )
        .route(
            "/v1/environments/{environment}/outcomes",
            post(decisions::outcomes::report),
        )
        .fallback(nothing_here)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(Arc::clone(&listener), overload::shed))
        .route(
            "/v1/environments/{environment}/decisions",
            post(decisions::decide_call),
        )
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn_with_state(Arc::clone(&listener), count_problems))
        .with_state(listener)
}

/// An answer on its way.
type Answering = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

/// A router behind a listener. What does not read as a request to any of its routes does not get to it.
#[derive(Debug, Clone)]
pub struct RoutedService {
    listener: Arc<Listener>,
    router: Router,
    spans: Spans,
}

impl RoutedService {
    /// The service behind the admin listener.
    #[must_use]
    pub fn admin(listener: Arc<Listener>) -> Self {
        let router = admin_router(Arc::clone(&listener));
        let spans = Spans::OfChanges;
        Self {
            listener,
            router,
            spans,
        }
    }

    /// The service behind the listener for metrics of a process without an admin listener.
    #[must_use]
    pub fn metrics(listener: Arc<Listener>) -> Self {
        let router = metrics_router(Arc::clone(&listener));
        let spans = Spans::None;
        Self {
            listener,
            router,
            spans,
        }
    }

    /// The service behind the decisions listener, without the shortcut of [`DecisionsService`].
    #[must_use]
    pub fn decisions(listener: Arc<Listener>) -> Self {
        let router = decisions_router(Arc::clone(&listener));
        let spans = Spans::None;
        Self {
            listener,
            router,
            spans,
        }
    }

    fn answer(&self, request: http::Request<Body>) -> Answering {
        if let Err(problem) = head::check_path(request.uri()) {
            return self.refuse(problem);
        }
        trace::answer(request, self.spans, |request| -> Answering {
            Box::pin(self.router.clone().oneshot(request))
        })
    }

    fn refuse(&self, problem: Problem) -> Answering {
        Box::pin(std::future::ready(Ok(self.listener.refuse(problem))))
    }
}

impl Service<http::Request<Body>> for RoutedService {
    type Response = Response;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: http::Request<Body>) -> Answering {
        match head::check(&request, &self.listener.limits) {
            Ok(()) => self.answer(request),
            Err(problem) => self.refuse(problem),
        }
    }
}

/// [`decisions_router`] with a way past it: matching a path, keeping its parameters and boxing a route cost a fifth of a whole
/// answer, and all but a few requests are for one path.
#[derive(Debug, Clone)]
pub struct DecisionsService(RoutedService);

impl DecisionsService {
    /// The service behind the decisions listener.
    #[must_use]
    pub fn new(listener: Arc<Listener>) -> Self {
        Self(RoutedService::decisions(listener))
    }
}

impl Service<http::Request<Body>> for DecisionsService {
    type Response = Response;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: http::Request<Body>) -> Answering {
        let Self(routed) = self;
        if let Err(problem) = head::check(&request, &routed.listener.limits) {
            return routed.refuse(problem);
        }
        if !decisions::is_decision(&request) {
            return routed.answer(request);
        }
        let listener = Arc::clone(&routed.listener);
        Box::pin(async move {
            let response = decisions::decide_call(State(Arc::clone(&listener)), request).await;
            listener.count(&response);
            Ok(response)
        })
    }
}

/// What the admin listener answers.
///
/// From the outside in: the span of a change gets its name; no answer may be kept, whoever made it; what people look at is dressed for
/// browsers; problems are counted where they leave; what there is no time for is put off before anything is done for it; what takes too
/// long is given up; a panic becomes a problem that is counted too; what the API refuses is recorded with who asked.
pub fn admin_router(listener: Arc<Listener>) -> Router {
    let (api, description) = openapi::split(admin::router(), Arc::clone(&listener));
    let recorded = from_fn_with_state(Arc::clone(&listener), admin::record_refusals);
    Router::new()
        .merge(api.layer(recorded))
        .merge(openapi::viewer(description))
        .merge(dashboard::router(Arc::clone(&listener)))
        .merge(health::router().with_state(Arc::clone(&listener)))
        .route(
            "/metrics",
            get(health::metrics).with_state(Arc::clone(&listener)),
        )
        .fallback(nothing_here)
        .method_not_allowed_fallback(no_such_method)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(Arc::clone(&listener), overload::in_time))
        .layer(from_fn_with_state(Arc::clone(&listener), overload::shed))
        .layer(from_fn_with_state(listener, count_problems))
        .layer(from_fn(dashboard::dress))
        .layer(from_fn(forbid_storing))
        .layer(from_fn(trace::name_span))
}

/// What a process without an admin listener tells of itself: the layers of [`admin_router`] around two of its resources.
fn metrics_router(listener: Arc<Listener>) -> Router {
    Router::new()
        .merge(health::router())
        .route("/metrics", get(health::metrics))
        .fallback(nothing_here)
        .method_not_allowed_fallback(no_such_method)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(Arc::clone(&listener), overload::shed))
        .layer(from_fn_with_state(Arc::clone(&listener), count_problems))
        .layer(from_fn(forbid_storing))
        .with_state(listener)
}

async fn nothing_here() -> Problem {
    Problem::new(
        Kind::NotFound,
        "no resource has this path; GET /openapi.json on the admin listener lists them",
    )
}

async fn no_such_method() -> Problem {
    Problem::new(
        Kind::MethodNotAllowed,
        "the resource has other methods; the Allow header names them",
    )
}

async fn forbid_storing(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    response
}

async fn count_problems(
    State(listener): State<Arc<Listener>>,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    listener.count(&response);
    response
}

fn panicked(cause: Box<dyn Any + Send + 'static>) -> Response {
    broken(&*cause).into_response()
}

/// What a caller is told of a panic; its message goes to the log.
fn broken(cause: &(dyn Any + Send)) -> Problem {
    let message = cause.downcast_ref::<&str>().copied();
    let message = message.or_else(|| cause.downcast_ref::<String>().map(String::as_str));
    tracing::error!(message, "a handler panicked");
    let detail = "the request could not be answered; the log of this replica says why";
    Problem::new(Kind::Internal, detail)
}
