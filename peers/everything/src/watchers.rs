//! Who is told when something changes: legacy sessions (on their GET stream) and modern listeners
//! (on their `subscriptions/listen` stream).
//!
//! Both lists are swept whenever something is told, and bounded: a test peer that grows without
//! end would hide a leak of the gate.
//!
//! Next: `server.rs` (who joins and leaves).

use rmcp::RoleServer;
use rmcp::service::{Peer, SubscriptionSink};
use std::collections::HashMap;
use tokio::sync::Mutex;

/// Most listeners of each kind; later ones are told nothing.
const LISTENERS_MAX: usize = 10_000;

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The list of tools.
    Tools,
    /// The list of prompts.
    Prompts,
    /// The resource that can be subscribed to.
    WatchedResource,
}

/// The address of the resource that can be subscribed to.
pub(crate) const WATCHED: &str = "test://watched-resource";

/// Everyone who is told about changes.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    sessions: Mutex<Vec<Peer<RoleServer>>>,
    subscribers: Mutex<Vec<Peer<RoleServer>>>,
    listeners: Mutex<HashMap<u64, SubscriptionSink>>,
    next: std::sync::atomic::AtomicU64,
}

impl Watchers {
    /// A legacy session began.
    pub(crate) async fn session(&self, peer: Peer<RoleServer>) {
        join(&self.sessions, peer).await;
    }

    /// A legacy session subscribed to the watched resource.
    pub(crate) async fn subscribe(&self, peer: Peer<RoleServer>) {
        join(&self.subscribers, peer).await;
    }

    /// A modern listener began; the key ends it.
    pub(crate) async fn listen(&self, sink: SubscriptionSink) -> u64 {
        let key = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut listeners = self.listeners.lock().await;
        if listeners.len() < LISTENERS_MAX {
            listeners.insert(key, sink);
        }
        key
    }

    /// A modern listener left.
    pub(crate) async fn leave(&self, key: u64) {
        self.listeners.lock().await.remove(&key);
    }

    /// Tells everyone who wants to know.
    pub(crate) async fn tell(&self, change: Change) {
        let listeners: Vec<_> = self.listeners.lock().await.values().cloned().collect();
        for listener in listeners {
            let told = match change {
                Change::Tools => listener.notify_tool_list_changed().await,
                Change::Prompts => listener.notify_prompt_list_changed().await,
                Change::WatchedResource => listener.notify_resource_updated(WATCHED).await,
            };
            // Whoever did not ask for this kind, or is just leaving, is not told.
            drop(told);
        }
        let peers = match change {
            Change::Tools | Change::Prompts => &self.sessions,
            Change::WatchedResource => &self.subscribers,
        };
        let peers = peers.lock().await.clone();
        for peer in peers {
            let told = match change {
                Change::Tools => peer.notify_tool_list_changed().await,
                Change::Prompts => peer.notify_prompt_list_changed().await,
                Change::WatchedResource => {
                    let updated = rmcp::model::ResourceUpdatedNotificationParam::new(WATCHED);
                    peer.notify_resource_updated(updated).await
                }
            };
            // A session that is just ending is not told.
            drop(told);
        }
    }
}

async fn join(peers: &Mutex<Vec<Peer<RoleServer>>>, peer: Peer<RoleServer>) {
    let mut peers = peers.lock().await;
    peers.retain(|peer| !peer.is_transport_closed());
    if peers.len() < LISTENERS_MAX {
        peers.push(peer);
    }
}
