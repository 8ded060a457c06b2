//! Callers who do not let up, and who check every answer against what they know.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::StatusCode;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::client::{Client, MAIN};
use crate::world::PATIENCE;

/// Callers of each kind.
const CALLERS: usize = 2;
/// Pause of a caller between two calls.
const PAUSE: Duration = Duration::from_millis(10);

/// What is true of the deployment, whatever a process says.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// Outages that have begun or ended. The store is away for certain while this is odd.
    outages: AtomicU64,
    /// The last revision that was acknowledged.
    acknowledged: AtomicU64,
}

impl Facts {
    /// From now on the store is away for certain.
    pub(crate) fn store_is_away(&self) {
        assert_eq!(self.outages.fetch_add(1, Ordering::SeqCst) % 2, 0);
    }

    /// From now on the store may be there.
    pub(crate) fn store_may_be_back(&self) {
        assert_eq!(self.outages.fetch_add(1, Ordering::SeqCst) % 2, 1);
    }

    /// From now on this revision is acknowledged.
    pub(crate) fn acknowledge(&self, revision: u64) {
        self.acknowledged.fetch_max(revision, Ordering::SeqCst);
    }
}

/// What callers were told so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// Answers that were validated.
    pub(crate) validated: usize,
    /// Answers from memory to callers who had asked for the latest.
    pub(crate) fallen_back: usize,
    /// Answers to callers who had not.
    pub(crate) plain: usize,
    /// The highest revision.
    pub(crate) revision: u64,
}

/// Callers of one process: some take any answer, some want none from before they asked.
#[derive(Debug)]
pub(crate) struct Load {
    told: Arc<watch::Sender<Told>>,
    callers: JoinSet<()>,
    stop: CancellationToken,
}

impl Load {
    pub(crate) fn on(client: &Client, facts: &Arc<Facts>) -> Self {
        let told = Arc::new(watch::Sender::default());
        let stop = CancellationToken::new();
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            callers.spawn(plain(client.clone(), Arc::clone(&told), stop.clone()));
            let (facts, told) = (Arc::clone(facts), Arc::clone(&told));
            callers.spawn(afresh(client.clone(), facts, told, stop.clone()));
        }
        Self {
            told,
            callers,
            stop,
        }
    }

    /// What they were told so far.
    pub(crate) fn told(&self) -> Told {
        *self.told.borrow()
    }

    /// Waits until they have been told enough. Fails if one of them was told what cannot be.
    pub(crate) async fn until(&mut self, what: &str, is_enough: impl Fn(Told) -> bool) {
        let mut told = self.told.subscribe();
        let enough = timeout(PATIENCE, told.wait_for(|told| is_enough(*told)));
        tokio::select! {
            enough = enough => {
                let enough = enough.unwrap_or_else(|_| panic!("waited in vain: {what}: {:?}", self.told()));
                enough.expect("callers");
            }
            ended = self.callers.join_next() => {
                ended.expect("callers").expect("a caller who is told the truth");
                panic!("a caller ended before its time");
            }
        }
    }

    /// Waits until they have been told something so many times more, each kind of them.
    pub(crate) async fn goes_on_for(&mut self, times: usize) {
        let before = self.told();
        let afresh = |told: Told| told.validated + told.fallen_back;
        self.until("calls are answered", |told| {
            told.plain >= before.plain + times && afresh(told) >= afresh(before) + times
        })
        .await;
    }

    /// Waits until so many more answers were validated.
    pub(crate) async fn is_validated(&mut self, times: usize) {
        let before = self.told().validated;
        self.until("answers are validated", |told| {
            told.validated >= before + times
        })
        .await;
    }

    /// Ends it, when everyone has the answer that they wait for.
    pub(crate) async fn end(mut self) -> Told {
        self.stop.cancel();
        while let Some(ended) = self.callers.join_next().await {
            ended.expect("a caller who is told the truth");
        }
        self.told()
    }
}

async fn plain(client: Client, told: Arc<watch::Sender<Told>>, stop: CancellationToken) {
    let mut seen = 0;
    while !stop.is_cancelled() {
        let answer = client.ask_for_decision(MAIN).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        assert_ne!(answer.json["Source"], "validated", "nobody asked for it");
        let revision = answer.decided_by();
        assert!(revision >= seen, "{revision} after {seen}");
        seen = revision;
        told.send_modify(|told| {
            told.plain += 1;
            told.revision = told.revision.max(revision);
        });
        tokio::time::sleep(PAUSE).await;
    }
}

async fn afresh(
    client: Client,
    facts: Arc<Facts>,
    told: Arc<watch::Sender<Told>>,
    stop: CancellationToken,
) {
    let mut seen = 0;
    while !stop.is_cancelled() {
        let outages = facts.outages.load(Ordering::SeqCst);
        let acknowledged = facts.acknowledged.load(Ordering::SeqCst);
        let answer = client.ask_for_decision_afresh(MAIN).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let revision = answer.decided_by();
        assert!(revision >= seen, "{revision} after {seen}");
        seen = revision;
        let is_validated = answer.json["Source"] == "validated";
        if is_validated {
            assert!(
                revision >= acknowledged,
                "{acknowledged} was acknowledged: {answer:?}"
            );
            let was_away = outages % 2 == 1 && facts.outages.load(Ordering::SeqCst) == outages;
            assert!(!was_away, "by a store that was away: {answer:?}");
        }
        told.send_modify(|told| {
            told.validated += usize::from(is_validated);
            told.fallen_back += usize::from(!is_validated);
            told.revision = told.revision.max(revision);
        });
        tokio::time::sleep(PAUSE).await;
    }
}
