//! `tollgate tools` against the demonstration, the whole house, and servers by script.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};
use testkit::recorder::{Recorded, Recorder};
use testkit::script::{Act, Reply};
use testkit::{Configuration, House};
use tokio::sync::watch;

const TOLLGATE: &str = env!("CARGO_BIN_EXE_tollgate");

/// The demonstration on a free port. It is killed when dropped.
struct Demo {
    child: Child,
    url: String,
}

impl Demo {
    fn start() -> Self {
        let mut child = Command::new(TOLLGATE)
            .args(["demo", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let url = lines
            .map_while(Result::ok)
            .find_map(|line| line.split("open at  ").nth(1).map(str::to_owned))
            .expect("a URL");
        Self { child, url }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

async fn tools(args: &[&str]) -> Output {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let run = move || {
        Command::new(TOLLGATE)
            .arg("tools")
            .args(&args)
            .env_clear()
            .output()
            .expect("the binary runs")
    };
    tokio::task::spawn_blocking(run).await.expect("no panic")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_of_the_demonstration_are_listed_and_called() {
    let demo = Demo::start();
    let list = tools(&["--url", &demo.url, "list"]).await;
    assert_eq!(list.status.code(), Some(0), "{}", text(&list.stderr));
    let list = text(&list.stdout);
    assert!(list.contains("count       Adds to this session's counter"), "{list}");
    let call = tools(&["--url", &demo.url, "call", "count", "--arg", "by=41"]).await;
    assert!(text(&call.stdout).starts_with("41 (counted by demo-"), "{}", text(&call.stderr));
    let escape = r#"{"text":"\u001b[2J"}"#;
    let call = tools(&["--url", &demo.url, "--json", "call", "echo", "--args", escape]).await;
    let shown = text(&call.stdout);
    let value: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(value["content"][0]["text"], "\u{1b}[2J");
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_of_the_server_is_declined() {
    let demo = Demo::start();
    let call = tools(&["--url", &demo.url, "call", "ask_name"]).await;
    assert_eq!(text(&call.stdout), "hello, whoever you are\n");
    assert!(text(&call.stderr).contains("the server asked: What is your name? (declined"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_fails_is_a_failure_of_the_command() {
    let demo = Demo::start();
    let call = tools(&["--url", &demo.url, "call", "slow_count", "--arg", "n=100000"]).await;
    assert_eq!((call.status.code(), text(&call.stderr).as_str()), (Some(1), ""));
    assert!(text(&call.stdout).contains("`n` is 1 to"), "{}", text(&call.stdout));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_names_and_arguments_are_said_before_anything_is_called() {
    let house = House::open(TOLLGATE).await;
    let url = format!("http://{}/mcp", house.gate.address);
    let unknown = tools(&["--url", &url, "call", "ecko"]).await;
    assert_eq!(unknown.status.code(), Some(1));
    let said = text(&unknown.stderr);
    assert!(said.contains("no tool `ecko`; did you mean `echo`?"), "{said}");
    let untyped = tools(&["--url", &url, "call", "echo", "--arg", "x"]).await;
    assert!(text(&untyped.stderr).contains("write `--arg name=value`"));
    assert!(house.peer.calls_of("tools/call").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_modern_era_is_spoken_where_it_can_be_and_leaves_no_session() {
    let house = House::open(TOLLGATE).await;
    let url = format!("http://{}/mcp", house.gate.address);
    let call = tools(&["--url", &url, "call", "echo", "--arg", "text=good"]).await;
    assert_eq!(text(&call.stdout), "{\"text\":\"good\"}\n", "{}", text(&call.stderr));
    assert_eq!(house.peer.calls_of("initialize").len(), 0);
    let call = house.peer.calls_of("tools/call").pop().expect("a call");
    assert_eq!(call.header("mcp-name"), Some("echo"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_opened_is_ended() {
    let recorder = Recorder::start().await;
    let configuration = Configuration::default()
        .upstream("peer", &[recorder.address])
        .upstream_key("era: legacy")
        .route("/mcp", "peer");
    let house = House::around(TOLLGATE, recorder, |_| configuration).await;
    let url = format!("http://{}/mcp", house.gate.address);
    let list = tools(&["--url", &url, "list"]).await;
    assert_eq!(text(&list.stdout), "echo\n", "{}", text(&list.stderr));
    let ended = |peer: &Recorder| peer.requests().iter().any(|one| one.method == "DELETE");
    house.peer.wait_until(testkit::DEADLINE, ended).await;
    assert_eq!(house.peer.calls_of("initialize").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_route_of_a_configuration_is_found() {
    let house = House::open(TOLLGATE).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tollgate.yaml");
    // The variable is not set here: the shell of an operator is not the gate's environment.
    let configuration = format!(
        "gate: {{ listen: \"{}\" }}\nupstreams:\n  peer: {{ http: {{ url: \"http://127.0.0.1:1/mcp\" }}, credential: {{ header: {{ Authorization: \"Bearer ${{env:NOT_SET}}\" }} }} }}\nroutes:\n  /mcp: {{ upstreams: [peer] }}\n",
        house.gate.address
    );
    std::fs::write(&file, configuration).expect("written");
    let file = file.to_str().expect("text");
    let list = tools(&["-c", file, "list"]).await;
    assert_eq!(text(&list.stdout), "echo\n", "{}", text(&list.stderr));
    let list = tools(&["-c", file, "--route", "/nowhere", "list"]).await;
    assert!(text(&list.stderr).contains("no route `/nowhere`; the routes are: /mcp"));
}

/// Answers a server of the legacy era by hand; `more` has what is special about it.
fn by_hand(request: &Recorded, more: impl Fn(&Value) -> Option<Reply>) -> Reply {
    let body = request.json();
    if let Some(reply) = more(&body) {
        return reply;
    }
    let answer = |result: Value| {
        Reply::json(&json!({ "jsonrpc": "2.0", "id": body["id"], "result": result }))
    };
    match (request.method.as_str(), body["method"].as_str()) {
        ("DELETE", _) => Reply::status(200, &[], b""),
        (_, Some("initialize")) => answer(json!({
            "protocolVersion": "2025-11-25", "capabilities": { "tools": {} }, "serverInfo": { "name": "hand" },
        })),
        (_, Some("server/discover")) => Reply::status(400, &[], b"no session"),
        (_, Some("tools/list")) => {
            let page = body["params"]["cursor"].as_str().unwrap_or("0").to_owned();
            let mut result = json!({ "tools": [{ "name": format!("tool-{page}") }] });
            if page != "2" {
                result["nextCursor"] =
                    json!((page.parse::<u8>().expect("a number") + 1).to_string());
            }
            answer(result)
        }
        _ => Reply::accepted(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_read() {
    let server = Recorder::scripted(|request| by_hand(request, |_| None)).await;
    let list = tools(&["--url", &format!("http://{}/mcp", server.address), "list"]).await;
    assert_eq!(text(&list.stdout), "tool-0\ntool-1\ntool-2\n", "{}", text(&list.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_legacy_server_is_answered_within_its_stream() {
    let answered = watch::Sender::new(false);
    let heard = answered.clone();
    let server = Recorder::scripted(move |request| {
        by_hand(request, |body| match body["method"].as_str() {
            Some("tools/call") => {
                let question = json!({ "jsonrpc": "2.0", "id": "q", "method": "elicitation/create",
                    "params": { "message": "Really?", "requestedSchema": {} } });
                let content = json!([{ "type": "text", "text": "done" }]);
                let result =
                    json!({ "jsonrpc": "2.0", "id": body["id"], "result": { "content": content } });
                Some(
                    Reply::stream()
                        .event(&question.to_string())
                        .then(Act::Wait(heard.subscribe()))
                        .event(&result.to_string())
                        .end(),
                )
            }
            None if body["id"] == "q" && body["result"]["action"] == "decline" => {
                heard.send_replace(true);
                Some(Reply::accepted())
            }
            _ => None,
        })
    })
    .await;
    let url = format!("http://{}/mcp", server.address);
    let call = tools(&["--url", &url, "--timeout", "10", "call", "tool-0"]).await;
    assert_eq!(text(&call.stdout), "done\n", "{}", text(&call.stderr));
    assert!(*answered.borrow());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_mcp_server_is_said_in_words() {
    for (reply, words) in [
        (Reply::status(404, &[], b"nothing\x1b[2J here"), "there is no MCP endpoint at this URL"),
        (Reply::status(401, &[], b""), "it wants a credential"),
        (
            Reply::status(200, &[("content-type", "application/json")], b"{"),
            "not a JSON-RPC message",
        ),
        (Reply::status(503, &[], b"busy"), "it is in trouble itself; it said: busy"),
        (Reply::raw(*b"SSH-2.0-x\r\n"), "does not speak HTTP/1.1"),
    ] {
        let server = Recorder::scripted(move |_| reply.clone()).await;
        let list = tools(&["--url", &format!("http://{}/mcp", server.address), "list"]).await;
        assert_eq!(list.status.code(), Some(1));
        let said = text(&list.stderr);
        assert!(said.contains(words) && !said.contains('\u{1b}'), "{words}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_is_not_running_is_said_so() {
    let list = tools(&["--url", "http://127.0.0.1:1/mcp", "list"]).await;
    let said = text(&list.stderr);
    assert!(said.contains("it refused the connection; is the gate running?"), "{said}");
    assert_eq!(list.status.code(), Some(1));
}
