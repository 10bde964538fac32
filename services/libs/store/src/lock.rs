//! Waiting for a lock. One may be held a moment longer than its holder had it open:
//! by a child process that is just being started, or by a thread that ends.

use std::thread;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(10);

/// Tries until it is not held, or for so long.
pub(crate) fn wait_for<T, E>(
    within: Duration,
    attempt: impl Fn() -> Result<T, E>,
    is_held: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let started = Instant::now();
    loop {
        match attempt() {
            Err(error) if is_held(&error) && started.elapsed() < within => thread::sleep(PAUSE),
            done => return done,
        }
    }
}
