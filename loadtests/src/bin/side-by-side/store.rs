//! The store behind traffic-cop, in a process of its own as DynamoDB would be, so that its work is not counted as the service's.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command};

use anyhow::Context as _;

use crate::traffic_cop;

/// A running store; dropped, it is killed.
pub(crate) struct Store {
    /// Where it listens.
    address: SocketAddr,
    child: Child,
}

impl Store {
    /// Starts the store that keeps its data in `directory`, on the calling thread's core, and lets it listen on `address`. It
    /// may take a moment until it does.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(crate) fn start(
        binary: &Path,
        directory: &Path,
        address: SocketAddr,
    ) -> anyhow::Result<Self> {
        let mut command: Command = traffic_cop::serve_store(binary, directory, address);
        let log =
            File::create(directory.join("store.log")).context("cannot create the store's log")?;
        command.stdout(log.try_clone().context("cannot share the log")?);
        command.stderr(log);
        let child = command.spawn().context("cannot start the store")?;
        Ok(Self { address, child })
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Both fail only when it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
