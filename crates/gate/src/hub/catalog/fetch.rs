//! Reads an upstream's offer and lists, in a session of the gate's own or without one.
//!
//! Bounded in pages, items, bytes, depth and time: what lies beyond is not read, and what was read is
//! used. A cursor that comes twice ends the reading.
//!
//! SPEC: 2025-11-25 basic/lifecycle; 2026-07-28 server/discover; server/utilities/pagination.

use super::list::{Gathering, List};
use super::{Catalog, Need, There, bit, watch};
use crate::farewell::Unclaimed;
use crate::gate::Gate;
use crate::hub::audience::Audience;
use crate::inquiry::{Inquiry, Silence, Voice, modern_request};
use crate::upstream::{Endpoint, OnBehalf, Upstream};
use bytes::Bytes;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio_util::task::AbortOnDropHandle;
use tollgate_core::bounds::{
    INSTRUCTIONS_BYTES_MAX, JSON_DEPTH_MAX, LIST_BYTES_MAX, LIST_ITEM_BYTES_MAX, LIST_ITEMS_MAX,
    LIST_PAGES_MAX, LISTING_SECS,
};
use tollgate_core::sessions::Home;
use tollgate_mcp::era::{Era, legacy};
use tollgate_mcp::hub::items::{ItemBounds, ListKind, read_page};
use tollgate_mcp::hub::offer::Offer;
use tollgate_mcp::reply::glance;

/// The gate at an upstream's: where it asks, and as whom.
#[derive(Debug)]
pub(super) struct Attendance {
    speaker: Speaker,
    /// Ended when the attendance is.
    session: Option<Unclaimed>,
    /// Hears of changes; `None` until there is something to hear of, or where there is no stream.
    pub(super) watcher: Option<AbortOnDropHandle<()>>,
}

/// Where the gate speaks, and as whom.
#[derive(Clone, Debug)]
pub(super) struct Speaker {
    endpoint: Arc<Endpoint>,
    home: Option<Home>,
    version: legacy::Version,
    era: Era,
    caller: Option<OnBehalf>,
}

impl Speaker {
    pub(super) fn inquiry<'a>(&'a self, gate: &'a Gate) -> Inquiry<'a> {
        let voice = match self.era {
            Era::Modern => Voice::Modern,
            Era::Legacy => Voice::Legacy(self.home.as_ref(), self.version),
        };
        let within = Duration::from_secs(LISTING_SECS);
        Inquiry {
            gate,
            endpoint: &self.endpoint,
            voice,
            within,
            on_behalf_of: self.caller.as_ref(),
        }
    }
}

impl Attendance {
    pub(super) const fn speaker(&self) -> &Speaker {
        &self.speaker
    }

    /// Whether there may be a stream of what the upstream says by itself.
    pub(super) fn may_listen(&self) -> bool {
        self.speaker.era == Era::Modern || self.session.is_some()
    }
}

/// Reads what is needed. What was read of it before a failure is kept.
pub(super) async fn read(
    catalog: &Arc<Catalog>,
    gate: &Arc<Gate>,
    there: There<'_>,
    need: Need,
) -> Result<(), Silence> {
    let mut attendance = catalog.attendance.lock().await;
    for is_last_try in [false, true] {
        let read = attended(catalog, gate, there, (&mut attendance, need)).await;
        match read {
            // A session of the gate's own may have ended, its endpoint gone: once more from the start.
            Err(Silence::SessionLost | Silence::Unreachable(_) | Silence::Status(_))
                if !is_last_try =>
            {
                *attendance = None;
                catalog.is_watched.store(false, Ordering::Relaxed);
            }
            outcome => return outcome,
        }
    }
    Ok(())
}

async fn attended(
    catalog: &Arc<Catalog>,
    gate: &Arc<Gate>,
    there: There<'_>,
    (attendance, need): (&mut Option<Attendance>, Need),
) -> Result<(), Silence> {
    let (upstream, _) = there;
    let present = match attendance {
        Some(present) => present,
        None => {
            let (present, offer) = attend(gate, upstream, &catalog.audience).await?;
            catalog.note_offer(offer);
            attendance.insert(present)
        }
    };
    let Need::List(kind) = need else { return Ok(()) };
    if catalog.stock().offers(kind) != Some(true) {
        note_names(there, kind);
        return Ok(());
    }
    // First the stream, then the list: what changes in between is heard of.
    watch::begin(catalog, gate, there, present).await;
    // Taken down before reading: a change while reading is a reason to read again.
    let changed = catalog.changed.fetch_and(!bit(kind), Ordering::AcqRel);
    let was_announced = changed & bit(kind) != 0;
    let read = list(gate, there, (present, &catalog.audience), kind).await;
    match read {
        Ok(list) => {
            let list = pinned(gate, there, kind, list).await;
            catalog.shelve(gate, there, (kind, was_announced), list);
            note_names(there, kind);
        }
        Err(silence) => {
            if was_announced {
                catalog.changed.fetch_or(bit(kind), Ordering::AcqRel);
            }
            return Err(silence);
        }
    }
    Ok(())
}

/// The list with its tools pinned, where they are. The store is told first.
async fn pinned(gate: &Gate, (upstream, knowledge): There<'_>, kind: ListKind, list: List) -> List {
    let book = knowledge.pins();
    let Some(settings) = book.settings().filter(|_| kind == ListKind::Tools) else { return list };
    let (list, seen) = list.pinned(|tool| book.offers(tool));
    let store = (gate.pins.store.as_ref(), &*gate.clock);
    book.note((upstream.name(), &settings), store, seen).await;
    book.note_read(gate.clock.now());
    list
}

/// Has it known what the upstream has.
fn note_names((_, knowledge): There<'_>, kind: ListKind) {
    knowledge.roster().renew(kind, knowledge.catalogs().names(kind));
}

/// Introduces the gate.
async fn attend(
    gate: &Arc<Gate>,
    upstream: &Arc<Upstream>,
    audience: &Audience,
) -> Result<(Attendance, Offer), Silence> {
    let endpoint = upstream.pick().ok_or(Silence::Nobody)?;
    let within = Duration::from_secs(LISTING_SECS) + upstream.start_time();
    let on_behalf_of = audience.caller.as_ref();
    let ask = |voice| Inquiry { gate, endpoint: &endpoint, voice, within, on_behalf_of };
    let (session, version, offer) = match audience.era {
        Era::Modern => {
            let body = modern_request("server/discover", "", &audience.capabilities);
            let answer = ask(Voice::Modern).ask("server/discover", body).await?;
            let offer =
                Offer::from_discover(&answer.message, answer.result, INSTRUCTIONS_BYTES_MAX);
            (None, legacy::NEWEST, offer)
        }
        Era::Legacy => {
            let answer = ask(Voice::Stranger).ask("initialize", initialize(audience)).await?;
            let named = glance(&answer.message).ok().and_then(|found| found.result);
            let named = named.and_then(|result| result.protocol_version);
            let version = named.map(|text| text.decode(&answer.message).into_owned());
            let version = version.as_deref().and_then(legacy::Version::parse);
            let version = version.ok_or(Silence::Unusable)?;
            let session = gate.farewells.clone().unclaimed(
                (upstream.clone(), endpoint.id().clone()),
                audience.caller.clone(),
                &answer.headers,
            );
            let home = session.as_ref().map(Unclaimed::home);
            let ready = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.to_owned();
            ask(Voice::Legacy(home, version)).tell("notifications/initialized", ready).await?;
            let offer =
                Offer::from_initialize(&answer.message, answer.result, INSTRUCTIONS_BYTES_MAX);
            (session, version, offer)
        }
    };
    let home = session.as_ref().map(|session| session.home().clone());
    let (era, caller) = (audience.era, audience.caller.clone());
    let speaker = Speaker { endpoint, home, version, era, caller };
    Ok((Attendance { speaker, session, watcher: None }, offer))
}

/// Reads all pages of a list, within bounds.
async fn list(
    gate: &Arc<Gate>,
    (upstream, knowledge): There<'_>,
    (attendance, audience): (&Attendance, &Audience),
    kind: ListKind,
) -> Result<List, Silence> {
    let taken = gate.clock.now();
    let bounds = ItemBounds {
        count_max: LIST_ITEMS_MAX,
        item_bytes_max: LIST_ITEM_BYTES_MAX,
        depth_max: JSON_DEPTH_MAX,
    };
    let mut gathering = Gathering::new(upstream.name().as_str());
    let mut cursors: HashSet<Bytes> = HashSet::new();
    let mut cursor: Option<Bytes> = None;
    let mut cut = Some("it has too many pages");
    for _ in 0..LIST_PAGES_MAX {
        let body = page_request(kind, cursor.as_ref(), audience);
        let answer = attendance.speaker.inquiry(gate).ask(kind.method(), body).await?;
        let (message, result) = if kind == ListKind::Tools && audience.era == Era::Modern {
            let learned = knowledge.take_tools(answer.message, answer.result, cursor.is_none());
            let found = glance(&learned).ok().and_then(|found| found.result);
            (learned, found.ok_or(Silence::Unusable)?.span)
        } else {
            (answer.message, answer.result)
        };
        let page = read_page(&message, result, kind, &bounds);
        let mut page = page.map_err(|_| Silence::Unusable)?;
        let next = page.next_cursor.take();
        gathering.add(page, message.len());
        let Some(next) = next else {
            cut = None;
            break;
        };
        if gathering.len() >= LIST_ITEMS_MAX {
            cut = Some("it has too many items");
            break;
        }
        if gathering.bytes() >= LIST_BYTES_MAX {
            cut = Some("it is too long");
            break;
        }
        if !cursors.insert(next.clone()) {
            cut = Some("its cursors go round in a circle");
            break;
        }
        cursor = Some(next);
    }
    Ok(gathering.finish(LIST_ITEMS_MAX, cut, taken))
}

fn initialize(audience: &Audience) -> String {
    let (version, capabilities) = (legacy::NEWEST.as_str(), &audience.capabilities);
    let own = env!("CARGO_PKG_VERSION");
    format!(
        r#"{{"jsonrpc":"2.0","id":"tollgate-initialize","method":"initialize","params":{{"protocolVersion":"{version}","capabilities":{capabilities},"clientInfo":{{"name":"tollgate","version":"{own}"}}}}}}"#
    )
}

fn page_request(kind: ListKind, cursor: Option<&Bytes>, audience: &Audience) -> String {
    let cursor = cursor.map(|cursor| String::from_utf8_lossy(cursor).into_owned());
    let cursor = cursor.map(|cursor| format!(r#""cursor":{cursor}"#)).unwrap_or_default();
    match audience.era {
        Era::Modern => modern_request(kind.method(), &cursor, &audience.capabilities),
        Era::Legacy => {
            let method = kind.method();
            format!(
                r#"{{"jsonrpc":"2.0","id":"tollgate-list","method":"{method}","params":{{{cursor}}}}}"#
            )
        }
    }
}
