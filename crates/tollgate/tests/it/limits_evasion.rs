//! Row 126: ways around a limit that are none.

use crate::GATE;
use crate::http_sse;
use crate::identity_house::{Voucher, by, guarded};
use serde_json::{Value, json};
use testkit::post::good_call;
use testkit::{
    Configuration, House, RawClient, Recorder, legacy_bodyless, legacy_initialize, legacy_post,
    modern_call,
};

/// How many requests an agent may make, and 5 % more.
const LIMIT: usize = 40;
const AT_MOST: usize = LIMIT + LIMIT / 20;

fn limited(file: Configuration) -> Configuration {
    file.route_key("sse: true")
        .route("/other", "peer")
        .section(&format!("limits: {{ per_agent: {{ requests: {LIMIT}/h }} }}"))
}

/// How many messages of agents have reached the upstream: each element of a batch is one.
fn reached(peer: &Recorder) -> usize {
    let messages = |body: &[u8]| match serde_json::from_slice(body) {
        Ok(Value::Array(batch)) => batch.len(),
        Ok(_) => 1,
        Err(_) => 0,
    };
    peer.requests().iter().map(|request| messages(&request.body)).sum()
}

/// A way to send some messages, whatever becomes of them.
#[derive(Clone, Copy, Debug)]
enum Way {
    NewConnection,
    NewSession,
    Batch,
    Notifications,
    OtherRoute,
    OtherEra,
    OldTransport,
    Streams,
}

const WAYS: [Way; 8] = [
    Way::NewConnection,
    Way::NewSession,
    Way::Batch,
    Way::Notifications,
    Way::OtherRoute,
    Way::OtherEra,
    Way::OldTransport,
    Way::Streams,
];

async fn go(house: &House, way: Way, session: &str) {
    match way {
        Way::NewConnection => drop(house.ask(&good_call()).await),
        Way::NewSession => {
            let answer = house.ask(&legacy_initialize("2025-11-25")).await;
            if let Some(session) = answer.header("mcp-session-id") {
                drop(house.ask(&legacy_post(session, "ping", &json!({}))).await);
            }
        }
        Way::Batch => {
            let one = |id| json!({ "jsonrpc": "2.0", "id": id, "method": "ping" });
            let batch: Vec<Value> = (1..4).map(one).collect();
            let post = legacy_post(session, "-", &Value::Null)
                .set("mcp-protocol-version", "2025-03-26")
                .body(Value::from(batch).to_string());
            drop(house.ask(&post).await);
        }
        Way::Notifications => {
            // One that looks like a call is none the less one.
            for method in ["notifications/roots/list_changed", "tools/call"] {
                let params = json!({ "name": "echo", "arguments": {} });
                let told = json!({ "jsonrpc": "2.0", "method": method, "params": params });
                let post = legacy_post(session, "-", &Value::Null).body(told.to_string());
                drop(house.ask(&post).await);
            }
        }
        Way::OtherRoute => drop(house.ask(&good_call().to("/other")).await),
        Way::OtherEra => {
            drop(house.ask(&legacy_post(session, "tools/list", &json!({}))).await);
            drop(house.ask(&modern_call("tools/list", &json!({}))).await);
        }
        Way::OldTransport => {
            let mut client = house.connect().await;
            client.send(&http_sse::open("/mcp/sse")).await;
            if client.head().await.expect("a head").status == 200 {
                let url = client.event().await.expect("the first event").data;
                drop(house.ask(&http_sse::post(&url, &http_sse::initialize())).await);
            }
        }
        Way::Streams => {
            let mut client = RawClient::connect(house.gate.address).await;
            client.send(&legacy_bodyless("GET", session, &[])).await;
            drop(client.head().await);
        }
    }
}

#[tokio::test]
async fn no_other_way_in_gets_more_through_than_the_limit_has_room_for() {
    let house = House::open_with(GATE, limited).await;
    let session = house.session("2025-03-26").await;
    for turn in 0..6 {
        for way in WAYS {
            go(&house, way, &session).await;
        }
        assert!(reached(&house.peer) <= AT_MOST, "turn {turn}: {}", reached(&house.peer));
    }
    let through = reached(&house.peer);
    // Streams are requests too, and have no message.
    assert!((LIMIT * 2 / 3..=AT_MOST).contains(&through), "{through}");
}

#[tokio::test]
async fn each_way_alone_gets_no_more_through_than_the_limit_has_room_for() {
    for way in WAYS {
        let house = House::open_with(GATE, limited).await;
        let session = house.session("2025-03-26").await;
        for _ in 0..LIMIT + 10 {
            go(&house, way, &session).await;
        }
        // What a batch could not use may be left.
        drop([house.ask(&good_call()).await, house.ask(&good_call()).await]);
        let through = reached(&house.peer);
        assert!(through <= AT_MOST, "{way:?}: {through}");
        assert_eq!(house.ask(&good_call()).await.status, 429, "{way:?}");
    }
}

#[tokio::test]
async fn new_tokens_are_no_new_agents_and_new_agents_no_new_address() {
    let voucher = Voucher::start().await;
    let limits = "limits: { per_agent: { requests: 10/h }, per_address: { requests: 25/h } }";
    let lines = [voucher.line("login")];
    let house = House::open_with(GATE, |file| guarded(file, &lines).section(limits)).await;
    let through = || house.peer.calls_of("tools/call").len();
    for _ in 0..20 {
        let token = voucher.token("u1", "agent-1");
        drop(house.ask(&by(&token, good_call())).await);
    }
    assert_eq!(through(), 10, "a new token is no new agent");
    for user in ["u2", "u3", "u4"] {
        let token = voucher.token(user, "agent-1");
        assert_eq!(house.ask(&by(&token, good_call())).await.status, 429, "nor is another user");
    }
    for agent in 2..12 {
        let token = voucher.token("u1", &format!("agent-{agent}"));
        for _ in 0..5 {
            drop(house.ask(&by(&token, good_call())).await);
        }
    }
    assert_eq!(through(), 25, "agents of one address share what it has");
}
