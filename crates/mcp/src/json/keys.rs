//! Keys that two parsers could read differently: duplicates, and look-alikes of protocol keys.
//!
//! Duplicates are compared after unescaping. A small object is compared key by key; a larger one,
//! or one with an escaped key, through a hash set with a random state, so that chosen keys cannot
//! make it slow. The key stack is kept per thread; it is bounded by the depth limit times
//! [`LINEAR_MAX`].

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashSet;

use super::scan::Frame;
use super::{Text, text};

/// Objects with more members than this are watched by a hash set.
const LINEAR_MAX: usize = 16;

thread_local! {
    static SCRATCH: Cell<(Vec<Text>, Vec<Frame>)> = const { Cell::new((Vec::new(), Vec::new())) };
}

/// The keys of all objects that are open at the cursor.
pub(super) struct Keys<'a> {
    body: &'a [u8],
    /// Keys of open objects, outermost first. An object that owns a set keeps one key here, so
    /// that objects within it have a higher mark.
    seen: Vec<Text>,
    /// Sets of large open objects, with the mark of their owner.
    sets: Vec<(usize, HashSet<Cow<'a, [u8]>>)>,
}

pub(super) fn borrow_scratch(body: &[u8]) -> (Keys<'_>, Vec<Frame>) {
    let (seen, frames) = SCRATCH.take();
    (Keys { body, seen, sets: Vec::new() }, frames)
}

pub(super) fn return_scratch(keys: Keys<'_>, mut frames: Vec<Frame>) {
    let mut seen = keys.seen;
    seen.clear();
    frames.clear();
    SCRATCH.set((seen, frames));
}

impl<'a> Keys<'a> {
    /// Starts an object; the mark names it until it is closed.
    #[inline]
    pub(super) fn open(&mut self) -> usize {
        self.seen.len()
    }

    /// Ends the innermost object.
    #[inline]
    pub(super) fn close(&mut self, mark: usize) {
        self.seen.truncate(mark);
        if self.sets.last().is_some_and(|(owner, _)| *owner == mark) {
            self.sets.pop();
        }
    }

    /// Adds a key to the innermost object; false if it has that key already.
    #[inline]
    pub(super) fn add(&mut self, mark: usize, key: Text) -> bool {
        let owns_set = self.sets.last().is_some_and(|(owner, _)| *owner == mark);
        if owns_set || key.escaped || self.seen.len() - mark >= LINEAR_MAX {
            return self.add_to_set(mark, key);
        }
        let raw = key.raw(self.body);
        let is_new = self.seen[mark..].iter().all(|other| {
            // The length first: most keys of an object differ in it.
            other.span.len() != key.span.len() || other.raw(self.body) != raw
        });
        self.seen.push(key);
        is_new
    }

    #[cold]
    fn add_to_set(&mut self, mark: usize, key: Text) -> bool {
        let body = self.body;
        let value = |key: Text| text::unescape(key.raw(body), key.escaped);
        match self.sets.last_mut() {
            Some((owner, set)) if *owner == mark => set.insert(value(key)),
            _ => {
                let mut set: HashSet<Cow<'a, [u8]>> =
                    self.seen[mark..].iter().map(|&seen| value(seen)).collect();
                let is_new = set.insert(value(key));
                self.sets.push((mark, set));
                self.seen.truncate(mark);
                self.seen.push(key);
                is_new
            }
        }
    }
}

/// The protocol key that `key` could be taken for. Only for keys that are none of `names` exactly.
pub(super) fn look_alike(key: &[u8], names: &[&'static str]) -> Option<&'static str> {
    let is_ordinary = key.iter().all(|byte| byte.is_ascii_graphic());
    let folded = if is_ordinary { Cow::Borrowed(key) } else { Cow::Owned(fold(key)) };
    names.iter().copied().find(|name| folded.eq_ignore_ascii_case(name.as_bytes()))
}

/// Takes away what a lenient parser or a reader's eye does not see: control and zero-width
/// characters anywhere, white space at the ends, compatibility forms of ASCII letters.
fn fold(key: &[u8]) -> Vec<u8> {
    let key = std::str::from_utf8(key).unwrap_or_default();
    let visible: String = key.chars().filter(|character| !is_invisible(*character)).collect();
    let plain = |character: char| match character {
        '\u{017f}' => 's',
        '\u{212a}' => 'k',
        '\u{ff01}'..='\u{ff5e}' => {
            char::from_u32(u32::from(character) - 0xfee0).unwrap_or(character)
        }
        _ => character,
    };
    visible.trim().chars().map(plain).collect::<String>().into_bytes()
}

fn is_invisible(character: char) -> bool {
    let is_space = matches!(character, '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | '\u{85}');
    let is_zero_width = matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e0fff}'
    );
    is_zero_width || (character.is_control() && !is_space)
}
