//! Reads that are shared by everyone who needs one that begins later than now.
//!
//! Whoever asks cannot share a read that is under way, since that may have passed what they ask about; but all who ask
//! meanwhile share the next. However many there are, at most one read is in flight and one waiting.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Notify, watch};

/// Where those who ask and the one who reads meet.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    /// Rounds begun so far.
    begun: AtomicU64,
    wanted: Notify,
    /// The last round that ended.
    pub(super) ended: watch::Sender<Round>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Round {
    number: u64,
    pub(super) is_good: bool,
}

impl Rounds {
    /// Waits for the end of a round that begins after the call. Returns whether it came to something.
    pub(super) async fn next(&self) -> bool {
        // Subscribed before the number is read: a round that ends in between is not missed.
        let mut ended = self.ended.subscribe();
        let needed = self.begun.load(Ordering::SeqCst) + 1;
        self.ask();
        let round = ended.wait_for(|round| round.number >= needed).await;
        round.is_ok_and(|round| round.is_good)
    }

    /// The same, but does not wait for the next round if the one under way comes to nothing.
    pub(super) async fn next_if_sound(&self) -> bool {
        let mut ended = self.ended.subscribe();
        let needed = self.begun.load(Ordering::SeqCst) + 1;
        self.ask();
        while ended.changed().await.is_ok() {
            let round = *ended.borrow_and_update();
            if round.number >= needed || !round.is_good {
                return round.is_good;
            }
        }
        false
    }

    /// Asks for a round without waiting for it.
    pub(super) fn ask(&self) {
        self.wanted.notify_one();
    }

    /// Waits until somebody asks.
    pub(super) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Carries out one round; `read` says whether it came to something.
    pub(super) async fn hold(&self, read: impl Future<Output = bool>) {
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let is_good = read.await;
        self.ended.send_replace(Round { number, is_good });
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::poll_immediate;

    use super::*;

    #[tokio::test]
    async fn whoever_asks_while_a_read_is_under_way_waits_for_the_next() {
        let rounds = Rounds::default();
        let mut late = Box::pin(rounds.next());
        rounds
            .hold(async {
                // Asks for the first time in the middle of the first round.
                assert!(poll_immediate(&mut late).await.is_none());
                true
            })
            .await;
        assert!(poll_immediate(&mut late).await.is_none());
        rounds.wanted().await;
        rounds.hold(async { false }).await;
        assert!(!late.await, "the second round came to nothing");
    }

    #[tokio::test]
    async fn all_who_ask_at_once_share_one_read() {
        let rounds = Rounds::default();
        let reader = async {
            rounds.wanted().await;
            rounds.hold(async { true }).await;
        };
        let (a, b, ()) = tokio::join!(rounds.next(), rounds.next(), reader);
        assert!(a && b);
        assert_eq!(rounds.begun.load(Ordering::SeqCst), 1);
    }
}
