//! Signed tokens: read strictly, verified with a key that was chosen beforehand.
//!
//! What is read is not verified, and what is verified is not yet good: whose it is, for whom and
//! until when are claims, and the caller's to judge. Nothing in a header can bring a key along
//! (`jwk`, `jku`, `x5u`, `x5c` are not looked at), and what would change how a token is read
//! (`crit`, `b64`, `zip`, `enc`) makes it unreadable (RFC 8725 sections 2 and 3).
//!
//! Next: `jwt/claims.rs`.

mod claims;

pub use claims::Claims;

use crate::keys::{Alg, KeySet};
use crate::{base64url, json};
use serde_json::{Map, Value};
use std::fmt;
use tollgate_core::bounds::identity::{KEY_ID_BYTES_MAX, TOKEN_BYTES_MAX};

/// Why a token is not taken. Shows nothing that is in the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtFault {
    /// It is no token we read.
    #[error("the token cannot be read: {0}")]
    Malformed(&'static str),
    /// Its algorithm may not be used: not at all, not by its issuer, or not with its key.
    #[error("the token is signed with an algorithm that may not be used")]
    Algorithm,
    /// No key of its issuer is the one it names, or it names none where several would do.
    #[error("the token is signed with a key its issuer does not publish")]
    KeyUnknown,
    /// The signature is not its key's.
    #[error("the signature of the token is wrong")]
    Signature,
    /// A claim is missing, or is not what it must be.
    #[error("the claim `{name}` {why}")]
    Claim {
        /// The claim.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl JwtFault {
    /// A fault of one claim.
    #[must_use]
    pub fn claim(name: &str, why: &'static str) -> Self {
        Self::Claim { name: name.to_owned(), why }
    }
}

/// What a header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The algorithm.
    pub alg: Alg,
    /// Which key.
    pub kid: Option<String>,
    /// What kind of token.
    pub typ: Option<String>,
}

impl Header {
    /// Whether it names this kind of token.
    ///
    /// SPEC: RFC 7515 section 4.1.9: a media type, whose case does not matter and whose
    /// `application/` may be left out.
    #[must_use]
    pub fn is_type(&self, typ: &str) -> bool {
        let Some(own) = &self.typ else { return false };
        let (own, typ) = (own.to_ascii_lowercase(), typ.to_ascii_lowercase());
        own.strip_prefix("application/").unwrap_or(&own)
            == typ.strip_prefix("application/").unwrap_or(&typ)
    }

    fn read(members: &Map<String, Value>) -> Result<Self, JwtFault> {
        // SPEC: RFC 7515 section 4.1.11: what `crit` names must be understood, and we understand
        // none; RFC 7797 (`b64`), RFC 7516 (`enc`, `zip`).
        if ["crit", "b64", "zip", "enc"].iter().any(|name| members.contains_key(*name)) {
            return Err(JwtFault::Malformed("its header asks for what is not done here"));
        }
        let text = |name: &str| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(JwtFault::Malformed("its header is not what it must be")),
        };
        // SPEC: RFC 7519 section 5.2: `cty` is `JWT` only where a token is within a token.
        if text("cty")?.is_some_and(|cty| cty.to_ascii_lowercase().ends_with("jwt")) {
            return Err(JwtFault::Malformed("there is a token in it"));
        }
        let alg = text("alg")?.ok_or(JwtFault::Malformed("its header names no algorithm"))?;
        let alg = Alg::parse(alg).ok_or(JwtFault::Algorithm)?;
        let (kid, typ) = (text("kid")?.cloned(), text("typ")?.cloned());
        if kid.as_ref().is_some_and(|kid| kid.len() > KEY_ID_BYTES_MAX) {
            return Err(JwtFault::Malformed("its key id is too long"));
        }
        Ok(Self { alg, kid, typ })
    }
}

/// A token that was read, and is not verified by that.
pub struct Jwt<'a> {
    /// Header and claims as they were signed.
    signed: &'a str,
    signature: Vec<u8>,
    header: Header,
    claims: Claims,
}

impl<'a> Jwt<'a> {
    /// Reads a token in compact serialisation.
    ///
    /// SPEC: RFC 7515 section 7.1: exactly three parts. A JWE has five.
    ///
    /// # Errors
    /// If it is not one, or must not be read as one.
    pub fn read(text: &'a str) -> Result<Self, JwtFault> {
        if text.len() > TOKEN_BYTES_MAX {
            return Err(JwtFault::Malformed("it is too long"));
        }
        let mut parts = text.splitn(4, '.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(JwtFault::Malformed("it does not have three parts"));
        };
        let signed = &text[..header.len() + 1 + claims.len()];
        let header = Header::read(&object(header)?)?;
        let claims = Claims::from(object(claims)?);
        let signature = decoded(signature)?;
        if signature.is_empty() {
            return Err(JwtFault::Malformed("it has no signature"));
        }
        Ok(Self { signed, signature, header, claims })
    }

    /// Its header, as it says.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Its claims, as it says.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Verifies the signature with the keys of the one issuer it may be from (RFC 8725 section 3.8),
    /// used with one of the algorithms that are allowed for it.
    ///
    /// # Errors
    /// If it is not signed by one of the keys, in one of these ways.
    pub fn verify(&self, keys: &KeySet, allowed: &[Alg]) -> Result<(), JwtFault> {
        let Header { alg, kid, .. } = &self.header;
        if !allowed.contains(alg) {
            return Err(JwtFault::Algorithm);
        }
        keys.verify((*alg, kid.as_deref()), self.signed, &self.signature)
    }
}

impl fmt::Debug for Jwt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwt").field("header", &self.header).finish_non_exhaustive()
    }
}

fn object(part: &str) -> Result<Map<String, Value>, JwtFault> {
    json::object(&decoded(part)?).map_err(|fault| {
        JwtFault::Malformed(match fault {
            json::JsonFault::NotJson => "a part of it is not JSON",
            json::JsonFault::NotAnObject => "a part of it is not a JSON object",
            json::JsonFault::Twice => "it names a member twice",
            json::JsonFault::Deep => "it is nested too deeply",
        })
    })
}

fn decoded(part: &str) -> Result<Vec<u8>, JwtFault> {
    let unreadable = JwtFault::Malformed("a part of it is not base64url without padding");
    base64url::decode(part).ok_or(unreadable)
}
