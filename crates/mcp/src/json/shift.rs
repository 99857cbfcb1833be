//! A judged message after one of its values was replaced: the same message, its spans moved along.
//!
//! Judging again would find the same and cost a second pass; here only offsets change. One edit at
//! a time, and only of a whole value, so that what was judged stays true of the rest.

use super::{Message, Meta, Params, Span, Text};
use bytes::Bytes;

/// Replaces the value at `value` by `text` and gives the body and its message as they are then.
///
/// `value` must be the span of a value of `message` (quotes included), and `text` one JSON value.
/// What was known of the inside of the replaced value is not looked at again.
#[must_use]
pub fn replace(body: &Bytes, message: &Message, value: Span, text: &[u8]) -> (Bytes, Message) {
    let shift = Shift { value, len: text.len() };
    let (Some(before), Some(behind)) =
        (body.get(..value.start as usize), body.get(value.end as usize..))
    else {
        return (body.clone(), *message);
    };
    (Bytes::from([before, text, behind].concat()), shift.message(*message))
}

#[derive(Clone, Copy)]
struct Shift {
    value: Span,
    len: usize,
}

impl Shift {
    /// Where an offset at or behind the end of the replaced value has gone; others stay.
    fn offset(self, offset: u32) -> u32 {
        if offset < self.value.end {
            return offset;
        }
        let moved = offset as usize - self.value.len() + self.len;
        u32::try_from(moved).unwrap_or(u32::MAX)
    }

    fn span(self, span: Span) -> Span {
        // What begins before the edit's end and reaches over it grows; what is behind it moves.
        Span { start: self.offset(span.start), end: self.offset(span.end) }
    }

    fn text(self, text: Text) -> Text {
        // A replaced text may hold escapes now; taking it for escaped is always right.
        Text { span: self.span(text.span), escaped: text.escaped || text.span == self.value }
    }

    fn message(self, message: Message) -> Message {
        let Message { span, kind, id, method, params, is_error_response, fields } = message;
        Message {
            span: self.span(span),
            kind,
            id: id.map(|id| self.span(id)),
            method: method.map(|method| self.text(method)),
            params: params.map(|params| self.span(params)),
            is_error_response,
            fields: self.fields(fields),
        }
    }

    fn fields(self, fields: Params) -> Params {
        let text = |text: Option<Text>| text.map(|text| self.text(text));
        let span = |span: Option<Span>| span.map(|span| self.span(span));
        Params {
            name: text(fields.name),
            uri: text(fields.uri),
            task_id: text(fields.task_id),
            cursor: text(fields.cursor),
            request_state: text(fields.request_state),
            protocol_version: text(fields.protocol_version),
            level: text(fields.level),
            arguments: span(fields.arguments),
            capabilities: span(fields.capabilities),
            notifications: span(fields.notifications),
            request_id: span(fields.request_id),
            progress_token: span(fields.progress_token),
            input_responses: span(fields.input_responses),
            reference: span(fields.reference),
            meta: fields.meta.map(|meta| self.meta(meta)),
        }
    }

    fn meta(self, meta: Meta) -> Meta {
        let text = |text: Option<Text>| text.map(|text| self.text(text));
        let span = |span: Option<Span>| span.map(|span| self.span(span));
        Meta {
            span: self.span(meta.span),
            protocol_version: text(meta.protocol_version),
            client_capabilities: span(meta.client_capabilities),
            client_info: span(meta.client_info),
            log_level: text(meta.log_level),
            progress_token: span(meta.progress_token),
            subscription_id: span(meta.subscription_id),
        }
    }
}

#[cfg(test)]
#[path = "shift/tests.rs"]
mod tests;
