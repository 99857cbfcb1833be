//! A definition has one canonical text however it is written, another one if anything pinned differs,
//! and text that is written to mislead is found in it.

use proptest::prelude::*;
use std::collections::HashSet;
use tollgate_core::bounds::LIST_ITEM_BYTES_MAX;
use tollgate_mcp::hub::definition::{
    CHANGES_MAX, Definition, FINDINGS_MAX, Others, Suspicion, is_deceptive,
};

fn read(json: &str) -> Definition {
    Definition::of_tool(json.as_bytes()).expect("a tool")
}

fn hidden_in(json: &str) -> Vec<String> {
    read(json).suspicions(&Others::default()).iter().map(ToString::to_string).collect()
}

#[test]
fn the_canonical_form_is_the_documented_one() {
    let tool = r#" { "name" : "a\u0062", "_meta":{"x":1}, "icons":[], "z":[1.0, -0, 1e400, 12345678901234567890, true, null],
        "description": "\/ \u00e9 \ud83d\ude00 \u0007 \b\u000a\" \\ ", "B":{}, "a":{"é":1,"z":2} }"#;
    let canonical = "{\"B\":{},\"a\":{\"z\":2,\"é\":1},\
        \"description\":\"/ é 😀 \\u0007 \\b\\n\\\" \\\\ \",\"name\":\"ab\",\
        \"z\":[1.0,-0,1e400,12345678901234567890,true,null]}";
    assert_eq!(read(tool).canonical(), canonical);
    assert_eq!(read(tool).name(), "ab");
}

#[test]
fn what_is_no_tool_has_no_definition() {
    let long = format!(r#"{{"name":"a","description":"{}"}}"#, "x".repeat(LIST_ITEM_BYTES_MAX));
    let deep = format!(r#"{{"name":"a","x":{}{}}}"#, "[".repeat(100), "]".repeat(100));
    let not = ["", "[]", "{}", r#"{"name":1}"#, r#"{"name":"a","name":"a"}"#, r#"{"name":"a"} x"#];
    for json in not.into_iter().chain([long.as_str(), deep.as_str()]) {
        assert_eq!(Definition::of_tool(json.as_bytes()), None, "{json:.80}");
    }
    assert_eq!(Definition::of_tool(b"{\"name\":\"\xff\"}"), None);
}

#[test]
fn changes_are_told_by_pointer_and_in_words() {
    let was = read(
        r#"{"name":"t","description":"old","inputSchema":{"type":"object","properties":{"a":{"type":"string"},"b":{},"d/e":{"x":{"y":1}}},"required":["a","b"]},"annotations":{"readOnlyHint":true}}"#,
    );
    let is = read(
        r#"{"name":"t","description":"new","inputSchema":{"type":"object","properties":{"a":{"type":"number"},"c":{},"d/e":{"x":{"y":2}}},"required":["b","c"]},"annotations":{"readOnlyHint":false},"execution":{}}"#,
    );
    let told: Vec<(String, String)> =
        was.changes_to(&is).into_iter().map(|change| (change.words(), change.pointer)).collect();
    let told: Vec<(&str, &str)> = told.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let expected = [
        ("annotation `readOnlyHint` changed", "/annotations/readOnlyHint"),
        ("the description changed", "/description"),
        ("`execution` was added", "/execution"),
        ("`type` of parameter `a` changed", "/inputSchema/properties/a/type"),
        ("parameter `b` was removed", "/inputSchema/properties/b"),
        ("parameter `c` was added", "/inputSchema/properties/c"),
        ("something within parameter `d/e` changed", "/inputSchema/properties/d~1e/x/y"),
        ("parameter `a` is optional now", "/inputSchema/required/a"),
        ("parameter `c` is required now", "/inputSchema/required/c"),
    ];
    assert_eq!(told, expected);
    let change = &was.changes_to(&is)[1];
    assert_eq!((change.was.as_deref(), change.is.as_deref()), (Some("old"), Some("new")));
}

#[test]
fn another_order_of_required_names_is_a_change_as_its_digest_is() {
    let was = read(r#"{"name":"t","inputSchema":{"required":["a","b"]}}"#);
    let is = read(r#"{"name":"t","inputSchema":{"required":["b","a"]}}"#);
    assert_ne!(was.canonical(), is.canonical());
    assert_eq!(was.changes_to(&is)[0].pointer, "/inputSchema/required");
}

#[test]
fn changes_have_a_bound() {
    let many = |value: u8| {
        let members: Vec<String> = (0..5_000).map(|n| format!(r#""k{n}":{value}"#)).collect();
        read(&format!(r#"{{"name":"t",{}}}"#, members.join(",")))
    };
    assert_eq!(many(1).changes_to(&many(2)).len(), CHANGES_MAX);
}

#[test] // security.md row 123: tag block, bidi, zero width
fn hidden_characters_are_found_wherever_they_are_with_their_code_points() {
    let tool = "{\"name\":\"t\",\"title\":\"a\u{200b}b\",\"description\":\"x\u{e0069}\u{e0067}\u{e0069}\",\
        \"inputSchema\":{\"properties\":{\"p\u{202e}\":{\"description\":\"\\u001b[2J\",\"enum\":[\"\\ufeff\"]}}}}";
    let expected = [
        "`/description` holds 3 hidden characters: U+E0069 U+E0067 …",
        "`/inputSchema/properties/p\\u{202e}` holds 1 hidden characters: U+202E",
        "`/inputSchema/properties/p\\u{202e}/description` holds 1 hidden characters: U+001B",
        "`/inputSchema/properties/p\\u{202e}/enum/0` holds 1 hidden characters: U+FEFF",
        "`/title` holds 1 hidden characters: U+200B",
    ];
    assert_eq!(hidden_in(tool), expected);
}

#[test]
fn characters_that_honest_text_is_made_of_are_not_suspicious() {
    for text in [
        "Line one.\\n\\tLine two.\\r\\n",
        "⚠️ careful, 1️⃣ first, © and ©️, ❤️‍🔥, 👨‍👩‍👧, 👩🏽‍💻, 🏳️‍🌈",
        "می‌خواهم", // Persian, with a zero-width non-joiner
        "क्‍ष",      // Devanagari, with a zero-width joiner
        "größe – “quoted” … naïve",
    ] {
        let tool = format!(r#"{{"name":"t","description":"{text}"}}"#);
        assert_eq!(hidden_in(&tool), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn joiners_and_selectors_that_join_nothing_are_suspicious() {
    for text in [
        "a\u{200d}😀",
        "a\u{200d}b",
        "\u{fe0f}",
        "😀\u{fe0f}\u{fe0e}",
        "😀\u{200d}",
        "😀\u{e0101}",
        "a\u{fe01}",
    ] {
        let tool = format!(r#"{{"name":"t","description":"{text}"}}"#);
        assert_eq!(hidden_in(&tool).len(), 1, "{}", text.escape_unicode());
    }
    assert!(is_deceptive(None, '\u{202e}', None) && !is_deceptive(None, '\n', None));
}

fn spoken(own: &[&str], json: &str) -> Vec<String> {
    let own: HashSet<&str> = own.iter().copied().collect();
    let mut others = Others::default();
    let tools = ["send_email", "readFile", "search", "list-all", "path_name", "read_file"];
    others.add("mail", tools, &own);
    others.add("github", [], &own);
    let found = read(json).suspicions(&others);
    let told = |finding: tollgate_mcp::hub::definition::Finding| match finding.what {
        Suspicion::Speaks { upstream, tool } => format!("{} {upstream} {tool}", finding.pointer),
        Suspicion::Hidden { .. } => "hidden".to_owned(),
    };
    found.into_iter().map(told).collect()
}

#[test] // security.md row 122: a description that talks about another upstream's tool
fn text_about_another_upstreams_tools_is_found() {
    let tool = r#"{"name":"add","description":"Before `mail__search`, see send_email. And readFile.","inputSchema":{"properties":{"x":{"description":"bcc for github__anything, list-all"}}}}"#;
    let expected = [
        "/description mail search",
        "/description mail send_email",
        "/description mail readFile",
        "/inputSchema/properties/x/description github anything",
        "/inputSchema/properties/x/description mail list-all",
    ];
    assert_eq!(spoken(&[], tool), expected);
}

#[test]
fn plain_words_own_tools_and_own_parameters_are_not_suspicious() {
    let tool = r#"{"name":"send_email","description":"search with path_name, then read_file; not send_emails, other__tool or xmail__y","inputSchema":{"properties":{"path_name":{}}}}"#;
    assert_eq!(spoken(&["read_file"], tool), Vec::<String>::new());
}

#[test]
fn findings_have_a_bound() {
    let texts: Vec<String> = (0..1_000).map(|_| "\"\u{200b}\"".to_owned()).collect();
    let tool = format!(r#"{{"name":"t","x":[{}]}}"#, texts.join(","));
    assert_eq!(hidden_in(&tool).len(), FINDINGS_MAX);
}

/// A JSON value, and how it is written: each seed writes it another way.
#[derive(Clone, Debug)]
enum Value {
    Object(Vec<(String, Value)>),
    Array(Vec<Value>),
    Text(String),
    Token(&'static str),
}

fn values() -> impl Strategy<Value = Value> {
    let tokens = prop::sample::select(vec!["0", "1.0", "1", "-3e7", "true", "null"]);
    let leaf = prop_oneof![".{0,6}".prop_map(Value::Text), tokens.prop_map(Value::Token)];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let members = prop::collection::btree_map("[a-zé\"\\\\/\u{1}]{0,3}", inner.clone(), 0..4);
        prop_oneof![
            members.prop_map(|members| Value::Object(members.into_iter().collect())),
            prop::collection::vec(inner, 0..4).prop_map(Value::Array),
        ]
    })
}

fn tools() -> impl Strategy<Value = Value> {
    prop::collection::btree_map("[b-z]{1,3}", values(), 1..4).prop_map(|members| {
        let mut members: Vec<(String, Value)> = members.into_iter().collect();
        members.retain(|(key, _)| key != "name");
        members.push(("name".to_owned(), Value::Text("t".to_owned())));
        Value::Object(members)
    })
}

fn write_text(text: &str, seed: &mut u64, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        let must = matches!(letter, '"' | '\\' | '\0'..='\u{1f}');
        if must || turn(seed, 3) == 0 {
            let mut units = [0; 2];
            for unit in letter.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04X}"));
            }
        } else {
            out.push(letter);
        }
    }
    out.push('"');
}

fn turn(seed: &mut u64, of: u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    (*seed >> 33) % of
}

fn space(seed: &mut u64, out: &mut String) {
    out.push_str(["", " ", "\n\t", ""][usize::try_from(turn(seed, 4)).expect("small")]);
}

fn write(value: &Value, seed: &mut u64, out: &mut String) {
    space(seed, out);
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            for at in (1..members.len()).rev() {
                let other = usize::try_from(turn(seed, at as u64 + 1)).expect("small");
                members.swap(at, other);
            }
            out.push('{');
            for (at, (key, value)) in members.into_iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                space(seed, out);
                write_text(key, seed, out);
                space(seed, out);
                out.push(':');
                write(value, seed, out);
            }
            out.push('}');
        }
        Value::Array(elements) => {
            out.push('[');
            for (at, element) in elements.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                write(element, seed, out);
            }
            out.push(']');
        }
        Value::Text(text) => write_text(text, seed, out),
        Value::Token(token) => out.push_str(token),
    }
    space(seed, out);
}

fn written(value: &Value, mut seed: u64) -> Definition {
    let mut out = String::new();
    write(value, &mut seed, &mut out);
    read(&out)
}

/// The same with one value changed; which one, the number says.
fn changed(value: &Value, at: &mut usize) -> Value {
    let is_here = *at == 0;
    *at = at.wrapping_sub(1);
    match value {
        Value::Object(members) if is_here => {
            let mut members = members.clone();
            members.push(("a new key".to_owned(), Value::Token("null")));
            Value::Object(members)
        }
        Value::Object(members) => Value::Object(
            members.iter().map(|(key, value)| (key.clone(), changed(value, at))).collect(),
        ),
        Value::Array(elements) if is_here => {
            let mut elements = elements.clone();
            elements.push(Value::Token("false"));
            Value::Array(elements)
        }
        Value::Array(elements) => {
            Value::Array(elements.iter().map(|element| changed(element, at)).collect())
        }
        Value::Text(text) if is_here => Value::Text(format!("{text} ")),
        Value::Token(token) if is_here => Value::Text((*token).to_owned()),
        other => other.clone(),
    }
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Object(members) => members.iter().map(|(_, value)| count(value)).sum(),
        Value::Array(elements) => elements.iter().map(count).sum(),
        Value::Text(_) | Value::Token(_) => 0,
    }
}

proptest! {
    #[test]
    fn the_canonical_text_does_not_depend_on_how_a_tool_is_written(
        tool in tools(), one: u64, other: u64,
    ) {
        let (one, other) = (written(&tool, one), written(&tool, other));
        prop_assert_eq!(&one, &other);
        prop_assert_eq!(one.canonical(), other.canonical());
        prop_assert!(one.changes_to(&other).is_empty());
    }

    #[test]
    fn any_change_changes_the_canonical_text_and_is_told(tool in tools(), at: usize, seed: u64) {
        let after = changed(&tool, &mut (at % count(&tool)));
        let (before, after) = (written(&tool, seed), written(&after, seed));
        prop_assert_ne!(before.canonical(), after.canonical());
        prop_assert!(!before.changes_to(&after).is_empty());
    }

    #[test]
    fn the_canonical_text_stands_for_itself(tool in tools(), seed: u64) {
        let text = written(&tool, seed).canonical();
        prop_assert_eq!(read(&text).canonical(), text.clone());
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        prop_assert!(value.is_object());
    }

    #[test]
    fn bytes_of_any_kind_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = Definition::of_tool(&bytes);
    }
}
