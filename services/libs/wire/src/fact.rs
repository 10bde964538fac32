//! Facts: the values of `tradewind.events`, of derived transitions and of verdicts.

use prost::Message;
use tradewind_domain::{Body, Fact, Name, Timestamp};
use tradewind_ports::Record;

use crate::common::{self, Wire, field, one_of, to_list};
use crate::error::{DecodeError, Mismatch};
use crate::{direct, envelope, privacy, proto, record};

const MESSAGE: &str = "fact";

#[must_use]
pub fn encode(fact: &Fact) -> Vec<u8> {
    fact.to_proto().encode_to_vec()
}

/// # Errors
///
/// The bytes are no fact that this release knows.
pub fn decode(bytes: &[u8]) -> Result<Fact, DecodeError> {
    direct::fact(bytes).map_or_else(|| common::decode(MESSAGE, bytes), Ok)
}

/// The fact that unparks `parked`, a record of `tradewind.events`, whose bytes
/// are copied. It counts for `recorded_at`, by the log's clock, as it would have
/// had it been folded then: the clock may be another when it is unparked, or after
/// a move. For a parked unparking, it unparks what that one did.
///
/// # Errors
///
/// `parked` is no event.
pub fn encode_unparking(
    parked: &Record,
    recorded_at: Timestamp,
    actor: &Name,
    occurred_at: Timestamp,
) -> Result<Vec<u8>, DecodeError> {
    let value = parked.value.as_deref().ok_or(DecodeError::NoValue { message: MESSAGE })?;
    let proto::Fact { body, .. } = common::parse(MESSAGE, value)?;
    let unparked = if let Some(proto::fact::Body::FactUnparked(earlier)) = body {
        proto::FactUnparked { actor: actor.to_proto(), ..earlier }
    } else {
        let fact = record::Attributes::of(parked)?.id.to_proto();
        proto::FactUnparked { fact, envelope: envelope::encode(parked, recorded_at)?, actor: actor.to_proto() }
    };
    let body = Some(proto::fact::Body::FactUnparked(unparked));
    Ok(proto::Fact { occurred_at_ms: occurred_at.to_proto(), body }.encode_to_vec())
}

impl Wire for Fact {
    type Proto = proto::Fact;

    fn to_proto(&self) -> proto::Fact {
        proto::Fact { occurred_at_ms: self.occurred_at.to_proto(), body: Some(body_to_proto(&self.body)) }
    }

    fn from_proto(proto: proto::Fact) -> Result<Fact, Mismatch> {
        Ok(Fact {
            occurred_at: field(proto.occurred_at_ms, "occurred_at_ms")?,
            body: body_from_proto(one_of(proto.body, "body")?)?,
        })
    }
}

fn body_to_proto(body: &Body) -> proto::fact::Body {
    use proto::fact::Body as Proto;
    match body {
        Body::CartUpdated(fact) => Proto::CartUpdated(fact.to_proto()),
        Body::CheckoutUpdated(fact) => Proto::CheckoutUpdated(fact.to_proto()),
        Body::CheckoutDeleted(fact) => Proto::CheckoutDeleted(fact.to_proto()),
        Body::OrderPlaced(fact) => Proto::OrderPlaced(fact.to_proto()),
        Body::OrderCancelled(fact) => Proto::OrderCancelled(fact.to_proto()),
        Body::TicketUpdated(fact) => Proto::TicketUpdated(fact.to_proto()),
        Body::TicketMessaged(fact) => Proto::TicketMessaged(fact.to_proto()),
        Body::CartAbandoned(fact) => Proto::CartAbandoned(fact.to_proto()),
        Body::Outcome(fact) => Proto::Outcome(fact.to_proto()),
        Body::LineageOpened(fact) => Proto::LineageOpened(fact.to_proto()),
        Body::IngestAlive(fact) => Proto::IngestAlive(fact.to_proto()),
        Body::Tick => Proto::Tick(proto::Tick {}),
        Body::GapOpened(fact) => Proto::GapOpened(fact.to_proto()),
        Body::GapClosed(fact) => Proto::GapClosed(fact.to_proto()),
        Body::ClockAdjusted(fact) => Proto::ClockAdjusted(fact.to_proto()),
        Body::ConnectionChanged(fact) => Proto::ConnectionChanged(fact.to_proto()),
        Body::BindingSet(fact) => Proto::BindingSet(fact.to_proto()),
        Body::SettingSet(fact) => Proto::SettingSet(fact.to_proto()),
        Body::SwitchSet(fact) => Proto::SwitchSet(fact.to_proto()),
        Body::DefinitionActivated(fact) => Proto::DefinitionActivated(fact.to_proto()),
        Body::ApprovalDecided(fact) => Proto::ApprovalDecided(fact.to_proto()),
        Body::FactUnparked(fact) => Proto::FactUnparked(fact.to_proto()),
        Body::InstanceUnparked(fact) => Proto::InstanceUnparked(fact.to_proto()),
        Body::TenantMoved { to_partition, placement } => {
            Proto::TenantMoved(proto::TenantMoved { to_partition: *to_partition, placement: *placement })
        }
        Body::TenantArrived { from_partition, placement } => {
            Proto::TenantArrived(proto::TenantArrived { from_partition: *from_partition, placement: *placement })
        }
        Body::ErasureRequested { request, entities, actor } => Proto::ErasureRequested(proto::ErasureRequested {
            request: request.to_proto(),
            entities: to_list(entities),
            actor: actor.to_proto(),
        }),
        Body::ErasureCompleted { request, keys, vendors } => Proto::ErasureCompleted(proto::ErasureCompleted {
            request: request.to_proto(),
            keys: *keys,
            vendors: to_list(vendors),
        }),
    }
}

fn body_from_proto(body: proto::fact::Body) -> Result<Body, Mismatch> {
    use proto::fact::Body as Proto;
    Ok(match body {
        Proto::CartUpdated(fact) => Body::CartUpdated(field(fact, "cart_updated")?),
        Proto::CheckoutUpdated(fact) => Body::CheckoutUpdated(field(fact, "checkout_updated")?),
        Proto::CheckoutDeleted(fact) => Body::CheckoutDeleted(field(fact, "checkout_deleted")?),
        Proto::OrderPlaced(fact) => Body::OrderPlaced(field(fact, "order_placed")?),
        Proto::OrderCancelled(fact) => Body::OrderCancelled(field(fact, "order_cancelled")?),
        Proto::TicketUpdated(fact) => Body::TicketUpdated(field(fact, "ticket_updated")?),
        Proto::TicketMessaged(fact) => Body::TicketMessaged(field(fact, "ticket_messaged")?),
        Proto::CartAbandoned(fact) => Body::CartAbandoned(field(fact, "cart_abandoned")?),
        Proto::Outcome(fact) => Body::Outcome(field(fact, "outcome")?),
        Proto::LineageOpened(fact) => Body::LineageOpened(field(fact, "lineage_opened")?),
        Proto::IngestAlive(fact) => Body::IngestAlive(field(fact, "ingest_alive")?),
        Proto::Tick(proto::Tick {}) => Body::Tick,
        Proto::GapOpened(fact) => Body::GapOpened(field(fact, "gap_opened")?),
        Proto::GapClosed(fact) => Body::GapClosed(field(fact, "gap_closed")?),
        Proto::ClockAdjusted(fact) => Body::ClockAdjusted(field(fact, "clock_adjusted")?),
        Proto::ConnectionChanged(fact) => Body::ConnectionChanged(field(fact, "connection_changed")?),
        Proto::BindingSet(fact) => Body::BindingSet(field(fact, "binding_set")?),
        Proto::SettingSet(fact) => Body::SettingSet(field(fact, "setting_set")?),
        Proto::SwitchSet(fact) => Body::SwitchSet(field(fact, "switch_set")?),
        Proto::DefinitionActivated(fact) => Body::DefinitionActivated(field(fact, "definition_activated")?),
        Proto::ApprovalDecided(fact) => Body::ApprovalDecided(field(fact, "approval_decided")?),
        Proto::FactUnparked(fact) => Body::FactUnparked(field(fact, "fact_unparked")?),
        Proto::InstanceUnparked(fact) => Body::InstanceUnparked(field(fact, "instance_unparked")?),
        Proto::TenantMoved(proto::TenantMoved { to_partition, placement }) => {
            Body::TenantMoved { to_partition, placement }
        }
        Proto::TenantArrived(proto::TenantArrived { from_partition, placement }) => {
            Body::TenantArrived { from_partition, placement }
        }
        Proto::ErasureRequested(fact) => {
            privacy::requested(fact).map_err(|mismatch| mismatch.within("erasure_requested"))?
        }
        Proto::ErasureCompleted(fact) => {
            privacy::completed(fact).map_err(|mismatch| mismatch.within("erasure_completed"))?
        }
    })
}
