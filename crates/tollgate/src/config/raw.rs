//! The shape of the configuration file: every section and key, with its default and description.
//!
//! What is written here is what is read, what `tollgate schema` prints and what the reference in
//! `docs/configuration.md` says. Says nothing about how values must fit together: see `checking.rs`.

mod credential;

mod gate;

mod identity;

mod issuer;

mod usage;

mod limits;
mod pins;

mod policy;

pub(super) use credential::{Credential, Exchange, TokenRequest};
pub(super) use gate::{Gate, GateTls};
pub(super) use identity::RouteIdentity;
pub(super) use identity::{Identity, Introspection, Issuer, KeysPlace, PrivateKey};
pub(super) use issuer::{Life, OwnIssuer, Provider, Registration, Stores, Workload};
pub(super) use limits::{Budget, LimitRule, Quota, Quotas, Rate, ResultCap, Team};
pub(super) use pins::Pins;
pub(super) use policy::{Binding, Policy, Role};
pub(super) use usage::{Price, Prices, Usage};

use crate::config::collections::{List, OffOr, Table, WordOr};
use crate::config::decode::{Decode, Fields, Key, Needed, Set, Shape, Slot, default, key, section};
use crate::config::issuers::Off;
use crate::config::programs::{Program, Sharing, Variable, Word};
use crate::config::reading::Reading;
use crate::config::scalars::{Address, Count, Flag, Size, Span, Text};
use crate::config::tree::Node;
use crate::config::values::{Check, Era, FilePath, Loss, Pattern, Prose, SealKey, Web};
use serde_json::Value;
use tollgate_core::bounds;

const LATER: &str = "remove it; it will come with a later version";

section! {
    /// The configuration of a Tollgate gate. Durations are `500ms`, `30s`, `5m`, `24h` or `30d`; sizes are
    /// `64KiB`, `4MiB` or `1GiB`; any text value may hold `${env:NAME}` and `${file:PATH}`.
    Root {
        /// The public listener: what agents connect to.
        gate: Set<Gate> = Gate::default(),
        /// The operator's listener: health, readiness and status. Never reachable on the gate.
        admin: Set<Admin> = Admin::default(),
        /// Who may call: `off` for anonymous callers from anywhere, or keys that say who may vouch for callers. Without this
        /// section and `issuer`, the gate listens on loopback addresses only.
        identity: Key<WordOr<Off, Identity>>,
        /// The gate's own authorization server: for those who have none, or whose provider cannot register clients. With
        /// it, callers must prove who they are, and its tokens are accepted.
        issuer: Key<OwnIssuer>,
        /// Where things are kept: agents, API keys, accounts, grants, signing keys and revocations with `identity` or `issuer`,
        /// pins of tools with `pins`, rows of usage with `usage` or `prices`; sessions are kept in memory. Changing it needs a
        /// restart.
        stores: Set<Stores> = Stores::default(),
        /// How calls are counted, and whether that is written down.
        usage: Key<Usage>,
        /// The price book.
        prices: Key<Prices>,
        /// Sessions of agents of the legacy era (MCP revisions up to 2025-11-25).
        sessions: Set<Sessions> = Sessions::default(),
        /// The MCP servers behind the gate, by name: lower-case letters, digits and `-`, at most 32 characters.
        upstreams: Needed<Table<Upstream>>,
        /// The paths on the gate, and what each offers: `/mcp: { upstreams: [search] }`.
        routes: Needed<Table<Route>>,
        /// How much callers may use: rates of requests and tokens, calls at once, budgets. Without it, as much as they like.
        limits: Key<Quotas>,
        /// Teams, for limits and budgets and for whom usage is put down to: `{ research: { groups: [research] } }`. A caller
        /// belongs to the first that fits. At most 1,024.
        teams: Key<Table<Team>>,
        /// Who may call what. Without it every caller may call everything.
        policy: Key<Policy>,
    }
    later {
        "telemetry" => LATER,
        "audit" => LATER,
    }
}

section! {
    /// The operator's listener.
    Admin {
        /// Where `/healthz`, `/readyz` and `/status` are served: IP address and port. Changing it needs a restart.
        listen: Set<Address> = Address::loopback(9090),
        /// Whether it may listen on anything but loopback. It asks for no password.
        exposed: Set<Flag> = Flag(false),
    }
}

section! {
    /// Sessions of the legacy era.
    Sessions {
        /// A session ends after this time without a request or an open stream.
        idle: Set<Span> = Span::secs(bounds::SESSION_IDLE_SECS),
        /// A session ends after this time in any case.
        absolute: Set<Span> = Span::secs(bounds::SESSION_ABSOLUTE_SECS),
        /// Sessions in total. From 1 to 10,000,000.
        max: Set<Count> = Count(bounds::SESSIONS_MAX),
        /// Sessions of one caller. At most `max`.
        max_per_caller: Set<Count> = Count(bounds::SESSIONS_PER_CALLER_MAX),
        /// Keys that seal session ids: 32 random bytes each, in base64 or hex. The first seals, all are accepted: to
        /// change the key, put the new one first and remove the old one after `absolute`. Without keys a random one is
        /// used, and session ids do not outlive the process.
        keys: Key<List<SealKey>>,
    }
}

section! {
    /// One MCP server behind the gate. How it is reached is exactly one of `http`, `sse` and `stdio`.
    Upstream {
        /// It is reached over Streamable HTTP.
        http: Key<Http>,
        /// It is reached over HTTP+SSE, the transport of MCP 2024-11-05: one event stream, and a URL for messages that
        /// the stream names. Health checks and ejection do not apply.
        sse: Key<Sse>,
        /// It is a program that the gate starts and speaks with over its standard input and output.
        stdio: Key<Stdio>,
        /// Which eras of MCP it speaks: `auto` finds out without opening a session. Over `sse` it is always `legacy`.
        era: Set<Era> = Era::Auto,
        /// What happens to a session whose endpoint died or forgot it. `strict`: the agent is told, and starts over.
        /// `recoverable`: the gate opens a new one on a live endpoint and repeats what the agent had declared.
        sessions: Set<Loss> = Loss::Strict,
        /// The gate's own credential towards this upstream. The caller's is never sent on. Not with `stdio`, whose
        /// credentials belong into `env`.
        credential: Key<Credential>,
        /// Pinning of its tools. Without it they are offered as they come.
        pins: Key<Pins>,
    }
}

section! {
    /// An upstream reached over Streamable HTTP.
    Http {
        /// The URL of its MCP endpoint. Either this or `endpoints`.
        url: Key<Web>,
        /// The URLs of its instances, where there are several. Either this or `url`.
        endpoints: Key<List<Web>>,
        /// TLS towards it, for `https` URLs.
        tls: Key<UpstreamTlsRaw>,
        /// Deadlines, phase by phase.
        timeouts: Set<UpstreamTimeoutsRaw> = UpstreamTimeoutsRaw::default(),
        /// Active health checks, or `off`. They open no MCP session.
        health: Set<OffOr<Health>> = OffOr::default(),
        /// Leaving out endpoints that fail calls, or `off`.
        ejection: Set<OffOr<Ejection>> = OffOr::default(),
        /// How often host names are resolved again.
        resolve_every: Set<Span> = Span::secs(bounds::RESOLVE_EVERY_SECS),
    }
}

section! {
    /// An upstream reached over HTTP+SSE.
    Sse {
        /// The URL of its event stream, usually one that ends in `/sse`. The URL for messages that the stream names
        /// must be of the same origin.
        url: Needed<Web>,
        /// TLS towards it, for an `https` URL.
        tls: Key<UpstreamTlsRaw>,
        /// Deadlines, phase by phase.
        timeouts: Set<UpstreamTimeoutsRaw> = UpstreamTimeoutsRaw::default(),
    }
}

section! {
    /// An upstream that is a child process of the gate.
    Stdio {
        /// The program: a name that is looked up in `PATH`, or a path. Started as it is, never by a shell; it takes no
        /// `${...}`, so that the file itself says what is run.
        command: Needed<Program>,
        /// Its arguments, each one item. Others on this machine can see them in the list of processes: secrets belong
        /// into `env`. At most 256.
        args: Set<List<Word>> = List::default(),
        /// Variables set for it, besides those of `inherit_env`: `{ API_KEY: "${env:API_KEY}" }`. At most 256.
        env: Key<Table<Word>>,
        /// Variables of the gate's own environment that are passed on, where they are set there. Everything else,
        /// secrets of the gate above all, stays with the gate.
        inherit_env: Set<List<Variable>> = Variable::harmless(),
        /// Its working directory. Default: that of the gate.
        cwd: Key<FilePath>,
        /// Whose calls share a process. `session`: each session of an agent has its own, and so has each agent in the
        /// modern era, which has no sessions. `agent`: each agent has its own. `shared`: one for everybody.
        isolation: Set<Sharing> = Sharing::Session,
        /// Most processes at a time. From 1 to 10,000.
        processes: Set<Count> = Count(bounds::PROCESSES_MAX),
        /// A process nobody used for this long is ended.
        idle: Set<Span> = Span::secs(bounds::PROCESS_IDLE_SECS),
        /// Time from the start of a process to its first answer: `npx` and `uvx` download the server the first time.
        start: Set<Span> = Span::secs(bounds::PROCESS_START_SECS),
        /// Time a process gets to end by itself after its input was closed, and again after SIGTERM; then it is killed.
        stop: Set<Span> = Span::secs(bounds::PROCESS_STOP_SECS),
        /// Pauses before a process that failed is started again.
        backoff: Set<Backoff> = Backoff::default(),
        /// What the operating system lets each process have. What is not written is as it is for the gate.
        limits: Set<ProcessCaps> = ProcessCaps::default(),
        /// Deadlines, phase by phase.
        timeouts: Set<StdioTimeouts> = StdioTimeouts::default(),
    }
}

section! {
    /// Pauses before a process that failed is started again. Each is twice the one before.
    Backoff {
        /// The first pause. At most `max`.
        first: Set<Span> = Span::secs(bounds::PROCESS_BACKOFF_FIRST_SECS),
        /// The longest pause.
        max: Set<Span> = Span::secs(bounds::PROCESS_BACKOFF_MAX_SECS),
    }
}

section! {
    /// What the operating system lets each process have.
    ProcessCaps {
        /// Address space. Runtimes reserve far more than they use, Node.js some GiB: try the value out. From `16MiB` to
        /// `1024GiB`.
        memory: Key<Size>,
        /// Open files. From 16 to 1,048,576.
        open_files: Key<Count>,
        /// Processor time over its whole life, in whole seconds.
        cpu: Key<Span>,
    }
}

section! {
    /// Deadlines towards a process. Where one is not written, it is at most `total`.
    StdioTimeouts {
        /// Time from the request to the first message of the answer.
        first_byte: Set<Span> = Span::secs(bounds::UPSTREAM_FIRST_BYTE_SECS),
        /// Longest silence within an answer of several messages.
        pause: Set<Span> = Span::secs(bounds::UPSTREAM_PAUSE_SECS),
        /// Time for one call in all.
        total: Set<Span> = Span::secs(bounds::UPSTREAM_TOTAL_SECS),
    }
}

section! {
    /// TLS towards an upstream.
    UpstreamTlsRaw {
        /// PEM file with the certificate authorities to trust instead of the system's.
        ca: Key<FilePath>,
        /// PEM file with the certificate chain the gate presents. Needs `key`.
        cert: Key<FilePath>,
        /// PEM file with the private key of `cert`.
        key: Key<FilePath>,
        /// The name to ask for and verify, where it is not the URL's host.
        server_name: Key<Text>,
    }
}

section! {
    /// Deadlines towards an upstream. Where one is not written, it is at most `total`.
    UpstreamTimeoutsRaw {
        /// Time to connect, TLS included.
        connect: Set<Span> = Span::secs(bounds::UPSTREAM_CONNECT_SECS),
        /// Time from the request to the first byte of the reply.
        first_byte: Set<Span> = Span::secs(bounds::UPSTREAM_FIRST_BYTE_SECS),
        /// Longest silence within a reply. Event streams of open sessions are exempt.
        pause: Set<Span> = Span::secs(bounds::UPSTREAM_PAUSE_SECS),
        /// Time for one call in all.
        total: Set<Span> = Span::secs(bounds::UPSTREAM_TOTAL_SECS),
    }
}

section! {
    /// Active health checks.
    Health {
        /// `connect` opens a connection (and completes the TLS handshake); `GET /path` expects a 2xx answer.
        check: Set<Check> = Check::Connect,
        /// How often each endpoint is asked.
        every: Set<Span> = Span::secs(bounds::HEALTH_EVERY_SECS),
        /// Time for one answer. At most `every`.
        timeout: Set<Span> = Span::secs(bounds::HEALTH_TIMEOUT_SECS),
        /// Failures in a row that make an endpoint unhealthy. From 1 to 1,000.
        unhealthy_after: Set<Count> = Count(bounds::UNHEALTHY_AFTER),
        /// Successes in a row that make it healthy again. From 1 to 1,000.
        healthy_after: Set<Count> = Count(bounds::HEALTHY_AFTER),
    }
}

section! {
    /// Passive ejection.
    Ejection {
        /// Failed calls in a row after which an endpoint is left out. From 1 to 1,000.
        failures: Set<Count> = Count(bounds::EJECTION_FAILURES),
        /// For how long.
        r#for: Set<Span> = Span::secs(bounds::EJECTION_SECS),
    }
}

section! {
    /// A path on the gate.
    Route {
        /// The names of the upstreams it offers, at most 256. With one, agents see the names the upstream gave. With
        /// several, tools and prompts are called `upstream__name`, and the URIs of resources start with
        /// `tollgate+upstream:`, those of MCP Apps with `ui://upstream__`.
        upstreams: Needed<List<Text>>,
        /// Which tools it offers, and how they are called and described.
        tools: Set<Curated> = Curated::default(),
        /// The same for prompts.
        prompts: Set<Curated> = Curated::default(),
        /// Which resources it offers.
        resources: Set<Chosen> = Chosen::default(),
        /// What agents are told about this route instead of the upstreams' own instructions. At most 16 KiB.
        instructions: Key<Prose>,
        /// Whether agents that never send `Mcp-Session-Id` back are recognised without it, by address and `User-Agent`.
        /// Without an identity, agents behind one address with one user agent then get each other's sessions.
        soft_sessions: Set<Flag> = Flag(false),
        /// Whether HTTP+SSE of MCP 2024-11-05 is served too: its event stream at this path plus `/sse`, its messages at
        /// this path plus `/messages`.
        sse: Set<Flag> = Flag(false),
        /// Whose tokens are accepted here, and what they must carry.
        identity: Key<RouteIdentity>,
    }
}

section! {
    /// What of the upstreams' offer a route shows, and how. At most 1,000 entries in each list.
    Curated {
        /// What is shown, by its name before or after `rename`: `*` stands for any characters, `?` for one. Without it,
        /// everything.
        include: Key<List<Pattern>>,
        /// What is not shown even if included.
        exclude: Set<List<Pattern>> = List::default(),
        /// Other names: `{ search__query: find }`. The new name is 1 to 64 letters, digits, `_`, `-` or `.`.
        rename: Key<Table<Text>>,
        /// Other descriptions, by the name agents see, that is the new one where there is one. At most 4 KiB each.
        describe: Key<Table<Prose>>,
    }
}

section! {
    /// Which resources a route shows. At most 1,000 entries in each list.
    Chosen {
        /// What is shown, by the URIs agents see: `*` stands for any characters, `?` for one. Without it, everything.
        include: Key<List<Pattern>>,
        /// What is not shown even if included.
        exclude: Set<List<Pattern>> = List::default(),
    }
}
