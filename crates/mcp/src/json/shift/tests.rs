//! A message with one value replaced is the message that judging the new body would find.

use crate::json::{Body, Limits, Message, judge, replace};
use bytes::Bytes;

fn one(body: &[u8]) -> Message {
    match judge(body, &Limits::default()).expect("a good body") {
        Body::One(message) => *message,
        Body::Batch(_) => panic!("one message"),
    }
}

/// Everything known of a message, with the `escaped` of texts left out: it may be cautious.
fn known(body: &[u8], message: &Message) -> Vec<String> {
    let fields = &message.fields;
    let text = |text: Option<crate::json::Text>| text.map(|text| text.span);
    let spans = [
        Some(message.span),
        message.id,
        text(message.method),
        message.params,
        text(fields.name),
        text(fields.uri),
        text(fields.cursor),
        fields.arguments,
        fields.reference,
        fields.meta.map(|meta| meta.span),
        fields.meta.and_then(|meta| meta.progress_token),
        fields.meta.and_then(|meta| meta.client_capabilities),
    ];
    let shown = |span: Option<crate::json::Span>| match span {
        Some(span) => String::from_utf8_lossy(span.of(body)).into_owned(),
        None => "-".to_owned(),
    };
    spans.map(shown).into()
}

#[test]
fn replacing_any_value_gives_what_judging_again_would_find() {
    let body = Bytes::from_static(
        br#"{ "params":{"_meta":{"progressToken":"t","io.modelcontextprotocol/clientCapabilities":{}}, "name" : "github__get","arguments":{"a":[1,2]}},"jsonrpc":"2.0","id":7, "method":"tools/call"}"#,
    );
    let message = one(&body);
    for text in [r#""get""#, r#""a much longer name than it was \u0022 before""#, r#""""#] {
        let values = [message.fields.name.map(|name| name.span), message.id];
        for value in values.into_iter().flatten() {
            let (moved_body, moved) = replace(&body, &message, value, text.as_bytes());
            assert_eq!(known(&moved_body, &moved), known(&moved_body, &one(&moved_body)), "{text}");
        }
    }
}

#[test]
fn a_value_inside_another_makes_that_one_grow() {
    let body = Bytes::from_static(
        br#"{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"a__b"},"argument":{"name":"x","value":""}}}"#,
    );
    let message = one(&body);
    let reference = message.fields.reference.expect("a reference");
    let name = crate::json::find_path(&body, reference, &["name"]).expect("its name");
    let (moved_body, moved) = replace(&body, &message, name, br#""b""#);
    assert_eq!(known(&moved_body, &moved), known(&moved_body, &one(&moved_body)));
    let reference = moved.fields.reference.expect("a reference");
    assert_eq!(reference.of(&moved_body), br#"{"type":"ref/prompt","name":"b"}"#);
}
