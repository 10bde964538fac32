//! The shape of the repository, as a test.

#![forbid(unsafe_code)]

use std::fs::read_to_string;

use xtask::{files, shape, top};

#[test]
fn edges_of_the_crate_graph_point_one_way() {
    assert_eq!(shape::violations(&shape::manifests(&top())), Vec::<String>::new());
}

#[test]
fn the_top_level_is_fixed() {
    let known = [
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE",
        "README.md",
        "benches",
        "deploy",
        "docs",
        "proto",
        "rust-toolchain.toml",
        "schemas",
        "services",
        "target",
    ];
    let entries = std::fs::read_dir(top()).expect("the top of the checkout");
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name in UTF-8"));
    let strangers: Vec<String> =
        names.filter(|name| !name.starts_with('.') && !known.contains(&name.as_str())).collect();
    assert_eq!(strangers, Vec::<String>::new());
}

/// The drain before a commit needs a few lines of librdkafka; they live in one file.
const UNSAFE: &str = "services/libs/log-kafka/";

#[test]
fn unsafe_code_is_forbidden_but_in_one_module() {
    for path in files(&top().join("services"), ".rs") {
        let name = path.strip_prefix(top()).expect("a path below the top").to_string_lossy().into_owned();
        let is_root = ["src/lib.rs", "src/main.rs"].iter().any(|root| name.ends_with(root));
        if is_root && !name.starts_with(UNSAFE) {
            let text = read_to_string(&path).expect("a readable source");
            assert!(text.contains("#![forbid(unsafe_code)]"), "{name} does not forbid unsafe code");
        }
    }
}

#[test]
fn nothing_is_left_to_do_without_an_issue() {
    let words = ["TO", "DO"].concat();
    for path in files(&top().join("services"), ".rs") {
        let text = read_to_string(&path).expect("a readable source");
        assert!(!text.contains(&words), "{} leaves something to do", path.display());
    }
}
