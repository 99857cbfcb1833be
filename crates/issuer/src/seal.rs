//! Sealed values: what a browser holds for us between two steps and must not read, change or swap.
//!
//! AES-256-GCM-SIV (RFC 8452) under one key that all processes of a deployment share. A value is
//! bound to its purpose and to a context (the browser, the session), so one sealed for another step,
//! browser or session does not open. There is one outcome for every way of being wrong.
//!
//! Layout before base64url: nonce (12), ciphertext of the JSON text, tag (16). Expiry is part of what
//! is sealed, and for who opens it to check.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tollgate_core::bounds::people::SEALED_BYTES_MAX;
use tollgate_core::clock::Entropy;

/// What a sealed value is for. Part of what is authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// An authorization request on its way to a code.
    Transaction,
    /// Who is signed in.
    Session,
    /// That a form came from our own page.
    Form,
    /// What must be remembered while a person is at the provider.
    Departure,
}

impl Purpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Transaction => b"tollgate/issuer/transaction/1\0",
            Self::Session => b"tollgate/issuer/session/1\0",
            Self::Form => b"tollgate/issuer/form/1\0",
            Self::Departure => b"tollgate/issuer/departure/1\0",
        }
    }
}

/// The key.
pub(crate) struct Seal(LessSafeKey);

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal(…)")
    }
}

/// A key that the cryptographic library refuses. Cannot happen for 32 bytes.
#[derive(Debug, thiserror::Error)]
#[error("the key for sealing what browsers hold must be 32 bytes")]
pub struct BadSealKey;

impl Seal {
    pub(crate) fn new(key: &[u8; 32]) -> Result<Self, BadSealKey> {
        let key = UnboundKey::new(&AES_256_GCM_SIV, key).map_err(|_| BadSealKey)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Seals a value; `None` if it is longer than [`SEALED_BYTES_MAX`].
    pub(crate) fn seal(
        &self,
        purpose: Purpose,
        context: &[&str],
        value: &impl Serialize,
        entropy: &dyn Entropy,
    ) -> Option<String> {
        let mut sealed = serde_json::to_vec(value).ok()?;
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce);
        let aad = Aad::from(bound(purpose, context));
        let unique = Nonce::assume_unique_for_key(nonce);
        self.0.seal_in_place_append_tag(unique, aad, &mut sealed).ok()?;
        let whole = [&nonce[..], &sealed].concat();
        let text = URL_SAFE_NO_PAD.encode(whole);
        (text.len() <= SEALED_BYTES_MAX).then_some(text)
    }

    /// Opens what was sealed by us for this purpose and context, and nothing else.
    pub(crate) fn open<T: DeserializeOwned>(
        &self,
        purpose: Purpose,
        context: &[&str],
        text: &str,
    ) -> Option<T> {
        if text.len() > SEALED_BYTES_MAX {
            return None;
        }
        let mut whole = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (nonce, sealed) = whole.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let aad = Aad::from(bound(purpose, context));
        let plain = self.0.open_in_place(nonce, aad, sealed).ok()?;
        serde_json::from_slice(plain).ok()
    }
}

/// Purpose and context as one unambiguous byte string.
fn bound(purpose: Purpose, context: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    bytes.extend_from_slice(purpose.label());
    for part in context {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::{Purpose, Seal};
    use tollgate_core::clock::Entropy;

    #[derive(Debug)]
    struct Counting(std::sync::atomic::AtomicU8);

    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        }
    }

    fn sealed(seal: &Seal, context: &[&str]) -> String {
        let entropy = Counting(1.into());
        seal.seal(Purpose::Session, context, &"plain", &entropy).expect("short enough")
    }

    #[test]
    fn what_was_sealed_opens_for_its_purpose_and_context_only() {
        let seal = Seal::new(&[7; 32]).expect("32 bytes");
        let text = sealed(&seal, &["ab", "c"]);
        let open = |purpose, context: &[&str]| seal.open::<String>(purpose, context, &text);
        assert_eq!(open(Purpose::Session, &["ab", "c"]).as_deref(), Some("plain"));
        assert_eq!(open(Purpose::Session, &["a", "bc"]), None);
        assert_eq!(open(Purpose::Session, &["ab"]), None);
        assert_eq!(open(Purpose::Transaction, &["ab", "c"]), None);
        let other = Seal::new(&[8; 32]).expect("32 bytes");
        assert_eq!(other.open::<String>(Purpose::Session, &["ab", "c"], &text), None);
    }

    #[test]
    fn every_changed_cut_or_longer_text_is_refused() {
        let seal = Seal::new(&[7; 32]).expect("32 bytes");
        let text = sealed(&seal, &[]);
        for at in 0..text.len() {
            for bit in 0..7 {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let Ok(forged) = String::from_utf8(bytes) else { continue };
                assert_eq!(seal.open::<String>(Purpose::Session, &[], &forged), None, "{at} {bit}");
            }
            assert_eq!(seal.open::<String>(Purpose::Session, &[], &text[..at]), None);
        }
        for longer in [format!("{text}A"), "A".repeat(100_000)] {
            assert_eq!(seal.open::<String>(Purpose::Session, &[], &longer), None);
        }
    }

    #[test]
    fn what_is_too_long_to_be_carried_is_not_sealed() {
        let seal = Seal::new(&[7; 32]).expect("32 bytes");
        let long = "x".repeat(20_000);
        assert_eq!(seal.seal(Purpose::Session, &[], &long, &Counting(1.into())), None);
    }
}
