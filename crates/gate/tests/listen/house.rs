//! One listening gate with a recording service, and raw clients for it.

use bytes::Bytes;
use futures_util::StreamExt;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tollgate_gate::drain::Drain;
use tollgate_gate::listen::tls::TlsKeeper;
use tollgate_gate::listen::{Control, Peer, bind, is_too_slow, serve};
use tollgate_gate::settings::Limits;

/// Longest wait for anything in these tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// One request that arrived whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) body: String,
}

#[derive(Default)]
pub(crate) struct Recorder {
    seen: parking_lot::Mutex<Vec<Seen>>,
    peers: parking_lot::Mutex<Vec<Arc<Peer>>>,
    /// Requests to `/slow` that have begun, and what lets them finish.
    pub(crate) began: Notify,
    pub(crate) release: Notify,
}

pub(crate) struct Gate {
    pub(crate) address: SocketAddr,
    pub(crate) control: Arc<Control>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) serving: JoinHandle<()>,
}

pub(crate) fn limits() -> Limits {
    let long = Duration::from_secs(30);
    Limits {
        request_bytes_max: 4 << 20,
        reply_bytes_max: 16 << 20,
        json_depth_max: 64,
        connections_max: 1000,
        streams_per_caller_max: 100,
        head: long,
        body: long,
        body_pause: long,
        handshake: long,
        keepalive: long,
        write_stall: long,
        stream_keepalive: long,
    }
}

impl Gate {
    pub(crate) fn open(limits: Limits) -> Self {
        Self::with_tls(limits, None)
    }

    pub(crate) fn with_tls(limits: Limits, tls: Option<Arc<TlsKeeper>>) -> Self {
        let listener = bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let control = Arc::new(Control::new(limits, tls, Drain::new()));
        let recorder = Arc::new(Recorder::default());
        let service = {
            let recorder = Arc::clone(&recorder);
            move |request, peer| answer(Arc::clone(&recorder), request, peer)
        };
        let serving = tokio::spawn(serve(listener, Arc::clone(&control), service));
        Self { address, control, recorder, serving }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).await.expect("the gate accepts");
        stream.set_nodelay(true).expect("an open socket");
        stream
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.recorder.seen.lock().clone()
    }

    pub(crate) fn last_peer(&self) -> Arc<Peer> {
        Arc::clone(self.recorder.peers.lock().last().expect("a request was seen"))
    }

    /// Sends bytes, at once or one by one, and reads until the gate closes.
    pub(crate) async fn exchange(&self, bytes: &[u8], is_one_by_one: bool) -> String {
        let (mut reader, mut writer) = self.connect().await.into_split();
        let bytes = bytes.to_vec();
        let sending = tokio::spawn(async move {
            let step = if is_one_by_one { 1 } else { bytes.len() };
            for piece in bytes.chunks(step) {
                // The gate may have closed already; what it answered is what counts.
                if writer.write_all(piece).await.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            writer
        });
        let reply = within(read_to_close(&mut reader)).await;
        drop(within(sending).await);
        reply
    }

    /// Whether an ordinary request on a new connection is served.
    pub(crate) async fn is_serving(&self) -> bool {
        self.exchange(b"GET /ok HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false)
            .await
            .starts_with("HTTP/1.1 200")
    }
}

async fn answer(
    recorder: Arc<Recorder>,
    request: Request<Incoming>,
    peer: Arc<Peer>,
) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
    let line = format!("{} {}", request.method(), request.uri());
    let path = request.uri().path().to_owned();
    if path == "/refuse" {
        return reply(StatusCode::PAYLOAD_TOO_LARGE, "refused");
    }
    let body = match request.into_body().collect().await {
        Ok(body) => body,
        Err(error) if is_too_slow(&error) => return reply(StatusCode::REQUEST_TIMEOUT, "slow"),
        Err(_) => return reply(StatusCode::BAD_REQUEST, "malformed"),
    };
    let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    recorder.seen.lock().push(Seen { line, body });
    recorder.peers.lock().push(peer);
    match path.as_str() {
        "/slow" => {
            recorder.began.notify_one();
            recorder.release.notified().await;
            reply(StatusCode::OK, "slow")
        }
        "/endless" => {
            let block = Bytes::from(vec![b'x'; 64 * 1024]);
            let blocks = futures_util::stream::repeat(block).map(|b| Ok(Frame::data(b)));
            Response::new(UnsyncBoxBody::new(StreamBody::new(blocks)))
        }
        "/silent" => {
            recorder.began.notify_one();
            let nothing = futures_util::stream::pending::<Result<Frame<Bytes>, Infallible>>();
            Response::new(UnsyncBoxBody::new(StreamBody::new(nothing)))
        }
        "/panic" => panic!("a service may"),
        _ => reply(StatusCode::OK, "served"),
    }
}

fn reply(status: StatusCode, text: &'static str) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
    let mut reply =
        Response::new(UnsyncBoxBody::new(Full::new(Bytes::from_static(text.as_bytes()))));
    *reply.status_mut() = status;
    reply
}

/// Reads until the other side closes; a reset is a close too.
pub(crate) async fn read_to_close(reader: &mut (impl AsyncRead + Unpin)) -> String {
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = reader.read(&mut buffer).await {
        all.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// Reads until the text ends with `end`.
pub(crate) async fn read_until(reader: &mut (impl AsyncRead + Unpin), end: &str) -> String {
    let mut all = String::new();
    let mut buffer = [0; 4096];
    while !all.ends_with(end) {
        let read = within(reader.read(&mut buffer)).await.expect("an open connection");
        assert!(read > 0, "closed after {all:?}");
        all.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    all
}

pub(crate) async fn within<F: Future>(waiting: F) -> F::Output {
    tokio::time::timeout(PATIENCE, waiting).await.expect("this took too long")
}

/// Waits until a condition holds.
pub(crate) async fn until(mut holds: impl FnMut() -> bool) {
    within(async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
