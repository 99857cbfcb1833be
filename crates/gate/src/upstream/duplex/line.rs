//! One line to one peer: whole JSON-RPC messages out, whole JSON-RPC messages in, and an end.
//!
//! Whoever carries the bytes (a child process's pipes, an event stream and its POSTs) holds the
//! [`LineEnd`]; whoever speaks MCP holds the [`Line`]. Both directions are bounded, so a peer that
//! does not read, or a reader that does not keep up, slows the other down.

use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tollgate_core::bounds::LINE_MESSAGES_MAX;

/// Why a line ended, in words for the log and `/status`.
pub type Ended = Arc<str>;

/// The side that speaks MCP.
#[derive(Debug)]
pub struct Line {
    /// Messages to the peer, each one JSON value without raw line breaks.
    pub outgoing: mpsc::Sender<Bytes>,
    /// Messages from the peer, each at most as long as the carrier allows.
    pub incoming: mpsc::Receiver<Bytes>,
    /// Cancelled to have the line closed in good order.
    pub close: CancellationToken,
    /// Holds the reason once the line has ended.
    pub ended: watch::Receiver<Option<Ended>>,
}

/// The side that carries the bytes.
#[derive(Debug)]
pub struct LineEnd {
    /// Messages to write to the peer.
    pub outgoing: mpsc::Receiver<Bytes>,
    /// Where messages of the peer go.
    pub incoming: mpsc::Sender<Bytes>,
    /// Cancelled when the line is to be closed.
    pub close: CancellationToken,
    /// Told why, when it has ended.
    pub ended: watch::Sender<Option<Ended>>,
}

/// Makes the two sides of a line.
#[must_use]
pub fn line() -> (Line, LineEnd) {
    let (to_peer, outgoing) = mpsc::channel(LINE_MESSAGES_MAX);
    let (incoming, from_peer) = mpsc::channel(LINE_MESSAGES_MAX);
    let (tell, ended) = watch::channel(None);
    let close = CancellationToken::new();
    let line = Line { outgoing: to_peer, incoming: from_peer, close: close.clone(), ended };
    (line, LineEnd { outgoing, incoming, close, ended: tell })
}
