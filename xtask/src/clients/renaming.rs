//! What the gate renames on a route with several members, taken back: so that what a client saw
//! through the aggregate can be held against what it saw directly.
//!
//! Names and URIs are taken back only where the protocol has them: text and structured content of
//! the tools' own must come unchanged.
//!
//! Next: `aggregate.rs` (what is compared).

use serde_json::{Value, json};

/// The lists of a client, and the member in each by which items are told apart.
pub(crate) const LISTS: [(&str, &str); 4] = [
    ("tools", "name"),
    ("resources", "uri"),
    ("resourceTemplates", "uriTemplate"),
    ("prompts", "name"),
];

/// Splits a merged list by member: each one's part with its own names, in order.
///
/// # Errors
/// An item of nobody, or members out of order.
pub(crate) fn split(
    list: &Value,
    (kind, key): (&str, &str),
    members: &[&str],
) -> Result<Vec<Value>, String> {
    let mut parts: Vec<Vec<Value>> = members.iter().map(|_| Vec::new()).collect();
    let mut last = 0;
    for item in list.as_array().into_iter().flatten() {
        let shown = item[key].as_str().unwrap_or_default();
        let found = members.iter().enumerate().find_map(|(at, member)| {
            let prefix = prefix(kind, member);
            shown.strip_prefix(&prefix).map(|own| (at, own.to_owned()))
        });
        let Some((at, own)) = found else {
            return Err(format!("`{shown}` belongs to no member"));
        };
        if at < last {
            let before = members[last];
            return Err(format!(
                "`{shown}` comes after what is {before}'s: not the order of the file"
            ));
        }
        last = at;
        let mut item = item.clone();
        item[key] = own.into();
        parts[at].push(item);
    }
    Ok(parts.into_iter().map(Value::from).collect())
}

fn prefix(kind: &str, member: &str) -> String {
    match kind {
        "tools" | "prompts" => format!("{member}__"),
        _ => format!("tollgate+{member}:"),
    }
}

/// Takes back the URIs of one member, wherever the protocol has them.
pub(crate) fn taken_back(seen: &Value, member: &str) -> Value {
    let prefix = format!("tollgate+{member}:");
    match seen {
        Value::Object(members) => members
            .iter()
            .map(|(key, value)| {
                let value = match (key.as_str(), value) {
                    ("structuredContent" | "text", own) => own.clone(),
                    ("uri" | "uriTemplate", Value::String(uri)) => {
                        json!(uri.strip_prefix(&prefix).unwrap_or(uri))
                    }
                    ("updates", Value::Array(uris)) => uris
                        .iter()
                        .map(|uri| match uri.as_str().and_then(|uri| uri.strip_prefix(&prefix)) {
                            Some(uri) => json!(uri),
                            None => uri.clone(),
                        })
                        .collect(),
                    (_, value) => taken_back(value, member),
                };
                (key.clone(), value)
            })
            .collect(),
        Value::Array(items) => items.iter().map(|item| taken_back(item, member)).collect(),
        other => other.clone(),
    }
}

/// Takes out what may differ between two runs: who answered, and the day.
pub(crate) fn settled(seen: &Value) -> Value {
    match seen {
        Value::Object(members) => members
            .iter()
            .filter(|(key, _)| *key != "io.modelcontextprotocol/serverInfo")
            .map(|(key, value)| (key.clone(), settled(value)))
            .filter(|(key, value)| key != "_meta" || *value != json!({}))
            .collect(),
        Value::Array(items) => items.iter().map(settled).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merged_list_is_split_in_the_order_of_the_file() {
        let list = json!([{"name": "a__x"}, {"name": "a__b__y"}, {"name": "b__z"}]);
        let parts = split(&list, ("tools", "name"), &["a", "b"]);
        assert_eq!(
            parts,
            Ok(vec![json!([{"name": "x"}, {"name": "b__y"}]), json!([{"name": "z"}])])
        );
        assert!(split(&list, ("tools", "name"), &["b", "a"]).is_err());
        assert!(split(&list, ("tools", "name"), &["a"]).is_err());
    }

    #[test]
    fn uris_are_taken_back_only_where_the_protocol_has_them() {
        let seen = json!({
            "content": [{"type": "resource_link", "uri": "tollgate+a:x://1"}],
            "structuredContent": {"uri": "tollgate+a:x://1"},
            "updates": ["tollgate+a:x://1"]
        });
        let wanted = json!({
            "content": [{"type": "resource_link", "uri": "x://1"}],
            "structuredContent": {"uri": "tollgate+a:x://1"},
            "updates": ["x://1"]
        });
        assert_eq!(taken_back(&seen, "a"), wanted);
    }

    #[test]
    fn who_answered_is_no_difference() {
        let seen = json!({"_meta": {"io.modelcontextprotocol/serverInfo": {"name": "x"}}, "a": 1});
        assert_eq!(settled(&seen), json!({"a": 1}));
    }
}
