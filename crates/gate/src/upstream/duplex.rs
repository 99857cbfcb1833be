//! Upstreams that are reached over a line in two directions instead of a request at a time: child
//! processes on stdin and stdout, and servers of HTTP+SSE (2024-11-05).
//!
//! Towards the rest of the house such an upstream behaves like any other endpoint: it takes a POST,
//! GET or DELETE with an `Mcp-Session-Id` of its own making and answers JSON or an event stream. The
//! two eras never share a line: what `initialize` left behind in a process would leak into stateless
//! calls. A session has one stream for what comes by itself; a second GET takes it over.
//!
//! Read on in `host.rs` (which lines there are), `serve.rs` (requests), `conversation.rs` (one line),
//! `outbound.rs` and `inbound.rs` (what is changed on the way), `driver.rs` (the life of a line).

mod backoff;
mod conversation;
mod desk;
mod driver;
mod greeting;
mod host;
mod inbound;
mod line;
mod mailbox;
mod noise;
mod outbound;
mod serve;
mod served;
mod sharing;

pub use host::{Host, HostSettings, HostStatus};
pub use line::{Ended, Line, LineEnd, line};
pub use noise::Noise;
pub(crate) use noise::shown;
pub(crate) use served::{Inbox, Served, ServedBody, Serving, Waiting};

/// Opens lines to one upstream.
pub trait Carrier: Send + Sync + std::fmt::Debug {
    /// Opens another line, without waiting for it: a line that cannot be opened ends, with the reason.
    /// Of a reason only the first line may be shown to agents; the others are for operators.
    fn open(&self) -> Line;

    /// The processes behind the lines, where there are any.
    fn processes(&self) -> Vec<u32>;
}
