//! Sums over what was measured.

use std::time::Duration;

/// So many in so long, a second.
#[expect(clippy::cast_precision_loss, reason = "a rate")]
#[must_use]
pub fn rate(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

/// The share of one rate in another, for people.
#[must_use]
pub fn percent(part: f64, whole: f64) -> String {
    format!("{:.1} %", 100.0 * part / whole)
}

/// The share of one count in another, for people.
#[expect(clippy::cast_precision_loss, reason = "a share")]
#[must_use]
pub fn share(part: u64, whole: u64) -> String {
    percent(part as f64, whole as f64)
}

/// Microseconds of `took` for each of so many.
#[expect(clippy::cast_precision_loss, reason = "a mean")]
#[must_use]
pub fn micros_each(took: Duration, count: u64) -> f64 {
    took.as_secs_f64() * 1e6 / count as f64
}

/// Median, 99th percentile and largest, in milliseconds.
///
/// # Panics
///
/// There is nothing to sum up.
#[must_use]
pub fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)].as_secs_f64() * 1e3;
    format!("p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms (n = {})", at(50), at(99), at(100), times.len())
}
