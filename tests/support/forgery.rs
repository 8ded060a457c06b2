//! Records that no writer of ours has written, with hashes that fit: what a bug, another binary, or somebody with access to the
//! tables may leave.

use serde_json::Value;
use traffic_cop::domain::ids::{AggregateKey, Revision, Sequence};
use traffic_cop::store::record::Draft;

use super::process::environment;
use super::{Process, World};

/// Puts a record by hand that continues the last one of an environment. Returns its place.
pub(crate) async fn forge(
    world: &World,
    process: &Process,
    name: &str,
    change: impl FnOnce(&mut Draft),
) -> u64 {
    forge_of(world, process, &environment(name), change).await
}

/// The same, of any aggregate.
pub(crate) async fn forge_of(
    world: &World,
    process: &Process,
    aggregate: &AggregateKey,
    change: impl FnOnce(&mut Draft),
) -> u64 {
    process.catch_up().await;
    let (revision, sequence) = process.end_of(aggregate);
    let mut draft = world.tables.record(sequence.0).await.change;
    draft.revision = revision.next();
    draft.previous = sequence;
    draft.operation.0[0] ^= 0xff;
    draft.action = "forged".to_owned();
    change(&mut draft);
    let record = draft.at(&process.position_to_write_at());
    world.tables.put(record.to_item()).await;
    record.sequence.0
}

/// Puts a state of an environment that nobody can read.
pub(crate) async fn poison(world: &World, process: &Process, name: &str) -> u64 {
    forge(world, process, name, |draft| {
        draft.state = b"{\"oops".to_vec();
    })
    .await
}

/// The state as a binary of another format would have written it.
pub(crate) fn rewritten(state: &[u8], rewrite: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut state = serde_json::from_slice(state).expect("a state");
    rewrite(&mut state);
    state.to_string().into_bytes()
}

impl Process {
    /// Revision and place of the last record of an aggregate, as far as this process has followed.
    pub(crate) fn end_of(&self, aggregate: &AggregateKey) -> (Revision, Sequence) {
        let end = self.replica.look(|follower| match aggregate {
            AggregateKey::Environment(name) => {
                let known = follower.environment(name);
                known.map(|known| (known.revision, known.sequence))
            }
            AggregateKey::Access => {
                let access = follower.access();
                Some((access.revision, access.sequence))
            }
            AggregateKey::Settings => {
                let settings = follower.settings();
                Some((settings.revision, settings.sequence))
            }
            AggregateKey::Other(_) => None,
        });
        end.flatten().unwrap_or_default()
    }
}
