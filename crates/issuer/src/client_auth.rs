//! How a client proves to be the one it says: in exactly one way, and in the one it registered with.
//!
//! Whatever is wrong with the proof, the answer is the same, and an unknown client takes the same
//! path as one with a wrong secret: nobody learns here which clients there are. Nothing is read from
//! the URL. Whether the client may do what it asks is the endpoint's question.
//!
//! Next: `clients.rs`; `client_auth/assertion.rs` for `private_key_jwt`.

mod assertion;

use crate::clients::{self, Client, ClientFault};
use crate::desk::Desk;
use crate::document::DocumentFault;
use crate::error::OAuthError;
use crate::form::{Form, unescaped};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::request::Parts;
use tollgate_core::ids::Secret;
use tollgate_core::stores::{AgentRecord, AuthMethod, Digest, Origin};
use tollgate_oauth::secret;

/// How a request says it proves itself.
enum Shown {
    /// It only says who it is.
    Nothing { id: String },
    /// With a secret, in the header or in the form.
    Secret { method: AuthMethod, id: String, secret: Secret<String> },
    /// With an assertion.
    Assertion { id: Option<String>, assertion: Secret<String> },
}

/// The client a request comes from, once it has proven to be that; of a public one, once it has
/// said so.
///
/// SPEC: RFC 6749 section 2.3: not more than one way in one request; section 2.3.1.
///
/// # Errors
/// `invalid_request` if the request tries more than one way or is malformed, `invalid_client` if
/// the client is unknown or did not prove itself.
pub(crate) async fn authenticate(
    desk: &Desk,
    head: &Parts,
    form: &Form,
) -> Result<Client, OAuthError> {
    match shown(head, form)? {
        Shown::Nothing { id } => {
            let client = found(clients::find(desk, &id).await)?;
            match client.filter(Client::is_public) {
                Some(client) => Ok(client),
                None => Err(refused(&id, "it must prove itself, or is unknown")),
            }
        }
        Shown::Secret { method, id, secret } => {
            let client = found(clients::find(desk, &id).await)?;
            let fits = holds(client.as_ref(), method, secret.expose(), desk.now());
            match client.filter(|_| fits) {
                Some(client) => Ok(client),
                None => Err(refused(&id, "it is unknown, uses another method or a wrong secret")),
            }
        }
        Shown::Assertion { id, assertion } => {
            assertion::verify(desk, id.as_deref(), assertion.expose()).await
        }
    }
}

/// Reads which way a request takes, without looking anything up.
fn shown(head: &Parts, form: &Form) -> Result<Shown, OAuthError> {
    // SPEC: RFC 6749 section 2.3.1: never in the URI.
    let query = head.uri.query().unwrap_or_default();
    if query.contains("client_secret") || query.contains("client_assertion") {
        return Err(OAuthError::invalid_request(
            "credentials must not be in the URL, where they are logged: this one is not secret any \
             more",
        ));
    }
    let mut headers = head.headers.get_all(AUTHORIZATION).into_iter();
    let (header, again) = (headers.next(), headers.next());
    if again.is_some() {
        return Err(OAuthError::invalid_request("there is more than one `Authorization` header"));
    }
    let has_secret = form.has("client_secret");
    let has_assertion = form.has("client_assertion") || form.has("client_assertion_type");
    let ways = [header.is_some(), has_secret, has_assertion];
    if ways.into_iter().filter(|used| *used).count() > 1 {
        return Err(OAuthError::invalid_request(
            "the client proves itself in more than one way: use the `Authorization` header, \
             `client_secret` or `client_assertion`, whichever it is registered with, alone",
        ));
    }
    let named = form.get("client_id");
    if let Some(header) = header {
        let (id, secret) = basic(header.as_bytes())?;
        if named.is_some_and(|named| named != id) {
            return Err(OAuthError::invalid_request(
                "`client_id` is another one than in the `Authorization` header",
            ));
        }
        return Ok(Shown::Secret { method: AuthMethod::ClientSecretBasic, id, secret });
    }
    if has_assertion {
        // SPEC: RFC 7521 section 4.2.
        if form.get("client_assertion_type") != Some(assertion::TYPE) {
            return Err(OAuthError::invalid_request(
                "`client_assertion_type` must be \
                 `urn:ietf:params:oauth:client-assertion-type:jwt-bearer`",
            ));
        }
        let assertion = Secret::new(String::from(form.required("client_assertion")?));
        return Ok(Shown::Assertion { id: named.map(String::from), assertion });
    }
    let id = String::from(form.required("client_id")?);
    if has_secret {
        let secret = Secret::new(String::from(form.get("client_secret").unwrap_or_default()));
        return Ok(Shown::Secret { method: AuthMethod::ClientSecretPost, id, secret });
    }
    Ok(Shown::Nothing { id })
}

/// Id and secret of an `Authorization` header.
///
/// SPEC: RFC 6749 section 2.3.1: both are escaped like in a form before RFC 7617 encodes them.
fn basic(header: &[u8]) -> Result<(String, Secret<String>), OAuthError> {
    let unreadable = || {
        OAuthError::invalid_client(
            "the `Authorization` header must be `Basic` and the base64 of `client_id:client_secret`, \
             each form-urlencoded",
        )
    };
    let text = std::str::from_utf8(header).map_err(|_bad| unreadable())?;
    let (scheme, encoded) = text.split_once(' ').ok_or_else(unreadable)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(unreadable());
    }
    let decoded = STANDARD.decode(encoded.trim_matches(' ')).map_err(|_bad| unreadable())?;
    let decoded = String::from_utf8(decoded).map_err(|_bad| unreadable())?;
    let (id, secret) = decoded.split_once(':').ok_or_else(unreadable)?;
    let id = unescaped(id).map_err(|_bad| unreadable())?;
    let secret = unescaped(secret).map_err(|_bad| unreadable())?;
    Ok((id, Secret::new(secret)))
}

/// Whether a client proves itself this way and has this secret. Takes as long for one that is
/// unknown.
fn holds(client: Option<&Client>, method: AuthMethod, shown: &str, now: u64) -> bool {
    let digest = secret::digest(shown);
    let absent = [(Digest([0; 32]), None)];
    let kept: Vec<(Digest, Option<u64>)> = match client {
        Some(client) => {
            client.record().secrets.iter().map(|kept| (kept.digest, kept.expires)).collect()
        }
        None => absent.to_vec(),
    };
    let mut is_one = false;
    for (known, expires) in kept {
        let is_same = secret::same(&known, &digest);
        is_one |= is_same && expires.is_none_or(|expires| expires > now);
    }
    let uses_it = client.is_some_and(|client| uses(client.record(), method));
    is_one && uses_it && !shown.is_empty()
}

/// Whether an agent may send its secret this way. Who registered itself said how; for the others
/// nobody did, and which of the two ways a program takes is not up to those who give it a secret:
/// some send it in the form whenever the server takes that at all.
fn uses(record: &AgentRecord, method: AuthMethod) -> bool {
    let is_secret =
        |way| matches!(way, AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost);
    let is_free = record.origin == Origin::Operator && is_secret(record.auth);
    record.auth == method || (is_free && is_secret(method))
}

/// A client that is not good is none here; what is down is said.
fn found(outcome: Result<Client, ClientFault>) -> Result<Option<Client>, OAuthError> {
    match outcome {
        Ok(client) => Ok(Some(client)),
        Err(ClientFault::Unknown) => Ok(None),
        // Whose document it is must learn what is wrong with it; there is nothing else to learn.
        Err(fault @ (ClientFault::Document(_) | ClientFault::Store(_))) => Err(fault.into()),
    }
}

/// The one answer to every proof that is no good.
fn refused(id: &str, why: &str) -> OAuthError {
    tracing::debug!(client = id, why, "a client did not prove itself");
    OAuthError::invalid_client(
        "the client is unknown, or did not prove itself the way it is registered with: check \
         `client_id`, `token_endpoint_auth_method` and the secret or key",
    )
}

/// The same where the keys of a client could not be had.
fn keyless(id: &str, fault: &DocumentFault) -> OAuthError {
    match fault {
        DocumentFault::Busy => {
            OAuthError::unavailable("too many key sets are being fetched; try again")
        }
        fault => refused(id, &fault.to_string()),
    }
}

#[cfg(test)]
mod tests;
