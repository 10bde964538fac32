//! What owners count, all partitions of a process together.

use tradewind_telemetry::{Counter, Gauge, Histogram, Metric, Metrics, Share};

use crate::owner::Turned;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrchestratorMetric {
    Turn,
    Facts,
    Wakeups,
    Decisions,
    Commands,
    Parked,
    Lag,
    Partitions,
    Recoveries,
    StoresRebuilt,
}

impl OrchestratorMetric {
    pub const ALL: [OrchestratorMetric; 10] = [
        OrchestratorMetric::Turn,
        OrchestratorMetric::Facts,
        OrchestratorMetric::Wakeups,
        OrchestratorMetric::Decisions,
        OrchestratorMetric::Commands,
        OrchestratorMetric::Parked,
        OrchestratorMetric::Lag,
        OrchestratorMetric::Partitions,
        OrchestratorMetric::Recoveries,
        OrchestratorMetric::StoresRebuilt,
    ];
}

impl Metric for OrchestratorMetric {
    fn name(self) -> &'static str {
        match self {
            OrchestratorMetric::Turn => "orchestrator_turn_seconds",
            OrchestratorMetric::Facts => "orchestrator_facts_total",
            OrchestratorMetric::Wakeups => "orchestrator_wakeups_total",
            OrchestratorMetric::Decisions => "orchestrator_decisions_total",
            OrchestratorMetric::Commands => "orchestrator_commands_total",
            OrchestratorMetric::Parked => "orchestrator_parked_total",
            OrchestratorMetric::Lag => "orchestrator_lag_records",
            OrchestratorMetric::Partitions => "orchestrator_partitions",
            OrchestratorMetric::Recoveries => "orchestrator_recoveries_total",
            OrchestratorMetric::StoresRebuilt => "orchestrator_stores_rebuilt_total",
        }
    }

    fn help(self) -> &'static str {
        match self {
            OrchestratorMetric::Turn => "Turns that found something, from reading to the commit",
            OrchestratorMetric::Facts => "Records folded",
            OrchestratorMetric::Wakeups => "Wakeups fired",
            OrchestratorMetric::Decisions => "Decisions taken",
            OrchestratorMetric::Commands => "Commands issued",
            OrchestratorMetric::Parked => "Facts and instances this release fails at, left for a later one",
            OrchestratorMetric::Lag => {
                "Records on the partitions owned here that are not folded yet, as of the last five seconds"
            }
            OrchestratorMetric::Partitions => "Partitions that are live here",
            OrchestratorMetric::Recoveries => "Times a partition was recovered",
            OrchestratorMetric::StoresRebuilt => "Stores that were damaged, moved aside and folded again",
        }
    }
}

/// The counters of a process, shared by its owners.
#[derive(Clone, Debug)]
pub struct Counted {
    pub(crate) turn: Histogram,
    facts: Counter,
    wakeups: Counter,
    decisions: Counter,
    commands: Counter,
    parked: Counter,
    lag: Gauge,
    pub(crate) partitions: Gauge,
    pub(crate) recoveries: Counter,
    pub(crate) stores_rebuilt: Counter,
}

impl Counted {
    /// # Panics
    ///
    /// They were registered before.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Counted {
        const SECONDS: &[f64] = &[0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];
        let counter = |metric| metrics.counters(metric, []).of([]);
        Counted {
            turn: metrics.histograms(OrchestratorMetric::Turn, [], SECONDS).of([]),
            facts: counter(OrchestratorMetric::Facts),
            wakeups: counter(OrchestratorMetric::Wakeups),
            decisions: counter(OrchestratorMetric::Decisions),
            commands: counter(OrchestratorMetric::Commands),
            parked: counter(OrchestratorMetric::Parked),
            lag: metrics.gauges(OrchestratorMetric::Lag, []).of([]),
            partitions: metrics.gauges(OrchestratorMetric::Partitions, []).of([]),
            recoveries: counter(OrchestratorMetric::Recoveries),
            stores_rebuilt: counter(OrchestratorMetric::StoresRebuilt),
        }
    }

    pub(crate) fn turned(&self, turned: &Turned) {
        self.facts.add(turned.facts.into());
        self.wakeups.add(turned.wakeups.into());
        self.decisions.add(turned.decisions.into());
        self.commands.add(turned.commands.into());
        self.parked.add(turned.parked.into());
    }

    /// What one partition adds to the lag.
    pub(crate) fn lag(&self) -> Share {
        Share::of(&self.lag)
    }
}
