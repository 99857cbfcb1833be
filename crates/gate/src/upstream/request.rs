//! Requests on their way out: the head, written straight into bytes.
//!
//! What is the same for every request of an endpoint is written once, in its [`Lead`]; a call adds
//! its own [`Fields`]. Names and values come as `HeaderName` and `HeaderValue`, which admit no line
//! break: nothing a caller says can become a header of its own.
//!
//! Next: `link.rs` sends it; `codec.rs` reads the reply.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Uri};
use std::sync::Arc;
use tollgate_core::principal::{CallerKey, Principal, Proof};

/// Set by the endpoint, whatever the call says.
const OURS: [&str; 5] =
    ["host", "accept-encoding", "content-length", "transfer-encoding", "authorization"];

/// A request as the path hands it over: judged, and without anything the gate itself adds.
#[derive(Debug)]
pub struct Outgoing {
    /// The method.
    pub method: Method,
    /// The headers. `host`, `content-length`, `transfer-encoding` and `accept-encoding` are set by
    /// the endpoint, as are the upstream's configured headers.
    pub headers: Fields,
    /// The body, complete.
    pub body: Bytes,
    /// Whom it is made for; `None` for requests of the gate's own. Decides which child process serves
    /// it and whose token it carries, and is never sent.
    pub on_behalf_of: Option<OnBehalf>,
}

/// Who calls, as the path knows it.
pub type Whom<'a> = (CallerKey, &'a Principal);

/// Whom a request is made for. Two are equal if they are the same caller.
#[derive(Clone, Debug)]
pub struct OnBehalf {
    caller: CallerKey,
    proof: Option<Arc<Proof>>,
}

impl OnBehalf {
    /// For this caller, who is nobody in particular to the upstream.
    #[must_use]
    pub const fn caller_only(caller: CallerKey) -> Self {
        Self { caller, proof: None }
    }

    /// For this caller, whom the upstream may know as a principal.
    #[must_use]
    pub fn principal(caller: CallerKey, principal: &Principal) -> Self {
        Self { caller, proof: principal.proof().cloned() }
    }

    /// What caps and isolation know the caller by.
    #[must_use]
    pub const fn caller(&self) -> CallerKey {
        self.caller
    }

    /// What the caller has proven.
    #[must_use]
    pub const fn proof(&self) -> Option<&Arc<Proof>> {
        self.proof.as_ref()
    }
}

impl PartialEq for OnBehalf {
    fn eq(&self, other: &Self) -> bool {
        self.caller == other.caller
    }
}

impl Eq for OnBehalf {}

impl Outgoing {
    /// Nothing to send: it was handed over already.
    pub(crate) fn empty() -> Self {
        let (method, headers) = (Method::POST, Fields::default());
        Self { method, headers, body: Bytes::new(), on_behalf_of: None }
    }
}

/// Header fields, kept as the lines they will be.
#[derive(Clone, Default)]
pub struct Fields {
    lines: Vec<u8>,
}

impl std::fmt::Debug for Fields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values may be session ids.
        f.debug_list().entries(self.iter().map(|(name, _)| String::from_utf8_lossy(name))).finish()
    }
}

impl Fields {
    /// None yet, with room for what a call usually carries.
    #[must_use]
    pub fn new() -> Self {
        Self { lines: Vec::with_capacity(448) }
    }

    /// Adds a field. Those that the endpoint itself sets are left out.
    pub fn add(&mut self, name: &HeaderName, value: &HeaderValue) {
        if !OURS.contains(&name.as_str()) {
            write_field(&mut self.lines, name, value);
        }
    }

    /// Adds the gate's own credential. Nothing a call says can be there in its place.
    pub(crate) fn authorize(&mut self, value: &HeaderValue) {
        write_field(&mut self.lines, &http::header::AUTHORIZATION, value);
    }

    /// The value of the first field of that name.
    #[must_use]
    pub fn get(&self, name: &HeaderName) -> Option<&[u8]> {
        let (_, line) = self.iter().find(|(known, _)| *known == name.as_str().as_bytes())?;
        let value = &line[name.as_str().len()..];
        value.strip_prefix(b": ")?.strip_suffix(b"\r\n")
    }

    /// Each field's name, and its whole line.
    fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        // INVARIANT: values hold no line feed, and every line has a colon.
        self.lines.split_inclusive(|byte| *byte == b'\n').map(|line| {
            let colon = memchr::memchr(b':', line).unwrap_or(0);
            (&line[..colon], line)
        })
    }
}

fn write_field(lines: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    lines.reserve(name.as_str().len() + value.len() + 4);
    lines.extend_from_slice(name.as_str().as_bytes());
    lines.extend_from_slice(b": ");
    lines.extend_from_slice(value.as_bytes());
    lines.extend_from_slice(b"\r\n");
}

/// What every request of one endpoint URL begins with.
pub(crate) struct Lead {
    target: Box<str>,
    /// From behind the target up to the call's own fields.
    rest: Box<[u8]>,
    configured: Box<[HeaderName]>,
}

impl std::fmt::Debug for Lead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Configured values are credentials.
        f.debug_struct("Lead").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Lead {
    /// For `target` on `host`, with the upstream's configured headers.
    pub(crate) fn new(
        target: &Uri,
        host: &HeaderValue,
        configured: &[(HeaderName, HeaderValue)],
    ) -> Self {
        let mut rest = b" HTTP/1.1\r\n".to_vec();
        write_field(&mut rest, &http::header::HOST, host);
        rest.extend_from_slice(b"accept-encoding: identity\r\n");
        for (name, value) in configured {
            write_field(&mut rest, name, value);
        }
        Self {
            target: origin_form(target),
            rest: rest.into(),
            configured: configured.iter().map(|(name, _)| name.clone()).collect(),
        }
    }

    /// For an endpoint that is not reached by HTTP.
    pub(crate) fn none() -> Self {
        Self { target: "/".into(), rest: Box::default(), configured: Box::default() }
    }

    /// The same for another target.
    pub(crate) fn to(&self, target: &Uri) -> Self {
        Self {
            target: origin_form(target),
            rest: self.rest.clone(),
            configured: self.configured.clone(),
        }
    }

    /// Writes the head of a request.
    pub(crate) fn write(&self, outgoing: &Outgoing, head: &mut Vec<u8>) {
        let method = outgoing.method.as_str();
        let fields = &outgoing.headers;
        head.reserve(method.len() + self.target.len() + self.rest.len() + fields.lines.len() + 48);
        head.extend_from_slice(method.as_bytes());
        head.push(b' ');
        head.extend_from_slice(self.target.as_bytes());
        head.extend_from_slice(&self.rest);
        if self.configured.is_empty() {
            head.extend_from_slice(&fields.lines);
        } else {
            for (name, line) in fields.iter() {
                if !self.configured.iter().any(|known| known.as_str().as_bytes() == name) {
                    head.extend_from_slice(line);
                }
            }
        }
        // SPEC: RFC 9110 8.6: POST says its length even if that is 0; GET without a body says none.
        if !outgoing.body.is_empty() || outgoing.method == Method::POST {
            head.extend_from_slice(b"content-length: ");
            write_decimal(head, outgoing.body.len());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
    }
}

fn origin_form(target: &Uri) -> Box<str> {
    target.path_and_query().map_or("/", |target| target.as_str()).into()
}

fn write_decimal(head: &mut Vec<u8>, mut number: usize) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    head.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::{Fields, Lead, Outgoing};
    use bytes::Bytes;
    use http::{HeaderName, HeaderValue, Method, Uri};

    fn lead(configured: &[(HeaderName, HeaderValue)]) -> Lead {
        let host = HeaderValue::from_static("host:1");
        Lead::new(&Uri::from_static("/mcp?x=1"), &host, configured)
    }

    fn written(lead: &Lead, method: Method, fields: &[(&'static str, &str)], body: &str) -> String {
        let mut headers = Fields::new();
        for (name, value) in fields {
            headers.add(&HeaderName::from_static(name), &value.parse().unwrap());
        }
        let mut head = Vec::new();
        lead.write(
            &Outgoing { method, headers, body: Bytes::from(body.to_owned()), on_behalf_of: None },
            &mut head,
        );
        String::from_utf8(head).unwrap()
    }

    #[test]
    fn no_field_of_a_call_is_a_credential_and_the_gates_own_is_there_once() {
        let theirs = [("authorization", "theirs"), ("kept", "1")];
        let head = written(&lead(&[]), Method::POST, &theirs, "");
        assert!(!head.contains("authorization") && head.contains("\r\nkept: 1\r\n"), "{head}");
        let mut fields = Fields::new();
        fields.authorize(&HeaderValue::from_static("Bearer ours"));
        fields.add(&http::header::AUTHORIZATION, &HeaderValue::from_static("Bearer theirs"));
        assert_eq!(fields.get(&http::header::AUTHORIZATION), Some(&b"Bearer ours"[..]));
        assert_eq!(fields.iter().count(), 1);
    }

    #[test]
    fn head_has_target_host_fields_and_length() {
        assert_eq!(
            written(&lead(&[]), Method::POST, &[("a", "b")], &"x".repeat(1203)),
            "POST /mcp?x=1 HTTP/1.1\r\nhost: host:1\r\naccept-encoding: identity\r\na: b\r\n\
             content-length: 1203\r\n\r\n"
        );
        assert!(written(&lead(&[]), Method::POST, &[], "").contains("\r\ncontent-length: 0\r\n"));
        assert!(!written(&lead(&[]), Method::GET, &[], "").contains("content-length"));
        let other = lead(&[]).to(&Uri::from_static("/fit"));
        assert!(written(&other, Method::GET, &[], "").starts_with("GET /fit HTTP/1.1\r\nhost"));
    }

    #[test]
    fn framing_and_configured_headers_win_over_those_of_the_call() {
        let name = HeaderName::from_static("authorization");
        let lead = lead(&[(name, HeaderValue::from_static("ours"))]);
        let fields = [
            ("authorization", "theirs"),
            ("host", "evil"),
            ("content-length", "1"),
            ("transfer-encoding", "chunked"),
            ("accept-encoding", "gzip"),
            ("kept", "1"),
        ];
        let head = written(&lead, Method::POST, &fields, "");
        assert!(head.contains("\r\nauthorization: ours\r\nkept: 1\r\ncontent-length: 0\r\n\r\n"));
        for gone in ["theirs", "evil", "gzip", "chunked", "content-length: 1"] {
            assert!(!head.contains(gone), "{gone}");
        }
    }

    #[test]
    fn a_field_can_be_read_again() {
        let name = HeaderName::from_static("mcp-session-id");
        let mut fields = Fields::new();
        assert_eq!(fields.get(&name), None);
        fields.add(&HeaderName::from_static("mcp-session"), &HeaderValue::from_static("other"));
        fields.add(&name, &HeaderValue::from_static("a: b"));
        fields.add(&name, &HeaderValue::from_static("second"));
        assert_eq!(fields.get(&name), Some(&b"a: b"[..]));
    }

    #[test]
    fn values_are_not_shown() {
        let name = HeaderName::from_static("authorization");
        let lead = lead(&[(name.clone(), HeaderValue::from_static("hunter2"))]);
        let mut fields = Fields::new();
        fields.add(&name, &HeaderValue::from_static("hunter2"));
        assert!(!format!("{lead:?} {fields:?}").contains("hunter2"));
    }
}
