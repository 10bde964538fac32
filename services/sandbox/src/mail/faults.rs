//! What befalls a request: drawn from the seed, the request's bytes and how often
//! they came before, so that neither threads nor timing change it.

use serde::Serialize;

use crate::chance::Chance;
use crate::settings::MailFaults;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fault {
    Throttled { retry_after_s: i64 },
    Unavailable { is_applied: bool },
    TimedOut { is_applied: bool },
    Slow,
    Cut { is_applied: bool },
}

impl Fault {
    /// The word in counts.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Fault::Throttled { .. } => "throttled",
            Fault::Unavailable { is_applied: false } => "unavailable",
            Fault::Unavailable { is_applied: true } => "unavailable_applied",
            Fault::TimedOut { is_applied: false } => "timed_out",
            Fault::TimedOut { is_applied: true } => "timed_out_applied",
            Fault::Slow => "slow",
            Fault::Cut { is_applied: false } => "cut",
            Fault::Cut { is_applied: true } => "cut_applied",
        }
    }
}

pub(crate) fn draw(faults: MailFaults, seed: u64, request: &[u8], times_before: u64) -> Option<Fault> {
    let mut chance = Chance::of(seed, "mail", &[request, &times_before.to_be_bytes()]);
    let retry_after_s = if chance.per_mille(500) { 1 } else { 7 };
    let shares = [
        (faults.throttled, Fault::Throttled { retry_after_s }),
        (faults.unavailable, Fault::Unavailable { is_applied: false }),
        (faults.unavailable_applied, Fault::Unavailable { is_applied: true }),
        (faults.timed_out, Fault::TimedOut { is_applied: false }),
        (faults.timed_out_applied, Fault::TimedOut { is_applied: true }),
        (faults.slow, Fault::Slow),
        (faults.cut, Fault::Cut { is_applied: false }),
        (faults.cut_applied, Fault::Cut { is_applied: true }),
    ];
    let mut drawn = chance.between(0, 999);
    for (share, fault) in shares {
        match drawn.checked_sub(u64::from(share)) {
            None => return Some(fault),
            Some(left) => drawn = left,
        }
    }
    None
}

/// The sum of all shares.
pub(crate) fn total(faults: MailFaults) -> u32 {
    let MailFaults {
        throttled,
        unavailable,
        unavailable_applied,
        timed_out,
        timed_out_applied,
        slow,
        cut,
        cut_applied,
    } = faults;
    [throttled, unavailable, unavailable_applied, timed_out, timed_out_applied, slow, cut, cut_applied]
        .into_iter()
        .map(u32::from)
        .sum()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_same_request_has_the_same_fate() {
        let fates = || (0..50).map(|time| draw(MailFaults::some(), 7, b"request", time)).collect::<Vec<_>>();
        assert_eq!(fates(), fates());
    }

    #[test]
    fn every_fault_occurs_and_most_requests_have_none() {
        let fates: Vec<_> = (0..2_000u64).map(|n| draw(MailFaults::some(), 7, &n.to_be_bytes(), 0)).collect();
        let words: BTreeSet<&str> = fates.iter().flatten().map(|fault| fault.word()).collect();
        assert_eq!(words.len(), 8);
        let faults = fates.iter().flatten().count();
        let expected = usize::try_from(total(MailFaults::some())).expect("a small number") * 2;
        assert!((expected * 8 / 10..expected * 12 / 10).contains(&faults), "{faults}");
        assert!((0..1_000u64).all(|n| draw(MailFaults::default(), 7, &n.to_be_bytes(), 0).is_none()));
    }
}
