//! Sessions that survive the loss of their endpoint (`sessions: recoverable`).
//!
//! Few clients start over by themselves when a session answers 404. For upstreams whose operator
//! says that a fresh session serves as well, the gate remembers what the client told its session:
//! the `initialize` request, the log level, the subscriptions. When the home is lost, it tells a live
//! endpoint the same and goes on under the id the client holds. What the server itself kept in
//! the session is gone: that is why the operator has to say so.

use crate::call::Post;
use crate::farewell::Unclaimed;
use crate::forward::{Forward, Sent, down, legacy::write_session, post_headers, refuse_send};
use crate::gate::Gate;
use crate::session;
use crate::upstream::{Deadlines, Endpoint, Fields, ReplyHeaders};
use bytes::Bytes;
use http::Method as HttpMethod;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use tollgate_core::bounds::{MIB, RESTORED_INITIALIZE_BYTES_MAX, RESTORED_SUBSCRIPTIONS_MAX};
use tollgate_core::refusal::{Reason, Refusal};
use tollgate_core::sessions::{Home, Memory, Session};
use tollgate_mcp::era::legacy::Version;
use tollgate_mcp::json::Text;
use tollgate_mcp::methods::Method;
use tollgate_mcp::reply::glance;
use tollgate_mcp::sse;

/// Texts of `initialize`, shared between the many sessions of equal clients.
#[derive(Debug, Default)]
pub struct Memories {
    // A plain mutex: held for one set operation, once per session.
    initializes: Mutex<HashSet<Arc<[u8]>>>,
}

impl Memories {
    /// The memory of a session that begins with this `initialize`; `None` if that is too long to keep.
    #[must_use]
    pub fn begin(&self, initialize: &[u8]) -> Option<Arc<Memory>> {
        if initialize.len() > RESTORED_INITIALIZE_BYTES_MAX {
            return None;
        }
        let mut known = self.initializes.lock();
        let shared = match known.get(initialize) {
            Some(shared) => shared.clone(),
            None => {
                let shared: Arc<[u8]> = Arc::from(initialize);
                known.insert(shared.clone());
                shared
            }
        };
        Some(Arc::new(Memory { initialize: shared, ..Memory::default() }))
    }

    /// Forgets texts that no session uses any more.
    pub fn sweep(&self) {
        self.initializes.lock().retain(|text| Arc::strong_count(text) > 1);
    }
}

/// How often a session is looked at again because somebody else changed it at the same moment.
const RACES_MAX: usize = 64;

/// Notes what a call that succeeded changed about its session.
pub(crate) fn remember(gate: &Gate, session: &Arc<Session>, post: &Post) {
    if !matches!(
        post.method,
        Method::Initialized | Method::SetLevel | Method::Subscribe | Method::Unsubscribe
    ) {
        return;
    }
    let mut session = session.clone();
    for _ in 0..RACES_MAX {
        let Some(next) = changed(&session, post) else { return };
        if gate.sessions.replace(&session, session.home.clone(), Some(Arc::new(next))).is_some() {
            return;
        }
        // Somebody else changed it since: what they noted stays, and this is added to it.
        let Some(current) = gate.sessions.current(&session) else { return };
        session = current;
    }
}

/// The memory of a session after this call; `None` where the call changes nothing in it.
fn changed(session: &Session, post: &Post) -> Option<Memory> {
    let message = post.one()?;
    let text = |text: Text| String::from_utf8_lossy(text.span.of(&post.body)).into_owned();
    let mut next = Memory::clone(session.memory.as_ref()?);
    match post.method {
        Method::Initialized => next.initialized = true,
        Method::SetLevel => next.log_level = Some(text(message.fields.level?).into_boxed_str()),
        Method::Subscribe | Method::Unsubscribe => {
            let uri = text(message.fields.uri?);
            next.subscriptions.retain(|known| **known != *uri);
            let has_room = next.subscriptions.len() < RESTORED_SUBSCRIPTIONS_MAX;
            if post.method == Method::Subscribe && has_room {
                next.subscriptions.push(uri.into_boxed_str());
            }
        }
        _ => return None,
    }
    Some(next)
}

/// Gives a lost session a new home.
///
/// # Errors
/// `SessionUnknown` if the upstream refuses, `UpstreamDown` if no endpoint is
/// reachable: the session then stays for another try.
pub(crate) async fn recover(
    forward: &Forward<'_>,
    session: &Arc<Session>,
    version: Version,
) -> Result<Arc<Session>, Refusal> {
    let sessions = &forward.gate.sessions;
    let current = sessions.current(session).ok_or_else(session::unknown)?;
    if current.home.generation != session.home.generation {
        return Ok(current);
    }
    let Some(memory) = &current.memory else { return Err(session::unknown()) };
    let Introduced { endpoint, made, version: found } = introduce(forward, memory).await?;
    // The client holds to the version it knows; and where nothing is kept, nothing can be recovered.
    let made = made.filter(|_| found == version).ok_or_else(session::unknown)?;
    let home = Home { generation: current.home.generation + 1, ..made.home().clone() };
    let next = current.moved(home.clone(), current.memory.clone());
    retell(forward, &endpoint, &next, version).await?;
    let mut current = current;
    for _ in 0..RACES_MAX {
        if let Some(next) = sessions.replace(&current, home.clone(), current.memory.clone()) {
            tracing::info!(upstream = %next.upstream, endpoint = %next.home.endpoint, "session recovered");
            made.claim();
            return Ok(next);
        }
        let Some(now) = sessions.current(session) else { break };
        let was_recovered = now.home.generation != current.home.generation;
        current = now;
        if was_recovered {
            break;
        }
    }
    // Another call recovered it first, or ended it: our new upstream session is one too many, and
    // ends here unclaimed.
    sessions.current(session).ok_or_else(session::unknown)
}

/// An endpoint that was told who calls.
pub(crate) struct Introduced {
    pub(crate) endpoint: Arc<Endpoint>,
    /// The session it made; `None` if it keeps none.
    pub(crate) made: Option<Unclaimed>,
    /// What it answered to speak.
    pub(crate) version: Version,
}

/// Repeats `initialize` on a live endpoint.
///
/// # Errors
/// `UpstreamDown` if none can be reached, `SessionUnknown` if it will not have the client.
pub(crate) async fn introduce(
    forward: &Forward<'_>,
    memory: &Memory,
) -> Result<Introduced, Refusal> {
    let body = Bytes::copy_from_slice(&memory.initialize);
    let mut last = None;
    for _ in 0..3 {
        let endpoint = forward.leg.upstream.pick().ok_or_else(down)?;
        let told = tell(forward, &endpoint, post_headers(), body.clone()).await;
        let (sent, answer) = match told {
            Ok(told) => told,
            // It had its time; whoever calls has waited for it.
            Err(refusal) if refusal.reason == Reason::UpstreamTimeout => return Err(refusal),
            Err(refusal) => {
                last = Some(refusal);
                continue;
            }
        };
        let made = forward.unclaimed(&endpoint)(&sent);
        let version = negotiated(&answer).ok_or_else(session::unknown)?;
        return Ok(Introduced { endpoint, made, version });
    }
    Err(last.unwrap_or_else(down))
}

/// Tells the new home what the client had told the old one.
///
/// # Errors
/// As [`introduce`].
pub(crate) async fn retell(
    forward: &Forward<'_>,
    endpoint: &Arc<Endpoint>,
    session: &Session,
    version: Version,
) -> Result<(), Refusal> {
    let Some(memory) = &session.memory else { return Ok(()) };
    let mut messages = Vec::new();
    if memory.initialized {
        messages.push(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.to_owned());
    }
    if let Some(level) = &memory.log_level {
        messages.push(format!(
            r#"{{"jsonrpc":"2.0","id":"tollgate-level","method":"logging/setLevel","params":{{"level":{level}}}}}"#
        ));
    }
    let heard = memory.subscriptions.iter().filter(|uri| forward.may_hear_of(uri));
    for (at, uri) in heard.enumerate() {
        messages.push(format!(
            r#"{{"jsonrpc":"2.0","id":"tollgate-uri-{at}","method":"resources/subscribe","params":{{"uri":{uri}}}}}"#
        ));
    }
    let mut headers = post_headers();
    write_session(&mut headers, session, version);
    for message in messages {
        match tell(forward, endpoint, headers.clone(), Bytes::from(message)).await {
            // One of several servers may not have what another has, and is called all the same.
            Err(refusal) if session.is_leg && refusal.reason == Reason::SessionUnknown => {}
            told => drop(told?),
        }
    }
    Ok(())
}

/// Sends one message of our own and reads what is answered.
async fn tell(
    forward: &Forward<'_>,
    endpoint: &Arc<Endpoint>,
    headers: Fields,
    body: Bytes,
) -> Result<(ReplyHeaders, Bytes), Refusal> {
    let timeouts = forward.leg.upstream.settings().timeouts;
    let total = Some(timeouts.first_byte);
    let deadlines = Deadlines { first_byte: timeouts.first_byte, pause: total, total };
    let exchange = endpoint.send(forward.outgoing(HttpMethod::POST, headers, body), deadlines);
    let mut ward = forward.gate.orphanage.ward(exchange, false);
    let (status, headers) = ward.head().await.map_err(|error| refuse_send(&error))?;
    let sent = Sent { ward, status, headers };
    if !sent.status.is_success() {
        return Err(session::unknown());
    }
    let Sent { mut ward, headers, .. } = sent;
    let answer = ward.gather(MIB).await.map_err(|_| session::unknown())?;
    Ok((headers, answer))
}

/// The version an answer to `initialize` names, be it JSON or an event stream.
fn negotiated(answer: &Bytes) -> Option<Version> {
    sse::messages(answer.clone(), MIB).find_map(|message| {
        let version = glance(&message).ok()?.result?.protocol_version?;
        Version::parse(&version.decode(&message))
    })
}
