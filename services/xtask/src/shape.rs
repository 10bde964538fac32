//! The crate graph: who may know whom, and which library is whose.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::files;

/// The edges that may be there. A crate that is not listed may know nobody, so a
/// new crate is a line here.
const EDGES: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("ports", &["domain"]),
    ("wire", &["domain", "ports"]),
    ("vendors", &["domain"]),
    ("egress", &[]),
    ("engine", &["domain", "ports"]),
    ("log-embedded", &["domain", "ports"]),
    ("log-kafka", &["domain", "ports"]),
    ("store", &["domain", "ports"]),
    ("serving", &[]),
    ("telemetry", &[]),
    ("vault", &["domain", "ports", "wire"]),
    ("actuator", &["domain", "egress", "ports", "telemetry", "vendors", "wire"]),
    ("connector", &["domain", "ports", "serving", "telemetry", "vendors", "wire"]),
    ("orchestrator", &["domain", "engine", "ports", "telemetry", "wire"]),
    ("explain", &["domain", "ports", "wire"]),
    ("transfer", &["domain", "engine", "ports", "wire"]),
    ("console", &["domain", "explain", "ports", "serving", "telemetry", "wire"]),
    // Vendors know nothing of whom they talk to.
    ("sandbox", &[]),
    // The binary puts the rest together.
    (
        "tradewind",
        &[
            "actuator",
            "connector",
            "console",
            "domain",
            "egress",
            "engine",
            "explain",
            "log-embedded",
            "log-kafka",
            "orchestrator",
            "ports",
            "sandbox",
            "store",
            "telemetry",
            "transfer",
            "vault",
            "vendors",
            "wire",
        ],
    ),
    ("simulation", &["domain", "engine", "orchestrator", "ports", "wire"]),
];

/// Libraries that one crate alone may name, so that what stands behind a port
/// can be changed in one place.
const CONTAINED: &[(&str, &[&str])] = &[
    ("rdkafka", &["log-kafka"]),
    ("rusqlite", &["log-embedded"]),
    ("sled", &["store"]),
    ("prost", &["wire"]),
    ("prometheus-client", &["telemetry"]),
    ("reqwest", &["egress"]),
    ("axum", &["connector", "console", "sandbox", "telemetry"]),
];

/// What a manifest says of its crate.
#[derive(Debug)]
pub struct Manifest {
    /// Without `tradewind-`.
    pub name: String,
    pub ours: BTreeSet<String>,
    pub others: BTreeSet<String>,
}

/// Reads every manifest of the workspace.
///
/// # Panics
///
/// One of them is no manifest.
#[must_use]
pub fn manifests(top: &Path) -> Vec<Manifest> {
    let paths = files(&top.join("services"), "Cargo.toml");
    paths.iter().map(|path| manifest(&std::fs::read_to_string(path).expect("a readable manifest"))).collect()
}

fn manifest(text: &str) -> Manifest {
    let table: toml::Table = text.parse().expect("a manifest is TOML");
    let name = |full: &str| full.strip_prefix("tradewind-").unwrap_or(full).to_owned();
    let keys = |section: &str| -> BTreeSet<String> {
        let section = table.get(section).and_then(toml::Value::as_table);
        section.into_iter().flat_map(toml::Table::keys).cloned().collect()
    };
    let all: BTreeSet<String> = keys("dependencies").union(&keys("build-dependencies")).cloned().collect();
    let package = table["package"]["name"].as_str().expect("a package has a name");
    let (ours, others): (BTreeSet<String>, BTreeSet<String>) =
        all.into_iter().partition(|dependency| dependency.starts_with("tradewind-"));
    Manifest { name: name(package), ours: ours.iter().map(|our| name(our)).collect(), others }
}

/// Every edge that may not be there, in words.
#[must_use]
pub fn violations(manifests: &[Manifest]) -> Vec<String> {
    let edges: BTreeMap<&str, &[&str]> = EDGES.iter().copied().collect();
    let mut violations = Vec::new();
    for Manifest { name, ours, others } in manifests {
        let allowed = edges.get(name.as_str()).copied().unwrap_or_default();
        let unlisted = ours.iter().filter(|our| !allowed.contains(&our.as_str()));
        violations.extend(unlisted.map(|our| format!("{name} may not know {our}")));
        for (library, owners) in CONTAINED {
            let names_it = others.iter().any(|other| other == library || other.starts_with(&format!("{library}-")));
            if names_it && !owners.contains(&name.as_str()) {
                violations.push(format!("{name} may not name {library}: that is for {}", owners.join(", ")));
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_that_is_not_listed_is_a_violation() {
        let engine = manifest(
            "[package]\nname = \"tradewind-engine\"\n[dependencies]\ntradewind-wire.workspace = true\nprost = \"0.14\"",
        );
        assert_eq!(violations(&[engine]), ["engine may not know wire", "engine may not name prost: that is for wire"]);
    }

    #[test]
    fn a_crate_nobody_listed_may_know_nobody() {
        let new = manifest("[package]\nname = \"tradewind-new\"\n[dependencies]\ntradewind-domain.workspace = true");
        assert_eq!(violations(&[new]), ["new may not know domain"]);
    }
}
