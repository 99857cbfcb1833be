//! `tollgate serve`: the life of the process, from its first log line to its exit code.
//!
//! Reads the configuration, starts the house, applies changes whole or not at all, and drains on
//! SIGTERM. A second signal ends the wait.

use crate::cli::{DemoArgs, EXIT_REFUSED, LogArgs, LogFormat, ServeArgs};
use crate::config::watch::{Reason, Watch};
use crate::config::{self, Checked, Report};
use crate::demo::{self, Scratch, Started};
use crate::wire::{self, House};
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tollgate_core::bounds::{DESCRIPTORS_RESERVED, MIB};
use tollgate_core::ids::UpstreamName;
use tollgate_gate::settings::{IdentitySettings, Settings};
use tollgate_gate::system::SystemEntropy;
use tollgate_policy::settings::Mode;
use tracing_subscriber::EnvFilter;

/// Runs the gate until it is told to stop.
///
/// # Errors
/// What keeps it from starting or running, with its remedy. A wrong configuration is not an error
/// but the exit code 2, after its report.
pub(crate) fn run(args: &ServeArgs, log: &LogArgs) -> anyhow::Result<ExitCode> {
    start_log(log)?;
    settle_allocator();
    let descriptors = raise_file_limit();
    runtime()?.block_on(serve(&args.config, descriptors))
}

/// One core needs no scheduler between threads; more get one thread each.
///
/// # Errors
/// The operating system has no threads or descriptors left.
pub(crate) fn runtime() -> std::io::Result<Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut builder =
        if cores == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    builder.enable_all().build()
}

/// Starts the process log on standard error.
///
/// # Errors
/// The filter cannot be read.
pub(crate) fn start_log(log: &LogArgs) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&log.log_level)?;
    // SPEC: no-color.org. Files and collectors get no colours either.
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let line = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colours)
        .with_writer(std::io::stderr);
    match log.log_format {
        LogFormat::Text => line.with_target(false).init(),
        LogFormat::Json => line.json().flatten_event(true).init(),
    }
    Ok(())
}

/// The log of a command that does one thing and ends: nobody asked how its connections fare.
pub(crate) fn quiet(log: &LogArgs) -> LogArgs {
    let is_usual = log.log_level == "info";
    let log_level = if is_usual { "error".to_owned() } else { log.log_level.clone() };
    LogArgs { log_level, ..log.clone() }
}

/// Keeps the system allocator from giving memory back and asking for it again with every reply.
///
/// glibc returns the top of its heap to the kernel beyond 128 KiB, which a few replies of 64 KiB
/// exceed: two system calls and as many page faults as pages, per call. It raises that limit to
/// twice the largest block it ever freed to the kernel, so one such block is freed at the start. It
/// is never touched and so never resident. Other allocators do not mind.
///
/// SPEC: mallopt(3), `M_MMAP_THRESHOLD`: the dynamic threshold.
fn settle_allocator() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(4 * MIB)));
}

/// Every connection is a file descriptor, and usual soft limits are 1,024. Returns how many there may
/// be, if that is limited.
fn raise_file_limit() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        tracing::warn!(%error, ?limit, "the limit of open files stays as it is");
        return limit.current;
    }
    limit.maximum
}

/// Reads the configuration, and lowers its cap of connections to what the limit of open files holds:
/// with a full descriptor table neither calls nor the operator would get through.
fn load(file: &Path, descriptors: Option<u64>) -> Result<Checked, Report> {
    let mut checked = config::load(file)?;
    let Some(descriptors) = descriptors else { return Ok(checked) };
    let room = descriptors.saturating_sub(DESCRIPTORS_RESERVED) / 2;
    let room = usize::try_from(room).unwrap_or(usize::MAX).max(1);
    let cap = &mut checked.settings.limits.connections_max;
    if *cap > room {
        let lowered = format!(
            "`gate.limits.connections` is {room} instead of {cap}: the limit of open files \
             (`ulimit -n`) is {descriptors}",
        );
        checked.warnings.push(lowered);
        *cap = room;
    }
    Ok(checked)
}

async fn serve(file: &Path, descriptors: Option<u64>) -> anyhow::Result<ExitCode> {
    let mut watch = Watch::start(&[file.to_owned()])?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let checked = match load(file, descriptors) {
        Ok(checked) => checked,
        Err(report) => {
            // Nothing is left to tell where standard error is closed too.
            drop(write!(std::io::stderr(), "{report}"));
            return Ok(ExitCode::from(EXIT_REFUSED));
        }
    };
    watch.follow(&checked.watched);
    warn(&checked);
    let mut applied = checked.clone();
    let admin = checked.admin;
    let house = wire::build(checked, Some(admin)).await?;
    announce(&house, &applied);
    loop {
        tokio::select! {
            reason = watch.next() => {
                let read = load(file, descriptors);
                reload(read, &house, &mut watch, &mut applied, reason);
            }
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    let grace = applied.settings.drain;
    tracing::info!(?grace, "shutting down: calls in flight finish");
    tokio::select! {
        () = house.stop(grace) => {}
        _ = terminate.recv() => tracing::warn!("told twice to stop: calls in flight are cut"),
        _ = interrupt.recv() => tracing::warn!("told twice to stop: calls in flight are cut"),
    }
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

fn warn(checked: &Checked) {
    for warning in &checked.warnings {
        tracing::warn!("{warning}");
    }
}

/// Says where the gate is, what it serves, and what it does not enforce.
fn announce(house: &House, checked: &Checked) {
    let settings = &checked.settings;
    tracing::info!("listening gate={}", house.address);
    if let Some(admin) = house.admin {
        tracing::info!("listening admin={admin}");
    }
    let scheme = if settings.tls.is_some() { "https" } else { "http" };
    for route in &settings.routes {
        let names: Vec<&str> = route.upstreams.iter().map(UpstreamName::as_str).collect();
        let (path, names) = (&route.path, names.join(", "));
        tracing::info!("route {scheme}://{}{path} -> {names}", house.address);
    }
    match &settings.identity {
        IdentitySettings::Required(access) => {
            let names: Vec<&str> =
                access.identity.issuers.iter().map(|issuer| issuer.name.as_str()).collect();
            let keys = if access.identity.api_keys { " and API keys" } else { "" };
            tracing::info!("identity required: tokens of {}{keys}", names.join(", "));
        }
        IdentitySettings::LoopbackOnly | IdentitySettings::Off => {}
    }
    tracing::info!("not enforced: {}", lacking(settings).join(", "));
    tracing::info!(configuration = %settings.version, "ready");
}

/// What nothing in the configuration asks for, and what that means.
fn lacking(settings: &Settings) -> Vec<&'static str> {
    let is_anonymous = !matches!(settings.identity, IdentitySettings::Required(_));
    let is_shadow = settings.policy.as_ref().is_some_and(|policy| policy.mode == Mode::Shadow);
    [
        is_anonymous.then_some("identity (anonymous callers)"),
        settings.policy.is_none().then_some("policy (every tool)"),
        is_shadow.then_some("policy (it only watches: `mode: shadow`)"),
        settings.quotas.is_none().then_some("limits (none)"),
        Some("audit (none)"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Reads the file again and applies it whole, or reports why not and keeps what is in force.
fn reload(
    read: Result<Checked, Report>,
    house: &House,
    watch: &mut Watch,
    applied: &mut Checked,
    reason: Reason,
) {
    let checked = match read {
        Ok(checked) => checked,
        Err(report) => {
            watch.follow(report.watched());
            return refuse_reload(house, &report.to_string());
        }
    };
    watch.follow(&checked.watched);
    if checked.settings == applied.settings
        && checked.issuer == applied.issuer
        && reason == Reason::Changed
    {
        // A mistake may have been taken back.
        return house.overview.note_reload(None);
    }
    warn(&checked);
    let (new, old) = (&checked.settings, &applied.settings);
    if new.listen != old.listen || checked.admin != applied.admin || new.tls != old.tls {
        let text = "`gate.listen`, `gate.tls` and `admin.listen` change only with a restart";
        return refuse_reload(house, text);
    }
    if checked.store != applied.store
        || checked.ledger != applied.ledger
        || checked.issuer.is_some() != applied.issuer.is_some()
    {
        let text = "`stores`, whether anything is kept there (`identity`, `issuer`, `pins`), and whether there is an \
                    `issuer` or a ledger of usage, change only with a restart";
        return refuse_reload(house, text);
    }
    if let (Some(desk), Some(settings)) = (&house.issuer, &checked.issuer)
        && let Err(error) = desk.reload(settings)
    {
        return refuse_reload(house, &format!("{error:#}"));
    }
    let limits = checked.settings.limits.clone();
    if let Err(error) = house.gate.reload(checked.settings.clone()) {
        return refuse_reload(house, &error.to_string());
    }
    house.control.limits.store(std::sync::Arc::new(limits));
    house.overview.note_reload(None);
    tracing::info!(configuration = %checked.settings.version, "configuration applied");
    *applied = checked;
}

fn refuse_reload(house: &House, why: &str) {
    tracing::error!("the changed configuration is not applied; the old one stays in force:\n{why}");
    house.overview.note_reload(Some(why.to_owned()));
}

/// How long a demonstration waits for calls in flight when it ends.
const DEMO_GRACE: Duration = Duration::from_secs(2);

/// Runs the demonstration until it is told to stop.
///
/// # Errors
/// What keeps it from starting.
pub(crate) fn demo(args: &DemoArgs, log: &LogArgs) -> anyhow::Result<()> {
    start_log(log)?;
    raise_file_limit();
    let scratch = if args.identity { Some(Scratch::new(&SystemEntropy)?) } else { None };
    let folder = scratch.as_ref().map(Scratch::path);
    let read = |text: &str| {
        let read = config::from_text("demo.yaml", folder.unwrap_or(Path::new("")), text);
        read.map_err(|report| anyhow::anyhow!("{report}"))
    };
    runtime()?.block_on(demo::run(args.listen, folder, read, start_demo))
}

async fn start_demo(
    checked: Checked,
) -> anyhow::Result<Started<impl Future<Output = anyhow::Result<()>>>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let admin = checked.admin;
    let let_in = demo::settle(&checked).await?;
    let house = wire::build(checked, Some(admin)).await?;
    let address = house.address;
    let ended = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        house.stop(DEMO_GRACE).await;
        Ok(())
    };
    Ok(Started { address, let_in, ended })
}
