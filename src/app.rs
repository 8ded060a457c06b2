//! The composition root: settings in, a running service out. The only place that picks the concrete clock, store, listeners
//! and tasks.

mod doors;
mod first_admin;
mod first_load;
mod followers;
mod genesys;
pub mod issuers;
mod logging;
mod open_files;
mod sample;
mod signing_keys;
mod threads;

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::access::oidc::issuers::Issuers;
use crate::access::{Authenticator, Keyring};
use crate::clock::{Clock, SystemClock};
use crate::config::{ServeArgs, Switch};
use crate::control::Control;
use crate::controller::Controller;
use crate::data_dir::{DataDir, DataDirError};
use crate::evidence::analytics::Analytics;
use crate::evidence::{self, Writer};
use crate::http::Listener;
use crate::http::dashboard::Dashboard;
use crate::http::listener::tls::Certificates;
use crate::http::preflight::Preflight;
use crate::reload;
use crate::replica::last_good::{self, Files};
use crate::replica::{Replica, tasks};
use crate::signals::{HangUp, Stop};
use crate::store::Store;
use crate::telemetry::{Alarm, Alarms, Metrics};
use doors::Doors;

#[cfg(feature = "embedded")]
use crate::store::embedded::Embedded;

/// The embedded engine where it is built in; otherwise a type that nothing is made of.
#[cfg(not(feature = "embedded"))]
enum Embedded {}

/// Runs the service until it is told to stop (SIGTERM or SIGINT).
///
/// # Errors
/// The settings contradict each other, an address is taken, the data directory is in use, or the tables are missing. A store
/// that is away is no error: the service waits for it.
pub async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    args.check()?;
    // Before anyone is told that the process is there.
    let stop = Stop::listen().context("cannot listen for signals")?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let service = start(&args, clock).await?;
    greet(&args, &service)?;
    service.run(stop).await
}

/// A service that has started: callers queue at its doors.
pub(crate) struct Service {
    listener: Arc<Listener>,
    doors: Doors,
    following: Following,
    shutdown_delay: Duration,
    embedded: Option<Embedded>,
    _data_dir: Option<DataDir>,
}

impl Service {
    /// Where decisions are asked for.
    pub(crate) fn decisions_url(&self) -> std::io::Result<String> {
        self.doors.decisions_url()
    }

    /// Where it is administered, or measured if it only decides; `None` if nowhere.
    pub(crate) fn admin_url(&self) -> std::io::Result<Option<String>> {
        self.doors.second_url()
    }

    /// Answers until `stop`, and ends in good order.
    ///
    /// # Errors
    /// The doors cannot be watched.
    pub(crate) async fn run(self, stop: Stop) -> anyhow::Result<()> {
        self.doors
            .answer(self.listener, stop, self.shutdown_delay)
            .await?;
        self.following.end().await;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Starts the service that `args` describe, its log included, at the times that `clock` tells.
///
/// # Errors
/// As those of [`serve`].
pub(crate) async fn start(args: &ServeArgs, clock: Arc<dyn Clock>) -> anyhow::Result<Service> {
    let metrics = Metrics::default();
    let spans = logging::start(args, &metrics)?;
    let embedded = start_embedded(args)?;
    let data_dir = if embedded.is_none() {
        own_data_dir(args, &metrics.alarms)?
    } else {
        None
    };
    let endpoint = args.store.endpoint(embedded.as_ref().map(embedded_url));
    let mut store = Store::connect(&endpoint, metrics.store_requests.clone()).await;
    if args.decisions_only {
        store = store.reading_control();
    }
    let replica = Replica::new(store, Arc::clone(&clock), metrics.clone());
    let replica = Arc::new(replica.with_validation_budget(args.validation_budget()));
    let authenticator = authenticator(args, embedded.is_some())?;

    let files = Files::within(&args.store.data_dir);
    // A file in a directory that cannot be written to any more is still what a restart would serve.
    let is_writable = embedded.is_some() || data_dir.is_some();
    let files = (is_writable || files.exist()).then_some(files);
    if let Some(files) = &files {
        replica.start_from(files);
    }
    if embedded.is_some() {
        let made = replica.store().create_tables().await;
        made.context("cannot make the tables of the embedded store")?;
    } else {
        first_load::load(&replica, &authenticator, args, &metrics.alarms).await?;
    }
    let mut following = Following::start(&replica, files);
    if let Some(spans) = spans {
        following.also(|stop| spans.run(stop));
    }
    let keyring = Arc::new(Keyring::default());
    if let Some(files) = signing_keys::load(args, embedded.is_some(), &keyring)? {
        let hang_up = HangUp::listen()?;
        following.also(|stop| reload::keep(files, hang_up, stop));
    }
    let directory = is_writable.then_some(args.store.data_dir.as_path());
    let issuers = Issuers::new(
        Arc::clone(&keyring),
        Arc::clone(&clock),
        metrics.clone(),
        directory,
    );
    following.also(|stop| issuers::keep(issuers, Arc::clone(&keyring), Arc::clone(&replica), stop));
    let (exposures, queue) = evidence::queue(Arc::clone(&clock), &metrics);
    let writer = Writer::new(
        queue,
        Arc::clone(&replica),
        Arc::clone(&clock),
        metrics.clone(),
    );
    following.also(|stop| writer.run(stop));
    let (test_calls, test_call_writer) =
        evidence::test_calls(Arc::clone(&replica), Arc::clone(&clock));
    following.also(|stop| test_call_writer.run(stop));
    let (reports, report_writer) =
        evidence::reports(Arc::clone(&replica), Arc::clone(&clock), &metrics);
    following.also(|stop| report_writer.run(stop));
    let control = Arc::new(Control::new(
        Arc::clone(&replica),
        Arc::clone(&clock),
        metrics.clone(),
        args.drain_time(),
    ));
    let client = match args.decisions_only {
        true => None,
        false => genesys::client(&args.genesys, Arc::clone(&clock))?,
    };
    if args.controller == Switch::On && !args.decisions_only {
        let access = genesys::access(client.clone(), &args.analytics, &args.flow_ends);
        let controller = Controller::new(
            Arc::clone(&replica),
            Arc::clone(&control),
            Arc::clone(&clock),
            metrics.clone(),
        );
        let controller = controller.with_analytics(Analytics::new(access, metrics.clone()));
        following.also(|stop| controller.run(stop));
        followers::tell_webhooks(&mut following, &args.webhooks, &replica, &clock, &metrics)?;
        if let Some(mirror) = client.clone().zip(args.genesys.mirror()) {
            followers::mirror(&mut following, mirror, &replica, &clock, &metrics);
        }
    }
    if embedded.is_some() {
        sample::create_in_empty_store(&replica, &control).await?;
        // Whatever is wrong with the journal raises its alarm; calls are answered from what is known.
        let _ = replica.join().await;
    }
    let listener = Arc::new(Listener {
        replica,
        control,
        exposures,
        test_calls,
        reports,
        flow_ends: args.flow_ends.flow_ends(),
        data_table: args.genesys.genesys_datatable_id.clone(),
        preflight: Preflight {
            policy: args.preflight.genesys_preflight,
            client,
            budget: args.preflight.budget(),
        },
        authenticator: authenticator.with_keyring(keyring),
        clock,
        metrics,
        dashboard: Dashboard::default(),
        limits: args.limits.of_requests(args.overload.read_deadline()),
        load: Arc::new(args.overload.load()),
        draining: CancellationToken::new(),
    });
    let mut certificates =
        Certificates::none(Arc::clone(&listener.clock), listener.metrics.alarms.clone());
    let doors = Doors::open(args, &listener, &mut certificates)?;
    // Heard from before anyone is told that the process is there, whether or not there is a certificate: it ends nobody.
    let hang_up = HangUp::listen()?;
    following.also(|stop| reload::keep(certificates, hang_up, stop));
    Ok(Service {
        listener,
        doors,
        following,
        shutdown_delay: args.shutdown_delay(),
        embedded,
        _data_dir: data_dir,
    })
}

/// What a replica does by itself while the process runs.
struct Following {
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

impl Following {
    /// Follows the journal from now on, and keeps what is followed in `files`.
    fn start(replica: &Arc<Replica>, files: Option<Files>) -> Self {
        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        if let Some(files) = files {
            tasks.spawn(last_good::keep(Arc::clone(replica), files, stop.clone()));
        }
        tasks.spawn(tasks::poll(Arc::clone(replica), stop.clone()));
        tasks.spawn(tasks::tell_head(Arc::clone(replica), stop.clone()));
        tasks.spawn(tasks::beat(Arc::clone(replica), stop.clone()));
        tasks.spawn(tasks::look(Arc::clone(replica), stop.clone()));
        Self { tasks, stop }
    }

    /// Runs one more task, to which `task` gives the signal of the end.
    fn also<T>(&mut self, task: impl FnOnce(CancellationToken) -> T)
    where
        T: Future<Output = ()> + Send + 'static,
    {
        self.tasks.spawn(task(self.stop.clone()));
    }

    /// Ends it, after the last answer: exposures of the last calls are written on the way.
    async fn end(self) {
        self.stop.cancel();
        self.tasks.join_all().await;
    }
}

#[cfg(feature = "embedded")]
fn start_embedded(args: &ServeArgs) -> anyhow::Result<Option<Embedded>> {
    if !args.store.is_embedded() {
        return Ok(None);
    }
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    Embedded::start(&args.store.data_dir, any_port).map(Some)
}

#[cfg(feature = "embedded")]
fn embedded_url(embedded: &Embedded) -> String {
    embedded.url()
}

#[cfg(not(feature = "embedded"))]
fn start_embedded(args: &ServeArgs) -> anyhow::Result<Option<Embedded>> {
    if args.store.is_embedded() {
        anyhow::bail!(
            "this binary has no embedded store; name the tables with --control-table and --region"
        );
    }
    Ok(None)
}

#[cfg(not(feature = "embedded"))]
fn embedded_url(embedded: &Embedded) -> String {
    match *embedded {}
}

/// The data directory of a process whose store is elsewhere. It holds the last-good file, without which the service still
/// serves; so a directory that cannot be written to is an alarm and not an error.
fn own_data_dir(args: &ServeArgs, alarms: &Alarms) -> anyhow::Result<Option<DataDir>> {
    match DataDir::take(&args.store.data_dir) {
        Ok(data_dir) => Ok(Some(data_dir)),
        Err(in_use @ DataDirError::InUse(_)) => Err(in_use.into()),
        Err(error) => {
            alarms.set(Alarm::LastGoodFile, Some(format!("none is kept: {error}")));
            Ok(None)
        }
    }
}

fn authenticator(args: &ServeArgs, is_embedded: bool) -> anyhow::Result<Authenticator> {
    let mut authenticator = Authenticator::default();
    if let Some(token) = first_admin::token(args, is_embedded)? {
        authenticator = authenticator.with_first_admin(&token);
    }
    if is_embedded && args.decisions.ip().is_loopback() {
        authenticator = authenticator.with_anonymous_decisions();
    }
    Ok(authenticator)
}

/// Where to go from here. Goes to standard output; everything else goes to the log on standard error.
fn greet(args: &ServeArgs, service: &Service) -> std::io::Result<()> {
    let decisions = service.decisions_url()?;
    let mut text = format!("decisions  {decisions}\n");
    match service.admin_url()? {
        Some(admin) if !args.decisions_only => {
            text +=
                &format!("admin      {admin}  (the dashboard; API documentation: {admin}/docs/)\n");
        }
        Some(metrics) => text += &format!("metrics    {metrics}/metrics\n"),
        None => {}
    }
    if service.embedded.is_some() {
        let directory = args.store.data_dir.display();
        text += &format!(
            "store      embedded, in {directory}/ (admin token: {})\n",
            args.store.admin_token_file().display()
        );
        if args.decisions.ip().is_loopback() {
            let conversation = uuid::Uuid::new_v4();
            text += &format!(
                "\nAnyone on this machine may ask for decisions. Try one:\n\n  curl -s {decisions}/v1/environments/{}/decisions \
                 -H 'Content-Type: application/json' -d '{{\"Conversation_ID\":\"{conversation}\"}}'\n",
                sample::NAME
            );
        }
    }
    // A closed standard output is no reason not to serve.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}
