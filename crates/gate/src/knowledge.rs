//! What the gate has learned about an upstream by watching it: facts, never state of a caller.
//!
//! Which era it speaks, whether it mints sessions, and which tools want arguments mirrored into
//! headers. Everything here may be forgotten at any time and is learned again.

use crate::hub::Catalogs;
use crate::pins::PinBook;
use crate::roster::Roster;
use crate::settings::PinSettings;
use crate::upstream::Fields;
use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use tollgate_core::bounds::{ANNOTATED_TOOLS_MAX, ERA_SILENCE_MILLIS};
use tollgate_core::clock::Millis;
use tollgate_core::refusal::Refusal;
use tollgate_mcp::era::modern;
use tollgate_mcp::headers::{self, Annotation};
use tollgate_mcp::json::{self, Message, Span};

/// What an upstream's answer to `server/discover` said about its eras.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nobody has asked yet.
    Nothing,
    /// It speaks the modern era; whether also the legacy one is not known.
    Modern,
    /// It speaks the legacy era only.
    LegacyOnly,
}

type Tools = HashMap<Box<str>, Arc<[Annotation]>>;

/// Facts about one upstream.
#[derive(Debug, Default)]
pub struct Knowledge {
    found: AtomicU8,
    found_at: AtomicU64,
    mints_sessions: AtomicBool,
    has_annotations: AtomicBool,
    has_listed: AtomicBool,
    tools: ArcSwap<Tools>,
    dropped: AtomicU64,
    keeps_no_sessions: AtomicBool,
    silent_until: AtomicU64,
    catalogs: Catalogs,
    pins: PinBook,
    roster: Roster,
    /// Held while one request asks for the era or the tools, so that a thousand do not.
    pub(crate) asking: tokio::sync::Mutex<()>,
}

impl Knowledge {
    /// What is known about eras, and since when.
    #[must_use]
    pub fn found(&self) -> (Found, Millis) {
        let found = match self.found.load(Ordering::Acquire) {
            1 => Found::Modern,
            2 => Found::LegacyOnly,
            _ => Found::Nothing,
        };
        (found, Millis(self.found_at.load(Ordering::Relaxed)))
    }

    /// Notes what `server/discover` said.
    pub fn note_found(&self, found: Found, now: Millis) {
        self.found_at.store(now.0, Ordering::Relaxed);
        let byte = match found {
            Found::Nothing => 0,
            Found::Modern => 1,
            Found::LegacyOnly => 2,
        };
        self.found.store(byte, Ordering::Release);
    }

    /// Notes that it did not say which eras it speaks, so that not everybody waits for it.
    pub(crate) fn note_silence(&self, now: Millis) {
        self.silent_until.store(now.0 + ERA_SILENCE_MILLIS, Ordering::Relaxed);
    }

    /// Whether it was asked a moment ago and did not answer.
    pub(crate) fn is_silent(&self, now: Millis) -> bool {
        now.0 < self.silent_until.load(Ordering::Relaxed)
    }

    /// Notes that the upstream answered `initialize` with a session id.
    pub fn note_session(&self) {
        self.mints_sessions.store(true, Ordering::Relaxed);
    }

    /// Whether it ever did.
    #[must_use]
    pub fn mints_sessions(&self) -> bool {
        self.mints_sessions.load(Ordering::Relaxed)
    }

    /// Notes that the upstream answered `initialize` without a session id.
    pub fn note_no_sessions(&self) {
        self.keeps_no_sessions.store(true, Ordering::Relaxed);
    }

    /// Whether it did, and never gave one.
    #[must_use]
    pub fn keeps_no_sessions(&self) -> bool {
        self.keeps_no_sessions.load(Ordering::Relaxed) && !self.mints_sessions()
    }

    /// What it offers, as far as hubs have read it.
    pub(crate) const fn catalogs(&self) -> &Catalogs {
        &self.catalogs
    }

    /// Which of its tools are as they were approved.
    #[must_use]
    pub const fn pins(&self) -> &PinBook {
        &self.pins
    }

    /// Puts settings of pins in force. Where they are others, its tools are read again before anybody
    /// sees or calls one.
    pub(crate) fn configure_pins(&self, settings: Option<&PinSettings>) {
        if self.pins.configure(settings) {
            self.catalogs.pin(settings.is_some());
        }
    }

    /// The names of what it has, as far as any list has told.
    #[must_use]
    pub const fn roster(&self) -> &Roster {
        &self.roster
    }

    /// What is wrong with its lists, in words; `None` if nothing is, or nobody read them.
    #[must_use]
    pub fn lists_trouble(&self) -> Option<Arc<str>> {
        self.catalogs.trouble()
    }

    /// Counts a message that was not delivered because it did not belong.
    pub fn note_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// How many messages were not delivered.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Learns the header annotations of a `tools/list` reply that passes by, and takes tools with
    /// unusable ones out of it. What earlier lists said is forgotten with the first page of a new one.
    ///
    /// SPEC: 2026-07-28 streamable-http, Schema Extension: a client over HTTP must drop such tools,
    /// and towards the upstream the gate is that client.
    #[must_use]
    pub fn take_tools(&self, message: Bytes, result: Span, is_first_page: bool) -> Bytes {
        self.note_listed();
        let is_annotated = memchr::memmem::find(&message, b"x-mcp-header").is_some();
        if !is_annotated && !self.has_annotations.load(Ordering::Relaxed) {
            return message;
        }
        let Ok(listed) = headers::annotations(&message, result) else { return message };
        let mut tools = if is_first_page { Tools::new() } else { Tools::clone(&self.tools.load()) };
        let mut bad = Vec::new();
        for tool in listed {
            match tool.outcome {
                Ok(annotations) if tools.len() < ANNOTATED_TOOLS_MAX => {
                    tools.insert(tool.tool.into_boxed_str(), annotations.into());
                }
                Ok(_) => {}
                Err(why) => {
                    self.note_dropped();
                    tracing::warn!(tool = %tool.tool.escape_debug(), %why, "tool hidden");
                    bad.push(tool.span);
                }
            }
        }
        self.tools.store(Arc::new(tools));
        self.has_annotations.store(true, Ordering::Release);
        if bad.is_empty() { message } else { headers::remove_elements(&message, result, &bad) }
    }

    /// Whether a list of tools has passed by, or was asked for.
    #[must_use]
    pub fn has_listed(&self) -> bool {
        self.has_listed.load(Ordering::Acquire)
    }

    /// Notes that a list of tools was seen, or could not be had.
    pub fn note_listed(&self) {
        self.has_listed.store(true, Ordering::Release);
    }

    /// Judges `Mcp-Param-*` headers against the arguments they mirror, where the tool is known.
    ///
    /// # Errors
    /// `HeaderMismatch` if one contradicts its argument, is missing, or mirrors nothing.
    pub fn check_params(
        &self,
        body: &[u8],
        message: &Message,
        params: &[(HeaderName, HeaderValue)],
    ) -> Result<(), Refusal> {
        if !self.has_annotations.load(Ordering::Acquire) {
            return Ok(());
        }
        let Some(name) = message.fields.name else { return Ok(()) };
        let tools = self.tools.load();
        let Some(annotations) = tools.get(&*name.decode(body)) else { return Ok(()) };
        for annotation in &**annotations {
            check_param(body, message, annotation, params)?;
        }
        Ok(())
    }
}

fn check_param(
    body: &[u8],
    message: &Message,
    annotation: &Annotation,
    params: &[(HeaderName, HeaderValue)],
) -> Result<(), Refusal> {
    let name = &annotation.header;
    let given = params.iter().find(|(header, _)| header == name).map(|(_, value)| value);
    let path: Vec<&str> = annotation.path.iter().map(String::as_str).collect();
    let argument = message.fields.arguments.and_then(|object| json::find_path(body, object, &path));
    let argument = argument.map(|span| span.of(body)).filter(|token| *token != b"null");
    match (given, argument) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err(modern::mismatch(name, "is missing")),
        (Some(_), None) => Err(modern::mismatch(name, "mirrors an argument that is not there")),
        (Some(value), Some(token)) => match headers::decode_value(value.as_bytes()) {
            Ok(text) if headers::params_equal(&text, token) => Ok(()),
            Ok(_) => Err(modern::mismatch(name, "contradicts the argument it mirrors")),
            Err(_) => Err(modern::mismatch(name, "is malformed")),
        },
    }
}

/// The `Mcp-Param-*` headers of a request, carried on as they are.
pub fn carry_params(params: &[(HeaderName, HeaderValue)], headers: &mut Fields) {
    for (name, value) in params {
        headers.add(name, value);
    }
}
