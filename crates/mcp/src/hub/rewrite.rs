//! What an upstream says, as agents of a hub see it: names that lead back get the upstream's front.
//!
//! Resource URIs, task ids, request ids and loggers change where the protocol gives them that
//! meaning, and nowhere else: not in text, not in `structuredContent`, not in unknown members.
//! Everything else keeps its bytes. A key that stands twice is changed twice, so that no parser
//! finds a name in its upstream's own spelling. Where nothing changes, nothing is copied.
//!
//! Next: `rewrite/reach.rs` for where names stand.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use memchr::memmem::Finder;
use tollgate_core::bounds::REWRITES_MAX;

use super::naming::SEPARATOR;
use super::{quote, uris};
use crate::json::{Span, Text, splice};
use crate::methods::Method;
use crate::reply::{Glance, GlanceKind};

mod blocks;
mod reach;

use reach::{Edit, Name};

/// Whether a message may hold a key that names something: `uri`, `resourceUri`, `taskId`, or an
/// escape that spells one. Most answers hold none, and need not be walked.
fn may_name(message: &[u8]) -> bool {
    static KEYS: LazyLock<[Finder<'static>; 3]> =
        LazyLock::new(|| [Finder::new("ri\""), Finder::new("taskId\""), Finder::new("\\u")]);
    KEYS.iter().any(|key| key.find(message).is_some())
}

/// How agents of a hub see one upstream.
#[derive(Clone, Debug)]
pub struct Face {
    upstream: Arc<str>,
    /// What goes in front of a URI.
    uri: Arc<str>,
    /// What goes in front of a task id, and of a URI's rest behind `ui://`.
    id: Arc<str>,
    /// What goes in front of a logger.
    logger: Arc<str>,
}

impl Face {
    /// The face of the upstream with this name.
    #[must_use]
    pub fn new(upstream: &str) -> Self {
        Self {
            upstream: Arc::from(upstream),
            uri: Arc::from(uris::outward(upstream, "")),
            id: Arc::from(format!("{upstream}{SEPARATOR}")),
            logger: Arc::from(format!("{upstream}/")),
        }
    }

    /// An answer to a request of `method`. `glance` must be that of `message`, here and below.
    #[must_use]
    pub fn answer(&self, message: Bytes, glance: &Glance, method: Method) -> Bytes {
        if !may_name(&message) {
            return message;
        }
        let edits = match (glance.kind, glance.result, glance.error) {
            (GlanceKind::Response, Some(result), _) => reach::result(&message, result.span, method),
            (GlanceKind::ErrorResponse, _, Some(error)) => reach::error(&message, error),
            _ => return message,
        };
        self.apply(message, edits.unwrap_or_default(), None)
    }

    /// A notification.
    #[must_use]
    pub fn notification(&self, message: Bytes, glance: &Glance) -> Bytes {
        let (Some(method), Some(params)) = (glance.method, glance.params) else { return message };
        let name = method.decode(&message).into_owned();
        let edits = reach::notification(&message, params.span, &name);
        self.apply(message, edits.unwrap_or_default(), None)
    }

    /// A request of the upstream to an agent.
    #[must_use]
    pub fn request(&self, message: Bytes, glance: &Glance) -> Bytes {
        let edits = match (glance.method, glance.params) {
            (Some(method), Some(params)) => {
                let is_sampling = method.is(&message, "sampling/createMessage");
                reach::request(&message, params.span, is_sampling).unwrap_or_default()
            }
            _ => Vec::new(),
        };
        self.apply(message, edits, glance.id)
    }

    fn apply(&self, message: Bytes, edits: Vec<Edit>, id: Option<Span>) -> Bytes {
        if edits.is_empty() && id.is_none() {
            return message;
        }
        let mut changes: Vec<(Span, Cow<'_, [u8]>)> = Vec::with_capacity(edits.len() + 1);
        for (index, edit) in edits.iter().enumerate() {
            changes.push(if index < REWRITES_MAX || edit.span.is_empty() {
                self.change(&message, edit)
            } else {
                // LIMIT: what a reply grows by is bounded; a name beyond that leads nowhere.
                (edit.span, Cow::Borrowed(&b"\"\""[..]))
            });
        }
        if let Some(id) = id {
            let outward = uris::outward_id(&self.upstream, id.of(&message));
            changes.push((id, Cow::Owned(outward.into_bytes())));
        }
        let changes: Vec<(Span, &[u8])> =
            changes.iter().map(|(span, bytes)| (*span, bytes.as_ref())).collect();
        splice(&message, &changes)
    }

    fn change(&self, message: &[u8], edit: &Edit) -> (Span, Cow<'_, [u8]>) {
        // Inserting keeps the spelling of the rest, which may hold what has no other.
        let front = Span::at(edit.span.start as usize + 1);
        match edit.name {
            Name::Uri => self.change_uri(message, edit.span),
            Name::Task => (front, Cow::Borrowed(self.id.as_bytes())),
            Name::Logger => (front, Cow::Borrowed(self.logger.as_bytes())),
            Name::LoggerMissing { has_others } => {
                let comma = if has_others { "," } else { "" };
                let member = format!(r#""logger":{}{comma}"#, quote(&self.upstream));
                (edit.span, Cow::Owned(member.into_bytes()))
            }
            Name::LoggerOther => (edit.span, Cow::Owned(quote(&self.upstream).into_bytes())),
            Name::Request => {
                let outward = uris::outward_id(&self.upstream, edit.span.of(message));
                (edit.span, Cow::Owned(outward.into_bytes()))
            }
        }
    }

    fn change_uri(&self, message: &[u8], span: Span) -> (Span, Cow<'_, [u8]>) {
        let inner = span.start as usize + 1;
        let bytes = span.of(message);
        if bytes.starts_with(b"\"ui://") {
            return (Span::at(inner + 5), Cow::Borrowed(self.id.as_bytes()));
        }
        let text = Text { span, escaped: memchr::memchr(b'\\', bytes).is_some() };
        if text.escaped && text.decode(message).starts_with("ui://") {
            let uri = uris::outward(&self.upstream, &text.decode(message));
            return (span, Cow::Owned(quote(&uri).into_bytes()));
        }
        (Span::at(inner), Cow::Borrowed(self.uri.as_bytes()))
    }
}
