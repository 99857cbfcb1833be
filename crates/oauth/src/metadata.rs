//! The two documents a client finds its way with: what the authorization server can do (RFC 8414)
//! and which one a protected resource trusts (RFC 9728).
//!
//! Says only what is true: an endpoint that is off is not named. Next: `challenge.rs`, which points
//! at the second one.

use crate::registration::{grant_name, method_name};
use serde_json::{Map, Value, json};
use tollgate_core::stores::{AuthMethod, GrantType};

/// What there is to say about an authorization server.
#[derive(Clone, Debug)]
pub struct ServerParts<'a> {
    /// The issuer identifier, without a final slash: endpoints are below it.
    pub issuer: &'a str,
    /// Whether people can sign in: without, there is no authorization endpoint.
    pub authorization: bool,
    /// Whether agents can register (RFC 7591).
    pub registration: bool,
    /// Whether a URL may be a `client_id`.
    pub documents: bool,
    /// Scopes people may be asked for.
    pub scopes: &'a [String],
    /// What may be asked for at the token endpoint.
    pub grants: &'a [GrantType],
    /// How agents may prove themselves.
    pub methods: &'a [AuthMethod],
    /// JWS algorithms client assertions may have.
    pub assertion_algorithms: &'a [&'a str],
    /// JWS algorithm of the tokens.
    pub token_algorithm: &'a str,
}

/// The metadata of an authorization server.
///
/// SPEC: RFC 8414 section 2, RFC 9207 section 3, RFC 7636 through `code_challenge_methods_supported`,
/// which MCP clients insist on. `subject_types_supported` and `id_token_signing_alg_values_supported`
/// are there because the same document answers under OpenID Connect's name, whose readers require
/// both; no ID tokens are issued.
#[must_use]
pub fn server(parts: &ServerParts<'_>) -> Value {
    let at = |path: &str| Value::from(format!("{}/oauth/{path}", parts.issuer));
    let methods: Vec<&str> = parts.methods.iter().map(|method| method_name(*method)).collect();
    let grants: Vec<&str> = parts.grants.iter().map(|grant| grant_name(*grant)).collect();
    // Only those that keep a secret or a key can ask about tokens.
    let confidential: Vec<&str> = methods.iter().copied().filter(|m| *m != "none").collect();
    let mut document = Map::new();
    let mut say = |name: &str, value: Value| document.insert(String::from(name), value);
    say("issuer", parts.issuer.into());
    if parts.authorization {
        say("authorization_endpoint", at("authorize"));
    }
    say("token_endpoint", at("token"));
    if parts.registration {
        say("registration_endpoint", at("register"));
    }
    say("revocation_endpoint", at("revoke"));
    say("introspection_endpoint", at("introspect"));
    say("jwks_uri", at("jwks"));
    if !parts.scopes.is_empty() {
        say("scopes_supported", parts.scopes.into());
    }
    // REQUIRED by RFC 8414 section 2, also where it is empty.
    say("response_types_supported", if parts.authorization { json!(["code"]) } else { json!([]) });
    say("response_modes_supported", json!(["query"]));
    say("grant_types_supported", grants.into());
    say("code_challenge_methods_supported", json!(["S256"]));
    say("token_endpoint_auth_methods_supported", methods.clone().into());
    say("revocation_endpoint_auth_methods_supported", methods.into());
    say("introspection_endpoint_auth_methods_supported", confidential.into());
    for endpoint in ["token", "revocation", "introspection"] {
        let name = format!("{endpoint}_endpoint_auth_signing_alg_values_supported");
        say(&name, parts.assertion_algorithms.into());
    }
    say("authorization_response_iss_parameter_supported", true.into());
    say("client_id_metadata_document_supported", parts.documents.into());
    say("subject_types_supported", json!(["public"]));
    say("id_token_signing_alg_values_supported", json!([parts.token_algorithm]));
    say("request_parameter_supported", false.into());
    say("request_uri_parameter_supported", false.into());
    Value::Object(document)
}

/// The metadata of a protected resource.
///
/// SPEC: RFC 9728 section 2. `offline_access` is never offered (MCP 2026-07-28, Refresh Tokens).
#[must_use]
pub fn protected_resource(
    resource: &str,
    issuers: &[String],
    scopes: &[String],
    name: Option<&str>,
) -> Value {
    let mut document = Map::new();
    document.insert(String::from("resource"), resource.into());
    document.insert(String::from("authorization_servers"), issuers.into());
    let scopes: Vec<&str> =
        scopes.iter().map(String::as_str).filter(|scope| *scope != "offline_access").collect();
    if !scopes.is_empty() {
        document.insert(String::from("scopes_supported"), scopes.into());
    }
    document.insert(String::from("bearer_methods_supported"), json!(["header"]));
    if let Some(name) = name {
        document.insert(String::from("resource_name"), name.into());
    }
    Value::Object(document)
}
