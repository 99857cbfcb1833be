//! What the tests of policy stand in: two recorded members, together on a hub and one of them straight,
//! and callers of both eras who are told apart by their address.

use crate::GATE;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use testkit::{
    Configuration, GateProcess, Member, Post, RawClient, Recorder, Response, legacy_initialize,
    legacy_post, modern_call,
};

/// Allows what is called `ok…`, and resources below `/ok/`.
pub(crate) const OK_ONLY: &str = r#"policy: { roles: { user: { tools: ["*__ok*"], prompts: ["*__ok*"], resources: ["*__file:///ok/*"] } }, bindings: [ { role: user } ] }"#;

/// The hub, and the route straight to `a`.
pub(crate) const ROUTES: [&str; 2] = ["/mcp", "/one"];

/// Two members behind a gate.
pub(crate) struct Yard {
    pub(crate) gate: GateProcess,
    pub(crate) members: [Arc<Member>; 2],
    pub(crate) peers: [Recorder; 2],
}

/// A member with something for everybody to see and something else.
pub(crate) fn member() -> Arc<Member> {
    let member = Member::with_tools(&["ok", "secret", "ok2"]);
    member.declare(json!({ "tools": {}, "prompts": {}, "completions": {}, "logging": {},
                           "resources": { "subscribe": true } }));
    member.offer("prompts/list", &["okp", "secretp"]);
    member.offer("resources/list", &["file:///ok/1", "file:///no/1"]);
    member.offer("resources/templates/list", &["file:///ok/{x}", "file:///no/{x}"]);
    member
}

impl Yard {
    /// A yard with this line of policy.
    pub(crate) async fn open(policy: &str) -> Self {
        let members = [member(), member()];
        let peers =
            [Recorder::of_member(&members[0]).await, Recorder::of_member(&members[1]).await];
        let file = file(&peers, policy);
        let gate = GateProcess::start(GATE, &file.text()).await;
        Self { gate, members, peers }
    }

    /// Puts another line of policy in force.
    pub(crate) async fn apply(&self, policy: &str) {
        let version = self.gate.status().await["configuration"].clone();
        self.gate.rewrite(&file(&self.peers, policy).text());
        self.gate.wait_for_status(|status| status["configuration"] != version).await;
    }

    /// What reached the members besides what the gate itself asks.
    pub(crate) fn reached(&self) -> Vec<String> {
        let own = [
            "initialize",
            "notifications/initialized",
            "server/discover",
            "tools/list",
            "prompts/list",
            "resources/list",
            "resources/templates/list",
        ];
        let all = self.peers.iter().flat_map(Recorder::requests);
        let posts = all.filter(|request| request.method == "POST");
        let others = posts.filter(|request| {
            !request.rpc_method().is_some_and(|method| own.contains(&method.as_str()))
        });
        others.map(|request| request.text()).collect()
    }
}

fn file(peers: &[Recorder; 2], policy: &str) -> Configuration {
    Configuration::hub(&[("a", peers[0].address), ("b", peers[1].address)])
        .route("/one", "a")
        .section(policy)
}

/// What a tool, prompt or template of `a` is called on a route.
pub(crate) fn named(route: &str, name: &str) -> String {
    if route == "/mcp" { format!("a__{name}") } else { name.to_owned() }
}

/// What a URI of `a` looks like on a route.
pub(crate) fn located(route: &str, uri: &str) -> String {
    if route == "/mcp" { format!("tollgate+a:{uri}") } else { uri.to_owned() }
}

/// Somebody who calls on one route in one era.
pub(crate) struct Caller {
    pub(crate) address: std::net::SocketAddr,
    pub(crate) route: &'static str,
    pub(crate) from: IpAddr,
    /// The session, in the legacy era.
    pub(crate) session: Option<String>,
}

impl Caller {
    /// One of the modern era.
    pub(crate) fn modern(yard: &Yard, route: &'static str) -> Self {
        let from = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self { address: yard.gate.address, route, from, session: None }
    }

    /// One with a session.
    pub(crate) async fn legacy(yard: &Yard, route: &'static str) -> Self {
        Self::legacy_of(yard, route, ("2025-11-25", 1)).await
    }

    /// One of the version, from the loopback address that ends with this number.
    pub(crate) async fn legacy_of(
        yard: &Yard,
        route: &'static str,
        (version, number): (&str, u8),
    ) -> Self {
        let mut this = Self::modern(yard, route);
        this.from = IpAddr::V4(Ipv4Addr::new(127, 0, 0, number));
        let answer = this.send(&legacy_initialize(version).to(route)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        this.session = Some(answer.header("mcp-session-id").expect("a session").to_owned());
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(this.send(&this.post_of(&ready)).await.status, 202);
        this
    }

    /// Each kind of caller on each route.
    pub(crate) async fn all(yard: &Yard) -> Vec<Self> {
        let mut all = Vec::new();
        for route in ROUTES {
            all.push(Self::legacy(yard, route).await);
            all.push(Self::modern(yard, route));
        }
        all
    }

    pub(crate) async fn send(&self, post: &Post) -> Response {
        RawClient::connect_from(self.from, self.address).await.ask(post).await
    }

    /// A message of a session.
    pub(crate) fn post_of(&self, message: &Value) -> Post {
        let session = self.session.as_deref().expect("a session");
        legacy_post(session, "-", &Value::Null).body(message.to_string()).to(self.route)
    }

    pub(crate) fn post(&self, method: &str, params: &Value) -> Post {
        match &self.session {
            Some(session) => legacy_post(session, method, params).to(self.route),
            None => {
                let post = modern_call(method, params).to(self.route);
                match params["taskId"].as_str() {
                    Some(id) => post.with("mcp-name", id),
                    None => post,
                }
            }
        }
    }

    pub(crate) async fn ask(&self, method: &str, params: &Value) -> Response {
        self.send(&self.post(method, params)).await
    }

    pub(crate) async fn call(&self, tool: &str) -> Response {
        self.ask("tools/call", &json!({ "name": tool, "arguments": {} })).await
    }

    /// The names of all pages of a list.
    pub(crate) async fn names(&self, method: &str) -> Vec<String> {
        let (member, key) = testkit::member::key_of(method);
        let (mut names, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let params = cursor.map_or_else(|| json!({}), |cursor| json!({ "cursor": cursor }));
            let answer = self.ask(method, &params).await;
            let result = answer.messages().pop().expect("an answer")["result"].clone();
            let items = result[member].as_array().unwrap_or_else(|| panic!("{}", answer.text()));
            names.extend(items.iter().map(|item| item[key].as_str().expect("a name").to_owned()));
            if self.session.is_none() {
                assert_eq!(result["cacheScope"], "private", "{result}");
            }
            cursor = result["nextCursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                return names;
            }
        }
    }

    /// The stream of a session.
    pub(crate) async fn stream(&self) -> RawClient {
        let session = self.session.as_deref().expect("a session");
        let mut client = RawClient::connect_from(self.from, self.address).await;
        let bytes = testkit::post::legacy_bodyless("GET", session, &[]);
        let text = String::from_utf8_lossy(&bytes).replacen("/mcp", self.route, 1);
        client.send(text.as_bytes()).await;
        assert_eq!(client.head().await.expect("a stream").status, 200);
        client
    }
}
