//! The gate's door: accepts connections, within bounds, until the drain begins.
//!
//! It counts, caps and backs off; it parses nothing itself. Each connection becomes one task that
//! nothing else depends on. Limits apply to connections accepted after they were set.
//!
//! Next: `listen/connection.rs`, the life of one connection.

mod connection;
mod drive;
mod framing;
mod head;
mod pulse;
pub mod tls;
mod wire;

use crate::drain::Drain;
use crate::listen::connection::Connection;
use crate::listen::tls::TlsKeeper;
use crate::settings::Limits;
use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use rustls::pki_types::CertificateDer;
use std::error::Error;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tollgate_core::bounds::LISTEN_BACKLOG;

/// First and longest pause after a failed accept (no file descriptors left, for one).
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// The same complaint is logged at most once in this span.
const COMPLAINT_EVERY: Duration = Duration::from_secs(1);

/// Who is at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The network address.
    pub address: SocketAddr,
    /// Whether the connection is encrypted.
    pub is_tls: bool,
    /// The client certificate, verified; only its leaf.
    pub certificate: Option<CertificateDer<'static>>,
}

/// What the listener obeys and what it tells.
#[derive(Debug)]
pub struct Control {
    /// Caps and deadlines; may be replaced at any time.
    pub limits: ArcSwap<Limits>,
    /// TLS; `None` serves clear text.
    pub tls: Option<Arc<TlsKeeper>>,
    /// When to stop.
    pub drain: Drain,
    /// What happened so far.
    pub counters: Counters,
}

impl Control {
    /// A control with everything counted from zero.
    #[must_use]
    pub fn new(limits: Limits, tls: Option<Arc<TlsKeeper>>, drain: Drain) -> Self {
        let limits = ArcSwap::from_pointee(limits);
        Self { limits, tls, drain, counters: Counters::default() }
    }
}

/// Connections, counted.
#[derive(Debug, Default)]
pub struct Counters {
    open: AtomicUsize,
    accepted: AtomicU64,
    refused: AtomicU64,
}

impl Counters {
    /// Connections open now.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// Connections taken so far.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Relaxed)
    }

    /// Connections closed at once so far, since there were too many.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }
}

/// Opens the listening socket. Needs a running tokio runtime.
///
/// # Errors
/// The address cannot be listened on; the text says what to do.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let open = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(LISTEN_BACKLOG)
    };
    open().map_err(|error| {
        let remedy = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "the port is in use: stop what listens there, or change `listen`"
            }
            io::ErrorKind::PermissionDenied => {
                "not permitted: ports below 1024 need CAP_NET_BIND_SERVICE"
            }
            io::ErrorKind::AddrNotAvailable => "no interface of this machine has this address",
            _ => "check the address",
        };
        io::Error::new(error.kind(), format!("cannot listen on `{address}`: {error} ({remedy})"))
    })
}

/// Serves until the drain has begun and every connection has ended, or the drain is forced.
///
/// The service is called once per request; what it answers is sent. Dropping this future stops
/// accepting but ends no open connection: use the drain.
pub async fn serve<S, F, B>(listener: TcpListener, control: Arc<Control>, service: S)
where
    S: Fn(Request<Incoming>, Arc<Peer>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let tasks = TaskTracker::new();
    if let Some(keeper) = &control.tls {
        tasks.spawn(Arc::clone(keeper).watch(control.drain.clone()));
    }
    let mut complaints = Complaints::default();
    let mut backoff = BACKOFF.0;
    loop {
        // The loser is dropped: `accept` loses no connection when it is.
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = control.drain.begun() => break,
        };
        match accepted {
            Ok((stream, address)) => {
                backoff = BACKOFF.0;
                let Some(counted) = CountedOpen::begin(&control) else {
                    complaints.note("too many connections, closing new ones");
                    continue;
                };
                let limits = control.limits.load_full();
                let connection = Connection {
                    control: Arc::clone(&control),
                    limits,
                    tasks: tasks.clone(),
                    service: service.clone(),
                };
                begin(connection, (stream, address), counted);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                complaints.note(&format!("cannot accept connections: {error}"));
                tokio::select! {
                    () = tokio::time::sleep(backoff) => {}
                    () = control.drain.begun() => break,
                }
                backoff = (backoff * 2).min(BACKOFF.1);
            }
        }
    }
    drop(listener);
    tasks.close();
    // Every task obeys `force` by itself, so this ends soon after it at the latest.
    tasks.wait().await;
}

/// Whether a request body failed since the client took too long; else it was malformed, or the
/// client is gone.
#[must_use]
pub fn is_too_slow(error: &hyper::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::TimedOut)
}

/// Starts the task of one connection.
fn begin<S, F, B>(
    connection: Connection<S>,
    (stream, address): (TcpStream, SocketAddr),
    counted: CountedOpen,
) where
    S: Fn(Request<Incoming>, Arc<Peer>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    // Replies leave in as few writes as possible already; Nagle would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%address, %error, "connection vanished");
        return;
    }
    let tasks = connection.tasks.clone();
    let config = connection.control.tls.as_ref().map(|keeper| keeper.current());
    // Two kinds of task, so that a clear connection does not reserve the memory of a TLS one.
    match config {
        None => tasks.spawn(async move {
            connection.clear(stream, address).await;
            drop(counted);
        }),
        Some(config) => tasks.spawn(async move {
            connection.secure(stream, address, config).await;
            drop(counted);
        }),
    };
}

/// Errors that say something about the connection, not about our ability to accept.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// One open connection in the counters.
#[derive(Debug)]
struct CountedOpen(Arc<Control>);

impl CountedOpen {
    fn begin(control: &Arc<Control>) -> Option<Self> {
        let counters = &control.counters;
        if counters.open.fetch_add(1, Relaxed) >= control.limits.load().connections_max {
            counters.open.fetch_sub(1, Relaxed);
            counters.refused.fetch_add(1, Relaxed);
            return None;
        }
        counters.accepted.fetch_add(1, Relaxed);
        Some(Self(Arc::clone(control)))
    }
}

impl Drop for CountedOpen {
    fn drop(&mut self) {
        self.0.counters.open.fetch_sub(1, Relaxed);
    }
}

/// Warnings that a flood must not multiply.
#[derive(Debug, Default)]
struct Complaints {
    last: Option<Instant>,
}

impl Complaints {
    fn note(&mut self, what: &str) {
        let now = Instant::now();
        if self.last.is_none_or(|last| now - last >= COMPLAINT_EVERY) {
            self.last = Some(now);
            tracing::warn!("{what}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Connection, Control, Peer, bind};
    use crate::drain::Drain;
    use crate::settings::Limits;
    use bytes::Bytes;
    use http::{Request, Response};
    use http_body_util::Full;
    use hyper::body::Incoming;
    use rustls::server::ResolvesServerCertUsingSni;
    use std::sync::Arc;
    use std::time::Duration;
    use tokio_util::task::TaskTracker;

    async fn ok(_: Request<Incoming>, _: Arc<Peer>) -> Response<Full<Bytes>> {
        Response::new(Full::default())
    }

    pub(super) fn limits() -> Limits {
        let span = Duration::from_secs(1);
        Limits {
            request_bytes_max: 1,
            reply_bytes_max: 1,
            json_depth_max: 1,
            connections_max: 1,
            streams_per_caller_max: 1,
            head: span,
            body: span,
            body_pause: span,
            handshake: span,
            keepalive: span,
            write_stall: span,
            stream_keepalive: span,
        }
    }

    fn connection() -> Connection<impl Fn(Request<Incoming>, Arc<Peer>) -> Answer + Clone> {
        let limits = limits();
        let control = Arc::new(Control::new(limits.clone(), None, Drain::new()));
        let answer = |request, peer| -> Answer { Box::pin(ok(request, peer)) };
        Connection { control, limits: Arc::new(limits), tasks: TaskTracker::new(), service: answer }
    }

    type Answer = futures_util::future::BoxFuture<'static, Response<Full<Bytes>>>;

    // Every open stream holds one of these; hyper's buffers come on top.
    #[tokio::test]
    async fn the_task_of_a_connection_is_small() {
        let listener = bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let open = || tokio::net::TcpStream::connect(address);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()));
        let clear = connection().clear(open().await.expect("a socket"), address);
        let secure =
            connection().secure(open().await.expect("a socket"), address, Arc::new(config));
        let sizes = (size_of_val(&clear), size_of_val(&secure));
        assert!(sizes.0 <= 2048 && sizes.1 <= 3072, "{sizes:?}");
    }
}
