//! Hears from an upstream that its lists changed, so that they need not be read over and over.
//!
//! One stream for each catalog whose upstream says that it tells of changes: the GET stream of the
//! gate's own session, or a modern subscription. After word of a change there is a short pause, since
//! servers say it many times in a row; then the list is read again.

use super::fetch::{Attendance, Speaker};
use super::{Catalog, Need, There, bit};
use crate::gate::Gate;
use crate::inquiry::modern_request;
use crate::knowledge::Knowledge;
use crate::upstream::Upstream;
use crate::ward::Ward;
use bytes::Bytes;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio_util::task::AbortOnDropHandle;
use tollgate_core::bounds::{LISTS_DEBOUNCE_MILLIS, MIB};
use tollgate_mcp::era::Era;
use tollgate_mcp::hub::items::ListKind;
use tollgate_mcp::hub::offer::Offer;
use tollgate_mcp::reply::{GlanceKind, glance};
use tollgate_mcp::sse::Splitter;

/// Begins to listen, if there is something to hear and nobody listens yet.
pub(super) async fn begin(
    catalog: &Arc<Catalog>,
    gate: &Arc<Gate>,
    (upstream, knowledge): There<'_>,
    attendance: &mut Attendance,
) {
    let is_listening = attendance.watcher.as_ref().is_some_and(|task| !task.is_finished());
    let tells = catalog.stock().offer.as_deref().is_some_and(tells_of_changes);
    if is_listening || !tells || !attendance.may_listen() {
        return;
    }
    let message = match catalog.audience.era {
        Era::Legacy => None,
        Era::Modern => {
            let wanted = r#""notifications":{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true}"#;
            let body =
                modern_request("subscriptions/listen", wanted, &catalog.audience.capabilities);
            Some(("subscriptions/listen", body))
        }
    };
    match attendance.speaker().inquiry(gate).listen(message).await {
        Ok(ward) => {
            catalog.is_watched.store(true, Ordering::Relaxed);
            let listener = Listener {
                catalog: Arc::downgrade(catalog),
                gate: Arc::downgrade(gate),
                upstream: Arc::downgrade(upstream),
                knowledge: Arc::downgrade(knowledge),
                speaker: attendance.speaker().clone(),
            };
            attendance.watcher =
                Some(AbortOnDropHandle::new(tokio::spawn(listener.hear_out(ward))));
        }
        // Many servers have no such stream: their lists are read again after a while instead.
        Err(silence) => {
            tracing::debug!(upstream = %upstream.name(), %silence, "no word of changed lists");
        }
    }
}

fn tells_of_changes(offer: &Offer) -> bool {
    let lists = [&offer.tools, &offer.prompts, &offer.resources];
    lists.into_iter().flatten().any(|listed| listed.list_changed)
}

/// The list that a notification says has changed.
pub(crate) fn changed_list(method: &str) -> Option<ListKind> {
    match method {
        "notifications/tools/list_changed" => Some(ListKind::Tools),
        "notifications/prompts/list_changed" => Some(ListKind::Prompts),
        "notifications/resources/list_changed" => Some(ListKind::Resources),
        _ => None,
    }
}

struct Listener {
    catalog: Weak<Catalog>,
    gate: Weak<Gate>,
    upstream: Weak<Upstream>,
    knowledge: Weak<Knowledge>,
    speaker: Speaker,
}

impl Listener {
    async fn hear_out(self, mut ward: Ward) {
        let mut splitter = Splitter::new(MIB);
        let mut changed = 0_u8;
        loop {
            let next = std::future::poll_fn(|context| ward.poll_data(context));
            let pause = Duration::from_millis(LISTS_DEBOUNCE_MILLIS);
            let next = if changed == 0 {
                next.await
            } else if let Ok(next) = tokio::time::timeout(pause, next).await {
                next
            } else {
                if !self.read_again(std::mem::take(&mut changed)) {
                    return;
                }
                continue;
            };
            let Some(Ok(data)) = next else { break };
            splitter.push(data);
            let is_sound = loop {
                let Ok(next) = splitter.next() else { break false };
                let Some(event) = next else { break true };
                let Some(message) = event.data.filter(|data| !data.is_empty()) else { continue };
                changed |= self.hear(&message).await;
            };
            // Behind a fault, nothing can be understood.
            if !is_sound {
                break;
            }
        }
        // The stream ended: until it is opened again, nothing is heard.
        if let Some(catalog) = self.catalog.upgrade() {
            catalog.is_watched.store(false, Ordering::Relaxed);
        }
    }

    /// The lists that a message says have changed.
    async fn hear(&self, message: &Bytes) -> u8 {
        let Ok(found) = glance(message) else { return 0 };
        let Some(method) = found.method.map(|name| name.decode(message).into_owned()) else {
            return 0;
        };
        let (Some(catalog), Some(gate)) = (self.catalog.upgrade(), self.gate.upgrade()) else {
            return 0;
        };
        if found.kind == GlanceKind::Request {
            self.speaker.inquiry(&gate).answer_back(message, &found).await;
            return 0;
        }
        match changed_list(&method) {
            Some(kind) => {
                catalog.note_changed(kind);
                gate.news.tell();
                bit(kind)
            }
            None => 0,
        }
    }

    /// Reads the lists again that somebody once wanted. Says whether anybody may still want them.
    fn read_again(&self, changed: u8) -> bool {
        let (Some(catalog), Some(gate)) = (self.catalog.upgrade(), self.gate.upgrade()) else {
            return false;
        };
        let there = (self.upstream.upgrade(), self.knowledge.upgrade());
        let (Some(upstream), Some(knowledge)) = there else { return false };
        let stock = catalog.stock();
        for kind in ListKind::ALL {
            let is_resource = matches!(kind, ListKind::Resources | ListKind::Templates);
            let bits = if is_resource { bit(ListKind::Resources) } else { bit(kind) };
            if changed & bits != 0 && stock.list(kind).is_some() {
                let (catalog, gate) = (catalog.clone(), gate.clone());
                let (upstream, knowledge) = (upstream.clone(), knowledge.clone());
                tokio::spawn(async move {
                    let wait = Duration::from_secs(tollgate_core::bounds::LISTING_SECS);
                    let there = (&upstream, &knowledge);
                    catalog.want(&gate, there, Need::List(kind), wait).await;
                });
            }
        }
        true
    }
}
