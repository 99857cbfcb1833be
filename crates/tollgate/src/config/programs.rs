//! The kinds of values of which a child process is made: its program, its words, its variables.
//!
//! Refuses what only a shell would understand: a program together with its arguments, `~`. Arguments
//! and values of variables are never shown. Next: `checking/stdio.rs` for what they come to.

use crate::config::collections::List;
use crate::config::decode::{At, Decode, found};
use crate::config::reading::Reading;
use crate::config::report::Pos;
use crate::config::scalars::{Scalar, words};
use crate::config::tree::{Kind, Node};
use serde_json::{Value, json};
use tollgate_core::bounds::COMMAND_WORD_BYTES_MAX;
use tollgate_core::ids::Secret;

/// The name or path of a program, as typed.
#[derive(Clone, Debug)]
pub(super) struct Program(pub(super) String);

impl Decode for Program {
    fn decode(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        let here = reading.here();
        let Kind::Scalar(typed) = &node.kind else {
            let message = format!("`{here}` holds {} where a program belongs", found(node));
            let help = "write its name: `command: npx`; its arguments go into `args: [-y, ...]`";
            reading.wrong(&node.at, message, help);
            return None;
        };
        let (message, help) = if typed.trim().is_empty() {
            ("is empty", "write the name of a program, as in `command: npx`, or its path")
        } else if typed.contains("${") {
            (
                "holds a reference",
                "write the program's own name or path, so that the file says what is run; `args` and `env` take references",
            )
        } else if typed.chars().any(char::is_whitespace) {
            (
                "holds white space",
                "no shell takes it apart: write the program alone, and each argument as an item of `args`",
            )
        } else if typed.chars().any(char::is_control) {
            ("holds a control character", "write the name or the path of a program")
        } else if typed.starts_with('~') {
            ("starts with `~`", "no shell replaces it: write the whole path")
        } else {
            return Some(Self(typed.clone()));
        };
        reading.wrong(&node.at, format!("`{here}` {message}"), help);
        None
    }

    fn schema() -> Value {
        // Covered in reports: a whole command line, with secrets among its arguments, is what people
        // type here by mistake.
        json!({ "type": "string", "writeOnly": true })
    }
}

/// An argument, or the value of a variable: any text, never shown.
#[derive(Clone, Debug)]
pub(super) struct Word(pub(super) Secret<String>);

impl Scalar for Word {
    const KIND: &'static str = "text that a program can be given";
    const FORM: &'static str = "write any text without the character NUL";
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, Option<String>> {
        if text.len() > COMMAND_WORD_BYTES_MAX {
            return Err(Some(format!("at most {COMMAND_WORD_BYTES_MAX} bytes")));
        }
        (!text.contains('\0')).then(|| Self(Secret::new(text.to_owned()))).ok_or(None)
    }

    fn schema() -> Value {
        json!({ "type": "string", "writeOnly": true })
    }
}

/// The name of an environment variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Variable(pub(super) String);

/// What programs need to find their files, other programs, the language and time of this place, and
/// the certificates that are trusted here (without which `npx` and `uvx` cannot download behind a
/// company's proxy). The first six are what the MCP SDKs pass on.
const HARMLESS: [&str; 14] = [
    "HOME",
    "LOGNAME",
    "PATH",
    "SHELL",
    "TERM",
    "USER",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "TZ",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
];

impl Variable {
    /// The variables that are passed on where nothing else is written.
    pub(super) fn harmless() -> List<Self> {
        let at = Pos::default();
        let item = |name: &str| At { value: Self(name.to_owned()), at: at.clone() };
        List(HARMLESS.into_iter().map(item).collect())
    }

    /// Whether `name` can be the name of a variable everywhere.
    pub(super) fn is_name(name: &str) -> bool {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    }
}

impl Scalar for Variable {
    const KIND: &'static str = "the name of an environment variable";
    const FORM: &'static str = "a name holds letters, digits and `_`, as in `HTTPS_PROXY`; each is named by itself, its value goes into `env`";
    // `NAME=value`, as other programs take it.
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, Option<String>> {
        Self::is_name(text).then(|| Self(text.to_owned())).ok_or(None)
    }

    fn schema() -> Value {
        json!({ "type": "string", "writeOnly": true })
    }

    fn spell(&self) -> Option<Value> {
        Some(json!(self.0))
    }
}

words! {
    /// Whose calls share a process.
    Sharing {
        #[default]
        Session = "session",
        Agent = "agent",
        Shared = "shared",
    }
}
