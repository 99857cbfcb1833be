//! The reference, the published schema and the examples say what the binary does.
//!
//! `UPDATE=1 cargo test -p tollgate config_reference` writes `docs/tollgate.schema.json` and the generated
//! part of `docs/configuration.md` anew.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Ends the hand-written introduction of the reference.
const GENERATED: &str =
    "<!-- generated from the schema: UPDATE=1 cargo test -p tollgate config_reference -->\n";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn schema_text() -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tollgate")).arg("schema").output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

fn schema() -> Value {
    serde_json::from_str(&schema_text()).unwrap()
}

fn updating() -> bool {
    std::env::var_os("UPDATE").is_some()
}

/// One key of the file, for the reference.
struct Entry {
    path: String,
    kind: String,
    default: String,
    description: String,
}

/// Walks the schema in the order of the file.
fn entries(schema: &Value, path: &str, found: &mut Vec<Entry>) {
    for (key, value) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let required =
            schema["required"].as_array().is_some_and(|keys| keys.iter().any(|k| k == key));
        let default = match &value["default"] {
            Value::Null if required => "required".to_owned(),
            Value::Null => "-".to_owned(),
            default => {
                format!("`{}`", default.as_str().map_or_else(|| default.to_string(), str::to_owned))
            }
        };
        let description = value["description"].as_str().unwrap_or_default();
        assert!(!description.is_empty(), "`{path}` has no description");
        let description =
            description.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
        found.push(Entry { path: path.clone(), kind: kind(value), default, description });
        let section = value["anyOf"]
            .as_array()
            .and_then(|forms| forms.iter().find(|form| form["type"] == "object"));
        entries(section.unwrap_or(value), &path, found);
        entries(&value["items"], &format!("{path}[]"), found);
        if value["additionalProperties"].is_object() {
            entries(&value["additionalProperties"], &format!("{path}.<name>"), found);
        }
    }
}

fn kind(value: &Value) -> String {
    let pattern = value["pattern"].as_str().unwrap_or_default();
    if let Some(words) = value["enum"].as_array() {
        return words
            .iter()
            .map(|word| format!("`{}`", word.as_str().unwrap()))
            .collect::<Vec<_>>()
            .join(", ");
    }
    if let Some(word) = value["const"].as_str() {
        return format!("`{word}`");
    }
    let forms = value["anyOf"].as_array();
    if let Some(word) = forms.and_then(|forms| forms.iter().find(|form| !form["enum"].is_null())) {
        return format!("{} or section", kind(word));
    }
    if forms.is_some_and(|forms| forms.iter().any(|form| form["type"] == "array")) {
        return "one or several".to_owned();
    }
    match (value["type"].as_str(), forms.is_some()) {
        (_, true) => "section or `off`".to_owned(),
        (Some("array"), _) if value["items"]["type"] == "object" => "list of sections".to_owned(),
        (Some("array"), _) => format!("list of {}", kind(&value["items"])),
        (Some("object"), _) if value["additionalProperties"].is_object() => "names".to_owned(),
        (Some("object"), _) => "section".to_owned(),
        (Some("string"), _) if pattern.contains("(ms|s") => "duration".to_owned(),
        (Some("string"), _) if pattern.contains("KiB") => "size".to_owned(),
        (Some("string"), _) if value["format"] == "uri" => "URL".to_owned(),
        (Some("string"), _) => "text".to_owned(),
        (Some("boolean"), _) => "`true`, `false`".to_owned(),
        _ => "number".to_owned(),
    }
}

fn reference() -> String {
    let mut found = Vec::new();
    entries(&schema(), "", &mut found);
    let mut text = GENERATED.to_owned();
    for entry in &found {
        if !entry.path.contains('.') {
            let Entry { path, description, .. } = entry;
            writeln!(text, "\n## `{path}`\n\n{description}").unwrap();
            if found.iter().any(|other| other.path.starts_with(&format!("{path}."))) {
                text.push_str("\n| Key | Value | Default | Meaning |\n|---|---|---|---|\n");
            }
        } else {
            let Entry { path, kind, default, description } = entry;
            writeln!(text, "| `{path}` | {kind} | {default} | {description} |").unwrap();
        }
    }
    text
}

#[test]
fn config_reference_schema_file_is_current() {
    let file = root().join("docs/tollgate.schema.json");
    if updating() {
        std::fs::write(&file, schema_text()).unwrap();
    }
    assert_eq!(std::fs::read_to_string(file).unwrap(), schema_text());
}

#[test]
fn config_reference_lists_every_key_as_it_is() {
    let file = root().join("docs/configuration.md");
    let current = std::fs::read_to_string(&file).unwrap();
    let introduction = current.split(GENERATED).next().unwrap();
    let expected = format!("{introduction}{}", reference());
    if updating() {
        std::fs::write(&file, &expected).unwrap();
    } else {
        assert_eq!(current, expected);
    }
}

#[test]
fn config_reference_examples_pass_the_check() {
    let folder = tempfile::tempdir().unwrap();
    // What the examples refer to. The check looks at the kind of a PEM file, not at its content.
    let certificate = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";
    for name in ["tls.crt", "clients-ca.crt", "internal-ca.crt"] {
        std::fs::write(folder.path().join(name), certificate).unwrap();
    }
    std::fs::write(folder.path().join("tls.key"), "-----BEGIN PRIVATE KEY-----\n").unwrap();
    std::fs::write(
        folder.path().join("session.key"),
        "nzweC3pk0liM8QNL5pdaINFPg7nFbgp3Ev1IrDXpsG0=\n",
    )
    .unwrap();
    let mut checked = 0;
    for entry in std::fs::read_dir(root().join("examples")).unwrap() {
        let example = entry.unwrap().path();
        if example.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let copy = folder.path().join(example.file_name().unwrap());
        std::fs::copy(&example, &copy).unwrap();
        let mut check = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        check.args(["check", "--config"]).arg(&copy);
        let output =
            check.env("GITHUB_TOKEN", "t").env("INTROSPECTION_SECRET", "s").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        checked += 1;
    }
    assert!(checked >= 3, "only {checked} examples were found");
}
