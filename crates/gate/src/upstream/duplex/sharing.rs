//! What several sessions on one line must not take from each other: subscriptions and log levels.
//!
//! The peer knows one set of subscriptions and one level. So a URI is unsubscribed when its last
//! session leaves it, the level told is the most verbose of all, and each session gets no more than
//! it asked for. A line's level is not lowered again when a verbose session ends.

use crate::upstream::duplex::desk::{Call, Desk, Role};
use bytes::Bytes;
use tollgate_core::bounds::LINE_SUBSCRIPTIONS_MAX;

/// SPEC: 2025-11-25 server/utilities/logging, from the most verbose on.
const LEVELS: [&str; 8] =
    ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// The place of a level in the order of severity.
pub(super) fn severity(level: &str) -> Option<usize> {
    LEVELS.iter().position(|known| *known == level)
}

impl Desk {
    /// A session wants a URI, or wants it no more: the role of the call, or `None` where the peer
    /// needs not hear of it.
    pub(super) fn subscription(
        &mut self,
        seat: Option<u64>,
        uri: String,
        is_on: bool,
    ) -> Option<Role> {
        let is_others = self.is_subscribed(&uri, seat);
        let count: usize = self.seats.values().map(|seat| seat.uris.len()).sum();
        let role = if is_on { Role::Subscribe(uri) } else { Role::Unsubscribe(uri) };
        let is_over_full = is_on && count >= LINE_SUBSCRIPTIONS_MAX;
        if !is_others || is_over_full {
            return Some(if is_over_full { Role::Ordinary } else { role });
        }
        self.settle_role(seat, role);
        None
    }

    /// Notes what an answered call changed about its session.
    pub(super) fn settle_role(&mut self, seat: Option<u64>, role: Role) {
        let Some(seat) = seat.and_then(|seat| self.seats.get_mut(&seat)) else { return };
        match role {
            Role::Subscribe(uri) => {
                seat.uris.insert(uri);
            }
            Role::Unsubscribe(uri) => {
                seat.uris.remove(&uri);
            }
            Role::SetLevel(own, line) => {
                seat.level = Some(own);
                self.level = Some(line);
            }
            Role::Ordinary | Role::Initialize | Role::Discover | Role::Listen => {}
        }
    }

    fn is_subscribed(&self, uri: &str, except: Option<u64>) -> bool {
        let mut others = self.seats.iter().filter(|(seat, _)| Some(**seat) != except);
        others.any(|(_, seat)| seat.uris.contains(uri))
    }

    /// A session wants this log level: the role of the call and, where the peer must be told
    /// another, that one as JSON; or `None` where the peer needs not hear of it.
    pub(super) fn log_level(
        &mut self,
        seat: Option<u64>,
        level: Option<&str>,
    ) -> Option<(Role, Option<Vec<u8>>)> {
        // The peer itself refuses a level that there is not.
        let Some(own) = level.and_then(severity) else { return Some((Role::Ordinary, None)) };
        let others = self.seats.iter().filter(|(other, _)| Some(**other) != seat);
        let lowest = others.filter_map(|(_, seat)| seat.level).min();
        let told = lowest.map_or(own, |lowest| lowest.min(own));
        let role = Role::SetLevel(own, told);
        if self.level == Some(told) {
            self.settle_role(seat, role);
            return None;
        }
        let text = (told != own).then(|| format!("\"{}\"", LEVELS[told]).into_bytes());
        Some((role, text))
    }

    /// A session has ended: the peer is told of the URIs that nobody wants any more.
    pub(super) fn unsubscribe_all(&mut self, uris: impl IntoIterator<Item = String>) {
        for uri in uris {
            if self.is_subscribed(&uri, None) {
                continue;
            }
            let number = self.number();
            let uri = serde_json::Value::String(uri);
            self.write(Bytes::from(format!(
                r#"{{"jsonrpc":"2.0","id":{number},"method":"resources/unsubscribe","params":{{"uri":{uri}}}}}"#
            )));
            let (id, role) = (Bytes::new(), Role::Ordinary);
            self.begin(number, Call { id, token: None, seat: None, mailbox: None, role });
        }
    }
}
