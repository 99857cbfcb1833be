//! The access tokens we issue: what is in them, and how it is written (RFC 9068).
//!
//! Their `typ` keeps them apart from everything else that is signed with the same key. Who verifies
//! them is anyone with our key set, the gate itself first.

use crate::jwt::{Claims, JwtFault};
use serde_json::{Map, Value, json};

/// The `typ` of an access token (RFC 9068 section 2.1).
pub const TYPE: &str = "at+jwt";

/// What an access token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessClaims {
    /// Who issued it.
    pub issuer: String,
    /// Whom it is about: a person, or the agent itself.
    pub subject: String,
    /// The agent: its `client_id`.
    pub client: String,
    /// Which resources it is good for.
    pub audience: Vec<String>,
    /// What it is limited to.
    pub scopes: Vec<String>,
    /// Groups of the subject.
    pub groups: Vec<String>,
    /// When it ends, in Unix seconds.
    pub expires: u64,
    /// When it was issued, in Unix seconds.
    pub issued: u64,
    /// Its id (`jti`).
    pub id: String,
    /// The grant it descends from.
    pub grant: Option<String>,
    /// What the person is called.
    pub user_name: Option<String>,
    /// Through whom the right was passed on, the most recent first.
    pub actors: Vec<String>,
}

impl AccessClaims {
    /// The claims of the token.
    ///
    /// SPEC: RFC 9068 section 2.2; `act` is RFC 8693 section 4.1, `groups` RFC 7643 section 4.1.2,
    /// `preferred_username` OpenID Connect Core section 5.1. `grant` is our own.
    #[must_use]
    pub fn to_claims(&self) -> Value {
        let mut claims = json!({
            "iss": self.issuer,
            "sub": self.subject,
            "client_id": self.client,
            "aud": match self.audience.as_slice() {
                [one] => json!(one),
                several => json!(several),
            },
            "exp": self.expires,
            "iat": self.issued,
            "jti": self.id,
            "scope": self.scopes.join(" "),
        });
        if !self.groups.is_empty() {
            claims["groups"] = json!(self.groups);
        }
        if let Some(grant) = &self.grant {
            claims["grant"] = json!(grant);
        }
        if let Some(name) = &self.user_name {
            claims["preferred_username"] = json!(name);
        }
        let nested = |inner: Option<Value>, actor: &String| {
            let mut act = Map::from_iter([("sub".to_owned(), json!(actor))]);
            act.extend(inner.map(|inner| ("act".to_owned(), inner)));
            Some(Value::Object(act))
        };
        if let Some(act) = self.actors.iter().rev().fold(None, nested) {
            claims["act"] = act;
        }
        claims
    }

    /// Reads the claims of a token of ours, whose signature and `typ` were checked.
    ///
    /// # Errors
    /// If a claim is missing that all of them have, or is not what it must be.
    pub fn read(claims: &Claims) -> Result<Self, JwtFault> {
        let optional = |name: &str| Ok::<_, JwtFault>(claims.text(name)?.map(str::to_owned));
        let required =
            |name: &str| optional(name)?.ok_or_else(|| JwtFault::claim(name, "is missing"));
        let time =
            |name: &str| claims.time(name)?.ok_or_else(|| JwtFault::claim(name, "is missing"));
        let texts = |name: &str| {
            let texts = claims.texts(name)?.unwrap_or_default();
            Ok::<_, JwtFault>(texts.into_iter().map(str::to_owned).collect::<Vec<_>>())
        };
        let scope = claims.text("scope")?.unwrap_or_default();
        Ok(Self {
            issuer: required("iss")?,
            subject: required("sub")?,
            client: required("client_id")?,
            audience: texts("aud")?,
            scopes: scope.split(' ').filter(|it| !it.is_empty()).map(str::to_owned).collect(),
            groups: texts("groups")?,
            expires: time("exp")?,
            issued: time("iat")?,
            id: required("jti")?,
            grant: optional("grant")?,
            user_name: optional("preferred_username")?,
            actors: actors(claims)?,
        })
    }
}

/// Through whom the right was passed on, the most recent first.
///
/// SPEC: RFC 8693 section 4.1: the outermost `act` acts; those within it did before.
///
/// # Errors
/// If an actor has no `sub`.
pub fn actors(claims: &Claims) -> Result<Vec<String>, JwtFault> {
    let fault = || JwtFault::claim("act", "must be an object with a `sub`");
    let mut actors = Vec::new();
    let mut next = claims.value("act");
    while let Some(act) = next {
        let act = act.as_object().ok_or_else(fault)?;
        let subject = act.get("sub").and_then(Value::as_str).ok_or_else(fault)?;
        actors.push(subject.to_owned());
        next = act.get("act");
    }
    Ok(actors)
}
