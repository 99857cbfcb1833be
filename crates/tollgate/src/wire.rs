//! Builds the rooms and connects them: the only place that knows them all.
//!
//! Turns a checked configuration into a running gate with its admin listener. Decides nothing about
//! requests. Next: `serve.rs` for its life.

use crate::config::Checked;
use crate::identity::{Desk, Identity, Wanted};
use crate::ledger;
use crate::notices::Notices;
use crate::report::Overview;
use anyhow::Context;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tollgate_backends::embedded::Embedded;
use tollgate_backends::memory::MemorySessions;
use tollgate_gate::drain::Drain;
use tollgate_gate::gate::{Gate, Surroundings};
use tollgate_gate::listen::tls::TlsKeeper;
use tollgate_gate::listen::{self, Control};
use tollgate_gate::path;
use tollgate_gate::settings::IdentitySettings;
use tollgate_gate::system::{SystemClock, SystemEntropy};

/// A gate that serves.
pub(crate) struct House {
    /// The gate itself, for reloads.
    pub(crate) gate: Arc<Gate>,
    /// What listens for clients, for limits that change.
    pub(crate) control: Arc<Control>,
    /// Ends everything.
    pub(crate) drain: Drain,
    /// Where clients are served.
    pub(crate) address: SocketAddr,
    /// Where the operator is served, if an admin listener was asked for.
    pub(crate) admin: Option<SocketAddr>,
    /// What `/status` tells.
    pub(crate) overview: Arc<Overview>,
    /// The gate's own authorization server, for reloads.
    pub(crate) issuer: Option<Arc<Desk>>,
    serving: JoinHandle<()>,
}

/// Starts a gate: binds, compiles, then serves. Nothing serves if anything fails.
///
/// # Errors
/// Ports in use, certificates or settings that cannot be put to work; each with its remedy.
pub(crate) async fn build(checked: Checked, admin: Option<SocketAddr>) -> anyhow::Result<House> {
    let drain = Drain::new();
    let (clock, entropy) = (Arc::new(SystemClock::default()), Arc::new(SystemEntropy));
    let store = match &checked.store {
        None => None,
        Some(path) => Some(Embedded::open(path).await.context("stores.embedded")?),
    };
    let is_required = matches!(checked.settings.identity, IdentitySettings::Required(_));
    let wanted = Wanted {
        stores: store.as_ref().filter(|_| is_required).map(Embedded::stores),
        issuer: checked.issuer.as_ref(),
        keys: &checked.settings.sessions.keys,
    };
    let identity = Identity::open(wanted, clock.clone(), entropy.clone()).await?;
    let ledger = ledger::open(checked.ledger.as_deref()).await?;
    let settings = checked.settings;
    let tls = match &settings.tls {
        None => None,
        Some(files) => Some(Arc::new(TlsKeeper::load(files.clone()).context("gate.tls")?)),
    };
    let listener = listen::bind(settings.listen)?;
    let admin_listener = match admin {
        None => None,
        Some(address) => Some(listen::bind(address).context("admin.listen")?),
    };
    let control = Arc::new(Control::new(settings.limits.clone(), tls, drain.clone()));
    let book = Arc::new(MemorySessions::default());
    let issuer = identity.as_ref().and_then(|identity| identity.annex.clone());
    let around = Surroundings {
        book,
        clock: clock.clone(),
        entropy,
        drain: drain.clone(),
        identity: identity.map(|identity| identity.sources),
        annex: issuer.clone().map(|issuer| issuer as _),
        ledger: ledger.clone(),
        pins: store.as_ref().map(Embedded::pins),
    };
    let gate = Gate::new(settings, around)?;
    gate.start_background();
    let notices = Notices::new(gate.clone(), ledger.clone(), clock);
    // Before the first call: what was used before the start counts from the start.
    notices.recall().await;
    tokio::spawn(notices.run(drain.clone()));
    let address = listener.local_addr()?;
    let overview = Arc::new(Overview::new(gate.clone(), control.clone(), address, ledger));
    let serving = tokio::spawn(serve_gate(listener, gate.clone(), control.clone()));
    let admin = match admin_listener {
        None => None,
        Some(listener) => {
            let bound = listener.local_addr()?;
            tokio::spawn(serve_admin(listener, overview.clone(), drain.clone()));
            Some(bound)
        }
    };
    Ok(House { gate, control, drain, address, admin, overview, issuer, serving })
}

async fn serve_gate(listener: TcpListener, gate: Arc<Gate>, control: Arc<Control>) {
    listen::serve(listener, control, move |request, peer| path::serve(gate.clone(), request, peer))
        .await;
}

async fn serve_admin(listener: TcpListener, overview: Arc<Overview>, drain: Drain) {
    // Health and readiness are asked for until the very end.
    let stop = async move { drain.forced().await };
    if let Err(error) = tollgate_console::serve(listener, overview, stop).await {
        tracing::error!(%error, "the admin listener ended");
    }
}

/// How long the end of the gate waits for its ledger.
const LEDGER_FLUSH: Duration = Duration::from_secs(10);

/// How long the end of the gate waits for that of its child processes.
const PROCESSES_END: Duration = Duration::from_secs(20);

impl House {
    /// Stops: no new work, calls in flight get their time, then what is left is cut.
    pub(crate) async fn stop(self, grace: Duration) {
        self.drain.begin();
        let mut serving = self.serving;
        if tokio::time::timeout(grace, &mut serving).await.is_err() {
            tracing::warn!(?grace, "calls were still in flight at the deadline and are cut");
            self.drain.force();
            // Cutting takes a moment at most; a defect there must not keep the process alive.
            drop(tokio::time::timeout(Duration::from_secs(1), &mut serving).await);
        }
        if !self.gate.flush_usage(LEDGER_FLUSH).await {
            tracing::warn!("some usage was not written to the ledger in time and is lost");
        }
        if !self.gate.close_upstreams(PROCESSES_END).await {
            tracing::warn!("some child processes have not ended yet; their guards see to that");
        }
        self.drain.force();
    }
}
