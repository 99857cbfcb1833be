//! One server as a client's file describes it, whichever client it is.
//!
//! Clients differ in the names of a few keys and in their placeholders; everything else is alike, so
//! one reader takes all of them. What it does not understand stays with the server, to be shown.
//!
//! Next: `formats.rs` for where the servers are in a file, `writing.rs` for what becomes of them.

use crate::import::template::{Piece, Placeholders, Template, is_variable, split};
use serde_json::{Map, Value};

/// One server.
#[derive(Debug)]
pub(super) struct Server {
    /// As the file calls it.
    pub(super) name: String,
    pub(super) is_disabled: bool,
    pub(super) way: Way,
    /// The tools the client showed; all if empty.
    pub(super) only: Vec<String>,
    /// The tools the client hid.
    pub(super) without: Vec<String>,
    /// Seconds the client gave it to start, as text.
    pub(super) start_secs: Option<u64>,
    /// What a reader of the result should know.
    pub(super) remarks: Vec<String>,
    /// Keys that have no counterpart, with their values.
    pub(super) left: Vec<(String, Value)>,
}

/// How it is reached.
#[derive(Debug)]
pub(super) enum Way {
    Http {
        url: Template,
        headers: Vec<(String, Template)>,
    },
    Sse {
        url: Template,
        headers: Vec<(String, Template)>,
    },
    Stdio(Box<Program>),
    /// Not at all, and why.
    Nowhere(String),
}

/// A program that speaks on its stdin and stdout.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) command: Template,
    pub(super) args: Vec<Template>,
    pub(super) env: Vec<(String, Template)>,
    /// Variables passed on from the environment of the client.
    pub(super) inherited: Vec<String>,
    pub(super) cwd: Option<Template>,
}

/// Reads one entry.
pub(super) fn read(name: &str, entry: &Value, placeholders: Placeholders) -> Server {
    let mut server = Server {
        name: name.to_owned(),
        is_disabled: false,
        way: Way::Nowhere("it has neither a command nor a URL".to_owned()),
        only: Vec::new(),
        without: Vec::new(),
        start_secs: None,
        remarks: Vec::new(),
        left: Vec::new(),
    };
    let Value::Object(entry) = entry else {
        server.way = Way::Nowhere("it is not described by keys".to_owned());
        return server;
    };
    let mut keys = Keys { entry: entry.clone(), placeholders };
    keys.flatten_command();
    server.is_disabled =
        keys.switch("disabled") == Some(true) || keys.switch("enabled") == Some(false);
    for key in ["enabled_tools", "enabledTools", "includeTools"] {
        server.only.extend(keys.names(key));
    }
    for key in ["disabled_tools", "disabledTools", "excludeTools"] {
        server.without.extend(keys.names(key));
    }
    server.start_secs = keys.start();
    server.way = keys.way(&mut server.remarks);
    // Zed's own word for an entry a person wrote, and Codex's old name for display.
    keys.entry.retain(|key, value| !(key == "source" && value == "custom"));
    server.left = keys.entry.into_iter().collect();
    server
}

/// The keys of an entry that nobody has taken yet.
struct Keys {
    entry: Map<String, Value>,
    placeholders: Placeholders,
}

impl Keys {
    /// Takes the value of the first of these keys that is there and fits.
    fn take<T>(&mut self, keys: &[&str], fits: impl Fn(&Value) -> Option<T>) -> Option<T> {
        let (key, value) =
            keys.iter().find_map(|key| Some((*key, fits(self.entry.get(*key)?)?)))?;
        self.entry.shift_remove(key);
        Some(value)
    }

    fn text(&mut self, keys: &[&str]) -> Option<String> {
        self.take(keys, |value| value.as_str().map(str::to_owned))
    }

    fn switch(&mut self, key: &str) -> Option<bool> {
        self.take(&[key], Value::as_bool)
    }

    fn names(&mut self, key: &str) -> Vec<String> {
        self.take(&[key], texts).unwrap_or_default()
    }

    /// `"command": { "path": ..., "args": ... }` as Zed had it, and `"command": ["npx", ...]`.
    fn flatten_command(&mut self) {
        match self.entry.get("command").cloned() {
            Some(Value::Object(command)) => {
                self.entry.shift_remove("command");
                for (key, value) in command {
                    let key = if key == "path" { "command".to_owned() } else { key };
                    self.entry.entry(key).or_insert(value);
                }
            }
            Some(Value::Array(words)) if words.first().is_some_and(Value::is_string) => {
                let mut words = words.into_iter();
                self.entry.insert("command".to_owned(), words.next().unwrap_or_default());
                self.entry.entry("args").or_insert_with(|| Value::Array(words.collect()));
            }
            _ => {}
        }
    }

    fn start(&mut self) -> Option<u64> {
        let whole = |value: &Value| value.as_f64().filter(|secs| *secs >= 1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked above"
        )]
        let secs = self.take(&["startup_timeout_sec"], whole).map(|secs| secs.min(3_600.0) as u64);
        secs.or_else(|| {
            self.take(&["startup_timeout_ms"], Value::as_u64).map(|ms| ms.div_ceil(1_000))
        })
    }

    fn way(&mut self, remarks: &mut Vec<String>) -> Way {
        let is_http_only = self.entry.contains_key("httpUrl");
        let kind =
            self.text(&["type", "transport", "transportType"]).map(|kind| kind.to_lowercase());
        if self.entry.get("command").is_some_and(Value::is_string) {
            return self.program(remarks);
        }
        let Some(url) = self.text(&["httpUrl", "url", "serverUrl"]) else {
            return Way::Nowhere("it has neither a command nor a URL".to_owned());
        };
        let headers = self.headers();
        let is_old = match kind.as_deref() {
            Some("sse") => true,
            Some("http" | "streamable-http" | "streamablehttp" | "streamable_http" | "remote") => {
                false
            }
            Some(other) if other != "stdio" => {
                return Way::Nowhere(format!("its transport `{other}` is unknown"));
            }
            Some(_) | None => {
                let path = url.split(['?', '#']).next().unwrap_or_default();
                let is_old = !is_http_only && path.trim_end_matches('/').ends_with("/sse");
                if is_old {
                    remarks.push(
                        "no transport was named; a URL that ends with `/sse` is taken for HTTP+SSE"
                            .to_owned(),
                    );
                }
                is_old
            }
        };
        let url = split(&url, self.placeholders, &[]);
        if is_old { Way::Sse { url, headers } } else { Way::Http { url, headers } }
    }

    fn headers(&mut self) -> Vec<(String, Template)> {
        let mut headers = self.table("headers", &[]);
        headers.extend(self.table("http_headers", &[]));
        let is_named =
            |value: &Value| value.as_str().filter(|name| is_variable(name)).map(str::to_owned);
        let variable = |name: String| Piece::Variable { name, default: None };
        if let Some(Value::Object(table)) = self.entry.get("env_http_headers").cloned()
            && table.values().all(|value| is_named(value).is_some())
        {
            self.entry.shift_remove("env_http_headers");
            let rows = table.into_iter().filter_map(|(key, value)| Some((key, is_named(&value)?)));
            headers.extend(rows.map(|(header, name)| (header, vec![variable(name)])));
        }
        if let Some(name) = self.take(&["bearer_token_env_var"], is_named) {
            let bearer = vec![Piece::Plain("Bearer ".to_owned()), variable(name)];
            headers.push(("Authorization".to_owned(), bearer));
        }
        if let Some(token) = self.text(&["bearer_token"]) {
            headers
                .push(("Authorization".to_owned(), vec![Piece::Plain(format!("Bearer {token}"))]));
        }
        headers
    }

    fn program(&mut self, remarks: &mut Vec<String>) -> Way {
        let mut command = self.text(&["command"]).unwrap_or_default();
        let mut args = self.take(&["args"], texts).unwrap_or_default();
        let inside =
            ["/c", "/C"].iter().any(|flag| args.first().is_some_and(|first| first == flag));
        if matches!(command.as_str(), "cmd" | "cmd.exe") && inside && args.len() > 1 {
            remarks.push(
                "`cmd /c` in front of the command was for Windows and is left out".to_owned(),
            );
            command = args.remove(1);
            args.remove(0);
        }
        if args.iter().any(|arg| arg == "mcp-remote" || arg.starts_with("mcp-remote@")) {
            remarks.push("mcp-remote is a bridge to an HTTP server: `http: { url: ... }` with the same URL needs no process".to_owned());
        }
        let own: Vec<String> = self
            .entry
            .get("env")
            .and_then(Value::as_object)
            .map(|env| env.keys().cloned().collect())
            .unwrap_or_default();
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        let placeholders = self.placeholders;
        let template = |text: &str| split(text, placeholders, &own);
        let uses_own =
            |arg: &String| split(arg, placeholders, &own) != split(arg, placeholders, &[]);
        if args.iter().any(uses_own) {
            remarks.push(
                "`$${NAME}` in an argument is left to the program: NAME is in its own `env`"
                    .to_owned(),
            );
        }
        // Within `env`, a variable of the same name is the client's own.
        let env = self.table("env", &[]);
        let inherited = self.take(&["env_vars"], variables).unwrap_or_default();
        let cwd = self.text(&["cwd", "workingDirectory"]).filter(|cwd| !cwd.is_empty());
        Way::Stdio(Box::new(Program {
            command: split(&command, placeholders, &[]),
            args: args.iter().map(|arg| template(arg)).collect(),
            env,
            inherited,
            cwd: cwd.map(|cwd| split(&cwd, placeholders, &[])),
        }))
    }

    /// A table of texts. Entries of other kinds stay, to be shown.
    fn table(&mut self, key: &str, own: &[&str]) -> Vec<(String, Template)> {
        let Some(Value::Object(table)) = self.entry.get(key) else { return Vec::new() };
        let (mut rows, mut left) = (Vec::new(), Map::new());
        for (name, value) in table {
            match plain(value) {
                Some(text) => rows.push((name.clone(), split(&text, self.placeholders, own))),
                None => drop(left.insert(name.clone(), value.clone())),
            }
        }
        if left.is_empty() {
            self.entry.shift_remove(key);
        } else {
            self.entry.insert(key.to_owned(), Value::Object(left));
        }
        rows
    }
}

/// A single value as the text that programs are given.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A list of single values.
fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(plain).collect()
}

/// Codex's `env_vars`: names, or tables with a name.
fn variables(value: &Value) -> Option<Vec<String>> {
    let name = |item: &Value| {
        let is_local = item["source"].as_str().is_none_or(|source| source == "local");
        let name = item.as_str().or_else(|| item["name"].as_str().filter(|_| is_local))?;
        is_variable(name).then(|| name.to_owned())
    };
    value.as_array()?.iter().map(name).collect()
}
