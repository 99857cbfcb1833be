//! The admin listener: is the gate alive, is it ready, how is it doing, and what was used?
//!
//! A separate listener, loopback by default; nothing of it is ever served on the gate. What it shows
//! arrives through [`Subject`], which the binary plugs in, so this room knows nothing of the gate.

mod status;

pub use status::{
    BudgetStatus, BudgetUse, EndpointState, EndpointStatus, GateStatus, LimitStatus, PinStatus,
    PolicyStatus, RouteStatus, Status, UpstreamStatus, UsageStatus,
};

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use std::future::Future;
use std::pin::Pin;
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

    /// What was used, as the query of the URL asks.
    fn usage<'a>(&'a self, query: &'a str) -> Asking<'a>;
}

/// An answer about usage that is still to come.
pub type Asking<'a> = Pin<Box<dyn Future<Output = UsageAnswer> + Send + 'a>>;

/// What was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsageAnswer {
    /// The answer.
    Text {
        /// What sort of text.
        media_type: &'static str,
        /// The text.
        text: String,
    },
    /// The question is none that can be answered: why, in a sentence.
    Refused(String),
    /// The ledger cannot be read just now: why, in a sentence.
    Unavailable(String),
    /// No ledger is kept.
    Absent,
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
        .route("/usage", get(usage))
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

/// What was used, in the format asked for.
async fn usage(
    State(subject): State<Arc<dyn Subject>>,
    RawQuery(query): RawQuery,
) -> impl IntoResponse {
    let plain = "text/plain; charset=utf-8";
    let (status, media_type, text) = match subject.usage(query.as_deref().unwrap_or("")).await {
        UsageAnswer::Text { media_type, text } => (StatusCode::OK, media_type, text),
        UsageAnswer::Refused(why) => (StatusCode::BAD_REQUEST, plain, format!("{why}\n")),
        UsageAnswer::Unavailable(why) => {
            (StatusCode::SERVICE_UNAVAILABLE, plain, format!("{why}\n"))
        }
        UsageAnswer::Absent => {
            let text =
                "no ledger is kept: add a section `usage` or `prices` to the configuration\n";
            (StatusCode::NOT_FOUND, plain, text.to_owned())
        }
    };
    (status, FRESH, [(CONTENT_TYPE, media_type)], text)
}
