//! Upstreams for tests: a listener, a script for each connection, and a record of what arrived.

use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt;
use parking_lot::Mutex;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;
use tollgate_core::ids::UpstreamName;
use tollgate_gate::settings::{
    CredentialSettings, EjectionSettings, HealthSettings, Probe, SessionLoss, Transport,
    UpstreamEra, UpstreamSettings, UpstreamTimeouts, UpstreamTls,
};
use tollgate_gate::upstream::{
    Deadlines, Endpoint, Fields, Outgoing, Reply, SendError, Upstream, Upstreams,
};

/// A playing upstream; it stops listening when dropped.
pub(crate) struct Stage {
    pub(crate) address: SocketAddr,
    record: Arc<Record>,
    _task: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct Record {
    accepts: AtomicUsize,
    closes: AtomicUsize,
    requests: Mutex<Vec<String>>,
}

/// One connection, seen from the upstream.
pub(crate) struct Scene {
    pub(crate) stream: TcpStream,
    record: Arc<Record>,
}

impl Stage {
    pub(crate) async fn play<F, R>(script: F) -> Self
    where
        F: Fn(Scene) -> R + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::play_on(TcpListener::bind(any).await.unwrap(), script)
    }

    pub(crate) fn play_on<F, R>(listener: TcpListener, script: F) -> Self
    where
        F: Fn(Scene) -> R + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let address = listener.local_addr().unwrap();
        let record = Arc::new(Record::default());
        let shared = Arc::clone(&record);
        let task = tokio::spawn(async move {
            let mut scenes = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                shared.accepts.fetch_add(1, Ordering::SeqCst);
                scenes.spawn(script(Scene { stream, record: Arc::clone(&shared) }));
            }
        });
        Self { address, record, _task: AbortOnDropHandle::new(task) }
    }

    /// An upstream that answers every request with `answer`, on connections kept alive.
    pub(crate) async fn answering(answer: impl Into<String>) -> Self {
        let answer: Arc<str> = answer.into().into();
        Self::play(move |mut scene| {
            let answer = Arc::clone(&answer);
            async move {
                while scene.request().await.is_some() {
                    scene.write(answer.as_bytes()).await;
                }
            }
        })
        .await
    }

    pub(crate) fn accepts(&self) -> usize {
        self.record.accepts.load(Ordering::SeqCst)
    }

    /// Connections that the gate closed.
    pub(crate) fn closes(&self) -> usize {
        self.record.closes.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.record.requests.lock().clone()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }
}

impl Scene {
    /// Reads and records one request; `None` if the gate closed instead.
    pub(crate) async fn request(&mut self) -> Option<String> {
        let mut text = Vec::new();
        loop {
            let complete = std::str::from_utf8(&text).ok().and_then(|text| {
                let (head, body) = text.split_once("\r\n\r\n")?;
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                (body.len() >= length.map_or(0, |length| length.parse().unwrap())).then_some(text)
            });
            if let Some(request) = complete {
                self.record.requests.lock().push(request.to_owned());
                return Some(request.to_owned());
            }
            let mut piece = [0; 4096];
            match self.stream.read(&mut piece).await {
                Ok(0) | Err(_) => {
                    self.record.closes.fetch_add(1, Ordering::SeqCst);
                    return None;
                }
                Ok(read) => text.extend_from_slice(&piece[..read]),
            }
        }
    }

    /// Writes; the gate may have gone, which is no fault of the upstream.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.ok();
    }

    /// Waits until the gate closes the connection.
    pub(crate) async fn await_close(&mut self) {
        let mut piece = [0; 1024];
        while matches!(self.stream.read(&mut piece).await, Ok(read) if read > 0) {}
        self.record.closes.fetch_add(1, Ordering::SeqCst);
    }

    /// Ends the connection with a reset.
    pub(crate) fn reset(self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
}

/// A complete reply.
pub(crate) fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// An address where nothing listens.
pub(crate) async fn closed_port() -> SocketAddr {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    TcpListener::bind(any).await.unwrap().local_addr().unwrap()
}

/// Settings with health checks and ejection off.
pub(crate) fn settings<U: AsRef<str>>(urls: &[U]) -> UpstreamSettings {
    UpstreamSettings {
        name: UpstreamName::from("stage"),
        transport: Transport::Http,
        endpoints: urls.iter().map(|url| url.as_ref().parse().unwrap()).collect(),
        tls: UpstreamTls::default(),
        headers: Vec::new(),
        credential: CredentialSettings::None,
        era: UpstreamEra::Auto,
        sessions: SessionLoss::Strict,
        timeouts: UpstreamTimeouts {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(10),
            pause: Duration::from_secs(10),
            total: Duration::from_secs(30),
        },
        health: HealthSettings {
            probe: Probe::Connect,
            every: Duration::ZERO,
            timeout: Duration::from_secs(1),
            unhealthy_after: 2,
            healthy_after: 2,
        },
        ejection: EjectionSettings { after: 0, span: Duration::from_secs(30) },
        resolve_every: Duration::from_secs(30),
    }
}

pub(crate) fn build(settings: UpstreamSettings) -> Arc<Upstream> {
    let built = Upstreams::build(&[settings], None).unwrap();
    Arc::clone(built.iter().next().unwrap())
}

/// The one endpoint of an upstream made for `stage`.
pub(crate) fn only(stage: &Stage) -> Arc<Endpoint> {
    build(settings(&[stage.url()])).pick().unwrap()
}

pub(crate) const PATIENT: Deadlines = Deadlines {
    first_byte: Duration::from_secs(10),
    pause: Some(Duration::from_secs(10)),
    total: Some(Duration::from_secs(30)),
};

pub(crate) fn post(body: &str) -> Outgoing {
    Outgoing {
        on_behalf_of: None,
        method: Method::POST,
        headers: Fields::new(),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

pub(crate) async fn send(endpoint: &Arc<Endpoint>, body: &str) -> Result<Reply, SendError> {
    endpoint.send(post(body), PATIENT).await
}

/// Sends and reads the whole reply.
pub(crate) async fn call(endpoint: &Arc<Endpoint>, body: &str) -> Result<String, SendError> {
    text(send(endpoint, body).await?).await
}

pub(crate) async fn text(reply: Reply) -> Result<String, SendError> {
    let bytes = reply.body.collect().await?.to_bytes();
    Ok(String::from_utf8(bytes.to_vec()).unwrap())
}

/// Polls until `done`, for ten seconds at most: longer than idle connections are kept.
pub(crate) async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let polling = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(10), polling).await.is_ok(), "never: {what}");
}
