//! Which answer belongs to which method.
//!
//! One [`Everything`] serves all sessions and requests; only the counters of `count` belong to a
//! session.
//!
//! Next: `catalog.rs` (what is listed), `plain.rs` (the simplest tools).

#![expect(
    deprecated,
    reason = "modern revisions have no `logging/setLevel`, and legacy clients still call it"
)]

use crate::catalog::{self, typed};
use crate::jobs::Jobs;
use crate::rounds::Rounds;
use crate::watchers::{Change, WATCHED, Watchers};
use crate::{asks, library, plain};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CancelTaskParams,
    CompleteRequestParams, CompleteResult, GetPromptRequestParams, GetPromptResponse,
    GetTaskParams, GetTaskResult, ListPromptsResult, ListResourceTemplatesResult,
    ListResourcesResult, ListToolsResult, PaginatedRequestParams, ReadResourceRequestParams,
    ReadResourceResponse, ServerConfig, SetLevelRequestParams, SubscribeRequestParams,
    SubscriptionFilter, Tool, UnsubscribeRequestParams, UpdateTaskParams,
};
use rmcp::service::{NotificationContext, RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long clients may keep what was listed or read.
const TTL_MILLIS: u64 = 60_000;
/// Longest `wait`, in milliseconds.
const WAIT_MILLIS_MAX: u64 = 60_000;
/// Most sessions whose calls are counted; later ones are told zero.
const COUNTED_SESSIONS_MAX: usize = 100_000;

/// The server.
#[derive(Debug, Default)]
pub(crate) struct Everything {
    rounds: Rounds,
    jobs: Jobs,
    watchers: Watchers,
    waits_cancelled: AtomicU64,
    counts: Mutex<HashMap<String, u64>>,
}

impl ServerHandler for Everything {
    fn get_info(&self) -> ServerConfig {
        let info = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {
                "tools": {"listChanged": true},
                "prompts": {"listChanged": true},
                "resources": {"listChanged": true, "subscribe": true},
                "logging": {},
                "completions": {},
                "extensions": {"io.modelcontextprotocol/tasks": {}}
            },
            "serverInfo": {"name": "everything", "version": env!("CARGO_PKG_VERSION")}
        });
        // INVARIANT: the JSON above is a valid InitializeResult; the default has no capabilities,
        // and the first scenario would notice.
        typed(info).unwrap_or_default()
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        catalog::tool_named(name).and_then(|tool| typed(tool).ok())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        catalog::complete(listed("tools", &catalog::tools()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        cx: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let client = cx.client_capabilities().unwrap_or_default();
        if let Some(response) = self.rounds.call(&request, &client) {
            return response;
        }
        if let Some(response) = self.jobs.call(&request, &client).await {
            return response;
        }
        let arguments = request.arguments.unwrap_or_default();
        if let Some(result) = plain::constant(&request.name) {
            return result.map(Into::into);
        }
        if let Some(result) = asks::call(&request.name, &arguments, &cx).await {
            return result.map(Into::into);
        }
        self.own(&request.name, &arguments, &cx).await.map(Into::into)
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        catalog::complete(listed("resources", &catalog::resources()))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        catalog::complete(listed("resourceTemplates", &catalog::templates()))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let result = library::read(&request.uri)?;
        let cached = result.with_ttl_ms(TTL_MILLIS);
        Ok(cached.with_cache_scope(rmcp::model::CacheScope::Public).into())
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        catalog::complete(listed("prompts", &catalog::prompts()))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        library::prompt(&request)
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        library::complete(&request)
    }

    async fn set_level(
        &self,
        _: SetLevelRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        cx: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        if request.uri == WATCHED {
            self.watchers.subscribe(cx.peer).await;
        }
        Ok(())
    }

    async fn unsubscribe(
        &self,
        _: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn on_initialized(&self, cx: NotificationContext<RoleServer>) {
        self.watchers.session(cx.peer).await;
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(requested.supported_by(&self.get_info().capabilities))
    }

    async fn listen(&self, cx: SubscriptionContext) -> Result<(), ErrorData> {
        let key = self.watchers.listen(cx.sink().clone()).await;
        cx.cancelled().await;
        self.watchers.leave(key).await;
        Ok(())
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        self.jobs.tasks.get_task(&request.task_id).map(GetTaskResult::new)
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.jobs.tasks.update_task(&request.task_id, request.input_responses)
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.jobs.tasks.cancel_task(&request.task_id)
    }
}

impl Everything {
    async fn own(
        &self,
        name: &str,
        arguments: &Map<String, Value>,
        cx: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, ErrorData> {
        match name {
            "echo" | "test_custom_header" | "json_schema_2020_12_tool" => {
                plain::text(Value::Object(arguments.clone()).to_string())
            }
            "count" => plain::text(self.counted(cx).to_string()),
            "wait" => self.wait(arguments, cx).await,
            "waits_cancelled" => {
                plain::text(self.waits_cancelled.load(Ordering::SeqCst).to_string())
            }
            "test_tool_with_logging" => plain::logging(cx).await,
            "test_logging_tool" => plain::logging_if_asked(cx).await,
            "test_tool_with_progress" => plain::progress(cx).await,
            "test_reconnection" => plain::text("Reconnection test completed"),
            "test_missing_capability" => {
                if cx.client_capabilities().is_some_and(|client| client.sampling.is_some()) {
                    return plain::text("The client samples");
                }
                let needed = typed(json!({"sampling": {}}))?;
                Err(ErrorData::missing_required_client_capability(needed))
            }
            "test_trigger_tool_change" => self.told(Change::Tools).await,
            "test_trigger_prompt_change" => self.told(Change::Prompts).await,
            "test_touch_watched_resource" => self.told(Change::WatchedResource).await,
            _ => Err(ErrorData::invalid_params(format!("there is no tool `{name}`"), None)),
        }
    }

    async fn told(&self, change: Change) -> Result<CallToolResult, ErrorData> {
        self.watchers.tell(change).await;
        plain::text("told")
    }

    /// Waits for the whole time unless it is cancelled, and counts that.
    async fn wait(
        &self,
        arguments: &Map<String, Value>,
        cx: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, ErrorData> {
        let millis = arguments.get("millis").and_then(Value::as_u64).unwrap_or(1_000);
        let over = tokio::time::sleep(Duration::from_millis(millis.min(WAIT_MILLIS_MAX)));
        tokio::select! {
            () = over => plain::text("waited"),
            () = cx.ct.cancelled() => {
                self.waits_cancelled.fetch_add(1, Ordering::SeqCst);
                plain::failure("cancelled")
            }
        }
    }

    /// Counts this call for its session; requests without a session share none and count zero.
    fn counted(&self, cx: &RequestContext<RoleServer>) -> u64 {
        let head = cx.extensions.get::<axum::http::request::Parts>();
        let session = head.and_then(|head| head.headers.get("mcp-session-id"));
        let Some(session) = session.and_then(|session| session.to_str().ok()) else { return 0 };
        let mut counts = self.counts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if counts.len() >= COUNTED_SESSIONS_MAX && !counts.contains_key(session) {
            return 0;
        }
        let count = counts.entry(session.to_owned()).or_default();
        *count += 1;
        *count
    }
}

fn listed(kind: &str, items: &Value) -> Value {
    json!({kind: items, "ttlMs": TTL_MILLIS, "cacheScope": "public"})
}
