//! The load generator's side of one connection: one request at a time, each reply read whole.
//!
//! No pool, no pipelining, no retries: what goes wrong is an error of the measurement and ends it.
//!
//! Next: `rounds.rs` for the measured loads, `held.rs` for what is held open.

use crate::calls;
use crate::replies::ReplyError;
use crate::tokens::Tokens;
use crate::tools::{Era, Tool};
use crate::wire::{Chunks, Length, ReplyHead, WireError, reply_head};
use bytes::BytesMut;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest wait for any reply; longer is a failed measurement.
const REPLY_SECS_MAX: u64 = 20;

/// Why a load could not be driven.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The socket failed.
    #[error("connection: {0}")]
    Io(#[from] std::io::Error),
    /// The peer does not speak HTTP as we read it.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A wrong reply.
    #[error(transparent)]
    Reply(#[from] ReplyError),
    /// The peer closed the connection within a reply, or without saying so before.
    #[error("the connection was closed before the reply was complete")]
    Closed,
    /// Every fresh token was sent.
    #[error("all {0} tokens were sent: make more, or measure for less time")]
    TokensUsed(usize),
    /// No reply.
    #[error("no reply within {REPLY_SECS_MAX} s")]
    Silent,
    /// A list that is none.
    #[error("`tools/list`: status {0}, and no list in it")]
    List(u16),
    /// The session was not opened.
    #[error("opening a session: status {0}")]
    Session(u16),
    /// The second event of a paused stream came with the first.
    #[error("the first event was held back until the second")]
    HeldBack,
}

/// Where calls go.
#[derive(Clone, Debug)]
pub struct Door {
    /// The address.
    pub addr: SocketAddr,
    /// The path.
    pub path: String,
    /// The era calls are made in.
    pub era: Era,
    /// What the names of tools begin with there.
    pub prefix: String,
    /// What calls carry, if anything.
    pub tokens: Option<Tokens>,
}

impl Door {
    /// The value of `Host`.
    pub fn host(&self) -> String {
        self.addr.to_string()
    }

    /// The name of a tool there.
    pub fn named(&self, tool: &Tool) -> String {
        format!("{}{}", self.prefix, tool.name)
    }
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buf: BytesMut,
    decoded: Vec<u8>,
    chunks: Chunks,
    exact_at: Option<(usize, usize)>,
    room: usize,
}

/// Room for a large reply in one read.
pub const ROOMY: usize = 96 * 1024;
/// Room for a head: connections that are only held open.
pub const FRUGAL: usize = 2 * 1024;

impl Connection {
    /// Connects; `room` is what one read may take.
    pub async fn open(addr: SocketAddr, room: usize) -> Result<Self, LoadError> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buf: BytesMut::new(),
            decoded: Vec::new(),
            chunks: Chunks::default(),
            exact_at: None,
            room,
        })
    }

    /// Sends a request.
    pub async fn send(&mut self, request: &[u8]) -> Result<(), LoadError> {
        self.buf.clear();
        self.decoded.clear();
        self.exact_at = None;
        Ok(self.stream.write_all(request).await?)
    }

    /// Reads the whole reply; [`Self::body`] then has its body.
    pub async fn reply(&mut self) -> Result<ReplyHead, LoadError> {
        let head = self.head().await?;
        match head.length {
            Length::Exact(bytes) => {
                let end = head.bytes + bytes;
                while self.buf.len() < end {
                    self.fill().await?;
                }
                self.exact_at = Some((head.bytes, end));
            }
            Length::Chunked => while !self.more().await? {},
        }
        Ok(head)
    }

    /// Reads the head of the reply.
    pub async fn head(&mut self) -> Result<ReplyHead, LoadError> {
        loop {
            if let Some(head) = reply_head(&self.buf)? {
                if head.length == Length::Chunked {
                    bytes::Buf::advance(&mut self.buf, head.bytes);
                }
                return Ok(head);
            }
            self.fill().await?;
        }
    }

    /// Reads until the decoded body has an event; true when the body ended instead.
    pub async fn event(&mut self) -> Result<bool, LoadError> {
        loop {
            if self.chunks.decode(&mut self.buf, &mut self.decoded)? {
                return Ok(true);
            }
            if has_data_event(&self.decoded) {
                return Ok(false);
            }
            self.fill().await?;
        }
    }

    /// Reads a chunked body on to its end, for a reply whose head was read before.
    pub async fn rest(&mut self) -> Result<(), LoadError> {
        while !self.more().await? {}
        Ok(())
    }

    /// The body of the reply read last.
    pub fn body(&self) -> &[u8] {
        match self.exact_at {
            Some((from, to)) => &self.buf[from..to],
            None => &self.decoded,
        }
    }

    /// Opens a legacy session and returns its id.
    pub async fn open_session(&mut self, door: &Door) -> Result<String, LoadError> {
        let host = door.host();
        self.send(&calls::initialize(&host, &door.path)).await?;
        let head = self.timed_reply().await?;
        let (200, Some(session)) = (head.status, head.session) else {
            return Err(LoadError::Session(head.status));
        };
        self.send(&calls::initialized(&host, &door.path, &session)).await?;
        let head = self.timed_reply().await?;
        if head.status != 202 {
            return Err(LoadError::Session(head.status));
        }
        Ok(session)
    }

    /// [`Self::reply`] within the longest wait. The measured loads have one watchdog instead.
    pub async fn timed_reply(&mut self) -> Result<ReplyHead, LoadError> {
        let wait = Duration::from_secs(REPLY_SECS_MAX);
        tokio::time::timeout(wait, self.reply()).await.map_err(|_| LoadError::Silent)?
    }

    async fn more(&mut self) -> Result<bool, LoadError> {
        if self.chunks.decode(&mut self.buf, &mut self.decoded)? {
            return Ok(true);
        }
        self.fill().await?;
        Ok(false)
    }

    async fn fill(&mut self) -> Result<(), LoadError> {
        self.buf.reserve(self.room);
        match self.stream.read_buf(&mut self.buf).await? {
            0 => Err(LoadError::Closed),
            _ => Ok(()),
        }
    }
}

/// Whether a whole event with data is there: comments and priming events do not count as arrival.
fn has_data_event(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    let Some((whole, _)) = text.rsplit_once("\n\n") else { return false };
    whole
        .split("\n\n")
        .any(|event| event.lines().any(|line| line.starts_with("data:") && line.len() > 6))
}
