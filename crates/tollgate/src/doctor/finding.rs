//! One line of the doctor's: how bad it is, what was looked at, what was found, what to do.

use crate::screen::on_one_line;
use std::fmt;

/// Longest text of a finding, in characters.
const TEXT_MAX: usize = 400;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Ok,
    Warn,
    Fail,
    /// A line of what is above it.
    Detail,
}

/// See the file's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) level: Level,
    subject: String,
    text: String,
    advice: String,
}

impl Finding {
    pub(super) fn ok(subject: &str, text: &str) -> Self {
        Self::new(Level::Ok, subject, text)
    }

    pub(super) fn warn(subject: &str, text: &str) -> Self {
        Self::new(Level::Warn, subject, text)
    }

    pub(super) fn fail(subject: &str, text: &str) -> Self {
        Self::new(Level::Fail, subject, text)
    }

    pub(super) fn detail(line: &str) -> Self {
        Self::new(Level::Detail, "", line)
    }

    /// Says what to do.
    pub(super) fn advise(mut self, advice: &str) -> Self {
        advice.clone_into(&mut self.advice);
        self
    }

    pub(super) fn is_good(&self) -> bool {
        self.level == Level::Ok
    }

    fn new(level: Level, subject: &str, text: &str) -> Self {
        Self {
            level,
            subject: on_one_line(subject, TEXT_MAX),
            text: on_one_line(text, TEXT_MAX),
            advice: String::new(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { level, subject, text, advice } = self;
        let level = match level {
            Level::Ok => "ok  ",
            Level::Warn => "warn",
            Level::Fail => "FAIL",
            Level::Detail => return write!(f, "      {text}"),
        };
        write!(f, "{level}  {subject}: {text}")?;
        if advice.is_empty() { Ok(()) } else { write!(f, "; {advice}") }
    }
}
