//! Keys and the algorithms they may be used with.
//!
//! A key decides what may be done with it; a token only chooses among what its key and the operator
//! allow (RFC 8725 section 3.1). Symmetric keys are no keys here. Private keys never show.
//!
//! Next: `keys/jwk.rs` (one public key), `keys/set.rs` (those of an issuer), `keys/signing.rs`
//! (our own).

mod jwk;
mod set;
mod signing;

pub use set::{KeySet, KeysFault, SharedKeys};
pub use signing::{SigningFault, SigningKey};

pub(crate) use jwk::Key;

/// A JWS algorithm we verify. Symmetric ones and `none` are not among them: nothing with a shared
/// secret is a token here (RFC 8725 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of RFC 7518 section 3.1 and RFC 8037")]
pub enum Alg {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl Alg {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];

    /// Its registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of this name, written exactly so.
    ///
    /// SPEC: RFC 7515 section 4.1.1: names are case-sensitive. RFC 9864 section 2.2: `Ed25519` is
    /// the newer name of what `EdDSA` is with such a key, the only one we take.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        if name == "Ed25519" {
            return Some(Self::EdDsa);
        }
        Self::ALL.into_iter().find(|alg| alg.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::Alg;

    #[test]
    fn an_algorithm_is_known_by_its_exact_name_alone() {
        for alg in Alg::ALL {
            assert_eq!(Alg::parse(alg.name()), Some(alg));
            assert_eq!(Alg::parse(&alg.name().to_lowercase()), None);
        }
        for name in
            ["", "none", "None", "NONE", "HS256", "HS512", "ES512", "ES256K", "RS1", "RS256 "]
        {
            assert_eq!(Alg::parse(name), None, "{name}");
        }
    }
}
