//! Names of tools and prompts on a hub: `UPSTREAM__NAME`, and what is done with names that do not
//! fit.
//!
//! A plain name is shown as it is and read back without a list. Any other name is shown cut to
//! size, with a mark that holds a hash of the whole original; only the upstream's own list can tell
//! what it stands for. A name that already ends like a mark counts as not plain, so a shown name
//! is either exactly its original or marked, never in doubt: two originals of one upstream are
//! shown alike only if their hashes are, and those of two upstreams never.
//!
//! The hash finds names again; it proves nothing. An upstream can choose two names that are shown
//! alike, and hurts only itself: who builds a list keeps the first.

/// What stands between the upstream's name and the item's.
pub const SEPARATOR: &str = "__";

/// Longest shown name, in bytes: what the strictest model providers accept.
pub const NAME_MAX: usize = 64;

/// Longest original name that is offered at all, in bytes. Twice what the specification advises.
///
/// SPEC: 2026-07-28 server/tools, Tool Names: SHOULD be 1 to 128 characters.
pub const ORIGINAL_MAX: usize = 256;

/// Bytes of a mark: `_`, a letter from `a` to `f`, seven lower hexadecimal digits. The letter keeps
/// names that end with a date (`report_20240101`) plain.
const MARK: usize = 9;

/// The name on the hub of an upstream's tool or prompt.
///
/// LIMIT: no longer than [`NAME_MAX`] for upstreams of up to 53 bytes; the configuration allows 32.
#[must_use]
pub fn join(upstream: &str, name: &str) -> String {
    let mut shown = String::with_capacity(NAME_MAX);
    shown.push_str(upstream);
    shown.push_str(SEPARATOR);
    if is_plain(upstream, name) {
        shown.push_str(name);
        return shown;
    }
    let room = NAME_MAX.saturating_sub(shown.len() + MARK);
    shown.extend(
        name.chars().take(room).map(|letter| if is_allowed(letter) { letter } else { '_' }),
    );
    push_mark(&mut shown, name);
    shown
}

/// The upstream and the rest of a shown name. The rest is the original name unless
/// [`may_be_shortened`].
#[must_use]
pub fn split(shown: &str) -> Option<(&str, &str)> {
    shown.split_once(SEPARATOR).filter(|(upstream, _)| is_upstream(upstream))
}

/// Whether a name is shown as it is, behind the upstream's name.
#[must_use]
pub fn is_plain(upstream: &str, name: &str) -> bool {
    upstream.len() + SEPARATOR.len() + name.len() <= NAME_MAX
        && !name.is_empty()
        && name.chars().all(is_allowed)
        && !may_be_shortened(name)
}

/// Whether the rest of a shown name ends with a mark, so that only the upstream's own list can
/// tell the original: the name in it whose [`join`] is the shown name.
#[must_use]
pub fn may_be_shortened(rest: &str) -> bool {
    let Some((_, mark)) = rest.len().checked_sub(MARK).and_then(|at| rest.split_at_checked(at))
    else {
        return false;
    };
    match mark.as_bytes() {
        [b'_', b'a'..=b'f', digits @ ..] => {
            digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
        }
        _ => false,
    }
}

/// Whether an original name can be offered: not empty, at most [`ORIGINAL_MAX`] bytes, and without
/// characters that a reader does not see or that change how the rest is shown.
#[must_use]
pub fn is_usable(name: &str) -> bool {
    !name.is_empty() && name.len() <= ORIGINAL_MAX && !name.chars().any(is_hidden)
}

/// Whether this can be the name of an upstream.
pub(super) fn is_upstream(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// Control characters, and what Unicode has readers ignore: bidirectional controls, zero-width and
/// filler characters, variation selectors, tags, line separators.
pub(super) fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

const fn is_allowed(letter: char) -> bool {
    matches!(letter, 'A'..='Z' | 'a'..='z' | '0'..='9' | '_' | '.' | '-')
}

fn push_mark(shown: &mut String, name: &str) {
    let hash = fold(name);
    let digit = |value: u32| char::from_digit(value & 0xf, 16).unwrap_or('0');
    shown.push('_');
    shown.push(char::from_digit(10 + (hash >> 28) % 6, 16).unwrap_or('a'));
    shown.extend((0..7).rev().map(|place| digit(hash >> (4 * place))));
}

/// FNV-1a, 64 bit, folded to 32. Shown names last as long as agents remember them: never change it.
fn fold(name: &str) -> u32 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let [a, b, c, d, e, f, g, h] = hash.to_be_bytes();
    u32::from_be_bytes([a ^ e, b ^ f, c ^ g, d ^ h])
}
