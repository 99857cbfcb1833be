//! One client connection from the accepted socket to its close.
//!
//! Shakes hands, decides between HTTP/1 and HTTP/2, sets hyper's limits and hands requests to the
//! service. Each connection is one task that owns all its state; a panic in it ends it alone.
//! `Upgrade` is never honoured here, not even `h2c`; trailers are the service's to ignore.
//!
//! Next: `drive.rs` for its deadlines, `wire.rs` for what may arrive.

use crate::listen::drive::{End, Rules, drive};
use crate::listen::pulse::{Counted, InProgress, Missed, Pulse};
use crate::listen::wire::{Opening, Wire};
use crate::listen::{Control, Peer};
use crate::settings::Limits;
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body::Body;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;
use tollgate_core::bounds;

/// SPEC: RFC 9113 3.4. No HTTP/1 request begins like this.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// hyper's own default, left alone: setting it costs an allocation per request.
const _: () = assert!(bounds::HEADERS_MAX == 100);

/// What a connection needs besides its socket.
#[derive(Debug)]
pub(super) struct Connection<S> {
    pub(super) control: Arc<Control>,
    pub(super) limits: Arc<Limits>,
    pub(super) tasks: TaskTracker,
    pub(super) service: S,
}

impl<S, F, B> Connection<S>
where
    S: Fn(Request<Incoming>, Arc<Peer>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// Serves a socket in clear text; HTTP/2 by prior knowledge.
    pub(super) async fn clear(self, mut stream: TcpStream, address: SocketAddr) {
        // The loser is dropped: a connection that sent nothing whole has nothing to lose.
        let opening = tokio::select! {
            opening = opening(&mut stream, &self.limits) => opening,
            () = self.control.drain.begun() => return,
        };
        let Some(opening) = opening else { return };
        let peer = Arc::new(Peer { address, is_tls: false, certificate: None });
        if opening.len == PREFACE.len() && opening.bytes == *PREFACE {
            Box::pin(self.http2(stream, peer, opening)).await;
        } else {
            self.http1(stream, peer, opening).await;
        }
    }

    /// Serves a socket behind TLS; HTTP/2 by ALPN.
    pub(super) async fn secure(
        self,
        stream: TcpStream,
        address: SocketAddr,
        config: Arc<rustls::ServerConfig>,
    ) {
        // Boxed, as is the stream: moved about inline, their 1.2 KiB would be reserved several times
        // over for as long as the connection lives.
        let handshake = Box::pin(TlsAcceptor::from(config).accept(stream));
        // The loser is dropped: no request can be in progress before the handshake is.
        let shaken = tokio::select! {
            shaken = tokio::time::timeout(self.limits.handshake, handshake) => shaken,
            () = self.control.drain.begun() => return,
        };
        let stream = match shaken {
            Ok(Ok(stream)) => Box::new(stream),
            Ok(Err(error)) => {
                tracing::debug!(%address, %error, "TLS handshake failed");
                return;
            }
            Err(_) => {
                tracing::debug!(%address, "TLS handshake took too long");
                return;
            }
        };
        let session = stream.get_ref().1;
        let leaf = session.peer_certificates().and_then(<[_]>::first);
        let certificate = leaf.map(|leaf| leaf.clone().into_owned());
        let is_http2 = session.alpn_protocol() == Some(b"h2");
        let peer = Arc::new(Peer { address, is_tls: true, certificate });
        if is_http2 {
            Box::pin(self.http2(stream, peer, Opening::default())).await;
        } else {
            self.http1(stream, peer, Opening::default()).await;
        }
    }

    async fn http1<I>(self, stream: I, peer: Arc<Peer>, opening: Opening)
    where
        I: AsyncRead + AsyncWrite + Unpin,
    {
        let pulse = Arc::new(Pulse::new());
        let service = self.service.clone();
        let wire = Wire::http1(stream, Arc::clone(&pulse), opening);
        let noted = Arc::clone(&pulse);
        let serving = service_fn(move |request| {
            let in_progress = InProgress::begin(&noted);
            let reply = service(request, Arc::clone(&peer));
            async move {
                Ok::<_, Infallible>(
                    reply.await.map(|body| Counted::new(Some(body), in_progress, false)),
                )
            }
        });
        // No timer is given: the deadlines are ours. Flushing is not aggregated over pipelined
        // requests, which would hold a reply back until the next request is whole.
        let mut connection = http1::Builder::new()
            .half_close(false)
            .keep_alive(true)
            .pipeline_flush(false)
            .max_header_size(bounds::HEAD_BYTES_MAX)
            .max_buf_size(bounds::CONNECTION_BUFFER_BYTES_MAX)
            .serve_connection(TokioIo::new(wire), serving);
        let rules = Rules { pulse: &pulse, limits: &self.limits, drain: &self.control.drain };
        let end =
            drive(Pin::new(&mut connection), |connection| connection.graceful_shutdown(), rules)
                .await;
        note(&end);
        // Boxed, since these are rare and every connection would reserve their memory.
        match end {
            End::Closed(_) => {
                let wire = connection.into_parts().io.into_inner();
                if wire.is_mid_request() {
                    Box::pin(wire.linger()).await;
                }
            }
            End::Missed(Missed::Head) => {
                Box::pin(connection.into_parts().io.into_inner().refuse_slow_head()).await;
            }
            End::Missed(_) | End::Forced => {}
        }
    }

    async fn http2<I>(self, stream: I, peer: Arc<Peer>, opening: Opening)
    where
        I: AsyncRead + AsyncWrite + Unpin,
    {
        let pulse = Arc::new(Pulse::new());
        let service = self.service.clone();
        let wire = Wire::http2(stream, Arc::clone(&pulse), opening);
        let noted = Arc::clone(&pulse);
        let serving = service_fn(move |request: Request<Incoming>| {
            let in_progress = InProgress::begin(&noted);
            let reply = is_consistent(&request).then(|| service(request, Arc::clone(&peer)));
            async move {
                let Some(reply) = reply else {
                    let mut refused = Response::new(Counted::new(None, in_progress, true));
                    *refused.status_mut() = StatusCode::BAD_REQUEST;
                    return Ok::<_, Infallible>(refused);
                };
                Ok(reply.await.map(|body| Counted::new(Some(body), in_progress, true)))
            }
        });
        let ping = Duration::from_secs(bounds::H2_PING_SECS);
        let connection = http2::Builder::new(Streams(self.tasks.clone()))
            .timer(TokioTimer::new())
            .max_concurrent_streams(bounds::H2_STREAMS_MAX)
            .max_pending_accept_reset_streams(bounds::H2_PENDING_RESETS_MAX)
            .max_local_error_reset_streams(bounds::H2_LOCAL_RESETS_MAX)
            .max_header_list_size(bounds::HEAD_BYTES_MAX as u32)
            .initial_stream_window_size(bounds::H2_STREAM_WINDOW_BYTES)
            .initial_connection_window_size(bounds::H2_CONNECTION_WINDOW_BYTES)
            .max_send_buf_size(bounds::H2_SEND_BYTES_MAX)
            .keep_alive_interval(ping)
            .keep_alive_timeout(ping)
            .serve_connection(TokioIo::new(wire), serving);
        let rules = Rules { pulse: &pulse, limits: &self.limits, drain: &self.control.drain };
        note(&drive(pin!(connection), |connection| connection.graceful_shutdown(), rules).await);
    }
}

fn note(end: &End) {
    match end {
        End::Closed(Ok(())) => {}
        // Ordinary on the internet: clients vanish and send rubbish.
        End::Closed(Err(error)) => tracing::debug!(%error, "connection ended"),
        End::Missed(missed) => tracing::debug!(?missed, "connection cut"),
        End::Forced => tracing::debug!("connection aborted by the drain"),
    }
}

/// Reads until the first bytes are the HTTP/2 preface or cannot be. `None`: gone, or too slow.
async fn opening(stream: &mut TcpStream, limits: &Limits) -> Option<Opening> {
    let mut opening = Opening::default();
    let mut patience = limits.keepalive;
    while opening.len < PREFACE.len() && PREFACE.starts_with(&opening.bytes[..opening.len]) {
        let reading = stream.read(&mut opening.bytes[opening.len..]);
        match tokio::time::timeout(patience, reading).await {
            Ok(Ok(read)) if read > 0 => opening.len += read,
            Ok(Ok(_) | Err(_)) | Err(_) => return None,
        }
        patience = limits.head;
    }
    Some(opening)
}

/// Whether an HTTP/2 request names one authority in one way and asks for a path of it.
///
/// SPEC: RFC 9113 8.3.1; a `host` that differs from `:authority` is malformed. CONNECT makes
/// tunnels, of which the gate has none. hyper has refused what is malformed by itself.
fn is_consistent(request: &Request<Incoming>) -> bool {
    let uri = request.uri();
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let is_named = match (uri.authority(), hosts.next()) {
        (Some(authority), Some(host)) => {
            authority.as_str().as_bytes().eq_ignore_ascii_case(host.as_bytes())
        }
        (Some(authority), None) => !authority.as_str().is_empty(),
        (None, Some(host)) => !host.is_empty(),
        (None, None) => false,
    };
    let has_userinfo = uri.authority().is_some_and(|a| a.as_str().contains('@'));
    let is_path = uri.path().starts_with('/') || uri.path() == "*";
    is_named
        && hosts.next().is_none()
        && !has_userinfo
        && is_path
        && request.method() != http::Method::CONNECT
}

/// Runs HTTP/2 streams as tasks that the listener waits for.
#[derive(Clone, Debug)]
struct Streams(TaskTracker);

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, stream: F) {
        self.0.spawn(stream);
    }
}
