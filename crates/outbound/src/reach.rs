//! Where a fetch may go: judged on the URL first, and again on every address its name has.
//!
//! A name is refused whole if one of its addresses is: nobody serves a public document from a
//! public and a private address, but somebody who probes this very check does.
//!
//! Next: `address.rs` for the addresses, `fetch.rs` for when this is asked.

use crate::address::{is_loopback, is_public};
use crate::fault::FetchFault;
use std::net::{IpAddr, SocketAddr};
use url::{Host, Url};

/// Where a fetch may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Wherever the URL leads: the operator wrote it.
    Anywhere,
    /// Only to the public Internet, by `https` on port 443: somebody else wrote the URL.
    Public,
    /// The same, and to this machine itself by `http` or `https`, on any port: for tests and closed
    /// networks.
    PublicOrLoopback,
}

/// A URL that may be fetched from, as far as can be told before its name is looked up.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    pub(crate) host: Host<&'a str>,
    pub(crate) port: u16,
    pub(crate) is_secure: bool,
    reach: Reach,
}

impl<'a> Place<'a> {
    /// Judges the URL. `url` has already brought every spelling of an address into one form.
    pub(crate) fn judge(url: &'a Url, reach: Reach) -> Result<Self, FetchFault> {
        let is_secure = match (url.scheme(), reach) {
            ("https", _) => true,
            ("http", Reach::Anywhere | Reach::PublicOrLoopback) => false,
            ("http", Reach::Public) => return Err(FetchFault::Url("it must be `https`")),
            _ => return Err(FetchFault::Url("it must be `https` or `http`")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(FetchFault::Url("it must not hold a user name or password"));
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(FetchFault::Url("it has no host"));
        };
        if reach == Reach::Public && port != 443 {
            return Err(FetchFault::Url("its port must be 443"));
        }
        let place = Self { host, port, is_secure, reach };
        place.judge_host()?;
        Ok(place)
    }

    /// The address in the URL itself, if its host is not a name.
    pub(crate) fn literal(&self) -> Option<SocketAddr> {
        let ip = match self.host {
            Host::Ipv4(ip) => IpAddr::V4(ip),
            Host::Ipv6(ip) => IpAddr::V6(ip),
            Host::Domain(_) => return None,
        };
        Some(SocketAddr::new(ip, self.port))
    }

    /// Judges everything its name stands for.
    pub(crate) fn judge_addresses(&self, addresses: &[SocketAddr]) -> Result<(), FetchFault> {
        if addresses.iter().all(|address| self.allows(address.ip())) {
            return Ok(());
        }
        Err(self.not_public())
    }

    fn judge_host(&self) -> Result<(), FetchFault> {
        let Host::Domain(name) = self.host else {
            return match self.literal() {
                Some(address) => self.judge_addresses(&[address]),
                None => Ok(()),
            };
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        let is_local = name == "localhost" || name.ends_with(".localhost");
        match self.reach {
            Reach::Anywhere => Ok(()),
            Reach::PublicOrLoopback if is_local => Ok(()),
            // A name without a dot is completed by the search list of this machine's resolver.
            Reach::Public | Reach::PublicOrLoopback if is_local || !name.contains('.') => {
                Err(self.not_public())
            }
            Reach::Public | Reach::PublicOrLoopback => Ok(()),
        }
    }

    fn allows(&self, address: IpAddr) -> bool {
        match self.reach {
            Reach::Anywhere => true,
            Reach::Public => is_public(address),
            Reach::PublicOrLoopback if self.is_secure => is_public(address) || is_loopback(address),
            Reach::PublicOrLoopback => is_loopback(address),
        }
    }

    fn not_public(&self) -> FetchFault {
        FetchFault::NotPublic { host: self.host.to_string() }
    }
}
