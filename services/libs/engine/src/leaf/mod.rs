//! Leaves: the state, each value belonging to one entity, instance, command or
//! tenant. Fold and apply read and write one leaf at a time, knowing only that
//! leaf and the record.

mod command;
mod entity;
mod process;
mod tenant;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use command::CommandLeaf;
pub use entity::{
    Abandoned, CartFigures, CheckoutContent, CheckoutFigures, Edge, Edges, EntityLeaf, Figures, IdentifierFigures,
    LineFigure, MAX_EDGES, MAX_LINES, MAX_REFERENCES, OrderFigures, Reference, ReferenceKind, TicketFigures,
    TicketState, Version, Versioned,
};
pub use process::{InstanceLeaf, ProcessLeaf, Wakeup};
pub use tenant::{ConnectionState, Definition, Entry, TenantLeaf};

/// Shared with whoever looks at it; a change copies it only while somebody does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Leaf {
    Tenant(Arc<TenantLeaf>),
    Entity(Arc<EntityLeaf>),
    Process(Arc<ProcessLeaf>),
    Instance(Arc<InstanceLeaf>),
    Command(Arc<CommandLeaf>),
}

impl Leaf {
    /// # Panics
    ///
    /// Never: a leaf is plain data.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("a leaf is plain data")
    }

    /// `None` if the bytes are no leaf of this fold version.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Leaf> {
        postcard::from_bytes(bytes).ok()
    }

    /// The wakeups it holds; the due-time index is made of them.
    #[must_use]
    pub fn wakeups(&self) -> &[Wakeup] {
        match self {
            Leaf::Instance(instance) => &instance.wakeups,
            Leaf::Tenant(_) | Leaf::Entity(_) | Leaf::Process(_) | Leaf::Command(_) => &[],
        }
    }
}
