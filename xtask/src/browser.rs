//! A browser walks the pages of the issuer: the issuer alone, once with local accounts and once in
//! front of an OpenID provider, with everything in memory.
//!
//! What a walk is: `peers/browser/walk.mjs`. Pictures of all pages stay in `target/browser/pictures`.
//!
//! Next: `peers.rs` (Chromium, and how it gets here).

use crate::peers;
use crate::processes::{Server, free_port, shown, target};
use anyhow::bail;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Time for the walk; it gives up by itself after 280 s.
const WALK: Duration = Duration::from_secs(300);
/// Time for building the issuer.
const BUILD: Duration = Duration::from_secs(1_800);

/// `cargo xtask browser`.
pub(crate) fn run(root: &Path, words: &[String]) -> anyhow::Result<()> {
    if let Some(word) = words.first() {
        bail!("`browser` takes no argument `{word}`");
    }
    let peers = peers::installed(root)?;
    let chromium = peers::chromium()?;
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.current_dir(root).args(["build", "--quiet"]);
    build.args(["--package", "tollgate-issuer", "--example", "issuer"]);
    shown(build, BUILD)?;
    let program = target(root).join("debug/examples/issuer");
    let logs = target(root).join("browser");
    let marker = "listening ";
    let own = Server::start("issuer", Command::new(&program), marker, &logs)?;
    let port = free_port()?.to_string();
    let mut facade = Command::new(&program);
    facade.args(["--provider", &format!("http://localhost:{port}"), "gate", "of-no-worth"]);
    let facade = Server::start("facade", facade, marker, &logs)?;
    let mut walk = peers.script("browser/walk.mjs");
    walk.arg(chromium).args([&own.address, &facade.address, &port]).arg(logs.join("pictures"));
    shown(walk, WALK)
}
