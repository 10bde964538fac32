//! What facts say of one entity: its figures, and its edges to the entities
//! named together with it. A customer is a view over such leaves.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use tradewind_domain::{
    CommandId, EntityKey, EntityKind, FactId, Money, Name, Position, Sealed, TicketStatus, Timestamp,
};

/// Most edges a leaf keeps: the ones with the newest evidence. An address a
/// call centre types into every order must not grow without bound.
pub const MAX_EDGES: usize = 64;

/// Most references a leaf keeps, for timelines.
pub const MAX_REFERENCES: usize = 64;

/// Most lines of a cart a leaf keeps; as many as a message shows.
pub const MAX_LINES: usize = 20;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EntityLeaf {
    pub edges: Edges,
    pub figures: Figures,
    pub references: VecDeque<Reference>,
    /// Facts about this entity that could not be folded: a gap until unparked.
    pub parked: BTreeSet<FactId>,
    /// Workflows that met this entity first, and hold out whoever it is linked to.
    pub held_out: BTreeSet<Name>,
}

impl EntityLeaf {
    #[must_use]
    pub fn new(kind: EntityKind) -> EntityLeaf {
        EntityLeaf {
            edges: Edges::default(),
            figures: Figures::of(kind),
            references: VecDeque::new(),
            parked: BTreeSet::new(),
            held_out: BTreeSet::new(),
        }
    }

    pub fn refer(&mut self, position: Position, kind: ReferenceKind) {
        if self.references.len() == MAX_REFERENCES {
            self.references.pop_front();
        }
        self.references.push_back(Reference { position, kind });
    }
}

/// A place in the log where the entity played a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    pub position: Position,
    pub kind: ReferenceKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReferenceKind {
    /// A fact about it.
    About,
    /// A fact about another entity that names it.
    Named,
    Decision,
}

/// Which of two facts about one object is the newer: by the vendor's time, then
/// by id, so that any order of arrival gives the same winner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version {
    pub occurred_at: Timestamp,
    pub fact: FactId,
}

/// A value of which the newest version counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versioned<T> {
    pub version: Version,
    pub value: T,
}

impl<T> Versioned<T> {
    /// Puts a value into a slot unless a newer one is there. True if it did.
    pub fn put(slot: &mut Option<Versioned<T>>, version: Version, value: T) -> bool {
        let newer = slot.as_ref().is_none_or(|known| known.version < version);
        if newer {
            *slot = Some(Versioned { version, value });
        }
        newer
    }
}

/// Links to other entities, each with its newest evidence, in the order of their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edges {
    newest: Vec<(EntityKey, Edge)>,
    /// There were more than are kept.
    has_dropped: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Edge {
    pub evidence: Version,
}

impl Edges {
    /// Adds evidence. The result is the same for any order of the same evidence.
    pub fn link(&mut self, to: &EntityKey, evidence: Version) {
        match self.place(to) {
            Ok(at) => {
                let edge = &mut self.newest[at].1;
                edge.evidence = edge.evidence.max(evidence);
            }
            Err(at) => self.newest.insert(at, (to.clone(), Edge { evidence })),
        }
        if self.newest.len() > MAX_EDGES {
            let edges = self.newest.iter().enumerate();
            let oldest = edges.min_by_key(|(_, (key, edge))| (edge.evidence, key)).map(|(at, _)| at);
            oldest.map(|at| self.newest.remove(at));
            self.has_dropped = true;
        }
    }

    #[must_use]
    pub fn to(&self, entity: &EntityKey) -> Option<&Edge> {
        self.place(entity).ok().map(|at| &self.newest[at].1)
    }

    /// Whether there were more than are kept.
    #[must_use]
    pub fn has_dropped(&self) -> bool {
        self.has_dropped
    }

    /// In the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&EntityKey, &Edge)> {
        self.newest.iter().map(|(key, edge)| (key, edge))
    }

    fn place(&self, entity: &EntityKey) -> Result<usize, usize> {
        self.newest.binary_search_by(|(key, _)| key.cmp(entity))
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Figures {
    Identifier(IdentifierFigures),
    Cart(Option<CartFigures>),
    Checkout(CheckoutFigures),
    Order(OrderFigures),
    Ticket(TicketFigures),
}

impl Figures {
    fn of(kind: EntityKind) -> Figures {
        match kind {
            EntityKind::Email | EntityKind::Phone | EntityKind::Customer => {
                Figures::Identifier(IdentifierFigures::default())
            }
            EntityKind::Cart => Figures::Cart(None),
            EntityKind::Checkout => Figures::Checkout(CheckoutFigures::default()),
            EntityKind::Order => Figures::Order(OrderFigures::default()),
            EntityKind::Ticket => Figures::Ticket(TicketFigures::default()),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentifierFigures {
    /// Where the person is reached by this identifier.
    pub contact: Option<Versioned<Sealed>>,
    pub first_name: Option<Versioned<Sealed>>,
    /// Places of caps taken here, each by a command. A set, never a counter.
    pub slots: BTreeMap<(Name, CommandId), Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CartFigures {
    pub version: Version,
    /// When this version was recorded: since then nothing was heard of the cart.
    pub quiet_since: Timestamp,
    pub created_at: Timestamp,
    /// The first [`MAX_LINES`] of `line_count`.
    pub lines: Vec<LineFigure>,
    pub line_count: u32,
    pub total: Option<Money>,
    pub abandoned: Option<Abandoned>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abandoned {
    pub cart_fact: FactId,
    pub quiet_since: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineFigure {
    pub sku: Box<str>,
    pub title: Box<str>,
    pub quantity: i64,
    pub unit_price: Option<Money>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckoutFigures {
    pub content: Option<Versioned<CheckoutContent>>,
    pub quiet_since: Option<Timestamp>,
    pub deleted: Option<Version>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckoutContent {
    pub created_at: Timestamp,
    pub completed_at: Option<Timestamp>,
    pub lines: Vec<LineFigure>,
    pub line_count: u32,
    pub total: Option<Money>,
    pub recovery_url: Option<Sealed>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderFigures {
    pub placed: Option<Version>,
    pub total: Option<Money>,
    pub cancelled: Option<Version>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketFigures {
    pub status: Option<Versioned<TicketState>>,
    pub last_message: Option<Version>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TicketState {
    Open,
    Closed,
}

impl From<TicketStatus> for TicketState {
    fn from(status: TicketStatus) -> TicketState {
        match status {
            TicketStatus::Open => TicketState::Open,
            TicketStatus::Closed => TicketState::Closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tradewind_domain::{Account, Vendor};

    fn order(number: u32) -> EntityKey {
        let vendor = Vendor::new("shopify").unwrap();
        EntityKey::at_vendor(EntityKind::Order, &vendor, &Account::none(), &number.to_string())
    }

    fn evidence(at: i64) -> Version {
        Version { occurred_at: Timestamp::from_millis(at), fact: FactId::from_bytes([1; 16]) }
    }

    #[test]
    fn the_newest_edges_stay_in_whatever_order_they_come() {
        let evidence: Vec<(u32, i64)> = (0..200).map(|number| (number, i64::from(number * 37 % 200))).collect();
        let link = |evidence: &mut dyn Iterator<Item = &(u32, i64)>| {
            let mut edges = Edges::default();
            for (number, at) in evidence {
                edges.link(&order(*number), self::evidence(*at));
            }
            edges
        };
        let forwards = link(&mut evidence.iter());
        assert_eq!(forwards.iter().count(), MAX_EDGES);
        assert_eq!(link(&mut evidence.iter().rev()), forwards);
        assert_eq!(link(&mut evidence.iter().chain(evidence.iter())), forwards);
        assert!(forwards.iter().all(|(_, edge)| edge.evidence >= self::evidence(200 - 64)));
        assert!(forwards.has_dropped());
        assert!(!link(&mut evidence.iter().take(MAX_EDGES)).has_dropped());
    }
}
