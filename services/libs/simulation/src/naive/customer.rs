//! Links: every fact links the object it is about with all that it names.

use std::collections::BTreeSet;

use tradewind_domain::{EntityKey, EntityKind};

use super::facts::Record;

/// Everything that links reach from here.
pub(super) fn reached<'a>(records: &[&'a Record], from: &'a EntityKey) -> BTreeSet<&'a EntityKey> {
    let mut reached = BTreeSet::new();
    let mut heads = BTreeSet::from([from]);
    // Each round reads all facts again and goes one link further at least.
    while heads.len() > reached.len() {
        reached.clone_from(&heads);
        for (object, names) in abouts(records) {
            if heads.contains(object) || names.iter().any(|name| heads.contains(name)) {
                heads.insert(object);
                heads.extend(names);
            }
        }
    }
    let is_known = abouts(records).any(|(object, names)| object == from || names.contains(from));
    if is_known { reached } else { BTreeSet::new() }
}

/// What one link reaches, of one kind.
pub(super) fn linked<'a>(records: &[&'a Record], to: &EntityKey, kind: EntityKind) -> BTreeSet<&'a EntityKey> {
    let mut linked = BTreeSet::new();
    for (object, names) in abouts(records) {
        if object == to {
            linked.extend(names);
        }
        if names.contains(to) {
            linked.insert(object);
        }
    }
    linked.retain(|entity| entity.kind() == kind);
    linked
}

fn abouts<'a>(records: &[&'a Record]) -> impl Iterator<Item = (&'a EntityKey, &'a [EntityKey])> {
    records.iter().filter_map(|record| record.body().about())
}
