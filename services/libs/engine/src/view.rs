//! What a decision gets to see: a tenant's projections at one position. Every
//! fact whose content is looked at is noted, so that a decision can say what it
//! was made on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use tradewind_domain::{CommandId, EntityKey, EntityKind, FactId, InstanceId, Name, Tenant, Timestamp};
use tradewind_ports::StoreError;

use crate::key::LeafKey;
use crate::leaf::{
    CartFigures, CheckoutFigures, CommandLeaf, EntityLeaf, Figures, IdentifierFigures, InstanceLeaf, Leaf,
    OrderFigures, ProcessLeaf, TenantLeaf, TicketFigures, TicketState,
};
use crate::state::State;

/// Most entities of one customer that are looked at. What lies beyond is said in
/// the decision, as the feature `customer_truncated`.
const MAX_COMPONENT: usize = 256;

/// Most facts a decision lists by id; the rest is counted.
const MAX_FACTS_READ: usize = 64;

#[derive(Debug)]
pub struct View<'a> {
    state: &'a mut State,
    tenant: &'a Tenant,
    /// In the order they were looked at, some more than once.
    facts_read: Vec<FactId>,
}

/// Everything linked to one entity, each object once.
#[derive(Clone, Debug, Default)]
pub struct CustomerView {
    pub identifiers: BTreeMap<EntityKey, IdentifierFigures>,
    pub carts: BTreeMap<EntityKey, CartFigures>,
    pub checkouts: BTreeMap<EntityKey, CheckoutFigures>,
    pub orders: BTreeMap<EntityKey, OrderFigures>,
    pub tickets: BTreeMap<EntityKey, TicketFigures>,
    /// Workflows that hold out any of the linked entities.
    pub held_out: BTreeSet<Name>,
    /// Facts about any of them that could not be folded.
    pub parked: BTreeSet<FactId>,
    /// There were more entities than are looked at.
    pub truncated: bool,
}

impl<'a> View<'a> {
    pub(crate) fn new(state: &'a mut State, tenant: &'a Tenant) -> View<'a> {
        View { state, tenant, facts_read: Vec::new() }
    }

    /// # Errors
    ///
    /// The store can't be read.
    pub fn set_up(&mut self) -> Result<Arc<TenantLeaf>, StoreError> {
        let leaf = self.state.get(&LeafKey::Tenant(self.tenant).to_bytes())?;
        Ok(match leaf {
            Some(Leaf::Tenant(tenant)) => tenant.clone(),
            Some(Leaf::Entity(_) | Leaf::Process(_) | Leaf::Instance(_) | Leaf::Command(_)) | None => Arc::default(),
        })
    }

    /// # Errors
    ///
    /// The store can't be read.
    pub fn entity(&mut self, entity: &EntityKey) -> Result<Option<EntityLeaf>, StoreError> {
        let leaf = self.state.get(&LeafKey::Entity(self.tenant, entity).to_bytes())?;
        let Some(Leaf::Entity(leaf)) = leaf else { return Ok(None) };
        note(&mut self.facts_read, leaf);
        Ok(Some(leaf.as_ref().clone()))
    }

    /// # Errors
    ///
    /// The store can't be read.
    pub fn process(&mut self, entity: &EntityKey) -> Result<ProcessLeaf, StoreError> {
        let leaf = self.state.get(&LeafKey::Process(self.tenant, entity).to_bytes())?;
        Ok(match leaf {
            Some(Leaf::Process(process)) => process.clone(),
            Some(Leaf::Tenant(_) | Leaf::Entity(_) | Leaf::Instance(_) | Leaf::Command(_)) | None => {
                ProcessLeaf::default()
            }
        })
    }

    /// Whether a workflow has a live instance for an entity.
    ///
    /// # Errors
    ///
    /// The store can't be read.
    pub fn is_running(&mut self, entity: &EntityKey, workflow: &Name) -> Result<bool, StoreError> {
        let leaf = self.state.get(&LeafKey::Process(self.tenant, entity).to_bytes())?;
        let Some(Leaf::Process(process)) = leaf else { return Ok(false) };
        Ok(process.running.contains_key(workflow))
    }

    /// # Errors
    ///
    /// The store can't be read.
    pub fn instance(&mut self, instance: InstanceId) -> Result<Option<InstanceLeaf>, StoreError> {
        let leaf = self.state.get(&LeafKey::Instance(self.tenant, instance).to_bytes())?;
        let Some(Leaf::Instance(instance)) = leaf else { return Ok(None) };
        Ok(Some(instance.as_ref().clone()))
    }

    /// # Errors
    ///
    /// The store can't be read.
    pub fn command(&mut self, command: CommandId) -> Result<Option<CommandLeaf>, StoreError> {
        let leaf = self.state.get(&LeafKey::Command(self.tenant, command).to_bytes())?;
        let Some(Leaf::Command(command)) = leaf else { return Ok(None) };
        Ok(Some(command.clone()))
    }

    /// Everything linked to `from` by evidence, nearest first.
    ///
    /// # Errors
    ///
    /// The store can't be read.
    pub fn customer(&mut self, from: &EntityKey) -> Result<CustomerView, StoreError> {
        let mut customer = CustomerView::default();
        let mut seen = BTreeSet::from([from.clone()]);
        let mut queue = VecDeque::from([from.clone()]);
        while let Some(entity) = queue.pop_front() {
            let Some(Leaf::Entity(leaf)) = self.state.get(&LeafKey::Entity(self.tenant, &entity).to_bytes())? else {
                continue;
            };
            note(&mut self.facts_read, leaf);
            for (linked, _) in leaf.edges.iter() {
                if seen.contains(linked) {
                    continue;
                }
                if seen.len() == MAX_COMPONENT {
                    customer.truncated = true;
                    break;
                }
                seen.insert(linked.clone());
                queue.push_back(linked.clone());
            }
            customer.count(&entity, leaf);
            if let Some(Leaf::Process(process)) = self.state.get(&LeafKey::Process(self.tenant, &entity).to_bytes())? {
                customer.held_out.extend(process.held_out.iter().cloned());
            }
        }
        Ok(customer)
    }

    /// The facts looked at so far: the first by id, and how many more.
    pub(crate) fn facts_read(self) -> (Vec<FactId>, u32) {
        let mut facts_read = self.facts_read;
        facts_read.sort_unstable();
        facts_read.dedup();
        let more = facts_read.len().saturating_sub(MAX_FACTS_READ);
        facts_read.truncate(MAX_FACTS_READ);
        (facts_read, u32::try_from(more).unwrap_or(u32::MAX))
    }
}

/// Notes the facts that a leaf's content came with.
fn note(facts_read: &mut Vec<FactId>, leaf: &EntityLeaf) {
    facts_read.extend(leaf.edges.iter().map(|(_, edge)| edge.evidence.fact));
    match &leaf.figures {
        Figures::Identifier(figures) => {
            facts_read.extend(figures.contact.as_ref().map(|contact| contact.version.fact));
        }
        Figures::Cart(cart) => facts_read.extend(cart.as_ref().map(|cart| cart.version.fact)),
        Figures::Checkout(checkout) => {
            facts_read.extend(checkout.content.as_ref().map(|content| content.version.fact));
            facts_read.extend(checkout.deleted.map(|version| version.fact));
        }
        Figures::Order(order) => {
            facts_read.extend(order.placed.map(|version| version.fact));
            facts_read.extend(order.cancelled.map(|version| version.fact));
        }
        Figures::Ticket(ticket) => {
            facts_read.extend(ticket.status.as_ref().map(|status| status.version.fact));
            facts_read.extend(ticket.last_message.map(|version| version.fact));
        }
    }
}

impl CustomerView {
    fn count(&mut self, entity: &EntityKey, leaf: &EntityLeaf) {
        self.parked.extend(&leaf.parked);
        let entity = entity.clone();
        match &leaf.figures {
            Figures::Identifier(figures) => {
                self.identifiers.insert(entity, figures.clone());
            }
            Figures::Cart(cart) => {
                if let Some(cart) = cart {
                    self.carts.insert(entity, cart.clone());
                }
            }
            Figures::Checkout(checkout) => {
                self.checkouts.insert(entity, checkout.clone());
            }
            Figures::Order(order) => {
                self.orders.insert(entity, order.clone());
            }
            Figures::Ticket(ticket) => {
                self.tickets.insert(entity, ticket.clone());
            }
        }
    }

    #[must_use]
    pub fn has_open_ticket(&self) -> bool {
        self.tickets
            .values()
            .any(|ticket| ticket.status.as_ref().is_some_and(|status| status.value == TicketState::Open))
    }

    /// The times at which places of a cap were taken, by command: each counts
    /// once, whichever of the customer's identifiers it was taken at.
    #[must_use]
    pub fn slots(&self, cap: &Name) -> BTreeMap<CommandId, Timestamp> {
        self.identifiers
            .values()
            .flat_map(|identifier| &identifier.slots)
            .filter(|((name, _), _)| name == cap)
            .map(|((_, command), at)| (*command, *at))
            .collect()
    }

    /// The e-mail identifier with the newest known address, and the address.
    #[must_use]
    pub fn email(&self) -> Option<(&EntityKey, &IdentifierFigures)> {
        self.identifiers
            .iter()
            .filter(|(key, figures)| key.kind == EntityKind::Email && figures.contact.is_some())
            .max_by_key(|(key, figures)| (figures.contact.as_ref().map(|contact| contact.version), *key))
    }
}
