//! Sealed values: what a client holds for us and must not read, change or swap.
//!
//! AES-256-GCM-SIV (RFC 8452) under a key ring: the first key seals, every key opens, so keys can
//! be rotated. A value is bound to its purpose and to a context (route and principal), so one sealed
//! for another purpose, route or principal does not open. There is one outcome for every way of
//! being wrong.
//!
//! Layout before base64url: key id (1), nonce (12), ciphertext, tag (16).

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tollgate_core::clock::Entropy;
use tollgate_core::ids::Secret;

const TAG_LEN: usize = 16;
/// Longest sealed value in bytes before base64.
const SEALED_BYTES_MAX: usize = 96;
/// Longest value that can be sealed.
pub const PLAIN_BYTES_MAX: usize = SEALED_BYTES_MAX - 1 - NONCE_LEN - TAG_LEN;
/// Longest sealed text; longer input is refused unread.
const TEXT_BYTES_MAX: usize = SEALED_BYTES_MAX.div_ceil(3) * 4;

/// What a sealed value is for. Part of what is authenticated.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    /// A session id.
    Session,
    /// A place in a list of a hub.
    Cursor,
    /// The stream of an agent on HTTP+SSE.
    HttpSse,
}

impl Purpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Session => b"tollgate/session/1\0",
            Self::Cursor => b"tollgate/cursor/1\0",
            Self::HttpSse => b"tollgate/http-sse/1\0",
        }
    }
}

/// The key ring.
pub struct Seal {
    keys: Vec<(u8, LessSafeKey)>,
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Seal({} keys)", self.keys.len())
    }
}

/// A key that the cryptographic library refuses. Cannot happen for 32 bytes.
#[derive(Debug, thiserror::Error)]
#[error("a sealing key must be 32 bytes")]
pub struct BadKey;

impl Seal {
    /// A ring of the given keys, newest first; with none, of one random key that dies with it.
    ///
    /// # Errors
    /// [`BadKey`] if the library refuses a key.
    pub fn new(keys: &[Secret<[u8; 32]>], entropy: &dyn Entropy) -> Result<Self, BadKey> {
        let mut random = [0; 32];
        entropy.fill(&mut random);
        let own = [Secret::new(random)];
        let keys = if keys.is_empty() { &own } else { keys };
        let ring = keys.iter().map(|key| {
            let id = digest::digest(&digest::SHA256, key.expose()).as_ref()[0];
            let key = UnboundKey::new(&AES_256_GCM_SIV, key.expose()).map_err(|_| BadKey)?;
            Ok((id, LessSafeKey::new(key)))
        });
        Ok(Self { keys: ring.collect::<Result<_, BadKey>>()? })
    }

    /// Seals up to [`PLAIN_BYTES_MAX`] bytes; `None` for more.
    pub fn seal(
        &self,
        purpose: Purpose,
        context: &[&[u8]],
        plain: &[u8],
        entropy: &dyn Entropy,
    ) -> Option<String> {
        let (id, key) = self.keys.first()?;
        if plain.len() > PLAIN_BYTES_MAX {
            return None;
        }
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce);
        let mut sealed = Vec::with_capacity(SEALED_BYTES_MAX);
        sealed.extend_from_slice(plain);
        let aad = Aad::from(bound(purpose, context));
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed).ok()?;
        let mut whole = vec![*id];
        whole.extend_from_slice(&nonce);
        whole.append(&mut sealed);
        Some(URL_SAFE_NO_PAD.encode(whole))
    }

    /// Opens a sealed text; the plain bytes are handed to `read`. `None` for anything that is not a
    /// value sealed by us for this purpose and context.
    pub fn open<T>(
        &self,
        purpose: Purpose,
        context: &[&[u8]],
        text: &[u8],
        read: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Option<T> {
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let mut whole = [0; SEALED_BYTES_MAX];
        let len = URL_SAFE_NO_PAD.decode_slice(text, &mut whole).ok()?;
        let (head, sealed) = whole.get_mut(..len)?.split_at_mut_checked(1 + NONCE_LEN)?;
        let aad = bound(purpose, context);
        self.keys
            .iter()
            .filter(|(id, _)| *id == head[0])
            .find_map(|(_, key)| {
                let nonce = Nonce::try_assume_unique_for_key(&head[1..]).ok()?;
                // A failed opening destroys its input, and ids of two keys may be equal.
                let mut copy = [0; SEALED_BYTES_MAX];
                let copy = copy.get_mut(..sealed.len())?;
                copy.copy_from_slice(sealed);
                let plain = key.open_in_place(nonce, Aad::from(&aad[..]), copy).ok()?;
                Some(plain.to_vec())
            })
            .and_then(|plain| read(&plain))
    }
}

/// Purpose and context as one unambiguous byte string.
fn bound(purpose: Purpose, context: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(96);
    bytes.extend_from_slice(purpose.label());
    for part in context {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::{Purpose, Seal};
    use crate::system::SystemEntropy;
    use tollgate_core::ids::Secret;

    fn ring(keys: &[u8]) -> Seal {
        let keys: Vec<_> = keys.iter().map(|byte| Secret::new([*byte; 32])).collect();
        Seal::new(&keys, &SystemEntropy).expect("32-byte keys")
    }

    fn sealed(ring: &Seal, route: &str, plain: &[u8]) -> String {
        let context: [&[u8]; 2] = [route.as_bytes(), b"anonymous"];
        ring.seal(Purpose::Session, &context, plain, &SystemEntropy).expect("short enough")
    }

    fn opened(ring: &Seal, route: &str, text: &str) -> Option<Vec<u8>> {
        let context: [&[u8]; 2] = [route.as_bytes(), b"anonymous"];
        ring.open(Purpose::Session, &context, text.as_bytes(), |plain| Some(plain.to_vec()))
    }

    #[test]
    fn what_was_sealed_opens_in_its_context_only() {
        let ring = ring(&[1]);
        let text = sealed(&ring, "/mcp", b"plain");
        assert_eq!(opened(&ring, "/mcp", &text).as_deref(), Some(&b"plain"[..]));
        assert_eq!(opened(&ring, "/mcp2", &text), None);
    }

    #[test]
    fn rotation_opens_old_values_until_the_key_is_dropped() {
        let text = sealed(&ring(&[1]), "/mcp", b"plain");
        assert!(opened(&ring(&[2, 1]), "/mcp", &text).is_some());
        assert!(opened(&ring(&[2]), "/mcp", &text).is_none());
    }

    #[test]
    fn every_flipped_bit_truncation_and_extension_is_refused() {
        let ring = ring(&[1]);
        let text = sealed(&ring, "/mcp", &[7; 25]);
        for at in 0..text.len() {
            for bit in 0..7 {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let Ok(forged) = String::from_utf8(bytes) else { continue };
                assert_eq!(opened(&ring, "/mcp", &forged), None, "byte {at} bit {bit}");
            }
            assert_eq!(opened(&ring, "/mcp", &text[..at]), None);
        }
        assert_eq!(opened(&ring, "/mcp", &format!("{text}A")), None);
        assert_eq!(opened(&ring, "/mcp", &"A".repeat(8192)), None);
    }

    #[test]
    fn two_seals_of_one_value_differ() {
        let ring = ring(&[1]);
        assert_ne!(sealed(&ring, "/mcp", b"x"), sealed(&ring, "/mcp", b"x"));
    }
}
