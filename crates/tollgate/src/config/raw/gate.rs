//! The section `gate`: the public listener.

use crate::config::collections::List;
use crate::config::decode::{Decode, Fields, Key, Needed, Set, Shape, Slot, default, key, section};
use crate::config::reading::Reading;
use crate::config::scalars::{Address, Count, Size, Span};
use crate::config::tree::Node;
use crate::config::values::{ClientAuth, FilePath, HostName, OriginName, Web};
use serde_json::Value;
use tollgate_core::bounds;

section! {
    /// The public listener.
    Gate {
        /// Where agents connect: IP address and port. Port 0 takes a free one, printed at start. Anything but loopback
        /// needs `identity` or `issuer`, and `hosts` or `public_url`. Changing it needs a restart.
        listen: Set<Address> = Address::loopback(8080),
        /// The URL agents use, where it is not simply the address listened on. With the path of a route behind it, it is
        /// what tokens are for.
        public_url: Key<Web>,
        /// Serve TLS with this certificate. Without it the gate serves clear text.
        tls: Key<GateTls>,
        /// Accepted `Host` values, which stops DNS rebinding. A name without a port matches any port; `*` accepts any.
        /// Default: the host of `public_url`, and `localhost`, `127.0.0.1` and `[::1]` while listening on loopback.
        hosts: Key<List<HostName>>,
        /// Accepted `Origin` values of browsers, besides origins whose host is one of `hosts`; `*` accepts any.
        origins: Set<List<OriginName>> = List::default(),
        /// Caps on what agents may send and hold.
        limits: Set<GateLimits> = GateLimits::default(),
        /// Deadlines towards agents.
        timeouts: Set<GateTimeouts> = GateTimeouts::default(),
    }
}

section! {
    /// Certificates of the gate. Files are read again when they change.
    GateTls {
        /// PEM file with the certificate chain, the gate's own first.
        cert: Needed<FilePath>,
        /// PEM file with the private key.
        key: Needed<FilePath>,
        /// PEM file with the certificate authorities that sign client certificates.
        client_ca: Key<FilePath>,
        /// Whether clients must present a certificate signed by `client_ca` (`required`, the default with `client_ca`)
        /// or may (`optional`).
        client_auth: Key<ClientAuth>,
    }
}

section! {
    /// Caps on what agents may send and hold.
    GateLimits {
        /// Longest request body; more is answered 413. From `1KiB` to `256MiB`.
        request_bytes: Set<Size> = Size(bounds::REQUEST_BYTES_MAX),
        /// Longest JSON reply, and longest single event of a stream, taken from an upstream. From `1KiB` to `1GiB`.
        reply_bytes: Set<Size> = Size(bounds::REPLY_BYTES_MAX),
        /// Deepest nesting of a request body. From 8 to 128.
        json_depth: Set<Count> = Count(bounds::JSON_DEPTH_MAX.into()),
        /// Open connections from agents. From 1 to 1,000,000.
        connections: Set<Count> = Count(bounds::CONNECTIONS_MAX),
        /// Open event streams of one caller. From 1 to 1,000,000.
        streams_per_caller: Set<Count> = Count(bounds::STREAMS_PER_CALLER_MAX),
    }
}

section! {
    /// Deadlines towards agents.
    GateTimeouts {
        /// Time for a request head, from its first byte.
        head: Set<Span> = Span::secs(bounds::HEAD_SECS),
        /// Time for a whole request body.
        body: Set<Span> = Span::secs(bounds::BODY_SECS),
        /// Longest pause within a request body. At most `body`.
        body_pause: Set<Span> = Span::secs(bounds::BODY_PAUSE_SECS),
        /// Time for a TLS handshake.
        handshake: Set<Span> = Span::secs(bounds::HANDSHAKE_SECS),
        /// A connection without a request is closed after this time.
        keepalive: Set<Span> = Span::secs(bounds::KEEPALIVE_SECS),
        /// An agent that takes no bytes for this long while there are some for it is disconnected.
        write_stall: Set<Span> = Span::secs(bounds::WRITE_STALL_SECS),
        /// A silent event stream carries a comment every so often, so that proxies in between keep it open.
        stream_keepalive: Set<Span> = Span::secs(bounds::STREAM_KEEPALIVE_SECS),
        /// Time for calls in flight to finish after SIGTERM.
        drain: Set<Span> = Span::secs(bounds::DRAIN_SECS),
    }
}
