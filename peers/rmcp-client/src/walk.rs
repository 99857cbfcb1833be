//! The walk: everything in the plan that the server offers, in the order of the plan.
#![expect(deprecated, reason = "legacy servers are subscribed to in the legacy way")]

use crate::hear::{Ear, Heard};
use anyhow::Context;
use rmcp::RoleClient;
use rmcp::model::{
    CallToolRequestParams, ClientRequest, GetPromptRequestParams, ReadResourceRequestParams,
    SubscribeRequestParams, SubscriptionFilter,
};
use rmcp::service::{PeerRequestOptions, RunningService, ServiceError};
use serde_json::{Map, Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long the client waits for what must come.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

type Client = RunningService<RoleClient, Ear>;

/// Walks the plan and reports.
pub(crate) async fn walk(
    client: &Client,
    heard: &Heard,
    plan: &Value,
    modern: bool,
) -> anyhow::Result<Value> {
    let walk = Walk { client, heard, plan, modern };
    let tools: Vec<String> =
        client.list_all_tools().await?.into_iter().map(|tool| tool.name.into_owned()).collect();
    let offers = |name: &Value| tools.iter().any(|tool| name == tool);
    let version = client.peer_info().map(|info| info.protocol_version.to_string());
    let mut report = json!({"version": version, "tools": tools});
    let change = &plan["change"];
    if offers(&change["trigger"]) {
        let filter = json!({"toolsListChanged": true});
        report["changed"] = walk.told(change, filter, &heard.changed).await?.into();
    }
    let watch = &plan["watch"];
    if offers(&watch["trigger"]) {
        let filter = json!({"resourceSubscriptions": [watch["uri"]]});
        report["watched"] = walk.told(watch, filter, &heard.watched).await?.into();
    }
    let mut calls = Vec::new();
    for call in plan["calls"].as_array().into_iter().flatten() {
        if offers(&call["tool"]) || call["always"] == true {
            calls.push(json!([call["tool"], walk.called(call).await?]));
        }
    }
    report["calls"] = calls.into();
    let logging = &plan["logging"];
    if offers(&logging["tool"]) {
        walk.called(logging).await?;
        let wanted = logging["messages"].as_u64().unwrap_or(0);
        until(|| heard.logs().len() as u64 >= wanted).await;
    }
    if offers(&plan["cancel"]["tool"]) {
        report["cancelled"] = walk.cancelled().await?.into();
    }
    report["resources"] = walk.resources().await?;
    report["prompts"] = walk.prompts().await?;
    report["logs"] = heard.logs().into();
    report["asked"] = heard.asked().into();
    Ok(report)
}

struct Walk<'a> {
    client: &'a Client,
    heard: &'a Heard,
    plan: &'a Value,
    modern: bool,
}

impl Walk<'_> {
    fn params(&self, call: &Value) -> anyhow::Result<CallToolRequestParams> {
        let arguments = call.get("arguments").cloned().unwrap_or_else(|| Map::new().into());
        let mut params = json!({"name": call["tool"], "arguments": arguments});
        if self.modern {
            params["_meta"] = json!({"io.modelcontextprotocol/logLevel": "info"});
        }
        Ok(serde_json::from_value(params)?)
    }

    async fn called(&self, call: &Value) -> anyhow::Result<Value> {
        let result = self.client.call_tool(self.params(call)?).await;
        // The last notification may be handled just after the result.
        tokio::time::sleep(LOOK).await;
        let progress = self.heard.take_progress();
        Ok(match result {
            Ok(result) => {
                let result = serde_json::to_value(result)?;
                json!({
                    "error": result["isError"].as_bool().unwrap_or(false),
                    "content": shown_all(&result["content"]),
                    "structured": result["structuredContent"],
                    "progress": progress
                })
            }
            Err(ServiceError::McpError(error)) => json!({"refused": error.code.0}),
            Err(error) => json!({"refused": error.to_string()}),
        })
    }

    async fn text(&self, tool: &Value) -> anyhow::Result<String> {
        let answer = self.called(&json!({"tool": tool})).await?;
        let text = answer["content"][0][1].as_str();
        Ok(text.with_context(|| format!("{tool} answered {answer}"))?.to_owned())
    }

    /// Triggers a change until it is told: the stream it is told on may still be opening.
    async fn told(&self, what: &Value, filter: Value, told: &AtomicBool) -> anyhow::Result<bool> {
        let mut subscription = None;
        if self.modern {
            let filter: SubscriptionFilter = serde_json::from_value(filter)?;
            subscription = Some(self.client.listen(filter).await?);
        } else if let Some(uri) = what["uri"].as_str() {
            self.client.subscribe(SubscribeRequestParams::new(uri)).await?;
        }
        let deadline = Instant::now() + PATIENCE;
        while !told.load(Ordering::SeqCst) && Instant::now() < deadline {
            self.called(&json!({"tool": what["trigger"]})).await?;
            match &mut subscription {
                Some(subscription) => {
                    let next = tokio::time::timeout(PATIENCE / 20, subscription.next()).await;
                    told.fetch_or(matches!(next, Ok(Ok(Some(_)))), Ordering::SeqCst);
                }
                None => {
                    let soon = Instant::now() + PATIENCE / 20;
                    while !told.load(Ordering::SeqCst) && Instant::now() < soon {
                        tokio::time::sleep(LOOK).await;
                    }
                }
            }
        }
        if let Some(mut subscription) = subscription {
            subscription.cancel().await?;
        }
        Ok(told.load(Ordering::SeqCst))
    }

    /// Abandons a call, and asks the server whether it noticed.
    async fn cancelled(&self) -> anyhow::Result<bool> {
        let cancel = &self.plan["cancel"];
        let before = self.text(&cancel["counter"]).await?;
        let request = rmcp::model::CallToolRequest::new(self.params(cancel)?);
        let handle = self
            .client
            .send_cancellable_request(
                ClientRequest::CallToolRequest(request),
                PeerRequestOptions::no_options(),
            )
            .await?;
        let pause = cancel["after_millis"].as_u64().unwrap_or(400);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        handle.cancel(Some("enough".to_owned())).await?;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if self.text(&cancel["counter"]).await? != before {
                return Ok(true);
            }
            tokio::time::sleep(PATIENCE / 50).await;
        }
        Ok(false)
    }

    async fn resources(&self) -> anyhow::Result<Value> {
        let listed = self.client.list_all_resources().await?;
        let uris: Vec<String> = listed.into_iter().map(|resource| resource.uri.clone()).collect();
        let has = |uri: &str| uris.iter().any(|listed| listed == uri);
        let mut report = json!({"listed": uris});
        for uri in self.plan["resources"].as_array().into_iter().flatten() {
            let Some(uri) = uri.as_str() else { continue };
            if has(uri) || (uri.contains("template") && has("test://static-text")) {
                let read = self.client.read_resource(ReadResourceRequestParams::new(uri)).await?;
                let contents = serde_json::to_value(read)?["contents"].take();
                let contents = contents.as_array().into_iter().flatten();
                report[uri] = contents.map(read_as).collect();
            }
        }
        Ok(report)
    }

    async fn prompts(&self) -> anyhow::Result<Value> {
        let listed = self.client.list_all_prompts().await?;
        let names: Vec<String> = listed.into_iter().map(|prompt| prompt.name.clone()).collect();
        let mut report = json!({"listed": names});
        for prompt in self.plan["prompts"].as_array().into_iter().flatten() {
            let Some(name) = prompt["name"].as_str() else { continue };
            if names.iter().all(|listed| listed != name) {
                continue;
            }
            let params: GetPromptRequestParams = serde_json::from_value(prompt.clone())?;
            let result = serde_json::to_value(self.client.get_prompt(params).await?)?;
            let messages = result["messages"].as_array().into_iter().flatten();
            report[name] = messages
                .map(|message| json!([message["role"], shown(&message["content"])]))
                .collect();
        }
        Ok(report)
    }
}

async fn until(holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() && Instant::now() < deadline {
        tokio::time::sleep(LOOK).await;
    }
}

fn shown_all(content: &Value) -> Value {
    content.as_array().into_iter().flatten().map(shown).collect()
}

/// A content block as something short that can be compared.
fn shown(block: &Value) -> Value {
    match block["type"].as_str() {
        Some("text") => json!(["text", block["text"]]),
        Some(kind @ ("image" | "audio")) => {
            json!([kind, block["mimeType"], block["data"].as_str().map(str::len)])
        }
        Some("resource") => json!(["resource", block["resource"]["uri"]]),
        _ => json!([block["type"], block["uri"]]),
    }
}

fn read_as(content: &Value) -> Value {
    let text = match content.get("text") {
        Some(text) => text.clone(),
        None => json!(content["blob"].as_str().map(str::len)),
    };
    json!([content["uri"], content["mimeType"], text])
}
