//! Judges a JWT as an access token of one issuer at one door.
//!
//! SPEC: RFC 9068 section 4, RFC 8725. The issuer was chosen by its `iss`; only its keys and its
//! algorithms count from there on. What costs nothing is judged before the signature, and what an
//! issuer publishes for it is asked for last.

use crate::claims::{Ends, Reading, not_an_access_token};
use crate::denied::Denied;
use crate::finding::{Finding, Outcome, Refused};
use crate::issuer::{Keys, TrustedIssuer};
use crate::remembered::{Era, Lasting};
use std::sync::Arc;
use std::time::Duration;
use tollgate_core::principal::Credential;
use tollgate_oauth::jwt::{Jwt, JwtFault};
use tollgate_oauth::keys::Alg;
use tollgate_oauth::resource::Resource;

/// What a token is judged by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judging<'a> {
    /// What the token must be for.
    pub(crate) resource: &'a Resource,
    /// Unix seconds.
    pub(crate) now: u64,
    /// How far clocks may differ.
    pub(crate) leeway: Duration,
    /// How long a token that is good is believed.
    pub(crate) believed: Duration,
}

/// What the token proves.
pub(crate) async fn judge(
    issuer: &TrustedIssuer,
    keys: &Keys,
    jwt: &Jwt<'_>,
    at: &Judging<'_>,
) -> Outcome {
    let reading = issuer.reading(Credential::Jwt, at.leeway);
    let bad = |denied: Denied| Refused::in_era(denied, issuer.eras().now(), at.now);
    is_access_token(jwt, keys.is_strict()).map_err(bad)?;
    // What is not valid yet may be so a moment later: not remembered as bad.
    let expires = reading.times(jwt.claims(), Ends::Required, at.now)?;
    reading.audience(jwt.claims(), at.resource).map_err(bad)?;
    Reading::token_use(jwt.claims()).map_err(bad)?;
    let (verified, era) = verify(issuer, keys, jwt).await?;
    verified.map_err(|fault| Refused::in_era(signature(&fault), era.clone(), at.now))?;
    let proof = reading.proof(jwt.claims(), expires, at.now).map_err(bad)?;
    let believed = at.now.saturating_add(at.believed.as_secs());
    let until = expires.map_or(believed, |expires| expires.min(believed));
    Ok(Finding { proof: Arc::new(proof), lasting: Lasting { until, era } })
}

/// Whether the signature is good, and in which era that was found out.
async fn verify(
    issuer: &TrustedIssuer,
    keys: &Keys,
    jwt: &Jwt<'_>,
) -> Result<(Result<(), JwtFault>, Era), Denied> {
    let kid = jwt.header().kid.as_deref();
    let era = issuer.eras().now();
    match keys {
        // SPEC: RFC 9068 section 2.1 lets us choose; these are what `tollgate-issuer` signs with.
        Keys::Own { shared, .. } => {
            Ok((jwt.verify(&shared.load(), &[Alg::Es256, Alg::EdDsa]), era))
        }
        Keys::Ring { ring, algorithms, .. } => {
            // Not worth asking for keys.
            if !algorithms.contains(&jwt.header().alg) {
                return Ok((Err(JwtFault::Algorithm), era));
            }
            let (keys, era) = ring.keys(kid).await?;
            let verified = jwt.verify(&keys, algorithms);
            // An issuer that names no keys may have changed its only one.
            if verified.is_err() && kid.is_none() {
                let (keys, era) = ring.newer_keys().await?;
                return Ok((jwt.verify(&keys, algorithms), era));
            }
            Ok((verified, era))
        }
    }
}

/// Whether the token is meant as an access token.
///
/// SPEC: RFC 9068 sections 2.1 and 4; RFC 8725 sections 3.11 and 3.12. Where the operator allows
/// `JWT` or nothing as its type, ID tokens, logout tokens and the like must still not pass: they are
/// for the client, so their `aud` is not ours, and here they are known by claims that only they
/// have. Older releases of Keycloak copy `nonce` into access tokens, and say of those that they are
/// `Bearer`.
fn is_access_token(jwt: &Jwt<'_>, is_strict: bool) -> Result<(), Denied> {
    let header = jwt.header();
    if header.is_type("at+jwt") {
        return Ok(());
    }
    if is_strict {
        return Err(Denied::invalid("the token is not an access token of the type `at+jwt`"));
    }
    if header.typ.is_some() && !header.is_type("JWT") {
        return Err(not_an_access_token());
    }
    let has = |name: &str| jwt.claims().value(name).is_some();
    let says_bearer = jwt.claims().value("typ").is_some_and(|typ| typ == "Bearer");
    if ["at_hash", "c_hash", "s_hash", "events"].into_iter().any(has)
        || (has("nonce") && !says_bearer)
    {
        return Err(not_an_access_token());
    }
    Ok(())
}

/// One text whether the key is unknown or the signature wrong: who forges learns nothing of keys.
fn signature(fault: &JwtFault) -> Denied {
    match fault {
        JwtFault::Algorithm => Denied::invalid(JwtFault::Algorithm.to_string()),
        JwtFault::KeyUnknown | JwtFault::Signature => {
            Denied::invalid("the token is not signed by its issuer: get a new one")
        }
        JwtFault::Malformed(_) | JwtFault::Claim { .. } => Denied::invalid(fault.to_string()),
    }
}
