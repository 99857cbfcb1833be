//! Judges JSON by the protocol's published schemas, as far as those of results need it.
//!
//! The schemas live beside the repository (`shared/schema`); `TOLLGATE_MCP_SCHEMA` names another
//! place. Their absence is a failure, not a pass.

use serde_json::Value;
use std::path::PathBuf;

/// The schema of one revision.
pub(crate) struct Schema(Value);

impl Schema {
    /// Reads the schema of a revision.
    pub(crate) fn of(revision: &str) -> Self {
        let folder = std::env::var_os("TOLLGATE_MCP_SCHEMA").map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/schema")),
            PathBuf::from,
        );
        let file = folder.join(format!("{revision}.json"));
        let text = std::fs::read(&file).unwrap_or_else(|error| {
            panic!("no schema at {} ({error}); set TOLLGATE_MCP_SCHEMA", file.display())
        });
        Self(serde_json::from_slice(&text).expect("a schema"))
    }

    /// Panics unless `json` is a valid `definition`.
    pub(crate) fn check(&self, definition: &str, json: &[u8]) {
        let value = serde_json::from_slice(json).expect("json");
        if let Err(fault) = self.judge(self.definition(definition), &value) {
            panic!("{fault}: {value}");
        }
    }

    /// Whether `json` is a valid `definition`.
    pub(crate) fn accepts(&self, definition: &str, json: &[u8]) -> bool {
        let value = serde_json::from_slice(json).expect("json");
        self.judge(self.definition(definition), &value).is_ok()
    }

    fn definition(&self, name: &str) -> &Value {
        let found = ["definitions", "$defs"].iter().find_map(|part| self.0.get(part)?.get(name));
        found.unwrap_or_else(|| panic!("no definition of {name}"))
    }

    fn judge(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let Some(rules) = schema.as_object() else { return Ok(()) };
        for (rule, wanted) in rules {
            let is_kept = match rule.as_str() {
                "$ref" => {
                    let name = wanted.as_str().and_then(|path| path.rsplit('/').next());
                    self.judge(self.definition(name.expect("a path")), value)?;
                    true
                }
                "type" => list(wanted).any(|kind| is_of(value, kind)),
                "const" => value == wanted,
                "enum" => list(wanted).any(|one| value == one),
                "minimum" => value.as_f64() >= wanted.as_f64(),
                "anyOf" => list(wanted).any(|one| self.judge(one, value).is_ok()),
                "allOf" => list(wanted).all(|one| self.judge(one, value).is_ok()),
                "required" => {
                    list(wanted).all(|key| value.get(key.as_str().expect("key")).is_some())
                }
                "items" => {
                    value
                        .as_array()
                        .into_iter()
                        .flatten()
                        .try_for_each(|v| self.judge(wanted, v))?;
                    true
                }
                "properties" | "additionalProperties" => {
                    self.members(rules, value)?;
                    true
                }
                "description" | "format" | "default" | "maximum" => true,
                other => panic!("the schema has a rule that this test does not know: {other}"),
            };
            if !is_kept {
                return Err(format!("{rule} {wanted} is not kept by {value}"));
            }
        }
        Ok(())
    }

    fn members(&self, rules: &serde_json::Map<String, Value>, value: &Value) -> Result<(), String> {
        let others = rules.get("additionalProperties");
        for (key, member) in value.as_object().into_iter().flatten() {
            match rules.get("properties").and_then(|known| known.get(key)).or(others) {
                Some(Value::Bool(false)) => return Err(format!("{key} is not allowed")),
                Some(schema) => self.judge(schema, member)?,
                None => {}
            }
        }
        Ok(())
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    match value {
        Value::Array(all) => all.as_slice(),
        one => std::slice::from_ref(one),
    }
    .iter()
}

fn is_of(value: &Value, kind: &Value) -> bool {
    match kind.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("null") => value.is_null(),
        _ => panic!("no such type: {kind}"),
    }
}

#[test]
fn schema_refuses_what_lacks_a_member_or_has_another_type() {
    let schema = Schema::of("2026-07-28");
    let whole = r#"{"tools":[],"resultType":"complete","ttlMs":0,"cacheScope":"private"}"#;
    assert!(schema.accepts("ListToolsResult", whole.as_bytes()));
    for (from, to) in [
        (r#""ttlMs":0,"#, ""),
        ("\"private\"", "\"mine\""),
        ("[]", "[{\"name\":1,\"inputSchema\":{\"type\":\"object\"}}]"),
        (":0", ":-1"),
    ] {
        let other = whole.replace(from, to);
        assert!(!schema.accepts("ListToolsResult", other.as_bytes()), "{other}");
    }
}
