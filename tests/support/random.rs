//! Random inputs, the same again for the same seed, in tests that need a runtime.

use std::fmt::Debug;
use std::sync::OnceLock;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use tokio::runtime::Handle;

use super::engine::environment_variable;

/// Names the seed to run again.
pub(crate) const SEED: &str = "TRAFFIC_COP_TEST_SEED";

/// The seed of this run.
pub(crate) fn seed() -> u64 {
    static SEED_OF_THIS_RUN: OnceLock<u64> = OnceLock::new();
    *SEED_OF_THIS_RUN.get_or_init(|| match environment_variable(SEED) {
        Some(seed) => seed.parse().expect("a seed is a whole number"),
        None => rand::random(),
    })
}

/// Runs `check` on `cases` inputs, and on ever smaller ones after a failure. Must be called on a multi-threaded runtime.
///
/// # Panics
/// With the smallest input found that fails, and how to run this again.
pub(crate) fn for_all<T: Debug>(
    cases: u32,
    inputs: &impl Strategy<Value = T>,
    check: impl AsyncFn(T),
) {
    let config = Config {
        cases,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed().to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, rng);
    // A panic inside `check` is caught by the runner and taken for a failure of the input.
    let outcome = runner.run(inputs, |input| {
        tokio::task::block_in_place(|| Handle::current().block_on(check(input)));
        Ok::<(), TestCaseError>(())
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(why, input)) => {
            panic!(
                "{why}\nsmallest input: {input:#?}\nrun again with {SEED}={}",
                seed()
            )
        }
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}
