//! The section `credential` of an upstream: what the gate proves itself with.

use crate::config::collections::{List, Table};
use crate::config::decode::{Decode, Fields, Key, Needed, Set, Shape, Slot, default, key, section};
use crate::config::issuers::{IssuerUrl, SafeWeb, Scope, SecretPlace, SharedSecret};
use crate::config::raw::identity::PrivateKey;
use crate::config::reading::Reading;
use crate::config::scalars::{SecretText, Text};
use crate::config::tree::Node;
use crate::config::values::FilePath;
use serde_json::Value;

section! {
    /// The gate's own credential towards an upstream: headers, and at most one of `client_credentials` and `exchange`.
    Credential {
        /// Headers added to every request: `{ Authorization: "Bearer ${env:GITHUB_TOKEN}" }`. At most 16.
        header: Key<Table<SecretText>>,
        /// A token of the gate itself, the same for all callers (RFC 6749 section 4.4). Fetched when it is first needed,
        /// and again ahead of its end.
        client_credentials: Key<TokenRequest>,
        /// A token of its own for each principal (RFC 8693): the gate vouches for the caller, whose own token is never
        /// sent. Over `http` only; needs the section `identity` or `issuer`.
        exchange: Key<Exchange>,
    }
}

section! {
    /// A request for a token. Where tokens are is exactly one of `issuer` and `token_url`; the gate proves itself by
    /// exactly one of `client_secret` and `private_key`.
    TokenRequest {
        /// The issuer whose metadata says where tokens are (RFC 8414, OpenID Connect). `https`, or `http` on loopback.
        issuer: Key<IssuerUrl>,
        /// The token endpoint itself.
        token_url: Key<SafeWeb>,
        /// The gate's own `client_id` there.
        client_id: Needed<Text>,
        /// The gate's own secret there.
        client_secret: Key<SharedSecret>,
        /// Where the secret is sent: in the header `Authorization` (`basic`), or in the form (`post`).
        secret_in: Set<SecretPlace> = SecretPlace::Basic,
        /// The gate's own key there (`private_key_jwt`, RFC 7523).
        private_key: Key<PrivateKey>,
        /// Scopes asked for.
        scopes: Set<List<Scope>> = List::default(),
        /// Resources the token is asked for (RFC 8707): usually the URL of the upstream.
        resources: Set<List<Text>> = List::default(),
        /// The audience asked for, where the server knows names instead of resources.
        audience: Key<Text>,
        /// PEM file with the certificate authorities to trust instead of the system's.
        ca: Key<FilePath>,
    }
}

section! {
    /// How a token of its own is got for each principal.
    Exchange {
        /// Where, as whom and for what.
        request: Needed<TokenRequest>,
        /// How the gate vouches for the principal.
        assertion: Needed<Assertion>,
    }
}

section! {
    /// What the gate says of a principal: a JWT that the server must trust.
    Assertion {
        /// Its `iss`: the name under which the server knows the gate.
        issuer: Needed<Text>,
        /// Its `aud`. Default: the server's issuer identifier, or the URL of its token endpoint.
        audience: Key<Text>,
        /// Names of the issuers whose principals are vouched for; the gate's own is `own`. Nobody else is: `sub` would name
        /// somebody else of the same name.
        issuers: Needed<List<Text>>,
        /// What signs it.
        private_key: Needed<PrivateKey>,
    }
}
