//! What the connector counts.

use tradewind_telemetry::{Counter, Counters, Gauge, Histogram, Metric, Metrics};

use crate::answer::Answer;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectorMetric {
    Deliveries,
    Acknowledge,
    Facts,
    AppendedDeliveries,
    Beats,
    QueuedDeliveries,
    Outage,
    Reached,
}

impl ConnectorMetric {
    pub const ALL: [ConnectorMetric; 8] = [
        ConnectorMetric::Deliveries,
        ConnectorMetric::Acknowledge,
        ConnectorMetric::Facts,
        ConnectorMetric::AppendedDeliveries,
        ConnectorMetric::Beats,
        ConnectorMetric::QueuedDeliveries,
        ConnectorMetric::Outage,
        ConnectorMetric::Reached,
    ];
}

impl Metric for ConnectorMetric {
    fn name(self) -> &'static str {
        match self {
            ConnectorMetric::Deliveries => "connector_deliveries_total",
            ConnectorMetric::Acknowledge => "connector_acknowledge_seconds",
            ConnectorMetric::Facts => "connector_facts_total",
            ConnectorMetric::AppendedDeliveries => "connector_appended_deliveries",
            ConnectorMetric::Beats => "connector_beats_total",
            ConnectorMetric::QueuedDeliveries => "connector_queued_deliveries",
            ConnectorMetric::Outage => "connector_outage",
            ConnectorMetric::Reached => "connector_reached",
        }
    }

    fn help(self) -> &'static str {
        match self {
            ConnectorMetric::Deliveries => "Deliveries by vendor and by what they were answered",
            ConnectorMetric::Acknowledge => "From the head of a delivery that was kept to its answer",
            ConnectorMetric::Facts => "Facts appended, by vendor",
            ConnectorMetric::AppendedDeliveries => "Deliveries that shared one append",
            ConnectorMetric::Beats => "Beats appended; none for a minute opens a gap",
            ConnectorMetric::QueuedDeliveries => "Deliveries that are sealed and not yet answered by the log",
            ConnectorMetric::Outage => "1 while deliveries are turned away because log or vault don't do their part",
            ConnectorMetric::Reached => "1 while our public address leads back to us; without it there are no beats",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Counted {
    deliveries: Counters<2>,
    facts: Counters<1>,
    pub(crate) acknowledge: Histogram,
    pub(crate) appended_deliveries: Histogram,
    pub(crate) beats: Counter,
    queued_deliveries: Gauge,
    pub(crate) outage: Gauge,
    pub(crate) reached: Gauge,
}

impl Counted {
    pub(crate) fn new(metrics: &Metrics) -> Counted {
        const SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0];
        const DELIVERIES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
        Counted {
            deliveries: metrics.counters(ConnectorMetric::Deliveries, ["vendor", "answer"]),
            facts: metrics.counters(ConnectorMetric::Facts, ["vendor"]),
            acknowledge: metrics.histograms(ConnectorMetric::Acknowledge, [], SECONDS).of([]),
            appended_deliveries: metrics.histograms(ConnectorMetric::AppendedDeliveries, [], DELIVERIES).of([]),
            beats: metrics.counters(ConnectorMetric::Beats, []).of([]),
            queued_deliveries: metrics.gauges(ConnectorMetric::QueuedDeliveries, []).of([]),
            outage: metrics.gauges(ConnectorMetric::Outage, []).of([]),
            reached: metrics.gauges(ConnectorMetric::Reached, []).of([]),
        }
    }

    /// `vendor` is the roster's word; `none` where the token names no connection.
    pub(crate) fn delivery(&self, vendor: &'static str, answer: Answer) {
        self.deliveries.of([vendor, answer.word()]).increment();
    }

    /// Counts as queued until it is dropped.
    pub(crate) fn queued(&self) -> Queued {
        self.queued_deliveries.add(1);
        Queued(self.queued_deliveries.clone())
    }

    pub(crate) fn facts(&self, vendor: &'static str, count: u64) {
        self.facts.of([vendor]).add(count);
    }
}

#[derive(Debug)]
pub(crate) struct Queued(Gauge);

impl Drop for Queued {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}
