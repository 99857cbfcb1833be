//! Names that must not be mixed up: each meaning has its own type.
//!
//! Cheap to clone (`Arc<str>`), compared byte for byte: no case folding, no normalisation.

use std::fmt;
use std::sync::Arc;

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(Arc<str>);

        impl $type {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $type {
            fn from(text: &str) -> Self {
                Self(Arc::from(text))
            }
        }

        impl From<String> for $type {
            fn from(text: String) -> Self {
                Self(Arc::from(text))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

name!(
    /// The operator's name of an upstream, as written in the configuration.
    UpstreamName
);
name!(
    /// A path on the gate, as written in the configuration (`/mcp`).
    RoutePath
);
name!(
    /// One running instance of an upstream: its URL, and the address when a name resolves to several.
    EndpointId
);

/// Identifies one session of ours. Random, 128 bit; clients only ever see it sealed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SessionKey(pub [u8; 16]);

impl SessionKey {
    /// The key of a session's part at one of several upstreams.
    ///
    /// Two names give two keys, since they differ in a byte that is mixed in; keys themselves are
    /// random and never seen, so nothing has to be hard to compute here.
    #[must_use]
    pub fn of_leg(self, upstream: &UpstreamName) -> Self {
        // FNV-1a, 128 bit.
        let mut hash = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128;
        for byte in upstream.as_str().bytes() {
            hash =
                (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
        Self((u128::from_be_bytes(self.0) ^ hash).to_be_bytes())
    }
}

/// The `Mcp-Session-Id` an upstream gave us. Never shown to a client.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct UpstreamSessionId(Box<str>);

impl UpstreamSessionId {
    /// Takes an id as received. `None` unless it is 1 to 1,024 visible ASCII characters.
    ///
    /// SPEC: 2025-11-25 basic/transports, Session Management: only 0x21 to 0x7E.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let visible = text.bytes().all(|b| (0x21..=0x7e).contains(&b));
        (visible && (1..=1024).contains(&text.len())).then(|| Self(Box::from(text)))
    }

    /// The id as the upstream wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for UpstreamSessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UpstreamSessionId(…)")
    }
}

/// A value that must not reach a log: no clear `Debug`, no `Display`, no serialisation.
#[derive(Clone)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value in clear. Each use is a place to review.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: PartialEq> PartialEq for Secret<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T: Eq> Eq for Secret<T> {}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::{Secret, UpstreamSessionId};

    #[test]
    fn secret_does_not_print() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "[redacted]");
    }

    #[test]
    fn upstream_session_ids_are_visible_ascii() {
        assert!(UpstreamSessionId::parse("abc~!").is_some());
        for bad in ["", "a b", "a\n", "é", &"x".repeat(1025)] {
            assert!(UpstreamSessionId::parse(bad).is_none(), "{bad:?}");
        }
    }
}
