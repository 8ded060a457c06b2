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

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A consistent read of a place in the journal that nothing stands at, as HTTP.
    pub(crate) fn read(&self) -> Vec<u8> {
        let body = serde_json::json!({
            "TableName": "Deployment_Control",
            "Key": { "pk": { "S": "journal" }, "sk": { "S": "99999999999999999999" } },
            "ConsistentRead": true,
        });
        let body = body.to_string();
        // The engine takes any credentials.
        let head = format!(
            "POST / HTTP/1.1\r\nhost: {}\r\nx-amz-target: DynamoDB_20120810.GetItem\r\n\
             content-type: application/x-amz-json-1.0\r\nx-amz-date: 20260101T000000Z\r\n\
             authorization: AWS4-HMAC-SHA256 Credential=local/20260101/local/dynamodb/aws4_request, SignedHeaders=host, Signature=0\r\n\
             content-length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        [head, body].concat().into_bytes()
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
