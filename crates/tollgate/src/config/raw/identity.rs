//! The section `identity`, and what routes say of it: who may vouch for callers.

use crate::config::collections::{List, OneOrMany, Sections, WordOr};
use crate::config::decode::{Decode, Fields, Key, Needed, Set, Shape, Slot, default, key, section};
use crate::config::issuers::{
    Discovered, IssuerUrl, NamedBy, SafeWeb, Scope, SecretPlace, SharedSecret, Signature, claims,
};
use crate::config::reading::Reading;
use crate::config::scalars::{Count, Flag, Span, Text};
use crate::config::tree::Node;
use crate::config::values::FilePath;
use serde_json::Value;
use tollgate_core::bounds::identity as bounds;
use tollgate_identity::settings::ClaimNames;

section! {
    /// Who may vouch for callers. At least one of `issuers`, `api_keys`, `certificates` and the section `issuer`.
    Identity {
        /// Issuers of access tokens: your identity providers. At most 32. The gate's own is added by the section `issuer`.
        issuers: Set<Sections<Issuer>> = Sections::default(),
        /// Whether API keys are accepted, which `tollgate agents add NAME --api-key` makes.
        api_keys: Set<Flag> = Flag(true),
        /// Which part of a client certificate names the agent: the first DNS name (`dns`), the SPIFFE id (`spiffe`) or the
        /// first e-mail address (`email`) of its SAN. Needs `gate.tls.client_ca`. Without the key, certificates only
        /// encrypt.
        certificates: Key<NamedBy>,
        /// How far clocks of issuers may differ from this one. At most `5m`.
        leeway: Set<Span> = Span::secs(bounds::LEEWAY_SECS),
        /// How long a verified token is believed without being verified again, unless it ends before or is revoked. At
        /// most `10m`.
        believed: Set<Span> = Span::secs(bounds::TOKEN_BELIEVED_SECS),
    }
}

section! {
    /// An issuer of access tokens.
    Issuer {
        /// What routes call it. Default: the host of `url`.
        name: Key<Text>,
        /// Its issuer identifier, exactly as `iss` in its tokens: a `/` at the end counts. `https`, or `http` on loopback.
        url: Needed<IssuerUrl>,
        /// Audiences accepted besides the URL of the route itself, for issuers that cannot put that into a token. One or
        /// several; they hold for every route that accepts this issuer.
        audience: Key<OneOrMany<Text>>,
        /// Where its keys are: `discovery` follows its metadata (RFC 8414, OpenID Connect), or `url` or `file` of a JWK
        /// set. Not with `introspection`.
        keys: Key<WordOr<Discovered, KeysPlace>>,
        /// Signature algorithms that are accepted. Not with `introspection`.
        algorithms: Set<List<Signature>> = Signature::usual(),
        /// Whether tokens must say `typ: at+jwt` (RFC 9068). Many providers still write `JWT`, or nothing.
        strict_type: Set<Flag> = Flag(false),
        /// Its tokens are opaque: it is asked about each (RFC 7662). Without the key, they are JWTs.
        introspection: Key<Introspection>,
        /// What its claims mean.
        claims: Set<Claims> = Claims::default(),
        /// PEM file with the certificate authorities to trust instead of the system's.
        ca: Key<FilePath>,
    }
}

section! {
    /// Where a JWK set is: exactly one of `url` and `file`.
    KeysPlace {
        /// Its URL. `https`, or `http` on loopback.
        url: Key<SafeWeb>,
        /// Its file. It is read again when it changes.
        file: Key<FilePath>,
    }
}

section! {
    /// How an issuer is asked about its tokens. The gate proves itself by exactly one of `client_secret` and
    /// `private_key`.
    Introspection {
        /// Its introspection endpoint. Default: where its metadata says.
        url: Key<SafeWeb>,
        /// The gate's own `client_id` there.
        client_id: Needed<Text>,
        /// The gate's own secret there.
        client_secret: Key<SharedSecret>,
        /// Where the secret is sent: in the header `Authorization` (`basic`), or in the form (`post`).
        secret_in: Set<SecretPlace> = SecretPlace::Basic,
        /// The gate's own key there (`private_key_jwt`, RFC 7523).
        private_key: Key<PrivateKey>,
        /// How long an answer is believed: a token revoked there is refused here after this time. At most `10m`.
        believed: Set<Span> = Span::secs(bounds::INTROSPECTION_BELIEVED_SECS),
        /// Questions under way at once. From 1 to 10,000.
        at_once: Set<Count> = Count(bounds::INTROSPECTIONS_MAX),
    }
}

section! {
    /// A private key of the gate.
    PrivateKey {
        /// PEM file with the key (PKCS#8).
        file: Needed<FilePath>,
        /// The algorithm it signs with.
        algorithm: Needed<Signature>,
        /// Its key id, where the other side wants one.
        kid: Key<Text>,
    }
}

section! {
    /// What the claims of a token mean.
    Claims {
        /// Claims that name the agent; the first that is there counts.
        agent: Set<List<Text>> = claims(&ClaimNames::default().agent),
        /// The claim that names groups: a string or a list. A path with dots goes deeper: `realm_access.roles`.
        groups: Set<Text> = Text::of("groups"),
        /// Claims that name scopes: a string with spaces, or a list; the first that is there counts.
        scopes: Set<List<Text>> = claims(&ClaimNames::default().scopes),
    }
}

section! {
    /// Who is let in on one route. Needs the section `identity` or `issuer`.
    RouteIdentity {
        /// Names of the issuers whose tokens are accepted; the gate's own is `own`. Default: all.
        issuers: Key<List<Text>>,
        /// Scopes that every token must carry.
        scopes: Set<List<Scope>> = List::default(),
        /// Scopes that are offered besides: in the route's metadata, and to people who are asked for consent.
        offered: Set<List<Scope>> = List::default(),
    }
}
