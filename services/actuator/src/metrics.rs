//! What actuators count, by vendor, all partitions of a process together.

use tradewind_domain::OutcomeState;
use tradewind_telemetry::{Counter, Counters, Gauges, Metric, Metrics, Share};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActuatorMetric {
    Requests,
    Setbacks,
    Outcomes,
    PassedOver,
    OpenCommands,
    HeldCommands,
}

impl ActuatorMetric {
    pub const ALL: [ActuatorMetric; 6] = [
        ActuatorMetric::Requests,
        ActuatorMetric::Setbacks,
        ActuatorMetric::Outcomes,
        ActuatorMetric::PassedOver,
        ActuatorMetric::OpenCommands,
        ActuatorMetric::HeldCommands,
    ];
}

impl Metric for ActuatorMetric {
    fn name(self) -> &'static str {
        match self {
            ActuatorMetric::Requests => "actuator_requests_total",
            ActuatorMetric::Setbacks => "actuator_setbacks_total",
            ActuatorMetric::Outcomes => "actuator_outcomes_total",
            ActuatorMetric::PassedOver => "actuator_passed_over_total",
            ActuatorMetric::OpenCommands => "actuator_open_commands",
            ActuatorMetric::HeldCommands => "actuator_held_commands",
        }
    }

    fn help(self) -> &'static str {
        match self {
            ActuatorMetric::Requests => "Requests to vendors, by vendor",
            ActuatorMetric::Setbacks => "Requests that did not do it and are tried again, by vendor and reason",
            ActuatorMetric::Outcomes => "Outcomes appended, by vendor and state; a quarantined one waits for a person",
            ActuatorMetric::PassedOver => "Commands read so late that nobody waits for an outcome any more, by vendor",
            ActuatorMetric::OpenCommands => "Commands in memory that have no outcome yet, by vendor",
            ActuatorMetric::HeldCommands => {
                "Commands that a switch, a connection that is off, or a missing secret holds back, by vendor"
            }
        }
    }
}

/// The families of a process.
#[derive(Clone, Debug)]
pub struct Counted {
    requests: Counters<1>,
    setbacks: Counters<2>,
    outcomes: Counters<2>,
    passed_over: Counters<1>,
    open: Gauges<1>,
    held: Gauges<1>,
}

impl Counted {
    /// # Panics
    ///
    /// They were registered before.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Counted {
        Counted {
            requests: metrics.counters(ActuatorMetric::Requests, ["vendor"]),
            setbacks: metrics.counters(ActuatorMetric::Setbacks, ["vendor", "reason"]),
            outcomes: metrics.counters(ActuatorMetric::Outcomes, ["vendor", "state"]),
            passed_over: metrics.counters(ActuatorMetric::PassedOver, ["vendor"]),
            open: metrics.gauges(ActuatorMetric::OpenCommands, ["vendor"]),
            held: metrics.gauges(ActuatorMetric::HeldCommands, ["vendor"]),
        }
    }

    pub(crate) fn by(&self, vendor: &'static str) -> Tally {
        Tally {
            vendor,
            requests: self.requests.of([vendor]),
            setbacks: self.setbacks.clone(),
            outcomes: self.outcomes.clone(),
            passed_over: self.passed_over.of([vendor]),
            open: Share::of(&self.open.of([vendor])),
            held: Share::of(&self.held.of([vendor])),
        }
    }
}

/// What one actuator counts.
#[derive(Debug)]
pub(crate) struct Tally {
    vendor: &'static str,
    pub(crate) requests: Counter,
    setbacks: Counters<2>,
    outcomes: Counters<2>,
    pub(crate) passed_over: Counter,
    pub(crate) open: Share,
    pub(crate) held: Share,
}

impl Tally {
    pub(crate) fn setback(&self, reason: &'static str) {
        self.setbacks.of([self.vendor, reason]).increment();
    }

    pub(crate) fn outcome(&self, state: OutcomeState) {
        self.outcomes.of([self.vendor, state.as_str()]).increment();
    }
}
