//! MCP's header values, their comparison with a body, and annotations of tools.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use tollgate_mcp::headers::{
    AnnotationFault, HeaderFault, MCP_NAME, ParamKind, Repeated, ToolHeaders, annotations,
    decode_value, encode_value, params_equal, remove_elements, single,
};
use tollgate_mcp::json::Span;

#[test]
fn values_are_decoded_exactly_once() {
    let decoded = [
        ("evil", "evil"),
        (" \tpadded  inner \t", "padded  inner"),
        ("", ""),
        ("=?base64?ZXZpbA==?=", "evil"),
        (" =?base64?w6k=?= ", "é"),
        ("=?base64??=", ""),
        ("=?base64?PT9iYXNlNjQ/WlhacGJBPT0/PQ==?=", "=?base64?ZXZpbA==?="),
        ("=?BASE64?ZXZpbA==?=", "=?BASE64?ZXZpbA==?="),
        ("=?base64?ZXZpbA==", "=?base64?ZXZpbA=="),
        ("=?base64?=", "=?base64?="),
    ];
    for (value, wanted) in decoded {
        assert_eq!(decode_value(value.as_bytes()).as_deref(), Ok(wanted), "{value}");
    }
}

#[test]
fn malformed_values_are_refused() {
    let faults: [(&[u8], HeaderFault); 9] = [
        (b"=?base64?ZXZpbA?=", HeaderFault::NotBase64),
        (b"=?base64?ZXZp bA==?=", HeaderFault::NotBase64),
        (b"=?base64?ZXZpbB==?=", HeaderFault::NotBase64),
        (b"=?base64?_-8=?=", HeaderFault::NotBase64),
        (b"=?base64?/w==?=", HeaderFault::NotUtf8),
        (b"caf\xc3\xa9", HeaderFault::NotVisible),
        (b"a\0b", HeaderFault::NotVisible),
        (b"a\x7fb", HeaderFault::NotVisible),
        (b"\xff", HeaderFault::NotVisible),
    ];
    for (value, fault) in faults {
        assert_eq!(decode_value(value), Err(fault), "{value:?}");
    }
}

#[test]
fn values_are_encoded_only_where_a_literal_would_not_read_back() {
    for literal in ["get_weather", "a b\tc", "", "=?base64?x", "=?BASE64?eA==?="] {
        assert_eq!(encode_value(literal), literal);
    }
    for value in [" a", "a\t", "é", "a\nb", "\u{0}", "\u{7f}", "=?base64??=", "=?base64?eA==?="] {
        let encoded = encode_value(value);
        assert!(encoded.as_bytes().starts_with(b"=?base64?"), "{value:?}");
        assert_eq!(decode_value(encoded.as_bytes()).as_deref(), Ok(value));
    }
}

#[test]
fn repeated_header_is_never_read() {
    let mut headers = HeaderMap::new();
    assert_eq!(single(&headers, &MCP_NAME), Ok(None));
    headers.append(MCP_NAME, HeaderValue::from_static("a"));
    assert_eq!(single(&headers, &MCP_NAME), Ok(Some(&HeaderValue::from_static("a"))));
    headers.append(MCP_NAME, HeaderValue::from_static("a"));
    assert_eq!(single(&headers, &MCP_NAME), Err(Repeated));
}

#[test]
fn header_equals_argument_by_value() {
    let equal = [
        ("us", r#""us""#),
        ("us", r#""\u0075s""#),
        ("", r#""""#),
        ("42", "42"),
        ("42.0", "42"),
        ("42", "4.20e1"),
        ("0.5", "5E-1"),
        ("-0", "0.000"),
        ("123456789012345678901234567890", "123456789012345678901234567890.0"),
        ("true", "true"),
    ];
    for (header, token) in equal {
        assert!(params_equal(header, token.as_bytes()), "{header} {token}");
    }
    let different = [
        ("eu", r#""us""#),
        ("US", r#""us""#),
        ("42", r#""42.0""#),
        ("9007199254740993", "9007199254740992"),
        ("42", "-42"),
        ("420", "42"),
        ("+42", "42"),
        ("042", "42"),
        ("42.", "42"),
        ("", "0"),
        ("0x2a", "42"),
        ("4e99999999999999999999", "4e99999999999999999999"),
        ("True", "true"),
        ("null", "null"),
        ("", "null"),
        ("{}", "{}"),
        ("", ""),
    ];
    for (header, token) in different {
        assert!(!params_equal(header, token.as_bytes()), "{header} {token}");
    }
}

fn tool(name: &str, schema: &str) -> String {
    format!(r#"{{"name":"{name}","inputSchema":{schema}}}"#)
}

fn read(tools: &[String]) -> Vec<ToolHeaders> {
    let result = format!(r#"{{"tools":[{}]}}"#, tools.join(","));
    annotations(result.as_bytes(), Span::new(0, result.len()))
        .unwrap_or_else(|fault| panic!("{result}: {fault}"))
}

fn outcome(schema: &str) -> Option<Result<Vec<String>, AnnotationFault>> {
    let found = read(&[tool("t", schema)]).pop()?;
    Some(found.outcome.map(|list| list.iter().map(|one| one.header.to_string()).collect()))
}

#[test]
fn annotations_are_found_along_properties() {
    let schema = r#"{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"},"n":{"type":"object","properties":{"deep":{"type":"integer","x-mcp-header":"Deep"}}},"x-mcp-header":{"type":"string"}}}"#;
    let found = read(&[tool("plain", "{}"), tool("t", schema)]).pop().expect("tool");
    let list = found.outcome.expect("good");
    assert_eq!(found.tool, "t");
    assert_eq!((list[0].header.as_str(), list[0].kind), ("mcp-param-region", ParamKind::Text));
    assert_eq!((list[1].header.as_str(), list[1].kind), ("mcp-param-deep", ParamKind::Integer));
    assert_eq!(list[1].path, ["n", "deep"]);
}

#[test]
fn bad_annotations_condemn_their_tool() {
    let property = |annotation: &str| {
        format!(r#"{{"properties":{{"a":{{"type":"string","x-mcp-header":{annotation}}}}}}}"#)
    };
    for annotation in
        [r#""""#, r#""A B""#, r#""Authorization\r\nX""#, "1", "null", r#""é""#, r#""a:b""#]
    {
        assert_eq!(
            outcome(&property(annotation)),
            Some(Err(AnnotationFault::NotToken)),
            "{annotation}"
        );
    }
    let annotated = r#"{"type":"string","x-mcp-header":"A"}"#;
    let unreachable = [
        format!(r#"{{"oneOf":[{{"properties":{{"a":{annotated}}}}}]}}"#),
        format!(r#"{{"properties":{{"a":{{"anyOf":[{annotated}]}}}}}}"#),
        format!(r#"{{"properties":{{"a":{{"items":{annotated}}}}}}}"#),
        format!(r##"{{"properties":{{"a":{{"$ref":"#/$defs/b"}}}},"$defs":{{"b":{annotated}}}}}"##),
        format!(r#"{{"patternProperties":{{"a":{annotated}}}}}"#),
        r#"{"type":"string","x-mcp-header":"A"}"#.to_owned(),
    ];
    for schema in unreachable {
        assert_eq!(outcome(&schema), Some(Err(AnnotationFault::Unreachable)), "{schema}");
    }
    for kind in [r#""number""#, r#""object""#, r#"["string","null"]"#] {
        let schema = format!(r#"{{"properties":{{"a":{{"type":{kind},"x-mcp-header":"A"}}}}}}"#);
        assert_eq!(outcome(&schema), Some(Err(AnnotationFault::Type)), "{kind}");
    }
    let twice = r#"{"properties":{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}}}"#;
    assert!(matches!(outcome(twice), Some(Err(AnnotationFault::Repeated(_)))));
}

#[test]
fn annotation_words_in_plain_data_are_no_annotations() {
    assert_eq!(
        outcome(r#"{"properties":{"a":{"type":"string","default":{"x-mcp-header":""}}}}"#),
        None
    );
}

#[test]
fn annotation_spelled_with_escapes_is_found() {
    let schema = r#"{"properties":{"a":{"type":"string","x-mcp-heade\u0072":""}}}"#;
    assert_eq!(outcome(schema), Some(Err(AnnotationFault::NotToken)));
}

#[test]
fn result_without_tools_is_refused() {
    for result in ["{}", r#"{"tools":{}}"#, "[]"] {
        let found = annotations(result.as_bytes(), Span::new(0, result.len()));
        assert_eq!(found, Err(AnnotationFault::NoTools), "{result}");
    }
}

#[test]
fn bad_tools_are_taken_out_and_the_others_keep_their_bytes() {
    let bad = tool("bad", r#"{"properties":{"a":{"type":"string","x-mcp-header":""}}}"#);
    let good = r#"{ "name":"good", "n":1e400 }"#;
    for (array, left) in [
        (format!("[{bad}, {good} ,{bad}]"), format!("[{good}]")),
        (format!("[{bad}]"), "[]".to_owned()),
        (format!("[{good},{bad},{good}]"), format!("[{good},{good}]")),
    ] {
        let message = Bytes::from(format!(r#"{{"id":1,"result":{{"tools":{array},"x":1.0}}}}"#));
        let result = Span::new(17, message.len() - 1);
        let bad: Vec<Span> =
            annotations(&message, result).expect("tools").iter().map(|tool| tool.span).collect();
        let cleaned = remove_elements(&message, result, &bad);
        assert_eq!(cleaned, format!(r#"{{"id":1,"result":{{"tools":{left},"x":1.0}}}}"#));
    }
}
