//! HTTP+SSE, the transport of revision 2024-11-05, towards agents that still use it.
//!
//! A GET of the route's path plus `/sse` opens a stream whose first event names the URL to POST
//! messages to, which is the route's path plus `/messages` and the stream's sealed name; what they
//! are answered, and all that the upstream says by itself, comes on that stream. This is an adapter and nothing else: each message is judged as strictly as any, and goes
//! the same path, as if it had been POSTed to the route with the session that `initialize` opened.
//! The agent never sees that session; closing the stream ends it.
//!
//! A message that is wrong by itself is refused by status. What is refused later, for whatever
//! reason, is told as the answer on the stream, since that is where the agent waits.
//!
//! SPEC: 2024-11-05 basic/transports, HTTP with SSE. Next: `http_sse/lane.rs` for what is kept
//! between requests, `http_sse/pump.rs` for what is carried, `http_sse/stream.rs` for the stream.

mod lane;
mod pump;
mod stream;

pub use lane::Lanes;
pub use stream::AgentStream;

use crate::admit::{self, Taken};
use crate::body::GateBody;
use crate::call::{Ask, Post};
use crate::frame::{self, Framed};
use crate::gate::Gate;
use crate::identify::{self, Caller};
use crate::ledger::Ledger;
use crate::listen::Peer;
use crate::path;
use crate::permit::{self, Outcome};
use crate::reply;
use crate::session;
use crate::settings::RouteSettings;
use crate::snapshot::{CompileError, Route, Snapshot};
use bytes::Bytes;
use http::request::Parts;
use http::{Method as HttpMethod, Request, Response};
use hyper::body::Incoming;
use lane::Lane;
use pump::Carrier;
use std::collections::HashMap;
use std::sync::Arc;
use tollgate_core::refusal::{Blame, Reason, Refusal};
use tollgate_mcp::era::Era;
use tollgate_mcp::json::Kind;
use tollgate_mcp::methods::Method;

/// The parameter of the URL that names the stream a message belongs to, called as by the first
/// servers of this transport: some clients look for it.
const SESSION: &str = "sessionId";

/// Where HTTP+SSE is served besides a route.
#[derive(Clone, Debug)]
pub enum Door {
    /// The path to open a stream at.
    Stream(Arc<Route>),
    /// The path to POST messages to.
    Messages(Arc<Route>),
}

/// The paths where HTTP+SSE is served, and the routes behind them.
pub(crate) fn paths(
    settings: &[RouteSettings],
    routes: &HashMap<String, Arc<Route>>,
) -> Result<HashMap<String, Door>, CompileError> {
    let mut paths = HashMap::new();
    for route in settings.iter().filter(|route| route.sse) {
        let Some(compiled) = routes.get(route.path.as_str()) else { continue };
        for door in [Door::Stream(compiled.clone()), Door::Messages(compiled.clone())] {
            let path = door.path();
            if routes.contains_key(&path) {
                return Err(CompileError::PathTaken { route: route.path.clone(), path });
            }
            paths.insert(path, door);
        }
    }
    Ok(paths)
}

impl Door {
    fn path(&self) -> String {
        let (Self::Stream(route) | Self::Messages(route)) = self;
        let base = route.path.as_str().trim_end_matches('/');
        match self {
            Self::Stream(_) => format!("{base}/sse"),
            Self::Messages(_) => format!("{base}/messages"),
        }
    }
}

/// Serves a request at such a path.
///
/// # Errors
/// Any refusal that is told by status.
pub(crate) async fn serve(
    gate: &Arc<Gate>,
    snapshot: &Arc<Snapshot>,
    (door, request): (&Door, Request<Incoming>),
    peer: &Peer,
    ledger: &mut Ledger,
) -> Result<Response<GateBody>, Refusal> {
    let (head, body) = request.into_parts();
    frame::vet(snapshot, &head)?;
    let (Door::Stream(route) | Door::Messages(route)) = door;
    let from = (&**route, &head);
    let caller = identify::caller(&snapshot.identify, from, peer, ledger).await?;
    match (door, &head.method) {
        (Door::Stream(route), &HttpMethod::GET) => {
            open(gate, snapshot, (route, caller, &head), ledger).await
        }
        (Door::Messages(route), &HttpMethod::POST) => {
            let sealed = sealed(&head)?;
            let post = frame::message(snapshot, route, (&head, body), ledger).await?;
            let framed = Framed::for_agent(route.clone(), Ask::Post(Box::new(post)), caller);
            let owner = (&route.path, framed.principal());
            let lane = gate.lanes.find(&snapshot.seal, owner, sealed.as_bytes());
            let lane = lane.ok_or_else(session::unknown)?;
            let carrier = Carrier { gate: gate.clone(), snapshot: snapshot.clone(), lane };
            take(carrier, framed, ledger.id.clone()).await?;
            Ok(reply::accepted())
        }
        // Clients that try newer transports first take this status for "open a stream here".
        (Door::Stream(_), _) => Err(Refusal::new(
            Reason::MethodNotAllowed,
            "this is the event stream of HTTP+SSE (2024-11-05): open it with GET, or use this \
             route without `/sse` for newer transports",
        )),
        (Door::Messages(_), _) => Err(Refusal::new(
            Reason::MethodNotAllowed,
            "messages of HTTP+SSE (2024-11-05) are POSTed here",
        )),
    }
}

/// Opens a stream and tells the agent where to post.
async fn open(
    gate: &Arc<Gate>,
    snapshot: &Arc<Snapshot>,
    (route, caller, head): (&Arc<Route>, Caller, &Parts),
    ledger: &mut Ledger,
) -> Result<Response<GateBody>, Refusal> {
    frame::accepts(&head.headers, "text/event-stream")?;
    let ask = Ask::Stream { last_event_id: None };
    let framed = Framed::for_agent(route.clone(), ask, caller.clone());
    if let Outcome::Permitted(permitted) = permit::decide(gate, snapshot, framed, ledger).await?
        && let Taken::Answered(response) = admit::take(&snapshot.admit, &gate.drain, permitted)?
    {
        return Ok(response);
    }
    let limits = &snapshot.settings.limits;
    let slot = gate.streams.open(caller.key(), limits.streams_per_caller_max)?;
    let (lane, far) = Lane::new(route.path.clone(), caller, &*gate.entropy);
    let sealed = lane.sealed(&snapshot.seal, &*gate.entropy).ok_or_else(|| {
        Refusal::new(Reason::Internal, "the URL to post to cannot be made: please report it")
    })?;
    gate.lanes.keep(&lane)?;
    let url = format!("{}?{SESSION}={sealed}", Door::Messages(route.clone()).path());
    let stream = AgentStream::new(gate, snapshot, (lane, far), &url, slot);
    Ok(reply::events(GateBody::HttpSse(Box::new(stream))))
}

/// The sealed name of the stream. Given twice, it names none: which of two is meant must not be a
/// question.
fn sealed(head: &Parts) -> Result<String, Refusal> {
    let pairs = head.uri.query().unwrap_or("").split('&').filter_map(|pair| pair.split_once('='));
    let mut values = pairs.filter(|(name, _)| *name == SESSION).map(|(_, value)| value);
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value.to_owned()),
        (Some(_), Some(_)) => Err(session::unknown()),
        (None, _) => Err(Refusal::new(
            Reason::SessionRequired,
            "open the stream with GET first, and POST to the URL that its first event names",
        )),
    }
}

/// Takes a message on: a request is carried by the stream, anything else at once.
async fn take(carrier: Carrier, framed: Framed, id: Option<Bytes>) -> Result<(), Refusal> {
    let Ask::Post(post) = &framed.call().ask else { return Ok(()) };
    let (is_request, method) = (is_request(post), post.method);
    let refused = out_of_turn(post, &carrier.lane);
    let lane = carrier.lane.clone();
    lane.note_use();
    let framed = framed.in_session(lane.session());
    if is_request {
        let id = id.unwrap_or_default();
        let begins = method == Method::Initialize && refused.is_none();
        let handed = lane.hand_over(match refused {
            Some(refusal) => Box::pin(async move { carrier.lane.refuse(&refusal, &id).await }),
            None => Box::pin(carrier.call(framed, (method, id))),
        });
        let handed = handed.await;
        if handed.is_err() && begins {
            lane.end_initialize(None);
        }
        return handed;
    }
    if let Some(refusal) = refused {
        return Err(refusal);
    }
    let mut ledger = Ledger::default();
    let carried = path::onward(&carrier.gate, &carrier.snapshot, framed, &mut ledger).await;
    settled(carried.map(drop), &lane)?;
    if method == Method::Initialized {
        carrier.listen().await;
    }
    Ok(())
}

fn is_request(post: &Post) -> bool {
    post.one().is_some_and(|message| message.kind == Kind::Request)
}

/// Why a message is not carried as things stand on its stream. `initialize` that is carried has
/// begun with this.
fn out_of_turn(post: &Post, lane: &Lane) -> Option<Refusal> {
    if post.era == Era::Modern {
        // Agents that try newer revisions first take any other error than a newer revision's own
        // for "use `initialize`".
        let text = "this transport serves the revisions with `initialize`: send that, or use this \
                    route without `/sse`";
        return Some(Refusal::new(Reason::MethodUnknown, text));
    }
    if post.method == Method::Initialize && !is_request(post) {
        let text = "`initialize` needs an id: its answer is what everything else waits for";
        return Some(Refusal::new(Reason::InvalidRequest, text));
    }
    if post.method == Method::Initialize {
        let text = "this stream is initialized already: open another one for another session";
        let again = Refusal::new(Reason::InvalidRequest, text);
        return (!lane.begin_initialize()).then_some(again);
    }
    // Also where a server would take calls without it: a session must not be passed by.
    let text = "send `initialize` first, and wait for its answer on the stream";
    (!lane.is_initialized()).then(|| Refusal::new(Reason::SessionRequired, text))
}

/// What the agent is told of a notification or an answer. Servers of this transport accept whatever
/// is well-formed, and common clients end everything at another status; so a trouble of the
/// upstream's is not held against the agent.
fn settled(carried: Result<(), Refusal>, lane: &Lane) -> Result<(), Refusal> {
    let Err(refusal) = carried else { return Ok(()) };
    if refusal.reason == Reason::SessionUnknown {
        lane.end();
    }
    if refusal.reason.blame() == Blame::Upstream {
        tracing::debug!(reason = refusal.reason.code(), text = %refusal.text, "not delivered");
        return Ok(());
    }
    Err(refusal)
}
