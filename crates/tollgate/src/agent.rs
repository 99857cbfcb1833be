//! An agent in the shell: a small MCP client over the gate's own connections to upstreams.
//!
//! Speaks the modern era where the other side does, and sessions otherwise; a session it opened it also
//! ends. What a server asks its user is declined: there is nobody to ask. Retries nothing.
//!
//! `agent/post.rs` is one request and what comes back, `agent/words.rs` what is said when it fails.

mod answers;

mod post;

mod words;

pub(crate) use words::AgentError;

use post::{Answer, Header};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use tollgate_core::bounds::{AGENT_ROUNDS_MAX, LIST_PAGES_MAX};
use tollgate_gate::settings::{Transport, UpstreamEra, UpstreamSettings};
use tollgate_gate::upstream::{Endpoint, Upstream, Upstreams};
use tollgate_mcp::era::{legacy, modern};
use tollgate_mcp::headers::{MCP_METHOD, MCP_NAME, MCP_PROTOCOL_VERSION, encode_value};
use url::{Host, Url};

/// What a client says about itself.
const OWN_NAME: &str = "tollgate-shell";

/// A connection to one MCP server, greeted.
#[derive(Debug)]
pub(crate) struct Agent {
    upstream: Arc<Upstream>,
    endpoint: Arc<Endpoint>,
    manner: Manner,
    /// Longest silence that is waited out.
    patience: Duration,
    requests: u64,
    /// What the server asked its user, and was told that nobody is there.
    pub(crate) declined: Vec<String>,
}

/// How the two speak.
#[derive(Clone, Debug)]
enum Manner {
    /// Each request by itself.
    Stateless,
    /// In a session, whose id servers may leave out.
    Session { id: Option<Box<str>>, version: String },
}

/// What a server said about itself when it was greeted.
#[derive(Debug)]
pub(crate) struct Greeting {
    /// The revision that is spoken.
    pub(crate) version: String,
    /// `name version` of the server, as far as it told.
    pub(crate) server: String,
}

impl Agent {
    /// Connects and greets: `server/discover` first, which leaves nothing behind, then `initialize`.
    ///
    /// # Errors
    /// The server cannot be reached, or does not speak MCP.
    pub(crate) async fn connect(
        mut settings: UpstreamSettings,
        patience: Duration,
    ) -> Result<(Self, Greeting), AgentError> {
        // Nobody else uses this connection: nothing is to be watched.
        settings.health.every = Duration::ZERO;
        let (name, era) = (settings.name.clone(), settings.era);
        let is_old = matches!(settings.transport, Transport::Sse) || is_sessions_only(era);
        resolve(&settings.endpoints, patience).await?;
        let upstreams = Upstreams::build(&[settings], None)?;
        let upstream = upstreams.get(&name).cloned().ok_or(AgentError::Nowhere)?;
        upstream.start_background();
        upstream.ready(patience).await;
        let Some(endpoint) = upstream.pick() else {
            let why = upstream.status().into_iter().map(|endpoint| endpoint.why).next();
            return Err(why.map_or(AgentError::Nowhere, AgentError::Unresolved));
        };
        let manner = Manner::Stateless;
        let declined = Vec::new();
        let mut agent = Self { upstream, endpoint, manner, patience, requests: 0, declined };
        let discovered = if is_old { None } else { agent.discover().await? };
        let greeting = match discovered {
            Some(greeting) => Ok(greeting),
            None => agent.initialize().await,
        };
        match greeting {
            Ok(greeting) => Ok((agent, greeting)),
            Err(error) => {
                agent.end().await;
                Err(error)
            }
        }
    }

    /// Asks for the modern era; `None` where only the legacy one is spoken.
    ///
    /// SPEC: 2026-07-28 basic/versioning, Backward Compatibility: what is neither a result nor an error
    /// of that revision comes from a server of the legacy era.
    async fn discover(&mut self) -> Result<Option<Greeting>, AgentError> {
        match self.ask("server/discover", json!({}), &[]).await {
            Ok(result) if speaks_modern(&result["supportedVersions"]) => Ok(Some(Greeting {
                version: modern::VERSION.to_owned(),
                server: named(&result["_meta"]["io.modelcontextprotocol/serverInfo"]),
            })),
            Ok(_) => Ok(None),
            Err(error) if error.may_be_legacy() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn initialize(&mut self) -> Result<Greeting, AgentError> {
        let newest = legacy::Version::OFFERED.map(legacy::Version::as_str)[0];
        self.manner = Manner::Session { id: None, version: String::new() };
        let params = json!({
            "protocolVersion": newest,
            "capabilities": answers::capabilities(),
            "clientInfo": { "name": OWN_NAME, "version": env!("CARGO_PKG_VERSION") },
        });
        let answer = self.send("initialize", params, &[]).await?;
        let version = answer.result["protocolVersion"].as_str().unwrap_or_default().to_owned();
        self.manner = Manner::Session { id: answer.session, version: version.clone() };
        if legacy::Version::parse(&version).is_none() {
            return Err(AgentError::Version(version));
        }
        self.tell(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await?;
        Ok(Greeting { version, server: named(&answer.result["serverInfo"]) })
    }

    /// Makes a request and answers what the server asks meanwhile.
    ///
    /// # Errors
    /// It is refused, or no answer comes.
    pub(crate) async fn ask(
        &mut self,
        method: &str,
        params: Value,
        mirrors: &[Header],
    ) -> Result<Value, AgentError> {
        let mut params = params;
        for _ in 0..AGENT_ROUNDS_MAX {
            let answer = self.send(method, params.clone(), mirrors).await?;
            if answer.result["resultType"] != "input_required" {
                return Ok(answer.result);
            }
            // SPEC: 2026-07-28 basic/patterns/mrtr: the same request again, with answers.
            let mut responses = Map::new();
            for (key, request) in answer.result["inputRequests"].as_object().into_iter().flatten() {
                let response = answers::answer(request, &mut self.declined)
                    .ok_or_else(|| AgentError::Asked(answers::method_of(request)))?;
                responses.insert(key.clone(), response);
            }
            params["inputResponses"] = Value::Object(responses);
            if let Some(state) = answer.result.get("requestState") {
                params["requestState"] = state.clone();
            }
        }
        Err(AgentError::TooManyRounds)
    }

    /// Every page of a list, in order.
    ///
    /// # Errors
    /// A page is refused, or there is no end to them.
    pub(crate) async fn list(&mut self, method: &str, key: &str) -> Result<Vec<Value>, AgentError> {
        let mut items = Vec::new();
        let mut params = json!({});
        for _ in 0..LIST_PAGES_MAX {
            let mut page = self.ask(method, params.clone(), &[]).await?;
            match page[key].take() {
                Value::Array(more) => items.extend(more),
                _ => return Err(AgentError::NoList(key.to_owned())),
            }
            match page["nextCursor"].take() {
                Value::String(cursor) => params["cursor"] = Value::String(cursor),
                _ => return Ok(items),
            }
        }
        Err(AgentError::TooManyPages)
    }

    /// Ends the session, if there is one, and whatever was started for it.
    pub(crate) async fn end(mut self) {
        if matches!(&self.manner, Manner::Session { id: Some(_), .. }) {
            // Nothing depends on it: a server may not even offer it.
            drop(self.delete().await);
        }
        self.upstream.close(self.patience).await;
    }

    async fn send(
        &mut self,
        method: &str,
        mut params: Value,
        mirrors: &[Header],
    ) -> Result<Answer, AgentError> {
        self.requests += 1;
        let mut headers = self.headers();
        if matches!(self.manner, Manner::Stateless) {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": modern::VERSION,
                "io.modelcontextprotocol/clientCapabilities": answers::capabilities(),
                "io.modelcontextprotocol/clientInfo":
                    { "name": OWN_NAME, "version": env!("CARGO_PKG_VERSION") },
            });
            headers.push((MCP_METHOD, encode_value(method)));
            if let Some(name) = params["name"].as_str().or_else(|| params["uri"].as_str()) {
                headers.push((MCP_NAME, encode_value(name)));
            }
            headers.extend_from_slice(mirrors);
        }
        let body =
            json!({ "jsonrpc": "2.0", "id": self.requests, "method": method, "params": params });
        self.exchange(&headers, &body).await
    }

    /// The headers that every message carries.
    fn headers(&self) -> Vec<Header> {
        match &self.manner {
            Manner::Stateless => vec![(MCP_PROTOCOL_VERSION, encode_value(modern::VERSION))],
            Manner::Session { id, version } => {
                let id = id
                    .as_deref()
                    .map(|id| (tollgate_mcp::headers::MCP_SESSION_ID, encode_value(id)));
                let carries = legacy::Version::parse(version)
                    .is_some_and(legacy::Version::carries_version_header);
                let version = carries.then(|| (MCP_PROTOCOL_VERSION, encode_value(version)));
                id.into_iter().chain(version).collect()
            }
        }
    }
}

/// Looks every host name up once: a name without an address is to be said at once, while a gate at work
/// would go on trying.
async fn resolve(endpoints: &[Url], patience: Duration) -> Result<(), AgentError> {
    for url in endpoints {
        let (Some(Host::Domain(name)), Some(port)) = (url.host(), url.port_or_known_default())
        else {
            continue;
        };
        let looking = tokio::net::lookup_host((name, port));
        match tokio::time::timeout(patience, looking).await {
            Ok(Ok(_addresses)) => {}
            Ok(Err(error)) => return Err(AgentError::Unresolved(error.to_string())),
            Err(_elapsed) => return Err(AgentError::Unresolved("DNS does not answer".to_owned())),
        }
    }
    Ok(())
}

fn is_sessions_only(era: UpstreamEra) -> bool {
    match era {
        UpstreamEra::Legacy => true,
        UpstreamEra::Auto | UpstreamEra::Modern | UpstreamEra::Both => false,
    }
}

fn speaks_modern(versions: &Value) -> bool {
    versions.as_array().into_iter().flatten().filter_map(Value::as_str).any(modern::speaks)
}

/// `name version`, as far as a server told.
fn named(info: &Value) -> String {
    let text = |key: &str| info[key].as_str().unwrap_or_default();
    format!("{} {}", text("name"), text("version")).trim().to_owned()
}
