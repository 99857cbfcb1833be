//! What is wrong with a configuration file, all of it at once, shown the way rustc shows errors.
//!
//! Each mistake says what, where (file, line, column) and how to put it right. What may be a
//! secret is covered with `*` before any line of the file is kept, so no report can show one.
//!
//! Next: `cover.rs` for what counts as a secret.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use tollgate_core::bounds::CONFIG_MISTAKES_MAX;

/// Longest part of a line that is shown, in characters.
const SHOWN_MAX: usize = 120;
/// Characters shown before the mistake where a line is longer than that.
const SHOWN_BEFORE: usize = 60;

/// A place in the file: line and column from 1, and the bytes it covers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pos {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) bytes: Range<usize>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    /// What is wrong, in lower case and without a final stop.
    pub(super) message: String,
    /// Where; `None` where the whole file is meant.
    pub(super) at: Option<Pos>,
    /// How to put it right.
    pub(super) help: String,
}

impl Mistake {
    pub(super) fn new(at: &Pos, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), at: Some(at.clone()), help: help.into() }
    }
}

/// Everything that is wrong with one file. Its `Display` is meant for a person at a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    path: PathBuf,
    mistakes: Vec<Shown>,
    left_out: usize,
    watched: Vec<PathBuf>,
}

/// A mistake together with the line it is on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown {
    mistake: Mistake,
    line: String,
    width: usize,
}

impl Report {
    /// A report on a file that could not even be read.
    pub(super) fn unreadable(path: &Path, message: String, help: String) -> Self {
        let mistake = Mistake { message, at: None, help };
        let shown = Shown { mistake, line: String::new(), width: 0 };
        Self {
            path: path.to_owned(),
            mistakes: vec![shown],
            left_out: 0,
            watched: vec![path.to_owned()],
        }
    }

    /// Puts `mistakes` in the order of the file. `covered` is the file with its secrets covered,
    /// as long as the file byte for byte.
    pub(super) fn new(path: &Path, covered: &str, mut mistakes: Vec<Mistake>) -> Self {
        mistakes.sort_by_key(|m| m.at.as_ref().map_or((0, 0), |at| (at.line, at.column)));
        mistakes.dedup();
        let left_out = mistakes.len().saturating_sub(CONFIG_MISTAKES_MAX);
        mistakes.truncate(CONFIG_MISTAKES_MAX);
        let shown = |mistake: Mistake| {
            let at = mistake.at.clone().unwrap_or_default();
            let line = covered.lines().nth(at.line.wrapping_sub(1)).unwrap_or_default().to_owned();
            let width = covered.get(at.bytes).and_then(|text| text.lines().next()).unwrap_or("");
            Shown { width: width.trim_end().chars().count().max(1), mistake, line }
        };
        Self {
            path: path.to_owned(),
            mistakes: mistakes.into_iter().map(shown).collect(),
            left_out,
            watched: vec![path.to_owned()],
        }
    }

    /// Adds files that were read, or should have been.
    pub(super) fn with_files(mut self, files: impl Iterator<Item = PathBuf>) -> Self {
        self.watched.extend(files);
        self
    }

    /// The files to watch: when one of them changes, the configuration may be right.
    pub(crate) fn watched(&self) -> &[PathBuf] {
        &self.watched
    }

    /// How many mistakes there are.
    fn len(&self) -> usize {
        self.mistakes.len() + self.left_out
    }
}

impl std::error::Error for Report {}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for shown in &self.mistakes {
            shown.write(f, &self.path)?;
        }
        let path = self.path.display();
        match (self.len(), self.left_out) {
            (1, _) => write!(f, "1 mistake in {path}"),
            (all, 0) => write!(f, "{all} mistakes in {path}"),
            (all, more) => write!(f, "{all} mistakes in {path}, {more} of them not shown"),
        }
    }
}

impl Shown {
    fn write(&self, f: &mut fmt::Formatter<'_>, path: &Path) -> fmt::Result {
        let Mistake { message, at, help } = &self.mistake;
        writeln!(f, "error: {}", printable(message))?;
        let Some(at) = at else {
            writeln!(f, " --> {}", path.display())?;
            return writeln!(f, "  = help: {}\n", printable(help));
        };
        let gutter = at.line.to_string().len();
        let before = at.column.saturating_sub(1);
        let skipped = if self.line.chars().count() > SHOWN_MAX {
            before.saturating_sub(SHOWN_BEFORE)
        } else {
            0
        };
        let line: String = self.line.chars().skip(skipped).take(SHOWN_MAX).collect();
        let indent = before - skipped;
        let width = self.width.min(line.chars().count().saturating_sub(indent)).max(1);
        writeln!(f, "{:gutter$}--> {}:{}:{}", "", path.display(), at.line, at.column)?;
        writeln!(f, "{:gutter$} |", "")?;
        writeln!(f, "{} | {}", at.line, printable(line.trim_end()))?;
        writeln!(f, "{:gutter$} | {:indent$}{}", "", "", "^".repeat(width))?;
        writeln!(f, "{:gutter$} = help: {}\n", "", printable(help))
    }
}

/// Text of the file as a terminal may show it: one column for each character, no escapes.
fn printable(text: &str) -> String {
    let shown = |c: char| match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(shown).collect()
}
