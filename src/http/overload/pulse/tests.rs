use std::sync::mpsc;

use super::*;
use crate::clock::SystemClock;

#[test]
fn threads_that_do_not_get_round_to_it_are_noticed_and_so_is_their_relief() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let wait = Arc::new(Wait::default());
    let clock = Arc::new(SystemClock::start());
    let _pulse =
        Pulse::start(runtime.handle(), Arc::clone(&wait), Gauge::default(), clock).unwrap();
    let (release, held) = mpsc::channel::<()>();
    // Blocks the only thread until it is told to go on.
    runtime.spawn(async move { held.recv() });

    while wait.get() < BEAT {
        std::thread::yield_now();
    }
    release.send(()).unwrap();
    while wait.get() >= BEAT {
        std::thread::yield_now();
    }
    runtime.shutdown_background();
}
