//! The members of one object of an upstream's message, one by one, without looking within them.

use super::GlanceFault;
use crate::json::{Span, Text, skip_space, skip_string, skip_value};

/// The members of one object, one by one.
pub(crate) struct Members<'a> {
    body: &'a [u8],
    pub(crate) at: usize,
    /// No key was read yet; behind the closing brace, that there was none.
    pub(crate) is_first: bool,
}

impl<'a> Members<'a> {
    pub(crate) fn open(body: &'a [u8], at: usize) -> Result<Self, GlanceFault> {
        match body.get(at) {
            Some(b'{') => Ok(Self { body, at: at + 1, is_first: true }),
            Some(_) => Err(GlanceFault::Shape),
            None => Err(GlanceFault::Truncated),
        }
    }

    /// The next key, leaving the cursor at its value; `None` behind the closing brace.
    pub(crate) fn next_key(&mut self) -> Result<Option<Text>, GlanceFault> {
        let mut at = skip_space(self.body, self.at);
        match self.body.get(at) {
            Some(b'}') => {
                self.at = at + 1;
                return Ok(None);
            }
            Some(b',') if !self.is_first => at = skip_space(self.body, at + 1),
            _ if self.is_first => {}
            Some(_) => return Err(GlanceFault::Syntax),
            None => return Err(GlanceFault::Truncated),
        }
        self.is_first = false;
        match self.body.get(at) {
            Some(b'"') => {}
            Some(_) => return Err(GlanceFault::Syntax),
            None => return Err(GlanceFault::Truncated),
        }
        let (end, escaped) = skip_string(self.body, at)?;
        let colon = skip_space(self.body, end);
        if self.body.get(colon) != Some(&b':') {
            return Err(GlanceFault::Syntax);
        }
        self.at = skip_space(self.body, colon + 1);
        Ok(Some(Text { span: Span::new(at, end), escaped }))
    }

    /// Walks over the value at the cursor.
    pub(crate) fn value(&mut self) -> Result<Span, GlanceFault> {
        let start = self.at;
        self.at = skip_value(self.body, start)?;
        Ok(Span::new(start, self.at))
    }
}
