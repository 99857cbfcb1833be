//! Text of others, made fit to be shown on a page: names of clients, people and providers.
//!
//! A name must not reorder, hide or imitate what stands around it. What controls the direction of
//! writing, has no width, or is invisible is left out; line breaks are spaces; long names are cut.
//! Escaping is not done here: the templates escape everything.

use tollgate_core::bounds::people::SHOWN_CHARS_MAX;

/// Marks in a row upon one letter: no script needs more.
const MARKS_MAX: usize = 3;

/// The text as it may be shown, or `otherwise` if nothing of it may.
pub(crate) fn shown(text: &str, otherwise: &str) -> String {
    let mut shown = String::new();
    let mut chars = 0;
    let mut marks = 0;
    for char in text.chars().map(|char| if char.is_whitespace() { ' ' } else { char }) {
        if is_unseen(char) || (char == ' ' && (shown.is_empty() || shown.ends_with(' '))) {
            continue;
        }
        marks = if is_mark(char) { marks + 1 } else { 0 };
        if marks > MARKS_MAX {
            continue;
        }
        if chars == SHOWN_CHARS_MAX {
            shown.push('…');
            break;
        }
        shown.push(char);
        chars += 1;
    }
    let shown = shown.trim_end();
    if shown.is_empty() { otherwise.to_owned() } else { shown.to_owned() }
}

/// What controls, reorders or is not to be seen.
fn is_unseen(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{10ffff}')
}

const fn is_mark(char: char) -> bool {
    matches!(char,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}'
        | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn what_reorders_hides_or_has_no_width_is_left_out() {
        let nasty = "\u{202e}Cl\u{200b}au\u{2066}de\u{feff}\u{e0041} \u{7}Co\u{ad}de\u{fe0f}";
        assert_eq!(shown(nasty, "?"), "Claude Code");
    }

    #[test]
    fn what_shows_nothing_has_another_name() {
        for nothing in ["", " \n\t ", "\u{200b}\u{3164}", "\u{2800}"] {
            assert_eq!(shown(nothing, "a client without a name"), "a client without a name");
        }
    }

    #[test]
    fn long_names_and_towers_of_marks_are_cut() {
        assert_eq!(shown(&"x".repeat(500), "?"), format!("{}…", "x".repeat(80)));
        assert_eq!(shown(&format!("a{}b", "\u{301}".repeat(50)), "?"), "a\u{301}\u{301}\u{301}b");
        assert_eq!(shown("two\r\nlines  here", "?"), "two lines here");
    }

    #[test]
    fn names_of_the_world_stay_as_they_are() {
        for name in ["Zoë Müller", "עמית", "山田 花子", "Агент 7", "नमस्ते", "Robot 🤖"]
        {
            assert_eq!(shown(name, "?"), name);
        }
    }
}
