//! The admin listener: is the gate alive, is it ready, and how is it doing?
//!
//! A separate listener, loopback by default; nothing of it is ever served on the gate. What it shows
//! arrives through [`Subject`], which the binary plugs in, so this room knows nothing of the gate.

mod status;

pub use status::{
    BudgetStatus, BudgetUse, EndpointState, EndpointStatus, GateStatus, LimitStatus, PolicyStatus,
    RouteStatus, Status, UpstreamStatus, UsageStatus,
};

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, HeaderName};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use std::future::Future;
use std::sync::Arc;
use tokio::net::TcpListener;

/// What the admin listener reports on.
pub trait Subject: Send + Sync + 'static {
    /// Whether new work is taken.
    ///
    /// # Errors
    /// Why it is not, in one sentence for the operator.
    fn ready(&self) -> Result<(), String>;

    /// How everything is doing.
    fn status(&self) -> Status;
}

/// Serves the admin listener until `stop` resolves.
///
/// # Errors
/// I/O errors of the listener itself.
pub async fn serve(
    listener: TcpListener,
    subject: Arc<dyn Subject>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/status", get(status))
        .with_state(subject);
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

const FRESH: [(HeaderName, &str); 1] = [(CACHE_CONTROL, "no-store")];

/// Alive: the process answers.
async fn healthz() -> impl IntoResponse {
    (FRESH, "ok\n")
}

/// Ready: new work is taken. 503 while it is not, with the reason.
async fn readyz(State(subject): State<Arc<dyn Subject>>) -> impl IntoResponse {
    match subject.ready() {
        Ok(()) => (StatusCode::OK, FRESH, "ready\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, FRESH, format!("not ready: {why}\n")),
    }
}

/// Everything, as JSON.
async fn status(State(subject): State<Arc<dyn Subject>>) -> impl IntoResponse {
    (FRESH, Json(subject.status()))
}
