//! Which addresses anybody on the Internet can reach.
//!
//! Everything else is refused where somebody else wrote a URL: whoever names an address that only
//! the gate can reach wants the gate to go there for him. Blocks of the registries are refused
//! whole, also those called globally reachable: no document is served from them.
//!
//! Next: `reach.rs`, which asks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

// SPEC: IANA IPv4 Special-Purpose Address Registry (RFC 6890), multicast (RFC 5771), and one address
// that is public by its number only.
const SPECIAL_V4: [(Ipv4Addr, u32); 20] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    // Shared address space; metadata services of some clouds are in it.
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 31, 196, 0), 24),
    (Ipv4Addr::new(192, 52, 193, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(192, 175, 48, 0), 24),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
    (Ipv4Addr::new(255, 255, 255, 255), 32),
    // A cloud's virtual machines reach their host there.
    (Ipv4Addr::new(168, 63, 129, 16), 32),
];

// SPEC: IANA IPv6 Special-Purpose Address Registry, as far as it is within 2000::/3: nothing else is
// assigned for global unicast (RFC 4291 section 2.4).
const SPECIAL_V6: [(Ipv6Addr, u32); 5] = [
    // Teredo, ORCHID, benchmarking and the other protocol assignments.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    // 6to4: an IPv4 address is inside.
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

const GLOBAL_UNICAST: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
/// SPEC: RFC 6052 section 2.1: the last 32 bits are an IPv4 address.
const NAT64: (Ipv6Addr, u32) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// Whether anybody on the Internet reaches this address. One that stands for an IPv4 address is
/// judged as that.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) if in_v6(v6, NAT64) => is_public_v4(low_v4(v6)),
        IpAddr::V6(v6) => {
            in_v6(v6, GLOBAL_UNICAST) && !SPECIAL_V6.iter().any(|block| in_v6(v6, *block))
        }
    }
}

/// Whether it leads back to this machine.
pub(crate) fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !SPECIAL_V4.iter().any(|(block, bits)| {
        let mask = u32::MAX << (32 - bits);
        address.to_bits() & mask == block.to_bits()
    })
}

fn in_v6(address: Ipv6Addr, (block, bits): (Ipv6Addr, u32)) -> bool {
    address.to_bits() & (u128::MAX << (128 - bits)) == block.to_bits()
}

fn low_v4(address: Ipv6Addr) -> Ipv4Addr {
    let [.., a, b, c, d] = address.octets();
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use super::is_public;

    #[track_caller]
    fn judge(text: &str) -> bool {
        is_public(text.parse().expect("an address"))
    }

    #[test]
    fn first_and_last_address_of_every_special_block_is_not_public() {
        for block in [
            "0.0.0.0 0.255.255.255",
            "10.0.0.0 10.255.255.255",
            "100.64.0.0 100.127.255.255",
            "127.0.0.0 127.255.255.255",
            "168.63.129.16 168.63.129.16",
            "169.254.0.0 169.254.255.255",
            "172.16.0.0 172.31.255.255",
            "192.0.0.0 192.0.0.255",
            "192.0.2.0 192.0.2.255",
            "192.31.196.0 192.31.196.255",
            "192.52.193.0 192.52.193.255",
            "192.88.99.0 192.88.99.255",
            "192.168.0.0 192.168.255.255",
            "192.175.48.0 192.175.48.255",
            "198.18.0.0 198.19.255.255",
            "198.51.100.0 198.51.100.255",
            "203.0.113.0 203.0.113.255",
            "224.0.0.0 239.255.255.255",
            "240.0.0.0 255.255.255.255",
            ":: ::1",
            "::2 ::7f00:1",
            "::ffff:127.0.0.1 ::ffff:10.1.2.3",
            "64:ff9b::127.0.0.1 64:ff9b::10.0.0.1",
            "64:ff9b:1:: 64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
            "100:: 100::ffff:ffff:ffff:ffff",
            "2001:: 2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:db8:: 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
            "2002:: 2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "2620:4f:8000:: 2620:4f:8000:ffff:ffff:ffff:ffff:ffff",
            "3fff:: 3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
            "4000:: 5fff:ffff::",
            "fc00:: fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "fd00:ec2::254 fe80::1",
            "fec0:: ff02::1",
            "ff00:: ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ] {
            for address in block.split(' ') {
                assert!(!judge(address), "{address}");
            }
        }
    }

    #[test]
    fn neighbours_of_special_blocks_are_public() {
        for address in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "168.63.129.15",
            "168.63.129.17",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.88.98.255",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.99.255",
            "203.0.112.255",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2001:200::",
            "2001:db7::",
            "2001:db9::",
            "2003::",
            "2606:4700::1",
            "2a00::",
            "3ffe:ffff::",
        ] {
            assert!(judge(address), "{address}");
        }
    }
}
