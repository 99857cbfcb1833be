//! What a person types as arguments, read by the types in a tool's schema.
//!
//! Only what decides how a word is read is looked at: `type`, and the types of alternatives. The server
//! judges the rest, and its words are shown.

use crate::cli::CallArgs;
use crate::screen::on_one_line;
use serde_json::{Map, Value};

/// Why arguments cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArgumentError {
    #[error("`--arg {0}` has no `=`: write `--arg name=value`")]
    NoValue(String),
    #[error("`--args` takes one JSON object, as in `--args '{{\"by\": 2}}'`: {0}")]
    NotObject(String),
    #[error("the tool has no argument `{name}`; it has: {known}")]
    Unknown { name: String, known: String },
    #[error("`{name}` takes {wanted}, which `{value}` is not")]
    Kind { name: String, wanted: String, value: String },
    #[error("the tool needs: {0}")]
    Missing(String),
}

/// The arguments of a call.
pub(super) fn read(call: &CallArgs, schema: &Value) -> Result<Value, ArgumentError> {
    let mut arguments = match &call.args {
        None => Map::new(),
        Some(text) => match serde_json::from_str(text) {
            Ok(Value::Object(object)) => object,
            Ok(_) => {
                return Err(ArgumentError::NotObject("this is another kind of value".to_owned()));
            }
            Err(error) => return Err(ArgumentError::NotObject(error.to_string())),
        },
    };
    for typed in &call.arg {
        let (name, value) =
            typed.split_once('=').ok_or_else(|| ArgumentError::NoValue(typed.clone()))?;
        let property = &schema["properties"][name];
        if property.is_null() && schema["additionalProperties"] == false {
            let known = names(&schema["properties"]);
            return Err(ArgumentError::Unknown { name: name.to_owned(), known });
        }
        add(&mut arguments, name, value, property)?;
    }
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let missing: Vec<String> = required
        .filter(|name| !arguments.contains_key(*name))
        .map(|name| described(name, &schema["properties"][name]))
        .collect();
    if !missing.is_empty() {
        return Err(ArgumentError::Missing(missing.join(", ")));
    }
    Ok(Value::Object(arguments))
}

/// Adds one word. An array can be typed item by item.
fn add(
    arguments: &mut Map<String, Value>,
    name: &str,
    value: &str,
    property: &Value,
) -> Result<(), ArgumentError> {
    let kinds = kinds(property);
    if kinds == ["array"] && !value.trim_start().starts_with('[') {
        let item = word(name, value, &property["items"])?;
        if let Value::Array(items) =
            arguments.entry(name).or_insert_with(|| Value::Array(Vec::new()))
        {
            items.push(item);
        }
        return Ok(());
    }
    let read = word(name, value, property)?;
    arguments.insert(name.to_owned(), read);
    Ok(())
}

fn word(name: &str, text: &str, schema: &Value) -> Result<Value, ArgumentError> {
    let kinds = kinds(schema);
    if kinds.is_empty() {
        return Ok(Value::String(text.to_owned()));
    }
    let parsed = serde_json::from_str::<Value>(text).ok();
    let fits = |kind: &str| match (kind, &parsed) {
        ("integer", Some(Value::Number(n))) => n.is_i64() || n.is_u64(),
        ("number", Some(Value::Number(_)))
        | ("boolean", Some(Value::Bool(_)))
        | ("null", Some(Value::Null))
        | ("array", Some(Value::Array(_)))
        | ("object", Some(Value::Object(_))) => true,
        _ => false,
    };
    if kinds.iter().any(|kind| fits(kind)) {
        return Ok(parsed.unwrap_or_default());
    }
    if kinds.contains(&"string") {
        return Ok(Value::String(text.to_owned()));
    }
    Err(ArgumentError::Kind {
        name: name.to_owned(),
        wanted: wanted(&kinds),
        value: on_one_line(text, 100),
    })
}

/// The types that a schema allows, its alternatives included; empty where it says none.
fn kinds(schema: &Value) -> Vec<&str> {
    let own = match &schema["type"] {
        Value::String(kind) => vec![kind.as_str()],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let mut all = own;
    for key in ["anyOf", "oneOf"] {
        for form in schema[key].as_array().into_iter().flatten() {
            match &form["type"] {
                Value::String(kind) => all.push(kind),
                Value::Array(kinds) => all.extend(kinds.iter().filter_map(Value::as_str)),
                _ => {}
            }
        }
    }
    all
}

fn wanted(kinds: &[&str]) -> String {
    let one = |kind: &&str| match *kind {
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "`true` or `false`",
        "array" => "a JSON array",
        "object" => "a JSON object",
        "null" => "`null`",
        _ => "text",
    };
    kinds.iter().map(one).collect::<Vec<_>>().join(" or ")
}

fn names(properties: &Value) -> String {
    let names: Vec<String> = properties
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, schema)| described(name, schema))
        .collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn described(name: &str, schema: &Value) -> String {
    let kinds = kinds(schema);
    let name = on_one_line(name, 100);
    if kinds.is_empty() { format!("`{name}`") } else { format!("`{name}` ({})", wanted(&kinds)) }
}

#[cfg(test)]
mod tests {
    use super::read;
    use crate::cli::CallArgs;
    use serde_json::{Value, json};

    fn call(args: &[&str], json: Option<&str>) -> CallArgs {
        CallArgs {
            name: "x".to_owned(),
            arg: args.iter().map(|arg| (*arg).to_owned()).collect(),
            args: json.map(str::to_owned),
        }
    }

    fn schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "n": { "type": "integer" },
                "ok": { "type": "boolean" },
                "text": { "type": "string" },
                "tags": { "type": "array", "items": { "type": "integer" } },
                "more": { "type": "object" },
                "any": {},
                "maybe": { "anyOf": [{ "type": "number" }, { "type": "null" }] },
            },
            "required": ["n"],
            "additionalProperties": false,
        })
    }

    #[test]
    fn words_are_read_by_their_types() {
        let typed = [
            "n=2",
            "ok=true",
            "text=3",
            "tags=1",
            "tags=2",
            "more={\"a\":1}",
            "any=1",
            "maybe=null",
        ];
        let read = read(&call(&typed, None), &schema()).expect("arguments");
        let expected = json!({
            "n": 2, "ok": true, "text": "3", "tags": [1, 2], "more": { "a": 1 }, "any": "1", "maybe": null,
        });
        assert_eq!(read, expected);
    }

    #[test]
    fn typed_words_add_to_json_and_win() {
        let read = read(&call(&["n=3", "text=a=b"], Some("{\"n\": 1, \"ok\": false}")), &schema());
        assert_eq!(read.expect("arguments"), json!({ "n": 3, "ok": false, "text": "a=b" }));
    }

    #[test]
    fn what_does_not_fit_is_refused_in_words() {
        for (args, json, words) in [
            (&["n=two"][..], None, "`n` takes a whole number, which `two` is not"),
            (&["n=1", "x=1"], None, "the tool has no argument `x`; it has: `n` (a whole number)"),
            (&["n"], None, "has no `=`"),
            (&[], Some("[1]"), "one JSON object"),
            (&["text=a"], None, "the tool needs: `n` (a whole number)"),
            (&["n=1", "tags=x"], None, "`tags` takes a whole number"),
        ] {
            let error = read(&call(args, json), &schema()).expect_err(words).to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
