//! A conclusion as the fact that goes onto the log, and its bytes as the record.

use tradewind_domain::{
    Arrival, Body, Cause, Command, Fact, FactId, Name, Outcome, OutcomeState, Sealed, Source, Timestamp,
    key_owner_digest,
};
use tradewind_ports::{KeyVault, NewRecord, VaultError};
use tradewind_wire::{DecodeError, fact, record, seal};

use crate::errand::Conclusion;

/// The encoded fact: what a verdict holds.
pub(crate) fn encode(
    command: &Command,
    attempt: u32,
    conclusion: &Conclusion,
    at: Timestamp,
    vault: &dyn KeyVault,
) -> Result<Box<[u8]>, VaultError> {
    let outcome = Outcome {
        command: command.id,
        attempt,
        state: conclusion.state,
        code: conclusion.code.clone(),
        retry_at: None,
        vendor_ref: "".into(),
        vendor_version: "".into(),
        value_before: "".into(),
        value_after: "".into(),
        cost: None,
        actor: Name::fixed(""),
        resolution: None,
        evidence: evidence(command, attempt, conclusion, vault)?,
    };
    Ok(fact::encode(&Fact { occurred_at: at, body: Body::Outcome(outcome) }).into())
}

/// Sealed with the customer's key, so that it goes when the customer does; where
/// the command reaches nobody, with the key of its target.
fn evidence(
    command: &Command,
    attempt: u32,
    conclusion: &Conclusion,
    vault: &dyn KeyVault,
) -> Result<Option<Sealed>, VaultError> {
    let Some(personal) = &conclusion.evidence else { return Ok(None) };
    let key = match &command.contact {
        Some(contact) => vault.key(contact.key_id)?,
        None => Some(vault.key_of(&command.tenant, &key_owner_digest(&command.tenant, &command.target))?),
    };
    let origin = FactId::of_outcome(command.id, attempt, conclusion.state);
    Ok(key.map(|key| seal::seal(&key, origin, personal.field, personal.value.as_bytes())))
}

/// The record of an encoded outcome, the same whoever appends it. Its bytes are
/// copied, so that nothing a newer release wrote is lost on the way.
pub(crate) fn record(
    command: &Command,
    bytes: Box<[u8]>,
    placement: u32,
) -> Result<(OutcomeState, NewRecord), DecodeError> {
    let fact = fact::decode(&bytes)?;
    let Body::Outcome(outcome) = &fact.body else {
        return Err(DecodeError::Field {
            message: "verdict",
            path: "outcome".into(),
            expected: "an outcome",
            got: fact.body.kind().into(),
        });
    };
    let state = outcome.state;
    let id = FactId::of_outcome(command.id, outcome.attempt, state);
    let new = record::NewFact {
        tenant: command.tenant.clone(),
        id,
        source: Source::ourselves(),
        arrival: Arrival::Live,
        produced_at: fact.occurred_at,
        recorded_at: None,
        placement,
        translation: 0,
        caused_by: Some(Cause::Command(command.id)),
        fact,
    };
    Ok((state, NewRecord { value: Some(bytes.into()), ..record::event(&new) }))
}
