//! Many upstreams in one process, told apart by path, and the gate before them: one on `/one`, two on
//! `/two`, all on `/all`.
//!
//! Next: `../hub.rs`, which measures it.

use crate::bench::lanes::{Door, Lane, Stage, Upstream};
use std::net::SocketAddr;

/// Many upstreams.
#[derive(Debug)]
pub(crate) struct Crowd {
    upstream: Upstream,
}

impl Door {
    /// The way to the crowd without anything in between.
    pub(crate) fn to(crowd: &Crowd) -> Self {
        let addr = crowd.upstream.addr;
        Self { lane: Lane::Direct, addr, upstream: addr, running: None }
    }
}

impl Stage {
    /// Starts an upstream that serves any number of servers, with so many tools each.
    pub(crate) fn start_crowd(&self, tools: u64) -> anyhow::Result<Crowd> {
        Ok(Crowd { upstream: self.upstream(&["--tools", &tools.to_string()])? })
    }

    /// Starts the gate before `count` of a crowd, and waits until it listens.
    pub(crate) fn open_hub(&self, crowd: &Crowd, count: usize) -> anyhow::Result<Door> {
        let upstream = crowd.upstream.addr;
        let (door, _file) = self.open_configured(&crowd.upstream, |_folder, listen, admin| {
            Ok(config((listen, admin), upstream, count))
        })?;
        Ok(door)
    }
}

fn config((listen, admin): (SocketAddr, SocketAddr), upstream: SocketAddr, count: usize) -> String {
    let names: Vec<String> = (0..count).map(|n| format!("u{n:03}")).collect();
    let upstreams: String = names
        .iter()
        .map(|name| {
            format!("  {name}: {{ era: both, http: {{ url: \"http://{upstream}/{name}\" }} }}\n")
        })
        .collect();
    format!(
        "gate: {{ listen: \"{listen}\" }}\nadmin: {{ listen: \"{admin}\" }}\nupstreams:\n{upstreams}\
         routes:\n  /one: {{ upstreams: [u000] }}\n  /two: {{ upstreams: [u000, u001] }}\n  \
         /all: {{ upstreams: [{}] }}\n",
        names.join(", ")
    )
}
