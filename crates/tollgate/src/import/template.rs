//! Text with placeholders, as each client writes them: `${VAR}`, `${env:VAR}`, `${input:id}`.
//!
//! What a client would have replaced becomes a piece of its own, so that the text around it stays
//! literal. Placeholders a client does not know are text. Nothing is looked up here.
//!
//! Next: `variables.rs`, which decides what each piece is called in the configuration.

/// How a client treats `${...}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placeholders {
    /// `${VAR}` and `${VAR:-default}` (Claude Code), `${env:VAR}`, `${workspaceFolder}`, `${userHome}`
    /// (Cursor), `${file:PATH}` (Windsurf). The files look alike, so all of them are understood.
    Any,
    /// `${env:VAR}`, `${input:id}` and the editor's own.
    VsCode,
    /// None: text is text.
    None,
}

/// One piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Literal.
    Plain(String),
    /// An environment variable, and the default it had.
    Variable { name: String, default: Option<String> },
    /// Something the client asked its user for, or knew itself, by the placeholder's text.
    Asked(String),
    /// The content of a file.
    File(String),
}

/// A whole text.
pub(super) type Template = Vec<Piece>;

/// Takes a text apart. `own` are variables that the started program replaces itself.
pub(super) fn split(text: &str, placeholders: Placeholders, own: &[&str]) -> Template {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${").filter(|_| placeholders != Placeholders::None) {
        let (before, from) = rest.split_at(at);
        plain.push_str(before);
        let Some(length) = closing(from) else {
            rest = from;
            break;
        };
        let (whole, after) = from.split_at(length);
        // `$${...}` is how text that looks like a placeholder is written, and Tollgate reads it so too.
        if plain.ends_with('$') {
            plain.push_str(whole);
            rest = after;
            continue;
        }
        match placeholder(&whole[2..length - 1], placeholders) {
            Some(Piece::Variable { name, .. }) if own.contains(&name.as_str()) => {
                plain.push_str(whole);
            }
            Some(Piece::Plain(text)) => plain.push_str(&text),
            Some(piece) => {
                if !plain.is_empty() {
                    pieces.push(Piece::Plain(std::mem::take(&mut plain)));
                }
                pieces.push(piece);
            }
            None => plain.push_str(whole),
        }
        rest = after;
    }
    plain.push_str(rest);
    if !plain.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Plain(plain));
    }
    pieces
}

/// The length of `${...}` with its braces, those inside a default included.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return Some(at + 1),
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

fn placeholder(inside: &str, placeholders: Placeholders) -> Option<Piece> {
    let variable = |name: &str, default: Option<&str>| Piece::Variable {
        name: name.to_owned(),
        default: default.map(str::to_owned),
    };
    let asked = || Some(Piece::Asked(inside.to_owned()));
    match inside {
        "userHome" => return Some(variable("HOME", None)),
        "pathSeparator" | "/" => return Some(Piece::Plain("/".to_owned())),
        "workspaceFolder" | "workspaceRoot" | "workspaceFolderBasename" | "cwd" => return asked(),
        _ => {}
    }
    if let Some(name) = inside.strip_prefix("env:") {
        // VS Code takes a default behind a further colon in some places.
        let (name, default) = name.split_once(':').map_or((name, None), |(n, d)| (n, Some(d)));
        return if is_variable(name) { Some(variable(name, default)) } else { asked() };
    }
    match placeholders {
        Placeholders::VsCode => asked(),
        Placeholders::Any => {
            if let Some(path) = inside.strip_prefix("file:").filter(|path| !path.contains('}')) {
                return Some(Piece::File(path.to_owned()));
            }
            if inside.starts_with("input:") {
                return asked();
            }
            let (name, default) =
                inside.split_once(":-").map_or((inside, None), |(n, d)| (n, Some(d)));
            is_variable(name).then(|| variable(name, default))
        }
        Placeholders::None => None,
    }
}

/// Whether text is the name of an environment variable as Tollgate takes it.
pub(super) fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Literal text where Tollgate reads references.
pub(super) fn literal(text: &str) -> String {
    text.replace("${", "$${")
}

/// A reference to an environment variable.
pub(super) fn reference(name: &str) -> String {
    format!("${{env:{name}}}")
}

/// Any text as part of a name of a variable: `api-key` and `apiKey` become `API_KEY`.
pub(super) fn shout(text: &str) -> String {
    let mut name = String::new();
    let mut was_small = false;
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            if was_small && c.is_ascii_uppercase() {
                name.push('_');
            }
            name.push(c.to_ascii_uppercase());
        } else if !name.ends_with('_') && !name.is_empty() {
            name.push('_');
        }
        was_small = c.is_ascii_lowercase();
    }
    name.trim_end_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Piece, Placeholders, shout, split};

    fn variable(name: &str, default: Option<&str>) -> Piece {
        Piece::Variable { name: name.to_owned(), default: default.map(str::to_owned) }
    }

    fn plain(text: &str) -> Piece {
        Piece::Plain(text.to_owned())
    }

    #[test]
    fn claude_code_variables_lose_their_defaults_to_a_piece() {
        let pieces = split("${A:-x}/b${C}$D${e f}${G:-${H}}", Placeholders::Any, &[]);
        let expected = [
            variable("A", Some("x")),
            plain("/b"),
            variable("C", None),
            plain("$D${e f}"),
            variable("G", Some("${H}")),
        ];
        assert_eq!(pieces, expected);
    }

    #[test]
    fn what_the_program_replaces_itself_stays_literal() {
        let pieces = split("Authorization:${AUTH}", Placeholders::Any, &["AUTH"]);
        assert_eq!(pieces, [plain("Authorization:${AUTH}")]);
    }

    #[test]
    fn an_editor_asks_for_what_is_no_variable() {
        let pieces = split("${input:key}${config:a.b}${env:X}", Placeholders::VsCode, &[]);
        let asked = |text: &str| Piece::Asked(text.to_owned());
        assert_eq!(pieces, [asked("input:key"), asked("config:a.b"), variable("X", None)]);
    }

    #[test]
    fn clients_without_placeholders_and_open_ones_are_text() {
        assert_eq!(split("${A}", Placeholders::None, &[]), [plain("${A}")]);
        assert_eq!(split("a${A", Placeholders::Any, &[]), [plain("a${A")]);
        assert_eq!(split("a$${A}", Placeholders::Any, &[]), [plain("a$${A}")]);
        assert_eq!(split("", Placeholders::Any, &[]), [plain("")]);
    }

    #[test]
    fn names_become_variables() {
        for (text, name) in
            [("api-key", "API_KEY"), ("apiKey", "API_KEY"), ("X-Api--Key ", "X_API_KEY")]
        {
            assert_eq!(shout(text), name);
        }
    }
}
