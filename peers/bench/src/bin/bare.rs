//! `bench-bare`: a reverse proxy on hyper that only streams bytes. The practical limit of a gateway
//! in Rust: one thread, one pool of connections, bodies and headers untouched.
//!
//! Judges nothing, limits nothing, retries nothing, and is for loopback only.
//!
//! Next: `bench_peers::rounds`, which measures it.

use bench_peers::leash::follow_input;
use bytes::Bytes;
use clap::Parser;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1 as client;
use hyper::header::{CONNECTION, HeaderValue, TRANSFER_ENCODING};
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::LocalOptions;

/// Forwards every request to one upstream.
#[derive(Debug, Parser)]
struct Flags {
    /// Where to listen.
    #[arg(long)]
    listen: SocketAddr,
    /// Where to forward.
    #[arg(long)]
    upstream: SocketAddr,
}

type Sender = client::SendRequest<Incoming>;

/// Connections to the upstream that wait for a request. Bounded by the most requests that were ever
/// under way at once.
struct Pool {
    upstream: SocketAddr,
    idle: RefCell<Vec<Sender>>,
}

impl Pool {
    async fn take(&self) -> anyhow::Result<Sender> {
        if let Some(sender) = self.take_idle() {
            return Ok(sender);
        }
        let stream = TcpStream::connect(self.upstream).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = client::handshake(TokioIo::new(stream)).await?;
        // The connection ends with its sender; its error reaches the request under way.
        tokio::task::spawn_local(connection);
        Ok(sender)
    }

    fn take_idle(&self) -> Option<Sender> {
        let mut idle = self.idle.borrow_mut();
        // The last one given back is warm; one that still ends its reply is left for later.
        let at = idle.iter().rposition(Sender::is_ready)?;
        Some(idle.swap_remove(at))
    }
}

/// A reply's body, which gives its connection back when it has ended.
struct Reply {
    body: Option<Incoming>,
    sender: Option<Sender>,
    pool: Rc<Pool>,
}

impl Body for Reply {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = self.body.as_mut() else { return Poll::Ready(None) };
        Poll::Ready(ready!(Pin::new(body).poll_frame(cx)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take()
            && !sender.is_closed()
        {
            self.pool.idle.borrow_mut().push(sender);
        }
    }
}

async fn forward(mut request: Request<Incoming>, pool: Rc<Pool>) -> Response<Reply> {
    request.headers_mut().remove(CONNECTION);
    let sent = async {
        let mut sender = pool.take().await?;
        let reply = sender.send_request(request).await?;
        anyhow::Ok((sender, reply))
    };
    match sent.await {
        Ok((sender, reply)) => {
            let (mut head, body) = reply.into_parts();
            head.headers.remove(CONNECTION);
            head.headers.remove(TRANSFER_ENCODING);
            Response::from_parts(head, Reply { body: Some(body), sender: Some(sender), pool })
        }
        Err(error) => {
            let mut reply = Response::new(Reply { body: None, sender: None, pool });
            *reply.status_mut() = StatusCode::BAD_GATEWAY;
            if let Ok(cause) = HeaderValue::from_str(&error.to_string()) {
                reply.headers_mut().insert("x-cause", cause);
            }
            reply
        }
    }
}

async fn accept(flags: Flags) -> anyhow::Result<()> {
    let listener = TcpListener::bind(flags.listen).await?;
    let pool = Rc::new(Pool { upstream: flags.upstream, idle: RefCell::default() });
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let pool = pool.clone();
        let service = service_fn(move |request| {
            let pool = pool.clone();
            async move { anyhow::Ok(forward(request, pool).await) }
        });
        let connection = server::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::task::spawn_local(connection);
    }
}

fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    follow_input();
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build_local(LocalOptions::default())?.block_on(accept(flags))
}
