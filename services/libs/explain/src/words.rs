//! Our words in those of a merchant's operator. A word that is not known here is
//! one of a workflow's own: it is shown as it stands.

use tradewind_domain::{Arrival, Capability, Change, CommandClass, Lifecycle, OutcomeState, Resolution, Source};

/// Why something was not done, or not yet.
pub(crate) fn rule(rule: &str) -> String {
    let known = match rule {
        "ordered" => "the customer has ordered",
        "open_ticket" => "a support ticket of the customer is open",
        "cap" => "the customer has had as many messages as one may get",
        "stopped" => "an operator has stopped such commands",
        "holdout" => "the customer is in the holdout, which is left alone for comparison",
        "off" => "the workflow is switched off",
        "shadow" => "the workflow only watches: it is not switched on",
        "canary" => "the workflow is on for a share of customers, and this one is not among them",
        "approve" => "approval can't be asked for yet",
        "observe" | "observed" => "the workflow only observes what it meets",
        "expired" => "too much time has gone by",
        "no_binding" => "no connection is bound to do it",
        "no_contact" => "there is no address to reach the customer at",
        "emptied" => "the cart was emptied",
        "edited" => "the cart was edited since",
        "parked_fact" => "a fact about the customer could not be taken in",
        "outcome_missing" => "no outcome was reported in time",
        "succeeded" => "the vendor has done what was asked",
        "rejected" => "the vendor refused what was asked",
        "superseded" => "a newer command overtook it",
        "cancelled" => "the command was called off",
        "nothing known" => "nothing is known of it",
        other => return plain(other),
    };
    known.into()
}

/// A name of ours as words.
pub(crate) fn plain(name: &str) -> String {
    name.replace(['_', '-'], " ")
}

/// A figure's name without its unit.
pub(crate) fn figure_name(name: &str) -> String {
    plain(name.strip_suffix("_ms").or_else(|| name.strip_suffix("_minor")).unwrap_or(name))
}

/// A figure with its unit, by the end of its name.
pub(crate) fn figure(name: &str, value: f64) -> String {
    if name.ends_with("_ms") {
        // A span beyond 2^53 ms is longer than there is time.
        #[expect(clippy::cast_possible_truncation, reason = "a conversion from a float saturates")]
        return crate::text::span(value as i64);
    }
    if name.ends_with("_minor") {
        return format!("{value} in the smallest unit");
    }
    value.to_string()
}

pub(crate) const fn capability(capability: Capability) -> &'static str {
    match capability {
        Capability::MessageSend => "send a message",
    }
}

/// What a workflow was allowed to do; `withholds` tells who a canary is not on for.
pub(crate) const fn lifecycle(lifecycle: Lifecycle, withholds: bool) -> &'static str {
    match (lifecycle, withholds) {
        (Lifecycle::Off, _) => "off",
        (Lifecycle::Observe, _) => "observing",
        (Lifecycle::Shadow, _) => "in shadow: it decides and sends nothing",
        (Lifecycle::Canary, true) => "on for a share of customers, and in shadow for this one",
        (Lifecycle::Canary, false) => "on for a share of customers, this one among them",
        (Lifecycle::Approve, _) => "waiting for approval of each command",
        (Lifecycle::On, _) => "on",
    }
}

pub(crate) const fn class(class: CommandClass) -> &'static str {
    match class {
        CommandClass::Transactional => "transactional",
        CommandClass::Promotional => "promotional",
        CommandClass::Care => "care",
        CommandClass::Operational => "operational",
    }
}

pub(crate) const fn change(change: Change) -> &'static str {
    match change {
        Change::Absolute => "sets a value; a newer command for the same target overtakes it",
        Change::Relative => "adds an effect: it must happen once at most",
    }
}

pub(crate) const fn arrival(arrival: Arrival) -> &'static str {
    match arrival {
        Arrival::Live => "live",
        Arrival::Recovered => "recovered",
        Arrival::Backfill => "backfill",
    }
}

pub(crate) const fn state(state: OutcomeState) -> &'static str {
    match state {
        OutcomeState::Accepted => "the vendor took it and has not done it yet",
        OutcomeState::Succeeded => "the vendor has done it",
        OutcomeState::Rejected => "the vendor refused it, for good",
        OutcomeState::Throttled => "the vendor asked us to slow down; it is tried again",
        OutcomeState::Failed => "an attempt failed; it is tried again",
        OutcomeState::Unknown => "it was sent and no answer came; the vendor is asked what it did",
        OutcomeState::Expired => "it was never sent: its deadline passed",
        OutcomeState::Superseded => "a newer command for the same target overtook it",
        OutcomeState::Quarantined => "only a person can tell whether it happened",
        OutcomeState::Resolved => "a person has looked into it",
        OutcomeState::Cancelled => "it was called off before it was sent",
        OutcomeState::Compensated => "it was undone by another command",
        OutcomeState::DeadLettered => "it could not be understood at the vendor's door",
    }
}

pub(crate) const fn resolution(resolution: Resolution) -> &'static str {
    match resolution {
        Resolution::Happened => "it happened",
        Resolution::DidNotHappen => "it did not happen",
        Resolution::Skipped => "it is left open",
    }
}

/// `shopify demo.example.com`; our own facts come from nobody else.
pub(crate) fn source(source: &Source) -> String {
    let (vendor, account) = (source.vendor.as_str(), source.account.as_str());
    if account.is_empty() { vendor.into() } else { format!("{vendor} {account}") }
}

/// `1 line`, `2 lines`.
pub(crate) fn count(number: usize, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

/// Catalogue text and vendors' words have no limit; a page has.
pub(crate) fn cut(text: &str) -> String {
    const LONGEST: usize = 160;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_ours_is_explained_and_a_workflows_own_is_shown() {
        assert_eq!(rule("open_ticket"), "a support ticket of the customer is open");
        assert_eq!(rule("too_heavy-for-post"), "too heavy for post");
        assert_eq!(figure("quiet_ms", 7_500_000.0), "2 h 5 min");
        assert_eq!(figure("orders", 2.0), "2");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(cut("Ärmel"), "Ärmel");
        assert_eq!(cut(&"Ä".repeat(200)).chars().count(), 161);
    }
}
