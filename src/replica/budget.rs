//! A limit of time that is set once something is on its way.

use std::pin::pin;
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

/// Waits for `future` for at most `budget`.
///
/// As [`tokio::time::timeout`], but the timer is set only after everything that was ready to run has run, the task that sends
/// what `future` waits for among it. For a timer that is due before all others tokio writes to the thread's own eventfd, so that a
/// thread that sleeps wakes up in time; done first, that would hold up what is to be sent.
///
/// # Errors
/// The budget ran out; `future` is dropped.
pub(super) async fn within<F: Future>(budget: Duration, future: F) -> Result<F::Output, Elapsed> {
    let deadline = Instant::now() + budget;
    let mut future = pin!(future);
    tokio::select! {
        biased;
        output = &mut future => return Ok(output),
        () = yield_now() => {}
    }
    timeout_at(deadline, future).await
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    const BUDGET: Duration = Duration::from_millis(20);

    #[tokio::test(start_paused = true)]
    async fn what_comes_in_time_is_returned_and_what_does_not_is_given_up_when_the_budget_is_over()
    {
        assert_eq!(within(BUDGET, ready(1)).await, Ok(1));
        let begin = Instant::now();
        let late = tokio::time::sleep(BUDGET / 2);
        assert_eq!(within(BUDGET, late).await, Ok(()));
        assert_eq!(begin.elapsed(), BUDGET / 2);
        assert!(within(BUDGET, pending::<()>()).await.is_err());
        assert_eq!(begin.elapsed(), BUDGET / 2 + BUDGET);
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_that_others_take_first_counts() {
        let begin = Instant::now();
        // Ready before the timer is set, and busy for longer than the budget.
        let busy = tokio::spawn(tokio::time::advance(2 * BUDGET));
        assert!(within(BUDGET, pending::<()>()).await.is_err());
        assert_eq!(begin.elapsed(), 2 * BUDGET);
        busy.await.expect("no panic");
    }
}
