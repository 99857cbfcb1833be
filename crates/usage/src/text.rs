//! Tokens of text: by a tokenizer, or taken for a quarter of its bytes.
//!
//! What a model really makes of a text is not known here, so every number is an estimate. A tokenizer
//! reads so much of a call and no more; the rest is taken to be like what it read.
//!
//! Next: `reported.rs`.

use crate::settings::Estimator;
use bpe_openai::Tokenizer;
use std::borrow::Cow;
use tollgate_core::bounds::usage::{MEDIA_TOKENS, TOKENIZER_BYTES_MAX};
use tollgate_core::stores::CountedBy;

/// Bytes of text that are taken for a token.
const BYTES_PER_TOKEN: u64 = 4;

/// What counts.
#[derive(Clone, Copy)]
pub(crate) struct Ruler(Option<&'static Tokenizer>);

impl Ruler {
    /// The vocabularies are read when the first call is counted with them, and kept.
    pub(crate) fn new(estimator: Estimator) -> Self {
        match estimator {
            Estimator::Bytes => Self(None),
            Estimator::O200k => Self(Some(bpe_openai::o200k_base())),
            Estimator::Cl100k => Self(Some(bpe_openai::cl100k_base())),
        }
    }

    /// Who counts.
    pub(crate) const fn counted_by(self) -> CountedBy {
        match self.0 {
            None => CountedBy::Bytes,
            Some(_) => CountedBy::Tokenizer,
        }
    }
}

/// What was counted of one call so far.
pub(crate) struct Tape {
    ruler: Ruler,
    /// Bytes a tokenizer has read, and what it made of them.
    read: usize,
    tokens: u64,
    /// Bytes nothing but their number is known of.
    unread: u64,
    media: u64,
}

impl Tape {
    pub(crate) const fn new(ruler: Ruler) -> Self {
        Self { ruler, read: 0, tokens: 0, unread: 0, media: 0 }
    }

    /// Counts text.
    pub(crate) fn add(&mut self, text: &str) {
        let Some(tokenizer) = self.ruler.0 else { return self.add_bytes(text.len()) };
        let mut room = TOKENIZER_BYTES_MAX.saturating_sub(self.read).min(text.len());
        while !text.is_char_boundary(room) {
            room -= 1;
        }
        let (head, rest) = text.split_at(room);
        self.read += head.len();
        self.tokens += wide(tokenizer.count(head));
        self.add_bytes(rest.len());
    }

    /// Counts bytes that are not looked at.
    pub(crate) fn add_bytes(&mut self, bytes: usize) {
        self.unread = self.unread.saturating_add(wide(bytes));
    }

    /// Counts an image or a sound.
    pub(crate) const fn add_media(&mut self) {
        self.media = self.media.saturating_add(1);
    }

    /// The tokens of all that was added.
    pub(crate) fn tokens(&self) -> u64 {
        let read = wide(self.read);
        let unread = if read == 0 {
            self.unread.div_ceil(BYTES_PER_TOKEN)
        } else {
            let like = u128::from(self.unread) * u128::from(self.tokens);
            u64::try_from(like.div_ceil(u128::from(read))).unwrap_or(u64::MAX)
        };
        let media = self.media.saturating_mul(MEDIA_TOKENS);
        self.tokens.saturating_add(unread).saturating_add(media)
    }

    /// Whether a tokenizer was to count, and did not read everything.
    pub(crate) const fn is_extrapolated(&self) -> bool {
        self.ruler.0.is_some() && self.unread > 0
    }
}

/// Tokens that so many bytes are taken for.
pub(crate) const fn of_bytes(bytes: u64) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN)
}

/// Bytes or items as they are counted.
pub(crate) fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// JSON text without the white space between its tokens, so that equal values of equal spelling have
/// equal counts.
pub(crate) fn compact(json: &str) -> Cow<'_, str> {
    let mut kept = String::new();
    let mut from = 0;
    let (mut is_string, mut is_escaped) = (false, false);
    for (at, byte) in json.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_string => is_escaped = true,
            b'"' => is_string = !is_string,
            b' ' | b'\t' | b'\n' | b'\r' if !is_string => {
                kept.push_str(&json[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    if from == 0 {
        return Cow::Borrowed(json);
    }
    kept.push_str(&json[from..]);
    Cow::Owned(kept)
}

#[cfg(test)]
mod tests {
    use super::{Ruler, Tape, compact};
    use crate::settings::Estimator;
    use proptest::prelude::*;
    use serde_json::Value;
    use tollgate_core::bounds::usage::{MEDIA_TOKENS, TOKENIZER_BYTES_MAX};

    fn tokens(estimator: Estimator, texts: &[&str]) -> u64 {
        let mut tape = Tape::new(Ruler::new(estimator));
        texts.iter().for_each(|text| tape.add(text));
        tape.tokens()
    }

    #[test]
    fn bytes_are_divided_by_four_and_rounded_up_once() {
        assert_eq!(tokens(Estimator::Bytes, &[]), 0);
        assert_eq!(tokens(Estimator::Bytes, &["a"]), 1);
        assert_eq!(tokens(Estimator::Bytes, &["a", "b", "c", "d"]), 1);
        assert_eq!(tokens(Estimator::Bytes, &["12345"]), 2);
    }

    #[test]
    fn tokenizers_count_what_their_vocabulary_says() {
        // Known numbers of the two vocabularies.
        assert_eq!(tokens(Estimator::Cl100k, &["tiktoken is great!"]), 6);
        assert_eq!(tokens(Estimator::O200k, &["tiktoken is great!"]), 6);
        assert_eq!(tokens(Estimator::O200k, &["hello world"]), 2);
    }

    #[test]
    fn beyond_its_bound_a_tokenizer_extrapolates_and_says_so() {
        let text = "hello world ".repeat(TOKENIZER_BYTES_MAX / 12 * 3);
        let mut tape = Tape::new(Ruler::new(Estimator::O200k));
        tape.add(&text);
        assert!(tape.is_extrapolated());
        let exact = 2 * (text.len() as u64 / 12);
        let counted = tape.tokens();
        assert!(counted.abs_diff(exact) < exact / 50, "{counted} of {exact}");
    }

    #[test]
    fn the_bound_never_cuts_a_character() {
        let text = format!("a{}", "ß".repeat(TOKENIZER_BYTES_MAX / 2));
        let mut tape = Tape::new(Ruler::new(Estimator::Cl100k));
        tape.add(&text);
        assert!(tape.is_extrapolated());
    }

    #[test]
    fn media_count_for_the_same_whatever_their_size() {
        let mut tape = Tape::new(Ruler::new(Estimator::Bytes));
        tape.add_media();
        tape.add_media();
        assert_eq!(tape.tokens(), 2 * MEDIA_TOKENS);
    }

    proptest! {
        #[test]
        fn compact_text_means_the_same_and_has_no_room_left(text in "[ \\n\\t\"\\\\{}:,a-z0-9\\[\\]]{0,30}") {
            let value = Value::String(text);
            let spaced = format!("{{ \"a\" : [ {value} ,\n{value}\t] }}");
            let tight = compact(&spaced);
            let again: Value = serde_json::from_str(&tight).expect("JSON");
            prop_assert_eq!(again.to_string(), &*tight);
        }
    }
}
