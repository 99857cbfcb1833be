//! Which callers a rule is about.
//!
//! What is not said does not matter; of each thing that is said, one must hold. So a rule that says
//! nothing is about everybody, also about those who proved nothing.

use crate::glob::Glob;
use std::net::IpAddr;
use tollgate_core::ids::RoutePath;
use tollgate_core::party::Party;

/// A network: an address and the bits of it that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    bits: u128,
    mask: u128,
}

impl Network {
    /// Reads `10.0.0.0/8`, `2001:db8::/32` or a single address. `None` if it is none, or if bits are
    /// set that do not count.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let (whole, offset) = match address {
            IpAddr::V4(_) => (32, 96),
            IpAddr::V6(_) => (128, 0),
        };
        let length = length.unwrap_or(whole);
        if length > whole {
            return None;
        }
        let counted = length + offset;
        let mask = if counted == 0 { 0 } else { u128::MAX << (128 - counted) };
        let bits = bits(address);
        (bits & !mask == 0).then_some(Self { bits, mask })
    }

    /// Whether the address is in it. IPv4 addresses are what they are also when mapped into IPv6.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        bits(address) & self.mask == self.bits
    }
}

const fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// Which callers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Who {
    /// Agents, by `client_id`; `anonymous` for those who proved nothing.
    pub agents: Vec<Glob>,
    /// Only those vouched for by one of these issuers.
    pub issuers: Vec<Box<str>>,
    /// Users the agent acts for, by subject.
    pub users: Vec<Glob>,
    /// Groups of the caller.
    pub groups: Vec<Box<str>>,
    /// Scopes of the credential.
    pub scopes: Vec<Box<str>>,
    /// Networks the call comes from.
    pub addresses: Vec<Network>,
    /// Routes it comes in by.
    pub routes: Vec<RoutePath>,
}

impl Who {
    /// Whether it says nothing, and so is about everybody.
    #[must_use]
    pub const fn is_everybody(&self) -> bool {
        self.agents.is_empty()
            && self.issuers.is_empty()
            && self.users.is_empty()
            && self.groups.is_empty()
            && self.scopes.is_empty()
            && self.addresses.is_empty()
            && self.routes.is_empty()
    }

    /// Whether it is about this caller on this route.
    #[must_use]
    pub fn holds(&self, party: &Party<'_>, route: &RoutePath) -> bool {
        self.holds_but_for_scopes(party, route) && one_of(&self.scopes, party.scopes())
    }

    /// Whether it would be, if the credential had the right scope.
    #[must_use]
    pub fn holds_but_for_scopes(&self, party: &Party<'_>, route: &RoutePath) -> bool {
        (self.agents.is_empty() || self.agents.iter().any(|glob| glob.matches(party.agent())))
            && (self.issuers.is_empty()
                || party.issuer().is_some_and(|by| self.issuers.iter().any(|one| **one == *by)))
            && (self.users.is_empty()
                || party
                    .user()
                    .is_some_and(|user| self.users.iter().any(|glob| glob.matches(user))))
            && one_of(&self.groups, party.groups())
            && (self.addresses.is_empty()
                || self.addresses.iter().any(|network| network.holds(party.address)))
            && (self.routes.is_empty() || self.routes.iter().any(|path| path == route))
    }
}

fn one_of(wanted: &[Box<str>], held: &[Box<str>]) -> bool {
    wanted.is_empty() || wanted.iter().any(|one| held.iter().any(|other| other == one))
}

#[cfg(test)]
mod tests {
    use super::{Network, Who};
    use crate::glob::Glob;
    use std::net::IpAddr;
    use std::sync::Arc;
    use tollgate_core::ids::RoutePath;
    use tollgate_core::party::Party;
    use tollgate_core::principal::{CallerKey, Credential, Names, Principal, Proof};

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn proven(client: &str, groups: &[&str], scopes: &[&str]) -> Principal {
        let names = Names {
            issuer: "https://login.example".into(),
            subject: "u1".into(),
            client: client.into(),
            caller_digest: [1; 16],
            agent_digest: [2; 16],
        };
        let boxed = |texts: &[&str]| texts.iter().map(|text| Box::from(*text)).collect();
        let mut proof = Proof::new(names, Credential::Jwt, 0);
        proof.groups = boxed(groups);
        proof.scopes = boxed(scopes);
        Principal::Proven(Arc::new(proof))
    }

    fn holds(who: &Who, principal: &Principal) -> bool {
        let from = address("10.1.2.3");
        let party = Party { principal, caller: CallerKey::of_address(from), address: from };
        who.holds(&party, &RoutePath::from("/mcp"))
    }

    #[test]
    fn who_says_nothing_means_everybody() {
        assert!(Who::default().is_everybody());
        assert!(holds(&Who::default(), &Principal::Anonymous));
        assert!(holds(&Who::default(), &proven("ci", &[], &[])));
    }

    #[test]
    fn everything_that_is_said_must_hold() {
        let who = Who {
            agents: vec![Glob::parse("ci-*").expect("a pattern")],
            groups: vec!["release".into(), "ops".into()],
            ..Who::default()
        };
        assert!(holds(&who, &proven("ci-1", &["ops"], &[])));
        assert!(!holds(&who, &proven("ci-1", &["dev"], &[])));
        assert!(!holds(&who, &proven("web", &["ops"], &[])));
        assert!(!holds(&who, &Principal::Anonymous));
        let elsewhere = Who { routes: vec![RoutePath::from("/other")], ..Who::default() };
        assert!(!holds(&elsewhere, &proven("ci-1", &[], &[])));
    }

    #[test]
    fn scopes_can_be_left_out_of_account() {
        let who = Who { scopes: vec!["files:read".into()], ..Who::default() };
        let principal = proven("ci", &[], &[]);
        let from = address("::1");
        let party =
            Party { principal: &principal, caller: CallerKey::of_address(from), address: from };
        assert!(!who.holds(&party, &RoutePath::from("/mcp")));
        assert!(who.holds_but_for_scopes(&party, &RoutePath::from("/mcp")));
    }

    #[test]
    fn networks_hold_their_addresses_and_no_others() {
        let holds = |network: &str, from: &str| {
            Network::parse(network).expect("a network").holds(address(from))
        };
        assert!(holds("10.0.0.0/8", "10.255.0.1"));
        assert!(holds("10.0.0.0/8", "::ffff:10.0.0.1"));
        assert!(!holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("2001:db8::/32", "2001:db8:1::1"));
        assert!(holds("127.0.0.1", "127.0.0.1"));
        assert!(holds("::/0", "1.2.3.4"));
        assert!(!holds("0.0.0.0/0", "2001:db8::1"));
        for wrong in ["10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "x", "::/129", "10.0.0.0/-1"] {
            assert_eq!(Network::parse(wrong), None, "{wrong}");
        }
    }
}
