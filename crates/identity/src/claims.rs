//! From claims to a proof: until when, for whom, who, on whose behalf, and limited to what.
//!
//! The same for a JWT and for the answer to an introspection. What is there and not as it must be
//! makes the token unusable; nothing is ever skipped because it could not be read.

use crate::denied::Denied;
use crate::names;
use crate::settings::ClaimNames;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tollgate_core::bounds::identity::{ACTORS_MAX, GROUPS_MAX, SCOPES_MAX};
use tollgate_core::bounds::policy::CLAIMS_BYTES_MAX;
use tollgate_core::principal::{Credential, Proof};
use tollgate_core::stores::Revocable;
use tollgate_oauth::access_token;
use tollgate_oauth::jwt::{Claims, JwtFault};
use tollgate_oauth::resource::Resource;
use tollgate_oauth::scope;

/// What claims are read by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading<'a> {
    /// The issuer's URL.
    pub(crate) issuer: &'a Arc<str>,
    /// What its claims mean.
    pub(crate) names: &'a ClaimNames,
    /// Audiences that are accepted besides the door's resource, byte for byte.
    pub(crate) audiences: &'a [String],
    /// How its tokens are proven.
    pub(crate) credential: Credential,
    /// Whether it is the gate's own issuer: then grants can be revoked, and clocks do not differ.
    pub(crate) is_own: bool,
    /// How far its clock may differ from ours.
    pub(crate) leeway: Duration,
}

/// When a token ends.
pub(crate) enum Ends {
    /// Its `exp` says.
    Required,
    /// Its `exp` says, if it has one.
    IfSaid,
}

impl Reading<'_> {
    /// Whether now is in the time of the token; says when that ends.
    ///
    /// SPEC: RFC 7519 sections 4.1.4 to 4.1.6, RFC 9068 section 2.2.
    pub(crate) fn times(
        &self,
        claims: &Claims,
        ends: Ends,
        now: u64,
    ) -> Result<Option<u64>, Denied> {
        let leeway = self.leeway.as_secs();
        let expires = claims.time("exp").map_err(unusable)?;
        match expires {
            Some(expires) if now >= expires.saturating_add(leeway) => {
                return Err(Denied::invalid("the token has expired: get a new one"));
            }
            None if matches!(ends, Ends::Required) => {
                return Err(Denied::invalid("the token does not say when it ends (`exp`)"));
            }
            _ => {}
        }
        for name in ["nbf", "iat"] {
            let begins = claims.time(name).map_err(unusable)?;
            if begins.is_some_and(|begins| begins > now.saturating_add(leeway)) {
                return Err(Denied::invalid(
                    "the token is not valid yet: check the issuer's clock",
                ));
            }
        }
        Ok(expires)
    }

    /// Whether the token is for this resource.
    ///
    /// SPEC: RFC 8707 section 2, MCP 2026-07-28 Token Handling. The resource is compared in its
    /// canonical form, whole; what the operator wrote besides, byte for byte.
    pub(crate) fn audience(&self, claims: &Claims, resource: &Resource) -> Result<(), Denied> {
        let audiences = claims.texts("aud").map_err(unusable)?.unwrap_or_default();
        let is_ours = |audience: &&str| {
            self.audiences.iter().any(|own| own == audience) || resource.is(audience)
        };
        if audiences.iter().any(is_ours) {
            return Ok(());
        }
        let resource = resource.as_str();
        Err(Denied::invalid(format!(
            "the token is not for `{resource}`: ask its issuer for one that is"
        )))
    }

    /// Whether it is an access token by what it says of its use, where issuers say so: Amazon
    /// Cognito and Ory Hydra in `token_use`, Keycloak in `typ` (a claim, not the header), answers to
    /// introspections in `token_type`.
    pub(crate) fn token_use(claims: &Claims) -> Result<(), Denied> {
        let says_otherwise = |name: &str, fitting: &[&str]| {
            claims.value(name).is_some_and(|value| {
                !value
                    .as_str()
                    .is_some_and(|said| fitting.iter().any(|fit| said.eq_ignore_ascii_case(fit)))
            })
        };
        if says_otherwise("token_use", &["access", "access_token"])
            || says_otherwise("typ", &["Bearer", "DPoP", "at+jwt", "application/at+jwt"])
            || says_otherwise("token_type", &["Bearer", "DPoP", "access_token"])
        {
            return Err(not_an_access_token());
        }
        Ok(())
    }

    /// The proof. What `times` found is handed in.
    pub(crate) fn proof(
        &self,
        claims: &Claims,
        expires: Option<u64>,
        now: u64,
    ) -> Result<Proof, Denied> {
        let client = self.agent(claims)?;
        let subject = claims.text("sub").map_err(unusable)?.filter(|sub| !sub.is_empty());
        let subject = match (subject, self.credential) {
            (Some(subject), _) => subject,
            // SPEC: RFC 7662 section 2.2: `sub` is usually a person; servers leave it out for agents
            // that act for themselves.
            (None, Credential::Opaque) => client,
            (None, _) => return Err(Denied::invalid("the token names no subject (`sub`)")),
        };
        let issued = self.issued(claims, now)?;
        let mut proof = names::proof(self.issuer, subject, client, self.credential, issued);
        if !is_the_agents_own(claims, subject, client) {
            proof.user = Some(Arc::clone(&proof.subject));
        }
        proof.actors = actors(claims)?;
        proof.scopes = self.scopes(claims)?;
        proof.groups = self.groups(claims)?;
        proof.expires = expires;
        proof.revocable = self.revocable(claims, subject)?;
        proof.claims = claims.whole(CLAIMS_BYTES_MAX).map(Arc::from);
        Ok(proof)
    }

    fn agent<'c>(&self, claims: &'c Claims) -> Result<&'c str, Denied> {
        let said = self.names.agent.iter().find_map(|name| claims.path(name));
        said.and_then(Value::as_str).filter(|agent| !agent.is_empty()).ok_or_else(|| {
            let names = self.names.agent.join("`, `");
            Denied::invalid(format!("the token does not name its agent (claim `{names}`)"))
        })
    }

    /// Since when the token exists, for comparison with revocations. By the clock of a foreign
    /// issuer that may be off: it is taken as older by as much, so that no token outlives a
    /// revocation because its issuer's clock is fast. Without `iat` it is as old as can be.
    fn issued(&self, claims: &Claims, now: u64) -> Result<u64, Denied> {
        let said = claims.time("iat").map_err(unusable)?.unwrap_or(0);
        let off = if self.is_own { 0 } else { self.leeway.as_secs() };
        Ok(said.saturating_sub(off).min(now))
    }

    fn scopes(&self, claims: &Claims) -> Result<Arc<[Box<str>]>, Denied> {
        let said = self.names.scopes.iter().find(|name| claims.path(name).is_some());
        let Some(name) = said else { return Ok(Arc::new([])) };
        let bad =
            || Denied::invalid(format!("the claim `{name}` of the token is no list of scopes"));
        match claims.path(name) {
            Some(Value::String(text)) if text.is_empty() => Ok(Arc::new([])),
            Some(Value::String(text)) => Ok(scope::parse(text).map_err(|_| bad())?.into()),
            _ => {
                let list = claims.texts_at(name).map_err(|_| bad())?.unwrap_or_default();
                if list.len() > SCOPES_MAX || list.iter().any(|one| scope::check(one).is_err()) {
                    return Err(bad());
                }
                Ok(names::sorted(list))
            }
        }
    }

    fn groups(&self, claims: &Claims) -> Result<Arc<[Box<str>]>, Denied> {
        let Some(name) = &self.names.groups else { return Ok(Arc::new([])) };
        let list = claims.texts_at(name).map_err(unusable)?.unwrap_or_default();
        if list.len() > GROUPS_MAX {
            let why = format!("the token names more than {GROUPS_MAX} groups");
            return Err(Denied::invalid(why));
        }
        Ok(names::sorted(list))
    }

    fn revocable(&self, claims: &Claims, subject: &str) -> Result<Vec<Revocable>, Denied> {
        let issuer = || self.issuer.to_string();
        let mut revocable = vec![Revocable::Subject(issuer(), subject.to_owned())];
        if let Some(id) = claims.text("jti").map_err(unusable)? {
            revocable.push(Revocable::Token(issuer(), id.to_owned()));
        }
        if self.is_own
            && let Some(grant) = claims.text("grant").map_err(unusable)?
        {
            revocable.push(Revocable::Grant(grant.to_owned()));
        }
        Ok(revocable)
    }
}

/// A text for whoever sent something signed that gives no access.
pub(crate) fn not_an_access_token() -> Denied {
    Denied::invalid("this is not an access token: send the one from the token endpoint")
}

/// What is wrong with a claim, as the caller is told.
pub(crate) fn unusable(fault: JwtFault) -> Denied {
    Denied::invalid(fault.to_string())
}

/// Whether the agent acts for itself. Where the subject is the client's own name, whatever person
/// might have the same name: the right of a person is never given for it.
fn is_the_agents_own(claims: &Claims, subject: &str, client: &str) -> bool {
    let says = |name: &str, what: &str| claims.value(name).is_some_and(|value| value == what);
    subject == client
        // Auth0 writes `CLIENT@clients` and `gty`, Microsoft Entra `idtyp`.
        || subject.strip_suffix("@clients") == Some(client)
        || says("idtyp", "app")
        || says("gty", "client-credentials")
}

fn actors(claims: &Claims) -> Result<Vec<Arc<str>>, Denied> {
    let actors = access_token::actors(claims).map_err(unusable)?;
    if actors.len() > ACTORS_MAX {
        let why = format!("the token was passed on through more than {ACTORS_MAX} parties");
        return Err(Denied::invalid(why));
    }
    Ok(actors.into_iter().map(Arc::from).collect())
}
