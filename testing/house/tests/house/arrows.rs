//! Which crate may depend on which. The table below is the architecture; the build files must agree with it.
//! Dependencies of tests and benches are free.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;
use windrow_house::tree;

/// For each crate, the crates of this workspace that it may depend on.
const ARROWS: [(&str, &[&str]); 13] = [
    ("windrow-common", &[]),
    ("windrow-control", &["windrow-common"]),
    ("windrow-proto", &["windrow-common"]),
    ("windrow-engine", &["windrow-common", "windrow-proto"]),
    ("windrow-coordinator", &["windrow-common", "windrow-control", "windrow-engine", "windrow-proto"]),
    ("windrow-worker", &["windrow-common", "windrow-control", "windrow-engine", "windrow-proto"]),
    ("windrow-gateway", &["windrow-common", "windrow-coordinator", "windrow-engine", "windrow-proto"]),
    ("windrow", &["windrow-common", "windrow-coordinator", "windrow-engine", "windrow-proto", "windrow-worker"]),
    ("windrow-tpch", &["windrow-common"]),
    (
        "windrow-cli",
        &["windrow", "windrow-common", "windrow-coordinator", "windrow-gateway", "windrow-tpch", "windrow-worker"],
    ),
    ("windrow-house", &[]),
    ("windrow-stores-testing", &[]),
    // The cluster harness, the simulator and the laws may see everything but the command line.
    (
        "windrow-testing",
        &[
            "windrow",
            "windrow-common",
            "windrow-control",
            "windrow-coordinator",
            "windrow-engine",
            "windrow-gateway",
            "windrow-proto",
            "windrow-tpch",
            "windrow-worker",
        ],
    ),
];

/// Crates that need nothing from outside: the pure ones. What is listed here may be used by them all the same.
const PURE: [(&str, &[&str]); 2] = [("windrow-common", &[]), ("windrow-control", &[])];

/// Outside crates, by their first word, that only some of ours may use.
const RESERVED: [(&str, &[&str]); 3] = [
    // The gateway speaks a protocol of others, whose messages come from their own library.
    ("prost", &["windrow-proto", "windrow-engine", "windrow-gateway"]),
    // The worker polls plans and owns the memory pool under them; it makes and rewrites none.
    ("datafusion", &["windrow-engine", "windrow-tpch", "windrow-worker"]),
    ("redb", &["windrow-coordinator"]),
];

/// Crates that may use everything and that nothing may use: they hold only tests, benches and examples.
const LEAVES: [&str; 3] = ["windrow-benches", "windrow-examples", "windrow-suite"];

/// The normal and build dependencies of every crate of the workspace, as the build files say.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--manifest-path"])
        .arg(tree::root().join("Cargo.toml"))
        .output()
        .expect("cargo metadata runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    list(&metadata["packages"])
        .iter()
        .map(|package| {
            let kept = list(&package["dependencies"]).into_iter().filter(|d| d["kind"] != "dev");
            (text(&package["name"]), kept.map(|d| text(&d["name"])).collect())
        })
        .collect()
}

#[test]
fn arrows_point_one_way() {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.into_iter().collect();
    let all = dependencies();
    for (name, dependencies) in &all {
        if LEAVES.contains(&name.as_str()) {
            continue;
        }
        let Some(allowed) = allowed.get(name.as_str()) else {
            panic!("{name} is new: say in ARROWS what it may depend on, and in ARCHITECTURE.md what it is")
        };
        for dependency in dependencies.iter().filter(|dependency| all.contains_key(*dependency)) {
            assert!(allowed.contains(&dependency.as_str()), "{name} must not depend on {dependency}");
        }
    }
}

#[test]
fn the_pure_crates_use_nothing_from_outside() {
    let all = dependencies();
    for (name, allowed) in PURE {
        for dependency in &all[name] {
            let known = all.contains_key(dependency) || allowed.contains(&dependency.as_str());
            assert!(known, "{name} is pure and must not depend on {dependency}");
        }
    }
}

#[test]
fn reserved_crates_stay_where_they_belong() {
    for (name, dependencies) in dependencies() {
        for (reserved, users) in RESERVED {
            let family = format!("{reserved}-");
            let uses = dependencies.iter().find(|d| d.as_str() == reserved || d.starts_with(&family));
            let allowed = users.contains(&name.as_str()) || LEAVES.contains(&name.as_str());
            assert!(uses.is_none() || allowed, "{name} must not depend on {uses:?}; it belongs to {users:?}");
        }
    }
}
