//! Whether a resource's URI has one reading only, so that who judges its text judges what is read.
//!
//! Not a parser and not a normaliser: what could be spelled in another way is refused, never changed.
//! Asked only where a policy judges URIs; elsewhere they are carried as they are.
//!
//! SPEC: RFC 3986 section 6.2 (what counts as the same URI), section 5.2.4 (dot segments).

/// Whether no other spelling, and no careless reader, could make another resource of this URI, or of
/// this URI template.
#[must_use]
pub fn is_unambiguous(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else { return false };
    if !is_scheme(scheme) || !rest.bytes().all(is_plain) || !encodings_are_needed(rest) {
        return false;
    }
    let (path, authority) = match rest.strip_prefix("//") {
        None => (rest, None),
        Some(rest) => {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            (&rest[end..], Some(&rest[..end]))
        }
    };
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    authority.is_none_or(|authority| is_authority(scheme, authority)) && is_path(path)
}

fn is_scheme(scheme: &str) -> bool {
    let rest = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.');
    scheme.starts_with(|first: char| first.is_ascii_lowercase()) && scheme.bytes().all(rest)
}

/// What a URI may hold as it is, braces of templates included; no fragment, no backslash, no space.
const fn is_plain(byte: u8) -> bool {
    matches!(byte, b'!' | b'$'..=b';' | b'=' | b'?'..=b'[' | b']' | b'_' | b'a'..=b'{' | b'}' | b'~')
}

/// Whether each `%XX` is spelled in the one way, stands for something that has no plain spelling, and
/// becomes nothing else when decoded twice.
fn encodings_are_needed(text: &str) -> bool {
    text.split('%').skip(1).all(|behind| {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'A'..=b'F' => Some(byte - b'A' + 10),
            _ => None,
        };
        let [first, second, rest @ ..] = behind.as_bytes() else { return false };
        let (Some(high), Some(low)) = (digit(*first), digit(*second)) else { return false };
        match high << 4 | low {
            // Unreserved, and what readers take for a separator.
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => false,
            b'/' | b'\\' | 0..=0x1f | 0x7f => false,
            b'%' => !matches!(rest, [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()),
            _ => true,
        }
    })
}

fn is_authority(scheme: &str, authority: &str) -> bool {
    let default_port = match scheme {
        "http" | "ws" => ":80",
        "https" | "wss" => ":443",
        _ => ":",
    };
    let is_odd = |byte: u8| byte.is_ascii_uppercase() || matches!(byte, b'@' | b'%');
    !authority.bytes().any(is_odd)
        && !authority.ends_with([':', '.'])
        && !authority.ends_with(default_port)
}

/// No empty segment, which readers skip, and none that leads elsewhere.
fn is_path(path: &str) -> bool {
    let path = path.strip_prefix('/').unwrap_or(path);
    let last = path.split('/').count().saturating_sub(1);
    path.split('/').enumerate().all(|(at, segment)| {
        let name = segment.split(';').next().unwrap_or_default();
        let is_dots = matches!(name, "." | "..");
        !is_dots && (!segment.is_empty() || at == last)
    })
}

#[cfg(test)]
mod tests {
    use super::is_unambiguous;

    #[test]
    fn ordinary_uris_and_templates_pass() {
        for uri in [
            "file:///srv/docs/a.txt",
            "file:///srv/docs/",
            "file:///srv/a%20b.txt",
            "file:///srv/%C3%A9t%C3%A9",
            "https://example.com/a/b?q=http://x//y&z=..",
            "https://example.com:8443",
            "note:abc",
            "ui://weather/dashboard.html",
            "github://repos/{owner}/{repo}/contents{/path*}",
            "file:///srv/.hidden/..name/a..b",
            "urn:isbn:0-486-27557-4",
            "db://[2001:db8::1]/t",
            "test://a/100%25",
        ] {
            assert!(is_unambiguous(uri), "{uri}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_does_not() {
        for uri in [
            "",
            "srv/docs",
            ":x",
            "File:///srv/a",
            "FILE:///srv/a",
            "1a:///srv",
            "file:///srv/../etc",
            "file:///srv/./a",
            "file:///srv/..",
            "file:///srv/..;/etc",
            "file:///srv//a",
            "file:////srv/a",
            "file:///srv/%2e%2e/etc",
            "file:///srv/%2E%2E/etc",
            "file:///srv%2Fa",
            "file:///srv%5Ca",
            "file:///srv\\..\\etc",
            "file:///srv/a%00",
            "file:///srv/a%0A",
            "file:///srv/%61",
            "file:///srv/%7Ea",
            "file:///srv/%c3%a9",
            "file:///srv/%252e%252e/x",
            "file:///srv/%252E",
            "file:///srv/%",
            "file:///srv/%4",
            "file:///srv/%zz",
            "file:///srv/a#b",
            "file:///srv/a b",
            "file:///srv/\u{e9}",
            "file:///srv/a\n",
            "https://user@example.com/",
            "https://user:pass@example.com/",
            "https://EXAMPLE.com/",
            "https://example.com:/",
            "https://example.com:443/",
            "http://example.com:80/",
            "https://example.com./",
            "https://ex%41mple.com/",
            "note:a/../b",
        ] {
            assert!(!is_unambiguous(uri), "{uri}");
        }
    }
}
