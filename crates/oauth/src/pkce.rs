//! Proof that who exchanges a code is who asked for it (PKCE, RFC 7636). Only S256.
//!
//! `plain` is not offered: a challenge that is the verifier protects nothing (RFC 9700 section
//! 2.1.1).

use crate::base64url;
use aws_lc_rs::digest::{SHA256, digest};
use subtle::ConstantTimeEq as _;

/// Whether this can be an S256 challenge: the base64url of 32 bytes.
///
/// SPEC: RFC 7636 section 4.2.
#[must_use]
pub fn is_challenge(text: &str) -> bool {
    text.len() == 43 && base64url::decode(text).is_some()
}

/// Whether the verifier is the one of the challenge. Never, if either is not what it must be.
///
/// SPEC: RFC 7636 section 4.1: 43 to 128 unreserved characters; section 4.6.
#[must_use]
pub fn verify(challenge: &str, verifier: &str) -> bool {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if !(43..=128).contains(&verifier.len()) || !verifier.bytes().all(is_unreserved) {
        return false;
    }
    self::challenge(verifier).as_bytes().ct_eq(challenge.as_bytes()).into()
}

/// The challenge of a verifier, for who asks.
#[must_use]
pub fn challenge(verifier: &str) -> String {
    base64url::encode(digest(&SHA256, verifier.as_bytes()).as_ref())
}

#[cfg(test)]
mod tests {
    use super::{challenge, is_challenge, verify};

    // RFC 7636 appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn the_verifier_of_the_rfc_is_the_one_of_its_challenge() {
        assert!(is_challenge(CHALLENGE));
        assert_eq!(challenge(VERIFIER), CHALLENGE);
        assert!(verify(CHALLENGE, VERIFIER));
    }

    #[test]
    fn another_verifier_is_not() {
        let other = VERIFIER.replace('X', "Y");
        assert!(!verify(CHALLENGE, &other));
        assert!(!verify(&other, VERIFIER));
        // `plain`: the challenge is the verifier.
        assert!(!verify(VERIFIER, VERIFIER));
    }

    #[test]
    fn verifiers_and_challenges_of_another_form_never_match() {
        for length in [0, 1, 42, 129, 4_096] {
            let verifier = "a".repeat(length);
            assert!(!verify(&challenge(&verifier), &verifier), "{length}");
        }
        for length in [43, 128] {
            let verifier = "~".repeat(length);
            assert!(verify(&challenge(&verifier), &verifier), "{length}");
        }
        for unfit in [" ", "+", "/", "=", "%", "ä", "\0"] {
            let verifier = format!("{VERIFIER}{unfit}");
            assert!(!verify(&challenge(&verifier), &verifier), "{unfit:?}");
        }
        let padded = format!("{CHALLENGE}=");
        // The last character of 32 bytes carries two bits that must be zero.
        let loose = CHALLENGE.replace("-cM", "-cN");
        for text in ["", "a", &padded, &CHALLENGE[1..], &loose, &CHALLENGE.replace('-', "+")] {
            assert!(!is_challenge(text), "{text}");
            assert!(!verify(text, VERIFIER), "{text}");
        }
    }
}
