//! Scopes: what a token is limited to. Opaque words here; policy gives them meaning.
//!
//! Nothing is trimmed, folded or guessed: what does not fit the grammar is refused, so that two
//! parties never read one text as two sets. Next: `resource.rs`, where a token may be used.

use tollgate_core::bounds::identity::SCOPES_MAX;

/// Why a text is no list of scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadScope {
    /// Two spaces in a row, or one at an end.
    #[error("scopes are separated by exactly one space, with none at the ends")]
    Spacing,
    /// Something besides `!`, `#` to `[` and `]` to `~`.
    #[error("a scope has visible ASCII characters only, without `\"` and `\\`")]
    Character,
    /// More than [`SCOPES_MAX`].
    #[error("there are more than {SCOPES_MAX} scopes")]
    TooMany,
}

/// Reads a list of scopes: sorted, each once. An empty text is an empty list, as a parameter
/// without a value counts as left out (RFC 6749 section 3.1).
///
/// SPEC: RFC 6749 section 3.3: `scope-token *( SP scope-token )`, split on 0x20 and nothing else.
///
/// # Errors
/// If the text does not fit that grammar, or holds too many.
pub fn parse(text: &str) -> Result<Vec<Box<str>>, BadScope> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut scopes = Vec::new();
    for word in text.split(' ') {
        check(word)?;
        if scopes.len() == SCOPES_MAX {
            return Err(BadScope::TooMany);
        }
        scopes.push(Box::from(word));
    }
    scopes.sort_unstable();
    scopes.dedup();
    Ok(scopes)
}

/// Whether a text is one scope.
///
/// # Errors
/// If it is empty or has a character a scope cannot have.
pub fn check(word: &str) -> Result<(), BadScope> {
    if word.is_empty() {
        return Err(BadScope::Spacing);
    }
    let fits = |byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    if word.bytes().all(fits) { Ok(()) } else { Err(BadScope::Character) }
}

/// Whether a list of allowed scopes holds the one asked for: itself, or its beginning followed by a
/// `*`. A `*` anywhere else, or in what is asked for, is a character like any other.
#[must_use]
pub fn covers(allowed: &[String], asked: &str) -> bool {
    allowed.iter().any(|entry| {
        entry == asked || entry.strip_suffix('*').is_some_and(|start| asked.starts_with(start))
    })
}

/// Writes a list of scopes the way it is sent.
#[must_use]
pub fn join(scopes: &[impl AsRef<str>]) -> String {
    let mut text = String::new();
    for scope in scopes {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(scope.as_ref());
    }
    text
}
