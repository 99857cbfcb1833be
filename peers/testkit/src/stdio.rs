//! The gate in front of a scripted server on stdio, and what can be said about its processes.
//!
//! Every process that came of a test carries the test's own mark in its environment, so that none of
//! them can hide by changing its parent, its group or its session.

use crate::client::{RawClient, Response};
use crate::gate::GateProcess;
use crate::post::{Post, legacy_bodyless, legacy_post};
use crate::{DEADLINE, modern_call};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The scripted server.
pub(crate) const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/stdio_server.py");
const POLL: Duration = Duration::from_millis(10);

/// A gate whose only upstream is a scripted server on stdio.
#[derive(Debug)]
pub struct StdioHouse {
    /// The gate.
    pub gate: GateProcess,
    log: PathBuf,
    mark: String,
    _folder: TempDir,
}

impl StdioHouse {
    /// Starts a gate; `habits` are the script's, `keys` those of `stdio` in the configuration.
    pub async fn open(binary: &str, habits: &[&str], keys: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("received");
        // The folder's own name is random.
        let mark = folder.path().to_string_lossy().into_owned();
        let gate = GateProcess::start(binary, &configuration(&mark, habits, keys)).await;
        Self { gate, log, mark, _folder: folder }
    }

    /// Puts another configuration in force.
    pub fn reconfigure(&self, habits: &[&str], keys: &str) {
        self.gate.rewrite(&configuration(&self.mark, habits, keys));
    }

    /// A new connection to the gate.
    pub async fn connect(&self) -> RawClient {
        RawClient::connect(self.gate.address).await
    }

    /// Sends a request on a connection of its own.
    pub async fn ask(&self, post: &Post) -> Response {
        self.connect().await.ask(post).await
    }

    /// Sends `initialize` of a client with these capabilities.
    pub async fn initialize(&self, client: &str, capabilities: &Value) -> Response {
        let params = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": capabilities,
            "clientInfo": { "name": client, "version": "1" },
        });
        let body =
            json!({ "jsonrpc": "2.0", "id": client, "method": "initialize", "params": params });
        self.ask(&Post::new(body.to_string())).await
    }

    /// Opens a session of a client with these capabilities.
    pub async fn session(&self, client: &str, capabilities: &Value) -> String {
        let answer = self.initialize(client, capabilities).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["id"], client);
        let id = answer.header("mcp-session-id").expect("a session").to_owned();
        let body = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        let post = legacy_post(&id, "-", &Value::Null).body(body.to_string());
        assert_eq!(self.ask(&post).await.status, 202);
        id
    }

    /// Calls a tool in a session and returns the text of the result.
    pub async fn call(&self, session: &str, tool: &str, arguments: Value) -> String {
        let answer = self.ask(&tool_call(session, json!(1), tool, arguments)).await;
        text_of(&last_message(&answer))
    }

    /// Opens the stream of a session.
    pub async fn stream(&self, session: &str) -> RawClient {
        let mut client = self.connect().await;
        client.send(&legacy_bodyless("GET", session, &[])).await;
        assert_eq!(client.head().await.expect("a stream").status, 200);
        client
    }

    /// Ends a session.
    pub async fn end(&self, session: &str) -> u16 {
        let mut client = self.connect().await;
        client.send(&legacy_bodyless("DELETE", session, &[])).await;
        client.response().await.expect("an answer").status
    }

    /// What all processes have received so far.
    #[must_use]
    pub fn received(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits until the processes have received such a message.
    pub async fn wait_for_received(&self, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            if let Some(found) = self.received().into_iter().find(&is_wanted) {
                return found;
            }
            assert!(begun.elapsed() < DEADLINE, "only received {:#?}", self.received());
            tokio::time::sleep(POLL).await;
        }
    }

    /// Every process that came of this test but the gate: guards, servers, what those started, and
    /// zombies of any of them.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        processes(&self.mark, self.gate.id())
    }

    /// Waits until there are so many processes.
    pub async fn wait_for_processes(&self, count: usize, limit: Duration) {
        let begun = Instant::now();
        loop {
            let left = self.processes();
            if left.len() == count {
                return;
            }
            assert!(begun.elapsed() < limit, "{:?}\n{}", shown(&left), self.gate.stderr());
            tokio::time::sleep(POLL).await;
        }
    }
}

/// A call of a tool in a session.
#[must_use]
pub fn tool_call(session: &str, id: Value, tool: &str, arguments: Value) -> Post {
    let params = json!({ "name": tool, "arguments": arguments, "_meta": { "progressToken": id } });
    let body = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params });
    legacy_post(session, "-", &Value::Null).body(body.to_string())
}

/// A modern call of a tool.
#[must_use]
pub fn modern_tool(tool: &str, arguments: Value) -> Post {
    modern_call("tools/call", &json!({ "name": tool, "arguments": arguments }))
}

/// All messages of an answer, be it JSON or an event stream.
#[must_use]
pub fn messages(answer: &Response) -> Vec<Value> {
    if !answer.text().starts_with("event:") {
        return vec![answer.json()];
    }
    let text = answer.text();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter_map(|data| serde_json::from_str(data).ok()).collect()
}

/// The last message of an answer, which is the answer to the request.
#[must_use]
pub fn last_message(answer: &Response) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    messages(answer).pop().expect("a message")
}

/// The text of a tool's result.
#[must_use]
pub fn text_of(message: &Value) -> String {
    let text = message["result"]["content"][0]["text"].as_str();
    text.unwrap_or_else(|| panic!("no result of a tool: {message}")).to_owned()
}

fn configuration(mark: &str, habits: &[&str], keys: &str) -> String {
    let mut args = vec![SCRIPT];
    args.extend(habits);
    let args = args.join("\", \"");
    let era = if keys.contains("era:") { "" } else { "era: both\n    " };
    format!(
        "gate: {{ listen: \"127.0.0.1:0\" }}\n\
         admin: {{ listen: \"127.0.0.1:0\" }}\n\
         upstreams:\n  peer:\n    {era}stdio:\n      command: python3\n      \
         args: [\"{args}\"]\n      env: {{ SCRIPT_LOG: \"{mark}/received\", SCRIPT_MARK: \"{mark}\" }}\n      \
         {keys}\n\
         routes:\n  /mcp: {{ upstreams: [peer] }}\n"
    )
}

/// The processes that carry a mark, and the zombies among the children of those and of `gate`.
#[must_use]
pub fn processes(mark: &str, gate: u32) -> Vec<u32> {
    let folder = std::fs::read_dir("/proc").expect("a list of processes");
    let all: Vec<u32> =
        folder.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    let mark = format!("SCRIPT_MARK={mark}");
    let is_marked = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    let marked: Vec<u32> = all.iter().copied().filter(is_marked).collect();
    let is_zombie = |pid: &u32| {
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
        let mut fields = stat.rsplit(')').next().expect("fields").split_whitespace();
        let state = fields.next();
        let parent: u32 = fields.next().and_then(|pid| pid.parse().ok()).expect("a parent");
        state == Some("Z") && (parent == gate || marked.contains(&parent))
    };
    let zombies = all.iter().copied().filter(is_zombie);
    marked.iter().copied().chain(zombies).collect()
}

fn shown(pids: &[u32]) -> Vec<String> {
    let command = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        format!("{pid}: {}", String::from_utf8_lossy(&line).replace('\0', " "))
    };
    pids.iter().map(command).collect()
}
