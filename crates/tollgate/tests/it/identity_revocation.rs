//! Row 72: who is cut off is cut off within a second, in the middle of streams as well; nothing that
//! was cut looks complete. Who is let in again gets in, and nobody else is touched.

use crate::GATE;
use crate::identity_house::{
    Bearer, DOOR, Voucher, api_key, command, error_of, guarded, now, open,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use testkit::client::ask;
use testkit::peer::Peer;
use testkit::{
    Act, Configuration, DEADLINE, House, Post, RawClient, Recorded, Recorder, Reply, legacy_post,
    modern_call,
};
use tokio::sync::watch;

const LATEST: &str = "2025-11-25";
/// What is revoked ends within this time after the command has returned.
const AT_ONCE: Duration = Duration::from_secs(1);

/// An upstream whose `slow` calls begin a stream and go no further, and whose `parked` calls wait.
async fn slow_peer(held: &watch::Sender<bool>) -> Recorder {
    let (peer, held) = (Peer::default(), held.clone());
    let progress = json!({ "jsonrpc": "2.0", "method": "notifications/progress",
                           "params": { "progressToken": 1, "progress": 1 } });
    Recorder::scripted(move |request: &Recorded| {
        let text = request.text();
        if text.contains("slow") {
            return Reply::stream().event(&progress.to_string()).then(Act::Hang);
        }
        let reply = peer.answer(request);
        if text.contains("parked") { reply.after(&held) } else { reply }
    })
    .await
}

fn slow_call(text: &str) -> Post {
    let params = json!({ "name": "echo", "arguments": { "text": text },
                         "_meta": { "progressToken": 1 } });
    modern_call("tools/call", &params)
}

/// Everything somebody can have open, and what it takes to see it end.
struct Open {
    bearer: Bearer,
    session: String,
    stream: RawClient,
    call: RawClient,
}

impl Open {
    async fn by(bearer: Bearer) -> Self {
        let session = bearer.session(LATEST).await;
        let stream = bearer.stream(&session).await;
        let mut call = RawClient::connect(bearer.gate).await;
        call.send(&crate::identity_house::by(&bearer.token, slow_call("slow")).bytes()).await;
        assert_eq!(call.head().await.expect("a stream").status, 200);
        let first = call.event().await.expect("the first event").json();
        assert_eq!(first["params"]["progress"], 1, "{first}");
        Self { bearer, session, stream, call }
    }

    /// Everything is over within this time, and not as if it were complete.
    async fn ends(mut self, within: Duration) {
        let begun = Instant::now();
        loop {
            let answer = self.bearer.ask(testkit::post::good_call()).await;
            if answer.status == 401 {
                assert_eq!(error_of(&answer).as_deref(), Some("invalid_token"));
                break;
            }
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert!(begun.elapsed() < within, "calls go on after {within:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for (name, client) in [("GET", &mut self.stream), ("POST", &mut self.call)] {
            let rest =
                client.until_closed(within.saturating_sub(begun.elapsed()).max(AT_ONCE)).await;
            let rest = String::from_utf8_lossy(&rest).into_owned();
            assert!(!rest.ends_with("0\r\n\r\n"), "the stream of {name} looks complete: {rest:?}");
            assert!(!rest.contains("result"), "{name}: {rest}");
        }
        assert!(begun.elapsed() < within, "it took {:?}", begun.elapsed());
        assert_eq!(self.bearer.ping(&self.session).await, 401);
    }

    /// Nothing is over.
    async fn lasts(mut self) {
        assert_eq!(self.bearer.call().await, 200);
        assert_eq!(self.bearer.ping(&self.session).await, 200);
        for (name, client) in [("GET", &mut self.stream), ("POST", &mut self.call)] {
            let left = tokio::time::timeout(Duration::from_millis(50), client.some_bytes()).await;
            assert!(!matches!(left, Ok(None)), "the stream of {name} ended");
        }
    }
}

async fn slow_house(
    held: &watch::Sender<bool>,
    change: impl FnOnce(Configuration) -> Configuration,
) -> House {
    House::around(GATE, slow_peer(held).await, change).await
}

#[tokio::test]
async fn a_revoked_agent_is_cut_off_within_a_second_and_nobody_else() {
    let voucher = Voucher::start().await;
    let held = watch::Sender::new(false);
    let house = slow_house(&held, |file| guarded(file, &[voucher.line("idp")])).await;
    let alice = Open::by(Bearer::of(&house, voucher.token("alice", "agent-a"))).await;
    let bob = Open::by(Bearer::of(&house, voucher.token("bob", "agent-a"))).await;
    let other = Open::by(Bearer::of(&house, voucher.token("alice", "agent-b"))).await;
    let again = alice.bearer.clone();
    let revoked = command(&house.gate, &["agents", "revoke", "agent-a"]);
    assert_eq!(revoked["state"], "revoked", "{revoked}");
    tokio::join!(alice.ends(AT_ONCE), bob.ends(AT_ONCE));
    other.lasts().await;
    let before = house.peer.bytes_seen();
    let renewed = Bearer::of(&house, voucher.token("alice", "agent-a"));
    assert_eq!((renewed.call().await, again.call().await), (401, 401));
    assert_eq!(house.peer.bytes_seen(), before, "a revoked agent reached the upstream");
    command(&house.gate, &["agents", "restore", "agent-a"]);
    let restored = Instant::now();
    while renewed.call().await != 200 {
        assert!(restored.elapsed() < DEADLINE, "the agent is not let in again");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    renewed.session(LATEST).await;
}

#[tokio::test]
async fn the_sessions_of_a_revoked_agent_end_at_the_upstream() {
    let voucher = Voucher::start().await;
    let house = open(&[voucher.line("idp")]).await;
    let bearer = Bearer::of(&house, voucher.token("alice", "agent-a"));
    let session = bearer.session(LATEST).await;
    let other = Bearer::of(&house, voucher.token("alice", "agent-b"));
    let kept = other.session(LATEST).await;
    command(&house.gate, &["agents", "revoke", "agent-a"]);
    let is_ended = |peer: &Recorder| !peer.with_http_method("DELETE").is_empty();
    house.peer.wait_until(DEADLINE, is_ended).await;
    let ended = house.peer.with_http_method("DELETE");
    let ids: Vec<_> = ended.iter().map(|request| request.header("mcp-session-id")).collect();
    assert_eq!(ids, [Some("peer-0")]);
    command(&house.gate, &["agents", "restore", "agent-a"]);
    let restored = Instant::now();
    while bearer.call().await != 200 {
        assert!(restored.elapsed() < DEADLINE, "the agent is not let in again");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(bearer.ping(&session).await, 404, "a session outlived its revocation");
    assert_eq!(other.ping(&kept).await, 200);
}

#[tokio::test]
async fn a_result_that_comes_after_the_revocation_is_withheld() {
    let voucher = Voucher::start().await;
    let held = watch::Sender::new(false);
    let house = slow_house(&held, |file| guarded(file, &[voucher.line("idp")])).await;
    let bearer = Bearer::of(&house, voucher.token("alice", "agent-a"));
    let mut client = RawClient::connect(bearer.gate).await;
    client.send(&crate::identity_house::by(&bearer.token, slow_call("parked")).bytes()).await;
    house.peer.wait_for_call("tools/call").await;
    command(&house.gate, &["agents", "revoke", "agent-a"]);
    let begun = Instant::now();
    while bearer.ask(modern_call("tools/list", &json!({}))).await.status != 401 {
        assert!(begun.elapsed() < AT_ONCE, "calls go on");
    }
    held.send_replace(true);
    let answer = client.response().await.expect("an answer");
    assert_eq!(answer.status, 401, "{}", answer.text());
    assert_eq!(error_of(&answer).as_deref(), Some("invalid_token"));
    assert!(!answer.text().contains("parked"), "{}", answer.text());
}

#[tokio::test]
async fn an_api_key_that_was_replaced_at_once_is_cut_off() {
    let held = watch::Sender::new(false);
    let house = slow_house(&held, |file| guarded(file, &[])).await;
    let old = Open::by(Bearer::of(&house, api_key(&house.gate, "nightly"))).await;
    let other = Open::by(Bearer::of(&house, api_key(&house.gate, "daily"))).await;
    let session = old.session.clone();
    let rotated = command(&house.gate, &["agents", "rotate", "nightly", "--overlap", "0"]);
    let new = rotated["api_key"].as_str().expect("a new key");
    let renewed = Bearer::of(&house, new);
    old.ends(AT_ONCE).await;
    // The session is the agent's, and goes on with the new key.
    assert_eq!(renewed.ping(&session).await, 200);
    assert_eq!(renewed.call().await, 200);
    other.lasts().await;
    command(&house.gate, &["agents", "revoke", "nightly"]);
    Open::is_gone(&renewed).await;
}

impl Open {
    /// Whoever this is has nothing any more.
    async fn is_gone(bearer: &Bearer) {
        let begun = Instant::now();
        while bearer.call().await != 401 {
            assert!(begun.elapsed() < AT_ONCE, "calls go on");
        }
    }
}

/// Asks the gate's own authorization server for something.
async fn form(house: &House, path: &str, secret: &str, fields: &str) -> (u16, Value) {
    let basic = format!("Basic {}", STANDARD.encode(format!("machine:{secret}")));
    let post = Post::new(fields)
        .to(path)
        .set("content-type", "application/x-www-form-urlencoded")
        .with("authorization", &basic);
    let answer = ask(house.gate.address, &post).await;
    (answer.status, answer.json())
}

#[tokio::test] // RFC 7009.
async fn a_token_its_agent_gave_back_is_void_and_its_others_are_not() {
    let held = watch::Sender::new(false);
    let house = slow_house(&held, |file| guarded(file, &[]).section("issuer: {}")).await;
    let added = command(&house.gate, &["agents", "add", "machine"]);
    let secret = added["client_secret"].as_str().expect("a secret");
    let fields = format!("grant_type=client_credentials&resource={DOOR}");
    let token = async || {
        let (status, answer) = form(&house, "/oauth/token", secret, &fields).await;
        assert_eq!(status, 200, "{answer}");
        answer["access_token"].as_str().expect("a token").to_owned()
    };
    let (one, two) = (token().await, token().await);
    let cut = Open::by(Bearer::of(&house, one.as_str())).await;
    let kept = Open::by(Bearer::of(&house, two)).await;
    let (status, answer) = form(&house, "/oauth/revoke", secret, &format!("token={one}")).await;
    assert_eq!(status, 200, "{answer}");
    cut.ends(AT_ONCE).await;
    kept.lasts().await;
    command(&house.gate, &["agents", "revoke", "machine"]);
    let (status, answer) = form(&house, "/oauth/token", secret, &fields).await;
    assert_eq!((status, &answer["error"]), (401, &json!("invalid_client")), "{answer}");
}

#[tokio::test]
async fn a_stream_does_not_outlive_its_token_and_the_session_does() {
    let voucher = Voucher::start().await;
    let held = watch::Sender::new(false);
    let house = slow_house(&held, |file| guarded(file, &[voucher.line("idp")])).await;
    let mut claims = voucher.claims("alice", "agent-a");
    claims["exp"] = json!(now() + 3);
    let short = Open::by(Bearer::of(&house, voucher.sign(&claims))).await;
    let session = short.session.clone();
    let long = Open::by(Bearer::of(&house, voucher.token("alice", "agent-a"))).await;
    short.ends(Duration::from_secs(6)).await;
    let renewed = Bearer::of(&house, voucher.token("alice", "agent-a"));
    let post = legacy_post(&session, "ping", &json!({}));
    assert_eq!(renewed.ask(post).await.status, 200);
    long.lasts().await;
}
