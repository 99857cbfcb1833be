//! Who is calling, independent of how they proved it.
//!
//! Identity is (issuer, subject, client). Nothing self-reported (`clientInfo`, headers) is part of
//! it. Without an identity section every caller is [`Principal::Anonymous`]; only its network
//! address then tells callers apart, and only for counting.

use std::net::IpAddr;

/// The agent that calls, plus the user it acts for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Principal {
    /// Identity is off: nobody proved anything.
    Anonymous,
}

impl Principal {
    /// Bytes that differ between any two principals: what sessions and sealed values are bound to.
    #[must_use]
    pub const fn binding(&self) -> &[u8] {
        match self {
            Self::Anonymous => b"anonymous",
        }
    }
}

/// What per-caller caps count by.
///
/// IPv6 callers are counted by /64, since one host commonly owns the whole of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallerKey(u128);

impl CallerKey {
    /// The key of an anonymous caller: its address.
    #[must_use]
    pub const fn of_address(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self(v4.to_ipv6_mapped().to_bits()),
            IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
                Some(_) => Self(v6.to_bits()),
                None => Self(v6.to_bits() & !(u64::MAX as u128)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::CallerKey;

    fn key(text: &str) -> CallerKey {
        CallerKey::of_address(text.parse().expect("an address"))
    }

    #[test]
    fn one_ipv6_network_is_one_caller() {
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:2"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
    }

    #[test]
    fn mapped_and_plain_ipv4_are_one_caller() {
        assert_eq!(key("::ffff:10.0.0.1"), key("10.0.0.1"));
        assert_ne!(key("10.0.0.2"), key("10.0.0.1"));
    }
}
