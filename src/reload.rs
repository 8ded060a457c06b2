//! What is made from files that may change while the process runs: they are looked at now and then, and at once on SIGHUP.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::signals::HangUp;

/// How often files are looked at. Keys and certificates are changed in steps of minutes.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// Something that was made from files.
pub trait Reload: Send + 'static {
    /// What it is, for the log.
    const WHAT: &'static str;

    /// Looks at the files and takes what has changed in them. May block.
    fn look(&mut self);
}

/// Looks at the files of `made` again and again until `stop`.
pub async fn keep<R: Reload>(mut made: R, mut hang_up: HangUp, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = hang_up.wait() => {}
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
        }
        let looked = tokio::task::spawn_blocking(move || {
            made.look();
            made
        });
        match looked.await {
            Ok(as_before) => made = as_before,
            Err(error) => {
                let what = R::WHAT;
                return tracing::error!(%error, what, "files are looked at no longer");
            }
        }
    }
}
