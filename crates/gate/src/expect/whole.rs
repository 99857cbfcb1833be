//! Replies that are not one message of a stream: batches of 2025-03-26, JSON replies, and errors that
//! come with a status.

use super::{Expected, Verdict, invalid, same_id};
use crate::meter::Parking;
use bytes::Bytes;
use tollgate_core::bounds::BATCH_MAX;
use tollgate_core::refusal::{Reason, Refusal};
use tollgate_mcp::json::{Span, splice};
use tollgate_mcp::reply::{self, Glance, GlanceKind};

impl Expected {
    /// SPEC: 2025-03-26 basic/transports: answers may be batched.
    pub(super) fn judge_batch(&mut self, message: Bytes) -> Result<Verdict, Refusal> {
        let glances = reply::glance_any(&message, BATCH_MAX).map_err(|fault| invalid(&fault))?;
        if let Some(watch) = &self.watch
            && !watch.may_pass_whole(self.method)
        {
            let text =
                "the upstream answered several things at once, which a policy lets nobody see";
            return if self.is_stream_of_session {
                Ok(Verdict::Drop)
            } else {
                Err(Refusal::new(Reason::UpstreamInvalid, text))
            };
        }
        let mut answered = Vec::new();
        for glance in &glances {
            let is_answer = matches!(glance.kind, GlanceKind::Response | GlanceKind::ErrorResponse);
            let own = if is_answer { self.settle(&message, glance) } else { None };
            let belongs = match own {
                Some(_) => true,
                None if is_answer => self.may_answer_anything(),
                None => self.watch.is_none(),
            };
            if !belongs {
                self.knowledge.note_dropped();
                return Ok(Verdict::Drop);
            }
            answered.extend(own.map(|own| (own, glance.span)));
        }
        // Only now, as one stray message keeps all of them from the agent.
        let cut: Vec<(Span, Bytes)> = answered
            .into_iter()
            .filter_map(|(own, span)| Some((span, self.close(own, &message.slice(span.range()))?)))
            .collect();
        let edits: Vec<(Span, &[u8])> = cut.iter().map(|(span, cut)| (*span, &cut[..])).collect();
        let message = splice(&message, &edits);
        Ok(if self.is_done() { Verdict::Last(message) } else { Verdict::Pass(message) })
    }

    /// Closes what the request with this id has open; also the answer cut to its room, if it has none
    /// as it is.
    fn close(&self, own: Span, answer: &Bytes) -> Option<Bytes> {
        let tab = self.tabs.of(own.of(&self.body))?;
        let glance = reply::glance(answer).ok()?;
        let cut = tab.fit(answer, &glance);
        let is_error = glance.kind == GlanceKind::ErrorResponse;
        tab.answered(cut.as_ref().unwrap_or(answer), is_error);
        cut
    }

    /// Judges a whole JSON reply to a POST. Such a reply is the answer, or an array of answers.
    ///
    /// # Errors
    /// [`Reason::UpstreamInvalid`] if it is not the answer to what was asked.
    pub fn judge_whole(&mut self, message: Bytes) -> Result<Bytes, Refusal> {
        match self.judge(message)? {
            Verdict::Last(message) => Ok(message),
            Verdict::Pass(_) | Verdict::Drop => Err(Refusal::new(
                Reason::UpstreamInvalid,
                "the upstream answered something else than what was asked",
            )),
        }
    }

    /// Rewrites an error reply that names no id, or a wrong one, so that it answers the request.
    /// `None` if the message is not a JSON-RPC error, or if no single request is outstanding.
    #[must_use]
    pub fn adopt_error(&self, message: &Bytes) -> Option<(i64, Bytes)> {
        let glance = reply::glance(message).ok()?;
        let code = glance.error_code.filter(|_| glance.kind == GlanceKind::ErrorResponse)?;
        if let Some(words) = self.watch.as_ref().and_then(|watch| watch.absence(code)) {
            return Some((code, self.faced(words)));
        }
        let own = self.first?.of(&self.body);
        let edited = match glance.id {
            Some(id) if same_id(own, id.of(message)) => message.clone(),
            Some(id) => splice(message, &[(id, own)]),
            None => {
                let at = Span::at(message.iter().position(|byte| *byte == b'{')? + 1);
                let member = [br#""id":"#, own, b","].concat();
                splice(message, &[(at, &member)])
            }
        };
        let edited = self.faced(edited);
        if let Some(tab) = self.tabs.of(own) {
            tab.answered(&edited, true);
        }
        Some((code, edited))
    }

    /// The same, of a session's stream or of a call in a session: what breaks off may be resumed there.
    #[must_use]
    pub(crate) fn parking_at(mut self, parking: Option<Parking>) -> Self {
        self.parking = parking;
        self
    }

    /// The stream broke off before these answers, and may be resumed.
    pub(crate) fn park(&self) {
        let Some(parking) = &self.parking else { return };
        for (id, tab) in self.unanswered().filter_map(|id| Some((id, self.tabs.of(id)?))) {
            parking.keep(id, tab);
        }
    }

    /// An answer that was asked for on a stream that broke off, as it fits its room.
    pub(super) fn resumed(&mut self, message: Bytes, glance: &Glance) -> Bytes {
        let id = glance.id.map(|id| id.of(&message));
        let parked = self.parking.as_ref().zip(id).and_then(|(parking, id)| parking.take(id));
        let Some(tab) = parked else { return message };
        let message = tab.fit(&message, glance).unwrap_or(message);
        tab.answered(&message, glance.kind == GlanceKind::ErrorResponse);
        self.settled_elsewhere += message.len();
        message
    }

    /// Bytes of answers that were settled by what asked for them, since this was last asked.
    pub(crate) const fn settled_elsewhere(&mut self) -> usize {
        std::mem::replace(&mut self.settled_elsewhere, 0)
    }
}
