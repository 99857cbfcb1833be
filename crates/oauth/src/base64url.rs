//! Base64url as tokens and keys use it: one text for the same bytes, and no other.
//!
//! SPEC: RFC 7515 section 2: the alphabet of RFC 4648 section 5, no padding, no other characters.
//! Bits that carry nothing must be zero: otherwise one signature had several texts, and a cache or
//! a list of used tokens would take each for another.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Writes bytes.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads bytes; `None` unless [`encode`] writes exactly this text for them.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};
    use proptest::prelude::*;

    #[test]
    fn only_the_one_text_of_some_bytes_is_read() {
        assert_eq!(decode("AQ"), Some(vec![1]));
        for text in ["AR", "AQ==", "AQ=", "A", "AQ\n", " AQ", "AQA", "a+b/", "AQ.", "ÄQ"] {
            // `AQA` would be 1, 0 with two bits left over that are zero: three characters are two
            // bytes, so it is read; all others are not.
            assert_eq!(decode(text).is_some(), text == "AQA", "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_the_same(text in "[A-Za-z0-9_=+/-]{0,12}") {
            if let Some(bytes) = decode(&text) {
                prop_assert_eq!(encode(&bytes), text);
            }
        }
    }
}
