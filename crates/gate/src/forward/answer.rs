//! What becomes of a reply: a JSON answer, an event stream, an acceptance, or a refusal.
//!
//! The status a client sees is derived anew: a modern client reads meaning into 400 and 404, a
//! legacy client takes 404 for the end of its session, and nobody may take the upstream's 401 for
//! its own.

use super::{Forward, Sent, refuse_send};
use crate::body::GateBody;
use crate::call::Post;
use crate::expect::Expected;
use crate::generation::Mark;
use crate::relay::{StreamBody, Terms};
use crate::reply;
use crate::session::OpenStream;
use crate::streams::StreamSlot;
use crate::upstream::{Media, ReplyHeaders};
use crate::ward::{Gather, Ward};
use bytes::Bytes;
use http::{Response, StatusCode};
use tollgate_core::bounds::KIB;
use tollgate_core::refusal::{Reason, Refusal};
use tollgate_mcp::era::{Era, modern};

/// Most that is read of a reply that is no answer.
const DISCARDED_BYTES_MAX: usize = 64 * KIB;

impl Forward<'_> {
    /// Turns a reply to a POST into the client's response.
    pub(super) async fn answer(
        &self,
        sent: Sent,
        mut expected: Expected,
        post: &Post,
        (session, mark): (Option<OpenStream>, Mark),
    ) -> Result<Response<GateBody>, Refusal> {
        let Sent { mut ward, status, headers } = sent;
        if !status.is_success() {
            return self.refused(ward, status, &headers, &expected).await;
        }
        if !post.expects_answer() {
            discard(&mut ward).await;
            return Ok(reply::empty(StatusCode::ACCEPTED));
        }
        match headers.media {
            Media::Json => {
                let whole = self.whole(&mut ward).await?;
                let whole = expected.judge_whole(whole)?;
                let status = match (expected.era(), expected.error()) {
                    (Era::Modern, Some(code)) => modern_status(code, StatusCode::OK),
                    (Era::Modern | Era::Legacy, _) => StatusCode::OK,
                };
                Ok(reply::json(status, whole))
            }
            Media::Events => Ok(stream_response(self.stream(ward, expected, (session, mark))?)),
            Media::Other => {
                ward.abandon();
                Err(Refusal::new(
                    Reason::UpstreamInvalid,
                    "the server answered neither JSON nor an event stream",
                ))
            }
        }
    }

    /// The body of a streamed answer.
    pub(super) fn stream(
        &self,
        ward: Ward,
        expected: Expected,
        (session, mark): (Option<OpenStream>, Mark),
    ) -> Result<StreamBody, Refusal> {
        let limits = &self.snapshot.settings.limits;
        let slot = if expected.is_lasting() {
            self.gate.streams.open(self.call.caller, limits.streams_per_caller_max)?
        } else {
            StreamSlot::uncounted()
        };
        let is_counted = self.snapshot.admit.limited().is_some();
        let parking = session.as_ref().filter(|_| is_counted);
        let parking = parking.map(|open| self.gate.parked.of(open.session_key()));
        let expected = expected.parking_at(parking);
        let terms = Terms {
            expected,
            event_bytes_max: limits.reply_bytes_max,
            keepalive: limits.stream_keepalive,
            mark,
            drain: self.gate.drain.clone(),
        };
        Ok(StreamBody::new(ward, terms, session, slot))
    }

    /// Reads a whole JSON reply.
    pub(super) async fn whole(&self, ward: &mut Ward) -> Result<Bytes, Refusal> {
        let limit = self.snapshot.settings.limits.reply_bytes_max;
        ward.gather(limit).await.map_err(|error| match error {
            Gather::TooLarge => Refusal::new(
                Reason::UpstreamInvalid,
                format!("the server's answer is larger than the {limit} bytes allowed here"),
            ),
            Gather::Broken(error) => refuse_send(&error),
        })
    }

    /// Turns an unsuccessful reply into an error that says whose fault it is. An error in JSON-RPC
    /// is passed on under the request's own id.
    pub(super) async fn refused(
        &self,
        mut ward: Ward,
        status: StatusCode,
        headers: &ReplyHeaders,
        expected: &Expected,
    ) -> Result<Response<GateBody>, Refusal> {
        let is_json = headers.media == Media::Json;
        let body = ward.gather(DISCARDED_BYTES_MAX).await.unwrap_or_default();
        if matches!(status.as_u16(), 401 | 403 | 407) {
            let text = "the server refused the gate's own credential: the operator must renew it";
            return Err(Refusal::new(Reason::UpstreamRefused, text));
        }
        if is_json && let Some((code, message)) = expected.adopt_error(&body) {
            let kept = if status.is_client_error() { status } else { StatusCode::BAD_GATEWAY };
            let status = match expected.era() {
                _ if expected.means_absent(code) => StatusCode::OK,
                Era::Legacy => kept,
                Era::Modern => modern_status(code, status),
            };
            return Ok(reply::json(status, message));
        }
        if matches!(status.as_u16(), 429 | 503) {
            let wait = headers.retry_after_secs.unwrap_or(5);
            let text = "the server is overloaded: retry later";
            return Err(Refusal::new(Reason::UpstreamDown, text).retry_after(wait));
        }
        let said: String = String::from_utf8_lossy(&body).chars().take(200).collect();
        let said = said.replace(char::is_control, " ");
        let text = format!("the server answered HTTP {status}: {said}");
        match (expected.era(), status.as_u16()) {
            (Era::Legacy, 400) => Err(Refusal::new(Reason::InvalidRequest, text)),
            _ => Err(Refusal::new(Reason::UpstreamInvalid, text)),
        }
    }
}

/// The response that carries a stream.
pub(super) fn stream_response(stream: StreamBody) -> Response<GateBody> {
    reply::events(GateBody::Stream(Box::new(stream)))
}

/// Reads what is no answer, so that the connection can be used again.
pub(super) async fn discard(ward: &mut Ward) {
    // Too much of it, or a broken end, only means that the connection is not used again.
    drop(ward.gather(DISCARDED_BYTES_MAX).await);
}

/// Modern errors have their own statuses, whatever the upstream sent them with.
fn modern_status(code: i64, sent: StatusCode) -> StatusCode {
    let own = modern::status_of(code).and_then(|status| StatusCode::from_u16(status).ok());
    own.unwrap_or(if sent == StatusCode::BAD_REQUEST { sent } else { StatusCode::OK })
}
