//! What a connection is at, and since when: the clocks that no caller can stop.
//!
//! A timer per phase of a request would cost as much as the decision. So a phase is one word that the connection sets, with a
//! coarse time that somebody else moves on, and one watch per listener looks at all words a few times in the shortest of the
//! clocks. A clock is never early, and late by at most two looks.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;

use futures_util::task::AtomicWaker;

use super::ConnectionLimits;

/// What a connection is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// TLS is being agreed on.
    Handshake,
    /// Nothing has come yet.
    Fresh,
    /// An answer was given, and nothing has come since.
    Idle,
    /// The head of a request is coming in.
    Head,
    /// The head is there, the body is not.
    Body,
    /// The request is there, and being answered.
    Answer,
    /// It was the last one; the peer has a moment to take what it was told.
    Goodbye,
}

const PHASES: [Phase; 7] = [
    Phase::Handshake,
    Phase::Fresh,
    Phase::Idle,
    Phase::Head,
    Phase::Body,
    Phase::Answer,
    Phase::Goodbye,
];
/// Bits of the word that name the phase; the others are milliseconds.
const PHASE_BITS: u32 = 3;

/// Why a connection has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// No handshake in time.
    Handshake,
    /// No first byte in time.
    FirstByte,
    /// No whole head in time.
    Head,
    /// No whole body in time. Whoever reads the body answers; the connection ends after that.
    Body,
    /// The peer does not take what we write.
    Write,
    /// Others wait for its place, and it was doing nothing.
    Evicted,
    /// The process is on its way out and has waited long enough.
    Stopped,
}

impl Cause {
    pub(super) const ALL: [Self; 7] = [
        Self::Handshake,
        Self::FirstByte,
        Self::Head,
        Self::Body,
        Self::Write,
        Self::Evicted,
        Self::Stopped,
    ];

    /// The label of the metric.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Handshake => "handshake_timeout",
            Self::FirstByte => "first_byte_timeout",
            Self::Head => "head_timeout",
            Self::Body => "body_timeout",
            Self::Write => "write_timeout",
            Self::Evicted => "evicted",
            Self::Stopped => "stopped",
        }
    }

    /// Which of two causes counts: the weightier one, of equals the first.
    fn weight(self) -> u8 {
        match self {
            // What is late is answered first, and no clock stops for that.
            Self::Body => 0,
            Self::Handshake | Self::FirstByte | Self::Head | Self::Write => 1,
            // No goodbye is waited for.
            Self::Evicted | Self::Stopped => 2,
        }
    }
}

/// One connection, as its own task, its watch and its listener see it.
#[derive(Debug)]
pub(super) struct Watched {
    /// Milliseconds since the listener began, as of the last look.
    now: Arc<AtomicU64>,
    /// Phase and time of its beginning in one word, so that they change together.
    phase: AtomicU64,
    /// When the peer stopped taking what we write, plus one; 0 while it takes it.
    blocked_since: AtomicU64,
    /// One more than the place of the cause in `Cause::ALL`; 0 while there is none.
    cause: AtomicU8,
    is_stopping: AtomicBool,
    has_unread_input: AtomicBool,
    task: AtomicWaker,
}

impl Watched {
    pub(super) fn new(now: Arc<AtomicU64>, phase: Phase) -> Self {
        let watched = Self {
            now,
            phase: AtomicU64::new(0),
            blocked_since: AtomicU64::new(0),
            cause: AtomicU8::new(0),
            is_stopping: AtomicBool::new(false),
            has_unread_input: AtomicBool::new(false),
            task: AtomicWaker::new(),
        };
        watched.enter(phase);
        watched
    }

    /// A new phase, from now on.
    pub(super) fn enter(&self, phase: Phase) {
        let now = self.now.load(Ordering::Relaxed);
        self.phase
            .store(now << PHASE_BITS | phase as u64, Ordering::Relaxed);
    }

    /// The phase, and when it began.
    pub(super) fn phase(&self) -> (Phase, u64) {
        let word = self.phase.load(Ordering::Relaxed);
        let place = word & ((1 << PHASE_BITS) - 1);
        // Only `enter` writes the word, and it writes a phase.
        (PHASES[place as usize], word >> PHASE_BITS)
    }

    /// Bytes have come: of the next request, unless one is under way.
    pub(super) fn received(&self) {
        if matches!(self.phase().0, Phase::Fresh | Phase::Idle) {
            self.enter(Phase::Head);
        }
    }

    /// A write came to this.
    pub(super) fn wrote(&self, is_blocked: bool) {
        let since = self.blocked_since.load(Ordering::Relaxed);
        if is_blocked && since == 0 {
            let now = self.now.load(Ordering::Relaxed);
            self.blocked_since.store(now + 1, Ordering::Relaxed);
        } else if !is_blocked && since != 0 {
            self.blocked_since.store(0, Ordering::Relaxed);
        }
    }

    /// Remembers that something the peer sent was not read, so that the end has to be gentle.
    pub(super) fn leave_unread(&self) {
        self.has_unread_input.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_unread_input(&self) -> bool {
        self.has_unread_input.load(Ordering::Relaxed)
    }

    /// The clock that has run out at `now`, if one has. `slack` is how coarse the times are.
    pub(super) fn overdue(
        &self,
        now: u64,
        limits: &ConnectionLimits,
        slack: Duration,
    ) -> Option<Cause> {
        let is_past = |since: u64, limit: Duration| {
            u128::from(now.saturating_sub(since)) > (limit + slack).as_millis()
        };
        let blocked_since = self.blocked_since.load(Ordering::Relaxed);
        if blocked_since != 0 && is_past(blocked_since - 1, limits.write) {
            return Some(Cause::Write);
        }
        let (phase, since) = self.phase();
        let (limit, cause) = match phase {
            Phase::Handshake => (limits.handshake, Cause::Handshake),
            Phase::Fresh | Phase::Idle => (limits.first_byte, Cause::FirstByte),
            Phase::Head => (limits.head, Cause::Head),
            Phase::Body => (limits.body, Cause::Body),
            Phase::Answer | Phase::Goodbye => return None,
        };
        is_past(since, limit).then_some(cause)
    }

    /// Gives the connection a cause to end, unless it has one that weighs as much, and wakes it.
    pub(super) fn end(&self, cause: Cause) {
        let set = self
            .cause
            .fetch_update(Ordering::Release, Ordering::Relaxed, |earlier| {
                let is_weightier =
                    numbered(earlier).is_none_or(|earlier| earlier.weight() < cause.weight());
                is_weightier.then_some(cause as u8 + 1)
            });
        if set.is_ok() {
            self.task.wake();
        }
    }

    /// Why it has to end, if it has to.
    pub(super) fn cause(&self) -> Option<Cause> {
        numbered(self.cause.load(Ordering::Acquire))
    }

    /// Whether it has to end without a goodbye.
    pub(super) fn is_cut(&self) -> bool {
        matches!(self.cause(), Some(Cause::Evicted | Cause::Stopped))
    }

    /// Asks it to end after what it is at.
    pub(super) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
        self.task.wake();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// Does `work`, unless the connection has to end before it is done.
    pub(super) async fn unless_ended<F: Future>(&self, work: F) -> Result<F::Output, Cause> {
        let mut work = pin!(work);
        poll_fn(|cx| {
            self.register(cx.waker());
            let stopped = self.is_stopping().then_some(Cause::Stopped);
            match self.cause().or(stopped) {
                Some(cause) => Poll::Ready(Err(cause)),
                None => work.as_mut().poll(cx).map(Ok),
            }
        })
        .await
    }

    /// Does `goodbye` as far as it goes before the connection has to end without one.
    pub(super) async fn unless_cut(&self, goodbye: impl Future) {
        let mut goodbye = pin!(goodbye);
        poll_fn(|cx| {
            self.register(cx.waker());
            match goodbye.as_mut().poll(cx) {
                Poll::Pending if !self.is_cut() => Poll::Pending,
                Poll::Pending | Poll::Ready(_) => Poll::Ready(()),
            }
        })
        .await;
    }

    /// Whom to wake when there is news.
    pub(super) fn register(&self, task: &Waker) {
        self.task.register(task);
    }
}

fn numbered(cause: u8) -> Option<Cause> {
    Cause::ALL.get(usize::from(cause).checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLACK: Duration = Duration::from_millis(100);

    fn watched(phase: Phase) -> (Watched, Arc<AtomicU64>) {
        let now = Arc::new(AtomicU64::new(1_000));
        (Watched::new(Arc::clone(&now), phase), now)
    }

    fn overdue(watched: &Watched, after_ms: u64) -> Option<Cause> {
        watched.overdue(1_000 + after_ms, &ConnectionLimits::default(), SLACK)
    }

    #[test]
    fn each_phase_has_its_own_clock_and_answers_have_none() {
        let cases = [
            (Phase::Handshake, 5_100, Some(Cause::Handshake)),
            (Phase::Fresh, 75_100, Some(Cause::FirstByte)),
            (Phase::Idle, 75_100, Some(Cause::FirstByte)),
            (Phase::Head, 5_100, Some(Cause::Head)),
            (Phase::Body, 5_100, Some(Cause::Body)),
            (Phase::Answer, 1 << 40, None),
            (Phase::Goodbye, 1 << 40, None),
        ];
        for (phase, end, cause) in cases {
            let (watched, _) = watched(phase);
            assert_eq!(watched.phase(), (phase, 1_000));
            assert_eq!(overdue(&watched, end - 1), None, "{phase:?} is never early");
            assert_eq!(overdue(&watched, end + 1), cause, "{phase:?}");
        }
    }

    #[test]
    fn bytes_begin_a_head_once_and_only_where_a_request_may_begin() {
        let (watched, now) = watched(Phase::Idle);
        now.store(5_000, Ordering::Relaxed);
        watched.received();
        assert_eq!(watched.phase(), (Phase::Head, 5_000));
        now.store(6_000, Ordering::Relaxed);
        watched.received();
        assert_eq!(
            watched.phase(),
            (Phase::Head, 5_000),
            "a byte a second does not start it again"
        );
        watched.enter(Phase::Body);
        watched.received();
        assert_eq!(watched.phase().0, Phase::Body);
    }

    #[test]
    fn a_peer_that_takes_nothing_is_overdue_whatever_the_phase() {
        let (watched, now) = watched(Phase::Answer);
        watched.wrote(true);
        now.store(9_000, Ordering::Relaxed);
        watched.wrote(true);
        assert_eq!(overdue(&watched, 10_101), Some(Cause::Write));
        watched.wrote(false);
        assert_eq!(overdue(&watched, 10_101), None);
    }

    #[test]
    fn the_first_cause_stays_until_a_weightier_one_comes() {
        for (earlier, later, stays) in [
            (Cause::Head, Cause::Write, Cause::Head),
            (Cause::Head, Cause::Body, Cause::Head),
            (Cause::Body, Cause::FirstByte, Cause::FirstByte),
            (Cause::Body, Cause::Write, Cause::Write),
            (Cause::Write, Cause::Evicted, Cause::Evicted),
            (Cause::Stopped, Cause::Evicted, Cause::Stopped),
        ] {
            let (watched, _) = watched(Phase::Head);
            assert_eq!(watched.cause(), None);
            watched.end(earlier);
            assert_eq!(watched.cause(), Some(earlier));
            watched.end(later);
            assert_eq!(watched.cause(), Some(stays), "{earlier:?}, {later:?}");
        }
    }

    #[test]
    fn causes_and_phases_stand_where_their_numbers_say() {
        for (place, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, place);
        }
        for (place, phase) in PHASES.into_iter().enumerate() {
            assert_eq!(phase as usize, place);
        }
    }
}
