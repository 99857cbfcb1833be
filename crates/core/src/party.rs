//! What rules look at: who calls, from where, and what the call acts on.
//!
//! Policy, limits and prices all speak about these and nothing else; none of it is self-reported.
//! Whoever makes a [`Party`] has identified the caller, whoever makes an [`Item`] has judged the body.

use crate::ids::UpstreamName;
use crate::principal::{CallerKey, Principal};
use std::net::IpAddr;

/// What rules call an agent that proved nothing.
pub const ANONYMOUS: &str = "anonymous";

/// Who calls, and from where.
#[derive(Clone, Copy, Debug)]
pub struct Party<'a> {
    /// Who.
    pub principal: &'a Principal,
    /// Whom caps count: a digest of the principal, or the address.
    pub caller: CallerKey,
    /// From where.
    pub address: IpAddr,
}

impl<'a> Party<'a> {
    /// The agent: its `client_id`, or [`ANONYMOUS`].
    #[must_use]
    pub fn agent(&self) -> &'a str {
        self.principal.proof().map_or(ANONYMOUS, |proof| &proof.client)
    }

    /// Who vouches for it, if anybody does.
    #[must_use]
    pub fn issuer(&self) -> Option<&'a str> {
        self.principal.proof().map(|proof| &*proof.issuer)
    }

    /// The user it acts for, if any.
    #[must_use]
    pub fn user(&self) -> Option<&'a str> {
        self.principal.proof().and_then(|proof| proof.user.as_deref())
    }

    /// Its groups, or its user's.
    #[must_use]
    pub fn groups(&self) -> &'a [Box<str>] {
        self.principal.proof().map_or(&[], |proof| &proof.groups)
    }

    /// What its credential is limited to.
    #[must_use]
    pub fn scopes(&self) -> &'a [Box<str>] {
        self.principal.proof().map_or(&[], |proof| &proof.scopes)
    }
}

/// The kinds of things a call can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ItemKind {
    /// A tool, by its name.
    Tool,
    /// A prompt, by its name.
    Prompt,
    /// A resource, by its URI; also a template of resources, by its text.
    Resource,
}

impl ItemKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Tool, Self::Prompt, Self::Resource];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Prompt => "prompt",
            Self::Resource => "resource",
        }
    }
}

/// What a call acts on: always the upstream and its own name for it, whatever a route shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Item<'a> {
    /// What it is.
    pub kind: ItemKind,
    /// Whose.
    pub upstream: &'a UpstreamName,
    /// The upstream's own name of it, or its URI.
    pub name: &'a str,
}
