//! Judges replies: a benchmark that does not check what it is answered measures nothing.
//!
//! The usual reply is byte for byte what the upstream sent, and a comparison says so cheaply. A proxy
//! may frame events anew or write JSON its own way; then the reply is parsed and judged by meaning.
//!
//! Next: `connection.rs`.

use crate::tools::{Era, Framing, ReplyBody, Tool};
use serde_json::Value;

/// Why a reply is not the answer to the call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// The status is not 200.
    #[error("status {status}: {start}")]
    Status {
        /// What it is.
        status: u16,
        /// How the body starts.
        start: String,
    },
    /// JSON where events were due, or the other way round.
    #[error("wrong content type for this tool")]
    Framing,
    /// Not JSON.
    #[error("the message is not JSON: {0}")]
    Json(String),
    /// The answer to another call, or an error.
    #[error("no result for id {wanted} but {start}")]
    Id {
        /// The id of the call.
        wanted: u64,
        /// How the message starts.
        start: String,
    },
    /// The result's text is too short or too long.
    #[error("the text has {found} bytes instead of {wanted}")]
    Text {
        /// What it should have.
        wanted: usize,
        /// What it has.
        found: usize,
    },
    /// Progress notifications are missing or too many.
    #[error("{0} progress notifications instead of one")]
    Progress(usize),
}

/// How a right reply was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fidelity {
    /// Byte for byte what the upstream sent.
    Exact,
    /// The same meaning in other bytes.
    Rewritten,
}

/// Judges the replies of one tool in one era.
#[derive(Clone, Debug)]
pub struct Judge {
    body: ReplyBody,
    framing: Framing,
    text_bytes: usize,
}

impl Judge {
    /// For `tool` as answered in `era`.
    pub fn new(tool: &Tool, era: Era) -> Self {
        let body = ReplyBody::of(tool, era);
        Self { body, framing: tool.framing, text_bytes: tool.text_bytes }
    }

    /// Judges one reply to the call `id`.
    pub fn check(
        &self,
        status: u16,
        is_events: bool,
        body: &[u8],
        id: u64,
    ) -> Result<Fidelity, ReplyError> {
        if status != 200 {
            return Err(ReplyError::Status { status, start: start(body) });
        }
        if is_events != (self.framing == Framing::Sse) {
            return Err(ReplyError::Framing);
        }
        if self.is_exact(body, id.to_string().as_bytes()) {
            return Ok(Fidelity::Exact);
        }
        match self.framing {
            Framing::Json => self.check_result(body, id)?,
            Framing::Sse => self.check_events(body, id)?,
        }
        Ok(Fidelity::Rewritten)
    }

    fn is_exact(&self, body: &[u8], id: &[u8]) -> bool {
        let rest = match &self.body.progress {
            Some(progress) => progress.strip(id, body),
            None => Some(body),
        };
        rest.and_then(|rest| self.body.result.strip(id, rest)).is_some_and(<[u8]>::is_empty)
    }

    fn check_events(&self, body: &[u8], id: u64) -> Result<(), ReplyError> {
        let text = std::str::from_utf8(body).map_err(|e| ReplyError::Json(e.to_string()))?;
        let mut messages: Vec<String> = text.split("\n\n").filter_map(event_data).collect();
        let result = messages.pop().unwrap_or_default();
        let progress = messages.iter().filter(|m| m.contains("notifications/progress")).count();
        if progress != 1 || messages.len() != 1 {
            return Err(ReplyError::Progress(progress));
        }
        self.check_result(result.as_bytes(), id)
    }

    fn check_result(&self, message: &[u8], id: u64) -> Result<(), ReplyError> {
        let value: Value =
            serde_json::from_slice(message).map_err(|e| ReplyError::Json(e.to_string()))?;
        if value["id"].as_u64() != Some(id) || value.get("result").is_none() {
            return Err(ReplyError::Id { wanted: id, start: start(message) });
        }
        let text = value["result"]["content"][0]["text"].as_str().unwrap_or_default();
        if text.len() != self.text_bytes {
            return Err(ReplyError::Text { wanted: self.text_bytes, found: text.len() });
        }
        Ok(())
    }
}

/// The data of one event, if it has any: comments, ids and empty (priming) events have none.
fn event_data(event: &str) -> Option<String> {
    let lines: Vec<&str> = event
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(|data| data.strip_prefix(' ').unwrap_or(data))
        .collect();
    let data = lines.join("\n");
    if data.is_empty() { None } else { Some(data) }
}

fn start(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(160)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::tool;

    fn reply(name: &str, era: Era, id: u64) -> (Judge, Vec<u8>) {
        let tool = tool(name).unwrap();
        let (body, id, mut out) = (ReplyBody::of(tool, era), id.to_string(), Vec::new());
        if let Some(progress) = &body.progress {
            progress.fill(id.as_bytes(), &mut out);
        }
        body.result.fill(id.as_bytes(), &mut out);
        (Judge::new(tool, era), out)
    }

    #[test]
    fn untouched_replies_are_exact() {
        for name in ["json_1k", "json_64k", "sse_1k", "sse_64k"] {
            for era in [Era::Legacy, Era::Modern] {
                let (judge, body) = reply(name, era, 7);
                let verdict = judge.check(200, name.starts_with("sse"), &body, 7);
                assert_eq!(verdict, Ok(Fidelity::Exact), "{name} {era:?}");
            }
        }
    }

    #[test]
    fn reply_to_another_id_is_refused() {
        for name in ["json_1k", "sse_1k"] {
            let (judge, body) = reply(name, Era::Legacy, 8);
            let verdict = judge.check(200, name == "sse_1k", &body, 7);
            assert!(matches!(verdict, Err(ReplyError::Id { wanted: 7, .. })), "{verdict:?}");
        }
    }

    #[test]
    fn short_text_is_refused() {
        let (_, body) = reply("json_1k", Era::Legacy, 7);
        let judge = Judge::new(tool("json_64k").unwrap(), Era::Legacy);
        let verdict = judge.check(200, false, &body, 7);
        assert_eq!(verdict, Err(ReplyError::Text { wanted: 65536, found: 1024 }));
    }

    #[test]
    fn rewritten_events_count_by_meaning() {
        let (judge, body) = reply("sse_1k", Era::Legacy, 7);
        let text = String::from_utf8(body).unwrap();
        let rewritten = format!(": hello\n\n{}", text.replace("event: message\n", "id: 1\n"));
        let verdict = judge.check(200, true, rewritten.as_bytes(), 7);
        assert_eq!(verdict, Ok(Fidelity::Rewritten));
    }

    #[test]
    fn lost_progress_event_is_refused() {
        let (judge, body) = reply("sse_1k", Era::Legacy, 7);
        let text = String::from_utf8(body).unwrap();
        let (_, only_result) = text.split_once("\n\n").unwrap();
        let verdict = judge.check(200, true, only_result.as_bytes(), 7);
        assert_eq!(verdict, Err(ReplyError::Progress(0)));
    }

    #[test]
    fn error_statuses_are_refused() {
        let (judge, body) = reply("json_1k", Era::Legacy, 7);
        let verdict = judge.check(503, false, &body, 7);
        assert!(matches!(verdict, Err(ReplyError::Status { status: 503, .. })));
    }
}
