//! Text from elsewhere on a terminal, or in a comment: nothing in it can move the cursor, hide what
//! stands beside it, or end its line.

use std::fmt::Write as _;
use tollgate_mcp::hub::definition::is_deceptive;

/// Text on one line, and no longer than is read.
pub(crate) fn on_one_line(text: &str, chars_max: usize) -> String {
    written(text, chars_max, |_| false)
}

/// Text of several lines.
pub(crate) fn on_lines(text: &str) -> String {
    written(text, usize::MAX, |c| matches!(c, '\n' | '\t'))
}

fn written(text: &str, chars_max: usize, passes: impl Fn(char) -> bool) -> String {
    let mut written = String::new();
    for (at, c) in text.chars().enumerate() {
        if at >= chars_max {
            written.push('…');
            break;
        }
        if is_unprintable(c) && !passes(c) {
            // Writing to a string cannot fail.
            let _ = write!(written, "{}", c.escape_unicode());
        } else {
            written.push(c);
        }
    }
    written
}

/// JSON on a terminal: it escapes most of what is unprintable by itself.
pub(crate) fn json(value: &serde_json::Value) -> String {
    let mut text = String::new();
    for c in format!("{value:#}").chars() {
        if (is_unprintable(c) || is_deceptive(None, c, None)) && c != '\n' {
            // Only strings hold such characters. Writing to a string cannot fail.
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        } else {
            text.push(c);
        }
    }
    text
}

/// What YAML does not take as it is, or what moves text around on a screen.
pub(crate) fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
}

#[cfg(test)]
mod tests {
    use super::{json, on_lines, on_one_line};

    #[test]
    fn a_line_cannot_be_left() {
        assert_eq!(on_one_line("a\nb: c\u{85}\u{2028}", 100), "a\\u{a}b: c\\u{85}\\u{2028}");
        assert_eq!(on_one_line("abcdef", 3), "abc…");
    }

    #[test]
    fn a_terminal_is_not_commanded() {
        assert_eq!(on_lines("a\n\u{1b}[2J\u{9b}b\t\u{202e}c"), "a\n\\u{1b}[2J\\u{9b}b\t\\u{202e}c");
        let text = json(&serde_json::json!({ "a": "\u{1b}\u{9b}\u{202e}" }));
        assert_eq!(text, "{\n  \"a\": \"\\u001b\\u009b\\u202e\"\n}");
        let text = json(&serde_json::json!(["\u{200b}\u{e0069}"]));
        assert_eq!(text, "[\n  \"\\u200b\\udb40\\udc69\"\n]");
    }
}
