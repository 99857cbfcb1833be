//! Secrets we give out: random texts with a prefix that says what they are, of which only the digest
//! is kept.
//!
//! 256 random bits need no salt and no slow hash: nobody guesses them. What people choose themselves
//! (passwords) is nothing for this.

use crate::base64url;
use subtle::ConstantTimeEq as _;
use tollgate_core::clock::Entropy;
use tollgate_core::stores::Digest;

/// Before a client secret.
pub const CLIENT_SECRET: &str = "tgs_";
/// Before an API key.
pub const API_KEY: &str = "tgk_";
/// Before an authorization code.
pub const CODE: &str = "tgc_";
/// Before a refresh token.
pub const REFRESH_TOKEN: &str = "tgr_";
/// Before a registration access token.
pub const REGISTRATION_TOKEN: &str = "tgt_";
/// Before anything else.
pub const OTHER: &str = "tgv_";

/// A new secret: the prefix and 43 characters of base64url, 256 random bits.
#[must_use]
pub fn mint(prefix: &str, entropy: &dyn Entropy) -> String {
    let mut bytes = [0; 32];
    entropy.fill(&mut bytes);
    format!("{prefix}{}", base64url::encode(&bytes))
}

/// What is kept of a secret, and what it is found by.
#[must_use]
pub fn digest(text: &str) -> Digest {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    let mut bytes = [0; 32];
    // INVARIANT: SHA-256 has 32 bytes, so that both lengths are the same.
    bytes.copy_from_slice(digest.as_ref());
    Digest(bytes)
}

/// Whether two digests are the same, in a time that does not tell where they differ.
#[must_use]
pub fn same(one: &Digest, other: &Digest) -> bool {
    one.0.ct_eq(&other.0).into()
}

#[cfg(test)]
mod tests {
    use super::{API_KEY, digest, mint, same};
    use tollgate_core::clock::Entropy;

    #[derive(Debug)]
    struct Fixed(u8);

    impl Entropy for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    #[test]
    fn a_secret_is_its_prefix_and_43_characters() {
        let secret = mint(API_KEY, &Fixed(0xff));
        assert_eq!(secret, format!("tgk_{}8", "_".repeat(42)));
        assert_eq!(secret.len(), 47);
        assert_ne!(mint(API_KEY, &Fixed(1)), mint(API_KEY, &Fixed(2)));
    }

    #[test]
    fn a_digest_is_sha_256() {
        // FIPS 180-4, the example `abc`.
        assert_eq!(digest("abc").0[..8], [0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea]);
    }

    #[test]
    fn digests_are_the_same_only_if_the_secrets_are() {
        assert!(same(&digest("a"), &digest("a")));
        assert!(!same(&digest("a"), &digest("b")));
        let mut other = digest("a");
        other.0[31] ^= 1;
        assert!(!same(&digest("a"), &other));
    }
}
