//! A server under test: started on its core with an empty store, ready, and stopped again.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::time::ClockId;
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::connection::Connection;
use crate::cores::{Cores, pin_this_thread};
use crate::generator::{Load, Target};
use crate::peers;
use crate::request::Question;
use crate::store::Store;
use crate::traffic_cop;

/// How long a server may take to get ready or to stop; ample, for one that runs under Valgrind.
const PATIENCE: Duration = Duration::from_secs(60);

/// Time between two looks at a server that is about to be ready or gone.
const POLL: Duration = Duration::from_millis(20);

/// Which server.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// The reference.
    BareAxum,
    /// The service itself.
    TrafficCop,
    /// nginx with `split_clients`.
    Nginx,
    /// flagd.
    Flagd,
}

impl Kind {
    /// What it is asked.
    fn question(&self) -> Question {
        match self {
            Self::BareAxum | Self::TrafficCop | Self::Nginx => Question::Decision,
            Self::Flagd => Question::Flag,
        }
    }
}

/// A server program.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    /// What it is called in reports.
    pub(crate) name: &'static str,
    /// Which one it is, and so how it is run.
    pub(crate) kind: Kind,
    /// Its executable.
    pub(crate) binary: PathBuf,
}

/// A running server; dropped before it is stopped, it is killed.
pub(crate) struct Server {
    /// Its decisions listener.
    pub(crate) address: SocketAddr,
    /// What it wants with each request.
    pub(crate) token: Option<String>,
    question: Question,
    operator: Option<(SocketAddr, String)>,
    child: Child,
    log: PathBuf,
    store: Option<Store>,
    directory: Option<TempDir>,
}

impl Subject {
    /// The same by another name.
    pub(crate) fn called(&self, name: &'static str) -> Self {
        Self {
            name,
            ..self.clone()
        }
    }

    /// Starts it on the server's core, behind `wrapper` (a program and its arguments) if that is not empty, and waits until it
    /// answers.
    ///
    /// # Errors
    /// If it does not start, ends, or is not ready in time; its log's end is part of the error.
    pub(crate) async fn start(&self, cores: Cores, wrapper: &[String]) -> anyhow::Result<Server> {
        ensure!(
            self.binary.is_file(),
            "{} is missing: build it first, see loadtests/README.md",
            self.binary.display()
        );
        let directory = tempfile::tempdir().context("cannot make a temporary directory")?;
        match self.kind {
            Kind::BareAxum => {
                let address = free_address()?;
                let mut command = Command::new(&self.binary);
                command.arg(address.to_string());
                let mut server = Server::spawn(address, command, wrapper, cores, directory)?;
                server.ready(None).await?;
                Ok(server)
            }
            Kind::TrafficCop => self.start_traffic_cop(cores, wrapper, directory, &[]).await,
            Kind::Nginx | Kind::Flagd => {
                let address = free_address()?;
                let command = match self.kind {
                    Kind::Nginx => peers::nginx(&self.binary, address, directory.path())?,
                    _ => peers::flagd(&self.binary, address, free_ports()?, directory.path())?,
                };
                let mut server = Server::spawn(address, command, wrapper, cores, directory)?;
                server.question = self.kind.question();
                server.ready(None).await?;
                Ok(server)
            }
        }
    }

    /// Starts the service, which this must be, with these environments as well, each cut over, and with an operator.
    ///
    /// # Errors
    /// As [`Subject::start`].
    pub(crate) async fn start_for_operators(
        &self,
        cores: Cores,
        environments: &[String],
    ) -> anyhow::Result<Server> {
        let directory = tempfile::tempdir().context("cannot make a temporary directory")?;
        self.start_traffic_cop(cores, &[], directory, environments)
            .await
    }

    /// Starts the service on a store of its own, in which the sample environment has its weight and there is a token.
    async fn start_traffic_cop(
        &self,
        cores: Cores,
        wrapper: &[String],
        directory: TempDir,
        environments: &[String],
    ) -> anyhow::Result<Server> {
        let (own, stored) = (directory.path().join("own"), directory.path().join("store"));
        let (address, admin) = (free_address()?, free_address()?);
        let ready = Some(traffic_cop::READY_PATH);
        let embedded = traffic_cop::serve(&self.binary, &stored, address, admin);
        let mut first = Server::spawn(address, embedded, &[], cores, directory)?;
        first.ready(ready).await?;
        traffic_cop::set_weight(&self.binary, &stored, admin)?;
        let token = |scope| traffic_cop::token(&self.binary, &stored, admin, scope);
        let (caller, operator) = (token("decide")?, token("operate")?);
        for environment in environments {
            traffic_cop::cut_over(&self.binary, &stored, admin, environment)?;
        }
        let directory = first.stop().await?;

        let store = Store::start(&self.binary, &stored, free_address()?)?;
        let mut command = traffic_cop::serve(&self.binary, &own, address, admin);
        command.arg("--endpoint-url").arg(store.url());
        let mut server = Server::spawn(address, command, wrapper, cores, directory)?;
        server.token = Some(caller);
        server.operator = Some((admin, operator));
        server.store = Some(store);
        server.ready(ready).await?;
        Ok(server)
    }
}

impl Server {
    fn spawn(
        address: SocketAddr,
        plain: Command,
        wrapper: &[String],
        cores: Cores,
        directory: TempDir,
    ) -> anyhow::Result<Self> {
        let log = directory.path().join("server.log");
        let child = spawn_on(cores, wrapped(plain, wrapper), &log)?;
        Ok(Self {
            address,
            token: None,
            question: Question::Decision,
            operator: None,
            child,
            log,
            store: None,
            directory: Some(directory),
        })
    }

    /// Where load goes that is meant for it.
    pub(crate) fn target(&self, load: Load) -> Target {
        Target {
            address: self.address,
            token: self.token.clone(),
            question: self.question,
            load,
        }
    }

    /// The store behind it, if it has one of its own.
    pub(crate) fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// Its admin listener and the token of an operator, if it has them.
    pub(crate) fn operator(&self) -> Option<(SocketAddr, &str)> {
        let (admin, token) = self.operator.as_ref()?;
        Some((*admin, token))
    }

    /// CPU time that all of its threads have used, those that have ended included.
    pub(crate) fn cpu_time(&self) -> anyhow::Result<Duration> {
        let clock =
            ClockId::pid_cpu_clock_id(self.pid()).context("cannot find the server's CPU clock")?;
        Ok(clock
            .now()
            .context("cannot read the server's CPU clock")?
            .into())
    }

    /// Stops it where it stands, until it is resumed.
    pub(crate) fn pause(&self) -> anyhow::Result<()> {
        kill(self.pid(), Signal::SIGSTOP).context("cannot pause the server")
    }

    /// Lets it go on after a pause; changes nothing if there was none.
    pub(crate) fn resume(&self) -> anyhow::Result<()> {
        kill(self.pid(), Signal::SIGCONT).context("cannot resume the server")
    }

    /// Asks it to end and waits until it has. Gives its directory back.
    ///
    /// # Errors
    /// If it does not end in time or says it failed.
    pub(crate) async fn stop(mut self) -> anyhow::Result<TempDir> {
        self.resume()?;
        kill(self.pid(), Signal::SIGTERM).context("cannot send SIGTERM to the server")?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.ended()? {
                ensure!(
                    status.success(),
                    "the server ended with {status}:\n{}",
                    self.log_end()
                );
                return self.directory.take().context("the directory of a server");
            }
            ensure!(
                Instant::now() < deadline,
                "the server did not end within {PATIENCE:?}:\n{}",
                self.log_end()
            );
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until a connection is accepted and, if there is a path, a GET of it answers 200.
    async fn ready(&mut self, path: Option<&str>) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.ended()? {
                bail!(
                    "the server ended with {status} before it was ready:\n{}",
                    self.log_end()
                );
            }
            match probe(self.address, path).await {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() >= deadline => {
                    let log = self.log_end();
                    return Err(error).context(format!(
                        "the server was not ready within {PATIENCE:?}:\n{log}"
                    ));
                }
                Err(_) => tokio::time::sleep(POLL).await,
            }
        }
    }

    fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        self.child
            .try_wait()
            .context("cannot ask whether the server has ended")
    }

    /// The child is waited for only by `self`, so its id is still its own.
    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    fn log_end(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&text[text.len().saturating_sub(2_000)..]).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Affinity is inherited from the thread that starts the child: there is no moment at which it runs anywhere else, and it
/// counts one core when it chooses its number of worker threads.
fn spawn_on(cores: Cores, mut command: Command, log: &Path) -> anyhow::Result<Child> {
    let output = File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
    command
        .stdout(output.try_clone().context("cannot share the log")?)
        .stderr(output);
    command.env("TOKIO_WORKER_THREADS", "1");
    pin_this_thread(cores.server)?;
    let spawned = command.spawn();
    pin_this_thread(cores.generator)?;
    spawned.with_context(|| format!("cannot start {}", command.get_program().display()))
}

/// `plain`, run by `wrapper`, with the same changes to the environment.
fn wrapped(plain: Command, wrapper: &[String]) -> Command {
    let Some((program, arguments)) = wrapper.split_first() else {
        return plain;
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .arg(plain.get_program())
        .args(plain.get_args());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

async fn probe(address: SocketAddr, path: Option<&str>) -> anyhow::Result<()> {
    let mut connection = Connection::open(address).await?;
    let Some(path) = path else { return Ok(()) };
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n");
    let status = connection.exchange(request.as_bytes()).await?.status;
    ensure!(status == 200, "{path} answered {status}");
    Ok(())
}

fn free_ports() -> anyhow::Result<[u16; 3]> {
    let port = || free_address().map(|address| address.port());
    Ok([port()?, port()?, port()?])
}

/// A loopback address with a port that was free a moment ago.
fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("cannot find a free port")?;
    listener.local_addr().context("cannot read the free port")
}
