//! F6 and I9 on a hub: an upstream with several instances. Each leg stays with one of them, is lost
//! with it, and lists go on from those that are left.

use crate::GATE;
use serde_json::json;
use std::time::{Duration, Instant};
use testkit::{Agent, Configuration, DEADLINE, GateProcess, Member, Recorder};

const TOOLS: &str = "tools/list";

#[tokio::test]
async fn legs_stay_with_their_instance_and_are_lost_with_it() {
    let members = [(); 2].map(|()| Member::with_tools(&["x"]));
    let other = Recorder::of_member(&Member::with_tools(&["y"])).await;
    let one = Recorder::of_member(&members[0]).await;
    let two = Recorder::of_member(&members[1]).await;
    let file = Configuration::default()
        .upstream("pool", &[one.address, two.address])
        .upstream_key("era: both")
        .http_key("health: { every: 200ms, timeout: 200ms }")
        .upstream("other", &[other.address])
        .upstream_key("era: both")
        .route("/mcp", "pool, other");
    let gate = GateProcess::start(GATE, &file.text()).await;
    let mut agents: Vec<(Agent, bool)> = Vec::new();
    let are_mixed = |agents: &[(Agent, bool)]| {
        let lost = agents.iter().filter(|(_, is_on_one)| *is_on_one).count();
        (1..agents.len()).contains(&lost)
    };
    // Which instance it is, is chance between equals.
    while agents.len() < 6 || !are_mixed(&agents) {
        assert!(agents.len() < 64, "all on one instance");
        let agent = Agent::open(gate.address).await;
        let before = one.calls_of("tools/call").len();
        for _ in 0..3 {
            assert_eq!(agent.called("pool__x").await, "x");
        }
        let on_one = one.calls_of("tools/call").len() - before;
        assert!(on_one == 0 || on_one == 3, "a leg moved: {on_one}");
        agents.push((agent, on_one == 3));
    }
    assert_eq!(agents[0].0.names(TOOLS).await, ["pool__x", "other__y"]);
    drop(one);
    for (agent, is_on_one) in &agents {
        if *is_on_one {
            let answer = agent.call("pool__x").await;
            assert!([502, 503].contains(&answer.status), "{} {}", answer.status, answer.text());
        }
        let deadline = Instant::now() + DEADLINE;
        while agent.call("pool__x").await.status != 200 {
            assert!(Instant::now() < deadline, "no new leg at the other instance");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(agent.called("other__y").await, "y");
    }
    // The gate's own sessions move, too.
    members[1].offer(TOOLS, &["x", "new"]);
    let agent = Agent::open(gate.address).await;
    let deadline = Instant::now() + 3 * DEADLINE;
    loop {
        let names = agent.names(TOOLS).await;
        if names == ["pool__x", "pool__new", "other__y"] {
            break;
        }
        assert_eq!(names, ["pool__x", "other__y"], "the last good list stays");
        assert!(Instant::now() < deadline, "the list is never read again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let status = gate.status().await;
    assert!(status["upstreams"][0]["lists_trouble"].is_null(), "{status:#}");
}

#[tokio::test]
async fn recoverable_legs_move_to_the_instance_that_is_left() {
    let members = [(); 2].map(|()| Member::with_tools(&["x"]));
    let other = Recorder::of_member(&Member::with_tools(&["y"])).await;
    let one = Recorder::of_member(&members[0]).await;
    let two = Recorder::of_member(&members[1]).await;
    let file = Configuration::default()
        .upstream("pool", &[one.address, two.address])
        .upstream_key("era: both")
        .upstream_key("sessions: recoverable")
        .http_key("health: { every: 200ms, timeout: 200ms }")
        .upstream("other", &[other.address])
        .upstream_key("era: both")
        .route("/mcp", "pool, other");
    let gate = GateProcess::start(GATE, &file.text()).await;
    let mut agents = Vec::new();
    while agents.len() < 6 || one.calls_of("tools/call").is_empty() {
        assert!(agents.len() < 64, "all on one instance");
        let agent = Agent::open(gate.address).await;
        assert_eq!(agent.called("pool__x").await, "x");
        agent.ask("logging/setLevel", &json!({ "level": "debug" })).await;
        agents.push(agent);
    }
    let before = two.calls_of("tools/call").len();
    drop(one);
    for agent in &agents {
        assert_eq!(agent.called("pool__x").await, "x");
    }
    assert_eq!(two.calls_of("tools/call").len(), before + agents.len());
}
