//! What an agent says about itself: in a registration (RFC 7591), in an update of one (RFC 7592),
//! or in a document at the URL that is its id (Client ID Metadata Documents).
//!
//! Everything is bounded and typed here, and nothing is believed: names are shown to people as
//! claims, URLs are kept and not fetched, scopes are cut by the issuer. Members nobody here knows
//! are dropped. Next: `client_id.rs`, which ids are URLs, and `registration/members.rs`.

mod members;

use crate::error::Code;
use crate::keys::{Alg, KeySet};
use crate::{client_id, redirect, scope};
use members::Members;
use serde_json::{Map, Value};
use tollgate_core::bounds::identity::KEYS_MAX;
use tollgate_core::bounds::issuer::{CLIENT_NAME_CHARS_MAX, CLIENT_TEXT_BYTES_MAX, REDIRECTS_MAX};
use tollgate_core::ids::Secret;
use tollgate_core::stores::{AuthMethod, ClientKeys, GrantType};
use url::Url;

pub use members::is_plain;

/// What an agent says about itself, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientMetadata {
    /// What people are to be shown (`client_name`); empty if it has none.
    pub name: String,
    /// Where people may be sent back to.
    pub redirect_uris: Vec<String>,
    /// How it proves itself.
    pub auth: AuthMethod,
    /// What it asks for at the token endpoint. Only what an agent may have that no operator added.
    pub grants: Vec<GrantType>,
    /// Its public keys.
    pub keys: ClientKeys,
    /// Scopes it asks for, as written.
    pub scopes: Vec<String>,
    /// The rest, as registered: `client_uri`, `logo_uri`, `policy_uri`, `tos_uri`, `contacts`,
    /// `software_id`, `software_version`, `application_type`, `token_endpoint_auth_signing_alg`.
    pub rest: Map<String, Value>,
}

/// An update of a registration (RFC 7592 section 2.2).
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// Whom it names; must be the one whose token came with it.
    pub client_id: String,
    /// The secret it names; must be the one it has.
    pub client_secret: Option<Secret<String>>,
    /// What is to be in the place of all that was.
    pub metadata: ClientMetadata,
}

/// Why what an agent says about itself is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {text}")]
pub struct RegistrationFault {
    /// `invalid_redirect_uri` or `invalid_client_metadata`.
    pub code: Code,
    /// What to change.
    pub text: String,
}

impl RegistrationFault {
    fn metadata(text: impl Into<String>) -> Self {
        Self { code: Code::InvalidClientMetadata, text: text.into() }
    }
}

/// Reads a registration.
///
/// # Errors
/// With what to change.
pub fn from_registration(json: &[u8]) -> Result<ClientMetadata, RegistrationFault> {
    registered(&Members::parse(json)?)
}

/// Reads an update of a registration: all of the metadata, and whose.
///
/// # Errors
/// With what to change.
pub fn from_update(json: &[u8]) -> Result<Update, RegistrationFault> {
    let members = Members::parse(json)?;
    let Some(client_id) = members.text("client_id")? else {
        // SPEC: RFC 7592 section 2.2.
        return Err(RegistrationFault::metadata("an update must name its `client_id`"));
    };
    Ok(Update {
        client_id: String::from(client_id),
        client_secret: members.text("client_secret")?.map(|text| Secret::new(String::from(text))),
        metadata: registered(&members)?,
    })
}

/// Reads the document at `url`, which is the `client_id`.
///
/// SPEC: draft-ietf-oauth-client-id-metadata-document section 4.1: `client_id` is the URL, compared
/// as text; nothing that takes a shared secret. MCP 2026-07-28 adds that `client_name` and
/// `redirect_uris` are there. Without a method it is public: RFC 7591's default needs a secret.
///
/// # Errors
/// With what its owner has to change.
pub fn from_document(url: &Url, json: &[u8]) -> Result<ClientMetadata, RegistrationFault> {
    let members = Members::parse(json)?;
    if members.text("client_id")? != Some(url.as_str()) {
        return Err(RegistrationFault::metadata(
            "`client_id` in the document is not the URL the document is at",
        ));
    }
    for name in ["client_secret", "client_secret_expires_at"] {
        if members.has(name) {
            return Err(RegistrationFault::metadata(format!(
                "a client metadata document must not have `{name}`"
            )));
        }
    }
    let metadata = read(&members, AuthMethod::None)?;
    if matches!(metadata.auth, AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost) {
        return Err(RegistrationFault::metadata(
            "`token_endpoint_auth_method` in a client metadata document is `none` or \
             `private_key_jwt`: nobody can share a secret in public",
        ));
    }
    if metadata.name.is_empty() {
        return Err(RegistrationFault::metadata("`client_name` is missing"));
    }
    Ok(metadata)
}

/// SPEC: RFC 7591 section 2: without a method it is `client_secret_basic`.
fn registered(members: &Members) -> Result<ClientMetadata, RegistrationFault> {
    read(members, AuthMethod::ClientSecretBasic)
}

fn read(members: &Members, default: AuthMethod) -> Result<ClientMetadata, RegistrationFault> {
    let auth = match members.text("token_endpoint_auth_method")? {
        Some(name) => method_named(name).ok_or_else(|| {
            RegistrationFault::metadata(
                "`token_endpoint_auth_method` must be `none`, `client_secret_basic`, \
                 `client_secret_post` or `private_key_jwt`",
            )
        })?,
        None => default,
    };
    let keys = keys(members)?;
    if auth == AuthMethod::PrivateKeyJwt && keys == ClientKeys::None {
        return Err(RegistrationFault::metadata(
            "`private_key_jwt` needs `jwks` or `jwks_uri` with the public keys",
        ));
    }
    let asked = members.text("scope")?.unwrap_or_default();
    let scopes = scope::parse(asked)
        .map_err(|fault| RegistrationFault::metadata(format!("`scope`: {fault}")))?;
    Ok(ClientMetadata {
        name: name(members)?,
        redirect_uris: redirect_uris(members)?,
        auth,
        grants: grants(members)?,
        keys,
        scopes: scopes.into_iter().map(String::from).collect(),
        rest: rest(members)?,
    })
}

fn name(members: &Members) -> Result<String, RegistrationFault> {
    let name = members.text("client_name")?.unwrap_or_default().trim();
    if name.chars().count() > CLIENT_NAME_CHARS_MAX || !is_plain(name) {
        return Err(RegistrationFault::metadata(format!(
            "`client_name` is at most {CLIENT_NAME_CHARS_MAX} visible characters, without control, \
             direction and invisible characters"
        )));
    }
    Ok(String::from(name))
}

fn redirect_uris(members: &Members) -> Result<Vec<String>, RegistrationFault> {
    let fault = |text| RegistrationFault { code: Code::InvalidRedirectUri, text };
    let Some(uris) = members.texts("redirect_uris", REDIRECTS_MAX)? else {
        return Err(fault(String::from("`redirect_uris` is missing: name at least one")));
    };
    let mut kept: Vec<String> = Vec::with_capacity(uris.len());
    for uri in uris {
        redirect::register(uri)
            .map_err(|bad| fault(format!("redirect URI `{}`: {bad}", members::shown(uri))))?;
        if !kept.iter().any(|known| known == uri) {
            kept.push(String::from(uri));
        }
    }
    if kept.is_empty() {
        return Err(fault(String::from("`redirect_uris` is empty: name at least one")));
    }
    Ok(kept)
}

/// What is left of the grants asked for when those are taken out that need an operator.
///
/// SPEC: RFC 7591 section 2 and 3.2.1: the server may replace what was asked for, and answers with
/// what it took. Clients commonly ask for all they know.
fn grants(members: &Members) -> Result<Vec<GrantType>, RegistrationFault> {
    let asked = members.texts("grant_types", LIST_MAX)?.unwrap_or_else(|| vec![CODE]);
    let responses = members.texts("response_types", LIST_MAX)?.unwrap_or_else(|| vec!["code"]);
    if !asked.contains(&CODE) || !responses.contains(&"code") {
        return Err(RegistrationFault::metadata(
            "an agent that registers itself needs `authorization_code` among its `grant_types` and \
             `code` among its `response_types`; for any other grant an operator has to add it",
        ));
    }
    let mut grants = vec![GrantType::AuthorizationCode];
    if asked.contains(&"refresh_token") {
        grants.push(GrantType::RefreshToken);
    }
    Ok(grants)
}

const CODE: &str = "authorization_code";
/// Most elements of any list but the redirect URIs.
const LIST_MAX: usize = 20;

fn keys(members: &Members) -> Result<ClientKeys, RegistrationFault> {
    let inline = members.value("jwks");
    let url = members.text("jwks_uri")?;
    match (inline, url) {
        (Some(_), Some(_)) => {
            // SPEC: RFC 7591 section 2.
            Err(RegistrationFault::metadata("there is `jwks` or `jwks_uri`, never both"))
        }
        (None, None) => Ok(ClientKeys::None),
        (None, Some(url)) => {
            let text = url.len() <= CLIENT_TEXT_BYTES_MAX && client_id::is_web_url(url);
            if !text {
                return Err(RegistrationFault::metadata("`jwks_uri` must be an `https` URL"));
            }
            Ok(ClientKeys::Url(String::from(url)))
        }
        (Some(set), None) => {
            check_key_set(set)?;
            Ok(ClientKeys::Inline(set.to_string()))
        }
    }
}

/// Refuses what is no set of public keys, or has none that can verify anything.
fn check_key_set(set: &Value) -> Result<(), RegistrationFault> {
    let keys = set.get("keys").and_then(Value::as_array);
    let Some(keys) = keys.filter(|keys| keys.len() <= KEYS_MAX) else {
        return Err(RegistrationFault::metadata(format!(
            "`jwks` must be an object with `keys`, an array of at most {KEYS_MAX}"
        )));
    };
    for key in keys {
        if ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().any(|name| key.get(name).is_some())
        {
            return Err(RegistrationFault::metadata(
                "`jwks` holds a private or symmetric key, which is not a secret any more: make a \
                 new key and send its public half only",
            ));
        }
    }
    let usable = KeySet::parse(set.to_string().as_bytes()).is_ok_and(|keys| !keys.is_empty());
    if !usable {
        return Err(RegistrationFault::metadata(
            "`jwks` has no usable public key: RSA of 2048 bits or more, P-256, P-384 or Ed25519",
        ));
    }
    Ok(())
}

fn rest(members: &Members) -> Result<Map<String, Value>, RegistrationFault> {
    let mut rest = Map::new();
    for name in ["client_uri", "logo_uri", "policy_uri", "tos_uri"] {
        let Some(url) = members.text(name)?.filter(|url| !url.is_empty()) else { continue };
        let is_https = Url::parse(url).is_ok_and(|parsed| parsed.scheme() == "https");
        if !is_https || url.len() > CLIENT_TEXT_BYTES_MAX || !url.is_ascii() {
            return Err(RegistrationFault::metadata(format!("`{name}` must be an `https` URL")));
        }
        rest.insert(String::from(name), url.into());
    }
    for name in ["software_id", "software_version"] {
        let Some(text) = members.text(name)? else { continue };
        members::check_text(name, text)?;
        rest.insert(String::from(name), text.into());
    }
    if let Some(contacts) = members.texts("contacts", LIST_MAX)? {
        contacts.iter().try_for_each(|contact| members::check_text("contacts", contact))?;
        rest.insert(String::from("contacts"), contacts.into());
    }
    if let Some(alg) = members.text(ASSERTION_ALG)? {
        if Alg::parse(alg).is_none() {
            return Err(RegistrationFault::metadata(format!(
                "`{ASSERTION_ALG}` must be an asymmetric algorithm, such as `ES256`"
            )));
        }
        rest.insert(String::from(ASSERTION_ALG), alg.into());
    }
    if let Some(kind) = members.text("application_type")? {
        // SPEC: OpenID Connect Dynamic Client Registration 1.0 section 2. Both kinds may have
        // loopback redirects here: MCP clients say `web` and listen on localhost.
        if !matches!(kind, "native" | "web") {
            return Err(RegistrationFault::metadata("`application_type` is `native` or `web`"));
        }
        rest.insert(String::from("application_type"), kind.into());
    }
    Ok(rest)
}

/// Names the one algorithm a client's assertions may have (RFC 7591 section 2).
pub const ASSERTION_ALG: &str = "token_endpoint_auth_signing_alg";

/// A method as it is written.
#[must_use]
pub const fn method_name(method: AuthMethod) -> &'static str {
    match method {
        AuthMethod::None => "none",
        AuthMethod::ClientSecretBasic => "client_secret_basic",
        AuthMethod::ClientSecretPost => "client_secret_post",
        AuthMethod::PrivateKeyJwt => "private_key_jwt",
    }
}

/// The method written so.
#[must_use]
pub fn method_named(name: &str) -> Option<AuthMethod> {
    match name {
        "none" => Some(AuthMethod::None),
        "client_secret_basic" => Some(AuthMethod::ClientSecretBasic),
        "client_secret_post" => Some(AuthMethod::ClientSecretPost),
        "private_key_jwt" => Some(AuthMethod::PrivateKeyJwt),
        _ => None,
    }
}

/// A grant as it is written.
#[must_use]
pub const fn grant_name(grant: GrantType) -> &'static str {
    match grant {
        GrantType::AuthorizationCode => CODE,
        GrantType::RefreshToken => "refresh_token",
        GrantType::ClientCredentials => "client_credentials",
        GrantType::JwtBearer => "urn:ietf:params:oauth:grant-type:jwt-bearer",
    }
}

/// The grant written so.
#[must_use]
pub fn grant_named(name: &str) -> Option<GrantType> {
    let all = [
        GrantType::AuthorizationCode,
        GrantType::RefreshToken,
        GrantType::ClientCredentials,
        GrantType::JwtBearer,
    ];
    all.into_iter().find(|grant| grant_name(*grant) == name)
}
