//! From a bare URL to a call, and past the end of the access token, with rmcp's own authorization: as
//! a person's agent, and as a machine by its secret.
//!
//! Told as one JSON argument what `peers/clients/oauth_walk.mjs` says; `browser` is the command that
//! is a person. Tokens are compared by the harness as digests, and never printed.
//!
//! Next: `peers/clients/oauth_browser.mjs`.

use crate::hear::{Ear, Heard};
use anyhow::{Context, bail, ensure};
use rmcp::RoleClient;
use rmcp::model::CallToolRequestParams;
use rmcp::service::{ClientLifecycleMode, ClientServiceExt as _, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::auth::{
    AuthClient, AuthorizationManager, AuthorizationRequest, ClientCredentialsConfig, OAuthState,
};
use rmcp::transport::streamable_http_client::{
    StreamableHttpClient, StreamableHttpClientTransportConfig,
};
use serde_json::{Value, json};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

/// Time for the whole walk.
pub(crate) const WALK: Duration = Duration::from_secs(90);

/// Walks, and reports.
pub(crate) async fn walked(told: &Value) -> anyhow::Result<Value> {
    let url = told["url"].as_str().context("no url")?;
    let mut state = OAuthState::new(url, None).await?;
    if told["flow"] == "secret" {
        return machine(told, url).await;
    }
    agreed(&mut state, told).await?;
    let (client, first) = state.get_credentials().await?;
    let mut tokens = vec![seen(first.as_ref())];
    let manager = state.into_authorization_manager().context("not authorized")?;
    let (tools, calls) = used(manager, url, told, &mut tokens).await?;
    Ok(json!({
        "tools": tools, "calls": calls, "asked": 1, "client": client, "tokens": tokens,
    }))
}

/// A machine takes a token for each of two calls: rmcp renews tokens half a minute before they end,
/// and those of machines, which these here never reach, it cannot renew by itself.
async fn machine(told: &Value, url: &str) -> anyhow::Result<Value> {
    let word = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
    let (mut tools, mut calls, mut tokens) = (0, Vec::new(), Vec::new());
    for _ in 0..2 {
        let config = ClientCredentialsConfig::ClientSecret {
            client_id: word("id"),
            client_secret: word("secret"),
            scopes: told["scope"].as_str().map(str::to_owned).into_iter().collect(),
            resource: Some(url.to_owned()),
        };
        let mut state = OAuthState::new(url, None).await?;
        state.authenticate_client_credentials(config).await?;
        let (_, got) = state.get_credentials().await?;
        tokens.push(seen(got.as_ref()));
        let got = serde_json::to_value(got)?;
        let token = got["access_token"].as_str().context("no token")?;
        let config = StreamableHttpClientTransportConfig::with_uri(url).auth_header(token);
        let client = connected(StreamableHttpClientTransport::from_config(config)).await?;
        tools = client.list_all_tools().await?.len();
        calls.push(called(&client).await?);
        client.cancel().await?;
    }
    Ok(json!({
        "tools": tools, "calls": calls, "asked": 0, "client": word("id"), "tokens": tokens,
    }))
}

type Client = RunningService<RoleClient, Ear>;

async fn connected<C: StreamableHttpClient>(
    transport: StreamableHttpClientTransport<C>,
) -> anyhow::Result<Client> {
    let ear = Ear { heard: Arc::new(Heard::default()), answers: json!({}) };
    Ok(ear.serve_with_lifecycle(transport, ClientLifecycleMode::Initialize).await?)
}

async fn called(client: &Client) -> anyhow::Result<String> {
    let call = CallToolRequestParams::new("test_simple_text");
    let result = serde_json::to_value(client.call_tool(call).await?)?;
    Ok(result["content"][0]["text"].as_str().unwrap_or_default().to_owned())
}

/// Lists and calls, waits until the token has ended, and calls again.
async fn used(
    manager: AuthorizationManager,
    url: &str,
    told: &Value,
    tokens: &mut Vec<Value>,
) -> anyhow::Result<(usize, Vec<String>)> {
    let http = AuthClient::new(reqwest::Client::new(), manager);
    let manager = Arc::clone(&http.auth_manager);
    let config = StreamableHttpClientTransportConfig::with_uri(url);
    let transport = StreamableHttpClientTransport::with_client(http, config);
    let client = connected(transport).await?;
    let tools = client.list_all_tools().await?.len();
    let mut calls = Vec::new();
    for pause in [Some(told["pause"].as_u64().unwrap_or_default()), None] {
        calls.push(called(&client).await?);
        if let Some(pause) = pause {
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }
    let (_, last) = manager.lock().await.get_credentials().await?;
    tokens.push(seen(last.as_ref()));
    client.cancel().await?;
    Ok((tools, calls))
}

/// Registers, lets the person agree, and trades the code.
async fn agreed(state: &mut OAuthState, told: &Value) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let back = format!("http://{}/callback", listener.local_addr()?);
    let mut request = AuthorizationRequest::new(&back).with_client_name("Walker");
    if let Some(document) = told["document"].as_str() {
        request = request.with_client_metadata_url(document);
    }
    state.start_authorization(request).await?;
    let url = state.get_authorization_url().await?;
    let words = told["browser"].as_array().context("no browser")?;
    let mut words = words.iter().filter_map(Value::as_str).chain([url.as_str()]);
    let mut browser = tokio::process::Command::new(words.next().context("no browser")?);
    let (came, answer) = tokio::join!(browser.args(words).kill_on_drop(true).output(), async {
        tokio::time::timeout(WALK / 2, arrived(&listener)).await
    });
    let came = came?;
    ensure!(came.status.success(), "{}", String::from_utf8_lossy(&came.stderr));
    let answer = answer.context("nobody came back")??;
    state.handle_callback_url(&format!("http://{}{answer}", listener.local_addr()?)).await?;
    Ok(())
}

/// The path and query that the person is sent back to.
async fn arrived(listener: &TcpListener) -> anyhow::Result<String> {
    let (mut stream, _) = listener.accept().await?;
    let mut line = String::new();
    BufReader::new(&mut stream).read_line(&mut line).await?;
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await?;
    let Some(path) = line.split(' ').nth(1) else { bail!("no request") };
    Ok(path.to_owned())
}

fn seen(tokens: Option<&impl serde::Serialize>) -> Value {
    let tokens = tokens.and_then(|tokens| serde_json::to_value(tokens).ok()).unwrap_or_default();
    let digest = |name: &str| {
        let mut hasher = DefaultHasher::new();
        tokens[name].as_str()?.hash(&mut hasher);
        Some(format!("{:012x}", hasher.finish()))
    };
    json!([digest("access_token"), digest("refresh_token")])
}
