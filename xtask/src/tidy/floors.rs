//! Who may depend on whom: floors are crates, and imports go down only.
//!
//! Read from `cargo metadata`, so that what is checked is what is built. Dependencies of tests may
//! go anywhere.

use crate::processes::captured;
use anyhow::bail;
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Each package of ours with those of ours it may use. The binary and the tools may use all.
const FLOORS: [(&str, &[&str]); 18] = [
    ("tollgate-core", &[]),
    ("tollgate-mcp", &["tollgate-core"]),
    ("tollgate-oauth", &["tollgate-core"]),
    ("tollgate-rules", &["tollgate-core"]),
    ("tollgate-policy", &["tollgate-core", "tollgate-rules"]),
    ("tollgate-limits", &["tollgate-core", "tollgate-rules"]),
    ("tollgate-usage", &["tollgate-core", "tollgate-rules"]),
    ("tollgate-backends", &["tollgate-core"]),
    ("tollgate-outbound", &["tollgate-core"]),
    ("tollgate-identity", &["tollgate-core", "tollgate-oauth", "tollgate-outbound"]),
    (
        "tollgate-gate",
        &[
            "tollgate-core",
            "tollgate-mcp",
            "tollgate-oauth",
            "tollgate-outbound",
            "tollgate-identity",
            "tollgate-rules",
            "tollgate-policy",
            "tollgate-limits",
            "tollgate-usage",
        ],
    ),
    ("tollgate-issuer", &["tollgate-core", "tollgate-oauth", "tollgate-outbound"]),
    ("tollgate-console", &["tollgate-core"]),
    ("tollgate-demo", &[]),
    ("everything", &[]),
    ("rmcp-client", &[]),
    ("bench-peers", &[]),
    ("testkit", &[]),
];
/// Packages that may use all others.
const TOPS: [&str; 2] = ["tollgate", "xtask"];
/// Packages without input and output.
const PURE: [&str; 6] = [
    "tollgate-core",
    "tollgate-mcp",
    "tollgate-oauth",
    "tollgate-rules",
    "tollgate-policy",
    "tollgate-limits",
];
/// What those must not use.
const IMPURE: [&str; 9] = [
    "tokio",
    "tokio-util",
    "hyper",
    "hyper-util",
    "axum",
    "socket2",
    "rustls",
    "tokio-rustls",
    "notify",
];

/// Checks the workspace.
pub(super) fn complaints(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root).args(["metadata", "--no-deps", "--format-version", "1"]);
    let told = captured(cargo, Duration::from_secs(120))?;
    if !told.status.success() {
        bail!("cargo metadata failed: {}", told.errors);
    }
    let metadata: Value = serde_json::from_str(&told.output)?;
    Ok(of(&metadata))
}

fn of(metadata: &Value) -> Vec<String> {
    let packages: Vec<&Value> = metadata["packages"].as_array().into_iter().flatten().collect();
    let named = |value: &Value| value["name"].as_str().unwrap_or("?").to_owned();
    let ours: Vec<String> = packages.iter().map(|package| named(package)).collect();
    let mut complaints = Vec::new();
    for package in packages {
        let name = named(package);
        if TOPS.contains(&name.as_str()) {
            continue;
        }
        let Some((_, allowed)) = FLOORS.iter().find(|(floor, _)| *floor == name) else {
            complaints.push(format!("package {name} has no floor in xtask/src/tidy/floors.rs"));
            continue;
        };
        let uses = package["dependencies"].as_array().into_iter().flatten();
        for dependency in uses.filter(|dependency| dependency["kind"] != "dev") {
            let used = named(dependency);
            if ours.contains(&used) && !allowed.contains(&used.as_str()) {
                complaints.push(format!("{name} must not depend on {used}: floors go down only"));
            }
            if PURE.contains(&name.as_str()) && IMPURE.contains(&used.as_str()) {
                complaints.push(format!("{name} must not depend on {used}: it does no I/O"));
            }
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn workspace(user: &str, used: &str, kind: &Value) -> Value {
        json!({"packages": [
            {"name": user, "dependencies": [{"name": used, "kind": kind}]},
            {"name": "tollgate-backends", "dependencies": []},
            {"name": "tollgate-core", "dependencies": []}
        ]})
    }

    #[test]
    fn an_import_upwards_is_a_complaint() {
        let metadata = workspace("tollgate-gate", "tollgate-backends", &Value::Null);
        assert_eq!(of(&metadata).len(), 1);
    }

    #[test]
    fn an_import_downwards_is_in_order() {
        let metadata = workspace("tollgate-gate", "tollgate-core", &Value::Null);
        assert!(of(&metadata).is_empty());
    }

    #[test]
    fn tests_may_use_what_the_package_may_not() {
        let metadata = workspace("tollgate-gate", "tollgate-backends", &json!("dev"));
        assert!(of(&metadata).is_empty());
    }

    #[test]
    fn a_pure_package_that_uses_a_runtime_is_a_complaint() {
        let metadata = workspace("tollgate-mcp", "tokio", &Value::Null);
        assert_eq!(of(&metadata).len(), 1);
    }

    #[test]
    fn a_package_without_a_floor_is_a_complaint() {
        let metadata = workspace("tollgate-attic", "serde", &Value::Null);
        assert_eq!(of(&metadata).len(), 1);
    }
}
