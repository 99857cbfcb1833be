//! Meets a denial and a limit as a user of rmcp does, and reports what was said.
//!
//! `wanted` has `allowed` and `denied` (tool, arguments), `unknown` (a tool) and `turns`.

use crate::hear::Ear;
use anyhow::Context;
use rmcp::RoleClient;
use rmcp::model::CallToolRequestParams;
use rmcp::service::RunningService;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Longest wait a limit may ask for here.
const WAIT_SECS_MAX: u64 = 30;

type Client = RunningService<RoleClient, Ear>;

async fn tried(client: &Client, call: &Value) -> anyhow::Result<Value> {
    let params: CallToolRequestParams =
        serde_json::from_value(json!({"name": call["tool"], "arguments": call["arguments"]}))?;
    let result = match client.call_tool(params).await {
        Ok(result) => serde_json::to_value(result)?,
        Err(error) => return Ok(json!({"refused": error.to_string()})),
    };
    let texts = result["content"].as_array().into_iter().flatten();
    let texts: Vec<&str> = texts.filter_map(|block| block["text"].as_str()).collect();
    let key = if result["isError"] == true { "refused" } else { "said" };
    Ok(json!({key: texts.join(" ")}))
}

/// Meets them.
pub(crate) async fn met(client: &Client, wanted: &Value) -> anyhow::Result<Value> {
    let tools = client.list_all_tools().await?;
    let mut names: Vec<String> = tools.into_iter().map(|tool| tool.name.into_owned()).collect();
    names.sort();
    let mut unknown = wanted["denied"].clone();
    unknown["tool"] = wanted["unknown"].clone();
    let mut report = json!({
        "tools": names,
        "denied": tried(client, &wanted["denied"]).await?,
        "unknown": tried(client, &unknown).await?,
    });
    for turn in 0..wanted["turns"].as_u64().context("no turns")? {
        let answer = tried(client, &wanted["allowed"]).await?;
        if answer["refused"].is_string() {
            (report["limited"], report["turns"]) = (answer["refused"].clone(), turn.into());
            break;
        }
    }
    if let Some(secs) = report["limited"].as_str().and_then(wait_of) {
        let began = Instant::now();
        tokio::time::sleep(Duration::from_secs(secs.min(WAIT_SECS_MAX))).await;
        report["after"] = tried(client, &wanted["allowed"]).await?;
        report["waited"] = began.elapsed().as_secs().into();
    }
    Ok(report)
}

/// The seconds of `wait N s`.
fn wait_of(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once("wait ")?;
    rest.split_once(" s")?.0.parse().ok()
}
