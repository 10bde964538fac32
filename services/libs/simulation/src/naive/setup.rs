//! What a tenant's facts set up. Of each entry the highest version counts.

use std::collections::BTreeMap;

use tradewind_domain::{Body, Capability, ConnectionChanged, ConnectionName, DefinitionActivated, Timestamp};

use super::facts::Record;

#[derive(Clone, Copy, Debug)]
pub(super) struct Connection<'a> {
    pub(super) set: &'a ConnectionChanged,
    /// Since when it has been active, or inactive.
    pub(super) since: Timestamp,
}

pub(super) fn connections<'a>(records: &[&'a Record]) -> BTreeMap<&'a ConnectionName, Connection<'a>> {
    let mut connections: BTreeMap<&ConnectionName, Connection<'a>> = BTreeMap::new();
    for record in records {
        let Body::ConnectionChanged(set) = record.body() else { continue };
        let before = connections.get(&set.connection);
        if before.is_some_and(|before| before.set.version >= set.version) {
            continue;
        }
        let since = before.filter(|before| before.set.active && set.active).map_or(record.at, |before| before.since);
        connections.insert(&set.connection, Connection { set, since });
    }
    connections
}

/// The active connection that serves the capability on the channel.
pub(super) fn bound<'a>(
    records: &[&'a Record],
    capability: Capability,
    channel: &str,
) -> Option<&'a ConnectionChanged> {
    let binding = latest(records, |body| {
        let Body::BindingSet(set) = body else { return None };
        let is_it = set.capability.as_str() == capability.as_str() && set.channel.as_str() == channel;
        is_it.then_some((set.version, set))
    })?;
    let connection = connections(records).get(binding.connection.as_ref()?)?.set;
    connection.active.then_some(connection)
}

pub(super) fn setting(records: &[&Record], name: &str, default: i64) -> i64 {
    let set = latest(records, |body| {
        let Body::SettingSet(set) = body else { return None };
        (set.name.as_str() == name).then_some((set.version, set))
    });
    set.map_or(default, |set| set.value).max(0)
}

pub(super) fn is_stopped(records: &[&Record], scope: &str) -> bool {
    let set = latest(records, |body| {
        let Body::SwitchSet(set) = body else { return None };
        (set.scope.to_string() == scope).then_some((set.version, set))
    });
    set.is_some_and(|set| set.stopped)
}

pub(super) fn activated<'a>(records: &[&'a Record], workflow: &str) -> Option<&'a DefinitionActivated> {
    latest(records, |body| {
        let Body::DefinitionActivated(set) = body else { return None };
        (set.workflow.as_str() == workflow).then_some((set.version, set))
    })
}

/// Only a strictly higher version replaces.
fn latest<'a, T>(records: &[&'a Record], entry_of: impl Fn(&'a Body) -> Option<(u64, &'a T)>) -> Option<&'a T> {
    let entries = records.iter().filter_map(|record| entry_of(record.body()));
    entries.reduce(|latest, entry| if entry.0 > latest.0 { entry } else { latest }).map(|(_, entry)| entry)
}
