//! What the console counts.

use tradewind_telemetry::{Counter, Counters, Gauge, Metric, Metrics};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsoleMetric {
    Requests,
    LiveClients,
    DroppedClients,
    Records,
}

impl ConsoleMetric {
    pub const ALL: [ConsoleMetric; 4] =
        [ConsoleMetric::Requests, ConsoleMetric::LiveClients, ConsoleMetric::DroppedClients, ConsoleMetric::Records];
}

impl Metric for ConsoleMetric {
    fn name(self) -> &'static str {
        match self {
            ConsoleMetric::Requests => "console_requests_total",
            ConsoleMetric::LiveClients => "console_live_clients",
            ConsoleMetric::DroppedClients => "console_dropped_clients_total",
            ConsoleMetric::Records => "console_records_total",
        }
    }

    fn help(self) -> &'static str {
        match self {
            ConsoleMetric::Requests => "Requests by what was asked and how it was answered",
            ConsoleMetric::LiveClients => "Pages that follow live",
            ConsoleMetric::DroppedClients => "Pages that were too slow to follow and were told to come again",
            ConsoleMetric::Records => "Records read from the log, by topic",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Counted {
    requests: Counters<2>,
    pub(crate) live_clients: Gauge,
    pub(crate) dropped_clients: Counter,
    pub(crate) events: Counter,
    pub(crate) decisions: Counter,
}

impl Counted {
    pub(crate) fn new(metrics: &Metrics) -> Counted {
        let records = metrics.counters(ConsoleMetric::Records, ["topic"]);
        Counted {
            requests: metrics.counters(ConsoleMetric::Requests, ["route", "answer"]),
            live_clients: metrics.gauges(ConsoleMetric::LiveClients, []).of([]),
            dropped_clients: metrics.counters(ConsoleMetric::DroppedClients, []).of([]),
            events: records.of(["events"]),
            decisions: records.of(["decisions"]),
        }
    }

    pub(crate) fn request(&self, route: &'static str, answer: &'static str) {
        self.requests.of([route, answer]).increment();
    }
}
