//! Header values read back as they were written, and nothing in them panics.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tollgate_mcp::headers::{
    annotations, decode_value, encode_value, params_equal, remove_elements,
};
use tollgate_mcp::json::Span;

fuzz_target!(|input: (Vec<u8>, Vec<u8>)| {
    let (value, token) = input;
    if let Ok(text) = std::str::from_utf8(&value) {
        let encoded = encode_value(text);
        assert_eq!(decode_value(encoded.as_bytes()).as_deref(), Ok(text));
        let _equal = params_equal(text, &token);
        let json = serde_json::to_vec(text).expect("json");
        assert!(params_equal(text, &json));
    }
    if let Ok(decoded) = decode_value(&value) {
        let again = encode_value(&decoded);
        assert_eq!(decode_value(again.as_bytes()).as_deref(), Ok(decoded.as_ref()));
    }
    let message = Bytes::from(token);
    let result = Span::new(0, message.len());
    if let Ok(tools) = annotations(&message, result) {
        let spans: Vec<Span> = tools.iter().map(|tool| tool.span).collect();
        let left = remove_elements(&message, result, &spans);
        let result = Span::new(0, left.len());
        assert!(annotations(&left, result).is_ok_and(|tools| tools.is_empty()));
    }
});
