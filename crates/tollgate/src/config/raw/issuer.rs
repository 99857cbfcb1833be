//! The section `issuer`: the gate's own authorization server.

use crate::config::collections::{List, Sections, Table, WordOr};
use crate::config::decode::{Decode, Fields, Key, Needed, Set, Shape, Slot, default, key, section};
use crate::config::issuers::{
    AgentId, HostPattern, IssuerUrl, OwnSignature, SafeWeb, Scope, SharedSecret, SignInWord,
    Signature,
};
use crate::config::reading::Reading;
use crate::config::scalars::{Count, Flag, Span, Text};
use crate::config::tree::Node;
use crate::config::values::FilePath;
use serde_json::Value;
use tollgate_core::bounds::issuer as bounds;

section! {
    /// The gate's own authorization server, below `/oauth` of the gate: for those who have none, or whose provider cannot
    /// register clients.
    OwnIssuer {
        /// Its issuer identifier: scheme and host by which agents and people reach the gate. Default: those of
        /// `gate.public_url`.
        url: Key<IssuerUrl>,
        /// How agents get known without an operator.
        registration: Set<Registration> = Registration::default(),
        /// How people sign in: with local accounts (`accounts`; `tollgate users add`), not at all (`nobody`), or at an
        /// OpenID provider (`provider`).
        sign_in: Set<WordOr<SignInWord, SignIn>> = WordOr::default(),
        /// Issuers whose workload tokens are accepted in exchange for an agent's (RFC 7523): clusters, CI systems. At most
        /// 32.
        workloads: Set<Sections<Workload>> = Sections::default(),
        /// How long things last.
        lifetimes: Set<Life> = Life::default(),
        /// What new signing keys are.
        algorithm: Set<OwnSignature> = OwnSignature::Es256,
    }
}

section! {
    /// How agents get known without an operator.
    Registration {
        /// Whether agents may register themselves (RFC 7591).
        dynamic: Set<Flag> = Flag(true),
        /// Whether a URL may be a `client_id`, with a document there that describes the agent (Client ID Metadata
        /// Documents).
        documents: Set<Flag> = Flag(true),
        /// Hosts such documents and redirects may be at, besides redirects to loopback; `*.` before a host stands for its
        /// subdomains. Default: any.
        hosts: Set<List<HostPattern>> = List::default(),
        /// Agents that registered themselves, in total. From 1 to 1,000,000.
        total: Set<Count> = Count(bounds::REGISTERED_MAX),
        /// The same from one address. At most `total`.
        per_address: Set<Count> = Count(bounds::REGISTERED_PER_ADDRESS_MAX),
        /// How long one that never got a token is kept.
        unused: Set<Span> = Span::secs(bounds::REGISTERED_UNUSED_SECS),
        /// Whether documents may be at addresses that are not public: for closed networks and tests.
        private_addresses: Set<Flag> = Flag(false),
    }
}

section! {
    /// How people sign in.
    SignIn {
        /// An OpenID provider people sign in at.
        provider: Needed<Provider>,
    }
}

section! {
    /// An OpenID provider people sign in at. Its redirect URI is `/oauth/callback` of the gate.
    Provider {
        /// What people are shown. Default: the host of `url`.
        name: Key<Text>,
        /// Its issuer identifier. `https`, or `http` on loopback.
        url: Needed<IssuerUrl>,
        /// The gate's own `client_id` there.
        client_id: Needed<Text>,
        /// The gate's own secret there.
        client_secret: Needed<SharedSecret>,
        /// Scopes asked for besides `openid`.
        scopes: Set<List<Scope>> = Scope::list(&["email", "profile"]),
        /// The claim of the ID token that names groups.
        groups_claim: Set<Text> = Text::of("groups"),
        /// The claim of the ID token that people are shown and logged as.
        name_claim: Set<Text> = Text::of("email"),
        /// PEM file with the certificate authorities to trust instead of the system's.
        ca: Key<FilePath>,
    }
}

section! {
    /// An issuer of workload tokens.
    Workload {
        /// Its issuer identifier, exactly as `iss` in its tokens.
        url: Needed<IssuerUrl>,
        /// The URL of its JWK set. Default: where its metadata says.
        keys: Key<SafeWeb>,
        /// Signature algorithms that are accepted.
        algorithms: Set<List<Signature>> = Signature::usual(),
        /// Which workload is which agent, by the exact `sub`: `{ "repo:acme/app:ref:refs/heads/main": nightly }`. Make the
        /// agents with `tollgate agents add nightly --workload`.
        subjects: Needed<Table<AgentId>>,
        /// PEM file with the certificate authorities to trust instead of the system's.
        ca: Key<FilePath>,
    }
}

section! {
    /// How long things last.
    Life {
        /// Authorization codes. At most `10m`.
        code: Set<Span> = Span::secs(bounds::CODE_SECS),
        /// Access tokens. At most `1d`.
        access_token: Set<Span> = Span::secs(bounds::ACCESS_TOKEN_SECS),
        /// Refresh tokens nobody uses. At most `grant`.
        refresh_token: Set<Span> = Span::secs(bounds::REFRESH_TOKEN_SECS),
        /// What a person has agreed to ends after this time in any case.
        grant: Set<Span> = Span::secs(bounds::GRANT_SECS),
        /// A signing key signs for this long.
        signing_key: Set<Span> = Span::secs(bounds::SIGNING_KEY_SECS),
        /// The next signing key is published this long before it signs. At most `signing_key`.
        signing_key_ahead: Set<Span> = Span::secs(bounds::SIGNING_KEY_AHEAD_SECS),
    }
}

section! {
    /// Where things are kept.
    Stores {
        /// The file of the embedded store.
        embedded: Set<FilePath> = FilePath::of("tollgate.db"),
        /// The file of the ledger of usage: one of its own, so that nothing waits for it.
        usage: Set<FilePath> = FilePath::of("tollgate-usage.db"),
    }
    later {
        "redis" => "remove it; stores that several gates share will come with a later version",
        "postgres" => "remove it; stores that several gates share will come with a later version",
    }
}
