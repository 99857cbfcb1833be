//! Judges one HTTP/1 request head line by line, and says how its body is framed.
//!
//! Stricter than RFC 9112 lets a recipient be: whatever another parser might read differently is a
//! violation, even where we would know what to do. It keeps no header and no copy; hyper parses the
//! same bytes into the request. That a name is one of ours (`Host` policy) is decided later.
//!
//! Next: `framing.rs`, which cuts the stream into these lines.

/// Why a byte stream stopped being HTTP/1 for us. For the log only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Violation {
    #[error("a line does not end with CRLF, or holds a control character")]
    Line,
    #[error("malformed request line")]
    RequestLine,
    #[error("malformed header field")]
    Field,
    #[error("not exactly one valid `Host`")]
    Host,
    #[error("`Content-Length` is repeated or not a plain number")]
    Length,
    #[error("a transfer coding other than `chunked`, or one in HTTP/1.0")]
    Coding,
    #[error("both `Transfer-Encoding` and `Content-Length`")]
    Ambiguous,
    #[error("request head too large")]
    HeadTooLarge,
    #[error("malformed or oversized chunk")]
    Chunk,
    #[error("trailers too large")]
    TrailersTooLarge,
}

/// How the body after a head is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyFraming {
    Length(u64),
    Chunked,
}

/// What the lines of one head have said so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Head {
    has_request_line: bool,
    is_http_10: bool,
    hosts: u8,
    length: Option<u64>,
    is_chunked: bool,
    fields: usize,
}

/// LIMIT: digits of a `Content-Length`; 19 always fit in 64 bits.
const LENGTH_DIGITS_MAX: usize = 19;

impl Head {
    /// Takes one line without its CRLF. `Some` at the empty line that ends the head.
    pub(super) fn line(&mut self, line: &[u8]) -> Result<Option<BodyFraming>, Violation> {
        if !self.has_request_line {
            self.has_request_line = true;
            self.is_http_10 = is_http_10(line)?;
            return Ok(None);
        }
        if line.is_empty() {
            return self.end().map(Some);
        }
        let (name, value) = field(line)?;
        self.fields += 1;
        // One more than allowed goes through: hyper counts too and answers it with 431.
        if self.fields > tollgate_core::bounds::HEADERS_MAX + 1 {
            return Err(Violation::HeadTooLarge);
        }
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                self.hosts = self.hosts.saturating_add(1);
                if self.hosts > 1 || !is_host(value) {
                    return Err(Violation::Host);
                }
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                let earlier = self.length.replace(length(value)?);
                if earlier.is_some() {
                    return Err(Violation::Length);
                }
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                // SPEC: RFC 9112 6.1 allows other codings before `chunked`; we decode none of them
                // and must not forward their bytes as plain ones.
                if self.is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Violation::Coding);
                }
                self.is_chunked = true;
            }
            _ => {}
        }
        Ok(None)
    }

    const fn end(&self) -> Result<BodyFraming, Violation> {
        match (self.is_chunked, self.length) {
            (true, Some(_)) => Err(Violation::Ambiguous),
            (true, None) if self.is_http_10 => Err(Violation::Coding),
            _ if self.hosts == 0 && !self.is_http_10 => Err(Violation::Host),
            (true, None) => Ok(BodyFraming::Chunked),
            (false, Some(length)) => Ok(BodyFraming::Length(length)),
            (false, None) => Ok(BodyFraming::Length(0)),
        }
    }
}

/// Splits a header or trailer line. Folded lines and spaces before the colon fail as name bytes.
pub(super) fn field(line: &[u8]) -> Result<(&[u8], &[u8]), Violation> {
    // The first byte that no name may hold must be the colon.
    let colon = line.iter().position(|&byte| !TOKEN[usize::from(byte)]).unwrap_or(0);
    let (name, value) = line.split_at(colon);
    if name.is_empty() || value.first() != Some(&b':') {
        return Err(Violation::Field);
    }
    // Not short-circuiting, so that the compiler makes it wide.
    let has_control = value
        .iter()
        .fold(false, |found, &byte| found | ((byte < 0x20) & (byte != b'\t')) | (byte == 0x7f));
    if has_control {
        return Err(Violation::Line);
    }
    Ok((name, trim(value.get(1..).unwrap_or_default())))
}

/// `METHOD SP target SP HTTP/1.x`; true for HTTP/1.0.
fn is_http_10(line: &[u8]) -> Result<bool, Violation> {
    let refused = Violation::RequestLine;
    let space = memchr::memchr(b' ', line).ok_or(refused)?;
    let (method, rest) = line.split_at(space);
    let rest = rest.get(1..).unwrap_or_default();
    let space = memchr::memchr(b' ', rest).ok_or(refused)?;
    let (target, version) = rest.split_at(space);
    let is_token = !method.is_empty() && method.iter().all(|byte| TOKEN[usize::from(*byte)]);
    // A fragment is never sent; hyper would drop it silently, others might not.
    let is_plain = target.iter().all(|&byte| (0x21..0x7f).contains(&byte) && byte != b'#');
    let has_form = target.first() == Some(&b'/')
        || starts_with_scheme(target)
        || (target == b"*" && method == b"OPTIONS");
    // CONNECT makes tunnels; the gate has none to offer.
    if !is_token || !is_plain || !has_form || method == b"CONNECT" {
        return Err(refused);
    }
    match version {
        b" HTTP/1.1" => Ok(false),
        b" HTTP/1.0" => Ok(true),
        _ => Err(refused),
    }
}

fn starts_with_scheme(target: &[u8]) -> bool {
    let is = |scheme: &[u8]| {
        target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    is(b"http://") || is(b"https://")
}

fn length(value: &[u8]) -> Result<u64, Violation> {
    if value.is_empty() || value.len() > LENGTH_DIGITS_MAX {
        return Err(Violation::Length);
    }
    value.iter().try_fold(0_u64, |sum, byte| match byte {
        b'0'..=b'9' => Ok(sum * 10 + u64::from(byte - b'0')),
        _ => Err(Violation::Length),
    })
}

/// A name or address, with or without a port. No userinfo, no list, no empty value.
fn is_host(value: &[u8]) -> bool {
    let (host, port) = match value {
        [b'[', rest @ ..] => match memchr::memchr(b']', rest) {
            Some(end) => {
                let (address, port) = rest.split_at(end);
                if !address.iter().all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.')) {
                    return false;
                }
                (address, port.get(1..).unwrap_or_default())
            }
            None => return false,
        },
        _ => {
            let end = memchr::memchr(b':', value).unwrap_or(value.len());
            let (host, port) = value.split_at(end);
            if !host.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')) {
                return false;
            }
            (host, port)
        }
    };
    let is_port = match port {
        [] => true,
        [b':', digits @ ..] => {
            (1..=5).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    };
    !host.is_empty() && is_port
}

fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// SPEC: RFC 9110 5.6.2, `tchar`.
pub(super) const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = matches!(
            byte as u8,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'!' | b'#' | b'$' | b'%' | b'&' | b'\''
                | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        );
        byte += 1;
    }
    table
};
