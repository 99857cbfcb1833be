//! The conformance suite's everything-server, written on the crate rmcp: an MCP server with the
//! fixed names the suite calls, speaking both eras at `/mcp`.
//!
//! A test peer: the gate is proven by standing between this server and clients that no one here
//! wrote. It refuses to listen anywhere but on loopback, and decides nothing about MCP itself; what
//! goes over the wire is rmcp's business.
//!
//! Next: `server.rs` (which answer belongs to which method).

mod asks;
mod catalog;
mod jobs;
mod library;
mod plain;
mod rounds;
mod server;
mod watchers;

use anyhow::{Context, bail};
use axum::serve::ListenerExt as _;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

const USAGE: &str = "usage: everything [--listen 127.0.0.1:0] [--json]

  --listen ADDRESS  loopback address to listen on; port 0 takes a free one
  --json            answer with JSON where no stream is needed; legacy requests then have no session";

/// What the command line asked for.
struct Wanted {
    listen: SocketAddr,
    json: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let wanted = wanted(std::env::args().skip(1))?;
    let everything = Arc::new(server::Everything::default());
    let mut http = StreamableHttpServerConfig::default();
    http.legacy_session_mode = !wanted.json;
    http.json_response = wanted.json;
    let service = StreamableHttpService::new(
        move || Ok(everything.clone()),
        Arc::new(LocalSessionManager::default()),
        http,
    );
    let listener = tokio::net::TcpListener::bind(wanted.listen)
        .await
        .with_context(|| format!("cannot listen on {}", wanted.listen))?;
    announce(listener.local_addr()?)?;
    let router = axum::Router::new().route_service("/mcp", service);
    // Without this every small answer would wait for the client's delayed acknowledgement.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, router).await.context("the listener failed")
}

fn wanted(mut words: impl Iterator<Item = String>) -> anyhow::Result<Wanted> {
    let mut wanted = Wanted { listen: SocketAddr::from(([127, 0, 0, 1], 0)), json: false };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--json" => wanted.json = true,
            "--listen" => {
                let address = words.next().context("--listen needs an address")?;
                wanted.listen = address.parse().context("--listen needs an IP address and port")?;
            }
            _ => bail!("unknown argument `{word}`\n{USAGE}"),
        }
    }
    if !wanted.listen.ip().is_loopback() {
        bail!("`{}` is not a loopback address", wanted.listen);
    }
    Ok(wanted)
}

/// Tells the parent process the port; it waits for this line.
fn announce(address: SocketAddr) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening {address}")?;
    out.flush()
}
