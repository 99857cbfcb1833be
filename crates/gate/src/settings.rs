//! What the gate needs to know, checked and complete: the binary builds it from the file.
//!
//! Plain data. Nothing in here is optional because somebody forgot it: an absent section of the
//! file arrives as an explicit variant or as a default from `tollgate_core::bounds`.

mod credential;
mod pins;

pub use credential::{
    AssertionKey, AssertionSettings, CredentialSettings, ExchangeSettings, TokenEndpoint,
    TokenRequest, TokenServer,
};
pub use pins::{PinSettings, Treatment, Trust};

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tollgate_core::ids::{RoutePath, Secret, UpstreamName};
use tollgate_core::sessions::{Caps, Lifetimes};
use tollgate_limits::settings::LimitSettings;
use tollgate_policy::settings::PolicySettings;
use tollgate_usage::settings::UsageSettings;
use url::Url;

/// One whole version of the configuration, as far as it concerns the gate.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Names this version in `/status` and in the log: the first 12 hex digits of the file's hash.
    pub version: String,
    /// Where the gate listens. Changing it needs a restart.
    pub listen: SocketAddr,
    /// The URL clients use, where it is not simply the listening address.
    pub public_url: Option<Url>,
    /// TLS towards clients; `None` serves clear text.
    pub tls: Option<TlsSettings>,
    /// Which `Host` and `Origin` values are served.
    pub names: NamePolicy,
    /// Who must prove what.
    pub identity: IdentitySettings,
    /// Who may call what; `None` allows everything.
    pub policy: Option<PolicySettings>,
    /// Caps and deadlines towards clients.
    pub limits: Limits,
    /// How much callers may use; `None` is as much as they like.
    pub quotas: Option<LimitSettings>,
    /// Metering, prices and the ledger; `None` meters nothing.
    pub usage: Option<UsageSettings>,
    /// Legacy sessions.
    pub sessions: SessionSettings,
    /// The upstreams, in the order of the file.
    pub upstreams: Vec<UpstreamSettings>,
    /// Those whose tools are pinned. Beside them, since an upstream stays the same with other pins.
    pub pins: Vec<PinSettings>,
    /// The routes, in the order of the file.
    pub routes: Vec<RouteSettings>,
    /// How long calls in flight get after SIGTERM.
    pub drain: Duration,
}

/// Certificate files. They are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// PEM file with the certificate chain, leaf first.
    pub cert: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
    /// Client certificates.
    pub client: ClientCertificates,
}

/// Whether clients present certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// They are not asked to.
    Off,
    /// They may; what they present must be signed by this CA (PEM file).
    Optional(PathBuf),
    /// They must, signed by this CA (PEM file).
    Required(PathBuf),
}

/// The gate's own names. Compared without case; a name without a port matches any port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePolicy {
    /// Accepted `Host` values (`mcp.example.com`, `localhost`, `[::1]`, `127.0.0.1:8080`);
    /// `*` accepts any.
    pub hosts: Vec<String>,
    /// Accepted `Origin` values (`https://app.example.com`); `*` accepts any. An origin whose host
    /// is one of `hosts` is always accepted.
    pub origins: Vec<String>,
}

/// Identity, the exception to "absent means off": off is written by the operator.
#[derive(Clone, Debug, PartialEq)]
pub enum IdentitySettings {
    /// No identity section: the gate serves loopback only.
    LoopbackOnly,
    /// `identity: off`: anonymous callers from anywhere.
    Off,
    /// Callers prove who they are, with every request.
    Required(Box<Access>),
}

/// How callers prove who they are.
#[derive(Clone, Debug, PartialEq)]
pub struct Access {
    /// Who may vouch for them.
    pub identity: tollgate_identity::settings::IdentitySettings,
    /// What each route is to issuers, in the order of the routes.
    pub doors: Vec<tollgate_identity::settings::Door>,
}

/// Caps and deadlines towards clients. Meanings and defaults: `tollgate_core::bounds`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest request body in bytes.
    pub request_bytes_max: usize,
    /// Longest JSON reply, and longest event, in bytes.
    pub reply_bytes_max: usize,
    /// Deepest JSON nesting of a request.
    pub json_depth_max: u16,
    /// Open client connections.
    pub connections_max: usize,
    /// Open event streams of one caller.
    pub streams_per_caller_max: usize,
    /// Time for a request head.
    pub head: Duration,
    /// Time for a request body.
    pub body: Duration,
    /// Longest pause within a request body.
    pub body_pause: Duration,
    /// Time for a TLS handshake.
    pub handshake: Duration,
    /// Idle time of a connection.
    pub keepalive: Duration,
    /// Time a client may refuse to take bytes.
    pub write_stall: Duration,
    /// Interval of comments on silent event streams.
    pub stream_keepalive: Duration,
}

/// Legacy sessions: lifetimes, caps, and the keys that seal their ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSettings {
    /// Idle and absolute lifetimes.
    pub life: Lifetimes,
    /// Caps in total and per caller.
    pub caps: Caps,
    /// Sealing keys of 32 bytes; the first seals, all unseal. Empty: a random one for this process.
    pub keys: Vec<Secret<[u8; 32]>>,
}

/// One MCP server and its instances.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamSettings {
    /// The operator's name for it.
    pub name: UpstreamName,
    /// How it is reached.
    pub transport: Transport,
    /// The MCP endpoint URL of each instance (`http` or `https`); one host name may stand for
    /// several addresses. The URL of the event stream for [`Transport::Sse`]; empty for
    /// [`Transport::Stdio`].
    pub endpoints: Vec<Url>,
    /// TLS towards it, for `https` endpoints.
    pub tls: UpstreamTls,
    /// Headers added to every request (credentials of the gate's own).
    pub headers: Vec<(String, Secret<String>)>,
    /// What goes into `Authorization`, where that is not one of `headers`.
    pub credential: CredentialSettings,
    /// Which eras it speaks.
    pub era: UpstreamEra,
    /// Whether lost sessions are rebuilt.
    pub sessions: SessionLoss,
    /// Deadlines, phase by phase.
    pub timeouts: UpstreamTimeouts,
    /// Active health checks.
    pub health: HealthSettings,
    /// Passive ejection.
    pub ejection: EjectionSettings,
    /// How often host names are resolved again.
    pub resolve_every: Duration,
}

/// How an upstream is reached.
#[derive(Clone, Debug, PartialEq)]
pub enum Transport {
    /// Streamable HTTP.
    Http,
    /// HTTP+SSE of revision 2024-11-05: one event stream, and a URL for messages that it names.
    Sse,
    /// A child process that speaks on its stdin and stdout.
    Stdio(Box<StdioSettings>),
}

/// A child process that is an upstream.
#[derive(Clone, Debug, PartialEq)]
pub struct StdioSettings {
    /// The program, looked up in the `PATH` of `env`. Never a shell.
    pub command: String,
    /// Its arguments, as they are.
    pub args: Vec<String>,
    /// Its whole environment: what the operator passed on from the gate's own, and what was set.
    pub env: Vec<(String, Secret<String>)>,
    /// Its working directory; the gate's own if `None`.
    pub cwd: Option<PathBuf>,
    /// Whose calls share a process.
    pub isolation: Isolation,
    /// Most processes at a time.
    pub processes_max: usize,
    /// A process nobody used for this long is ended.
    pub idle: Duration,
    /// Time from the start of a process to its first answer.
    pub start: Duration,
    /// Time a process gets to end by itself after its stdin was closed, and again after SIGTERM.
    pub stop: Duration,
    /// Pause before a process that failed is started again: the first one, doubled up to the second.
    pub backoff: (Duration, Duration),
    /// What the operating system lets each process have.
    pub resources: ProcessLimits,
    /// The program that watches over children: the gate's own binary, started as `guard`.
    pub guard: PathBuf,
}

/// Limits of the operating system (`setrlimit`) for a child process; `None` leaves the gate's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ProcessLimits {
    /// Address space in bytes (`RLIMIT_AS`).
    pub memory_bytes: Option<u64>,
    /// Open files (`RLIMIT_NOFILE`).
    pub open_files: Option<u64>,
    /// Processor seconds (`RLIMIT_CPU`).
    pub cpu_secs: Option<u64>,
}

/// Whose calls share a child process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isolation {
    /// One process for each session of an agent; one for each agent where there are no sessions.
    Session,
    /// One process for each agent.
    Agent,
    /// One process for everybody.
    Shared,
}

/// TLS towards an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct UpstreamTls {
    /// PEM file with the CAs to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// PEM files with the certificate chain and key the gate presents.
    pub client: Option<(PathBuf, PathBuf)>,
    /// Name to verify and send as SNI, where it is not the URL's host.
    pub server_name: Option<String>,
}

/// Which eras an upstream speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UpstreamEra {
    /// Found out with `server/discover`, which creates no session.
    Auto,
    /// Sessions only.
    Legacy,
    /// 2026-07-28 only.
    Modern,
    /// Both.
    Both,
}

/// What happens to a session whose endpoint died or forgot it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SessionLoss {
    /// The client gets 404 and starts over.
    Strict,
    /// The gate opens a new upstream session and tells it what the client had said.
    Recoverable,
}

/// Deadlines towards an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamTimeouts {
    /// Connecting, TLS included.
    pub connect: Duration,
    /// From the request sent to the head of the reply.
    pub first_byte: Duration,
    /// Longest silence within a reply's body.
    pub pause: Duration,
    /// The whole call.
    pub total: Duration,
}

/// Active health checks. They create no MCP session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthSettings {
    /// How an endpoint is asked.
    pub probe: Probe,
    /// How often; zero turns checks off.
    pub every: Duration,
    /// Time for one answer.
    pub timeout: Duration,
    /// Failures in a row that make an endpoint unhealthy.
    pub unhealthy_after: u32,
    /// Successes in a row that make it healthy again.
    pub healthy_after: u32,
}

/// How an endpoint is asked for its health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// It accepts a connection (and completes the TLS handshake).
    Connect,
    /// It answers a GET of this path with 2xx.
    Http(String),
}

/// Passive ejection: endpoints that fail calls are left out for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EjectionSettings {
    /// Failed calls in a row; zero turns ejection off.
    pub after: u32,
    /// For how long.
    pub span: Duration,
}

/// One path on the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteSettings {
    /// The path, starting with `/`.
    pub path: RoutePath,
    /// The upstreams it offers, in the order of the file; never empty. With several, their tools and
    /// prompts appear as `upstream__name`.
    pub upstreams: Vec<UpstreamName>,
    /// Which tools it offers, and under which names.
    pub tools: Curation,
    /// The same for prompts.
    pub prompts: Curation,
    /// Which resources it offers, by the URIs agents see. Nothing is renamed or described.
    pub resources: Curation,
    /// What agents are told instead of the upstreams' own instructions.
    pub instructions: Option<String>,
    /// Whether agents that never send `Mcp-Session-Id` back are recognised without it.
    pub soft_sessions: bool,
    /// Whether HTTP+SSE of 2024-11-05 is served too, at this path plus `/sse`.
    pub sse: bool,
}

/// What of the upstreams' offer a route shows, and how. All names are those agents see.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Curation {
    /// Globs (`*` any characters, `?` one) of what is shown; everything if empty.
    pub include: Vec<String>,
    /// Globs of what is not shown, even if included.
    pub exclude: Vec<String>,
    /// Other names: the name it would have, and the name it gets.
    pub rename: Vec<(String, String)>,
    /// Other descriptions, by the name agents see (after renaming).
    pub describe: Vec<(String, String)>,
}

impl Curation {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl RouteSettings {
    /// A route that shows everything as it is.
    #[must_use]
    pub fn plain(path: RoutePath, upstreams: Vec<UpstreamName>) -> Self {
        Self {
            path,
            upstreams,
            tools: Curation::default(),
            prompts: Curation::default(),
            resources: Curation::default(),
            instructions: None,
            soft_sessions: false,
            sse: false,
        }
    }
}
