//! The requests of the load generator, built once and stamped with an id for each call.
//!
//! Ids have a fixed number of digits, so that a call costs the generator two short copies and no
//! formatting. Does no I/O.
//!
//! Next: `replies.rs`.

use crate::tools::{Era, LEGACY_REVISION};

/// Bytes of the argument every call carries.
pub const ARGUMENT_BYTES: usize = 256;
/// The first id; all ids have as many digits.
pub const FIRST_ID: u64 = 1_000_000_000;
const ID_DIGITS: usize = 10;
/// What every modern request says of its client.
const MODERN_META: &str = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"}"#;

/// A `tools/call`, whole, with holes for the id.
#[derive(Clone, Debug)]
pub struct CallRequest {
    bytes: Vec<u8>,
    ids_at: Vec<usize>,
    id: u64,
    /// The same with a token in it, made anew for each call.
    proven: Vec<u8>,
}

impl CallRequest {
    /// A call of the tool with this name; in the legacy era within `session`.
    pub fn new(host: &str, path: &str, name: &str, session: Option<&str>) -> Self {
        let era = if session.is_some() { Era::Legacy } else { Era::Modern };
        let modern = match era {
            Era::Legacy => String::new(),
            Era::Modern => format!("{MODERN_META},"),
        };
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{FIRST_ID},"method":"tools/call","params":{{"name":"{}","arguments":{{"text":"{}"}},"_meta":{{{modern}"progressToken":{FIRST_ID}}}}}}}"#,
            name,
            "q".repeat(ARGUMENT_BYTES),
        );
        let more = match (era, session) {
            (Era::Legacy, Some(session)) => format!("Mcp-Session-Id: {session}\r\n"),
            _ => format!("Mcp-Method: tools/call\r\nMcp-Name: {name}\r\n"),
        };
        let bytes = post(host, path, &version_header(era, &more), &body);
        let mark = FIRST_ID.to_string();
        let ids_at = bytes
            .windows(ID_DIGITS)
            .enumerate()
            .filter(|(_, window)| *window == mark.as_bytes())
            .map(|(at, _)| at)
            .collect();
        Self { bytes, ids_at, id: FIRST_ID, proven: Vec::new() }
    }

    /// Stamps the next id and returns the request with it.
    pub fn stamp(&mut self) -> &[u8] {
        self.id += 1;
        let digits = self.id.to_string();
        for at in &self.ids_at {
            self.bytes[*at..*at + ID_DIGITS].copy_from_slice(digits.as_bytes());
        }
        &self.bytes
    }

    /// Stamps the next id and returns the request with it and with a token.
    pub fn stamp_with(&mut self, token: &str) -> &[u8] {
        self.stamp();
        let line = self.bytes.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.proven.clear();
        self.proven.extend_from_slice(&self.bytes[..line]);
        self.proven.extend_from_slice(b"Authorization: Bearer ");
        self.proven.extend_from_slice(token.as_bytes());
        self.proven.extend_from_slice(b"\r\n");
        self.proven.extend_from_slice(&self.bytes[line..]);
        &self.proven
    }

    /// The id stamped last.
    pub fn id(&self) -> u64 {
        self.id
    }
}

/// `initialize`.
pub fn initialize(host: &str, path: &str) -> Vec<u8> {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{LEGACY_REVISION}","capabilities":{{}},"clientInfo":{{"name":"bench","version":"1"}}}}}}"#
    );
    post(host, path, "", &body)
}

/// `notifications/initialized`.
pub fn initialized(host: &str, path: &str, session: &str) -> Vec<u8> {
    let more = format!("Mcp-Session-Id: {session}\r\n");
    let body = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    post(host, path, &version_header(Era::Legacy, &more), body)
}

/// The GET that opens a session's stream.
pub fn stream(host: &str, path: &str, session: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n\
         MCP-Protocol-Version: {LEGACY_REVISION}\r\nMcp-Session-Id: {session}\r\n\r\n"
    )
    .into_bytes()
}

/// `tools/list`, of the page that `cursor` names.
pub fn list(host: &str, path: &str, session: Option<&str>, cursor: Option<&str>) -> Vec<u8> {
    let cursor = cursor.map(|cursor| format!(r#","cursor":{}"#, serde_json::Value::from(cursor)));
    let cursor = cursor.unwrap_or_default();
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{"_meta":{{{}}}{cursor}}}}}"#,
        match session {
            Some(_) => "",
            None => MODERN_META,
        }
    );
    let headers = match session {
        Some(session) => version_header(Era::Legacy, &format!("Mcp-Session-Id: {session}\r\n")),
        None => version_header(Era::Modern, "Mcp-Method: tools/list\r\n"),
    };
    post(host, path, &headers, &body)
}

fn version_header(era: Era, more: &str) -> String {
    format!("MCP-Protocol-Version: {}\r\n{more}", era.revision())
}

fn post(host: &str, path: &str, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_stands_among_the_headers() {
        let mut call = CallRequest::new("h", "/mcp", "json_1k", None);
        let text = String::from_utf8(call.stamp_with("t1").to_vec()).unwrap();
        assert!(text.starts_with("POST /mcp HTTP/1.1\r\nAuthorization: Bearer t1\r\nHost: h\r\n"));
        assert_eq!(text.matches("1000000001").count(), 2);
    }

    #[test]
    fn each_call_carries_its_own_id_and_token() {
        let mut call = CallRequest::new("h", "/mcp", "json_1k", Some("s"));
        let first = String::from_utf8(call.stamp().to_vec()).unwrap();
        let second = String::from_utf8(call.stamp().to_vec()).unwrap();
        assert_eq!(first.matches("1000000001").count(), 2);
        assert_eq!(second.matches("1000000002").count(), 2);
    }
}
