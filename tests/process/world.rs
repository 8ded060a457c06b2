//! Processes that end with the test that started them, on ports of their own.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::client::Client;

/// How long anything may take that should be a matter of moments; a debug build on a busy machine is slow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at something that is waited for.
const LOOK: Duration = Duration::from_millis(10);

/// The binary under test, with the settings of this process taken away.
pub(crate) fn traffic_cop() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_traffic-cop"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TRAFFIC_COP_") {
            command.env_remove(name);
        }
    }
    command
}

/// Waits until `look` finds something.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "waited {PATIENCE:?} in vain: {what}"
        );
        sleep(LOOK).await;
    }
}

/// A process of ours. Killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// What it says on standard output, line by line.
    lines: Receiver<String>,
    /// What it has said so far.
    said: String,
    errors: PathBuf,
    _directory: TempDir,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let errors = directory.path().join("stderr");
        let log = File::create(&errors).expect("a file");
        let command = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut child = command.spawn().expect("a process");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            // Ends with the process, or with whoever listens.
            output
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| tell.send(line))
        });
        Self {
            child,
            lines,
            said: String::new(),
            errors,
            _directory: directory,
        }
    }

    /// Waits for a line in which `find` finds something.
    pub(crate) fn wait_for<T>(&mut self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                panic!(
                    "it did not say {what}, but:\n{}\n{}",
                    self.said,
                    self.errors()
                );
            };
            self.said += &line;
            self.said.push('\n');
            if let Some(found) = find(&line) {
                return found;
            }
        }
    }

    /// What it has said on standard output since it was last waited for; to be asked once it has ended.
    pub(crate) fn rest(&self) -> String {
        self.lines.iter().map(|line| line + "\n").collect()
    }

    /// What it has written to standard error.
    pub(crate) fn errors(&self) -> String {
        std::fs::read_to_string(&self.errors).expect("its standard error")
    }

    pub(crate) fn send(&self, signal: Signal) {
        kill(self.id(), signal).expect("a signal sent");
    }

    pub(crate) fn id(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"))
    }

    /// Has it stand still, and returns when it does: it keeps its connections and answers nobody.
    pub(crate) fn pause(&self) {
        self.send(Signal::SIGSTOP);
        let status = waitpid(self.id(), Some(WaitPidFlag::WUNTRACED)).expect("its status");
        assert!(matches!(status, WaitStatus::Stopped(..)), "{status:?}");
    }

    /// Has it go on.
    pub(crate) fn resume(&self) {
        self.send(Signal::SIGCONT);
    }

    /// Waits for its end.
    pub(crate) async fn end(&mut self) -> ExitStatus {
        until("the end of a process", async || {
            self.child.try_wait().expect("its status")
        })
        .await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the binary to its end, which must be a failure: what it says on standard error.
pub(crate) async fn failure_of(command: &mut Command) -> String {
    let mut process = Process::start(command);
    let status = process.end().await;
    assert!(
        !status.success() && status.signal().is_none(),
        "{status}: {}",
        process.errors()
    );
    process.errors()
}

/// `serve` on free ports of 127.0.0.1.
fn serve() -> Command {
    let mut serve = traffic_cop();
    let ports = ["--decisions", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    serve.arg("serve").args(ports);
    serve
}

/// Runs the binary to its end, which must be a success: what it says on standard output.
pub(crate) async fn run(command: &mut Command) -> String {
    let mut process = Process::start(command);
    let status = process.end().await;
    assert!(status.success(), "{status}: {}", process.errors());
    process.lines.iter().map(|line| line + "\n").collect()
}

/// A running `traffic-cop serve`.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) process: Process,
    pub(crate) decisions: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Service {
    /// Starts `serve` on free ports of 127.0.0.1, with `arguments` besides.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::of(serve().args(arguments))
    }

    /// Starts `serve` on the embedded store in `directory`.
    pub(crate) fn embedded(directory: &Path) -> Self {
        Self::start(&["--data-dir", directory.to_str().expect("a readable path")])
    }

    /// Starts what `command` says.
    pub(crate) fn of(command: &mut Command) -> Self {
        let mut process = Process::start(command);
        let mut address = |listener: &str| {
            process.wait_for(&format!("where it listens for {listener}"), |line| {
                let url = line.strip_prefix(listener)?.split_whitespace().next()?;
                let address = url.strip_prefix("https://").or(url.strip_prefix("http://"));
                address?.parse::<SocketAddr>().ok()
            })
        };
        let decisions = address("decisions");
        let admin = address("admin");
        Self {
            process,
            decisions,
            admin,
        }
    }

    /// A client with this token.
    pub(crate) fn client(&self, token: &str) -> Client {
        Client::new(self.decisions, self.admin, token)
    }

    /// The line that it prints for a newcomer.
    pub(crate) fn curl_line(&mut self) -> String {
        self.process.wait_for("a curl line", |line| {
            let line = line.trim_start();
            line.starts_with("curl ").then(|| line.to_owned())
        })
    }

    /// Stops it as a service manager does, and waits for its end: all that it has said.
    pub(crate) async fn stop(mut self) -> String {
        self.process.send(Signal::SIGTERM);
        let status = self.process.end().await;
        assert!(status.success(), "{status}: {}", self.process.errors());
        let rest: String = self.process.lines.iter().map(|line| line + "\n").collect();
        self.process.said.clone() + &rest
    }

    /// Stops it as a power cut does.
    pub(crate) async fn kill(mut self) {
        self.process.send(Signal::SIGKILL);
        let status = self.process.end().await;
        assert_eq!(status.signal(), Some(Signal::SIGKILL as i32));
    }
}

/// The admin token that `serve` has made in `directory`.
pub(crate) fn admin_token(directory: &Path) -> String {
    let token = std::fs::read_to_string(directory.join("admin-token")).expect("an admin token");
    token.trim().to_owned()
}

/// One store that several services share, as processes.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) url: String,
    directory: TempDir,
    pub(crate) token: String,
    store: Option<Process>,
}

/// Serves the store in `directory` on `address`: the process, and its URL.
fn serve_store(directory: &Path, address: &str) -> (Process, String) {
    let mut store = traffic_cop();
    store
        .args(["store", "serve", "--address", address, "--data-dir"])
        .arg(directory);
    let mut store = Process::start(&mut store);
    let url = store.wait_for("where it serves the store", |line| {
        let at = line.find("http://")?;
        line[at..].split_whitespace().next().map(str::to_owned)
    });
    (store, url)
}

impl Cluster {
    /// A store without tables.
    pub(crate) fn empty() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let (store, url) = serve_store(&directory.path().join("store"), "127.0.0.1:0");
        let token = traffic_cop::access::token::TokenText::draw()
            .reveal()
            .to_owned();
        std::fs::write(directory.path().join("token"), &token).expect("a token file");
        Self {
            url,
            directory,
            token,
            store: Some(store),
        }
    }

    /// Takes the store away, as a power cut does.
    pub(crate) fn lose_store(&mut self) {
        self.store = None;
    }

    /// Brings the store back where it was.
    pub(crate) fn find_store(&mut self) {
        let address = self.url.strip_prefix("http://").expect("an address");
        let (store, _) = serve_store(&self.directory.path().join("store"), address);
        self.store = Some(store);
    }

    /// Has the store stand still.
    pub(crate) fn pause_store(&mut self) {
        self.store.as_ref().expect("a store").pause();
    }

    /// Has the store go on.
    pub(crate) fn resume_store(&mut self) {
        self.store.as_ref().expect("a store").resume();
    }

    /// A store with tables.
    pub(crate) async fn start() -> Self {
        let cluster = Self::empty();
        cluster.create_tables().await;
        cluster
    }

    /// Somebody at a terminal of the host of `service`, with the deployment's token.
    pub(crate) fn operator(&self, service: &Service) -> Command {
        let mut command = traffic_cop();
        command
            .env("TRAFFIC_COP_SERVER", format!("http://{}", service.admin))
            .env("TRAFFIC_COP_TOKEN", &self.token);
        command
    }

    async fn create_tables(&self) {
        run(traffic_cop().args(["table", "create", "--endpoint-url", &self.url])).await;
    }

    /// Lets the store take requests and answer none, as behind a broken network.
    pub(crate) fn freeze_store(&self) {
        let store = self.store.as_ref().expect("a store");
        store.send(Signal::SIGSTOP);
    }

    /// Exchanges the store for one with empty tables.
    pub(crate) async fn empty_store(&mut self) {
        self.lose_store();
        std::fs::remove_dir_all(self.directory.path().join("store")).expect("a store to remove");
        self.find_store();
        self.create_tables().await;
    }

    /// Where `name` is in the directory of this cluster.
    pub(crate) fn path(&self, name: &str) -> String {
        let path = self.directory.path().join(name);
        path.to_str().expect("a readable path").to_owned()
    }

    /// One more service on the store: the same `name`, the same data directory.
    pub(crate) fn join(&self, name: &str) -> Service {
        self.join_with(name, &[])
    }

    /// The same, with `arguments` besides.
    pub(crate) fn join_with(&self, name: &str, arguments: &[&str]) -> Service {
        Service::of(self.service(name).args(arguments))
    }

    /// What starts that service.
    pub(crate) fn service(&self, name: &str) -> Command {
        self.service_at(&self.url, name)
    }

    /// The same, of a service that reaches the store at `url`.
    pub(crate) fn service_at(&self, url: &str, name: &str) -> Command {
        let place = self.directory.path();
        let mut serve = serve();
        serve
            .args(["--endpoint-url", url, "--admin-token-file"])
            .arg(place.join("token"))
            .arg("--data-dir")
            .arg(place.join(name));
        serve
    }
}
