//! What goes wrong between the shell and a server, in words that say what to do.

use crate::screen::on_one_line;
use http::StatusCode;
use serde_json::Value;
use tollgate_gate::upstream::{SendError, UpstreamError};
use tollgate_mcp::sse::SseFault;

/// Longest text of a server's that is shown, in characters.
const SHOWN_MAX: usize = 300;

/// Why a server could not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentError {
    #[error(transparent)]
    Setup(#[from] UpstreamError),
    #[error("there is nothing to connect to")]
    Nowhere,
    #[error("its name has no address: {0}")]
    Unresolved(String),
    #[error("{0}")]
    Send(#[from] SendError),
    #[error("{}", in_words(*status, text))]
    Status { status: StatusCode, text: String },
    #[error("the server refused: {message} ({code})")]
    Refused { code: i64, message: String, status: StatusCode },
    #[error("the server speaks `{0}`, which this version of tollgate does not")]
    Version(String),
    #[error("the reply ended before the answer was there")]
    NoAnswer,
    #[error("the reply is not a JSON-RPC message: is this the URL of an MCP endpoint?")]
    NotJson,
    #[error("the reply is larger than this client takes")]
    TooLarge,
    #[error("{0}")]
    Stream(#[from] SseFault),
    #[error("the server asks for `{0}`, which a shell cannot answer")]
    Asked(String),
    #[error("the server asks again and again, whatever it is answered")]
    TooManyRounds,
    #[error("the server's answer has no `{0}`")]
    NoList(String),
    #[error("there is no end to the pages of the server's list")]
    TooManyPages,
}

impl AgentError {
    pub(super) fn refused(error: &Value, status: StatusCode) -> Self {
        let code = error["code"].as_i64().unwrap_or_default();
        let message = error["message"].as_str().unwrap_or("without a word");
        Self::Refused { code, message: on_one_line(message, SHOWN_MAX), status }
    }

    /// Whether a server of the legacy era may answer a modern request so. A server that cannot be
    /// reached, or wants to know who calls, tells nothing about its era.
    pub(super) fn may_be_legacy(&self) -> bool {
        match self {
            Self::Status { status, .. } | Self::Refused { status, .. } => {
                !status.is_server_error() && !matches!(status.as_u16(), 401 | 403 | 407 | 421 | 429)
            }
            Self::NoAnswer | Self::NotJson => true,
            Self::Setup(_)
            | Self::Nowhere
            | Self::Unresolved(_)
            | Self::Send(_)
            | Self::Version(_)
            | Self::TooLarge
            | Self::Stream(_)
            | Self::Asked(_)
            | Self::TooManyRounds
            | Self::NoList(_)
            | Self::TooManyPages => false,
        }
    }
}

fn in_words(status: StatusCode, text: &str) -> String {
    let meaning = match status.as_u16() {
        401 => ": it wants a credential",
        403 => ": it does not let this caller in",
        404 => ": there is no MCP endpoint at this URL",
        405 => ": this URL does not take MCP's POST requests",
        421 => ": it is not called by this name; use the URL that its operator gives out",
        429 => ": it has too much to do",
        300..=399 => ": it points elsewhere; use the URL that it points to",
        500..=599 => ": it is in trouble itself",
        _ => "",
    };
    let text = on_one_line(text.trim(), SHOWN_MAX);
    let said = if text.is_empty() { String::new() } else { format!("; it said: {text}") };
    format!("it answered {}{meaning}{said}", status.as_u16())
}
