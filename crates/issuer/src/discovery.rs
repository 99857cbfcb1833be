//! What the issuer says of itself: its metadata and its public keys.
//!
//! Names only what is turned on, so that no client finds a door that is walled up.

use crate::desk::Desk;
use crate::reply::{self, Response};
use crate::settings::{IssuerSettings, SignIn};
use http::StatusCode;
use std::collections::BTreeSet;
use tollgate_core::stores::{AuthMethod, GrantType};
use tollgate_oauth::keys::Alg;
use tollgate_oauth::metadata::{self, ServerParts};

/// How agents may prove themselves.
const METHODS: [AuthMethod; 4] = [
    AuthMethod::None,
    AuthMethod::ClientSecretBasic,
    AuthMethod::ClientSecretPost,
    AuthMethod::PrivateKeyJwt,
];

/// Answers with the metadata.
///
/// SPEC: RFC 8414 section 3.2; the same for who looks by OpenID Connect Discovery 1.0.
pub(crate) fn metadata(desk: &Desk) -> Response {
    let settings = &desk.settings;
    let people = settings.sign_in != SignIn::Nobody;
    let scopes: BTreeSet<&String> =
        settings.resources.iter().flat_map(|resource| &resource.scopes).collect();
    let scopes: Vec<String> = scopes.into_iter().cloned().collect();
    // Without people nobody can be public: such an agent could do nothing.
    let methods = if people { &METHODS[..] } else { &METHODS[1..] };
    let document = metadata::server(&ServerParts {
        issuer: &desk.issuer,
        authorization: people,
        registration: settings.registration.dynamic,
        documents: settings.registration.documents,
        scopes: &scopes,
        grants: &grants(settings),
        methods,
        assertion_algorithms: &Alg::ALL.map(Alg::name),
        token_algorithm: settings.algorithm.name(),
    });
    reply::json(StatusCode::OK, &document)
}

fn grants(settings: &IssuerSettings) -> Vec<GrantType> {
    let mut grants = Vec::new();
    if settings.sign_in != SignIn::Nobody {
        grants.extend([GrantType::AuthorizationCode, GrantType::RefreshToken]);
    }
    grants.push(GrantType::ClientCredentials);
    if !settings.workloads.is_empty() {
        grants.push(GrantType::JwtBearer);
    }
    grants
}

/// Answers with the public keys.
pub(crate) fn keys(desk: &Desk) -> Response {
    reply::json(StatusCode::OK, &desk.ring.published().to_json())
}
