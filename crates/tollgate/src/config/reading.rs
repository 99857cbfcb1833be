//! One reading of a configuration file: what it may look at, and what it has found so far.
//!
//! Resolves `${env:NAME}` and `${file:PATH}` in values, remembers every file that was read (they are
//! watched and belong to the version), and collects mistakes instead of stopping at the first.
//! What a reference resolved to never appears in a mistake.

use crate::config::report::{Mistake, Pos};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use tollgate_core::bounds::{CONFIG_REFERENCE_BYTES_MAX, CONFIG_REFERENCES_MAX};

/// Looks up an environment variable: the value, or `None` where it is not set.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Collects while a file is read.
pub(super) struct Reading<'a> {
    /// The folder of the configuration file; relative paths start here.
    folder: &'a Path,
    environment: Environment<'a>,
    /// Files that were read, with their contents, for the version.
    pub(super) files: Vec<(PathBuf, Vec<u8>)>,
    pub(super) mistakes: Vec<Mistake>,
    /// What deserves a look but does not stop the start.
    pub(super) warnings: Vec<(Pos, String)>,
    /// Keys from the root to what is being read.
    trail: Vec<String>,
}

/// A text value after its references were resolved.
#[derive(Clone)]
pub(super) struct Resolved {
    pub(super) value: String,
    /// The text as typed, for messages.
    pub(super) typed: String,
}

impl<'a> Reading<'a> {
    pub(super) fn new(folder: &'a Path, environment: Environment<'a>) -> Self {
        Self {
            folder,
            environment,
            files: Vec::new(),
            mistakes: Vec::new(),
            warnings: Vec::new(),
            trail: Vec::new(),
        }
    }

    /// Records a mistake.
    pub(super) fn wrong(&mut self, at: &Pos, message: impl Into<String>, help: impl Into<String>) {
        self.mistakes.push(Mistake::new(at, message, help));
    }

    /// Records a warning.
    pub(super) fn warn(&mut self, at: &Pos, message: impl Into<String>) {
        self.warnings.push((at.clone(), message.into()));
    }

    /// Runs `read` one key further down.
    pub(super) fn within<T>(&mut self, key: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        self.trail.push(key.to_owned());
        let outcome = read(self);
        self.trail.pop();
        outcome
    }

    /// The keys from the root to here, as in `gate.tls`.
    pub(super) fn here(&self) -> String {
        self.trail.join(".")
    }

    /// Resolves the references of a value. `None`: a mistake was recorded.
    pub(super) fn resolve(&mut self, typed: &str, at: &Pos) -> Option<Resolved> {
        let mut value = String::new();
        let mut rest = typed;
        while let Some(dollar) = rest.find('$') {
            let (before, from) = rest.split_at(dollar);
            value.push_str(before);
            rest = if let Some(after) = from.strip_prefix("$${") {
                value.push_str("${");
                after
            } else if let Some(inside) = from.strip_prefix("${") {
                let Some(end) = inside.find('}') else {
                    self.wrong(
                        at,
                        "a reference is not closed",
                        "end it with `}`, or write `$${` for a literal `${`",
                    );
                    return None;
                };
                value.push_str(&self.look_up(&inside[..end], at)?);
                &inside[end + 1..]
            } else {
                value.push('$');
                &from[1..]
            };
        }
        value.push_str(rest);
        Some(Resolved { value, typed: typed.to_owned() })
    }

    fn look_up(&mut self, reference: &str, at: &Pos) -> Option<String> {
        match reference.split_once(':') {
            Some(("env", name)) => self.variable(name, at),
            Some(("file", path)) => self.text_file(path, at),
            _ => {
                self.wrong(
                    at,
                    "a `${...}` in this value is not a reference",
                    "write `${env:NAME}` or `${file:PATH}`, or `$${` for a literal `${`",
                );
                None
            }
        }
    }

    fn variable(&mut self, name: &str, at: &Pos) -> Option<String> {
        let first = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !first || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            self.wrong(
                at,
                format!("`{name}` is not the name of an environment variable"),
                "a name holds letters, digits and `_`, as in `${env:GITHUB_TOKEN}`",
            );
            return None;
        }
        match (self.environment)(name) {
            Some(value) if !value.is_empty() => Some(value),
            Some(_) => {
                self.wrong(
                    at,
                    format!("the environment variable `{name}` is empty"),
                    format!("give `{name}` a value where tollgate is started"),
                );
                None
            }
            None => {
                self.wrong(
                    at,
                    format!("the environment variable `{name}` is not set"),
                    format!("set `{name}` where tollgate is started, or use `${{file:PATH}}`"),
                );
                None
            }
        }
    }

    fn text_file(&mut self, path: &str, at: &Pos) -> Option<String> {
        let (_, content) = self.file(path, path, at)?;
        let Ok(mut text) = String::from_utf8(content) else {
            let message = format!("`{path}` is not UTF-8 text");
            self.wrong(at, message, "a referenced file holds one text value");
            return None;
        };
        for ending in ['\n', '\r'] {
            if text.ends_with(ending) {
                text.pop();
            }
        }
        if text.is_empty() {
            self.wrong(at, format!("`{path}` is empty"), "write the value into the file");
            return None;
        }
        Some(text)
    }

    /// A variable of the gate's own environment, where it is set.
    pub(super) fn own_variable(&self, name: &str) -> Option<String> {
        (self.environment)(name)
    }

    /// The whole path of what is named in the configuration: relative ones start at its folder.
    pub(super) fn whole_path(&self, path: &str) -> PathBuf {
        let path = self.folder.join(path);
        std::path::absolute(&path).unwrap_or(path)
    }

    /// Reads a file named in the configuration, and calls it `typed` in messages. `None`: a mistake
    /// was recorded.
    pub(super) fn file(&mut self, path: &str, typed: &str, at: &Pos) -> Option<(PathBuf, Vec<u8>)> {
        let path = self.folder.join(path);
        if self.files.len() >= CONFIG_REFERENCES_MAX {
            let help = format!("at most {CONFIG_REFERENCES_MAX} files are read");
            self.wrong(at, "the configuration names too many files", help);
            return None;
        }
        match read_bounded(&path, CONFIG_REFERENCE_BYTES_MAX) {
            Ok(Some(content)) => {
                self.files.push((path.clone(), content.clone()));
                return Some((path, content));
            }
            Ok(None) => {
                let message =
                    format!("`{typed}` is larger than {CONFIG_REFERENCE_BYTES_MAX} bytes");
                self.wrong(at, message, "is this the right file?");
            }
            Err(error) => {
                let message = format!("`{typed}` cannot be read: {}", cause(&error));
                let help = "relative paths start at the folder of the configuration file; check the path and the permissions";
                self.wrong(at, message, help);
            }
        }
        // Watched all the same: the file may be put right, and then the configuration is.
        self.files.push((path, Vec::new()));
        None
    }
}

/// The content of a file, or `None` where it is longer than `bytes_max`.
pub(crate) fn read_bounded(path: &Path, bytes_max: usize) -> std::io::Result<Option<Vec<u8>>> {
    // Before it is opened: opening a named pipe waits for a writer, and a device never ends.
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("it is not a regular file"));
    }
    let file = std::fs::File::open(path)?;
    let mut content = Vec::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut content)?;
    Ok((content.len() <= bytes_max).then_some(content))
}

/// An I/O error in words that are the same on every system.
pub(super) fn cause(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::IsADirectory => "it is a folder".to_owned(),
        _ => error.to_string(),
    }
}
