//! Metrics by name. A name comes from an enum of the service that counts, so that
//! documents, dashboards and alerts can be checked against it. Label values are
//! words of our own, never an id or anything a vendor sent: their number is bounded
//! by the source.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter as Count;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge as Level;
use prometheus_client::metrics::histogram::Histogram as Distribution;
use prometheus_client::registry::Registry;

/// One metric of a service, with what it answers.
pub trait Metric: Copy {
    /// Such as `connector_deliveries_total`: service, thing, unit. A counter ends in `_total`.
    fn name(self) -> &'static str;

    /// The question it answers, without a full stop.
    fn help(self) -> &'static str;
}

type Labels<const N: usize> = [(&'static str, &'static str); N];

/// The metrics of a process. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<Mutex<Registered>>);

#[derive(Debug, Default)]
struct Registered {
    registry: Registry,
    names: BTreeSet<&'static str>,
}

impl Metrics {
    #[must_use]
    pub fn new() -> Metrics {
        Metrics::default()
    }

    /// # Panics
    ///
    /// The name is taken, or does not end in `_total`.
    #[must_use]
    pub fn counters<const N: usize>(&self, metric: impl Metric, labels: [&'static str; N]) -> Counters<N> {
        let family = Family::<Labels<N>, Count>::default();
        // The exposition puts the suffix back.
        let name = metric.name().strip_suffix("_total").expect("a counter's name ends in _total");
        self.registered(metric).registry.register(name, metric.help(), family.clone());
        Counters { labels, family }
    }

    /// # Panics
    ///
    /// The name is taken.
    #[must_use]
    pub fn gauges<const N: usize>(&self, metric: impl Metric, labels: [&'static str; N]) -> Gauges<N> {
        let family = Family::<Labels<N>, Level>::default();
        self.registered(metric).registry.register(metric.name(), metric.help(), family.clone());
        Gauges { labels, family }
    }

    /// `bounds` are the upper ends of the buckets, in the name's unit.
    ///
    /// # Panics
    ///
    /// The name is taken.
    #[must_use]
    pub fn histograms<const N: usize>(
        &self,
        metric: impl Metric,
        labels: [&'static str; N],
        bounds: &'static [f64],
    ) -> Histograms<N> {
        let family = Family::<Labels<N>, Distribution, Bounds>::new_with_constructor(Bounds(bounds));
        self.registered(metric).registry.register(metric.name(), metric.help(), family.clone());
        Histograms { labels, family }
    }

    /// All of them in the text format of OpenMetrics.
    ///
    /// # Panics
    ///
    /// Never: writing to a string can't fail.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.state().registry).expect("writing to a string can't fail");
        text
    }

    fn registered(&self, metric: impl Metric) -> MutexGuard<'_, Registered> {
        let mut registered = self.state();
        assert!(registered.names.insert(metric.name()), "expected {} to be registered once", metric.name());
        registered
    }

    fn state(&self) -> MutexGuard<'_, Registered> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[derive(Clone, Copy, Debug)]
struct Bounds(&'static [f64]);

impl MetricConstructor<Distribution> for Bounds {
    fn new_metric(&self) -> Distribution {
        Distribution::new(self.0.iter().copied())
    }
}

macro_rules! family {
    ($families:ident of $inner:ty, $member:ident, $constructor:ty) => {
        /// By the values of their labels; hold on to what counts often.
        #[derive(Clone)]
        pub struct $families<const N: usize> {
            labels: [&'static str; N],
            family: Family<Labels<N>, $inner, $constructor>,
        }

        impl<const N: usize> $families<N> {
            /// The values in the order of the labels.
            #[must_use]
            pub fn of(&self, values: [&'static str; N]) -> $member {
                let labels = std::array::from_fn(|index| (self.labels[index], values[index]));
                $member(self.family.get_or_create_owned(&labels))
            }
        }

        impl<const N: usize> fmt::Debug for $families<N> {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, concat!(stringify!($families), "({:?})"), self.labels)
            }
        }
    };
}

family!(Counters of Count, Counter, fn() -> Count);
family!(Gauges of Level, Gauge, fn() -> Level);
family!(Histograms of Distribution, Histogram, Bounds);

#[derive(Clone, Debug)]
pub struct Counter(Count);

impl Counter {
    pub fn increment(&self) {
        self.0.inc();
    }

    pub fn add(&self, count: u64) {
        self.0.inc_by(count);
    }

    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.get()
    }
}

#[derive(Clone, Debug)]
pub struct Gauge(Level);

impl Gauge {
    pub fn set(&self, value: i64) {
        self.0.set(value);
    }

    /// Negative to take away.
    pub fn add(&self, value: i64) {
        self.0.inc_by(value);
    }

    #[must_use]
    pub fn value(&self) -> i64 {
        self.0.get()
    }
}

/// What one part of a process adds to a gauge that it shares with others; taken away when it is dropped.
#[derive(Debug)]
pub struct Share {
    gauge: Gauge,
    value: i64,
}

impl Share {
    #[must_use]
    pub fn of(gauge: &Gauge) -> Share {
        Share { gauge: gauge.clone(), value: 0 }
    }

    pub fn set(&mut self, value: i64) {
        self.gauge.add(value - self.value);
        self.value = value;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[derive(Clone, Debug)]
pub struct Histogram(Distribution);

impl Histogram {
    pub fn observe(&self, value: f64) {
        self.0.observe(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_a_gauge_add_up_and_go_with_their_owners() {
        let gauge = Metrics::new().gauges(Kitchen::Ovens, []).of([]);
        let (mut one, mut other) = (Share::of(&gauge), Share::of(&gauge));
        one.set(3);
        other.set(4);
        one.set(1);
        assert_eq!(gauge.value(), 5);
        drop(other);
        assert_eq!(gauge.value(), 1);
    }

    #[derive(Clone, Copy)]
    enum Kitchen {
        Orders,
        Ovens,
        Baking,
    }

    impl Metric for Kitchen {
        fn name(self) -> &'static str {
            match self {
                Kitchen::Orders => "kitchen_orders_total",
                Kitchen::Ovens => "kitchen_ovens",
                Kitchen::Baking => "kitchen_baking_seconds",
            }
        }

        fn help(self) -> &'static str {
            "what the kitchen does"
        }
    }

    #[test]
    fn what_was_counted_is_shown_under_its_name() {
        let metrics = Metrics::new();
        let orders = metrics.counters(Kitchen::Orders, ["dish", "size"]);
        orders.of(["soup", "large"]).increment();
        orders.clone().of(["soup", "large"]).add(2);
        metrics.gauges(Kitchen::Ovens, []).of([]).set(4);
        metrics.histograms(Kitchen::Baking, [], &[0.1, 1.0]).of([]).observe(0.5);
        assert_eq!(orders.of(["soup", "large"]).value(), 3);
        let text = metrics.text();
        for line in [
            "# TYPE kitchen_orders counter\n",
            "kitchen_orders_total{dish=\"soup\",size=\"large\"} 3\n",
            "kitchen_ovens{} 4\n",
            "kitchen_baking_seconds_bucket{le=\"0.1\"} 0\n",
            "kitchen_baking_seconds_bucket{le=\"1.0\"} 1\n",
            "kitchen_baking_seconds_count{} 1\n",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    #[should_panic(expected = "expected kitchen_ovens to be registered once")]
    fn a_name_is_registered_once() {
        let metrics = Metrics::new();
        let _ovens = metrics.gauges(Kitchen::Ovens, []);
        let _again = metrics.gauges(Kitchen::Ovens, []);
    }
}
