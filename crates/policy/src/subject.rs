//! Somebody imagined, for explanations, cases and tables: what a caller would be who proved all this.
//!
//! Nothing here verifies anything, so nothing here ever stands for a real caller.

use serde::Deserialize;
use serde_json::{Map, Value};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use tollgate_core::party::{ANONYMOUS, Party};
use tollgate_core::principal::{CallerKey, Credential, Names, Principal, Proof};

/// What agents are called of which only something else is known.
const SOMEONE: &str = "someone";

/// Who calls, as far as it is said.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Subject {
    /// The agent; `anonymous` for one that proves nothing.
    pub agent: Option<String>,
    /// Who vouches for it.
    pub issuer: Option<String>,
    /// The user it acts for.
    pub user: Option<String>,
    /// Its groups.
    pub groups: Vec<String>,
    /// Its scopes.
    pub scopes: Vec<String>,
    /// Its claims, besides.
    pub claims: Map<String, Value>,
    /// From where it calls. Default: this machine.
    pub address: Option<IpAddr>,
}

impl Subject {
    /// The principal it would be.
    #[must_use]
    pub fn principal(&self) -> Principal {
        let proves = self.issuer.is_some()
            || self.user.is_some()
            || !(self.groups.is_empty() && self.scopes.is_empty() && self.claims.is_empty());
        let agent = match self.agent.as_deref() {
            None | Some(ANONYMOUS) if !proves => return Principal::Anonymous,
            None => SOMEONE,
            Some(agent) => agent,
        };
        let names = Names {
            issuer: self.issuer.as_deref().unwrap_or_default().into(),
            subject: self.user.as_deref().unwrap_or(agent).into(),
            client: agent.into(),
            caller_digest: [0; 16],
            agent_digest: [0; 16],
        };
        let mut proof = Proof::new(names, Credential::Jwt, 0);
        proof.user = self.user.as_deref().map(Arc::from);
        proof.groups = boxed(&self.groups);
        proof.scopes = boxed(&self.scopes);
        let claims = Value::Object(self.claims.clone());
        proof.claims = Some(claims.to_string().into());
        Principal::Proven(Arc::new(proof))
    }

    /// The party it would be, with the principal made of it.
    #[must_use]
    pub fn party<'a>(&self, principal: &'a Principal) -> Party<'a> {
        let address = self.address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        Party { principal, caller: CallerKey::of_address(address), address }
    }
}

fn boxed(texts: &[String]) -> Arc<[Box<str>]> {
    texts.iter().map(|text| Box::from(text.as_str())).collect()
}
