//! A batch of 2025-03-26 on a hub: each message goes where it belongs, the answers come on one stream.
//!
//! SPEC: 2025-03-26 basic, Batching; basic/transports: one response for each request, in any order.

use super::Front;
use super::stage::Stage;
use crate::body::GateBody;
use crate::call::Post;
use crate::reply;
use crate::session::Held;
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::BodyExt as _;
use std::sync::Arc;
use tokio::sync::mpsc;
use tollgate_core::bounds::EVENTS_WAITING_MAX;
use tollgate_core::refusal::Refusal;
use tollgate_mcp::json::{self, Body, Kind, Message};
use tollgate_mcp::methods::Method;
use tollgate_mcp::sse;

impl Front<'_> {
    /// Serves each message of a batch.
    pub(super) async fn batch(
        &self,
        held: &Held,
        post: &Post,
    ) -> Result<Response<GateBody>, Refusal> {
        let stage = self.stage(Some(held.clone()), self.audience_of(held));
        let (out, body) = mpsc::channel(EVENTS_WAITING_MAX);
        let mut wants_answer = !post.answered.is_empty();
        if wants_answer {
            tokio::spawn(say(post.answered.clone(), out.clone()));
        }
        for (number, message) in post.all().iter().enumerate() {
            let Some((post, message)) = alone(post, (number, message)) else { continue };
            if message.kind == Kind::Request {
                wants_answer = true;
                tokio::spawn(answer(stage.clone(), (post, message), out.clone()));
            } else {
                // In order: what was said first may be what the next message relies on.
                self.legacy(held, &post, &message).await.map(drop)?;
            }
        }
        if !wants_answer {
            return Ok(reply::empty(StatusCode::ACCEPTED));
        }
        Ok(crate::reply::events(GateBody::Channel(body)))
    }
}

/// One message of a batch as a body of its own.
fn alone(post: &Post, (number, message): (usize, &Message)) -> Option<(Post, Message)> {
    let body = post.slice(message.span);
    // It was judged as a part of the whole; alone, only its offsets differ.
    let Ok(Body::One(message)) = json::judge(&body, &json::Limits::default()) else { return None };
    let method = message.method.map_or(Method::Other, |name| Method::of(&name.decode(&body)));
    let own = Post {
        body,
        messages: Body::One(message.clone()),
        era: post.era,
        method,
        version: post.version,
        params: Vec::new(),
        subjects: post.subjects.alone(number),
        tabs: post.tabs.alone(number),
        answered: Vec::new(),
    };
    Some((own, *message))
}

/// Writes answers that are ready.
async fn say(answers: Vec<Bytes>, out: mpsc::Sender<Bytes>) {
    for answer in answers {
        if out.send(sse::encode(Some("message"), None, None, &answer)).await.is_err() {
            return;
        }
    }
}

/// Serves one request and writes what comes of it as events.
async fn answer(stage: Arc<Stage>, (post, message): (Post, Message), out: mpsc::Sender<Bytes>) {
    let Some(held) = &stage.held else { return };
    let served = stage.front().legacy(held, &post, &message).await;
    let served = post.tabs.clone().close(served);
    let mut body = match served {
        Ok(response) => response.into_body(),
        Err(refusal) => {
            let id = message.id.map(|id| id.of(&post.body));
            GateBody::Full(Some(Bytes::from(reply::error_message(&refusal, id))))
        }
    };
    let is_whole = matches!(body, GateBody::Full(_));
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(data) = frame.into_data() else { continue };
        let piece = if is_whole { sse::encode(Some("message"), None, None, &data) } else { data };
        if out.send(piece).await.is_err() {
            return;
        }
    }
}
