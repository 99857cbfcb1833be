//! Which parts of a text are secrets, judged by the names beside them and by how they look.
//!
//! Errs on the side of caution: a harmless value that becomes a reference costs a line in the shell, a
//! secret that stays costs a secret. Looks at text only, and never prints any.
//!
//! Next: `looks.rs` for values nobody named.

use crate::import::looks::looks_secret;
use crate::import::template::shout;
use std::ops::Range;

/// One secret in a text, and what to call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) bytes: Range<usize>,
    /// Part of the name of its variable; `None` where the place of the text says enough.
    pub(super) hint: Option<String>,
}

impl Found {
    fn new(bytes: Range<usize>, hint: &str) -> Self {
        Self { bytes, hint: Some(hint.to_owned()) }
    }
}

/// What makes a name one of a secret.
const STEMS: [&str; 16] = [
    "KEY",
    "TOKEN",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "PASS",
    "PWD",
    "AUTH",
    "CREDENTIAL",
    "PRIVATE",
    "COOKIE",
    "BEARER",
    "JWT",
    "SIGNATURE",
    "PIN",
];
/// Stems that count only as whole words: they are parts of too many others.
const WHOLE: [&str; 3] = ["PASS", "PWD", "PIN"];
/// Words that hold a stem and mean something else.
const HARMLESS: [&str; 12] = [
    "AUTHOR",
    "AUTHORS",
    "AUTHORITY",
    "KEYBOARD",
    "KEYWORD",
    "KEYWORDS",
    "KEYSPACE",
    "KEYCLOAK",
    "MONKEY",
    "TOKENIZER",
    "TOKENS",
    "PRIVATEGPT",
];
/// Last words of names that say where something is, not what it is.
const PLACES: [&str; 12] = [
    "PATH", "FILE", "DIR", "FOLDER", "URL", "URI", "HOST", "ENDPOINT", "TYPE", "METHOD", "MODE",
    "REGION",
];
/// Words before a credential in a header.
const SCHEMES: [&str; 5] = ["bearer", "basic", "token", "apikey", "api-key"];

/// Whether a name is one of a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    let name = shout(name);
    name.split('_').any(|word| {
        let counts = |stem: &str| {
            if WHOLE.contains(&stem) { word == stem } else { word.contains(stem) }
        };
        !HARMLESS.contains(&word) && STEMS.into_iter().any(counts)
    })
}

/// The secrets in the value of something with a name: a header, an environment variable, a query
/// parameter.
pub(super) fn in_named(name: &str, value: &str) -> Vec<Found> {
    if !is_secret_name(name) || is_harmless(name, value) {
        return in_text(value);
    }
    let start = scheme(value);
    if start >= value.len() {
        return Vec::new();
    }
    vec![Found { bytes: start..value.len(), hint: None }]
}

/// Whether a value with the name of a secret is none.
fn is_harmless(name: &str, value: &str) -> bool {
    let shouted = shout(name);
    let last = shouted.rsplit('_').next().unwrap_or_default();
    let lower = value.to_ascii_lowercase();
    let switch = ["true", "false", "yes", "no", "on", "off", "null", "none", ""];
    let number = value.len() <= 6 && value.bytes().all(|b| b.is_ascii_digit());
    let spelled = ["PASS", "SECRET", "PIN", "PWD"].iter().any(|stem| shouted.contains(stem));
    // A placeholder of the program's own is a name, not a value.
    let placeholder = value.starts_with("${") && value.ends_with('}');
    placeholder
        || PLACES.contains(&last)
        || switch.contains(&lower.as_str())
        || (number && !spelled)
}

/// Where the credential behind a scheme (`Bearer `) starts; 0 without one.
fn scheme(value: &str) -> usize {
    let Some((first, rest)) = value.split_once(' ') else { return 0 };
    if !SCHEMES.contains(&first.to_ascii_lowercase().as_str()) {
        return 0;
    }
    value.len() - rest.trim_start().len()
}

/// The secrets in a whole argument. `before` is the argument before it.
pub(super) fn in_argument(before: Option<&str>, argument: &str) -> Vec<Found> {
    let is_flag = |text: &str| text.starts_with('-') && text.len() > 1;
    if let Some(flag) = before.filter(|before| is_flag(before) && !before.contains('='))
        && is_secret_name(flag)
        && !is_flag(argument)
        && !is_harmless(flag, argument)
    {
        let start = scheme(argument);
        return vec![Found::new(start..argument.len(), &shout(flag))];
    }
    // `--api-key=...`, `API_KEY=...` behind `-e`, `Authorization: ...` behind `--header`.
    for separator in ['=', ':'] {
        if let Some((name, value)) = argument.split_once(separator)
            && !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
            && !value.starts_with("//")
            && is_secret_name(name)
        {
            let offset = argument.len() - value.trim_start().len();
            let found = in_named(name, value.trim_start()).into_iter();
            let moved = |one: Found| Found {
                bytes: one.bytes.start + offset..one.bytes.end + offset,
                hint: one.hint.or_else(|| Some(shout(name))),
            };
            return found.map(moved).collect();
        }
    }
    in_text(argument)
}

/// The secrets in any text: in URLs, behind names, behind `Bearer`, and what looks like one.
pub(super) fn in_text(text: &str) -> Vec<Found> {
    let mut found = Vec::new();
    let mut at = 0;
    for (start, end) in spans(text, |b| !is_gap(b)) {
        let span = &text[start..end];
        if span.contains("://") {
            in_url(text, start..end, &mut found);
            continue;
        }
        in_words(text, start..end, at, &mut found);
        // In `"api_key": "..."` the colon is a span of its own, and the name is the one before it.
        if !span.bytes().all(|b| b":=".contains(&b)) {
            at = start;
        }
    }
    found.dedup_by(|b, a| b.bytes.start < a.bytes.end);
    found
}

/// What separates words: white space, quotes, brackets, commas.
fn is_gap(byte: u8) -> bool {
    byte.is_ascii_whitespace() || b"\"'`,;(){}[]<>|\\".contains(&byte)
}

/// The runs of bytes that `belongs` takes.
fn spans(text: &str, belongs: impl Fn(u8) -> bool) -> Vec<(usize, usize)> {
    let mut spans = Vec::new();
    let mut open = None;
    for (at, byte) in text.bytes().enumerate() {
        match (belongs(byte), open) {
            (true, None) => open = Some(at),
            (false, Some(start)) => {
                spans.push((start, at));
                open = None;
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
    spans.extend(open.map(|start| (start, text.len())));
    spans
}

/// Judges one span by its own parts, and by the name or scheme in the span before it.
fn in_words(text: &str, span: Range<usize>, before: usize, found: &mut Vec<Found>) {
    let word = &text[span.clone()];
    let named = word.find(['=', ':']).map(|at| (&word[..at], at + 1));
    if let Some((name, value)) = named
        && value < word.len()
        && is_secret_name(name)
        && !is_harmless(name, &word[value..])
    {
        return found.push(Found::new(span.start + value..span.end, &shout(name)));
    }
    let earlier = text[before..span.start].trim_end();
    let last =
        earlier.trim_end_matches(|c: char| c.is_ascii() && is_gap(c as u8) || c == ':' || c == '=');
    let name = last.rsplit(|c: char| c.is_ascii() && is_gap(c as u8)).next().unwrap_or_default();
    let is_flag = name.starts_with('-') && !word.starts_with('-');
    let joined = is_flag || earlier[last.len()..].contains([':', '=']);
    let name = name.rsplit([':', '=']).next().unwrap_or_default();
    let lower = |text: &str| text.to_ascii_lowercase();
    let is_scheme = SCHEMES.contains(&lower(word).as_str());
    if joined && is_secret_name(name) && !is_scheme && !is_harmless(name, word) {
        return found.push(Found::new(span, &shout(name)));
    }
    let after_scheme = SCHEMES.contains(&lower(name).as_str());
    if after_scheme && (word.len() >= 8 || lower(name) == "bearer") {
        return found.push(Found::new(span, "TOKEN"));
    }
    for (start, end) in spans(word, |b| b.is_ascii_alphanumeric() || b"-_.+".contains(&b)) {
        if looks_secret(&word[start..end]) {
            found.push(Found::new(span.start + start..span.start + end, "TOKEN"));
        }
    }
}

/// The secrets in a URL: the password, query parameters, parts of the path.
fn in_url(text: &str, span: Range<usize>, found: &mut Vec<Found>) {
    let url = &text[span.clone()];
    let Some(scheme) = url.find("://") else { return };
    let start = scheme + 3;
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |end| start + end);
    let at = span.start;
    if let Some(user) = url[start..end].rfind('@').map(|end| start + end) {
        match url[start..user].find(':').map(|colon| start + colon + 1) {
            Some(password) if password < user => {
                found.push(Found::new(at + password..at + user, "PASSWORD"));
            }
            None if looks_secret(&url[start..user]) => {
                found.push(Found::new(at + start..at + user, "TOKEN"));
            }
            Some(_) | None => {}
        }
    }
    let mut name: Option<&str> = None;
    let mut part = end;
    for (index, c) in url.char_indices().skip_while(|(index, _)| *index < end) {
        if matches!(c, '/' | '?' | '&' | '#' | '=' | ';') {
            judge_part(url, (at, name), part..index, found);
            name = (c == '=').then(|| &url[part..index]);
            part = index + 1;
        }
    }
    judge_part(url, (at, name), part..url.len(), found);
}

/// One part of a path or query; `name` stood before its `=`.
fn judge_part(
    url: &str,
    (at, name): (usize, Option<&str>),
    part: Range<usize>,
    found: &mut Vec<Found>,
) {
    let Some(value) = url.get(part.clone()).filter(|value| !value.is_empty()) else { return };
    let named = name.filter(|name| is_secret_name(name) && !is_harmless(name, value));
    if let Some(name) = named {
        found.push(Found::new(at + part.start..at + part.end, &shout(name)));
    } else if looks_secret(value) {
        let hint = name.map_or_else(|| "URL_TOKEN".to_owned(), shout);
        found.push(Found::new(at + part.start..at + part.end, &hint));
    }
}

#[cfg(test)]
mod tests {
    use super::{Found, in_argument, in_named, in_text, is_secret_name};

    /// What is left when the secrets are taken out.
    fn covered(text: &str, found: &[Found]) -> String {
        let mut covered = text.to_owned();
        for one in found.iter().rev() {
            covered.replace_range(one.bytes.clone(), "*");
        }
        covered
    }

    #[test]
    fn names_of_secrets_are_known() {
        for name in [
            "GITHUB_TOKEN",
            "apiKey",
            "X-Api-Key",
            "DB_PASS",
            "Authorization",
            "client_secret",
            "authToken",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in
            ["AUTHOR", "MONKEY", "KEYBOARD_LAYOUT", "PASSIVE", "MAX_TOKENS", "SPINNER", "PORT"]
        {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn a_named_value_is_covered_whole_but_for_its_scheme() {
        for (name, value, left) in [
            ("Authorization", "Bearer abc", "Bearer *"),
            ("API_KEY", "with spaces in it", "*"),
            ("AUTH_TYPE", "oauth", "oauth"),
            ("USE_AUTH", "true", "true"),
            ("TOKEN_LIMIT", "5000", "5000"),
            ("DB_PASSWORD", "5000", "*"),
            ("DATABASE_URL", "postgres://me:pw@db/x", "postgres://me:*@db/x"),
            ("KEY_FILE", "/etc/key.pem", "/etc/key.pem"),
            (
                "HEADERS",
                r#"{"Authorization": "Bearer abcdefgh", "X-A": "b"}"#,
                r#"{"Authorization": "Bearer *", "X-A": "b"}"#,
            ),
            ("JSON", r#"{"api_key":"abc","n":1}"#, r#"{"api_key":"*","n":1}"#),
        ] {
            assert_eq!(covered(value, &in_named(name, value)), left, "{name}");
        }
    }

    #[test]
    fn arguments_are_judged_with_the_flag_before_them() {
        for (before, argument, left) in [
            (Some("--api-key"), "abc", "*"),
            (Some("--api-key"), "--other", "--other"),
            (None, "--api-key=a b c", "--api-key=*"),
            (Some("-e"), "DB_PASSWORD=my pass", "DB_PASSWORD=*"),
            (Some("--header"), "Authorization: Bearer xyz", "Authorization: Bearer *"),
            (Some("--header"), "X-Api-Key:xyz", "X-Api-Key:*"),
            (Some("--header"), "X-Api-Key:${KEY}", "X-Api-Key:${KEY}"),
            (None, "https://h/mcp?key=abc&x=1", "https://h/mcp?key=*&x=1"),
            (None, "postgresql://u:p@h:5432/db", "postgresql://u:*@h:5432/db"),
            (None, "run --token abc --port=80 --secret=s", "run --token * --port=80 --secret=*"),
            (
                None,
                "@modelcontextprotocol/server-filesystem",
                "@modelcontextprotocol/server-filesystem",
            ),
            (Some("--directory"), "/srv/data", "/srv/data"),
        ] {
            assert_eq!(covered(argument, &in_argument(before, argument)), left);
        }
    }

    #[test]
    fn urls_lose_what_is_secret_in_any_part() {
        let text = "https://mcp.example.com/api/s/NDk4YjU2ZTEtMTIzNC00NTY3LTg5YWI5/mcp";
        assert_eq!(covered(text, &in_text(text)), "https://mcp.example.com/api/s/*/mcp");
        let text = "https://user@example.com/mcp?apiKey=abc#x";
        assert_eq!(covered(text, &in_text(text)), "https://user@example.com/mcp?apiKey=*#x");
    }
}
