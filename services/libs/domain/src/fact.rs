//! Facts: what happened, in the past tense, as vendors' ids and hashed
//! identifiers. Who a customer is, is a view over them.

use crate::control::{
    ApprovalDecided, BindingSet, ConnectionChanged, DefinitionActivated, FactUnparked, InstanceUnparked, SettingSet,
    SwitchSet,
};
use crate::entity::{EntityKey, EntityKind};
use crate::id::FactId;
use crate::ingest::{ClockAdjusted, GapClosed, GapOpened, IngestAlive, LineageOpened};
use crate::money::Money;
use crate::name::Name;
use crate::outcome::Outcome;
use crate::sealed::Sealed;
use crate::time::Timestamp;

#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// By the vendor's clock: orders the versions of one object and dates
    /// history. What is due when follows the log's clock alone.
    pub occurred_at: Timestamp,
    pub body: Body,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    CartUpdated(CartUpdated),
    CheckoutUpdated(CheckoutUpdated),
    CheckoutDeleted(CheckoutDeleted),
    OrderPlaced(OrderPlaced),
    OrderCancelled(OrderCancelled),
    TicketUpdated(TicketUpdated),
    TicketMessaged(TicketMessaged),
    CartAbandoned(CartAbandoned),
    Outcome(Outcome),
    LineageOpened(LineageOpened),
    IngestAlive(IngestAlive),
    /// Time went by and nothing else did.
    Tick,
    GapOpened(GapOpened),
    GapClosed(GapClosed),
    ClockAdjusted(ClockAdjusted),
    ConnectionChanged(ConnectionChanged),
    BindingSet(BindingSet),
    SettingSet(SettingSet),
    SwitchSet(SwitchSet),
    DefinitionActivated(DefinitionActivated),
    ApprovalDecided(ApprovalDecided),
    FactUnparked(FactUnparked),
    InstanceUnparked(InstanceUnparked),
    /// Reserved: the tenant's order goes on in another partition.
    TenantMoved {
        to_partition: u32,
        placement: u32,
    },
    /// Reserved: the tenant's order goes on here.
    TenantArrived {
        from_partition: u32,
        placement: u32,
    },
    ErasureRequested {
        request: FactId,
        entities: Vec<EntityKey>,
        actor: Name,
    },
    ErasureCompleted {
        request: FactId,
        keys: u32,
        vendors: Vec<Name>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub line_id: Box<str>,
    pub variant_id: Box<str>,
    pub product_id: Box<str>,
    pub sku: Box<str>,
    pub title: Box<str>,
    pub quantity: i64,
    pub unit_price: Option<Money>,
}

/// A cart as it is now, all lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CartUpdated {
    pub cart: EntityKey,
    /// Tells two edits of one second apart.
    pub digest: [u8; 16],
    pub created_at: Timestamp,
    pub lines: Vec<Line>,
    /// `None` where the vendor gives no total or no currency.
    pub total: Option<Money>,
    pub names: Vec<EntityKey>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckoutUpdated {
    pub checkout: EntityKey,
    pub digest: [u8; 16],
    pub created_at: Timestamp,
    pub completed_at: Option<Timestamp>,
    pub lines: Vec<Line>,
    pub total: Option<Money>,
    /// The cart, the customer, the hashed identifiers.
    pub names: Vec<EntityKey>,
    pub email: Option<Sealed>,
    pub phone: Option<Sealed>,
    pub first_name: Option<Sealed>,
    /// Brings the customer back to the checkout; it opens personal data.
    pub recovery_url: Option<Sealed>,
    pub started: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckoutDeleted {
    pub checkout: EntityKey,
}

/// The shop counts it as an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderPlaced {
    pub order: EntityKey,
    pub lines: Vec<Line>,
    pub total: Option<Money>,
    pub names: Vec<EntityKey>,
    pub email: Option<Sealed>,
    pub phone: Option<Sealed>,
    pub first_name: Option<Sealed>,
    /// Placed in the shop's own test mode.
    pub test: bool,
    /// What the customer calls it, such as `#1001`.
    pub number: Box<str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderCancelled {
    pub order: EntityKey,
    /// The vendor's word.
    pub reason: Box<str>,
    pub names: Vec<EntityKey>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TicketStatus {
    Open,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TicketChange {
    Opened,
    Updated,
    Closed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketUpdated {
    pub ticket: EntityKey,
    pub change: TicketChange,
    pub status: TicketStatus,
    pub digest: [u8; 16],
    pub created_at: Timestamp,
    pub channel: Box<str>,
    pub names: Vec<EntityKey>,
    pub subject: Option<Sealed>,
    pub email: Option<Sealed>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The customer wrote.
    Received,
    /// The shop wrote.
    Sent,
    /// The shop's staff wrote among themselves.
    Note,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketMessaged {
    pub ticket: EntityKey,
    pub message_id: Box<str>,
    pub direction: Direction,
    pub channel: Box<str>,
    pub names: Vec<EntityKey>,
    pub body: Option<Sealed>,
    pub email: Option<Sealed>,
}

/// Derived by a timer of ours, never a vendor's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CartAbandoned {
    pub cart: EntityKey,
    pub quiet_since: Timestamp,
    /// The version of the cart that fell quiet.
    pub cart_fact: FactId,
}

impl Body {
    /// The CloudEvents type, and the kind in the fact's id. Never changes.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Body::CartUpdated(_) => "commerce.cart.updated.v1",
            Body::CheckoutUpdated(checkout) if checkout.started => "commerce.checkout.started.v1",
            Body::CheckoutUpdated(_) => "commerce.checkout.updated.v1",
            Body::CheckoutDeleted(_) => "commerce.checkout.deleted.v1",
            Body::OrderPlaced(_) => "commerce.order.placed.v1",
            Body::OrderCancelled(_) => "commerce.order.cancelled.v1",
            Body::TicketUpdated(ticket) => match ticket.change {
                TicketChange::Opened => "commerce.ticket.opened.v1",
                TicketChange::Updated => "commerce.ticket.updated.v1",
                TicketChange::Closed => "commerce.ticket.closed.v1",
            },
            Body::TicketMessaged(message) => match message.direction {
                Direction::Received => "commerce.ticket.message_received.v1",
                Direction::Sent => "commerce.ticket.message_sent.v1",
                Direction::Note => "commerce.ticket.note_added.v1",
            },
            Body::CartAbandoned(_) => "commerce.cart.abandoned.v1",
            Body::Outcome(outcome) => outcome.state.kind(),
            Body::LineageOpened(_) => "tradewind.lineage.opened.v1",
            Body::IngestAlive(_) => "tradewind.ingest.alive.v1",
            Body::Tick => "tradewind.tick.v1",
            Body::GapOpened(_) => "tradewind.gap.opened.v1",
            Body::GapClosed(_) => "tradewind.gap.closed.v1",
            Body::ClockAdjusted(_) => "tradewind.clock.adjusted.v1",
            Body::ConnectionChanged(_) => "tradewind.connection.changed.v1",
            Body::BindingSet(_) => "tradewind.binding.set.v1",
            Body::SettingSet(_) => "tradewind.setting.set.v1",
            Body::SwitchSet(_) => "tradewind.switch.set.v1",
            Body::DefinitionActivated(_) => "tradewind.definition.activated.v1",
            Body::ApprovalDecided(_) => "tradewind.approval.decided.v1",
            Body::FactUnparked(_) => "tradewind.fact.unparked.v1",
            Body::InstanceUnparked(_) => "tradewind.instance.unparked.v1",
            Body::TenantMoved { .. } => "tradewind.tenant.moved.v1",
            Body::TenantArrived { .. } => "tradewind.tenant.arrived.v1",
            Body::ErasureRequested { .. } => "tradewind.erasure.requested.v1",
            Body::ErasureCompleted { .. } => "tradewind.erasure.completed.v1",
        }
    }

    /// The object a commerce fact is about, and the entities it names beside it.
    /// `None` for facts about the set-up, the log, or a command.
    #[must_use]
    pub fn about(&self) -> Option<(&EntityKey, &[EntityKey])> {
        match self {
            Body::CartUpdated(fact) => Some((&fact.cart, &fact.names)),
            Body::CheckoutUpdated(fact) => Some((&fact.checkout, &fact.names)),
            Body::CheckoutDeleted(fact) => Some((&fact.checkout, &[])),
            Body::OrderPlaced(fact) => Some((&fact.order, &fact.names)),
            Body::OrderCancelled(fact) => Some((&fact.order, &fact.names)),
            Body::TicketUpdated(fact) => Some((&fact.ticket, &fact.names)),
            Body::TicketMessaged(fact) => Some((&fact.ticket, &fact.names)),
            Body::CartAbandoned(fact) => Some((&fact.cart, &[])),
            Body::Outcome(_)
            | Body::LineageOpened(_)
            | Body::IngestAlive(_)
            | Body::Tick
            | Body::GapOpened(_)
            | Body::GapClosed(_)
            | Body::ClockAdjusted(_)
            | Body::ConnectionChanged(_)
            | Body::BindingSet(_)
            | Body::SettingSet(_)
            | Body::SwitchSet(_)
            | Body::DefinitionActivated(_)
            | Body::ApprovalDecided(_)
            | Body::FactUnparked(_)
            | Body::InstanceUnparked(_)
            | Body::TenantMoved { .. }
            | Body::TenantArrived { .. }
            | Body::ErasureRequested { .. }
            | Body::ErasureCompleted { .. } => None,
        }
    }

    /// The slot of a personal field, by the field's word; `None` where this fact
    /// has no such field. The word is what the ciphertext is bound to.
    #[must_use]
    pub fn sealed_slot(&mut self, field: &str) -> Option<&mut Option<Sealed>> {
        match self {
            Body::CheckoutUpdated(fact) => match field {
                "email" => Some(&mut fact.email),
                "phone" => Some(&mut fact.phone),
                "first_name" => Some(&mut fact.first_name),
                "recovery_url" => Some(&mut fact.recovery_url),
                _ => None,
            },
            Body::OrderPlaced(fact) => match field {
                "email" => Some(&mut fact.email),
                "phone" => Some(&mut fact.phone),
                "first_name" => Some(&mut fact.first_name),
                _ => None,
            },
            Body::TicketUpdated(fact) => match field {
                "subject" => Some(&mut fact.subject),
                "email" => Some(&mut fact.email),
                _ => None,
            },
            Body::TicketMessaged(fact) => match field {
                "body" => Some(&mut fact.body),
                "email" => Some(&mut fact.email),
                _ => None,
            },
            Body::CartUpdated(_)
            | Body::CheckoutDeleted(_)
            | Body::OrderCancelled(_)
            | Body::CartAbandoned(_)
            | Body::Outcome(_)
            | Body::LineageOpened(_)
            | Body::IngestAlive(_)
            | Body::Tick
            | Body::GapOpened(_)
            | Body::GapClosed(_)
            | Body::ClockAdjusted(_)
            | Body::ConnectionChanged(_)
            | Body::BindingSet(_)
            | Body::SettingSet(_)
            | Body::SwitchSet(_)
            | Body::DefinitionActivated(_)
            | Body::ApprovalDecided(_)
            | Body::FactUnparked(_)
            | Body::InstanceUnparked(_)
            | Body::TenantMoved { .. }
            | Body::TenantArrived { .. }
            | Body::ErasureRequested { .. }
            | Body::ErasureCompleted { .. } => None,
        }
    }

    /// Whose key seals the personal fields: the strongest identifier named (a
    /// vendor's customer, then e-mail, then phone; the first of its kind), else
    /// the object itself. `None` where [`Body::about`] is.
    #[must_use]
    pub fn key_owner(&self) -> Option<&EntityKey> {
        let (object, names) = self.about()?;
        let strongest = [EntityKind::Customer, EntityKind::Email, EntityKind::Phone]
            .into_iter()
            .find_map(|kind| names.iter().find(|name| name.kind() == kind));
        Some(strongest.unwrap_or(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entity::IdentifierHash;
    use crate::name::{Account, Vendor};

    fn at_shop(kind: EntityKind, id: &str) -> EntityKey {
        EntityKey::at_vendor(kind, &Vendor::new("shopify").unwrap(), &Account::new("demo").unwrap(), id)
    }

    fn hashed(kind: EntityKind) -> EntityKey {
        EntityKey::identifier(kind, IdentifierHash::from_bytes([9; 16]))
    }

    fn checkout(names: Vec<EntityKey>) -> Body {
        Body::CheckoutUpdated(CheckoutUpdated {
            checkout: at_shop(EntityKind::Checkout, "c1"),
            digest: [0; 16],
            created_at: Timestamp::from_millis(0),
            completed_at: None,
            lines: vec![],
            total: None,
            names,
            email: None,
            phone: None,
            first_name: None,
            recovery_url: None,
            started: false,
        })
    }

    #[test]
    fn the_key_is_that_of_the_strongest_identifier_named() {
        let cart = at_shop(EntityKind::Cart, "k1");
        let (customer, email, phone) =
            (at_shop(EntityKind::Customer, "7"), hashed(EntityKind::Email), hashed(EntityKind::Phone));
        for (names, owner) in [
            (vec![cart.clone(), phone.clone(), email.clone(), customer.clone()], customer),
            (vec![cart.clone(), phone.clone(), email.clone()], email),
            (vec![cart.clone(), phone.clone()], phone),
            (vec![cart], at_shop(EntityKind::Checkout, "c1")),
        ] {
            assert_eq!(checkout(names).key_owner(), Some(&owner));
        }
        assert_eq!(Body::Tick.key_owner(), None);
    }

    #[test]
    fn a_slot_is_found_by_its_word_alone() {
        let mut body = checkout(vec![]);
        for field in ["email", "phone", "first_name", "recovery_url"] {
            assert!(body.sealed_slot(field).is_some(), "{field}");
        }
        assert!(body.sealed_slot("subject").is_none());
        assert!(Body::Tick.sealed_slot("email").is_none());
    }
}
