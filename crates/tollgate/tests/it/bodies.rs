//! Rows 27 to 37, 39 and 40: bodies that two parsers could read differently.
//!
//! The harmless spelling and the harmful one are both in each body, so whichever a parser takes,
//! an upstream that got the body would have got the attack.

use crate::GATE;
use serde_json::json;
use std::time::{Duration, Instant};
use testkit::post::good_call;
use testkit::{House, Post, legacy_initialize, modern_call};

/// Codes for bodies that are not strict JSON or not a proper message.
const MALFORMED: &[i64] = &[-32700, -32600];

/// The good call with `"name":"echo"` replaced.
fn named(member: &str) -> Post {
    good_call().replace("\"name\":\"echo\"", member)
}

/// The good call with its argument text replaced by this JSON text.
fn with_argument(text: impl AsRef<[u8]>) -> Post {
    good_call().replace("\"good\"", text)
}

async fn all_refused(posts: Vec<Post>, codes: &[i64]) {
    let house = House::open(GATE).await;
    for post in posts {
        house.turns_away(&post, &[400], codes).await;
    }
    house.still_serves().await;
}

#[tokio::test] // Row 27.
async fn duplicate_protocol_keys_are_refused() {
    let double = |key: &str, value: &str| {
        let member = format!("\"{key}\":{value},\"{key}\":");
        good_call().replace(&format!("\"{key}\":"), member)
    };
    all_refused(
        vec![
            double("name", "\"evil\""),
            named(r#""name":"echo","name":"evil""#),
            double("method", "\"tools/list\""),
            double("params", "{}"),
            double("id", "8"),
            double("jsonrpc", "\"2.0\""),
            double("_meta", "{}"),
            double("io.modelcontextprotocol/protocolVersion", "\"2025-11-25\""),
        ],
        MALFORMED,
    )
    .await;
}

#[tokio::test] // Row 28.
async fn duplicates_in_other_spellings_are_refused() {
    all_refused(
        vec![
            named(r#""name":"echo","n\u0061me":"evil""#),
            named(r#""\u006eame":"echo","name":"evil""#),
            good_call().replace("\"method\"", r#""m\u0065thod":"tools/list","method""#),
        ],
        MALFORMED,
    )
    .await;
}

#[tokio::test] // Row 29.
async fn look_alike_protocol_keys_are_refused() {
    let beside = |key: &str| named(&format!(r#""name":"echo","{key}":"evil""#));
    let outside = |key: &str| good_call().replace("\"method\"", format!("\"{key}\":1,\"method\""));
    all_refused(
        vec![
            beside("Name"),
            beside("NAME"),
            beside(r"name\u0000"),
            beside("naME"),
            outside("METHOD"),
            outside("Method"),
            outside("param\u{17f}"),
            outside(r"param\u017f"),
            outside("ID"),
            outside(r"id\u0000"),
        ],
        MALFORMED,
    )
    .await;
}

#[tokio::test] // Row 30.
async fn duplicate_arguments_are_refused() {
    all_refused(
        vec![
            with_argument(r#""a","text":"b""#),
            with_argument(r#"{"deep":[{"x":1,"x":2}]}"#),
            with_argument(r#"{"x":1,"\u0078":2}"#),
        ],
        MALFORMED,
    )
    .await;
}

#[tokio::test] // Row 31.
async fn lone_surrogates_are_refused() {
    all_refused(
        vec![
            named(r#""name":"echo\ud800""#),
            with_argument(r#""\ud800""#),
            with_argument(r#""\udc00\ud800""#),
            with_argument(r#""\ud800\u0041""#),
            with_argument(r#"{"\ud800":1}"#),
            good_call().replace("\"id\":7", r#""id":"\udfff""#),
        ],
        &[-32700],
    )
    .await;
}

#[tokio::test] // Row 32.
async fn invalid_utf_8_is_refused_wherever_it_is() {
    let spoiled: [&[u8]; 4] = [b"\"\xff\"", b"\"\xc1\xa1\"", b"\"\xed\xa0\x80\"", b"\"\xe2\x82\""];
    let mut posts: Vec<Post> = spoiled.iter().map(with_argument).collect();
    posts.extend(spoiled.iter().map(|bytes| {
        good_call().replace("\"jsonrpc\"", [b"\"other\":", *bytes, b",\"jsonrpc\""].concat())
    }));
    posts.push(good_call().replace("\"echo\"", b"\"echo\xff\""));
    all_refused(posts, &[-32700]).await;
}

#[tokio::test] // Row 33.
async fn other_encodings_are_refused() {
    let house = House::open(GATE).await;
    let good = good_call();
    let bom = [b"\xef\xbb\xbf".as_slice(), &good.body].concat();
    house.refuses(&good.clone().body(bom), &[400], &[-32700]).await;
    let text = String::from_utf8(good.body.clone()).expect("ascii");
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for body in [little, big] {
        house.refuses(&good.clone().body(body), &[400], &[-32700]).await;
    }
    let other = good.clone().set("content-type", "application/json; charset=utf-16");
    house.refuses(&other, &[400, 415], &[]).await;
    let same = good.set("content-type", "application/json;charset=utf-8");
    assert_eq!(house.ask(&same).await.status, 200);
}

#[tokio::test] // Row 96.
async fn bodies_that_a_web_page_could_post_are_refused() {
    let house = House::open(GATE).await;
    let simple = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"];
    for kind in simple {
        house.refuses(&good_call().set("content-type", kind), &[415], &[]).await;
    }
    house.refuses(&good_call().without("content-type"), &[415], &[]).await;
}

#[tokio::test] // Row 34.
async fn numbers_that_json_does_not_have_are_refused() {
    let numbers = ["NaN", "Infinity", "-Infinity", "01", "+1", ".5", "1.", "0x10", "1_000"];
    all_refused(numbers.into_iter().map(with_argument).collect(), &[-32700]).await;
}

#[tokio::test] // Row 34.
async fn numbers_reach_the_upstream_as_they_were_written() {
    let house = House::open(GATE).await;
    let long = "7".repeat(400);
    let numbers = [
        "1e999",
        "-0",
        "1.0",
        "9007199254740993",
        "1E+2",
        "0.1000",
        "123456789012345678901",
        &long,
    ];
    for number in numbers {
        let post = with_argument(number);
        let answer = house.ask(&post).await;
        assert_eq!(answer.json()["result"]["content"][0]["text"], format!("{{\"text\":{number}}}"));
    }
}

#[tokio::test] // Row 34.
async fn integer_ids_come_back_as_they_were_written() {
    let house = House::open(GATE).await;
    for id in ["9007199254740993", "123456789012345678901", "-5", "\"7\"", r#""\u0061""#, "\"\""] {
        let post = good_call().replace("\"id\":7", format!("\"id\":{id}"));
        let answer = house.ask(&post).await;
        assert_eq!(answer.status, 200, "{id}");
        assert!(answer.text().contains(&format!("\"id\":{id}")), "{id}: {}", answer.text());
    }
}

#[tokio::test] // Row 34 and 40.
async fn ids_that_are_not_strings_or_integers_are_refused() {
    let ids = ["null", "1.0", "1.5", "1e2", "true", "{}", "[1]"];
    let spoil = |id: &str| good_call().replace("\"id\":7", format!("\"id\":{id}"));
    all_refused(ids.into_iter().map(spoil).collect(), &[-32600]).await;
}

/// An argument so deep that the whole body has `depth` levels: message, params and arguments are
/// three of them.
fn of_depth(depth: usize) -> Post {
    with_argument(format!("{}{}", "[".repeat(depth - 3), "]".repeat(depth - 3)))
}

#[tokio::test] // Row 35.
async fn bodies_are_served_down_to_the_bound_and_refused_below() {
    let house = House::open(GATE).await;
    assert_eq!(house.ask(&of_depth(64)).await.status, 200);
    for depth in [65, 127, 200, 100_000] {
        house.refuses(&of_depth(depth), &[400], MALFORMED).await;
    }
    let objects = with_argument("{\"a\":".repeat(100_000));
    house.refuses(&objects, &[400], MALFORMED).await;
}

#[tokio::test] // Row 35.
async fn depth_costs_no_memory() {
    let house = House::open(GATE).await;
    house.still_serves().await;
    let memory = house.gate.memory_kib();
    for _ in 0..20 {
        house.turns_away(&of_depth(1_000_000), &[400], MALFORMED).await;
    }
    assert!(house.gate.memory_kib() < memory + 32 * 1024, "{memory}");
}

#[tokio::test] // Row 36.
async fn wide_bodies_are_judged_quickly_or_refused() {
    let house = House::open(GATE).await;
    let arrays = format!("[{}[]]", "[],".repeat(1_300_000));
    let keys: Vec<String> = (0..300_000).map(|n| format!("\"k{n}\":0")).collect();
    let keys = format!("{{{}}}", keys.join(","));
    let long_key = format!("{{\"{}\":0}}", "k".repeat(4_000_000));
    for text in [arrays, keys, long_key] {
        let begun = Instant::now();
        let answer = house.ask(&with_argument(&text)).await;
        assert!([200, 400, 413].contains(&answer.status), "{}", answer.status);
        // Generous, for a debug build on a busy machine; quadratic work would take minutes.
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    }
    house.still_serves().await;
}

#[tokio::test] // Row 37.
async fn what_is_not_one_strict_document_is_refused() {
    let good = String::from_utf8(good_call().body).expect("ascii");
    let body = |text: String| good_call().body(text);
    all_refused(
        vec![
            body(format!("{good}x")),
            body(format!("{good}{good}")),
            body(format!("{good}\n{good}")),
            body(format!("{good}\0")),
            body(format!("// comment\n{good}")),
            body(good.replacen('{', "{/* c */", 1)),
            body(good.replace('"', "'")),
            body(good.replacen("\"good\"", "\"good\",", 1)),
            body(good.replacen("\"good\"", "\"a\tb\"", 1)),
            body(good.replacen("\"good\"", "\"a\nb\"", 1)),
            body(good.replacen("\"good\"", r#""\x41""#, 1)),
            body(good.replacen("\"jsonrpc\"", "jsonrpc", 1)),
            body(good[..good.len() - 1].to_owned()),
            body(String::new()),
            body(" ".to_owned()),
        ],
        MALFORMED,
    )
    .await;
}

#[tokio::test] // Row 39.
async fn members_of_the_wrong_type_are_refused() {
    let whole = |body: &str| good_call().body(body);
    all_refused(
        vec![
            whole(r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":["echo"]}"#),
            whole(r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":"x"}"#),
            whole(r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":null}"#),
            whole(r#"{"jsonrpc":"2.0","id":7,"method":1,"params":{}}"#),
            whole(r#"{"jsonrpc":"1.0","id":7,"method":"tools/call","params":{}}"#),
            whole(r#"{"id":7,"method":"tools/call","params":{}}"#),
            whole(r#"{"jsonrpc":"2.0","id":7}"#),
            whole(r#"{"jsonrpc":"2.0","id":7,"method":"ping","result":{}}"#),
            whole("7"),
            whole("\"tools/call\""),
            whole("null"),
            named(r#""name":["evil"]"#),
            named(r#""name":{"toString":"evil"}"#),
            named(r#""name":null"#),
            good_call().replace(r#"{"text":"good"}"#, "[]"),
        ],
        &[-32600, -32602, -32020],
    )
    .await;
}

#[tokio::test] // Row 39: not ours to mind, but never to lose or to act on.
async fn a_member_called_proto_is_carried_as_it_is() {
    let house = House::open(GATE).await;
    let answer = house.ask(&with_argument(r#"{"__proto__":{"name":"evil"}}"#)).await;
    let text = r#"{"text":{"__proto__":{"name":"evil"}}}"#;
    assert_eq!(answer.json()["result"]["content"][0]["text"], text);
}

#[tokio::test] // Row 40.
async fn long_ids_are_refused() {
    let house = House::open(GATE).await;
    let id =
        |len: usize| good_call().replace("\"id\":7", format!("\"id\":\"{}\"", "i".repeat(len)));
    assert_eq!(house.ask(&id(510)).await.status, 200);
    house.refuses(&id(511), &[400], &[-32600]).await;
    house.refuses(&id(10_000_000), &[413], &[]).await;
}

#[tokio::test] // Row 40.
async fn a_call_without_an_id_is_judged_like_any_other() {
    let house = House::open(GATE).await;
    let notification = good_call().replace("\"id\":7,", "").set("mcp-name", "evil");
    let answer = house.ask(&notification).await;
    assert!([202, 400].contains(&answer.status), "{}", answer.status);
    let nothing_evil = house.peer.requests().iter().all(|seen| {
        seen.header("mcp-name").is_none_or(|name| seen.text().contains(&format!("\"{name}\"")))
    });
    assert!(nothing_evil, "{:#?}", house.peer.requests());
    house.still_serves().await;
}

#[tokio::test] // Row 40: two clients may use the same id at the same time.
async fn equal_ids_of_different_connections_do_not_meet() {
    let house = House::open(GATE).await;
    let call = |text: &str| {
        modern_call("tools/call", &json!({ "name": "echo", "arguments": { "text": text } }))
    };
    let (a, b) = (call("a"), call("b"));
    let (a, b) = tokio::join!(house.ask(&a), house.ask(&b));
    assert_eq!(a.json()["result"]["content"][0]["text"], r#"{"text":"a"}"#);
    assert_eq!(b.json()["result"]["content"][0]["text"], r#"{"text":"b"}"#);
}

#[tokio::test] // Rows 27 and 29 in the other era.
async fn legacy_bodies_are_judged_by_the_same_pass() {
    let house = House::open(GATE).await;
    let initialize = || legacy_initialize("2025-11-25");
    let posts = [
        initialize().replace("\"method\"", "\"method\":\"ping\",\"method\""),
        initialize().replace("\"params\"", "\"Params\":{},\"params\""),
        initialize().replace("\"testkit\"", r#""\ud800""#),
        initialize().replace("\"id\":0", "\"id\":null"),
    ];
    for post in posts {
        house.refuses(&post, &[400], MALFORMED).await;
    }
}

#[tokio::test] // The fixed codes of the attack table: an unreadable request has no id to answer.
async fn a_parse_error_is_answered_without_an_id() {
    let house = House::open(GATE).await;
    for post in [with_argument("NaN"), with_argument(r#""\ud800""#), good_call().body("{")] {
        let answer = house.ask(&post).await;
        assert_eq!(answer.code(), Some(-32700), "{}", answer.text());
        assert!(answer.json()["id"].is_null(), "{}", answer.text());
    }
}
