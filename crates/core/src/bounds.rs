//! Every bound with its unit, default and reason. Nothing in Tollgate grows without one of these.
//!
//! Those an operator may change are defaults here and travel in the gate's settings; the others are
//! used from here directly.

pub mod identity;

pub mod issuer;

pub mod limits;

pub mod outbound;

pub mod people;

pub mod pins;
pub mod policy;

pub mod stores;

pub mod usage;

/// One KiB in bytes.
pub const KIB: usize = 1024;
/// One MiB in bytes.
pub const MIB: usize = 1024 * KIB;

/// Longest request body. 4 MiB, as rmcp and the Python SDK cap theirs; more is 413.
pub const REQUEST_BYTES_MAX: usize = 4 * MIB;
/// Longest JSON reply, and longest single event of a stream, taken from an upstream. Base64 images
/// and files of some MiB are ordinary tool results.
pub const REPLY_BYTES_MAX: usize = 16 * MIB;
/// Deepest nesting of a request body. MCP needs about 10; weaker parsers behind us stop at 128.
pub const JSON_DEPTH_MAX: u16 = 64;
/// Most members and elements in one request body, so that its judgement stays within milliseconds.
pub const JSON_ITEMS_MAX: u32 = 200_000;
/// Most messages in one batch (2025-03-26 only): each is judged, and each answer is awaited.
pub const BATCH_MAX: usize = 100;
/// Longest JSON-RPC id in bytes of its JSON text. Ids are echoed, so they must stay small.
pub const ID_BYTES_MAX: usize = 512;
/// Longest request head (request line and headers) in bytes; more is 431.
pub const HEAD_BYTES_MAX: usize = 32 * KIB;
/// Most header fields in one request.
pub const HEADERS_MAX: usize = 100;
/// Longest chunk-size line including extensions. Nobody sends extensions.
pub const CHUNK_LINE_BYTES_MAX: usize = 256;
/// Longest trailer section of a request. Trailers are read over, never merged into the headers.
pub const TRAILER_BYTES_MAX: usize = 4 * KIB;
/// Largest read buffer, and largest write buffer, of one HTTP/1 connection. They start at 8 KiB and
/// grow only while bodies fill them.
pub const CONNECTION_BUFFER_BYTES_MAX: usize = 64 * KIB;
/// Streams one HTTP/2 connection may have open at once.
pub const H2_STREAMS_MAX: u32 = 256;
/// Streams a peer may reset before we have dealt with them (CVE-2023-44487).
pub const H2_PENDING_RESETS_MAX: usize = 32;
/// Streams we reset because of the peer before the connection is closed (CVE-2025-8671).
pub const H2_LOCAL_RESETS_MAX: usize = 256;
/// Bytes a peer may send on one HTTP/2 stream, and on one connection, before they are read. The
/// latter bounds what a connection's request bodies can occupy unread.
pub const H2_STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// See [`H2_STREAM_WINDOW_BYTES`].
pub const H2_CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// Reply bytes of one HTTP/2 stream that wait for the peer's window.
pub const H2_SEND_BYTES_MAX: usize = 64 * KIB;
/// A silent HTTP/2 connection is pinged every so many seconds, and closed when the answer takes as
/// long again.
pub const H2_PING_SECS: u64 = 30;

/// Connections the kernel may hold for us before they are accepted.
pub const LISTEN_BACKLOG: u32 = 4_096;
/// After a refusal in mid-request the rest of what the client sends is read over for so long, so
/// that the kernel does not reset the connection before the client has read the answer.
pub const LINGER_MILLIS: u64 = 1_000;
/// Bytes read over after a refusal in mid-request.
pub const LINGER_BYTES_MAX: usize = 256 * KIB;
/// The certificate files are compared with what is served every so many seconds.
pub const CERTIFICATE_CHECK_SECS: u64 = 2;
/// Largest certificate, key or CA file.
pub const CERTIFICATE_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Open client connections, in total.
pub const CONNECTIONS_MAX: usize = 50_000;
/// File descriptors that connections from agents leave alone: for the operator's listener, health
/// checks, files that are read again, and the runtime. Each such connection counts twice, since its
/// calls need one upstream.
pub const DESCRIPTORS_RESERVED: u64 = 32;
/// Sessions in total. At about 0.5 KiB each this is some 50 MiB.
pub const SESSIONS_MAX: usize = 100_000;
/// Sessions of one caller.
pub const SESSIONS_PER_CALLER_MAX: usize = 25_000;
/// Open event streams of one caller.
pub const STREAMS_PER_CALLER_MAX: usize = 20_000;
/// A session ends after this long without a request or an open stream, in seconds.
pub const SESSION_IDLE_SECS: u64 = 30 * 60;
/// A session ends after this long in any case, in seconds.
pub const SESSION_ABSOLUTE_SECS: u64 = 24 * 60 * 60;

/// A request head must arrive within this many seconds of its first byte.
pub const HEAD_SECS: u64 = 10;
/// A request body must not pause longer than this many seconds between two reads.
pub const BODY_PAUSE_SECS: u64 = 10;
/// A whole request body must arrive within this many seconds.
pub const BODY_SECS: u64 = 60;
/// A TLS handshake must finish within this many seconds.
pub const HANDSHAKE_SECS: u64 = 5;
/// A connection without a request in progress is closed after this many seconds.
pub const KEEPALIVE_SECS: u64 = 120;
/// A client that takes no bytes for this many seconds while we have some for it is disconnected.
pub const WRITE_STALL_SECS: u64 = 30;
/// A silent event stream carries a comment every so many seconds, below the 60 s at which common
/// load balancers cut idle connections.
pub const STREAM_KEEPALIVE_SECS: u64 = 15;
/// In-flight calls get this many seconds to finish after SIGTERM.
pub const DRAIN_SECS: u64 = 30;

/// Longest configuration file, in bytes. A thousand upstreams fit four times.
pub const CONFIG_BYTES_MAX: usize = MIB;
/// Deepest nesting of the configuration; its own keys need 7 levels.
pub const CONFIG_DEPTH_MAX: usize = 32;
/// Most values in the configuration file.
pub const CONFIG_NODES_MAX: usize = 200_000;
/// Most mistakes reported at once; a person corrects fewer before looking again.
pub const CONFIG_MISTAKES_MAX: usize = 100;
/// Longest file the configuration refers to, in bytes: system CA bundles have some 300 KiB.
pub const CONFIG_REFERENCE_BYTES_MAX: usize = MIB;
/// Most files the configuration may refer to, each of which is watched.
pub const CONFIG_REFERENCES_MAX: usize = 4_096;
/// Most upstreams, and most routes.
pub const UPSTREAMS_MAX: usize = 1_000;
/// Most endpoints of one upstream: each is checked and has a pool of its own.
pub const ENDPOINTS_MAX: usize = 256;
/// Most headers of an upstream's credential.
pub const CREDENTIAL_HEADERS_MAX: usize = 16;
/// Longest header value of an upstream's credential, in bytes: what common servers take in a line.
pub const CREDENTIAL_BYTES_MAX: usize = 8 * KIB;
/// Most keys that unseal session ids: each is tried in turn on every request.
pub const SEAL_KEYS_MAX: usize = 8;

/// Most upstreams of one route: a list asks each of them.
pub const ROUTE_UPSTREAMS_MAX: usize = 256;
/// Most entries in one list of a route's curation.
pub const CURATION_ENTRIES_MAX: usize = 1_000;
/// Longest glob of a curation, in bytes: twice the longest name, and room for most URIs.
pub const GLOB_BYTES_MAX: usize = 256;
/// Longest name a tool or prompt may be given, in bytes: what common clients take.
pub const SHOWN_NAME_BYTES_MAX: usize = 64;
/// Longest description a tool or prompt may be given, in bytes. It costs its tokens in every list.
pub const DESCRIPTION_BYTES_MAX: usize = 4 * KIB;
/// Longest instructions of a route, in bytes. They cost their tokens in every conversation.
pub const INSTRUCTIONS_BYTES_MAX: usize = 16 * KIB;

/// Most processes of one stdio upstream: a Node.js or Python server takes some 50 MiB each.
pub const PROCESSES_MAX: usize = 100;
/// A child process nobody used for this many seconds is ended.
pub const PROCESS_IDLE_SECS: u64 = 10 * 60;
/// From the start of a child process to its first answer, in seconds: `npx` and `uvx` download the
/// server the first time.
pub const PROCESS_START_SECS: u64 = 60;
/// A child process gets this many seconds to end after its stdin was closed, and again after SIGTERM.
pub const PROCESS_STOP_SECS: u64 = 2;
/// Pause before a child process that failed is started again, in seconds; doubled each time.
pub const PROCESS_BACKOFF_FIRST_SECS: u64 = 1;
/// Longest such pause, in seconds.
pub const PROCESS_BACKOFF_MAX_SECS: u64 = 60;
/// Most arguments of a command, and most variables set for it.
pub const COMMAND_WORDS_MAX: usize = 256;
/// Longest argument, and longest value of a variable, in bytes. Linux takes 128 KiB.
pub const COMMAND_WORD_BYTES_MAX: usize = 32 * KIB;

/// Longest file of another program that `tollgate import` reads, in bytes. Settings of editors, which
/// hold much besides, stay far below.
pub const IMPORT_BYTES_MAX: usize = MIB;
/// Deepest nesting of such a file: what the readers of JSON and TOML allow at least.
pub const IMPORT_DEPTH_MAX: usize = 64;
/// Longest piece of a file that could not be imported and is shown in a comment, in characters.
pub const IMPORT_SHOWN_MAX: usize = 300;
/// Most times a request from the shell is answered with a question instead of a result.
pub const AGENT_ROUNDS_MAX: usize = 8;
/// Upstreams that `tollgate doctor` asks at the same time: each may be a process.
pub const DOCTOR_CHECKS_MAX: usize = 16;

/// Each endpoint is asked for its health every so many seconds.
pub const HEALTH_EVERY_SECS: u64 = 5;
/// An endpoint must answer a health check within this many seconds.
pub const HEALTH_TIMEOUT_SECS: u64 = 2;
/// Failed checks in a row that make an endpoint unhealthy: one may be a lost packet.
pub const UNHEALTHY_AFTER: usize = 2;
/// Good checks in a row that make an endpoint healthy again.
pub const HEALTHY_AFTER: usize = 1;
/// Failed calls in a row after which an endpoint is left out.
pub const EJECTION_FAILURES: usize = 5;
/// An ejected endpoint is left out for this many seconds.
pub const EJECTION_SECS: u64 = 30;
/// Host names of endpoints are resolved again every so many seconds.
pub const RESOLVE_EVERY_SECS: u64 = 10;

/// Connecting to an endpoint, TLS included, in seconds.
pub const UPSTREAM_CONNECT_SECS: u64 = 5;
/// From the request being sent to the first byte of the reply, in seconds.
pub const UPSTREAM_FIRST_BYTE_SECS: u64 = 60;
/// Longest silence within a reply's body, in seconds. Event streams of open sessions are exempt.
pub const UPSTREAM_PAUSE_SECS: u64 = 120;
/// Longest time for one call in all, in seconds; a person may be answering an elicitation.
pub const UPSTREAM_TOTAL_SECS: u64 = 15 * 60;
/// Idle pooled connections are closed after this many milliseconds: below the 5 s after which
/// Node.js and uvicorn close theirs, so that we rarely send on a connection that is just closing.
pub const UPSTREAM_POOL_IDLE_MILLIS: u64 = 4_000;
/// Idle pooled connections kept per endpoint.
pub const UPSTREAM_POOL_IDLE_MAX: usize = 256;
/// Longest read buffer of an upstream connection; it starts at 8 KiB and grows with full reads. Large
/// replies then take few system calls, and an idle connection holds no more than this.
pub const UPSTREAM_BUFFER_BYTES_MAX: usize = 64 * KIB;
/// Addresses taken from one resolution of a host name.
pub const UPSTREAM_ADDRESSES_MAX: usize = 64;
/// A host name is not resolved again sooner than this many milliseconds, however often connecting
/// fails.
pub const UPSTREAM_RESOLVE_GAP_MILLIS: u64 = 1_000;
/// One resolution of a host name takes at most this many seconds.
pub const UPSTREAM_RESOLVE_SECS: u64 = 10;
/// Endpoints kept per upstream whose address has left DNS while sessions may still live on them.
pub const UPSTREAM_RETIRED_MAX: usize = 64;
/// An endpoint that cannot be used is probed at least this often, in milliseconds.
pub const UPSTREAM_PROBE_AGAIN_MILLIS: u64 = 1_000;
/// Replies of legacy calls that go on being read after their client vanished, in total.
pub const ORPHANS_MAX: usize = 1_024;
/// Upstream sessions being ended at the same time; sixty-four times as many may wait for it.
pub const FAREWELLS_MAX: usize = 32;
/// Time for ending one upstream session, in seconds.
pub const FAREWELL_SECS: u64 = 5;
/// URIs one session may be subscribed to and have restored (`sessions: recoverable`).
pub const RESTORED_SUBSCRIPTIONS_MAX: usize = 64;
/// Longest `initialize` body kept for restoring a session (`sessions: recoverable`).
pub const RESTORED_INITIALIZE_BYTES_MAX: usize = 16 * KIB;
/// Tools of one upstream whose header annotations are remembered.
pub const ANNOTATED_TOOLS_MAX: usize = 1_000;
/// Agents of one upstream that are shown different lists: by era and declared capabilities.
pub const AUDIENCES_MAX: usize = 8;
/// An audience that was there within so many seconds makes no room for another.
pub const AUDIENCE_KEPT_SECS: u64 = 60;
/// Longest text of declared capabilities that lists are kept for.
pub const AUDIENCE_BYTES_MAX: usize = 4 * KIB;
/// Time for reading one list of one upstream, in seconds.
pub const LISTING_SECS: u64 = 20;
/// Longest wait of an agent for lists that are being read, in seconds; then it gets what is there.
pub const LIST_WAIT_SECS: u64 = 5;
/// Longest wait of a new session for upstreams to say what they offer, in seconds.
pub const GREETING_WAIT_SECS: u64 = 5;
/// How much longer agents wait for an upstream that has to be started first, in seconds.
pub const START_WAIT_SECS: u64 = 15;
/// Items of one list taken from one upstream.
pub const LIST_ITEMS_MAX: usize = 1_000;
/// Bytes of one list taken from one upstream.
pub const LIST_BYTES_MAX: usize = 8 * MIB;
/// Longest item of a list: a tool with its schemas.
pub const LIST_ITEM_BYTES_MAX: usize = 256 * KIB;
/// Pages of one list taken from one upstream.
pub const LIST_PAGES_MAX: usize = 100;
/// Items on one page of a merged list.
pub const PAGE_ITEMS_MAX: usize = 1_000;
/// Bytes on one page of a merged list; an item that is longer has a page of its own.
pub const PAGE_BYTES_MAX: usize = MIB;
/// A list is fresh for so many milliseconds where its upstream says nothing about that.
pub const LISTS_FRESH_MILLIS: u64 = 10_000;
/// And still shown for so many more, while it is read again.
pub const LISTS_USABLE_MILLIS: u64 = 300_000;
/// A list is fresh for so many milliseconds where its upstream tells of changes.
pub const LISTS_WATCHED_MILLIS: u64 = 600_000;
/// Longest pause before an upstream whose lists cannot be read is asked again, in milliseconds.
pub const LISTS_REST_MILLIS_MAX: u64 = 30_000;
/// Changes of lists within so many milliseconds are told as one.
pub const LISTS_DEBOUNCE_MILLIS: u64 = 200;
/// What hubs know of an upstream is let go of when nobody has used it for so many seconds.
pub const CATALOG_IDLE_SECS: u64 = 600;
/// How long agents may take the greeting of a hub for fresh, in milliseconds.
pub const DISCOVER_TTL_MILLIS: u64 = 10_000;
/// A hub does not ask an upstream again which eras it speaks for so many milliseconds after it did
/// not answer.
pub const ERA_SILENCE_MILLIS: u64 = 10_000;
/// Events waiting to be written to the one stream that several make up.
pub const EVENTS_WAITING_MAX: usize = 16;
/// How often a leg is asked for its stream.
pub const LEG_STREAM_TRIES_MAX: u32 = 4;
/// Longest wait of a subscription for upstreams to acknowledge their part, in seconds.
pub const SUBSCRIBED_WAIT_SECS: u64 = 5;
/// Soft sessions that are remembered, in total: as many as there are sessions.
pub const SOFT_SESSIONS_MAX: usize = SESSIONS_MAX;
/// Soft sessions that are remembered of one caller, who is told apart only by route and user agent.
pub const SOFT_SESSIONS_PER_CALLER_MAX: usize = 1_000;
/// Streams of agents on HTTP+SSE (2024-11-05), in total.
pub const HTTP_SSE_STREAMS_MAX: usize = 20_000;
/// Requests of one such stream in progress: about as many as SDKs make connections for.
pub const HTTP_SSE_CALLS_MAX: usize = 64;
/// Requests of one such stream that were accepted and wait for their turn.
pub const HTTP_SSE_WAITING_MAX: usize = 64;
/// Events of one such stream that its calls have ready before the client takes them.
pub const HTTP_SSE_EVENTS_MAX: usize = 4;
/// A request on such a stream waits this many seconds for room before it is refused.
pub const HTTP_SSE_ROOM_SECS: u64 = 10;
/// Such a stream that nobody posts to within this many seconds is ended.
pub const HTTP_SSE_UNUSED_SECS: u64 = 60;
/// Pause before the upstream's own stream is opened again, in seconds: the first one, and the
/// longest that doubling leads to.
pub const HTTP_SSE_REOPEN_SECS: (u64, u64) = (1, 30);
/// How often in a row an answer that broke off is asked for again without anything coming.
pub const HTTP_SSE_RESUMES_MAX: u32 = 5;
/// Longest URL for messages that an upstream on HTTP+SSE may name, in bytes.
pub const SSE_ENDPOINT_BYTES_MAX: usize = 4 * KIB;
/// A message to an upstream on HTTP+SSE waits this many milliseconds for the one before it to be
/// accepted, so that they keep their order; then it goes, since some servers accept only when done.
pub const SSE_ORDER_MILLIS: u64 = 500;
/// Lines to one upstream on HTTP+SSE: each session of an agent holds a connection for its whole life.
pub const SSE_LINES_MAX: usize = 1_000;
/// Messages to an upstream on HTTP+SSE that wait to be accepted, on one line.
pub const SSE_POSTS_MAX: usize = 32;
/// Messages waiting in one direction of a line to a child process or an event stream.
pub const LINE_MESSAGES_MAX: usize = 64;
/// Longest message on a line; a child process that writes more without a line break is ended.
pub const LINE_BYTES_MAX: usize = REPLY_BYTES_MAX;
/// Calls in flight on one line: a process that does not answer must not collect them without end.
pub const LINE_CALLS_MAX: usize = 1_024;
/// Messages of our own that wait for a peer which does not read; at more it is ended.
pub const LINE_BACKLOG_MAX: usize = 1_024;
/// Requests of a peer that wait for an agent's answer; more are refused to the peer.
pub const LINE_ASKS_MAX: usize = 256;
/// Sessions over all lines of one upstream, some 300 bytes each.
pub const LINE_SESSIONS_MAX: usize = 10_000;
/// URIs all sessions of a line are subscribed to.
pub const LINE_SUBSCRIPTIONS_MAX: usize = 4_096;
/// Messages that wait for a reader of one exchange over a line; at more its reader is cut off, so
/// that it does not stall the others.
pub const LINE_UNREAD_MAX: usize = 1_024;
/// Bytes of such messages: two of the longest.
pub const LINE_UNREAD_BYTES_MAX: usize = 2 * LINE_BYTES_MAX;
/// Messages kept for a session whose stream is not open yet: servers ask for roots at once.
pub const LINE_HELD_MAX: usize = 16;
/// Longest of them, in bytes; longer ones come when there is somebody to take them, or not at all.
pub const LINE_HELD_BYTES_MAX: usize = 64 * KIB;
/// Characters of a line of noise, or of a process's last words, that are shown.
pub const LINE_SHOWN_CHARS_MAX: usize = 200;
/// Bytes of a line on a child's standard error that are logged.
pub const STDERR_LINE_BYTES_MAX: usize = KIB;
/// Lines of a child's standard error that are logged in a second; the rest is counted.
pub const STDERR_LINES_PER_SEC: usize = 100;
/// Names (URIs, task ids) that a hub changes in one message of an upstream; those beyond are emptied.
/// With some 50 bytes each, a message grows by at most 3 MiB.
pub const REWRITES_MAX: usize = 65_536;

const _: () = assert!(CONNECTION_BUFFER_BYTES_MAX > HEAD_BYTES_MAX);
const _: () = assert!(REPLY_BYTES_MAX >= REQUEST_BYTES_MAX);
const _: () = assert!(LINE_UNREAD_BYTES_MAX >= LINE_BYTES_MAX);
const _: () = assert!(SESSIONS_MAX >= SESSIONS_PER_CALLER_MAX);
const _: () = assert!(UPSTREAM_TOTAL_SECS >= UPSTREAM_FIRST_BYTE_SECS);
const _: () = assert!(UPSTREAM_POOL_IDLE_MILLIS < 5_000);
const _: () = assert!(UPSTREAM_BUFFER_BYTES_MAX >= HEAD_BYTES_MAX);
