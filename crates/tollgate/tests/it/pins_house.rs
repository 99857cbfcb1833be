//! A gate that pins the tools of its upstreams, and what operators and agents do with it.

use crate::GATE;
use serde_json::{Value, json};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};
use testkit::{Agent, DEADLINE, GateProcess, Hub, Member, RawClient};

pub(crate) const TOOLS: &str = "tools/list";
pub(crate) const CALL: &str = "tools/call";
pub(crate) const CHANGED: &str = "notifications/tools/list_changed";

/// A tool with this description.
pub(crate) fn tool(name: &str, description: &str) -> Value {
    json!({ "name": name, "description": description, "inputSchema": { "type": "object" } })
}

/// A member with these tools that tells when they change.
pub(crate) fn member(tools: &[(&str, &str)]) -> Arc<Member> {
    let member = Member::new();
    member.declare(json!({ "tools": { "listChanged": true } }));
    show(&member, tools);
    member
}

/// Has the member show these tools, without a word.
pub(crate) fn show(member: &Member, tools: &[(&str, &str)]) {
    let tools = tools.iter().map(|(name, description)| tool(name, description));
    member.offer_items(TOOLS, tools.collect());
}

/// The same, telling of it.
pub(crate) fn announce(member: &Member, tools: &[(&str, &str)]) {
    show(member, tools);
    member.say(&json!({ "jsonrpc": "2.0", "method": CHANGED }));
}

/// A gate in front of these members, with these pins for each. One member alone is reached straight.
pub(crate) async fn open(members: &[(&str, &Arc<Member>)], pins: &str) -> Hub {
    let pins = format!("pins: {{ {pins} }}");
    Hub::open_with(GATE, members, |file| file.every_upstream_key(&pins)).await
}

/// Runs `tollgate pins` on the gate's configuration.
pub(crate) fn run(gate: &GateProcess, args: &[&str]) -> Output {
    let mut command = Command::new(GATE);
    command.arg("pins").args(args).arg("--config").arg(gate.beside("tollgate.yaml"));
    command.env("USER", "ada").env_remove("SUDO_USER").output().expect("the binary runs")
}

/// Its standard output, where it succeeds.
pub(crate) fn pins(gate: &GateProcess, args: &[&str]) -> String {
    let output = run(gate, args);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {errors}");
    String::from_utf8(output.stdout).expect("text")
}

/// The state of each tool as `pins list` has it: `upstream tool state offered`.
pub(crate) fn states(gate: &GateProcess) -> Vec<String> {
    let list: Value = serde_json::from_str(&pins(gate, &["list", "--json"])).expect("JSON");
    let each = list.as_array().expect("an array").iter().map(|pin| {
        let word = |key: &str| pin[key].as_str().expect("a word").to_owned();
        let suspicious = if pin["suspicious"] == json!(true) { " suspicious" } else { "" };
        let offered = if pin["offered"] == json!(true) { "offered" } else { "held back" };
        format!("{} {} {}{suspicious} {offered}", word("upstream"), word("tool"), word("state"))
    });
    each.collect()
}

/// Waits until the agent is shown exactly these tools.
pub(crate) async fn wait_for_tools(agent: &Agent, names: &[&str]) {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let shown = agent.names(TOOLS).await;
        if shown == names {
            return;
        }
        assert!(Instant::now() < deadline, "{shown:?} instead of {names:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Calls a tool, which must be answered as one that does not exist, reaching nobody.
pub(crate) async fn assert_absent(hub: &Hub, agent: &Agent, name: &str) {
    let before = hub.counts(CALL);
    let answer = agent.call(name).await;
    let unknown = agent.call("no_such_tool").await;
    let words = |answer: &Value| answer["error"]["message"].as_str().unwrap_or_default().to_owned();
    let (answer, unknown) = (answer.json(), unknown.json());
    assert_eq!(answer["error"]["code"], unknown["error"]["code"], "{answer}");
    let told = words(&answer).replace(&format!("`{name}`"), "`no_such_tool`");
    assert_eq!(told, words(&unknown));
    assert_eq!(hub.counts(CALL), before, "the call of `{name}` reached somebody");
}

/// Waits until the stream says that tools changed.
pub(crate) async fn hear_of_tools(stream: &mut RawClient) {
    let heard = async {
        loop {
            let event = stream.event().await.expect("the stream goes on");
            if !event.data.is_empty() && event.json()["method"] == CHANGED {
                return;
            }
        }
    };
    tokio::time::timeout(DEADLINE, heard).await.expect("word of changed tools");
}
