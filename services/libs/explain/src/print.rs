//! A chain as text for a terminal.

use std::fmt::{self, Display, Formatter};

use crate::chain::Chain;
use crate::command::CommandSeen;
use crate::decision::{AlternativeSeen, ChoiceSeen};
use crate::fact::FactSeen;
use crate::ledger::{LedgerSeen, LedgerStep};
use crate::outcome::OutcomeSeen;
use crate::personal::Personal;
use crate::text::{rfc3339, span};
use crate::words;

impl Display for Chain {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        for command in self.commands() {
            print_command(to, command)?;
        }
        print_why(to, self)?;
        print_facts(to, self)?;
        print_what_happened(to, self)
    }
}

fn row(to: &mut Formatter<'_>, name: &str, value: impl Display) -> fmt::Result {
    writeln!(to, "  {name:<14}{value}")
}

fn row_if_any(to: &mut Formatter<'_>, name: &str, values: &[String]) -> fmt::Result {
    if values.is_empty() { Ok(()) } else { row(to, name, values.join("; ")) }
}

fn print_command(to: &mut Formatter<'_>, command: &CommandSeen) -> fmt::Result {
    writeln!(to, "Command {}", command.id)?;
    row(to, "asks to", &command.headline)?;
    row(to, "merchant", &command.tenant)?;
    row(to, "target", &command.target)?;
    let (vendor, account, connection) = (&command.vendor, &command.account, &command.connection);
    row(to, "sent through", format_args!("{vendor} {account} (connection {connection})"))?;
    row(to, "kind", format_args!("{}, {}; {}", command.capability, command.class, command.change))?;
    row(to, "issued", rfc3339(command.issued_at))?;
    if command.not_before > command.issued_at {
        row(to, "not before", rfc3339(command.not_before))?;
    }
    row(to, "never after", rfc3339(command.deadline))?;
    if let Some(subject) = &command.subject {
        row(to, "about", subject)?;
    }
    for line in &command.lines {
        let price = line.unit_price.map(|price| format!(" at {price}")).unwrap_or_default();
        row(to, "", format_args!("{} × {} ({}){price}", line.quantity, line.title, line.sku))?;
    }
    if command.lines_more > 0 {
        row(to, "", format_args!("and {}", words::count(command.lines_more, "more line")))?;
    }
    if let Some(total) = command.total {
        row(to, "total", total)?;
    }
    print_personal(to, &command.personal)?;
    if let Some(approval) = command.approval {
        row(to, "approval", approval)?;
    }
    if let Some(undone) = command.compensates {
        row(to, "undoes", format_args!("command {undone}"))?;
    }
    writeln!(to)
}

fn print_personal(to: &mut Formatter<'_>, fields: &[Personal]) -> fmt::Result {
    fields.iter().try_for_each(|personal| row(to, &personal.name(), personal.text()))
}

fn print_why(to: &mut Formatter<'_>, chain: &Chain) -> fmt::Result {
    let decision = &chain.decision;
    writeln!(to, "Why: decision {}", decision.id)?;
    row(to, "taken", format_args!("{} by the log's time", rfc3339(decision.decided_at)))?;
    match (&decision.wakeup, &decision.wakeup_name) {
        (Some(_), Some(name)) => row(to, "because", format_args!("its wakeup {name} was due"))?,
        (Some(wakeup), None) => row(to, "because", format_args!("wakeup {wakeup} was due"))?,
        (None, _) => row(to, "because", "this fact arrived")?,
    }
    let (partition, position, offset) = (chain.partition, decision.position, decision.offset);
    row(to, "where", format_args!("partition {partition}, step {position}, decisions offset {offset}"))?;
    for choice in &decision.choices {
        print_choice(to, choice)?;
    }
    row_if_any(to, "failed", &decision.parked)?;
    writeln!(to)
}

fn print_choice(to: &mut Formatter<'_>, choice: &ChoiceSeen) -> fmt::Result {
    row(to, "workflow", format_args!("{} for {}", choice.workflow, choice.subject))?;
    row(to, "lifecycle", choice.lifecycle)?;
    if let Some(chosen) = &choice.chosen {
        let how = if choice.explored { ", to find out more" } else { "" };
        row(to, "chosen", format_args!("{chosen}{how}"))?;
    }
    row_if_any(to, "reasons", &choice.reasons)?;
    for withheld in &choice.withheld {
        row(to, "withheld", format_args!("{}: {}", withheld.command.headline, withheld.because))?;
    }
    for suppressed in &choice.suppressed {
        row(to, "not done", format_args!("{}: {}", suppressed.capability, suppressed.because))?;
    }
    for deferred in &choice.deferred {
        let (what, until) = (deferred.capability, rfc3339(deferred.until));
        row(to, "not yet", format_args!("{what}, before {until}: {}", deferred.because))?;
    }
    let figures: Vec<String> =
        choice.features.iter().map(|figure| format!("{} {}", figure.name, figure.shown)).collect();
    row_if_any(to, "figures", &figures)?;
    for alternative in &choice.alternatives {
        print_alternative(to, alternative)?;
    }
    row(to, "policy", format_args!("{}, version {}", choice.policy, choice.policy_version))?;
    row(to, "holdout", if choice.holdout { "yes: left alone, to compare with" } else { "no" })?;
    row_if_any(to, "without", &choice.missing)?;
    choice
        .changes
        .iter()
        .enumerate()
        .try_for_each(|(index, change)| row(to, if index == 0 { "changes" } else { "" }, change))
}

fn print_alternative(to: &mut Formatter<'_>, alternative: &AlternativeSeen) -> fmt::Result {
    let chosen = if alternative.chosen { ", chosen" } else { "" };
    let (arm, propensity) = (&alternative.arm, alternative.propensity);
    match &alternative.because {
        Some(because) => row(to, "alternative", format_args!("{arm}: ruled out, {because}")),
        None => row(to, "alternative", format_args!("{arm}: probability {propensity}{chosen}")),
    }
}

fn print_facts(to: &mut Formatter<'_>, chain: &Chain) -> fmt::Result {
    writeln!(to, "Facts it was decided on, oldest first")?;
    if chain.facts.is_empty() {
        writeln!(to, "  none")?;
    }
    for fact in &chain.facts {
        print_fact(to, fact, fact.id == chain.decision.fact)?;
    }
    let more: u32 = chain.decision.choices.iter().map(|choice| choice.facts_read_more).sum();
    if more > 0 {
        writeln!(to, "  and {more} more that the decision does not list")?;
    }
    if !chain.facts_missing.is_empty() {
        let stretches: Vec<String> =
            chain.facts_searched.iter().map(|stretch| format!("{} to {}", stretch.from, stretch.to)).collect();
        writeln!(to, "  not found among offsets {} of the events:", stretches.join(" and "))?;
        chain.facts_missing.iter().try_for_each(|fact| writeln!(to, "    {fact}"))?;
    }
    writeln!(to)
}

fn print_fact(to: &mut Formatter<'_>, fact: &FactSeen, is_nearest: bool) -> fmt::Result {
    let place = fact.offset.map_or_else(|| "concluded".into(), |offset| format!("offset {offset}"));
    let nearest = if is_nearest { "  ← decided with this record" } else { "" };
    writeln!(to, "  {}  {}{nearest}", rfc3339(fact.occurred_at), fact.headline)?;
    let late_ms = fact.recorded_at.since(fact.occurred_at);
    let late = if late_ms > 60_000 { format!(", recorded {} later", span(late_ms)) } else { String::new() };
    writeln!(to, "    {} from {}, {}, {place}{late}", fact.kind, fact.source, fact.arrival)?;
    if let Some(about) = &fact.about {
        writeln!(to, "    about {about}")?;
    }
    fact.personal.iter().try_for_each(|personal| writeln!(to, "    {}: {}", personal.name(), personal.text()))
}

fn print_what_happened(to: &mut Formatter<'_>, chain: &Chain) -> fmt::Result {
    if chain.commands().next().is_none() {
        return Ok(());
    }
    writeln!(to, "What happened")?;
    chain.ledger.iter().try_for_each(|entry| print_ledger(to, entry))?;
    chain.outcomes.iter().try_for_each(|outcome| print_outcome(to, outcome))?;
    if chain.outcomes.iter().any(|outcome| outcome.is_final) {
        return Ok(());
    }
    let searched = chain.outcomes_searched;
    if searched.is_cut {
        return writeln!(to, "  no end is reported up to offset {} of the events; more was not read", searched.to);
    }
    writeln!(to, "  no end is reported yet")
}

fn print_ledger(to: &mut Formatter<'_>, entry: &LedgerSeen) -> fmt::Result {
    let (at, attempt) = (rfc3339(entry.recorded_at), entry.attempt);
    match &entry.step {
        LedgerStep::Claimed { step, valid_ms, first_claimed_at } => {
            let (valid, first) = (span(*valid_ms), rfc3339(*first_claimed_at));
            writeln!(to, "  {at}  attempt {attempt}, request {step} claimed for {valid} (first claimed {first})")
        }
        LedgerStep::Answered { step, status } => {
            writeln!(to, "  {at}  attempt {attempt}, request {step} was answered with status {status}")
        }
        LedgerStep::Judged { state } => {
            writeln!(to, "  {at}  attempt {attempt} judged: {}", state.unwrap_or("unreadable"))
        }
    }
}

fn print_outcome(to: &mut Formatter<'_>, outcome: &OutcomeSeen) -> fmt::Result {
    let code = if outcome.code.is_empty() { String::new() } else { format!(" ({})", outcome.code) };
    writeln!(to, "  {}  {}: {}{code}", rfc3339(outcome.occurred_at), outcome.state, outcome.headline)?;
    writeln!(to, "    attempt {}, {}, offset {}", outcome.attempt, outcome.source, outcome.offset)?;
    let mut said = |name: &str, value: &str| {
        if value.is_empty() { Ok(()) } else { writeln!(to, "    {name} {value}") }
    };
    said("the vendor's reference", &outcome.vendor_ref)?;
    said("the vendor's version", &outcome.vendor_version)?;
    said("before", &outcome.value_before)?;
    said("after", &outcome.value_after)?;
    said("tried again at", &outcome.retry_at.map(rfc3339).unwrap_or_default())?;
    said("cost", &outcome.cost.map(|cost| cost.to_string()).unwrap_or_default())?;
    said("by", &outcome.actor)?;
    said("found out:", outcome.resolution.unwrap_or_default())?;
    said("evidence", outcome.evidence.as_ref().map(Personal::text).unwrap_or_default())
}
