//! Signs of life: where a vendor said nothing for a while, a beat says that it
//! could have. Silence of a minute without one opens a gap (D3).
//!
//! A partition may be busy with one vendor while another is silent, so silence is
//! by vendor; one beat names all that were silent.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tradewind_domain::Vendor;

/// When each vendor was last heard of on one partition.
#[derive(Debug)]
pub(crate) struct Heard {
    every: Duration,
    last: BTreeMap<Vendor, Instant>,
}

impl Heard {
    pub(crate) fn new(every: Duration) -> Heard {
        Heard { every, last: BTreeMap::new() }
    }

    pub(crate) fn hear(&mut self, vendors: impl IntoIterator<Item = Vendor>, now: Instant) {
        self.last.extend(vendors.into_iter().map(|vendor| (vendor, now)));
    }

    /// Those of `vendors` that a beat is due for. Who was never heard of is: nobody
    /// knows how long this process was away.
    pub(crate) fn silent<'a>(&self, vendors: impl Iterator<Item = &'a Vendor>, now: Instant) -> Vec<Vendor> {
        let is_silent =
            |vendor: &&Vendor| self.last.get(*vendor).is_none_or(|last| now.duration_since(*last) >= self.every);
        vendors.filter(is_silent).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vendor_is_silent_though_another_is_not() {
        let [gorgias, shopify] = ["gorgias", "shopify"].map(|name| Vendor::new(name).unwrap());
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut heard = Heard::new(15 * second);
        let silent = |heard: &Heard, at| {
            let silent = heard.silent([&gorgias, &shopify].into_iter(), start + at * second);
            silent.iter().map(Vendor::as_str).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(silent(&heard, 0), "gorgias shopify");
        heard.hear([gorgias.clone(), shopify.clone()], start);
        assert_eq!(silent(&heard, 14), "");
        heard.hear([shopify.clone()], start + 14 * second);
        assert_eq!(silent(&heard, 15), "gorgias");
        assert_eq!(silent(&heard, 29), "gorgias shopify");
    }
}
