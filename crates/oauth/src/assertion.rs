//! Assertions: short-lived tokens by which a client, or a workload, proves itself (RFC 7523).
//!
//! Judges the claims of a token whose signature was verified. Whether issuer and subject are who
//! they must be, and whether the id was used before, is the caller's to say.

use crate::jwt::{Claims, JwtFault};
use serde_json::Value;

/// What an assertion must keep to.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Whom it may be for: one of these, exactly.
    pub audiences: &'a [&'a str],
    /// Whether `aud` may be a list of one. Never of more: an assertion for several could be passed
    /// on from one to the other.
    pub audience_in_list: bool,
    /// Now, in Unix seconds.
    pub now: u64,
    /// How far clocks may differ, in seconds.
    pub leeway: u64,
    /// How far ahead its end may be, in seconds.
    pub max_secs: u64,
}

/// What a good assertion says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// Who made it.
    pub issuer: String,
    /// Whom it is about.
    pub subject: String,
    /// Its id.
    pub id: Option<String>,
    /// When it ends, in Unix seconds.
    pub expires: u64,
    /// When it was made, in Unix seconds.
    pub issued: Option<u64>,
}

/// Judges the claims of an assertion.
///
/// SPEC: RFC 7523 section 3, with one audience alone (CVE-2025-27370, CVE-2025-27371; RFC 7523bis
/// section 4): it must be the authorization server's own name.
///
/// # Errors
/// If a claim is missing or is not what it must be.
pub fn check(claims: &Claims, rules: Rules<'_>) -> Result<Assertion, JwtFault> {
    let issuer = required(claims, "iss")?;
    let subject = required(claims, "sub")?;
    let audience = match claims.value("aud") {
        Some(Value::Array(list)) if rules.audience_in_list && list.len() == 1 => list[0].as_str(),
        Some(value) => value.as_str(),
        None => None,
    };
    if !audience.is_some_and(|audience| rules.audiences.contains(&audience)) {
        return Err(JwtFault::claim("aud", "must be this authorization server alone"));
    }
    let (expires, issued) = times(claims, rules)?;
    let id = match claims.text("jti")? {
        Some("") => return Err(JwtFault::claim("jti", "must not be empty")),
        id => id.map(str::to_owned),
    };
    Ok(Assertion { issuer, subject, id, expires, issued })
}

fn required(claims: &Claims, name: &'static str) -> Result<String, JwtFault> {
    match claims.text(name)? {
        None => Err(JwtFault::claim(name, "is missing")),
        Some("") => Err(JwtFault::claim(name, "must not be empty")),
        Some(text) => Ok(text.to_owned()),
    }
}

fn times(claims: &Claims, rules: Rules<'_>) -> Result<(u64, Option<u64>), JwtFault> {
    let Rules { now, leeway, max_secs, .. } = rules;
    let latest_now = now.saturating_add(leeway);
    let expires = claims.time("exp")?.ok_or_else(|| JwtFault::claim("exp", "is missing"))?;
    if expires.saturating_add(leeway) <= now {
        return Err(JwtFault::claim("exp", "is past"));
    }
    if expires > latest_now.saturating_add(max_secs) {
        return Err(JwtFault::claim("exp", "is too far ahead"));
    }
    if claims.time("nbf")?.is_some_and(|begin| begin > latest_now) {
        return Err(JwtFault::claim("nbf", "is still to come"));
    }
    let issued = claims.time("iat")?;
    if issued.is_some_and(|issued| issued > latest_now) {
        return Err(JwtFault::claim("iat", "is still to come"));
    }
    Ok((expires, issued))
}
