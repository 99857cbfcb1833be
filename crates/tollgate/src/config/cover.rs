//! Covers the secrets of a configuration file with `*`, so that reports may show its lines.
//!
//! Where the file could be parsed, the values below secret keys are covered, wherever such a key
//! stands (a misplaced credential is still one). Where it could not, everything that might be one is.
//! References (`${env:NAME}`) stay visible: they are not the secret. Lengths in bytes are kept.

use crate::config::tree::{Kind, Node};

/// Keys whose values, and everything below them, are never shown.
const SECRET_KEYS: [&str; 3] = ["keys", "header", "headers"];

/// Parts of such keys.
const SECRET_PARTS: [&str; 10] = [
    "credential",
    "authorization",
    "secret",
    "password",
    "passwd",
    "token",
    "api_key",
    "api-key",
    "apikey",
    "private_key",
];

/// Longest unbroken run of letters and digits shown from a file that is not valid YAML.
const RUN_MAX: usize = 20;

/// Covers the secrets of a parsed file.
pub(super) fn cover_tree(source: &str, root: &Node) -> String {
    let mut bytes = source.as_bytes().to_vec();
    cover_node(&mut bytes, root, false);
    into_text(bytes)
}

/// Covers whatever might be a secret in a file that could not be parsed.
pub(super) fn cover_text(source: &str) -> String {
    let mut bytes = source.as_bytes().to_vec();
    let mut secret_below: Option<usize> = None;
    let mut start = 0;
    for line in source.split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        let blank = line.trim().is_empty();
        if secret_below
            .is_some_and(|outer| !blank && indent <= outer && !line.trim_start().starts_with('-'))
        {
            secret_below = None;
        }
        let lower = line.to_ascii_lowercase();
        let secret_key =
            SECRET_KEYS.iter().chain(&SECRET_PARTS).filter_map(|key| lower.find(key)).min();
        let cover_from = match (secret_below, secret_key) {
            (Some(_), _) => Some(indent),
            (None, Some(key)) => line[key..].find(':').map(|colon| key + colon + 1),
            (None, None) => None,
        };
        if secret_below.is_none() && secret_key.is_some() {
            secret_below = Some(indent);
        }
        if let Some(from) = cover_from {
            cover(&mut bytes[start + from..start + line.len()]);
        }
        start += line.len();
    }
    cover_runs(&mut bytes);
    cover_userinfo(&mut bytes);
    into_text(bytes)
}

fn cover_node(bytes: &mut [u8], node: &Node, secret: bool) {
    match &node.kind {
        Kind::Map(entries) => {
            for (name, value) in entries {
                let lower = name.text.to_ascii_lowercase();
                let named = SECRET_KEYS.contains(&lower.as_str())
                    || SECRET_PARTS.iter().any(|part| lower.contains(part));
                cover_node(bytes, value, secret || named);
            }
        }
        Kind::List(items) => items.iter().for_each(|item| cover_node(bytes, item, secret)),
        Kind::Scalar(_) | Kind::Unsettled => {
            let pem = matches!(&node.kind, Kind::Scalar(text) if text.contains("-----BEGIN"));
            let Some(range) = bytes.get_mut(node.at.bytes.clone()) else { return };
            if secret || pem { cover(range) } else { cover_userinfo(range) }
        }
        Kind::Empty => {}
    }
}

/// Covers all but references, quotes and white space.
fn cover(bytes: &mut [u8]) {
    let mut in_reference = false;
    for i in 0..bytes.len() {
        if bytes[i..].starts_with(b"${env:") || bytes[i..].starts_with(b"${file:") {
            in_reference = bytes[i..].contains(&b'}');
        }
        if in_reference {
            in_reference = bytes[i] != b'}';
        } else if !matches!(bytes[i], b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'\'') {
            bytes[i] = b'*';
        }
    }
}

/// Covers `user:password` in `scheme://user:password@host`.
fn cover_userinfo(bytes: &mut [u8]) {
    let mut from = 0;
    while let Some(found) = find(&bytes[from..], b"://") {
        let start = from + found + 3;
        let ends = |b: &u8| matches!(b, b'/' | b' ' | b'"' | b'\'' | b',' | b'\n');
        let end = bytes[start..].iter().position(ends).map_or(bytes.len(), |n| start + n);
        if let Some(at) = bytes[start..end].iter().rposition(|b| *b == b'@') {
            bytes[start..start + at].fill(b'*');
        }
        from = end;
    }
}

fn cover_runs(bytes: &mut [u8]) {
    let in_run = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'_' | b'-' | b'=');
    let mut start = 0;
    while start < bytes.len() {
        let length = bytes[start..].iter().take_while(|b| in_run(**b)).count();
        if length >= RUN_MAX {
            bytes[start..start + length].fill(b'*');
        }
        start += length.max(1);
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// A cover falls on whole characters only in part; what is left of the others becomes `*` as well.
fn into_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| {
        error
            .into_bytes()
            .into_iter()
            .map(|b| if b.is_ascii() { char::from(b) } else { '*' })
            .collect()
    })
}
