//! What the judge of request bodies accepts, records and refuses.

use tollgate_mcp::json::{Body, Fault, FaultKind, Kind, Limits, Message, Span, judge};

fn one(body: &str) -> Message {
    match judge(body.as_bytes(), &Limits::default()) {
        Ok(Body::One(message)) => *message,
        other => panic!("{body} gave {other:?}"),
    }
}

fn fault(body: impl AsRef<[u8]>) -> Fault {
    match judge(body.as_ref(), &Limits::default()) {
        Err(fault) => fault,
        Ok(judged) => {
            panic!("{} was accepted: {judged:?}", String::from_utf8_lossy(body.as_ref()))
        }
    }
}

fn call(params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{params}}}"#)
}

fn text(span: Option<Span>, body: &str) -> &str {
    span.map_or("", |span| &body[span.range()])
}

#[test]
fn ordinary_call_is_read_with_spans_into_the_body() {
    let body = call(
        r#"{"name":"add","arguments":{"a":1.0},"_meta":{"progressToken":"p","io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}"#,
    );
    let message = one(&body);
    let meta = message.fields.meta.expect("meta");
    assert_eq!(message.kind, Kind::Request);
    assert_eq!(text(message.id, &body), "7");
    assert_eq!(message.method.expect("method").decode(body.as_bytes()), "tools/call");
    assert_eq!(message.fields.name.expect("name").decode(body.as_bytes()), "add");
    assert_eq!(text(message.fields.arguments, &body), r#"{"a":1.0}"#);
    assert_eq!(text(meta.progress_token, &body), r#""p""#);
    assert_eq!(text(meta.client_capabilities, &body), "{}");
    assert!(meta.protocol_version.expect("version").is(body.as_bytes(), "2026-07-28"));
    assert_eq!(&body[message.span.range()], body);
}

#[test]
fn params_before_method_are_judged_by_the_method() {
    let body = r#"{"params":{"Name":"x"},"method":"tools/call","id":1,"jsonrpc":"2.0"}"#;
    let fault = fault(body);
    assert_eq!(fault.kind, FaultKind::LookAlike("name"));
    assert_eq!(text(fault.id, body), "1");
}

#[test]
fn every_kind_of_message_is_told_apart() {
    let kinds = [
        (r#"{"jsonrpc":"2.0","id":"a","method":"ping"}"#, Kind::Request),
        (r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, Kind::Notification),
        (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, Kind::Response),
        (r#" {"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no"}} "#, Kind::Response),
    ];
    for (body, kind) in kinds {
        assert_eq!(one(body).kind, kind, "{body}");
    }
    assert!(one(kinds[3].0).is_error_response);
}

#[test]
fn message_of_no_or_several_kinds_is_refused() {
    for body in [
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#,
        r#"{"jsonrpc":"2.0","result":{}}"#,
    ] {
        assert_eq!(fault(body).kind, FaultKind::Shape, "{body}");
    }
}

#[test]
fn wrong_json_types_in_the_envelope_are_refused() {
    let faults = [
        (r#"{"id":1,"method":"ping"}"#, FaultKind::Version),
        (r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#, FaultKind::Version),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, FaultKind::Version),
        (r#"{"jsonrpc":"2.0","id":1,"method":1}"#, FaultKind::Method),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#, FaultKind::Params),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":"x"}"#, FaultKind::Params),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":null}"#, FaultKind::Params),
        (r#"{"jsonrpc":"2.0","id":1,"result":1}"#, FaultKind::Outcome("result")),
        (r#"{"jsonrpc":"2.0","id":1,"error":"x"}"#, FaultKind::Outcome("error")),
        ("42", FaultKind::NotAnObject),
    ];
    for (body, kind) in faults {
        assert_eq!(fault(body).kind, kind, "{body}");
        assert_eq!(kind.code(), -32600);
    }
}

#[test]
fn id_is_a_string_or_an_integer_in_its_one_spelling() {
    for id in ["null", "true", "1.5", "1.0", "1e3", "-0", "{}", "[1]"] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        assert_eq!(fault(&body).kind, FaultKind::Id, "{id}");
    }
    for id in ["0", "-7", "9007199254740993", "123456789012345678901234567890", r#""1""#, r#""""#] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        assert_eq!(text(one(&body).id, &body), id);
    }
    let long = format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#, "x".repeat(511));
    assert_eq!(fault(long).kind, FaultKind::IdTooLong);
}

#[test]
fn duplicate_keys_are_refused_in_every_object() {
    for body in [
        call(r#"{"name":"safe","name":"evil"}"#),
        call(r#"{"name":"safe","n\u0061me":"evil"}"#),
        call(r#"{"name":"x","arguments":{"a":1,"a":2}}"#),
        call(r#"{"name":"x","arguments":{"d":[{"\u0061":1,"a":2}]}}"#),
        call(r#"{"name":"x","_meta":{"a":1,"a":1}}"#),
        r#"{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}"#.to_owned(),
        r#"{"jsonrpc":"2.0","jsonrpc":"2.0","id":1,"method":"a"}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{},"params":{}}"#.to_owned(),
    ] {
        assert_eq!(fault(&body).kind, FaultKind::DuplicateKey, "{body}");
    }
}

#[test]
fn two_ids_are_no_id_to_answer() {
    let fault = fault(r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"a"}"#);
    assert_eq!((fault.kind, fault.id), (FaultKind::DuplicateKey, None));
}

#[test]
fn same_key_in_different_objects_is_no_duplicate() {
    let wide: String = (0..40).map(|index| format!(r#""k{index}":{{"k0":{{"k1":1}}}},"#)).collect();
    one(&call(&format!(r#"{{"name":"x","arguments":{{{wide}"a":[{{"a":1}},{{"a":1}}]}}}}"#)));
}

#[test]
fn duplicate_among_many_keys_is_found() {
    for (first, second) in [(0, 39), (15, 16), (16, 17), (3, 20)] {
        let mut keys: Vec<String> =
            (0..40).map(|index| format!(r#""k{index}":{{"z":0}}"#)).collect();
        keys[second] = keys[first].clone();
        let body = call(&format!(r#"{{"name":"x","arguments":{{{}}}}}"#, keys.join(",")));
        assert_eq!(fault(&body).kind, FaultKind::DuplicateKey, "{first} {second}");
    }
}

#[test]
fn look_alikes_of_protocol_keys_are_refused() {
    let params = [
        r#"{"name":"a","Name":"b"}"#,
        r#"{"name":"a"," name":"b"}"#,
        r#"{"name":"a","name\u0000":"b"}"#,
        r#"{"name":"a","na\u200bme":"b"}"#,
        r#"{"name":"a","ｎａｍｅ":"b"}"#,
        r#"{"name":"a","argument\u017f":{}}"#,
        r#"{"name":"a","taskid":"b"}"#,
        r#"{"name":"a","tas\u212aId":"b"}"#,
        r#"{"name":"a","_META":{}}"#,
        r#"{"name":"a","_meta":{"progresstoken":1}}"#,
        r#"{"name":"a","_meta":{"io.modelcontextprotocol/ProtocolVersion":"1"}}"#,
    ];
    for body in params {
        assert!(matches!(fault(call(body)).kind, FaultKind::LookAlike(_)), "{body}");
    }
    for key in ["METHOD", "Id", "id ", "param\u{17f}", "re\u{200d}sult", "ｅｒｒｏｒ"] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","{key}":1}}"#);
        assert!(matches!(fault(&body).kind, FaultKind::LookAlike(_)), "{body}");
    }
}

#[test]
fn keys_of_arguments_and_of_vendor_methods_are_free() {
    one(&call(r#"{"name":"a","arguments":{"Name":1,"NAME":2,"name ":3,"__proto__":4}}"#));
    one(r#"{"jsonrpc":"2.0","id":1,"method":"vendor/do","params":{"Name":1,"name":["x"]}}"#);
}

#[test]
fn parameters_of_a_wrong_type_are_refused_where_the_method_defines_them() {
    let faults = [
        ("tools/call", r#"{"name":["evil"]}"#, "name"),
        ("tools/call", r#"{"name":{"toString":1}}"#, "name"),
        ("tools/call", r#"{"name":null}"#, "name"),
        ("tools/call", r#"{"name":"a","arguments":[]}"#, "arguments"),
        ("resources/read", r#"{"uri":1}"#, "uri"),
        ("tools/list", r#"{"cursor":1}"#, "cursor"),
        ("tasks/get", r#"{"taskId":1}"#, "taskId"),
        ("logging/setLevel", r#"{"level":1}"#, "level"),
        ("initialize", r#"{"protocolVersion":1}"#, "protocolVersion"),
        ("initialize", r#"{"capabilities":[]}"#, "capabilities"),
        ("completion/complete", r#"{"ref":"x"}"#, "ref"),
        ("notifications/cancelled", r#"{"requestId":1.5}"#, "requestId"),
        ("subscriptions/listen", r#"{"notifications":[]}"#, "notifications"),
        ("tools/call", r#"{"name":"a","_meta":[]}"#, "_meta"),
    ];
    for (method, params, name) in faults {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
        let fault = fault(&body);
        assert_eq!(fault.kind, FaultKind::ParamType(name), "{body}");
        assert_eq!(fault.kind.code(), -32602);
    }
}

#[test]
fn null_is_as_good_as_absent_for_optional_parameters() {
    let fields = one(&call(r#"{"name":"a","arguments":null,"_meta":null,"cursor":null}"#)).fields;
    assert!(fields.arguments.is_none() && fields.meta.is_none() && fields.cursor.is_none());
}

#[test]
fn meta_members_of_a_wrong_type_are_refused() {
    for member in [
        r#""io.modelcontextprotocol/protocolVersion":1"#,
        r#""io.modelcontextprotocol/clientCapabilities":null"#,
        r#""io.modelcontextprotocol/clientInfo":"x""#,
        r#""io.modelcontextprotocol/logLevel":{}"#,
        r#""io.modelcontextprotocol/subscriptionId":1.5"#,
        r#""progressToken":true"#,
    ] {
        let body = call(&format!(r#"{{"name":"a","_meta":{{{member}}}}}"#));
        assert!(fault(&body).kind.is_invalid_params(), "{body}");
    }
}

#[test]
fn lone_surrogates_are_refused_anywhere() {
    for string in
        [r"safe\ud800", r"\udc00\ud800", r"\ud800x", r"\ud800\n", r"\uDBFF\uDBFF", r"\uDFFF"]
    {
        for params in [
            format!(r#"{{"name":"{string}"}}"#),
            format!(r#"{{"name":"a","arguments":{{"{string}":1}}}}"#),
            format!(r#"{{"name":"a","skipped":["{string}"]}}"#),
        ] {
            let fault = fault(call(&params));
            assert_eq!((fault.kind, fault.kind.code()), (FaultKind::Surrogate, -32700), "{params}");
        }
    }
    assert_eq!(
        one(&call(r#"{"name":"\ud83d\ude00"}"#)).fields.name.map(|name| name.escaped),
        Some(true)
    );
}

#[test]
fn bytes_that_are_not_utf8_are_refused_even_in_skipped_values() {
    for bytes in [&b"\xff"[..], b"\xc1\xa1", b"\xed\xa0\x80", b"\xe2\x82"] {
        let mut body = br#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"skipped":""#.to_vec();
        body.extend_from_slice(bytes);
        body.extend_from_slice(br#""}}"#);
        assert_eq!(fault(&body).kind, FaultKind::NotUtf8);
    }
}

#[test]
fn other_encodings_and_marks_are_refused() {
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    assert_eq!(fault(format!("\u{feff}{ping}")).kind, FaultKind::ByteOrderMark);
    let little: Vec<u8> = ping.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = ping.encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert!(fault(little).kind.is_parse_error());
    assert!(fault(big).kind.is_parse_error());
}

#[test]
fn what_is_not_json_is_a_parse_error() {
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    for body in [
        String::new(),
        " ".to_owned(),
        format!("{ping}{ping}"),
        format!("{ping}x"),
        format!("{ping}// no"),
        ping.replace('"', "'"),
        ping.replace('}', ",}"),
        ping.replace('1', "NaN"),
        ping.replace('1', "01"),
        ping.replace("ping", "pi\nng"),
        ping.replace("ping", "pi\u{0}ng"),
        ping.replace("ping", r"pi\xng"),
        ping.replace(':', ","),
        ping[..ping.len() - 1].to_owned(),
    ] {
        let fault = fault(&body);
        assert!(fault.kind.is_parse_error(), "{body} gave {fault}");
    }
}

#[test]
fn nesting_is_served_up_to_the_limit_and_refused_beyond() {
    // The message is level 1, params 2, arguments 3.
    let nested = |levels: usize| {
        call(&format!(
            r#"{{"name":"a","arguments":{{"x":{}1{}}}}}"#,
            "[".repeat(levels),
            "]".repeat(levels)
        ))
    };
    one(&nested(61));
    assert_eq!(fault(nested(62)).kind, FaultKind::TooDeep);
    assert_eq!(fault(nested(100_000)).kind, FaultKind::TooDeep);
    assert_eq!(fault(call(&r#"{"a":"#.repeat(100_000))).kind, FaultKind::TooDeep);
}

#[test]
fn members_and_elements_are_counted() {
    let wide = |count: usize| {
        call(&format!(r#"{{"name":"a","arguments":{{"x":[{}1]}}}}"#, "1,".repeat(count)))
    };
    let limits = Limits { items_max: 100, ..Limits::default() };
    // Four members of the message, two of params, one of arguments, and the elements.
    assert!(judge(wide(92).as_bytes(), &limits).is_ok());
    let refused = judge(wide(93).as_bytes(), &limits).expect_err("too many");
    assert_eq!(refused.kind, FaultKind::TooManyItems);
}

#[test]
fn batch_is_judged_message_by_message() {
    let body = br#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"x"} , {"jsonrpc":"2.0","id":"1","method":"ping"}]"#;
    let Ok(Body::Batch(messages)) = judge(body, &Limits::default()) else { panic!("refused") };
    let kinds: Vec<Kind> = messages.iter().map(|message| message.kind).collect();
    assert_eq!(kinds, [Kind::Request, Kind::Notification, Kind::Request]);
}

#[test]
fn bad_batches_are_refused_without_an_id() {
    let ping = r#"{"jsonrpc":"2.0","id":"a","method":"ping"}"#;
    let same = r#"{"jsonrpc":"2.0","id":"\u0061","method":"ping"}"#;
    let faults = [
        ("[]".to_owned(), FaultKind::BatchEmpty),
        (format!("[[{ping}]]"), FaultKind::NotAnObject),
        (format!("[{ping},1]"), FaultKind::NotAnObject),
        (format!("[{ping},{same}]"), FaultKind::BatchDuplicateId),
        (format!("[{}]", vec![ping; 101].join(",")), FaultKind::BatchTooLong),
        (format!("[{ping},]"), FaultKind::Syntax),
        (format!("[{ping}] 1"), FaultKind::Trailing),
    ];
    for (body, kind) in faults {
        let fault = fault(&body);
        assert_eq!((fault.kind, fault.id), (kind, None), "{body}");
    }
}

#[test]
fn fault_says_what_to_do_and_where() {
    let fault = fault(call(r#"{"name":"a","name":"b"}"#));
    assert_eq!(
        fault.to_string(),
        "an object has the same key twice; send each key once (at byte 67)"
    );
}
