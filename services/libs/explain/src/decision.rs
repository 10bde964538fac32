//! A decision as it is shown: what was chosen, why, and what changed by it.

use serde::Serialize;
use tradewind_domain::{
    Choice, CommandId, Decision, DecisionId, EntityKey, FactId, InstanceId, Name, Parked, Position, Tenant, Timestamp,
    Transition, WakeupId,
};

use crate::command::CommandSeen;
use crate::fact::FactSeen;
use crate::text;
use crate::words::{self, cut};

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DecisionSeen {
    /// Its place on `tradewind.decisions`.
    pub offset: u64,
    /// The step of `tradewind.events` it was taken at.
    #[serde(serialize_with = "text::shown")]
    pub position: Position,
    #[serde(serialize_with = "text::shown")]
    pub id: DecisionId,
    pub tenant: Tenant,
    /// The log's time when it was taken.
    #[serde(serialize_with = "text::time")]
    pub decided_at: Timestamp,
    /// The fact that was folded last: at a wakeup, the one that moved the time on.
    #[serde(serialize_with = "text::shown")]
    pub fact: FactId,
    #[serde(serialize_with = "text::shown_if_any")]
    pub wakeup: Option<WakeupId>,
    /// What the wakeup is called where it is said.
    pub wakeup_name: Option<Name>,
    pub build: Name,
    /// What came of it, in a line.
    pub headline: String,
    pub choices: Vec<ChoiceSeen>,
    /// What our own code failed at.
    pub parked: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChoiceSeen {
    pub workflow: Name,
    #[serde(serialize_with = "text::shown")]
    pub instance: InstanceId,
    #[serde(serialize_with = "text::entity")]
    pub subject: EntityKey,
    /// What the workflow was allowed to do.
    pub lifecycle: &'static str,
    pub chosen: Option<Name>,
    pub reasons: Vec<String>,
    pub features: Vec<FeatureSeen>,
    pub alternatives: Vec<AlternativeSeen>,
    pub policy: Name,
    pub policy_version: u32,
    pub seed: u64,
    pub holdout: bool,
    pub explored: bool,
    /// Sources that were still silent when waiting ended.
    pub missing: Vec<String>,
    #[serde(serialize_with = "text::all_shown")]
    pub facts_read: Vec<FactId>,
    pub facts_read_more: u32,
    pub commands: Vec<CommandSeen>,
    /// What it would have asked for, had it been on.
    pub withheld: Vec<WithheldSeen>,
    pub suppressed: Vec<SuppressedSeen>,
    pub deferred: Vec<DeferredSeen>,
    /// What was concluded: it counts as a fact.
    pub derived: Vec<FactSeen>,
    /// Every change it made, in order.
    pub changes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FeatureSeen {
    pub name: String,
    pub value: f64,
    pub shown: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AlternativeSeen {
    pub arm: Name,
    pub chosen: bool,
    pub propensity: f64,
    pub rule: Option<Name>,
    /// The rule in words.
    pub because: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WithheldSeen {
    pub command: CommandSeen,
    pub rule: Name,
    pub because: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SuppressedSeen {
    pub capability: &'static str,
    pub rule: Name,
    pub because: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeferredSeen {
    pub capability: &'static str,
    pub rule: Name,
    pub because: String,
    #[serde(serialize_with = "text::time")]
    pub until: Timestamp,
}

impl DecisionSeen {
    #[must_use]
    pub fn of(decision: &Decision, position: Position, offset: u64) -> DecisionSeen {
        let choices: Vec<ChoiceSeen> = decision.choices.iter().map(|choice| ChoiceSeen::of(choice, decision)).collect();
        let parked: Vec<String> = decision.parked.iter().map(parked).collect();
        let transitions = decision.choices.iter().flat_map(|choice| &choice.transitions);
        let cleared = transitions.filter_map(|transition| named_wakeup(transition, decision.wakeup?));
        DecisionSeen {
            offset,
            position,
            id: decision.id,
            tenant: decision.tenant.clone(),
            decided_at: decision.watermark,
            fact: decision.fact,
            wakeup: decision.wakeup,
            wakeup_name: cleared.into_iter().next(),
            build: decision.build.clone(),
            headline: headline(&choices, &parked),
            choices,
            parked,
        }
    }

    #[must_use]
    pub fn issued(&self, command: CommandId) -> bool {
        self.commands().any(|issued| issued.id == command)
    }

    pub fn commands(&self) -> impl Iterator<Item = &CommandSeen> {
        self.choices.iter().flat_map(|choice| &choice.commands)
    }
}

fn named_wakeup(transition: &Transition, fired: WakeupId) -> Option<Name> {
    if let Transition::WakeupCleared { wakeup, name } = transition
        && *wakeup == fired
    {
        return Some(name.clone());
    }
    None
}

fn headline(choices: &[ChoiceSeen], parked: &[String]) -> String {
    let mut parts: Vec<String> = choices.iter().map(ChoiceSeen::headline).collect();
    parts.extend(parked.iter().cloned());
    match parts.len() {
        0 => "nothing to do".into(),
        1..=3 => parts.join("; "),
        more => format!("{}; and {} more", parts[..3].join("; "), more - 3),
    }
}

impl ChoiceSeen {
    fn of(choice: &Choice, decision: &Decision) -> ChoiceSeen {
        let mut seen = ChoiceSeen {
            workflow: choice.workflow.clone(),
            instance: choice.instance,
            subject: choice.subject.clone(),
            lifecycle: words::lifecycle(choice.lifecycle, choice.withholds),
            chosen: choice.chosen.clone(),
            reasons: choice.reasons.iter().map(|reason| words::rule(reason.as_str())).collect(),
            features: choice.features.iter().map(FeatureSeen::of).collect(),
            alternatives: choice
                .alternatives
                .iter()
                .map(|alternative| AlternativeSeen {
                    arm: alternative.arm.clone(),
                    chosen: choice.chosen.as_ref() == Some(&alternative.arm),
                    propensity: alternative.propensity,
                    rule: alternative.rule.clone(),
                    because: alternative.rule.as_ref().map(|rule| words::rule(rule.as_str())),
                })
                .collect(),
            policy: choice.policy.clone(),
            policy_version: choice.policy_version,
            seed: choice.seed,
            holdout: choice.holdout,
            explored: choice.explored,
            missing: choice.missing.iter().map(|source| words::plain(source.as_str())).collect(),
            facts_read: choice.facts_read.clone(),
            facts_read_more: choice.facts_read_more,
            commands: Vec::new(),
            withheld: Vec::new(),
            suppressed: Vec::new(),
            deferred: Vec::new(),
            derived: Vec::new(),
            changes: choice.transitions.iter().map(change).collect(),
        };
        for transition in &choice.transitions {
            seen.take(transition, decision);
        }
        seen
    }

    fn take(&mut self, transition: &Transition, decision: &Decision) {
        match transition {
            Transition::CommandIssued { command } => self.commands.push(CommandSeen::of(command)),
            Transition::Withheld { command, rule } => self.withheld.push(WithheldSeen {
                command: CommandSeen::of(command),
                rule: rule.clone(),
                because: words::rule(rule.as_str()),
            }),
            Transition::Suppressed { capability, rule } => self.suppressed.push(SuppressedSeen {
                capability: words::capability(*capability),
                rule: rule.clone(),
                because: words::rule(rule.as_str()),
            }),
            Transition::Deferred { capability, rule, until } => self.deferred.push(DeferredSeen {
                capability: words::capability(*capability),
                rule: rule.clone(),
                because: words::rule(rule.as_str()),
                until: *until,
            }),
            Transition::Derived { id, fact } => {
                self.derived.push(FactSeen::derived(*id, fact, &decision.tenant, decision.watermark));
            }
            Transition::InstanceStarted { .. }
            | Transition::StepEntered { .. }
            | Transition::VariableSet { .. }
            | Transition::WakeupSet { .. }
            | Transition::WakeupCleared { .. }
            | Transition::SlotReserved { .. }
            | Transition::SlotReleased { .. }
            | Transition::HeldOut { .. }
            | Transition::InstanceEnded { .. }
            | Transition::OutcomeMissing { .. } => {}
        }
    }

    /// What this choice came to: the strongest thing it did.
    fn headline(&self) -> String {
        let workflow = &self.workflow;
        if let [command] = self.commands.as_slice() {
            return format!("{workflow}: {}", command.headline);
        }
        if !self.commands.is_empty() {
            return format!("{workflow}: {}", words::count(self.commands.len(), "command"));
        }
        if let Some(withheld) = self.withheld.first() {
            return format!("{workflow}: would {}, but {}", withheld.command.headline, withheld.because);
        }
        if let Some(suppressed) = self.suppressed.first() {
            return format!("{workflow}: did not {}, since {}", suppressed.capability, suppressed.because);
        }
        if let Some(deferred) = self.deferred.first() {
            let until = text::rfc3339(deferred.until);
            return format!("{workflow}: will look again at {until}, since {}", deferred.because);
        }
        if let Some(reason) = self.reasons.first() {
            return format!("{workflow}: {reason}");
        }
        match self.changes.as_slice() {
            [] => format!("{workflow}: nothing to do"),
            [first, ..] => format!("{workflow}: {first}"),
        }
    }
}

impl FeatureSeen {
    fn of(feature: &tradewind_domain::Feature) -> FeatureSeen {
        let name = feature.name.as_str();
        FeatureSeen { name: words::figure_name(name), value: feature.value, shown: words::figure(name, feature.value) }
    }
}

fn change(transition: &Transition) -> String {
    match transition {
        Transition::InstanceStarted { .. } => "it begins to watch".into(),
        Transition::StepEntered { step, iteration: 1 } => format!("enters step {step}"),
        Transition::StepEntered { step, iteration } => format!("enters step {step} for the {iteration}. time"),
        Transition::VariableSet { name, value } => format!("remembers {name} = {value}"),
        Transition::WakeupSet { name, due, lateness_ms, awaits_sources, .. } => {
            let late = if *lateness_ms > 0 { format!(" and {}", text::span(*lateness_ms)) } else { String::new() };
            let gaps = if *awaits_sources { ", not while a source is silent" } else { "" };
            format!("will look again ({name}) at {}{late}{gaps}", text::rfc3339(*due))
        }
        Transition::WakeupCleared { name, .. } => format!("the wakeup {name} is done with"),
        Transition::SlotReserved { cap, .. } => format!("takes a place of the cap {cap}"),
        Transition::SlotReleased { cap, .. } => format!("gives back a place of the cap {cap}: nobody was reached"),
        Transition::CommandIssued { command } => format!("issues command {}", command.id),
        Transition::Withheld { command, rule } => {
            let (capability, rule) = (words::capability(command.body.capability()), words::rule(rule.as_str()));
            format!("would {capability} and does not: {rule}")
        }
        Transition::Suppressed { capability, rule } => {
            format!("does not {}: {}", words::capability(*capability), words::rule(rule.as_str()))
        }
        Transition::Deferred { capability, rule, until } => {
            let (capability, rule) = (words::capability(*capability), words::rule(rule.as_str()));
            format!("does not {capability} before {}: {rule}", text::rfc3339(*until))
        }
        Transition::HeldOut { .. } => "is held out, to compare with".into(),
        Transition::Derived { fact, .. } => format!("concludes {}", fact.body.kind()),
        Transition::InstanceEnded { reason } => format!("ends: {}", words::rule(reason.as_str())),
        Transition::OutcomeMissing { command } => format!("no outcome of command {command} was reported in time"),
    }
}

fn parked(parked: &Parked) -> String {
    match parked {
        Parked::Fact(fact) => format!("fact {} could not be folded: {}", fact.fact, cut(&fact.reason)),
        Parked::Instance(instance) => {
            let (id, workflow, subject) =
                (instance.instance, &instance.workflow, crate::entity::text(&instance.subject));
            format!("instance {id} of {workflow} for {subject} could not be decided: {}", cut(&instance.reason))
        }
    }
}
