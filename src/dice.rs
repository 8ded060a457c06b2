//! Chance, where it is nobody's secret: salts, identities of writes, and pauses of uneven length.
//!
//! It comes from the system, or, on the thread of a simulation, from a seed: everything that a deployment does by itself then
//! follows from that one number. Secrets are never drawn here.

use std::cell::RefCell;
use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, RngExt as _, SeedableRng as _};

thread_local! {
    static SEEDED: RefCell<Option<Xoshiro256PlusPlus>> = const { RefCell::new(None) };
}

/// Has everything that is drawn on this thread from now on follow from `seed`.
pub fn seed(seed: u64) {
    SEEDED.set(Some(Xoshiro256PlusPlus::seed_from_u64(seed)));
}

fn draw<T>(of: impl FnOnce(&mut dyn Rng) -> T) -> T {
    SEEDED.with_borrow_mut(|seeded| match seeded {
        Some(seeded) => of(seeded),
        None => of(&mut rand::rng()),
    })
}

/// So many bytes.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    draw(|dice| {
        let mut bytes = [0; N];
        dice.fill_bytes(&mut bytes);
        bytes
    })
}

/// A share: from 0 to below 1.
#[must_use]
pub fn share() -> f64 {
    draw(|dice| dice.random_range(0.0..1.0))
}

/// A pause that is up to `jitter`, a share, shorter or longer than `pause`, so that processes do not act in step.
#[must_use]
pub fn about(pause: Duration, jitter: f64) -> Duration {
    pause.mul_f64(1.0 + jitter * (2.0 * share() - 1.0))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_seed_makes_a_thread_repeat_itself_and_no_other() {
        let drawn = |number| {
            let thread = thread::spawn(move || {
                if let Some(number) = number {
                    seed(number);
                }
                (bytes::<16>(), share(), about(Duration::from_secs(1), 0.2))
            });
            thread.join().expect("it ends well")
        };
        assert_eq!(drawn(Some(7)), drawn(Some(7)));
        assert_ne!(drawn(Some(7)), drawn(Some(8)));
        assert_ne!(drawn(None), drawn(None));
    }

    #[test]
    fn a_pause_stays_within_its_jitter() {
        for _ in 0..1_000 {
            let pause = about(Duration::from_secs(10), 0.2);
            assert!((8.0..=12.0).contains(&pause.as_secs_f64()), "{pause:?}");
        }
        assert_eq!(about(Duration::from_secs(1), 0.0), Duration::from_secs(1));
    }
}
