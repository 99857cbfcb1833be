//! What a hub answers by itself: its greeting, its lists, and what no upstream has.

use super::audience::Audience;
use super::catalog::{Need, Stock};
use super::shelf::{self, Place};
use super::{Front, HERE, negotiated};
use crate::absence;
pub(super) use crate::absence::error;
use crate::body::GateBody;
use crate::call::Post;
use crate::permit::{self, Sight};
use crate::reply;
use crate::seal::Purpose;
use crate::session::Held;
use crate::subject::Absent;
use bytes::Bytes;
use http::{Response, StatusCode};
use std::sync::Arc;
use std::time::Duration;
use tollgate_core::bounds::{
    DISCOVER_TTL_MILLIS, GREETING_WAIT_SECS, INSTRUCTIONS_BYTES_MAX, LIST_WAIT_SECS,
    RESTORED_INITIALIZE_BYTES_MAX, START_WAIT_SECS,
};
use tollgate_core::ids::{EndpointId, UpstreamSessionId};
use tollgate_core::party::Item;
use tollgate_core::refusal::{Reason, Refusal};
use tollgate_core::sessions::Home;
use tollgate_mcp::era::{Era, modern};
use tollgate_mcp::headers::MCP_SESSION_ID;
use tollgate_mcp::hub::items::{ListKind, render_page};
use tollgate_mcp::hub::offer::{Listed, Offer};
use tollgate_mcp::json::Message;

/// What the gate calls itself.
const SERVER: (&str, &str) = ("tollgate", env!("CARGO_PKG_VERSION"));

impl Front<'_> {
    /// Opens a session. Its legs are opened when they are needed.
    pub(super) async fn initialize(&self, post: &Post) -> Result<Response<GateBody>, Refusal> {
        let Some(message) = post.one() else {
            return Err(Refusal::new(Reason::InvalidRequest, "`initialize` is a single message"));
        };
        let caps = self.snapshot.settings.sessions.caps;
        let _room = self.gate.sessions.room(self.call.caller, caps)?;
        let told = crate::forward::legacy::with_legacy_version(post);
        let Some(memory) = self.gate.memories.begin(&told) else {
            let text = format!(
                "`initialize` is longer than the {RESTORED_INITIALIZE_BYTES_MAX} bytes allowed on \
                 a route with several servers"
            );
            return Err(Refusal::new(Reason::TooLarge, text));
        };
        let audience = self.audience_here(Audience::of_session(&told));
        let wait = Duration::from_secs(GREETING_WAIT_SECS);
        let stocks = self.stocks(&audience, Need::Offer, wait).await;
        let asked = message.fields.protocol_version.map(|text| text.decode(&post.body));
        let version = negotiated(asked.as_deref().unwrap_or_default());
        let home = Home {
            endpoint: EndpointId::from("here"),
            upstream_session: here(),
            generation: 0,
            version: 0,
        };
        let owner = (self.call.caller, caps);
        let id = self.gate.sessions.open(self.bounds(), owner, version, (home, Some(memory)))?;
        let greeting = self.offer(&stocks).initialize_result(version.as_str(), SERVER);
        let mut response = result(post, message, &greeting);
        response.headers_mut().insert(MCP_SESSION_ID, id);
        Ok(response)
    }

    /// SPEC: 2026-07-28 server/discover.
    pub(super) async fn discover(
        &self,
        (post, message): (&Post, &Message),
    ) -> Result<Response<GateBody>, Refusal> {
        let wait = Duration::from_secs(GREETING_WAIT_SECS);
        let audience = self.audience((post, message), None);
        let stocks = self.stocks(&audience, Need::Offer, wait).await;
        let offer = self.offer(&stocks);
        let discovered = offer.discover_result(&[modern::VERSION], SERVER, DISCOVER_TTL_MILLIS);
        Ok(result(post, message, &discovered))
    }

    /// What all upstreams offer together.
    fn offer(&self, stocks: &[Arc<Stock>]) -> Offer {
        let legs = self.call.route.legs.iter().zip(stocks);
        let members = legs.filter_map(|(leg, stock)| {
            Some((leg.upstream.name().as_str(), &**stock.offer.as_ref()?))
        });
        let mut offer = Offer::merge(members, self.plan.instructions(), INSTRUCTIONS_BYTES_MAX);
        if stocks.iter().any(|stock| stock.offer.is_none()) {
            // One that cannot be asked now most likely has tools, and they come when it does.
            offer.tools.get_or_insert(Listed { list_changed: true });
        }
        offer
    }

    /// What is known of each upstream once it is known, or after `wait`.
    pub(super) async fn stocks(
        &self,
        audience: &Audience,
        need: Need,
        wait: Duration,
    ) -> Vec<Arc<Stock>> {
        let now = self.gate.clock.now();
        let legs = &self.call.route.legs;
        let mut stocks = Vec::with_capacity(legs.len());
        let mut wanted = Vec::new();
        for (number, leg) in legs.iter().enumerate() {
            let catalog = leg.knowledge.catalogs().of(&audience.at(leg), now);
            let ready = catalog.ready(need, now);
            if ready.is_none() {
                wanted.push((number, leg, catalog.clone()));
            }
            stocks.push(ready.unwrap_or_else(|| catalog.stock()));
        }
        let wanted = wanted.into_iter().map(|(number, leg, catalog)| {
            // What has to be started first is given the time for it.
            let wait = wait + leg.upstream.start_time().min(Duration::from_secs(START_WAIT_SECS));
            let there = (&leg.upstream, &leg.knowledge);
            async move { (number, catalog.want(self.gate, there, need, wait).await) }
        });
        for (number, stock) in futures_util::future::join_all(wanted).await {
            stocks[number] = stock;
        }
        stocks
    }

    /// One page of one list.
    pub(super) async fn list(
        &self,
        (post, message): (&Post, &Message),
        held: Option<&Held>,
    ) -> Result<Response<GateBody>, Refusal> {
        let audience = &self.audience((post, message), held);
        let Some(kind) = ListKind::of(post.method) else {
            return Ok(unknown_method(post, message));
        };
        let at = match message.fields.cursor {
            None => Place::default(),
            Some(cursor) => match self.unseal(kind, &cursor.decode(&post.body)) {
                Some(place) => place,
                None => {
                    let text = "this cursor is not one this list gave: list again without one";
                    return Ok(error(post, message, (-32602, text), None));
                }
            },
        };
        let wait = Duration::from_secs(LIST_WAIT_SECS);
        let mut stocks = self.stocks(audience, Need::List(kind), wait).await;
        // Text of one upstream may be about tools of another, whose list was read after it.
        if kind == ListKind::Tools && self.gate.pins.settle_names(self.gate) {
            stocks = self.stocks(audience, Need::List(kind), wait).await;
        }
        let legs = &self.call.route.legs;
        let merged = self.plan.shelf.merged(self.plan, legs, (audience, kind), &stocks);
        let fresh = shelf::ttl_millis(&stocks, kind, self.gate.clock.now());
        let caching = (audience.era == Era::Modern).then_some((fresh, merged.is_public));
        if let Some(book) = self.snapshot.permit.enforced() {
            let sight = Sight::new(Some(&**book), self.party(), &self.call.route.path);
            let shows = |place: Place| self.shows(&sight, (kind, place), &stocks);
            let (items, next) = merged.page_of(at, shows);
            let cursor = next.map(|next| self.seal(kind, next)).transpose()?;
            // What one caller sees is for nobody else.
            let caching = caching.map(|(fresh, _)| (fresh, false));
            let page = render_page(kind, items.iter(), cursor.as_deref(), caching);
            return Ok(result(post, message, &page));
        }
        let (page, next) = merged.page(at);
        let cursor = next.map(|next| self.seal(kind, next)).transpose()?;
        let items = (!page.items.is_empty()).then_some(&page.items);
        let page = render_page(kind, items.into_iter(), cursor.as_deref(), caching);
        Ok(result(post, message, &page))
    }

    /// Whether the caller may see what stands at a place of a merged list.
    fn shows(
        &self,
        sight: &Sight<'_>,
        (kind, place): (ListKind, Place),
        stocks: &[Arc<Stock>],
    ) -> bool {
        let leg = usize::from(place.leg);
        let list = stocks.get(leg).and_then(|stock| stock.list(kind));
        let item = list.and_then(|list| list.items.get(usize::try_from(place.item).ok()?));
        let there = self.call.route.legs.get(leg).zip(item);
        there.is_some_and(|(leg, item)| {
            let (kind, upstream) = (permit::kind_of(kind), leg.upstream.name());
            sight.shows(&Item { kind, upstream, name: &item.name })
        })
    }

    fn seal(&self, kind: ListKind, place: Place) -> Result<String, Refusal> {
        let context = [self.call.route.path.as_str().as_bytes(), self.principal.binding()];
        let plain = place.to_bytes(kind);
        let sealed = self.gate.seal(&self.snapshot.seal, (Purpose::Cursor, &context), &plain);
        sealed.ok_or_else(|| Refusal::new(Reason::Internal, "the cursor cannot be made"))
    }

    fn unseal(&self, kind: ListKind, cursor: &str) -> Option<Place> {
        let context = [self.call.route.path.as_str().as_bytes(), self.principal.binding()];
        self.snapshot.seal.open(Purpose::Cursor, &context, cursor.as_bytes(), |plain| {
            Place::from_bytes(plain, kind)
        })
    }

    /// Sets the log level of this session's legs, and of those that come.
    pub(super) async fn set_level(
        &self,
        (post, message): (&Post, &Message),
        held: Option<&Held>,
    ) -> Result<Response<GateBody>, Refusal> {
        let Some(held) = held else { return Ok(unknown_method(post, message)) };
        crate::recovery::remember(self.gate, &held.session, post);
        self.tell_legs(held, post).await;
        Ok(result(post, message, b"{}"))
    }
}

fn here() -> UpstreamSessionId {
    // INVARIANT: the name of no upstream is a visible character, so this is a valid id.
    UpstreamSessionId::parse(HERE.as_str()).unwrap_or_else(|| unreachable!("`*` is visible"))
}

/// The id of a request as raw JSON.
fn id_of<'a>(post: &'a Post, message: &Message) -> &'a [u8] {
    message.id.map_or(b"null".as_slice(), |id| id.of(&post.body))
}

/// A response with a result.
pub(super) fn result(post: &Post, message: &Message, result: &[u8]) -> Response<GateBody> {
    let id = id_of(post, message);
    let whole = [br#"{"jsonrpc":"2.0","id":"#, id, br#","result":"#, result, b"}"].concat();
    reply::json(StatusCode::OK, Bytes::from(whole))
}

/// The answer to a method that no hub has.
pub(super) fn unknown_method(post: &Post, message: &Message) -> Response<GateBody> {
    absence::answer(post, message, Absent::Method)
}
