//! What a decision gets to see: a tenant's projections at one position. Every
//! fact whose content is looked at is noted, so that a decision can say what it
//! was made on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use hashbrown::HashSet;
use tradewind_domain::{CommandId, EntityKey, EntityKind, FactId, InstanceId, Name, Tenant, Timestamp};
use tradewind_ports::StoreError;

use crate::key::LeafKey;
use crate::leaf::{
    CartFigures, CheckoutFigures, CommandLeaf, EntityLeaf, Figures, IdentifierFigures, InstanceLeaf, Leaf, MAX_EDGES,
    OrderFigures, ProcessLeaf, TenantLeaf, TicketFigures, TicketState,
};
use crate::state::State;

/// Most entities of one customer that are looked at: all the edges of one leaf,
/// and as many beyond them. What lies further is said in the decision, as the
/// feature `customer_truncated`.
const MAX_COMPONENT: usize = 2 * MAX_EDGES;

/// Most facts a decision lists by id; the rest is counted.
const MAX_FACTS_READ: usize = 64;

#[derive(Debug)]
pub struct View<'a> {
    state: &'a mut State,
    tenant: &'a Tenant,
    /// In the order they were looked at, so the nearest first; some more than once.
    facts_read: Vec<FactId>,
}

/// Everything linked to one entity, each object once, nearest first.
#[derive(Clone, Debug, Default)]
pub struct CustomerView {
    entities: Vec<(EntityKey, Arc<EntityLeaf>)>,
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
        let leaf = self.state.get(&LeafKey::Tenant(self.tenant))?;
        Ok(match leaf {
            Some(Leaf::Tenant(tenant)) => tenant.clone(),
            Some(Leaf::Entity(_) | Leaf::Process(_) | Leaf::Instance(_) | Leaf::Command(_)) | None => Arc::default(),
        })
    }

    /// # Errors
    ///
    /// The store can't be read.
    pub fn entity(&mut self, entity: &EntityKey) -> Result<Option<Arc<EntityLeaf>>, StoreError> {
        let leaf = self.state.get(&LeafKey::Entity(self.tenant, entity))?;
        let Some(Leaf::Entity(leaf)) = leaf else { return Ok(None) };
        note(&mut self.facts_read, leaf);
        Ok(Some(leaf.clone()))
    }

    /// # Errors
    ///
    /// The store can't be read.
    pub fn process(&mut self, entity: &EntityKey) -> Result<Arc<ProcessLeaf>, StoreError> {
        let leaf = self.state.get(&LeafKey::Process(self.tenant, entity))?;
        Ok(match leaf {
            Some(Leaf::Process(process)) => process.clone(),
            Some(Leaf::Tenant(_) | Leaf::Entity(_) | Leaf::Instance(_) | Leaf::Command(_)) | None => Arc::default(),
        })
    }

    /// Whether a workflow has a live instance for an entity.
    ///
    /// # Errors
    ///
    /// The store can't be read.
    pub fn is_running(&mut self, entity: &EntityKey, workflow: &Name) -> Result<bool, StoreError> {
        let leaf = self.state.get(&LeafKey::Process(self.tenant, entity))?;
        let Some(Leaf::Process(process)) = leaf else { return Ok(false) };
        Ok(process.running.contains_key(workflow))
    }

    /// Whether a workflow met this entity first, and holds it out.
    ///
    /// # Errors
    ///
    /// The store can't be read.
    pub fn is_held_out(&mut self, entity: &EntityKey, workflow: &str) -> Result<bool, StoreError> {
        let leaf = self.state.get(&LeafKey::Entity(self.tenant, entity))?;
        let Some(Leaf::Entity(leaf)) = leaf else { return Ok(false) };
        Ok(leaf.held_out.contains(workflow))
    }

    /// # Errors
    ///
    /// The store can't be read.
    pub fn instance(&mut self, instance: InstanceId) -> Result<Option<Arc<InstanceLeaf>>, StoreError> {
        let leaf = self.state.get(&LeafKey::Instance(self.tenant, instance))?;
        let Some(Leaf::Instance(instance)) = leaf else { return Ok(None) };
        Ok(Some(instance.clone()))
    }

    /// # Errors
    ///
    /// The store can't be read.
    pub fn command(&mut self, command: CommandId) -> Result<Option<Arc<CommandLeaf>>, StoreError> {
        let leaf = self.state.get(&LeafKey::Command(self.tenant, command))?;
        let Some(Leaf::Command(command)) = leaf else { return Ok(None) };
        Ok(Some(command.clone()))
    }

    /// Everything linked to `from` by evidence.
    ///
    /// # Errors
    ///
    /// The store can't be read.
    pub fn customer(&mut self, from: &EntityKey) -> Result<CustomerView, StoreError> {
        let mut customer = CustomerView::default();
        let mut seen: HashSet<EntityKey> = std::iter::once(from.clone()).collect();
        let mut queue = VecDeque::from([from.clone()]);
        while let Some(entity) = queue.pop_front() {
            let leaf = self.state.get(&LeafKey::Entity(self.tenant, &entity))?;
            let Some(Leaf::Entity(leaf)) = leaf else { continue };
            note(&mut self.facts_read, leaf);
            customer.truncated |= leaf.edges.has_dropped();
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
            customer.entities.push((entity, leaf.clone()));
        }
        Ok(customer)
    }

    /// Notes a fact that leads to the decision. Noted before anything is looked
    /// at, it is listed whatever else is.
    pub(crate) fn note_cause(&mut self, fact: FactId) {
        self.facts_read.push(fact);
    }

    /// The facts looked at so far, by id, and how many more: what was looked at
    /// first stays on the list.
    pub(crate) fn facts_read(self) -> (Vec<FactId>, u32) {
        // Numbers sort several times as fast as arrays of bytes, in the same order.
        let mut ids: Vec<u128> = self.facts_read.iter().map(|fact| u128::from_be_bytes(*fact.as_bytes())).collect();
        ids.sort_unstable();
        ids.dedup();
        let more = ids.len().saturating_sub(MAX_FACTS_READ);
        let facts_read = if more == 0 {
            ids.iter().map(|id| FactId::from_bytes(id.to_be_bytes())).collect()
        } else {
            let mut nearest = BTreeSet::new();
            let mut looked_at = self.facts_read.iter();
            while nearest.len() < MAX_FACTS_READ
                && let Some(fact) = looked_at.next()
            {
                nearest.insert(*fact);
            }
            nearest.into_iter().collect()
        };
        (facts_read, u32::try_from(more).unwrap_or(u32::MAX))
    }
}

/// Notes the facts that a leaf's content came with: those about the entity
/// itself before those that only link it.
fn note(facts_read: &mut Vec<FactId>, leaf: &EntityLeaf) {
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
    facts_read.extend(leaf.edges.iter().map(|(_, edge)| edge.evidence.fact));
}

impl CustomerView {
    pub fn entities(&self) -> impl Iterator<Item = &EntityKey> {
        self.entities.iter().map(|(entity, _)| entity)
    }

    pub fn identifiers(&self) -> impl Iterator<Item = (&EntityKey, &IdentifierFigures)> {
        self.figures(|figures| if let Figures::Identifier(identifier) = figures { Some(identifier) } else { None })
    }

    pub fn carts(&self) -> impl Iterator<Item = (&EntityKey, &CartFigures)> {
        self.figures(|figures| if let Figures::Cart(cart) = figures { cart.as_ref() } else { None })
    }

    pub fn checkouts(&self) -> impl Iterator<Item = (&EntityKey, &CheckoutFigures)> {
        self.figures(|figures| if let Figures::Checkout(checkout) = figures { Some(checkout) } else { None })
    }

    pub fn orders(&self) -> impl Iterator<Item = (&EntityKey, &OrderFigures)> {
        self.figures(|figures| if let Figures::Order(order) = figures { Some(order) } else { None })
    }

    pub fn tickets(&self) -> impl Iterator<Item = (&EntityKey, &TicketFigures)> {
        self.figures(|figures| if let Figures::Ticket(ticket) = figures { Some(ticket) } else { None })
    }

    fn figures<'a, T: 'a>(&'a self, of: impl Fn(&'a Figures) -> Option<T>) -> impl Iterator<Item = (&'a EntityKey, T)> {
        self.entities.iter().filter_map(move |(entity, leaf)| of(&leaf.figures).map(|figures| (entity, figures)))
    }

    #[must_use]
    pub fn cart(&self, cart: &EntityKey) -> Option<&CartFigures> {
        self.carts().find(|(entity, _)| *entity == cart).map(|(_, figures)| figures)
    }

    #[must_use]
    pub fn checkout(&self, checkout: &EntityKey) -> Option<&CheckoutFigures> {
        self.checkouts().find(|(entity, _)| *entity == checkout).map(|(_, figures)| figures)
    }

    #[must_use]
    pub fn has_open_ticket(&self) -> bool {
        self.tickets().any(|(_, ticket)| ticket.status.as_ref().is_some_and(|status| status.value == TicketState::Open))
    }

    /// A fact about any of them could not be folded.
    #[must_use]
    pub fn has_parked(&self) -> bool {
        self.entities.iter().any(|(_, leaf)| !leaf.parked.is_empty())
    }

    /// Whether a workflow holds out any of them.
    #[must_use]
    pub fn is_held_out(&self, workflow: &str) -> bool {
        self.entities.iter().any(|(_, leaf)| leaf.held_out.contains(workflow))
    }

    /// The times at which places of a cap were taken, by command: each counts
    /// once, whichever of the customer's identifiers it was taken at.
    #[must_use]
    pub fn slots(&self, cap: &Name) -> BTreeMap<CommandId, Timestamp> {
        self.identifiers()
            .flat_map(|(_, identifier)| &identifier.slots)
            .filter(|((name, _), _)| name == cap)
            .map(|((_, command), at)| (*command, *at))
            .collect()
    }

    /// The e-mail identifier with the newest known address, and the address.
    #[must_use]
    pub fn email(&self) -> Option<(&EntityKey, &IdentifierFigures)> {
        self.identifiers()
            .filter(|(key, figures)| key.kind() == EntityKind::Email && figures.contact.is_some())
            .max_by_key(|(key, figures)| (figures.contact.as_ref().map(|contact| contact.version), *key))
    }
}
