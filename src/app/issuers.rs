//! Following the issuers that access names, and having their keys ready.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::access::Keyring;
use crate::access::oidc::issuers::Issuers;
use crate::domain::access::Access;
use crate::replica::Replica;

/// Keeps the keys of all issuers at hand until `stop`: fetched when an entry comes, when they are old, and when a token names
/// one that is not there.
pub(super) async fn keep(
    issuers: Issuers,
    keyring: Arc<Keyring>,
    replica: Arc<Replica>,
    stop: CancellationToken,
) {
    let mut served = replica.served();
    loop {
        served.mark_unchanged();
        let named = replica.look(|follower| follower.access().state().map(Access::issuer_urls));
        let pause = issuers.refresh(named.flatten().unwrap_or_default());
        let pause = tokio::select! {
            () = stop.cancelled() => return,
            pause = pause => pause,
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
            () = keyring.until_newer_keys_are_wanted() => {}
            // An error would mean that the replica is gone, and it is held here.
            _ = served.changed() => {}
        }
    }
}
