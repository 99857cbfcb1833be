//! Where an event of a stream ends: behind its blank line.
//!
//! Lines end with LF, CR or CR LF, and a chunk may end between any two bytes. An event whose blank
//! line ends with CR is complete at once; a line feed that follows in the next chunk belongs to it
//! and is thrown away there.

use memchr::memchr2;

/// What must be remembered of an unfinished event between two chunks.
#[derive(Debug)]
pub(super) struct Boundary {
    is_line_empty: bool,
    /// The last byte was a CR within the event: a line feed now is its second half.
    is_after_return: bool,
    /// The last byte was a CR that ended an event.
    is_after_event: bool,
}

impl Default for Boundary {
    fn default() -> Self {
        Self { is_line_empty: true, is_after_return: false, is_after_event: false }
    }
}

impl Boundary {
    /// How many bytes at the start of the chunk still belong to the event before: one or none.
    pub(super) fn stray_line_feed(&mut self, chunk: &[u8]) -> usize {
        let is_stray = self.is_after_event && chunk.first() == Some(&b'\n');
        if !chunk.is_empty() {
            self.is_after_event = false;
        }
        usize::from(is_stray)
    }

    /// The length of the chunk's part that ends the current event, if its end is in the chunk.
    pub(super) fn find_end(&mut self, chunk: &[u8]) -> Option<usize> {
        let mut at = 0;
        if self.is_after_return && !chunk.is_empty() {
            self.is_after_return = false;
            at = usize::from(chunk[0] == b'\n');
        }
        while let Some(found) = memchr2(b'\n', b'\r', &chunk[at..]) {
            let is_blank = self.is_line_empty && found == 0;
            let is_return = chunk[at + found] == b'\r';
            at += found + 1;
            self.is_line_empty = true;
            let is_cut = is_return && at == chunk.len();
            if is_return && chunk.get(at) == Some(&b'\n') {
                at += 1;
            }
            if is_blank {
                self.is_after_event = is_cut;
                return Some(at);
            }
            self.is_after_return = is_cut;
        }
        if at < chunk.len() {
            self.is_line_empty = false;
        }
        None
    }
}
