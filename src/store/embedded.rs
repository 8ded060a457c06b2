//! The embedded engine: DynamoDB's interface on SQLite, inside this process, reached over loopback through the same SDK as
//! DynamoDB itself. A fresh machine needs nothing else.
//!
//! It runs on a thread of its own: it works synchronously under one lock, and a slow disk must not hold a worker that
//! answers calls.

use std::net::SocketAddr;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::oneshot;

use crate::data_dir::DataDir;

/// How often expired items are removed; the engine never does so by itself.
const SWEEP_INTERVAL: Duration = Duration::from_secs(600);
/// File with the engine's data.
const DATA_FILE: &str = "store.db";

/// A running engine. Dropping it stops the engine, after the requests it is working on.
#[derive(Debug)]
pub struct Embedded {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _data_dir: Option<DataDir>,
}

impl Embedded {
    /// Starts the engine on the data in `directory`, which is made if it is missing and locked as long as the engine runs.
    ///
    /// # Errors
    /// The directory is in use by another process or not writable, its data is not readable, or `address` is taken.
    pub fn start(directory: &Path, address: SocketAddr) -> anyhow::Result<Self> {
        let data_dir = DataDir::take(directory)?;
        let file = directory.join(DATA_FILE);
        let path = file
            .to_str()
            .with_context(|| format!("the path {} is not UTF-8", file.display()))?;
        let database = dynoxide::Database::new(path)
            .map_err(|error| anyhow::anyhow!("{error:?}"))
            .with_context(|| format!("cannot open the embedded store {}", file.display()))?;
        Self::run(database, address, Some(data_dir))
    }

    /// Starts an engine that keeps its data in memory, on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// No port is free.
    pub fn in_memory() -> anyhow::Result<Self> {
        let database =
            dynoxide::Database::memory().map_err(|error| anyhow::anyhow!("{error:?}"))?;
        Self::run(database, SocketAddr::from(([127, 0, 0, 1], 0)), None)
    }

    fn run(
        database: dynoxide::Database,
        address: SocketAddr,
        data_dir: Option<DataDir>,
    ) -> anyhow::Result<Self> {
        let listener = std::net::TcpListener::bind(address)
            .with_context(|| format!("cannot listen on {address}"))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = std::thread::Builder::new()
            .name("embedded-store".to_owned())
            .spawn(move || {
                runtime.block_on(serve(listener, database, stopped));
            })?;
        Ok(Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
            _data_dir: data_dir,
        })
    }

    /// URL of the engine, for the SDK.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // The thread only ends early by a panic, which it has printed itself.
            let _ = thread.join();
        }
    }
}

async fn serve(
    listener: std::net::TcpListener,
    database: dynoxide::Database,
    stopped: oneshot::Receiver<()>,
) {
    let swept = database.clone();
    let sweeper = tokio::spawn(async move {
        let mut timer = tokio::time::interval(SWEEP_INTERVAL);
        loop {
            timer.tick().await;
            if let Err(error) = swept.sweep_ttl() {
                tracing::warn!(
                    ?error,
                    "expired items stay in the embedded store until the next sweep"
                );
            }
        }
    });
    let served = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => {
            dynoxide::server::serve_with_shutdown(listener, database, async move {
                // An error means that the handle was dropped, which is the signal.
                let _ = stopped.await;
            })
            .await
        }
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = served {
        tracing::error!(error, "the embedded store stopped");
    }
    sweeper.abort();
}
