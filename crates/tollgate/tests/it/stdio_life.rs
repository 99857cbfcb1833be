//! Processes of servers on stdio: that they are started as they should be, and that nothing is left of
//! them after any end (attack rows 103 and 104, failure F37).

use crate::GATE;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use testkit::stdio::{modern_tool, processes, tool_call};
use testkit::{DEADLINE, StdioHouse};

async fn house(habits: &[&str], keys: &str) -> StdioHouse {
    StdioHouse::open(GATE, habits, &format!("stop: 300ms\n      {keys}")).await
}

/// Waits until nothing is left of a house whose gate has gone.
async fn nothing_is_left(mark: &StdioHouse, limit: Duration) {
    mark.wait_for_processes(0, limit).await;
}

#[tokio::test]
async fn a_process_gets_the_environment_and_folder_of_the_file_and_no_more() {
    let house = house(&[], "cwd: /\n      inherit_env: [PATH]").await;
    let session = house.session("a", &json!({})).await;
    let given = house.call(&session, "env", json!({})).await;
    let given: Value = serde_json::from_str(&given).expect("JSON");
    assert_eq!(given["cwd"], "/");
    let variables = given["env"].as_object().expect("variables");
    for name in ["PATH", "SCRIPT_LOG", "SCRIPT_MARK"] {
        assert!(variables.contains_key(name), "{variables:?}");
    }
    // The gate has both, from the test runner.
    for name in ["HOME", "CARGO_MANIFEST_DIR"] {
        assert!(std::env::var_os(name).is_some() && !variables.contains_key(name), "{variables:?}");
    }
}

#[tokio::test]
async fn the_end_of_a_session_ends_its_process() {
    let house = house(&[], "idle: 1m").await;
    let session = house.session("a", &json!({})).await;
    assert_eq!(house.processes().len(), 2);
    assert_eq!(house.end(&session).await, 204);
    nothing_is_left(&house, DEADLINE).await;
}

#[tokio::test]
async fn a_process_nobody_uses_is_ended_and_started_again() {
    let house = house(&[], "idle: 1s").await;
    let session = house.session("a", &json!({})).await;
    let used = Instant::now();
    while used.elapsed() < Duration::from_secs(2) {
        assert_eq!(house.call(&session, "echo", json!({ "text": "x" })).await, "x");
    }
    assert_eq!(house.call(&session, "sleep", json!({ "seconds": 2 })).await, "slept");
    nothing_is_left(&house, DEADLINE).await;
    let gone = house.ask(&tool_call(&session, json!(1), "echo", json!({ "text": "x" }))).await;
    assert_eq!(gone.status, 404);
    let modern = house.ask(&modern_tool("echo", json!({ "text": "x" }))).await;
    assert_eq!(modern.status, 200, "{}", modern.text());
    nothing_is_left(&house, DEADLINE).await;
}

#[tokio::test]
async fn a_stuck_process_and_its_grandchildren_end_with_the_session() {
    let house = house(&["stuck"], "idle: 1m").await;
    let session = house.session("a", &json!({})).await;
    for _ in 0..3 {
        house.call(&session, "grandchild", json!({})).await;
    }
    assert_eq!(house.processes().len(), 5);
    assert_eq!(house.end(&session).await, 204);
    nothing_is_left(&house, DEADLINE).await;
}

#[tokio::test]
async fn a_process_that_dies_leaves_no_grandchildren_and_no_zombies() {
    let house = house(&[], "idle: 1m").await;
    let session = house.session("a", &json!({})).await;
    house.call(&session, "grandchild", json!({})).await;
    let lost = house.ask(&tool_call(&session, json!(1), "exit", json!({}))).await;
    assert_eq!(lost.status, 502);
    nothing_is_left(&house, DEADLINE).await;
}

#[tokio::test]
async fn sigterm_to_the_gate_ends_all_processes_before_it_ends() {
    let mut house = house(&["stuck"], "idle: 1m").await;
    for name in ["a", "b", "c"] {
        let session = house.session(name, &json!({})).await;
        house.call(&session, "grandchild", json!({})).await;
    }
    assert_eq!(house.processes().len(), 9);
    let status = house.gate.terminate(2 * DEADLINE).await;
    assert!(status.success(), "{status}");
    assert_eq!(house.processes(), Vec::<u32>::new());
}

#[tokio::test]
async fn sigkill_to_the_gate_ends_all_processes_too() {
    let mut house = house(&["stuck"], "idle: 1m").await;
    for name in ["a", "b", "c"] {
        let session = house.session(name, &json!({})).await;
        house.call(&session, "grandchild", json!({})).await;
    }
    assert_eq!(house.processes().len(), 9);
    house.gate.signal("KILL");
    house.gate.ended(DEADLINE).await;
    nothing_is_left(&house, DEADLINE).await;
}

#[tokio::test]
async fn a_killed_guard_takes_its_process_along() {
    let house = house(&["stuck"], "idle: 1m").await;
    let session = house.session("a", &json!({})).await;
    let status = house.gate.status().await;
    let why = status["upstreams"][0]["endpoints"][0]["why"].as_str().expect("a text").to_owned();
    let guard = why.split("guards: ").nth(1).expect("a guard").split(';').next().expect("its id");
    let killed = std::process::Command::new("kill").args(["-KILL", guard]).status();
    assert!(killed.expect("kill runs").success());
    nothing_is_left(&house, DEADLINE).await;
    let gone = house.ask(&tool_call(&session, json!(1), "echo", json!({ "text": "x" }))).await;
    assert_eq!(gone.status, 404);
}

#[tokio::test]
async fn a_crash_loop_is_told_to_callers_within_a_second_and_tried_again_later() {
    let house = house(&["crash"], "backoff: { first: 1s, max: 2s }").await;
    let mut told = 0;
    for n in 0..5 {
        let begun = Instant::now();
        let refused = house.initialize("a", &json!({})).await;
        assert_eq!(refused.status, 503, "{}", refused.text());
        assert!(refused.text().contains("exited with code 3"), "{}", refused.text());
        // Without another start they are told at once; a start takes as long as the program does.
        let is_told = refused.text().contains("it is started again in");
        let limit = if is_told { Duration::from_millis(500) } else { DEADLINE };
        assert!(begun.elapsed() < limit, "{n}: {:?}", begun.elapsed());
        told += usize::from(is_told);
    }
    assert!(told > 0, "nobody was told without another start");
    let started = house.gate.stderr().matches("process started").count();
    assert!(started <= 4, "{started} starts for five calls");
    // For operators only: it may hold anything.
    let why = house.gate.status().await["upstreams"][0]["endpoints"][0]["why"].to_string();
    assert!(why.contains("DATABASE is not reachable"), "{why}");
    let refused = house.initialize("a", &json!({})).await;
    assert!(!refused.text().contains("DATABASE"), "{}", refused.text());
    let begun = Instant::now();
    while house.gate.stderr().matches("process started").count() == started {
        assert!(begun.elapsed() < DEADLINE, "it is not tried again");
        house.initialize("a", &json!({})).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_command_that_is_not_there_is_named() {
    let house = StdioHouse::open(GATE, &[], "stop: 300ms").await;
    let text = std::fs::read_to_string(house.gate.beside("tollgate.yaml")).expect("a file");
    house.gate.rewrite(&text.replace("command: python3", "command: no-such-program"));
    let begun = Instant::now();
    loop {
        let refused = house.initialize("a", &json!({})).await;
        if refused.status == 503 {
            break;
        }
        assert!(begun.elapsed() < DEADLINE, "the change is not applied");
    }
    let log = house.gate.stderr();
    assert!(log.contains("`no-such-program` is not in PATH="), "{log}");
}

#[tokio::test]
async fn no_more_processes_run_than_may_and_idle_ones_make_room() {
    let house = house(&[], "processes: 2").await;
    let modern = house.ask(&modern_tool("echo", json!({ "text": "x" }))).await;
    assert_eq!(modern.status, 200, "{}", modern.text());
    let first = house.session("a", &json!({})).await;
    let _second = house.session("b", &json!({})).await;
    assert_eq!(house.processes().len(), 4);
    let refused = house.initialize("c", &json!({})).await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.text().contains("all 2 lines"), "{}", refused.text());
    assert_eq!(house.end(&first).await, 204);
    let begun = Instant::now();
    while house.initialize("c", &json!({})).await.status != 200 {
        assert!(begun.elapsed() < DEADLINE, "no room after the end of a session");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_changed_configuration_ends_the_processes_of_the_old_one_behind_their_calls() {
    let house = house(&[], "idle: 1m").await;
    let (busy, idle) =
        (house.session("busy", &json!({})).await, house.session("idle", &json!({})).await);
    let mut stream = house.stream(&idle).await;
    let mut call = house.connect().await;
    call.send(&tool_call(&busy, json!(1), "sleep", json!({ "seconds": 2 })).bytes()).await;
    house.wait_for_received(|message| message["params"]["name"] == "sleep").await;
    house.reconfigure(&[], "stop: 200ms");
    let answer = call.response().await.expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
    nothing_is_left(&house, DEADLINE).await;
    assert!(stream.event().await.is_none(), "the stream of a session that is gone goes on");
    let gone = house.ask(&tool_call(&idle, json!(1), "echo", json!({ "text": "x" }))).await;
    assert_eq!(gone.status, 404);
}

#[tokio::test]
async fn nothing_is_left_of_agents_that_come_and_go_while_servers_die() {
    let house = house(&[], "isolation: session\n      processes: 40").await;
    let agents = (0..8).map(|n| {
        let house = &house;
        async move {
            let name = format!("agent-{n}");
            for round in 0..4 {
                let session = house.session(&name, &json!({})).await;
                house.call(&session, "grandchild", json!({})).await;
                match (n + round) % 4 {
                    0 => assert_eq!(house.end(&session).await, 204),
                    1 => {
                        let exit = tool_call(&session, json!(1), "exit", json!({}));
                        assert_eq!(house.ask(&exit).await.status, 502);
                    }
                    2 => {
                        // It leaves in the middle of a call, and is gone before its answer.
                        let mut client = house.connect().await;
                        let sleep = tool_call(&session, json!(1), "sleep", json!({ "seconds": 1 }));
                        client.send(&sleep.bytes()).await;
                        drop(client);
                        assert_eq!(house.end(&session).await, 204);
                    }
                    _ => {
                        let modern = house.ask(&modern_tool("grandchild", json!({}))).await;
                        assert_eq!(modern.status, 200, "{}", modern.text());
                        house.end(&session).await;
                    }
                }
            }
        }
    });
    futures_util::future::join_all(agents).await;
    // Modern agents share one process here: a guard, a server, and eight grandchildren of it.
    house.wait_for_processes(10, 2 * DEADLINE).await;
    house.reconfigure(&[], "stop: 200ms");
    nothing_is_left(&house, DEADLINE).await;
    assert_eq!(house.gate.status().await["gate"]["orphans"], 0);
}

#[tokio::test]
async fn limits_of_the_operating_system_hold_for_the_process() {
    let house = house(&[], "limits: { open_files: 32, memory: 2GiB, cpu: 1000s }").await;
    let session = house.session("a", &json!({})).await;
    let state = house.call(&session, "state", json!({})).await;
    let pid = serde_json::from_str::<Value>(&state).expect("JSON")["pid"].clone();
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).expect("a process");
    for expected in [
        ("Max open files", "32 32"),
        ("Max address space", "2147483648 2147483648"),
        ("Max cpu time", "1000 1000"),
        ("Max core file size", "0 0"),
    ] {
        let line = limits.lines().find(|line| line.starts_with(expected.0)).expect("a limit");
        let words: Vec<&str> = line[expected.0.len()..].split_whitespace().collect();
        assert_eq!(words[..2].join(" "), expected.1, "{line}");
    }
    assert!(processes("no such mark", 0).is_empty());
}
