//! Bearer tokens for calls: some in turn, or each once.
//!
//! One list for all connections of a generator, so that no two of them send the same fresh token.

use crate::connection::LoadError;
use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;

/// Tokens, and who is next.
#[derive(Clone, Debug)]
pub struct Tokens(Rc<Shared>);

#[derive(Debug)]
struct Shared {
    all: Vec<String>,
    next: Cell<usize>,
    is_each_once: bool,
}

impl Tokens {
    /// Reads one token a line. With `is_each_once`, running out of them is an error: a token that
    /// comes again would be remembered.
    pub fn read(path: &Path, is_each_once: bool) -> std::io::Result<Self> {
        let text = std::fs::read_to_string(path)?;
        let all: Vec<String> = text.lines().map(str::to_owned).collect();
        if all.is_empty() {
            return Err(std::io::Error::other("no token in the file"));
        }
        Ok(Self(Rc::new(Shared { all, next: Cell::new(0), is_each_once })))
    }

    /// The next one.
    pub fn next(&self) -> Result<&str, LoadError> {
        let (all, at) = (&self.0.all, self.0.next.get());
        if self.0.is_each_once && at >= all.len() {
            return Err(LoadError::TokensUsed(all.len()));
        }
        self.0.next.set(at + 1);
        Ok(&all[at % all.len()])
    }
}
