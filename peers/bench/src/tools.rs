//! The tools of the benchmark's upstream, and the exact bytes of what they answer.
//!
//! Upstream and load generator share these templates: the one fills in the id, the other compares.
//! Nothing here depends on the network.
//!
//! Next: `replies.rs`, which compares; `bin/upstream.rs`, which sends.

/// The two eras of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Era {
    /// `initialize` and `Mcp-Session-Id`.
    Legacy,
    /// 2026-07-28: no session.
    Modern,
}

/// The revision the benchmark speaks in the legacy era.
pub const LEGACY_REVISION: &str = "2025-11-25";
/// The revision the benchmark speaks in the modern era.
pub const MODERN_REVISION: &str = "2026-07-28";

impl Era {
    /// The value of `MCP-Protocol-Version`.
    pub fn revision(self) -> &'static str {
        match self {
            Era::Legacy => LEGACY_REVISION,
            Era::Modern => MODERN_REVISION,
        }
    }
}

/// How a tool's reply travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One JSON document.
    Json,
    /// An event stream: a progress notification, then the result.
    Sse,
}

/// One tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tool {
    /// As in `params.name`.
    pub name: &'static str,
    /// How the reply travels.
    pub framing: Framing,
    /// Length of the text in the result.
    pub text_bytes: usize,
    /// Milliseconds between the first event and the second.
    pub pause_ms: u64,
}

/// All tools.
pub const TOOLS: [Tool; 5] = [
    Tool { name: "json_1k", framing: Framing::Json, text_bytes: 1024, pause_ms: 0 },
    Tool { name: "json_64k", framing: Framing::Json, text_bytes: 64 * 1024, pause_ms: 0 },
    Tool { name: "sse_1k", framing: Framing::Sse, text_bytes: 1024, pause_ms: 0 },
    Tool { name: "sse_64k", framing: Framing::Sse, text_bytes: 64 * 1024, pause_ms: 0 },
    Tool { name: "first_byte", framing: Framing::Sse, text_bytes: 1024, pause_ms: 50 },
];

/// The tool of this name.
pub fn tool(name: &str) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.name == name)
}

/// Bytes around one hole, which takes the request's id.
#[derive(Clone, Debug)]
pub struct Template {
    /// Up to the hole.
    pub before: Vec<u8>,
    /// From the hole on.
    pub after: Vec<u8>,
}

impl Template {
    fn around(text: &str) -> Self {
        let (before, after) = text.split_once('\u{0}').unwrap_or((text, ""));
        Self { before: before.as_bytes().to_vec(), after: after.as_bytes().to_vec() }
    }

    /// Length with this id in the hole.
    pub fn len_with(&self, id: &[u8]) -> usize {
        self.before.len() + id.len() + self.after.len()
    }

    /// Appends the bytes with this id in the hole.
    pub fn fill(&self, id: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&self.before);
        out.extend_from_slice(id);
        out.extend_from_slice(&self.after);
    }

    /// What is left of `bytes` after this template, if they start with it.
    pub fn strip<'a>(&self, id: &[u8], bytes: &'a [u8]) -> Option<&'a [u8]> {
        bytes
            .strip_prefix(self.before.as_slice())?
            .strip_prefix(id)?
            .strip_prefix(self.after.as_slice())
    }
}

/// The body of a tool's reply.
#[derive(Clone, Debug)]
pub struct ReplyBody {
    /// The progress notification, for event streams; its hole takes the progress token, which is the
    /// request's id.
    pub progress: Option<Template>,
    /// The result: the whole JSON body, or the last event.
    pub result: Template,
}

impl ReplyBody {
    /// What `tool` answers in `era`.
    pub fn of(tool: &Tool, era: Era) -> Self {
        let text: String = ('a'..='z').cycle().take(tool.text_bytes).collect();
        let kind = match era {
            Era::Legacy => "",
            Era::Modern => r#""resultType":"complete","#,
        };
        let result = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":\u{0},\"result\":{{{kind}\"content\":\
             [{{\"type\":\"text\",\"text\":\"{text}\"}}],\"isError\":false}}}}"
        );
        match tool.framing {
            Framing::Json => Self { progress: None, result: Template::around(&result) },
            Framing::Sse => Self {
                progress: Some(Template::around(
                    "event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\
                     \"notifications/progress\",\"params\":{\"progressToken\":\u{0},\
                     \"progress\":1,\"total\":2}}\n\n",
                )),
                result: Template::around(&format!("event: message\ndata: {result}\n\n")),
            },
        }
    }
}
