//! The judge accepts nothing that serde_json refuses, and reads the same method, id and name.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tollgate_mcp::json::{Body, Limits, Message, Span, elements, find_path, judge};

fuzz_target!(|body: &[u8]| {
    let whole = Span::new(0, body.len());
    let _found = (find_path(body, whole, &["params", "name"]), elements(body, whole));
    let limits = Limits { batch_max: 4, items_max: 500, ..Limits::default() };
    let Ok(judged) = judge(body, &limits) else { return };
    let value: Value = match serde_json::from_slice(body) {
        Ok(value) => value,
        // serde_json refuses numbers beyond its range, which we forward as text.
        Err(error) if error.to_string().contains("number out of range") => return,
        Err(error) => panic!("serde refuses what the judge accepts: {error}"),
    };
    match judged {
        Body::One(message) => same(body, &message, &value),
        Body::Batch(messages) => {
            let values = value.as_array().expect("a batch is an array");
            assert_eq!(messages.len(), values.len());
            messages.iter().zip(values).for_each(|(message, value)| same(body, message, value));
        }
    }
});

fn same(body: &[u8], message: &Message, value: &Value) {
    let method = message.method.map(|text| text.decode(body).into_owned());
    assert_eq!(method.as_deref(), value.get("method").and_then(Value::as_str));
    let id = message.id.map(|span| serde_json::from_slice::<Value>(span.of(body)).expect("an id"));
    assert_eq!(id.as_ref(), value.get("id"));
    let name = message.fields.name.map(|text| text.decode(body).into_owned());
    assert_eq!(name.as_deref(), value.pointer("/params/name").and_then(Value::as_str));
    let params =
        message.params.map(|span| find_path(body, message.span, &["params"]) == Some(span));
    assert_ne!(params, Some(false));
}
