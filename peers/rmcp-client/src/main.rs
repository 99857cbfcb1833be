//! Walks an MCP server along `peers/clients/plan.json` with the crate rmcp, and prints what it saw
//! as one line of JSON.
//!
//! A test peer: times, ids and ports are left out, so that a walk through the gate can be compared
//! with a direct one. It refuses nothing and judges nothing; `cargo xtask clients` does.
//!
//! Next: `walk.rs` (what it does), `hear.rs` (what it answers and hears).

mod hear;
mod walk;

use anyhow::{Context, bail};
use rmcp::model::ProtocolVersion;
use rmcp::service::{ClientLifecycleMode, ClientServiceExt as _};
use rmcp::transport::StreamableHttpClientTransport;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

const USAGE: &str = "usage: rmcp-client URL --era legacy|modern";
/// Time for the whole walk.
const WALK: Duration = Duration::from_secs(120);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [url, flag, era] = words.as_slice() else { bail!(USAGE) };
    if flag != "--era" {
        bail!(USAGE);
    }
    let lifecycle = match era.as_str() {
        "legacy" => ClientLifecycleMode::Initialize,
        "modern" => ClientLifecycleMode::Discover {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        },
        _ => bail!(USAGE),
    };
    let plan: serde_json::Value = serde_json::from_str(include_str!("../../clients/plan.json"))?;
    let heard = Arc::new(hear::Heard::default());
    let ear = hear::Ear { heard: heard.clone(), answers: plan["answers"].clone() };
    let report = tokio::time::timeout(WALK, async {
        let transport = StreamableHttpClientTransport::from_uri(url.as_str());
        let client = ear.serve_with_lifecycle(transport, lifecycle).await?;
        let report = walk::walk(&client, &heard, &plan, era == "modern").await?;
        client.cancel().await?;
        anyhow::Ok(report)
    })
    .await
    .context("the walk took too long")??;
    writeln!(std::io::stdout(), "{report}")?;
    Ok(())
}
