//! A process of the service without its sockets.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use traffic_cop::access::oauth::{SigningKeys, generate};
use traffic_cop::access::oidc::issuers::Issuers;
use traffic_cop::access::token::TokenText;
use traffic_cop::access::{Authenticator, Keyring};
use traffic_cop::clock::{Clock, ManualClock};
use traffic_cop::control::Control;
use traffic_cop::domain::access::Access;
use traffic_cop::genesys::flow_end::FlowEnds;
use traffic_cop::http::dashboard::Dashboard;
use traffic_cop::http::preflight::Preflight;
use traffic_cop::http::{self, Listener, RequestLimits};

use crate::ask::{Answer, Ask};
use crate::support::world::DRAIN_TIME;
use crate::support::{Engine, FaultProxy, Process, World};

/// The environment that a test has if it needs only one.
pub(crate) const MAIN: &str = "Main_IVR";

/// The listeners of one process over tables that nobody else uses. The clock stands still at 2026-01-05T08:00:00Z.
#[derive(Debug)]
pub(crate) struct TestApp {
    pub(crate) world: World,
    pub(crate) process: Process,
    pub(crate) listener: Arc<Listener>,
    /// Made once: it describes the whole API, which takes its time.
    admin_router: OnceLock<Router>,
    clock: Arc<FragileClock>,
    first_admin: TokenText,
    /// What JWTs are proved with.
    pub(crate) keyring: Arc<Keyring>,
    issuers: Issuers,
}

/// Who may ask without a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strangers {
    /// For decisions.
    Decide,
    /// For nothing.
    Refused,
}

impl TestApp {
    /// An app that gives decisions to anyone, as `serve` does with the embedded store on loopback.
    pub(crate) async fn start() -> Self {
        let app = Self::of(World::start(Engine::Memory).await, None, Strangers::Decide).await;
        app.process.join().await;
        app
    }

    /// The same, with this look at flows before callers are sent there.
    pub(crate) async fn start_with_preflight(preflight: Preflight) -> Self {
        let mut app = Self::start().await;
        let listener = Arc::get_mut(&mut app.listener).expect("nobody has it yet");
        listener.preflight = preflight;
        app
    }

    /// The same, walking back over so many records at the most.
    pub(crate) async fn start_with_longest_walk(most: usize) -> Self {
        let mut app = Self::start().await;
        let listener = Arc::get_mut(&mut app.listener).expect("nobody has it yet");
        listener.limits.longest_walk = most;
        app
    }

    /// An app that wants a token of everyone.
    pub(crate) async fn start_for_known_callers() -> Self {
        let app = Self::of(World::start(Engine::Memory).await, None, Strangers::Refused).await;
        app.process.join().await;
        app
    }

    /// An app that has not been able to load anything.
    pub(crate) async fn start_without_a_snapshot() -> Self {
        Self::of(World::start(Engine::Memory).await, None, Strangers::Refused).await
    }

    /// An app that reaches its store through a proxy.
    pub(crate) async fn start_behind_a_proxy() -> (Self, FaultProxy) {
        let world = World::start(Engine::Memory).await;
        let proxy = world.proxy().await;
        (
            Self::of(world, Some(&proxy), Strangers::Decide).await,
            proxy,
        )
    }

    async fn of(world: World, proxy: Option<&FaultProxy>, strangers: Strangers) -> Self {
        let process = match proxy {
            Some(proxy) => world.process_behind(proxy).await,
            None => world.newcomer().await,
        };
        let clock = Arc::new(FragileClock {
            time: world.clock.clone(),
            is_broken: AtomicBool::new(false),
            speed: AtomicU32::new(1),
        });
        let first_admin = TokenText::draw();
        let keyring = Arc::new(Keyring::default());
        keyring.set_signing_keys(new_signing_key());
        let issuers = Issuers::new(
            keyring.clone(),
            clock.clone(),
            process.metrics.clone(),
            None,
        );
        let mut authenticator = Authenticator::default()
            .with_first_admin(&first_admin)
            .with_keyring(keyring.clone());
        if strangers == Strangers::Decide {
            authenticator = authenticator.with_anonymous_decisions();
        }
        let listener = Listener {
            replica: process.replica.clone(),
            control: Arc::new(Control::new(
                process.replica.clone(),
                clock.clone(),
                process.metrics.clone(),
                DRAIN_TIME,
            )),
            exposures: process.exposures.clone(),
            test_calls: process.test_calls.clone(),
            reports: process.reports.clone(),
            flow_ends: FlowEnds::default(),
            data_table: None,
            preflight: Preflight::default(),
            authenticator,
            clock: clock.clone(),
            metrics: process.metrics.clone(),
            dashboard: Dashboard::default(),
            limits: RequestLimits::default(),
            load: Arc::default(),
            draining: CancellationToken::new(),
        };
        Self {
            world,
            process,
            listener: Arc::new(listener),
            admin_router: OnceLock::new(),
            clock,
            first_admin,
            keyring,
            issuers,
        }
    }

    /// A request to the decisions listener, without a token.
    pub(crate) fn decisions(&self, method: &str, path: &str) -> Ask {
        Ask::new(self.decisions_router(), method, path)
    }

    /// A request to the admin listener, with the first admin's token.
    pub(crate) fn admin(&self, method: &str, path: &str) -> Ask {
        Ask::new(self.admin_router(), method, path).by(self.first_admin.reveal())
    }

    /// Has the keys of trusted issuers fetched, as far as that is due.
    pub(crate) async fn refresh_issuers(&self) {
        let named = self.process.replica.look(|follower| {
            let access = follower.access().state();
            access.map(Access::issuer_urls)
        });
        let named = named.flatten().unwrap_or_default();
        self.issuers.refresh(named).await;
    }

    /// The text of the first admin token.
    pub(crate) fn first_admin_text(&self) -> String {
        self.first_admin.reveal().to_owned()
    }

    pub(crate) fn admin_router(&self) -> Router {
        let router = self
            .admin_router
            .get_or_init(|| http::admin_router(self.listener.clone()));
        router.clone()
    }

    pub(crate) fn decisions_router(&self) -> Router {
        http::decisions_router(self.listener.clone())
    }

    /// A request for a decision that still lacks its body.
    pub(crate) fn call(&self, name: &str) -> Ask {
        self.decisions("POST", &format!("/v1/environments/{name}/decisions"))
    }

    /// The answer to a call.
    pub(crate) async fn decide(&self, name: &str, call: Value) -> Answer {
        self.call(name).json(&call).send().await
    }

    /// A write that still lacks its body, whatever the revision.
    pub(crate) fn change(&self, name: &str, command: &str) -> Ask {
        self.admin("POST", &format!("/v1/environments/{name}/{command}"))
            .if_match("*")
    }

    /// Carries out `command`, whatever comes of it.
    pub(crate) async fn ask(&self, name: &str, command: &str, members: Value) -> Answer {
        self.change(name, command)
            .json(&because(members))
            .send()
            .await
    }

    /// Creates an environment with version `v1` in blue, which is active.
    pub(crate) async fn create(&self, name: &str) -> Answer {
        let path = format!("/v1/environments/{name}");
        self.admin("PUT", &path)
            .json(&creation("Main IVR Blue"))
            .send()
            .await
            .ok()
    }

    /// The same, with version `v2` in green. Two revisions.
    pub(crate) async fn create_with_candidate(&self, name: &str) -> Answer {
        self.create(name).await;
        self.register(name, "v2").await
    }

    pub(crate) async fn register(&self, name: &str, label: &str) -> Answer {
        self.ask(name, "register", json!({ "flow_version": label }))
            .await
            .ok()
    }

    /// Says which variables interface `number` has.
    pub(crate) async fn define_interface(
        &self,
        name: &str,
        number: u32,
        variables: Value,
    ) -> Answer {
        let path = format!("/v1/environments/{name}/interfaces/{number}");
        self.admin("PUT", &path)
            .if_match("*")
            .json(&because(json!({ "variables": variables })))
            .send()
            .await
            .ok()
    }

    /// Gives variables these values, whatever comes of it.
    pub(crate) async fn set_variables(&self, name: &str, values: Value) -> Answer {
        self.admin("PATCH", &format!("/v1/environments/{name}/variables"))
            .if_match("*")
            .json(&because(json!({ "values": values })))
            .send()
            .await
    }

    pub(crate) async fn cut_over(&self, name: &str) -> Answer {
        self.ask(name, "cutover", json!({})).await.ok()
    }

    pub(crate) async fn set_weight(&self, name: &str, percent: f64) -> Answer {
        self.ask(name, "weight", json!({ "weight": percent }))
            .await
            .ok()
    }

    pub(crate) async fn delete(&self, name: &str) -> Answer {
        let path = format!("/v1/environments/{name}?reason=a%20test");
        self.admin("DELETE", &path).if_match("*").send().await.ok()
    }

    pub(crate) async fn show(&self, name: &str) -> Answer {
        self.admin("GET", &format!("/v1/environments/{name}"))
            .send()
            .await
    }

    pub(crate) async fn show_at(&self, name: &str, at: &str) -> Answer {
        self.admin("GET", &format!("/v1/environments/{name}?at={at}"))
            .send()
            .await
    }

    pub(crate) async fn revision(&self, name: &str) -> u64 {
        self.show(name).await.ok().json()["revision"]
            .as_u64()
            .expect("a revision")
    }

    /// Makes a token: its text.
    pub(crate) async fn token(&self, scopes: &[&str], environments: Option<&[&str]>) -> String {
        self.new_token(json!({ "scopes": scopes, "environments": environments }))
            .await
    }

    /// Makes a token with these members and a name of its own: its text.
    pub(crate) async fn new_token(&self, mut members: Value) -> String {
        members["name"] = format!("token-{}", uuid::Uuid::new_v4()).into();
        let made = self
            .admin("POST", "/v1/tokens")
            .json(&because(members))
            .send()
            .await
            .ok()
            .json();
        made["token"]
            .as_str()
            .expect("the text of a token")
            .to_owned()
    }

    /// A token that asks for the time whenever it is looked at.
    pub(crate) async fn expiring_token(&self) -> String {
        self.new_token(json!({ "scopes": ["decide"], "expires_at": "2026-01-05T09:00:00Z" }))
            .await
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.world.clock.advance(by);
    }

    /// From now on, whoever asks for the time of day panics: a handler with a bug that nobody has thought of.
    pub(crate) fn break_clock(&self) {
        self.clock.is_broken.store(true, Ordering::Relaxed);
    }

    pub(crate) fn repair_clock(&self) {
        self.clock.is_broken.store(false, Ordering::Relaxed);
    }

    /// From now on time is said to go by that much faster, as in a demonstration.
    pub(crate) fn hurry_clock(&self, speed: u32) {
        self.clock.speed.store(speed, Ordering::Relaxed);
    }

    pub(crate) fn start_draining(&self) {
        self.listener.draining.cancel();
    }

    /// Requests to the store so far.
    pub(crate) fn store_requests(&self) -> u64 {
        self.process.metrics.store_requests.get()
    }
}

/// A key that nobody else has.
pub(crate) fn new_signing_key() -> SigningKeys {
    let pem = generate().expect("random bytes");
    SigningKeys::from_pem(pem.as_bytes()).expect("a key")
}

/// `members` and a reason.
pub(crate) fn because(mut members: Value) -> Value {
    members["reason"] = "a test".into();
    members
}

/// The body that creates an environment whose blue flow has this name.
pub(crate) fn creation(blue: &str) -> Value {
    because(json!({
        "flows": {
            "blue": { "id": "flow-blue", "name": blue },
            "green": { "id": "flow-green", "name": "Main IVR Green" },
        },
        "flow_version": "v1",
    }))
}

/// A clock of the world that panics when it is told to.
#[derive(Debug)]
struct FragileClock {
    time: Arc<ManualClock>,
    is_broken: AtomicBool,
    speed: AtomicU32,
}

impl Clock for FragileClock {
    fn now(&self) -> Timestamp {
        assert!(
            !self.is_broken.load(Ordering::Relaxed),
            "the clock is broken"
        );
        self.time.now()
    }

    fn monotonic(&self) -> Duration {
        self.time.monotonic()
    }

    fn speed(&self) -> u32 {
        self.speed.load(Ordering::Relaxed)
    }
}
