//! A day of a merchant, decided by the real owner over the log in memory.

use std::sync::Arc;

use fastrand::Rng;
use tradewind_domain::{Choice, DecisionId, OutcomeState};
use tradewind_explain::Explainer;
use tradewind_simulation::shop::{self, HOUR, Shape};
use tradewind_simulation::{
    Broker, Faults, MemoryLog, Pace, ProcessId, Reading, START, StoreFate, Trouble, World, read,
};

pub(crate) struct Day {
    pub(crate) broker: Arc<Broker>,
    pub(crate) reading: Reading,
}

impl Day {
    /// A lively one; some deliveries come late or twice.
    pub(crate) fn of(seed: u64) -> Day {
        let trouble = Trouble {
            faults: Faults::none(),
            fate: StoreFate::Kept,
            pace: Pace::TIGHT,
            outage: None,
            duplicated_percent: 10,
            late_percent: 10,
        };
        let shape = Shape { customers: 12, tenants: 2, hours: 3, quiet_minutes: 20, holdout_percent: 20 };
        let mut rng = Rng::with_seed(seed);
        let mut world = World::new(rng.fork(), &trouble, shape, Broker::new());
        for number in 0..shape.tenants {
            let day = shop::day(&mut rng, &shop::tenant(number), shape, START);
            world.plan(day, &trouble);
        }
        world.plan_beats(START + (shape.hours + 6) * HOUR, &trouble);
        world.run().expect("nothing stops");
        world.settle(shape).expect("nothing stops");
        let broker = world.deployment.broker.clone();
        let reading = read(&broker, &[shop::vendor("klaviyo")]).expect("a log that keeps the rules");
        Day { broker, reading }
    }

    pub(crate) fn log(&self) -> MemoryLog {
        self.broker.connect(ProcessId(1_000), &Faults::none())
    }

    pub(crate) fn explainer(&self) -> Explainer {
        Explainer::new(Arc::new(self.log()), 1)
    }

    /// A day with a decision in which something was chosen that holds.
    pub(crate) fn with(holds: impl Fn(&Choice) -> bool) -> (Day, DecisionId) {
        let days = (1..40).map(Day::of);
        let decided = days.filter_map(|day| {
            let mut decisions = day.reading.decisions.iter();
            let id = decisions.find(|read| read.value.choices.iter().any(&holds))?.value.id;
            Some((day, id))
        });
        decided.into_iter().next().expect("such a day among the first")
    }
}

pub(crate) const FINAL: [&str; 2] = [OutcomeState::Succeeded.as_str(), OutcomeState::Rejected.as_str()];
