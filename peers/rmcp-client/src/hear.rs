//! What the client answers to a server that asks, and what it hears meanwhile.
#![expect(
    deprecated,
    reason = "modern revisions have no sampling and logging of this kind; legacy servers still do"
)]

use rmcp::model::{
    ClientConfig, CreateMessageRequestParams, CreateMessageResult, ElicitRequestParams,
    ElicitResult, ListRootsResult, LoggingMessageNotificationParam, ProgressNotificationParam,
    ResourceUpdatedNotificationParam,
};
use rmcp::service::{NotificationContext, RequestContext};
use rmcp::{ClientHandler, ErrorData, RoleClient};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What was heard so far.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    asked: Mutex<Vec<Value>>,
    logs: Mutex<Vec<Value>>,
    progress: Mutex<Vec<Value>>,
    updates: Mutex<BTreeSet<String>>,
    /// The tools changed.
    pub(crate) changed: AtomicBool,
    /// The watched resource changed.
    pub(crate) watched: AtomicBool,
}

impl Heard {
    /// What the server asked.
    pub(crate) fn asked(&self) -> Vec<Value> {
        guard(&self.asked).clone()
    }

    /// What the server logged.
    pub(crate) fn logs(&self) -> Vec<Value> {
        guard(&self.logs).clone()
    }

    /// What the server logged since this was last called.
    pub(crate) fn take_logs(&self) -> Vec<Value> {
        std::mem::take(&mut *guard(&self.logs))
    }

    /// A resource was updated.
    pub(crate) fn update(&self, uri: &str) {
        guard(&self.updates).insert(uri.to_owned());
    }

    /// The resources updated since this was last called.
    pub(crate) fn take_updates(&self) -> BTreeSet<String> {
        std::mem::take(&mut *guard(&self.updates))
    }

    /// The progress reported since this was last called.
    pub(crate) fn take_progress(&self) -> Vec<Value> {
        std::mem::take(&mut *guard(&self.progress))
    }
}

fn guard<T>(list: &Mutex<T>) -> MutexGuard<'_, T> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

fn typed<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value)
        .map_err(|error| ErrorData::internal_error(format!("own JSON is wrong: {error}"), None))
}

/// The client's side of the protocol.
#[derive(Debug)]
pub(crate) struct Ear {
    /// Where it is written down.
    pub(crate) heard: Arc<Heard>,
    /// What it answers.
    pub(crate) answers: Value,
}

impl ClientHandler for Ear {
    fn get_info(&self) -> ClientConfig {
        // INVARIANT: valid JSON for this type; the default declares nothing, and every walk would
        // differ from the other SDKs'.
        typed(json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {"sampling": {}, "elicitation": {}, "roots": {}},
            "clientInfo": {"name": "rmcp-client", "version": "1"}
        }))
        .unwrap_or_default()
    }

    async fn create_message(
        &self,
        params: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        let message = serde_json::to_value(&params.messages).unwrap_or_default();
        let asked = message[0]["content"]["text"].clone();
        guard(&self.heard.asked).push(json!(["sampling", asked]));
        typed(self.answers["sampling"].clone())
    }

    async fn create_elicitation(
        &self,
        params: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let asked = serde_json::to_value(&params).unwrap_or_default();
        guard(&self.heard.asked).push(json!(["elicitation", asked["message"]]));
        typed(json!({"action": "accept", "content": self.answers["elicitation"]}))
    }

    async fn list_roots(
        &self,
        _: RequestContext<RoleClient>,
    ) -> Result<ListRootsResult, ErrorData> {
        guard(&self.heard.asked).push(json!(["roots"]));
        typed(json!({"roots": self.answers["roots"]}))
    }

    async fn on_progress(
        &self,
        params: ProgressNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        let report = json!([params.progress, params.total, params.message]);
        guard(&self.heard.progress).push(report);
    }

    async fn on_logging_message(
        &self,
        params: LoggingMessageNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        guard(&self.heard.logs).push(json!([params.level, params.data]));
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.heard.changed.store(true, Ordering::SeqCst);
    }

    async fn on_resource_updated(
        &self,
        params: ResourceUpdatedNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.heard.update(&params.uri);
        self.heard.watched.store(true, Ordering::SeqCst);
    }
}
