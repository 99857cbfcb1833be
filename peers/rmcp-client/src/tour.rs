//! The tour: everything in `peers/clients/tour.json` that the members of an aggregate offer, through
//! the aggregate or directly. Results are reported whole, to be compared to the last member.
#![expect(deprecated, reason = "legacy servers are asked in the legacy way")]

use crate::hear::{Ear, Heard};
use rmcp::RoleClient;
use rmcp::model::{PaginatedRequestParams, ServerNotification, SetLevelRequestParams};
use rmcp::service::{RunningService, ServiceError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// How often a change is triggered until it is told, and how long each time is waited for it.
const TURNS: u32 = 20;
const TURN: Duration = Duration::from_millis(500);
/// Most pages of one list.
const PAGES_MAX: u32 = 100;
const KINDS: [&str; 4] = ["tools", "resources", "resourceTemplates", "prompts"];

type Client = RunningService<RoleClient, Ear>;

/// One connection, and how its members are called on it.
pub(crate) struct Tour<'a> {
    /// The connection.
    pub(crate) client: &'a Client,
    /// What it hears.
    pub(crate) heard: &'a Heard,
    /// Whether names say which member is meant.
    pub(crate) hub: bool,
    /// The plan of all members.
    pub(crate) plan: &'a Value,
}

fn tried<T: Serialize>(result: Result<T, ServiceError>) -> Value {
    match result {
        // INVARIANT: what came as JSON goes as JSON.
        Ok(result) => serde_json::to_value(result).unwrap_or_default(),
        Err(ServiceError::McpError(error)) => json!({"refused": error.code.0, "data": error.data}),
        Err(error) => json!({"refused": error.to_string(), "data": null}),
    }
}

fn typed<T: DeserializeOwned>(value: Value) -> anyhow::Result<T> {
    Ok(serde_json::from_value(value)?)
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

impl Tour<'_> {
    fn named(&self, member: &str, name: &Value) -> String {
        let name = name.as_str().unwrap_or_default();
        if self.hub { format!("{member}__{name}") } else { name.to_owned() }
    }

    fn uri(&self, member: &str, uri: &Value) -> String {
        let uri = uri.as_str().unwrap_or_default();
        if self.hub { format!("tollgate+{member}:{uri}") } else { uri.to_owned() }
    }

    fn is_modern(&self) -> bool {
        self.version() == "2026-07-28"
    }

    fn version(&self) -> String {
        let info = self.client.peer_info();
        info.map(|info| info.protocol_version.to_string()).unwrap_or_default()
    }

    /// Does everything with the `members`.
    pub(crate) async fn report(&self, members: &[&str]) -> anyhow::Result<Value> {
        let mut report = json!({"version": self.version(), "level": null, "ping": null});
        if !self.is_modern() {
            let level: SetLevelRequestParams = typed(json!({"level": "info"}))?;
            report["level"] = emptied(tried(self.client.set_level(level).await));
            let ping = rmcp::model::PingRequest::default();
            report["ping"] = match self.client.send_request(ping.into()).await {
                Ok(_) => json!({}),
                Err(error) => json!({"refused": error.to_string()}),
            };
        }
        let lists = self.lists().await;
        report["members"] = json!({});
        for member in members {
            report["members"][*member] = self.visit(member).await?;
        }
        report["again"] = (self.lists().await == lists).into();
        report["lists"] = lists;
        Ok(report)
    }

    /// Every list, page by page.
    async fn lists(&self) -> Value {
        let mut seen = json!({"pages": {}});
        for kind in KINDS {
            let (mut all, mut cursor, mut pages) = (Vec::new(), None, 0);
            loop {
                let page = self.page(kind, cursor).await;
                if page.get("refused").is_some() {
                    seen[kind] = page;
                    break;
                }
                pages += 1;
                all.extend(items(&page[kind]).cloned());
                cursor = page["nextCursor"].as_str().map(str::to_owned);
                if cursor.is_none() || pages == PAGES_MAX {
                    seen[kind] = all.into();
                    break;
                }
            }
            seen["pages"][kind] = pages.into();
        }
        seen
    }

    async fn page(&self, kind: &str, cursor: Option<String>) -> Value {
        let page = Some(PaginatedRequestParams::default().with_cursor(cursor));
        match kind {
            "tools" => tried(self.client.list_tools(page).await),
            "resources" => tried(self.client.list_resources(page).await),
            "prompts" => tried(self.client.list_prompts(page).await),
            _ => tried(self.client.list_resource_templates(page).await),
        }
    }

    /// Everything of the plan with one member, by feature.
    async fn visit(&self, member: &str) -> anyhow::Result<Value> {
        let plan = &self.plan["members"][member];
        let era = if self.is_modern() { "modern" } else { "legacy" };
        let mut saw = json!({});
        for it in items(&plan["calls"]) {
            if it.get("eras").is_none_or(|eras| items(eras).any(|one| one == era)) {
                let feature = it["feature"].as_str().unwrap_or("calls");
                keep(&mut saw, feature, self.call(member, it).await?);
            }
        }
        for uri in items(&plan["reads"]) {
            let params = typed(json!({"uri": self.uri(member, uri)}))?;
            let read = tried(self.client.read_resource(params).await);
            keep(&mut saw, "reads", json!([uri, read]));
        }
        for it in items(&plan["prompts"]) {
            let params =
                json!({"name": self.named(member, &it["name"]), "arguments": it["arguments"]});
            let got = tried(self.client.get_prompt(typed(params)?).await);
            keep(&mut saw, "prompts", json!([it["name"], got]));
        }
        for it in items(&plan["completions"]) {
            let of = match it.get("prompt") {
                Some(prompt) => json!({"type": "ref/prompt", "name": self.named(member, prompt)}),
                None => json!({"type": "ref/resource", "uri": self.uri(member, &it["template"])}),
            };
            let params = typed(json!({"ref": of, "argument": it["argument"]}))?;
            keep(&mut saw, "completion", json!([it, tried(self.client.complete(params).await)]));
        }
        if let Some(watch) = plan.get("watch") {
            saw["updates"] =
                self.told(member, watch, Some(self.uri(member, &watch["uri"]))).await?;
        }
        if let Some(change) = plan.get("change") {
            saw["changed"] = self.told(member, change, None).await?;
        }
        if let Some(log) = plan.get("log") {
            drop(self.heard.take_logs());
            self.call(member, log).await?;
            let wanted = log["messages"].as_u64().unwrap_or(0);
            until(10 * TURN, || self.heard.logs().len() as u64 >= wanted).await;
            saw["logging"] = self.heard.take_logs().into();
        }
        Ok(saw)
    }

    async fn call(&self, member: &str, plan: &Value) -> anyhow::Result<Value> {
        let before = self.heard.asked().len();
        let result = self.triggered(member, plan, 0).await?;
        // The last notification may be handled just after the result.
        tokio::time::sleep(LOOK).await;
        let mut asked = self.heard.asked().split_off(before);
        asked.sort_by_key(ToString::to_string);
        Ok(json!([plan["tool"], result, self.heard.take_progress(), asked]))
    }

    async fn triggered(&self, member: &str, plan: &Value, turn: u32) -> anyhow::Result<Value> {
        let arguments = plan["arguments"].to_string().replace("{n}", &turn.to_string());
        let arguments: Value = serde_json::from_str(&arguments)?;
        let mut params = json!({"name": self.named(member, &plan["tool"]), "arguments": arguments});
        if self.is_modern() {
            params["_meta"] = json!({"io.modelcontextprotocol/logLevel": "info"});
        }
        Ok(tried(self.client.call_tool(typed(params)?).await))
    }

    /// Triggers a change until it is told; says what was told.
    async fn told(&self, member: &str, plan: &Value, uri: Option<String>) -> anyhow::Result<Value> {
        let heard = if uri.is_some() { &self.heard.watched } else { &self.heard.changed };
        heard.store(false, Ordering::SeqCst);
        drop(self.heard.take_updates());
        let mut stream = None;
        if self.is_modern() {
            let filter = match &uri {
                Some(uri) => json!({"resourceSubscriptions": [uri]}),
                None => json!({"toolsListChanged": true}),
            };
            match self.client.listen(typed(filter)?).await {
                Ok(opened) => stream = Some(opened),
                Err(error) => return Ok(tried::<()>(Err(error))),
            }
        } else if let Some(uri) = &uri {
            let subscribed = self.client.subscribe(typed(json!({"uri": uri}))?).await;
            if subscribed.is_err() {
                return Ok(tried(subscribed));
            }
        }
        for turn in 0..TURNS {
            self.triggered(member, plan, turn).await?;
            if let Some(stream) = &mut stream
                && let Ok(Ok(Some(told))) = tokio::time::timeout(TURN, stream.next()).await
            {
                if let ServerNotification::ResourceUpdatedNotification(updated) = told {
                    self.heard.update(&updated.params.uri);
                }
                heard.store(true, Ordering::SeqCst);
            }
            if until(TURN, || heard.load(Ordering::SeqCst)).await {
                break;
            }
        }
        let ended = match (stream, &uri) {
            (Some(mut stream), _) => {
                stream.cancel().await?;
                if uri.is_some() { json!({}) } else { Value::Null }
            }
            (None, Some(uri)) => {
                emptied(tried(self.client.unsubscribe(typed(json!({"uri": uri}))?).await))
            }
            (None, None) => Value::Null,
        };
        let told = heard.load(Ordering::SeqCst);
        let updates = self.heard.take_updates();
        // A last update may come while something else is waited for.
        let updates = if uri.is_some() { json!(updates) } else { json!([]) };
        Ok(json!({"told": told, "updates": updates, "ended": ended}))
    }
}

/// What an SDK makes of an empty result.
fn emptied(result: Value) -> Value {
    if result.is_null() { json!({}) } else { result }
}

fn keep(saw: &mut Value, feature: &str, what: Value) {
    match saw[feature].as_array_mut() {
        Some(list) => list.push(what),
        None => saw[feature] = json!([what]),
    }
}

async fn until(patience: Duration, holds: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    while !holds() && Instant::now() < deadline {
        tokio::time::sleep(LOOK).await;
    }
    holds()
}
