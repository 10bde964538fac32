//! Klaviyo's limits: so many requests in each second, and in each minute, by the
//! service's own clock.

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60_000;

#[derive(Clone, Copy, Debug)]
struct Window {
    length_ms: i64,
    limit: u32,
    began_at_ms: i64,
    requests: u32,
}

impl Window {
    fn new(length_ms: i64, limit: u32) -> Window {
        Window { length_ms, limit, began_at_ms: i64::MIN, requests: 0 }
    }

    fn turn(&mut self, now_ms: i64) {
        let began_at_ms = now_ms - now_ms.rem_euclid(self.length_ms);
        if began_at_ms != self.began_at_ms {
            (self.began_at_ms, self.requests) = (began_at_ms, 0);
        }
    }

    fn seconds_left(&self, now_ms: i64) -> i64 {
        (self.began_at_ms + self.length_ms - now_ms + 999) / 1_000
    }
}

/// What a request within the limits is told of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remaining {
    pub(crate) limit: u32,
    pub(crate) remaining: u32,
    pub(crate) reset_s: i64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows {
    burst: Window,
    steady: Window,
}

impl Windows {
    pub(crate) fn new(burst: u32, steady: u32) -> Windows {
        Windows { burst: Window::new(SECOND_MS, burst), steady: Window::new(MINUTE_MS, steady) }
    }

    /// Counts a request.
    ///
    /// # Errors
    ///
    /// It is over a limit: the seconds after which there is room again.
    pub(crate) fn admit(&mut self, now_ms: i64) -> Result<Remaining, i64> {
        self.burst.turn(now_ms);
        self.steady.turn(now_ms);
        for window in [&self.steady, &self.burst] {
            if window.requests >= window.limit {
                return Err(window.seconds_left(now_ms).max(1));
            }
        }
        self.burst.requests += 1;
        self.steady.requests += 1;
        Ok(Remaining {
            limit: self.steady.limit,
            remaining: self.steady.limit - self.steady.requests,
            reset_s: self.steady.seconds_left(now_ms),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_and_a_minute_are_limited() {
        let mut windows = Windows::new(2, 5);
        assert_eq!(windows.admit(60_000), Ok(Remaining { limit: 5, remaining: 4, reset_s: 60 }));
        assert!(windows.admit(60_001).is_ok());
        assert_eq!(windows.admit(60_500), Err(1));
        assert!(windows.admit(61_000).is_ok());
        assert!(windows.admit(61_000).is_ok());
        assert!(windows.admit(62_000).is_ok());
        // The minute is used up: until it ends, not until the second does.
        assert_eq!(windows.admit(63_000), Err(57));
        assert_eq!(windows.admit(120_000), Ok(Remaining { limit: 5, remaining: 4, reset_s: 60 }));
    }
}
