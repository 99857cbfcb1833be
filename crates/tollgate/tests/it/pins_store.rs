//! Rows 117 and 121: pins where the store fails, where lists are huge, and where names are hostile.

use crate::pins_house::{
    CALL, TOOLS, announce, assert_absent, member, open, pins, run, states, tool, wait_for_tools,
};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use testkit::{GateProcess, Member};
use tollgate_core::bounds::LIST_ITEMS_MAX;

/// Another process that holds the store's write lock until it is dropped.
struct Locked(Child);

impl Locked {
    fn hold(gate: &GateProcess) -> Self {
        let script = "import sqlite3, sys\n\
            db = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
            db.execute('BEGIN EXCLUSIVE')\n\
            print('held', flush=True)\n\
            sys.stdin.read()\n";
        let mut command = Command::new("python3");
        command.args(["-c", script]).arg(gate.beside("tollgate.db"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("python runs");
        let mut line = String::new();
        let out = child.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("a line");
        assert_eq!(line, "held\n");
        Self(child)
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}

#[tokio::test]
async fn while_the_store_fails_what_is_known_stays_and_nothing_else_is_offered() {
    let upstream = member(&[("a", "Adds."), ("b", "Subtracts.")]);
    let hub = open(&[("peer", &upstream)], "trust: first-use, on_change: quarantine").await;
    let agent = hub.agent().await;
    assert_eq!(agent.names(TOOLS).await, ["a", "b"]);
    let locked = Locked::hold(&hub.gate);
    announce(&upstream, &[("a", "Adds."), ("b", "Subtracts!"), ("c", "New.")]);
    hub.gate.wait_for_log("the store of pins cannot be used").await;
    wait_for_tools(&agent, &["a"]).await;
    assert_eq!(agent.called("a").await, "a");
    assert_absent(&hub, &agent, "b").await;
    assert_absent(&hub, &agent, "c").await;
    let status = hub.gate.status().await;
    assert!(status["upstreams"][0]["pins"]["trouble"].is_string(), "{status:#}");
    drop(locked);
    // Told again with the next list that is read.
    announce(&upstream, &[("a", "Adds."), ("b", "Subtracts!"), ("c", "New.")]);
    hub.gate.wait_for_status(|status| status["upstreams"][0]["pins"]["trouble"].is_null()).await;
    assert_eq!(
        states(&hub.gate),
        ["peer a approved offered", "peer b changed held back", "peer c new held back"]
    );
    assert_eq!(agent.called("a").await, "a");
}

#[tokio::test]
async fn a_store_that_fails_from_the_start_lets_nothing_through() {
    let upstream = member(&[("a", "Adds.")]);
    let hub = open(&[("peer", &upstream)], "trust: first-use").await;
    let locked = Locked::hold(&hub.gate);
    let agent = hub.agent().await;
    assert!(agent.names(TOOLS).await.is_empty());
    assert_absent(&hub, &agent, "a").await;
    drop(locked);
    // Whatever is missing is asked for again while agents ask for it.
    wait_for_tools(&agent, &["a"]).await;
    assert_eq!(agent.called("a").await, "a");
}

#[tokio::test] // row 117
async fn of_ten_thousand_tools_as_many_are_pinned_and_offered_as_a_list_may_have() {
    let upstream = Member::new();
    let tools = (0..10_000).map(|n| tool(&format!("tool_{n:05}"), "One of many."));
    upstream.offer_items(TOOLS, tools.collect());
    upstream.page(500);
    let hub = open(&[("peer", &upstream)], "trust: first-use").await;
    let agent = hub.agent().await;
    let names = agent.names(TOOLS).await;
    assert_eq!(names.len(), LIST_ITEMS_MAX);
    assert_eq!(agent.called("tool_00007").await, "tool_00007");
    assert_absent(&hub, &agent, "tool_09999").await;
    let status = hub.gate.status().await;
    assert_eq!(status["upstreams"][0]["pins"]["approved"], LIST_ITEMS_MAX);
    let list: Value = serde_json::from_str(&pins(&hub.gate, &["list", "--json"])).expect("JSON");
    assert_eq!(list.as_array().map(Vec::len), Some(LIST_ITEMS_MAX));
}

#[tokio::test]
async fn names_and_text_of_upstreams_cannot_command_the_operators_terminal() {
    let upstream = Member::new();
    let odd = json!({
        "name": "ok-name\"; rm",
        "description": "x\u{1b}[2J\r\u{202e}y",
        "inputSchema": { "properties": { "\u{1b}]0;title\u{7}": {} } },
    });
    upstream.offer_items(TOOLS, vec![odd]);
    let hub = open(&[("peer", &upstream)], "trust: approve").await;
    let agent = hub.agent().await;
    assert!(agent.names(TOOLS).await.is_empty());
    for args in [
        &["list"][..],
        &["diff", "peer"],
        &["diff", "peer", "--json"],
        &["approve", "peer", "--all"],
    ] {
        let text = pins(&hub.gate, args);
        let is_plain = |c: char| c == '\n' || !(c.is_control() || c == '\u{202e}');
        assert!(text.chars().all(is_plain), "{args:?}: {}", text.escape_debug());
    }
}

#[tokio::test]
async fn what_cannot_be_done_is_said_with_a_remedy() {
    let upstream = member(&[("a", "Adds.")]);
    let hub = open(&[("peer", &upstream)], "trust: approve").await;
    let agent = hub.agent().await;
    assert!(agent.names(TOOLS).await.is_empty());
    for (args, words) in [
        (&["diff", "nobody"][..], "the upstreams are: peer"),
        (&["diff", "peer", "b"], "pins list --upstream peer"),
        (&["approve", "peer"], "--all"),
        (&["approve", "peer", "b"], "has shown no tool `b`"),
        (&["approve", "peer", "a", "--digest", "12"], "is no digest"),
        (&["approve", "peer", "a", "--digest", "000000000000"], "nothing was approved"),
        (&["forget", "peer"], "--all"),
        (&["forget", "peer", "b"], "has shown no tool `b`"),
    ] {
        let output = run(&hub.gate, args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(errors.contains(words), "{args:?}: {errors}");
    }
    assert_eq!(states(&hub.gate), ["peer a new held back"]);
    assert_eq!(hub.counts(CALL), [0]);
}
