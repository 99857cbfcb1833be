//! `bench-upstream`: a fast MCP server of both eras, so that it is never what is measured.
//!
//! One thread, HTTP/1.1 by hand, replies from templates. Sessions are only checked for presence:
//! this is load, not a server to learn from. `GET /stats` tells what has reached it.
//!
//! Next: `bench_peers::tools`, which it serves.

use bench_peers::leash::follow_input;
use bench_peers::tools::{Era, Framing, LEGACY_REVISION, ReplyBody, TOOLS, Template, Tool};
use bench_peers::wire::{Chunks, Length, Method, RequestHead, request_head};
use bytes::{Buf, BytesMut};
use clap::Parser;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::cell::Cell;
use std::io::Write;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::LocalOptions;

/// Serves MCP at any path.
#[derive(Debug, Parser)]
struct Flags {
    /// Where to listen.
    #[arg(long)]
    listen: SocketAddr,
    /// Tools listed, of about 300 bytes each; only the benchmark's own can be called.
    #[arg(long, default_value_t = TOOLS.len())]
    tools: usize,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: Option<&'a str>,
    #[serde(borrow)]
    params: Option<Params<'a>>,
}

#[derive(Deserialize)]
struct Params<'a> {
    name: Option<&'a str>,
    #[serde(borrow, rename = "_meta")]
    meta: Option<Meta<'a>>,
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow, rename = "progressToken")]
    token: Option<&'a RawValue>,
}

/// Everything the connections share: templates and counters.
struct House {
    bodies: Vec<(&'static Tool, ReplyBody, ReplyBody)>,
    list: String,
    calls: Cell<u64>,
    sessions: Cell<u64>,
    streams: Cell<u64>,
}

/// What follows the bytes already prepared.
enum Then {
    /// Nothing: the next request.
    Next,
    /// After so many milliseconds, the rest of an event stream.
    Rest(u64, Vec<u8>),
    /// A silent stream until the peer leaves.
    Silence,
}

const NO_BODY: &[u8] = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
const NO_SESSION: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
const EVENTS: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: \
    no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";

impl House {
    fn new(tools: usize) -> Self {
        let both =
            |tool| (tool, ReplyBody::of(tool, Era::Legacy), ReplyBody::of(tool, Era::Modern));
        let bodies = TOOLS.iter().map(both).collect();
        let list = listed(tools);
        Self { bodies, list, calls: Cell::new(0), sessions: Cell::new(0), streams: Cell::new(0) }
    }

    fn answer(&self, head: &RequestHead, body: &[u8], out: &mut Vec<u8>) -> Then {
        match head.method {
            _ if head.is_stats => json(out, "", &self.stats()),
            Method::Post => return self.answer_message(head, body, out),
            _ if !head.has_session => out.extend_from_slice(NO_SESSION),
            Method::Get => {
                self.streams.set(self.streams.get() + 1);
                out.extend_from_slice(EVENTS);
                return Then::Silence;
            }
            Method::Delete | Method::Other => out.extend_from_slice(NO_BODY),
        }
        Then::Next
    }

    fn stats(&self) -> String {
        let (calls, sessions) = (self.calls.get(), self.sessions.get());
        format!("{{\"calls\":{calls},\"sessions\":{sessions},\"streams\":{}}}", self.streams.get())
    }

    fn answer_message(&self, head: &RequestHead, body: &[u8], out: &mut Vec<u8>) -> Then {
        let Ok(message) = serde_json::from_slice::<Message<'_>>(body) else {
            out.extend_from_slice(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
            return Then::Next;
        };
        let (Some(id), Some(method)) = (message.id, message.method) else {
            out.extend_from_slice(NO_BODY);
            return Then::Next;
        };
        if !head.is_modern && !head.has_session && method != "initialize" {
            out.extend_from_slice(NO_SESSION);
            return Then::Next;
        }
        match method {
            "tools/call" => return self.answer_call(head, id, &message.params, out),
            "initialize" => {
                self.sessions.set(self.sessions.get() + 1);
                let session = format!("Mcp-Session-Id: bench-{:016x}\r\n", self.sessions.get());
                result(out, &session, id, &initialized());
            }
            "server/discover" => result(out, "", id, &discovered()),
            "tools/list" => result(out, "", id, &self.list),
            "ping" => result(out, "", id, "{}"),
            _ => fault(out, head.is_modern, id, -32601),
        }
        Then::Next
    }

    fn answer_call(
        &self,
        head: &RequestHead,
        id: &RawValue,
        params: &Option<Params<'_>>,
        out: &mut Vec<u8>,
    ) -> Then {
        let name = params.as_ref().and_then(|params| params.name);
        let found = self.bodies.iter().find(|(tool, _, _)| Some(tool.name) == name);
        let Some((tool, legacy, modern)) = found else {
            fault(out, head.is_modern, id, -32602);
            return Then::Next;
        };
        self.calls.set(self.calls.get() + 1);
        let body = if head.is_modern { modern } else { legacy };
        let id = id.get().as_bytes();
        let token = params.as_ref().and_then(|params| params.meta.as_ref()).and_then(|m| m.token);
        match (tool.framing, &body.progress) {
            (Framing::Sse, Some(progress)) => {
                out.extend_from_slice(EVENTS);
                if let Some(token) = token {
                    chunk(out, progress, token.get().as_bytes());
                }
                let mut rest = Vec::with_capacity(tool.text_bytes + 256);
                chunk(&mut rest, &body.result, id);
                rest.extend_from_slice(b"0\r\n\r\n");
                Then::Rest(tool.pause_ms, rest)
            }
            _ => {
                json_head(out, "", body.result.len_with(id));
                body.result.fill(id, out);
                Then::Next
            }
        }
    }
}

fn json_head(out: &mut Vec<u8>, headers: &str, length: usize) {
    // INVARIANT: writing to a Vec does not fail.
    let _ = write!(
        out,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{headers}Content-Length: {length}\r\n\r\n"
    );
}

fn json(out: &mut Vec<u8>, headers: &str, body: &str) {
    json_head(out, headers, body.len());
    out.extend_from_slice(body.as_bytes());
}

fn result(out: &mut Vec<u8>, headers: &str, id: &RawValue, result: &str) {
    json(out, headers, &format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}"));
}

fn fault(out: &mut Vec<u8>, is_modern: bool, id: &RawValue, code: i32) {
    let body = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{{\"code\":{code},\"message\":\"unknown\"}}}}"
    );
    // SPEC: 2026-07-28, streamable HTTP: an unimplemented method is 404.
    let status = if is_modern && code == -32601 { "404 Not Found" } else { "200 OK" };
    let length = body.len();
    out.extend_from_slice(
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .as_bytes(),
    );
}

fn chunk(out: &mut Vec<u8>, event: &Template, id: &[u8]) {
    // INVARIANT: writing to a Vec does not fail.
    let _ = write!(out, "{:x}\r\n", event.len_with(id));
    event.fill(id, out);
    out.extend_from_slice(b"\r\n");
}

fn initialized() -> String {
    format!(
        r#"{{"protocolVersion":"{LEGACY_REVISION}","capabilities":{{"tools":{{}}}},"serverInfo":{{"name":"bench","version":"1"}}}}"#
    )
}

fn discovered() -> String {
    r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":60000,"cacheScope":"public","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"bench","version":"1"}}}"#.to_owned()
}

fn listed(count: usize) -> String {
    let own = TOOLS.iter().map(|tool| {
        format!(
            r#"{{"name":"{}","inputSchema":{{"type":"object","properties":{{"text":{{"type":"string"}}}}}}}}"#,
            tool.name
        )
    });
    let more = (TOOLS.len()..).map(|n| {
        format!(
            r#"{{"name":"tool_{n:03}","description":"Looks up what is known about a customer and the orders of that customer, newest first.","inputSchema":{{"type":"object","properties":{{"customer":{{"type":"string","description":"Number or name"}},"limit":{{"type":"integer","minimum":1,"maximum":100}}}},"required":["customer"]}}}}"#
        )
    });
    let tools: Vec<String> = own.chain(more).take(count).collect();
    format!(
        r#"{{"resultType":"complete","ttlMs":60000,"cacheScope":"public","tools":[{}]}}"#,
        tools.join(",")
    )
}

async fn serve(mut stream: TcpStream, house: Rc<House>) -> anyhow::Result<()> {
    let (mut buf, mut body, mut out) = (BytesMut::new(), Vec::new(), Vec::new());
    loop {
        let head = loop {
            if let Some(head) = request_head(&buf)? {
                break head;
            }
            buf.reserve(2048);
            if stream.read_buf(&mut buf).await? == 0 {
                return Ok(());
            }
        };
        buf.advance(head.bytes);
        read_body(&mut stream, &head, &mut buf, &mut body).await?;
        out.clear();
        let then = house.answer(&head, &body, &mut out);
        stream.write_all(&out).await?;
        match then {
            Then::Next => {}
            Then::Rest(pause_ms, rest) => {
                if pause_ms > 0 {
                    tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                }
                stream.write_all(&rest).await?;
            }
            Then::Silence => {
                stream.read_buf(&mut buf).await?;
                return Ok(());
            }
        }
    }
}

async fn read_body(
    stream: &mut TcpStream,
    head: &RequestHead,
    buf: &mut BytesMut,
    body: &mut Vec<u8>,
) -> anyhow::Result<()> {
    body.clear();
    let mut chunks = Chunks::default();
    loop {
        let done = match head.length {
            Length::Exact(bytes) if buf.len() >= bytes => {
                body.extend_from_slice(&buf[..bytes]);
                buf.advance(bytes);
                true
            }
            Length::Exact(_) => false,
            Length::Chunked => chunks.decode(buf, body)?,
        };
        if done {
            return Ok(());
        }
        buf.reserve(2048);
        anyhow::ensure!(stream.read_buf(buf).await? > 0, "closed within a body");
    }
}

async fn accept(flags: Flags) -> anyhow::Result<()> {
    let listener = TcpListener::bind(flags.listen).await?;
    let house = Rc::new(House::new(flags.tools));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // A connection that fails ends; who called it notices.
        tokio::task::spawn_local(serve(stream, house.clone()));
    }
}

fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    follow_input();
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build_local(LocalOptions::default())?.block_on(accept(flags))
}
