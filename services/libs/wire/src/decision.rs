//! Decisions, commit points and the lineage: records of `tradewind.decisions`,
//! and the command records that follow from a decision's.

use prost::Message;
use tradewind_domain::{
    Alternative, Choice, Command, Decision, DecisionRecord, FactId, FactParked, Feature, InstanceParked, Lineage,
    LineageOpened, Parked, ParkedAt, Position, Tenant, Timestamp, Transition, TurnCommitted, Vendor,
};
use tradewind_ports::{Headers, NewRecord, Record};

use crate::command::{self, Head, Stamp};
use crate::common::{self, Wire, embedded, field, list, one_of, or_blank, required, to_list, unless_blank};
use crate::error::{DecodeError, Mismatch};
use crate::headers::{self, CloudEvent, READER_LEVEL, Writer};
use crate::proto;

const MESSAGE: &str = "decision";
const POSITION_EXPECTED: &str = "<offset>.<step>, two decimal numbers";

/// A decision's record and those of the commands it issues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedDecision {
    pub record: NewRecord,
    /// Values are the very bytes that stand in the decision.
    pub commands: Vec<(Vendor, NewRecord)>,
}

/// The records of a decision taken at `position`.
#[must_use]
pub fn record(decision: &Decision, position: Position, lineage: Lineage) -> EncodedDecision {
    let level = READER_LEVEL.to_string();
    let (position, lineage) = (position.to_string(), lineage.to_string());
    let stamp = Stamp { min_reader: level.as_bytes(), position: position.as_bytes(), lineage: lineage.as_bytes() };
    let mut commands = Vec::new();
    let mut issue = |command: &Command| {
        let bytes = command::encode(command);
        commands.push(Head::of(command).record(bytes.clone(), &stamp));
        bytes
    };
    let value = proto::DecisionRecord {
        body: Some(proto::decision_record::Body::Decision(decision_to_proto(decision, &mut issue))),
    };
    let headers = Writer::cloud_event(&CloudEvent {
        id: decision.id,
        tenant: &decision.tenant,
        vendor: Vendor::ourselves().as_str(),
        account: "",
        kind: format_args!("tradewind.decision.made.v1"),
        subject: None,
        time: Some(decision.watermark),
    })
    .bytes(headers::MIN_READER, stamp.min_reader)
    .bytes(headers::POSITION, stamp.position)
    .bytes(headers::LINEAGE, stamp.lineage)
    .finish();
    let key = decision.tenant.as_bytes().to_vec();
    EncodedDecision { record: NewRecord { key, headers, value: Some(value.encode_to_vec()) }, commands }
}

/// The record of a commit point of a partition. It belongs to no tenant. All
/// partitions have one lineage, so the id names the partition beside it.
#[must_use]
pub fn turn_record(partition: u32, turn: &TurnCommitted) -> NewRecord {
    let id = format_args!("{}/{partition}/{}", turn.lineage, turn.to);
    let headers = of_partition(id, "tradewind.turn.committed.v1", Some(turn.watermark), turn.lineage);
    partition_record(headers, proto::decision_record::Body::TurnCommitted(turn.to_proto()))
}

/// The record that opens `tradewind.decisions` of a partition.
#[must_use]
pub fn lineage_record(partition: u32, opened: &LineageOpened) -> NewRecord {
    let id = format_args!("{}/{partition}", opened.lineage);
    let headers = of_partition(id, "tradewind.lineage.opened.v1", None, opened.lineage);
    partition_record(headers, proto::decision_record::Body::Lineage(opened.to_proto()))
}

/// A record of `tradewind.decisions`; the position is that of a decision.
///
/// # Errors
///
/// A newer release wrote it, or it is no such record.
pub fn decode(record: &Record) -> Result<(Option<Position>, DecisionRecord), DecodeError> {
    let value = headers::readable_value(MESSAGE, record)?;
    let proto: proto::DecisionRecord = common::parse(MESSAGE, value)?;
    let decoded: DecisionRecord = body_from_proto(proto).map_err(|mismatch| mismatch.of(MESSAGE))?;
    let position = match decoded {
        DecisionRecord::Decision(_) => {
            let value = record.headers.get(headers::POSITION);
            Some(headers::required(headers::POSITION, value, POSITION_EXPECTED)?)
        }
        DecisionRecord::TurnCommitted(_) | DecisionRecord::Lineage(_) => None,
    };
    Ok((position, decoded))
}

/// The command records of a stored record, once more and byte for byte the same:
/// from its headers and from the commands' bytes as they stand in it, whatever a
/// newer release put there.
///
/// # Errors
///
/// A newer release wrote it for newer readers, or it is no such record.
pub fn commands(record: &Record) -> Result<Vec<(Vendor, NewRecord)>, DecodeError> {
    let value = headers::readable_value(MESSAGE, record)?;
    let proto: proto::DecisionRecord = common::parse(MESSAGE, value)?;
    let decision = match one_of(proto.body, "body").map_err(|mismatch| mismatch.of(MESSAGE))? {
        proto::decision_record::Body::Decision(decision) => decision,
        proto::decision_record::Body::TurnCommitted(_) | proto::decision_record::Body::Lineage(_) => {
            return Ok(Vec::new());
        }
    };
    let issued = decision.choices.into_iter().flat_map(|choice| choice.transitions).filter_map(issued_bytes);
    let mut records = Vec::new();
    for bytes in issued {
        let stamp = stamp(&record.headers)?;
        records.push(Head::read(&bytes)?.record(bytes, &stamp));
    }
    Ok(records)
}

fn issued_bytes(transition: proto::Transition) -> Option<Vec<u8>> {
    if let Some(proto::transition::Body::CommandIssued(issued)) = transition.body { Some(issued.command) } else { None }
}

/// What command records have from their decision's, copied as it stands.
fn stamp(headers: &Headers) -> Result<Stamp<'_>, DecodeError> {
    let copied = |name, expected| headers.get(name).ok_or_else(|| headers::missing(name, expected));
    Ok(Stamp {
        min_reader: copied(headers::MIN_READER, "a reader level: a decimal number")?,
        position: copied(headers::POSITION, POSITION_EXPECTED)?,
        lineage: copied(headers::LINEAGE, "a UUID")?,
    })
}

fn of_partition(id: std::fmt::Arguments<'_>, kind: &str, time: Option<Timestamp>, lineage: Lineage) -> Headers {
    Writer::cloud_event(&CloudEvent {
        id,
        tenant: &Tenant::system(),
        vendor: Vendor::ourselves().as_str(),
        account: "",
        kind: format_args!("{kind}"),
        subject: None,
        time,
    })
    .level(READER_LEVEL)
    .text(headers::LINEAGE, lineage)
    .finish()
}

fn partition_record(headers: Headers, body: proto::decision_record::Body) -> NewRecord {
    let value = proto::DecisionRecord { body: Some(body) }.encode_to_vec();
    NewRecord { key: Tenant::system().as_bytes().to_vec(), headers, value: Some(value) }
}

fn body_from_proto(proto: proto::DecisionRecord) -> Result<DecisionRecord, Mismatch> {
    use proto::decision_record::Body as Proto;
    Ok(match one_of(proto.body, "body")? {
        Proto::Decision(decision) => {
            DecisionRecord::Decision(decision_from_proto(decision).map_err(|mismatch| mismatch.within("decision"))?)
        }
        Proto::TurnCommitted(turn) => DecisionRecord::TurnCommitted(field(turn, "turn_committed")?),
        Proto::Lineage(opened) => DecisionRecord::Lineage(field(opened, "lineage")?),
    })
}

/// `issue` encodes a command and keeps its record.
fn decision_to_proto(decision: &Decision, issue: &mut impl FnMut(&Command) -> Vec<u8>) -> proto::Decision {
    proto::Decision {
        id: decision.id.to_proto(),
        tenant: decision.tenant.to_proto(),
        fact: decision.fact.to_proto(),
        wakeup: or_blank(decision.wakeup.as_ref()),
        watermark_ms: decision.watermark.to_proto(),
        build: decision.build.to_proto(),
        choices: decision.choices.iter().map(|choice| choice_to_proto(choice, issue)).collect(),
        parked: to_list(&decision.parked),
    }
}

fn decision_from_proto(proto: proto::Decision) -> Result<Decision, Mismatch> {
    Ok(Decision {
        id: field(proto.id, "id")?,
        tenant: field(proto.tenant, "tenant")?,
        fact: field(proto.fact, "fact")?,
        wakeup: unless_blank(proto.wakeup, "wakeup")?,
        watermark: field(proto.watermark_ms, "watermark_ms")?,
        build: field(proto.build, "build")?,
        choices: each(proto.choices, "choices", choice_from_proto)?,
        parked: list(proto.parked, "parked")?,
    })
}

fn choice_to_proto(choice: &Choice, issue: &mut impl FnMut(&Command) -> Vec<u8>) -> proto::Choice {
    proto::Choice {
        workflow: choice.workflow.to_proto(),
        definition: choice.definition.to_proto(),
        instance: choice.instance.to_proto(),
        subject: Some(choice.subject.to_proto()),
        lifecycle: choice.lifecycle.to_proto(),
        withholds: choice.withholds,
        facts_read: choice.facts_read.iter().flat_map(|fact| *fact.as_bytes()).collect(),
        facts_read_more: choice.facts_read_more,
        features: to_list(&choice.features),
        alternatives: to_list(&choice.alternatives),
        chosen: or_blank(choice.chosen.as_ref()),
        seed: choice.seed,
        policy: choice.policy.to_proto(),
        policy_version: choice.policy_version,
        holdout: choice.holdout,
        explored: choice.explored,
        reasons: to_list(&choice.reasons),
        missing: to_list(&choice.missing),
        transitions: choice.transitions.iter().map(|transition| transition_to_proto(transition, issue)).collect(),
    }
}

fn choice_from_proto(proto: proto::Choice) -> Result<Choice, Mismatch> {
    Ok(Choice {
        workflow: field(proto.workflow, "workflow")?,
        definition: field(proto.definition, "definition")?,
        instance: field(proto.instance, "instance")?,
        subject: required(proto.subject, "subject")?,
        lifecycle: field(proto.lifecycle, "lifecycle")?,
        withholds: proto.withholds,
        facts_read: facts_read(&proto.facts_read)?,
        facts_read_more: proto.facts_read_more,
        features: list(proto.features, "features")?,
        alternatives: list(proto.alternatives, "alternatives")?,
        chosen: unless_blank(proto.chosen, "chosen")?,
        seed: proto.seed,
        policy: field(proto.policy, "policy")?,
        policy_version: proto.policy_version,
        holdout: proto.holdout,
        explored: proto.explored,
        reasons: list(proto.reasons, "reasons")?,
        missing: list(proto.missing, "missing")?,
        transitions: each(proto.transitions, "transitions", transition_from_proto)?,
    })
}

fn facts_read(ids: &[u8]) -> Result<Vec<FactId>, Mismatch> {
    let (ids, rest) = ids.as_chunks();
    if rest.is_empty() {
        Ok(ids.iter().copied().map(FactId::from_bytes).collect())
    } else {
        Err(Mismatch::new("ids of 16 bytes each", ids.len() * 16 + rest.len()).within("facts_read"))
    }
}

fn each<P, T>(protos: Vec<P>, name: &str, read: impl Fn(P) -> Result<T, Mismatch>) -> Result<Vec<T>, Mismatch> {
    let read = |(index, proto)| read(proto).map_err(|mismatch| mismatch.within(format_args!("{name}[{index}]")));
    protos.into_iter().enumerate().map(read).collect()
}

fn transition_to_proto(transition: &Transition, issue: &mut impl FnMut(&Command) -> Vec<u8>) -> proto::Transition {
    use proto::transition::Body as Proto;
    let body = match transition {
        Transition::InstanceStarted { trigger } => {
            Proto::InstanceStarted(proto::InstanceStarted { trigger: trigger.to_proto() })
        }
        Transition::StepEntered { step, iteration } => {
            Proto::StepEntered(proto::StepEntered { step: step.to_proto(), iteration: *iteration })
        }
        Transition::VariableSet { name, value } => {
            Proto::VariableSet(proto::VariableSet { name: name.to_proto(), value: *value })
        }
        Transition::WakeupSet { wakeup, name, due, lateness_ms, awaits_sources, round } => {
            Proto::WakeupSet(proto::WakeupSet {
                wakeup: wakeup.to_proto(),
                name: name.to_proto(),
                due_ms: due.to_proto(),
                lateness_ms: *lateness_ms,
                awaits_sources: *awaits_sources,
                round: *round,
            })
        }
        Transition::WakeupCleared { wakeup, name } => {
            Proto::WakeupCleared(proto::WakeupCleared { wakeup: wakeup.to_proto(), name: name.to_proto() })
        }
        Transition::SlotReserved { cap, entity, command, at } => Proto::SlotReserved(proto::SlotReserved {
            cap: cap.to_proto(),
            entity: Some(entity.to_proto()),
            command: command.to_proto(),
            at_ms: at.to_proto(),
        }),
        Transition::SlotReleased { cap, entity, command } => Proto::SlotReleased(proto::SlotReleased {
            cap: cap.to_proto(),
            entity: Some(entity.to_proto()),
            command: command.to_proto(),
        }),
        Transition::CommandIssued { command } => Proto::CommandIssued(proto::CommandIssued { command: issue(command) }),
        Transition::Withheld { command, rule } => {
            Proto::Withheld(proto::Withheld { command: command::encode(command), rule: rule.to_proto() })
        }
        Transition::Suppressed { capability, rule } => {
            Proto::Suppressed(proto::Suppressed { capability: capability.to_proto(), rule: rule.to_proto() })
        }
        Transition::Deferred { capability, rule, until } => Proto::Deferred(proto::Deferred {
            capability: capability.to_proto(),
            rule: rule.to_proto(),
            until_ms: until.to_proto(),
        }),
        Transition::HeldOut { entity } => Proto::HeldOut(proto::HeldOut { entity: Some(entity.to_proto()) }),
        Transition::Derived { id, fact } => {
            Proto::Derived(proto::Derived { id: id.to_proto(), fact: Some(fact.to_proto()) })
        }
        Transition::InstanceEnded { reason } => {
            Proto::InstanceEnded(proto::InstanceEnded { reason: reason.to_proto() })
        }
        Transition::OutcomeMissing { command } => {
            Proto::OutcomeMissing(proto::OutcomeMissing { command: command.to_proto() })
        }
    };
    proto::Transition { body: Some(body) }
}

fn transition_from_proto(proto: proto::Transition) -> Result<Transition, Mismatch> {
    use proto::transition::Body as Proto;
    let (read, name): (Result<Transition, Mismatch>, &str) = match one_of(proto.body, "body")? {
        Proto::InstanceStarted(started) => (instance_started(started), "instance_started"),
        Proto::StepEntered(entered) => (step_entered(entered), "step_entered"),
        Proto::VariableSet(set) => (variable_set(set), "variable_set"),
        Proto::WakeupSet(set) => (wakeup_set(set), "wakeup_set"),
        Proto::WakeupCleared(cleared) => (wakeup_cleared(cleared), "wakeup_cleared"),
        Proto::SlotReserved(reserved) => (slot_reserved(reserved), "slot_reserved"),
        Proto::SlotReleased(released) => (slot_released(released), "slot_released"),
        Proto::CommandIssued(issued) => (command_issued(&issued), "command_issued"),
        Proto::Withheld(withheld) => (self::withheld(withheld), "withheld"),
        Proto::Suppressed(suppressed) => (self::suppressed(suppressed), "suppressed"),
        Proto::Deferred(deferred) => (self::deferred(deferred), "deferred"),
        Proto::HeldOut(held_out) => (self::held_out(held_out), "held_out"),
        Proto::Derived(derived) => (self::derived(derived), "derived"),
        Proto::InstanceEnded(ended) => (instance_ended(ended), "instance_ended"),
        Proto::OutcomeMissing(missing) => (outcome_missing(missing), "outcome_missing"),
    };
    read.map_err(|mismatch| mismatch.within(name))
}

fn instance_started(proto: proto::InstanceStarted) -> Result<Transition, Mismatch> {
    Ok(Transition::InstanceStarted { trigger: field(proto.trigger, "trigger")? })
}

fn step_entered(proto: proto::StepEntered) -> Result<Transition, Mismatch> {
    Ok(Transition::StepEntered { step: field(proto.step, "step")?, iteration: proto.iteration })
}

fn variable_set(proto: proto::VariableSet) -> Result<Transition, Mismatch> {
    Ok(Transition::VariableSet { name: field(proto.name, "name")?, value: proto.value })
}

fn wakeup_set(proto: proto::WakeupSet) -> Result<Transition, Mismatch> {
    Ok(Transition::WakeupSet {
        wakeup: field(proto.wakeup, "wakeup")?,
        name: field(proto.name, "name")?,
        due: field(proto.due_ms, "due_ms")?,
        lateness_ms: proto.lateness_ms,
        awaits_sources: proto.awaits_sources,
        round: proto.round,
    })
}

fn wakeup_cleared(proto: proto::WakeupCleared) -> Result<Transition, Mismatch> {
    Ok(Transition::WakeupCleared { wakeup: field(proto.wakeup, "wakeup")?, name: field(proto.name, "name")? })
}

fn slot_reserved(proto: proto::SlotReserved) -> Result<Transition, Mismatch> {
    Ok(Transition::SlotReserved {
        cap: field(proto.cap, "cap")?,
        entity: required(proto.entity, "entity")?,
        command: field(proto.command, "command")?,
        at: field(proto.at_ms, "at_ms")?,
    })
}

fn slot_released(proto: proto::SlotReleased) -> Result<Transition, Mismatch> {
    Ok(Transition::SlotReleased {
        cap: field(proto.cap, "cap")?,
        entity: required(proto.entity, "entity")?,
        command: field(proto.command, "command")?,
    })
}

fn command_issued(proto: &proto::CommandIssued) -> Result<Transition, Mismatch> {
    Ok(Transition::CommandIssued { command: embedded(&proto.command, "command")? })
}

fn withheld(proto: proto::Withheld) -> Result<Transition, Mismatch> {
    Ok(Transition::Withheld { command: embedded(&proto.command, "command")?, rule: field(proto.rule, "rule")? })
}

fn suppressed(proto: proto::Suppressed) -> Result<Transition, Mismatch> {
    Ok(Transition::Suppressed { capability: field(proto.capability, "capability")?, rule: field(proto.rule, "rule")? })
}

fn deferred(proto: proto::Deferred) -> Result<Transition, Mismatch> {
    Ok(Transition::Deferred {
        capability: field(proto.capability, "capability")?,
        rule: field(proto.rule, "rule")?,
        until: field(proto.until_ms, "until_ms")?,
    })
}

fn held_out(proto: proto::HeldOut) -> Result<Transition, Mismatch> {
    Ok(Transition::HeldOut { entity: required(proto.entity, "entity")? })
}

fn derived(proto: proto::Derived) -> Result<Transition, Mismatch> {
    Ok(Transition::Derived { id: field(proto.id, "id")?, fact: required(proto.fact, "fact")? })
}

fn instance_ended(proto: proto::InstanceEnded) -> Result<Transition, Mismatch> {
    Ok(Transition::InstanceEnded { reason: field(proto.reason, "reason")? })
}

fn outcome_missing(proto: proto::OutcomeMissing) -> Result<Transition, Mismatch> {
    Ok(Transition::OutcomeMissing { command: field(proto.command, "command")? })
}

impl Wire for Feature {
    type Proto = proto::Feature;

    fn to_proto(&self) -> proto::Feature {
        proto::Feature { name: self.name.to_proto(), value: self.value }
    }

    fn from_proto(proto: proto::Feature) -> Result<Feature, Mismatch> {
        Ok(Feature { name: field(proto.name, "name")?, value: proto.value })
    }
}

impl Wire for Alternative {
    type Proto = proto::Alternative;

    fn to_proto(&self) -> proto::Alternative {
        proto::Alternative {
            arm: self.arm.to_proto(),
            eligible: self.rule.is_none(),
            rule: or_blank(self.rule.as_ref()),
            propensity: self.propensity,
        }
    }

    fn from_proto(proto: proto::Alternative) -> Result<Alternative, Mismatch> {
        let rule = match (proto.eligible, proto.rule) {
            (true, rule) if rule.is_empty() => None,
            (true, rule) => return Err(Mismatch::text("no rule on an eligible arm", &rule).within("rule")),
            (false, rule) => Some(field(rule, "rule")?),
        };
        Ok(Alternative { arm: field(proto.arm, "arm")?, rule, propensity: proto.propensity })
    }
}

impl Wire for Parked {
    type Proto = proto::Parked;

    fn to_proto(&self) -> proto::Parked {
        use proto::parked::Body as Proto;
        proto::Parked {
            body: Some(match self {
                Parked::Fact(parked) => Proto::Fact(parked.to_proto()),
                Parked::Instance(parked) => Proto::Instance(parked.to_proto()),
            }),
        }
    }

    fn from_proto(proto: proto::Parked) -> Result<Parked, Mismatch> {
        use proto::parked::Body as Proto;
        Ok(match one_of(proto.body, "body")? {
            Proto::Fact(parked) => Parked::Fact(field(parked, "fact")?),
            Proto::Instance(parked) => Parked::Instance(field(parked, "instance")?),
        })
    }
}

impl Wire for FactParked {
    type Proto = proto::FactParked;

    fn to_proto(&self) -> proto::FactParked {
        proto::FactParked {
            fact: self.fact.to_proto(),
            build: self.build.to_proto(),
            reason: self.reason.to_string(),
            entities: to_list(&self.entities),
        }
    }

    fn from_proto(proto: proto::FactParked) -> Result<FactParked, Mismatch> {
        Ok(FactParked {
            fact: field(proto.fact, "fact")?,
            build: field(proto.build, "build")?,
            reason: proto.reason.into(),
            entities: list(proto.entities, "entities")?,
        })
    }
}

impl Wire for InstanceParked {
    type Proto = proto::InstanceParked;

    fn to_proto(&self) -> proto::InstanceParked {
        proto::InstanceParked {
            instance: self.instance.to_proto(),
            cause: Some(match self.at {
                ParkedAt::Wakeup(wakeup) => proto::instance_parked::Cause::Wakeup(wakeup.to_proto()),
                ParkedAt::Trigger(fact) => proto::instance_parked::Cause::Trigger(fact.to_proto()),
                ParkedAt::Outcome(fact) => proto::instance_parked::Cause::Outcome(fact.to_proto()),
            }),
            workflow: self.workflow.to_proto(),
            subject: Some(self.subject.to_proto()),
            build: self.build.to_proto(),
            reason: self.reason.to_string(),
        }
    }

    fn from_proto(proto: proto::InstanceParked) -> Result<InstanceParked, Mismatch> {
        Ok(InstanceParked {
            instance: field(proto.instance, "instance")?,
            at: match one_of(proto.cause, "cause")? {
                proto::instance_parked::Cause::Wakeup(wakeup) => ParkedAt::Wakeup(field(wakeup, "wakeup")?),
                proto::instance_parked::Cause::Trigger(fact) => ParkedAt::Trigger(field(fact, "trigger")?),
                proto::instance_parked::Cause::Outcome(fact) => ParkedAt::Outcome(field(fact, "outcome")?),
            },
            workflow: field(proto.workflow, "workflow")?,
            subject: required(proto.subject, "subject")?,
            build: field(proto.build, "build")?,
            reason: proto.reason.into(),
        })
    }
}

impl Wire for TurnCommitted {
    type Proto = proto::TurnCommitted;

    fn to_proto(&self) -> proto::TurnCommitted {
        proto::TurnCommitted {
            lineage: self.lineage.to_proto(),
            from: Some(self.from.to_proto()),
            to: Some(self.to.to_proto()),
            watermark_ms: self.watermark.to_proto(),
            facts: self.facts,
            wakeups: self.wakeups,
            decisions: self.decisions,
            commands: self.commands,
            build: self.build.to_proto(),
        }
    }

    fn from_proto(proto: proto::TurnCommitted) -> Result<TurnCommitted, Mismatch> {
        Ok(TurnCommitted {
            lineage: field(proto.lineage, "lineage")?,
            from: required(proto.from, "from")?,
            to: required(proto.to, "to")?,
            watermark: field(proto.watermark_ms, "watermark_ms")?,
            facts: proto.facts,
            wakeups: proto.wakeups,
            decisions: proto.decisions,
            commands: proto.commands,
            build: field(proto.build, "build")?,
        })
    }
}
