//! The grammar of RFC 8259, read once, without recursion, and with every bound applied.
//!
//! [`Scanner::value`] walks any value with an explicit stack; [`Scanner::open`] and
//! [`Scanner::next_key`] let `json/message.rs` walk the few objects whose members it knows.
//! Both refuse duplicate keys through `json/keys.rs`. Nothing is converted or copied.
//!
//! INVARIANT: `body` is valid UTF-8 and shorter than 4 GiB; `judge` made sure of both.

use super::keys::Keys;
use super::run::plain_run;
use super::text::hex4;
use super::walk::skip_space;
use super::{Fault, FaultKind, Limits, Span, Text};

/// What kind of value stands at a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Object,
    Array,
    Plain,
    Escaped,
    Integer,
    Decimal,
    Bool,
    Null,
}

/// A value that was walked over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value {
    pub(super) token: Token,
    pub(super) span: Span,
}

/// An object whose members are being read one by one.
pub(super) struct Members {
    mark: usize,
    is_first: bool,
}

/// An open container: where its keys start on the key stack, or that it is an array.
#[derive(Clone, Copy, Debug)]
pub(super) enum Frame {
    Array,
    Object(usize),
}

/// The judgement ends: the scanner holds the fault. An error without content keeps the results
/// of the innermost functions in registers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop;

pub(super) struct Scanner<'a> {
    pub(super) body: &'a [u8],
    pub(super) at: usize,
    pub(super) limits: &'a Limits,
    fault: Option<Fault>,
    items_left: u32,
    keys: Keys<'a>,
    frames: Vec<Frame>,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(body: &'a [u8], limits: &'a Limits) -> Self {
        let (keys, frames) = super::keys::borrow_scratch(body);
        Self { body, at: 0, limits, fault: None, items_left: limits.items_max, keys, frames }
    }

    /// Gives the scratch memory back for the next body on this thread, and the fault if the
    /// judgement stopped.
    pub(super) fn retire(self) -> Option<Fault> {
        super::keys::return_scratch(self.keys, self.frames);
        self.fault
    }

    /// Stops with a fault at the cursor.
    pub(super) fn fault<T>(&mut self, kind: FaultKind) -> Result<T, Stop> {
        self.fault_at(kind, self.at)
    }

    /// Stops with a fault elsewhere.
    #[cold]
    pub(super) fn fault_at<T>(&mut self, kind: FaultKind, at: usize) -> Result<T, Stop> {
        self.fault = Some(Fault::new(kind, at));
        Err(Stop)
    }

    /// Names the request that the fault belongs to.
    pub(super) fn blame(&mut self, id: Option<Span>) {
        if let Some(fault) = &mut self.fault {
            fault.id = id;
        }
    }

    /// The next byte that is not white space, without taking it.
    #[inline]
    pub(super) fn peek(&mut self) -> Result<u8, Stop> {
        loop {
            match self.body.get(self.at) {
                Some(&byte) if byte > b' ' => return Ok(byte),
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                Some(_) => return self.fault(FaultKind::Syntax),
                None => return self.fault(FaultKind::Truncated),
            }
        }
    }

    /// Refuses anything but white space up to the end.
    pub(super) fn end(&mut self) -> Result<(), Stop> {
        self.at = skip_space(self.body, self.at);
        if self.at < self.body.len() { self.fault(FaultKind::Trailing) } else { Ok(()) }
    }

    pub(super) fn count(&mut self) -> Result<(), Stop> {
        match self.items_left.checked_sub(1) {
            Some(left) => self.items_left = left,
            None => return self.fault(FaultKind::TooManyItems),
        }
        Ok(())
    }

    /// Enters the object that starts here; `depth` is its own level.
    pub(super) fn open(&mut self, depth: u16) -> Result<Members, Stop> {
        if depth > self.limits.depth_max {
            return self.fault(FaultKind::TooDeep);
        }
        self.at += 1;
        Ok(Members { mark: self.keys.open(), is_first: true })
    }

    /// The next key of an entered object, leaving the cursor at its value; `None` behind the
    /// closing brace. The caller takes the value before it asks again.
    pub(super) fn next_key(&mut self, members: &mut Members) -> Result<Option<Text>, Stop> {
        match self.peek()? {
            b'}' => {
                self.at += 1;
                self.keys.close(members.mark);
                return Ok(None);
            }
            b',' if !members.is_first => {
                self.at += 1;
                self.peek()?;
            }
            _ if members.is_first => {}
            _ => return self.fault(FaultKind::Syntax),
        }
        members.is_first = false;
        self.key(members.mark).map(Some)
    }

    /// A key, its colon, and the white space before the value.
    #[inline]
    fn key(&mut self, mark: usize) -> Result<Text, Stop> {
        if self.peek()? != b'"' {
            return self.fault(FaultKind::Syntax);
        }
        let start = self.at;
        let escaped = self.string()?;
        let key = Text { span: Span::new(start, self.at), escaped };
        if !self.keys.add(mark, key) {
            return self.fault_at(FaultKind::DuplicateKey, start);
        }
        self.count()?;
        if self.peek()? != b':' {
            return self.fault(FaultKind::Syntax);
        }
        self.at += 1;
        self.peek()?;
        Ok(key)
    }

    /// Walks over the value that starts at or after the cursor; `depth` is its level if it nests.
    #[inline(always)]
    pub(super) fn value(&mut self, depth: u16) -> Result<Value, Stop> {
        // Inlined, and `walk` returns one byte: larger results would go through memory.
        self.peek()?;
        let start = self.at;
        let token = self.walk(depth)?;
        Ok(Value { token, span: Span::new(start, self.at) })
    }

    fn walk(&mut self, depth: u16) -> Result<Token, Stop> {
        match self.peek()? {
            b'{' => self.nest(depth).map(|()| Token::Object),
            b'[' => self.nest(depth).map(|()| Token::Array),
            first => self.scalar(first),
        }
    }

    /// Walks over a container and everything in it.
    fn nest(&mut self, depth: u16) -> Result<(), Stop> {
        let base = self.frames.len();
        let room = usize::from(self.limits.depth_max.saturating_sub(depth)) + 1;
        loop {
            let first = self.peek()?;
            let is_entered = match first {
                b'{' | b'['
                    if self.frames.len() - base >= room || depth > self.limits.depth_max =>
                {
                    return self.fault(FaultKind::TooDeep);
                }
                b'{' => {
                    self.at += 1;
                    let mark = self.keys.open();
                    self.frames.push(Frame::Object(mark));
                    let has_members = self.peek()? != b'}';
                    if has_members {
                        self.key(mark)?;
                    }
                    has_members
                }
                b'[' => {
                    self.at += 1;
                    self.frames.push(Frame::Array);
                    let has_elements = self.peek()? != b']';
                    if has_elements {
                        self.count()?;
                    }
                    has_elements
                }
                _ => {
                    self.scalar(first)?;
                    false
                }
            };
            if !is_entered && self.leave(base)? {
                return Ok(());
            }
        }
    }

    /// Behind a value or an empty container's bracket: closes what closes here, and says whether
    /// the outermost container is closed. Otherwise the cursor is at the next value.
    #[inline]
    fn leave(&mut self, base: usize) -> Result<bool, Stop> {
        while self.frames.len() > base {
            let byte = self.peek()?;
            match (self.frames.last(), byte) {
                (Some(Frame::Array), b',') => {
                    self.at += 1;
                    self.count()?;
                    return Ok(false);
                }
                (Some(&Frame::Object(mark)), b',') => {
                    self.at += 1;
                    self.key(mark)?;
                    return Ok(false);
                }
                (Some(Frame::Array), b']') => {}
                (Some(&Frame::Object(mark)), b'}') => self.keys.close(mark),
                _ => return self.fault(FaultKind::Syntax),
            }
            self.at += 1;
            self.frames.pop();
        }
        Ok(true)
    }

    fn scalar(&mut self, first: u8) -> Result<Token, Stop> {
        match first {
            b'"' => {
                let escaped = self.string()?;
                Ok(if escaped { Token::Escaped } else { Token::Plain })
            }
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.literal(b"true", Token::Bool),
            b'f' => self.literal(b"false", Token::Bool),
            b'n' => self.literal(b"null", Token::Null),
            _ => self.fault(FaultKind::Syntax),
        }
    }

    fn literal(&mut self, word: &[u8], token: Token) -> Result<Token, Stop> {
        if !self.body[self.at..].starts_with(word) {
            return self.fault(FaultKind::Syntax);
        }
        self.at += word.len();
        Ok(token)
    }

    fn number(&mut self) -> Result<Token, Stop> {
        let mut token = Token::Integer;
        if self.byte() == b'-' {
            self.at += 1;
        }
        match self.byte() {
            b'0' => self.at += 1,
            _ => self.digits()?,
        }
        if self.byte() == b'.' {
            token = Token::Decimal;
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), b'e' | b'E') {
            token = Token::Decimal;
            self.at += 1;
            if matches!(self.byte(), b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(token)
    }

    /// The byte here; NUL at the end, which no rule accepts.
    #[inline]
    fn byte(&self) -> u8 {
        self.body.get(self.at).copied().unwrap_or(0)
    }

    fn digits(&mut self) -> Result<(), Stop> {
        if !self.byte().is_ascii_digit() {
            let at_end = self.at >= self.body.len();
            return self.fault(if at_end { FaultKind::Truncated } else { FaultKind::Syntax });
        }
        while self.byte().is_ascii_digit() {
            self.at += 1;
        }
        Ok(())
    }

    /// Takes the string whose opening quote is here; whether it holds escapes.
    fn string(&mut self) -> Result<bool, Stop> {
        let mut escaped = false;
        self.at += 1;
        loop {
            self.at = plain_run(self.body, self.at);
            match self.body.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return self.fault(FaultKind::ControlCharacter),
                None => return self.fault(FaultKind::Truncated),
            }
        }
    }

    /// The escape whose backslash is here.
    fn escape(&mut self) -> Result<(), Stop> {
        match self.body.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                return Ok(());
            }
            Some(b'u') => {}
            Some(_) => return self.fault(FaultKind::Escape),
            None => return self.fault(FaultKind::Truncated),
        }
        let Some(first) = hex4(&self.body[self.at + 2..]) else {
            return self.fault(FaultKind::Escape);
        };
        match first {
            0xd800..=0xdbff => {
                let second = self.body[self.at + 6..].strip_prefix(b"\\u").and_then(hex4);
                if !second.is_some_and(|half| (0xdc00..=0xdfff).contains(&half)) {
                    return self.fault(FaultKind::Surrogate);
                }
                self.at += 12;
            }
            0xdc00..=0xdfff => return self.fault(FaultKind::Surrogate),
            _ => self.at += 6,
        }
        Ok(())
    }
}
