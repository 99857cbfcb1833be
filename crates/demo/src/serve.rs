//! Accepts connections and ends them: the life of one instance of the demo server.
//!
//! Every task has the instance as its owner: connections live in one join set, and calls that
//! outlive their connection (legacy calls do) watch [`Shared::stopping`].
//!
//! Next: `door.rs`, which every request passes.

use crate::bounds::{CONNECTIONS_MAX, KEEPALIVE_SECS};
use crate::door;
use crate::sessions::Sessions;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How often sessions that were idle for too long are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// Connections get this long to finish after the stop: their streams end at once.
const DRAIN: Duration = Duration::from_secs(5);
/// Pause after a failed accept, so that a full descriptor table does not spin a core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// One instance of the demo server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// What it calls itself in results, so that callers see which instance answered.
    pub name: String,
}

/// What all requests of one instance share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) name: String,
    /// Whether only loopback names may be used as `Host`.
    pub(crate) is_loopback: bool,
    pub(crate) sessions: Sessions,
    stopping: watch::Receiver<bool>,
}

impl Shared {
    /// Returns when the instance is told to stop.
    pub(crate) async fn stopping(&self) {
        let mut stopping = self.stopping.clone();
        // An error means the sender is gone, which is the end of the instance as well.
        let _ended = stopping.wait_for(|stopping| *stopping).await;
    }
}

/// Serves one instance on `listener` until `stop` is ready, then ends its streams and connections.
///
/// # Errors
/// When the listener has no local address. Failed accepts are tried again.
pub async fn serve(
    listener: TcpListener,
    instance: Instance,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let (ending, stopping) = watch::channel(false);
    let shared = Arc::new(Shared {
        name: instance.name,
        is_loopback: listener.local_addr()?.ip().is_loopback(),
        sessions: Sessions::default(),
        stopping,
    });
    let mut connections = JoinSet::new();
    let mut sweep = tokio::time::interval(SWEEP_EVERY);
    let mut stop = pin!(stop);
    loop {
        // No loser holds anything: accept, tick and join_next are cancel-safe.
        tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((socket, _)) => {
                    connections.spawn(converse(socket, shared.clone()));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            _ = sweep.tick() => shared.sessions.sweep(),
        }
    }
    ending.send_replace(true);
    shared.sessions.end_all();
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        connections.shutdown().await;
    }
    Ok(())
}

async fn converse(socket: TcpStream, shared: Arc<Shared>) {
    // Without it small events wait for the previous acknowledgement; a failure only costs time.
    let _set = socket.set_nodelay(true);
    let service = service_fn(|request| door::answer(request, shared.clone()));
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(KEEPALIVE_SECS))
            .serve_connection(TokioIo::new(socket), service)
    );
    // A connection that breaks has nobody left to tell.
    tokio::select! {
        _broken = connection.as_mut() => {}
        () = shared.stopping() => {
            connection.as_mut().graceful_shutdown();
            let _broken = connection.await;
        }
    }
}
