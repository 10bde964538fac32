//! How often an account is called: its vendor's limits, exactly, and the pauses
//! it asks for.

use std::collections::VecDeque;

use tradewind_vendors::Limit;

use crate::clock::Boot;

/// The requests of one account. What was sent before this process started is
/// not known to it; a vendor that minds says so.
#[derive(Debug)]
pub(crate) struct Pace {
    limits: &'static [Limit],
    /// The newest last, as many as the largest limit.
    sent: VecDeque<Boot>,
    paused_until: Boot,
}

impl Pace {
    pub(crate) fn new(limits: &'static [Limit]) -> Pace {
        Pace { limits, sent: VecDeque::new(), paused_until: Boot::default() }
    }

    /// When the next request may be sent: all limits hold at once.
    pub(crate) fn free_at(&self) -> Boot {
        let free_at = |limit: &Limit| {
            let back = usize::try_from(limit.requests).unwrap_or(usize::MAX);
            let blocking = self.sent.len().checked_sub(back).and_then(|index| self.sent.get(index));
            blocking.map_or(Boot::default(), |sent| *sent + limit.window_ms)
        };
        self.limits.iter().map(free_at).max().unwrap_or_default().max(self.paused_until)
    }

    pub(crate) fn note(&mut self, now: Boot) {
        self.sent.push_back(now);
        let kept = self.limits.iter().map(|limit| limit.requests).max().unwrap_or(0);
        while self.sent.len() > usize::try_from(kept).unwrap_or(usize::MAX) {
            self.sent.pop_front();
        }
    }

    pub(crate) fn pause(&mut self, until: Boot) {
        self.paused_until = self.paused_until.max(until);
    }

    /// Milliseconds between two requests at the highest rate that is allowed for a while.
    pub(crate) fn interval_ms(&self) -> i64 {
        let interval = |limit: &Limit| limit.window_ms / i64::from(limit.requests.max(1));
        self.limits.iter().map(interval).min().unwrap_or(0).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &[Limit] = &[Limit { requests: 3, window_ms: 1_000 }, Limit { requests: 5, window_ms: 60_000 }];

    /// Sends whenever it may, for as long as it takes.
    fn times(limits: &'static [Limit], requests: usize) -> Vec<i64> {
        let mut pace = Pace::new(limits);
        let mut now = Boot(0);
        let mut times = Vec::new();
        for _ in 0..requests {
            now = now.max(pace.free_at());
            pace.note(now);
            times.push(now.0);
        }
        times
    }

    #[test]
    fn all_limits_hold_at_once() {
        assert_eq!(times(BOTH, 9), [0, 0, 0, 1_000, 1_000, 60_000, 60_000, 60_000, 61_000]);
    }

    #[test]
    fn no_limit_does_not_wait() {
        assert_eq!(times(&[], 3), [0, 0, 0]);
    }

    #[test]
    fn a_pause_holds_the_whole_account() {
        let mut pace = Pace::new(BOTH);
        pace.pause(Boot(5_000));
        pace.pause(Boot(2_000));
        assert_eq!(pace.free_at(), Boot(5_000));
    }
}
