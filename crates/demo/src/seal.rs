//! Random session ids, and values a client carries for us without being able to change them.
//!
//! A sealed value is its text and a keyed hash over its purpose and its text. The key lives as long
//! as the process and is shared by all instances in it: a handle from one is good at the other.
//! Not secret: clients can read what they carry.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::sync::OnceLock;

/// What a sealed value is for; one purpose never opens another's.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// The counter of the modern era.
    Handle,
    /// The state of a question that waits for its answer.
    Question,
}

impl Purpose {
    const fn label(self) -> &'static str {
        match self {
            Self::Handle => "handle",
            Self::Question => "question",
        }
    }
}

/// A new session id: 128 random bits.
pub(crate) fn session_id() -> String {
    let mut bytes = [0; 16];
    fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Seals a text for the client to carry.
pub(crate) fn seal(purpose: Purpose, text: &str) -> String {
    let tag = hmac::sign(key(), &labelled(purpose, text));
    format!("{}.{}", URL_SAFE_NO_PAD.encode(text), URL_SAFE_NO_PAD.encode(tag.as_ref()))
}

/// The text of a sealed value; `None` unless it was sealed by us for this purpose.
pub(crate) fn open(purpose: Purpose, sealed: &str) -> Option<String> {
    let (text, tag) = sealed.split_once('.')?;
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
    hmac::verify(key(), &labelled(purpose, &text), &tag).ok()?;
    Some(text)
}

fn labelled(purpose: Purpose, text: &str) -> Vec<u8> {
    format!("{}\0{text}", purpose.label()).into_bytes()
}

fn key() -> &'static hmac::Key {
    static KEY: OnceLock<hmac::Key> = OnceLock::new();
    KEY.get_or_init(|| {
        let mut bytes = [0; 32];
        fill(&mut bytes);
        hmac::Key::new(hmac::HMAC_SHA256, &bytes)
    })
}

#[expect(clippy::expect_used, reason = "see the invariant")]
fn fill(bytes: &mut [u8]) {
    // INVARIANT: the system's random source works after boot; ids without it would be guessable.
    aws_lc_rs::rand::fill(bytes).expect("the system's random source");
}

#[cfg(test)]
mod tests {
    use super::{Purpose, open, seal, session_id};

    #[test]
    fn sealed_values_open_for_their_purpose_only() {
        let sealed = seal(Purpose::Handle, "7");
        assert_eq!(open(Purpose::Handle, &sealed).as_deref(), Some("7"));
        assert_eq!(open(Purpose::Question, &sealed), None);
    }

    #[test]
    fn changed_values_do_not_open() {
        let (_, tag) = seal(Purpose::Handle, "7").split_once('.').map(own).expect("two parts");
        let (text, _) = seal(Purpose::Handle, "8").split_once('.').map(own).expect("two parts");
        assert_eq!(open(Purpose::Handle, &format!("{text}.{tag}")), None);
        assert_eq!(open(Purpose::Handle, "no dot"), None);
    }

    #[test]
    fn session_ids_differ() {
        assert_ne!(session_id(), session_id());
    }

    fn own((a, b): (&str, &str)) -> (String, String) {
        (a.to_owned(), b.to_owned())
    }
}
