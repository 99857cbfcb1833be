//! How exact a limit is under more calls than it allows, and what a runaway agent costs another one.

use super::window;
use crate::bench::cells::Era;
use crate::bench::hub::HubSettings;
use crate::bench::identity::Governed;
use crate::bench::identity::credentials::Credentials;
use crate::bench::lanes::Stage;
use crate::bench::load::generate;
use crate::bench::tell;
use anyhow::Context;
use serde_json::Value;

/// Calls offered, and allowed, per second.
const OFFERED: u32 = 10_000;
const ALLOWED: u32 = 5_000;
/// Seconds in which the two are compared, whatever `--seconds` says for the rest.
const MINUTE: f64 = 60.0;
/// Calls per second of the agent that behaves, and what one that does not may make.
const GOOD: &str = "200";
const RUNAWAY_LIMIT: &str = "limits: { per_agent: { requests: { rate: 1000/s, burst: 1000 } } }\n";

/// Offers twice what a limit allows, for a minute.
pub(super) fn exactness(stage: &Stage, settings: HubSettings) -> anyhow::Result<String> {
    tell(&format!("exactness: {OFFERED}/s offered, {ALLOWED}/s allowed, {MINUTE} s"));
    let upstream = stage.start_upstream()?;
    let limits = format!(
        "limits: {{ per_agent: {{ requests: {{ rate: {ALLOWED}/s, burst: {} }} }} }}\n",
        ALLOWED / 10
    );
    let door = stage.open_with(&upstream, &limits)?;
    let mut args: Vec<String> =
        ["calls", "--tool", "json_1k", "--takes-limits", "--rate"].map(str::to_owned).into();
    args.push(OFFERED.to_string());
    // The burst is used up before the window opens.
    args.extend(window(HubSettings { warmup: 2.0, seconds: MINUTE, ..settings }));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let measured = generate(stage, &door, Era::Modern.name(), &args)?;
    let number = |name: &str| measured[name].as_f64().unwrap_or_default();
    let seconds = number("window_ns") / 1e9;
    let due = f64::from(ALLOWED) * seconds;
    Ok(format!(
        "\n| a limit of {ALLOWED}/s, {seconds:.1} s | calls |\n|---|---|\n| offered | {:.0} |\n| \
         refused | {:.0} |\n| served | {:.0} |\n| due | {due:.0} |\n| error | {:.3} % |\n",
        number("calls") + number("limited"),
        number("limited"),
        number("calls"),
        (number("calls") / due - 1.0) * 100.0,
    ))
}

/// Lets an agent call 200 times a second, alone and beside one that calls as fast as it can.
pub(super) fn runaway(stage: &Stage, settings: HubSettings) -> anyhow::Result<String> {
    let upstream = stage.start_upstream()?;
    let gate = stage.open_identified(&upstream, RUNAWAY_LIMIT)?;
    let credentials = Credentials::make(&gate)?;
    let file = |kind| -> anyhow::Result<String> {
        credentials.file(kind, false)?.context("there are no tokens")
    };
    let (good, runaway) = (file("JWT, one agent")?, file("API key")?);
    let mut text =
        "\n| p99 of 200 calls/s, ms | quiet | beside a runaway agent | ratio | runaway: \
                    served/s | refused/s |\n|---|---|---|---|---|---|\n"
            .to_owned();
    for round in 0..settings.rounds {
        tell(&format!("round {} of {}: runaway", round + 1, settings.rounds));
        let quiet = agent(stage, &gate, (&good, &["--rate", GOOD]), settings)?;
        let longer = HubSettings { seconds: settings.seconds + 1.0, warmup: 0.0, ..settings };
        let (beside, loops) = std::thread::scope(|scope| {
            let looping =
                scope.spawn(|| agent(stage, &gate, (&runaway, &["--connections", "4"]), longer));
            std::thread::sleep(std::time::Duration::from_millis(300));
            let beside = agent(stage, &gate, (&good, &["--rate", GOOD]), settings);
            (beside, looping.join())
        });
        let (beside, loops) = (beside?, loops.map_err(|_| anyhow::anyhow!("it panicked"))??);
        let p99 = |value: &Value| value["p99_ns"].as_f64().unwrap_or_default() / 1e6;
        let per_second = |name: &str| {
            let secs = loops["window_ns"].as_f64().unwrap_or_default() / 1e9;
            loops[name].as_f64().unwrap_or_default() / secs.max(1e-9)
        };
        text.push_str(&format!(
            "| round {} | {:.3} | {:.3} | {:.2} | {:.0} | {:.0} |\n",
            round + 1,
            p99(&quiet),
            p99(&beside),
            p99(&beside) / p99(&quiet).max(1e-9),
            per_second("calls"),
            per_second("limited"),
        ));
    }
    Ok(text)
}

fn agent(
    stage: &Stage,
    gate: &Governed,
    (tokens, pace): (&str, &[&str]),
    settings: HubSettings,
) -> anyhow::Result<Value> {
    let mut args: Vec<&str> =
        vec!["--tokens", tokens, "calls", "--tool", "json_1k", "--takes-limits"];
    args.extend(pace);
    let window = window(settings);
    args.extend(window.iter().map(String::as_str));
    generate(stage, &gate.door, Era::Modern.name(), &args)
}
