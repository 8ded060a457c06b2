//! Following the issuers that access names, and having their keys ready.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::access::Keyring;
use crate::access::oidc::issuers::Issuers;
use crate::replica::Replica;

/// Keeps the keys of all issuers at hand until `stop`: fetched when an entry comes, when they are old, and when a token names
/// one that is not there. The issuers are those of what is served, a default snapshot like any other.
pub async fn keep(
    issuers: Issuers,
    keyring: Arc<Keyring>,
    replica: Arc<Replica>,
    stop: CancellationToken,
) {
    let mut served = replica.served();
    loop {
        served.mark_unchanged();
        let named = {
            let snapshot = replica.snapshot();
            snapshot.as_ref().map(|served| served.access.issuer_urls())
        };
        let refreshed = async {
            match named {
                Some(named) => issuers.refresh(named).await,
                // Nobody knows yet who is trusted: what is remembered is for when that is known.
                None => Duration::MAX,
            }
        };
        let pause = tokio::select! {
            () = stop.cancelled() => return,
            pause = refreshed => pause,
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
