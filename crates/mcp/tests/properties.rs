//! What holds for every input: of the judge, the glance, the splitter and the headers.

use bytes::Bytes;
use futures_util::StreamExt as _;
use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate_mcp::headers::{decode_value, encode_value, params_equal};
use tollgate_mcp::json::{Body, Limits, Span, elements, find_path, judge, splice};
use tollgate_mcp::reply::{glance, glance_any};
use tollgate_mcp::sse::{Event, Splitter, SseFault, encode};

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        any::<String>().prop_map(Value::from),
        "[ -~]{0,100}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..24)
                .prop_map(|map| map.into_iter().collect::<Value>()),
        ]
    })
}

/// Text that is often nearly a message, so that properties reach beyond the first byte.
fn nearly_json() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "\\",
            " ",
            "\n",
            "0",
            "-1",
            "1e3",
            "true",
            "null",
            "\"jsonrpc\":\"2.0\"",
            "\"id\":1",
            "\"method\":\"tools/call\"",
            "\"params\":{",
            "\"name\":\"a\"",
            "\"_meta\":{",
            "\"result\":{}",
            "\"\\ud83d\\ude00\"",
            "\"\\ud83d\"",
            "\"arguments\":{}",
            "\"na\\u006de\":\"b\"",
            "\u{feff}",
            "\u{1}",
            "é",
        ])
        .prop_map(|piece| piece.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..3),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// A stream made of what matters to its grammar.
fn any_stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "\n",
        "\n\n",
        "\r",
        "\r\n",
        "data:",
        "data: x",
        "data",
        "id: 1",
        "id:\0",
        "event: e",
        "retry: 5",
        "retry:x",
        ": c",
        "foo: y",
        "\u{feff}",
        "é",
        ":",
        " ",
        "data:\u{2028}",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat().into_bytes())
}

fn events(
    chunks: impl Iterator<Item = Bytes>,
    event_bytes_max: usize,
) -> (Vec<Event>, Option<SseFault>) {
    let mut splitter = Splitter::new(event_bytes_max);
    let mut found = Vec::new();
    for chunk in chunks {
        splitter.push(chunk);
        loop {
            match splitter.next() {
                Ok(Some(event)) => found.push(event),
                Ok(None) => break,
                Err(fault) => return (found, Some(fault)),
            }
        }
    }
    (found, None)
}

/// The event without what depends on where chunks were cut: a line feed that follows an event
/// ended by CR belongs to it only if it came in the same chunk.
fn essence(event: &Event) -> (Option<Bytes>, Option<Bytes>, Option<Bytes>, Option<u64>, bool) {
    (event.data.clone(), event.event.clone(), event.id.clone(), event.retry_millis, event.is_plain)
}

proptest! {
    #[test]
    fn judged_call_has_the_spans_that_serde_reads(
        name in any::<String>(), id in any::<i64>(), arguments in any_json(), extra in any_json(),
    ) {
        let whole = json!({
            "extra": extra, "params": {"arguments": {"x": arguments}, "name": name},
            "method": "tools/call", "id": id, "jsonrpc": "2.0",
        });
        let body = whole.to_string();
        let judged = judge(body.as_bytes(), &Limits::default());
        let Ok(Body::One(message)) = judged else { panic!("{body} gave {judged:?}") };
        let read = |span: Span| serde_json::from_slice::<Value>(span.of(body.as_bytes())).ok();
        prop_assert_eq!(message.fields.name.map(|text| text.decode(body.as_bytes()).into_owned()), Some(name));
        prop_assert_eq!(message.id.and_then(read), Some(json!(id)));
        let params = message.params.map(|span| span.of(body.as_bytes()).to_vec());
        prop_assert_eq!(params, Some(whole["params"].to_string().into_bytes()));
        prop_assert_eq!(message.fields.arguments.map(|span| span.of(body.as_bytes()).to_vec()),
            Some(whole["params"]["arguments"].to_string().into_bytes()));
        let x = message.params.and_then(|span| find_path(body.as_bytes(), span, &["arguments", "x"]));
        prop_assert_eq!(x.map(|span| span.of(body.as_bytes()).to_vec()),
            Some(whole["params"]["arguments"]["x"].to_string().into_bytes()));
    }

    #[test]
    fn what_the_judge_accepts_serde_reads_the_same(body in nearly_json()) {
        let Ok(judged) = judge(&body, &Limits::default()) else { return Ok(()) };
        let whole: Value = serde_json::from_slice(&body).expect("serde accepts");
        let (messages, values) = match judged {
            Body::One(message) => (vec![*message], vec![whole]),
            Body::Batch(messages) => (messages, whole.as_array().cloned().unwrap_or_default()),
        };
        prop_assert_eq!(messages.len(), values.len());
        for (message, value) in messages.iter().zip(&values) {
            let method = message.method.map(|text| text.decode(&body).into_owned());
            prop_assert_eq!(method.as_deref(), value.get("method").and_then(Value::as_str));
            let id = message.id.map(|span| serde_json::from_slice::<Value>(span.of(&body)).expect("id"));
            prop_assert_eq!(id.as_ref(), value.get("id"));
            let name = message.fields.name.map(|text| text.decode(&body).into_owned());
            let wanted = value.pointer("/params/name").and_then(Value::as_str);
            prop_assert_eq!(name.as_deref(), wanted);
        }
    }

    #[test]
    fn cut_message_is_never_accepted(value in any_json(), cut in any::<prop::sample::Index>()) {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "m", "params": {"x": value}}).to_string();
        let cut = cut.index(body.len());
        prop_assert!(judge(&body.as_bytes()[..cut], &Limits::default()).is_err());
        prop_assert!(glance(&body.as_bytes()[..cut]).is_err());
    }

    #[test]
    fn nothing_panics_on_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300), nearly in nearly_json()) {
        for bytes in [&bytes, &nearly] {
            let whole = Span::new(0, bytes.len());
            let _judged = judge(bytes, &Limits::default()).is_ok();
            let _glanced = (glance(bytes).is_ok(), glance_any(bytes, 8).is_ok());
            let _found = (find_path(bytes, whole, &["params", "name"]), elements(bytes, whole));
            let _decoded = decode_value(bytes).is_ok();
            let _equal = params_equal("1", bytes);
        }
    }

    #[test]
    fn glance_agrees_with_the_judge_on_what_both_read(value in any_json(), id in any::<String>()) {
        let body = json!({"jsonrpc": "2.0", "id": id, "result": {"x": value}}).to_string();
        let seen = glance(body.as_bytes()).expect("glance");
        let Ok(Body::One(judged)) = judge(body.as_bytes(), &Limits::default()) else { panic!("{body}") };
        prop_assert_eq!((seen.id, seen.span), (judged.id, judged.span));
        let pretty = serde_json::to_string_pretty(&json!({"jsonrpc": "2.0", "id": id, "result": {"x": value}}));
        prop_assert!(glance(pretty.expect("pretty").as_bytes()).is_ok());
    }

    #[test]
    fn splice_changes_exactly_the_spans(body in "[a-z]{0,40}", cuts in prop::collection::btree_set(0_usize..41, 0..6), put in "[A-Z]{0,5}") {
        let cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut <= body.len()).collect();
        let spans: Vec<Span> = cuts.chunks_exact(2).map(|pair| Span::new(pair[0], pair[1])).collect();
        let edits: Vec<(Span, &[u8])> = spans.iter().rev().map(|span| (*span, put.as_bytes())).collect();
        let mut wanted = body.clone();
        for span in spans.iter().rev() {
            wanted.replace_range(span.range(), &put);
        }
        prop_assert_eq!(splice(&Bytes::from(body), &edits), Bytes::from(wanted));
    }

    #[test]
    fn any_chunking_gives_the_same_events(stream in any_stream(), cuts in prop::collection::vec(1_usize..9, 1..40)) {
        let whole = events(std::iter::once(Bytes::from(stream.clone())), 4096);
        let mut rest = Bytes::from(stream);
        let mut sizes = cuts.iter().cycle();
        let chunks = std::iter::from_fn(|| {
            let size = (*sizes.next()?).min(rest.len());
            (size > 0).then(|| rest.split_to(size))
        });
        let cut = events(chunks, 4096);
        prop_assert_eq!(whole.0.iter().map(essence).collect::<Vec<_>>(), cut.0.iter().map(essence).collect::<Vec<_>>());
        prop_assert_eq!(whole.1, cut.1);
    }

    #[test]
    fn length_bound_holds_under_any_chunking(length in 1_usize..200, max in 1_usize..200, size in 1_usize..50) {
        let stream = Bytes::from(format!("{}\n\n", ":".repeat(length)));
        let whole = events(std::iter::once(stream.clone()), max);
        let mut rest = stream.clone();
        let cut = events(std::iter::from_fn(|| {
            let size = size.min(rest.len());
            (size > 0).then(|| rest.split_to(size))
        }), max);
        let wanted = (stream.len() > max).then_some(SseFault::TooLong);
        prop_assert_eq!((whole.1, cut.1), (wanted, wanted));
    }

    #[test]
    fn written_event_is_read_back(data in "[^\r]{0,60}", id in "[a-z0-9]{0,8}") {
        let event = encode(Some("message"), Some(id.as_bytes()), None, data.as_bytes());
        let (found, fault) = events(std::iter::once(event.clone()), 4096);
        prop_assert_eq!(fault, None);
        prop_assert_eq!(found.len(), 1);
        prop_assert_eq!(found[0].data.as_deref(), Some(data.as_bytes()));
        prop_assert_eq!(found[0].id.as_deref(), Some(id.as_bytes()));
        prop_assert_eq!(&found[0].raw, &event);
        prop_assert_eq!(found[0].is_plain, !data.contains('\n'));
    }

    #[test]
    fn plain_event_written_anew_is_the_same_to_its_reader(stream in any_stream()) {
        for event in events(std::iter::once(Bytes::from(stream)), 4096).0 {
            let Some(data) = event.data.as_deref().filter(|_| event.is_plain) else { continue };
            let name = event.event.as_deref().map(|name| std::str::from_utf8(name).expect("utf-8"));
            let again = encode(name, event.id.as_deref(), None, data);
            let read = events(std::iter::once(again), 4096).0;
            prop_assert_eq!(essence(&read[0]), essence(&event));
        }
    }

    #[test]
    fn header_value_reads_back_as_it_was_written(value in any::<String>(), plain in "[ -~\t]{0,30}") {
        for value in [value, plain] {
            let encoded = encode_value(&value);
            prop_assert_eq!(decode_value(encoded.as_bytes()), Ok(value.into()));
        }
    }

    #[test]
    fn integers_equal_only_themselves(left in any::<i64>(), right in any::<i64>(), zeros in 0_usize..5) {
        let point = format!("{left}.{}", "0".repeat(zeros + 1));
        prop_assert!(params_equal(&point, left.to_string().as_bytes()));
        prop_assert_eq!(params_equal(&left.to_string(), right.to_string().as_bytes()), left == right);
    }
}

/// What another implementation makes of a stream: data, event and id of each event.
fn oracle(stream: &[u8]) -> Vec<(Option<String>, Option<String>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.unwrap_or_else(|error| panic!("{error}"));
    let chunk = Ok::<_, std::convert::Infallible>(Bytes::copy_from_slice(stream));
    let mut theirs = sse_stream::SseStream::from_bytes_stream(futures_util::stream::iter([chunk]));
    runtime.block_on(async {
        let mut found = Vec::new();
        while let Some(Ok(event)) = theirs.next().await {
            found.push((event.data, event.event));
        }
        found
    })
}

proptest! {
    #[test]
    fn events_are_those_that_another_implementation_finds(
        blocks in prop::collection::vec(("[a-z]{0,6}", prop::collection::vec("[ -9;-~]{0,12}", 1..4)), 1..5),
        ending in prop::sample::select(vec!["\n", "\r\n"]),
    ) {
        let stream: String = blocks.iter().map(|(name, lines)| {
            let data: String = lines.iter().map(|line| format!("data: {line}{ending}")).collect();
            format!("event: {name}{ending}{data}{ending}")
        }).collect();
        let text = |bytes: Option<Bytes>| bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let ours: Vec<_> = events(std::iter::once(Bytes::from(stream.clone())), 4096).0
            .into_iter().map(|event| (text(event.data), text(event.event))).collect();
        prop_assert_eq!(ours, oracle(stream.as_bytes()));
    }
}
