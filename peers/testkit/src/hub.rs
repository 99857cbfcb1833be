//! The gate as a hub in front of several members, each recorded.

use crate::agent::Agent;
use crate::gate::{Configuration, GateProcess};
use crate::member::Member;
use crate::recorder::Recorder;
use std::sync::Arc;

/// A gate and the members behind its route `/mcp`, in the order of the configuration.
#[derive(Debug)]
pub struct Hub {
    /// The gate.
    pub gate: GateProcess,
    /// What the members do.
    pub members: Vec<Arc<Member>>,
    /// What they saw.
    pub peers: Vec<Recorder>,
}

impl Hub {
    /// A hub of these members.
    pub async fn open(binary: &str, members: &[(&str, &Arc<Member>)]) -> Self {
        Self::open_with(binary, members, |configuration| configuration).await
    }

    /// The same with a configuration of the test's own.
    pub async fn open_with(
        binary: &str,
        members: &[(&str, &Arc<Member>)],
        change: impl FnOnce(Configuration) -> Configuration,
    ) -> Self {
        let mut peers = Vec::new();
        for (_, member) in members {
            peers.push(Recorder::of_member(member).await);
        }
        let named: Vec<_> =
            members.iter().zip(&peers).map(|((name, _), peer)| (*name, peer.address)).collect();
        let configuration = change(Configuration::hub(&named));
        let gate = GateProcess::start(binary, &configuration.text()).await;
        let members = members.iter().map(|(_, member)| Arc::clone(member)).collect();
        Self { gate, members, peers }
    }

    /// An agent with a session on the hub.
    pub async fn agent(&self) -> Agent {
        Agent::open(self.gate.address).await
    }

    /// How often each member got a call of this method.
    #[must_use]
    pub fn counts(&self, method: &str) -> Vec<usize> {
        self.peers.iter().map(|peer| peer.calls_of(method).len()).collect()
    }
}
