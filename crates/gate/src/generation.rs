//! Event ids across the homes of a session.
//!
//! Event ids are the upstream's own and pass unchanged while a session lives where it began. After a
//! session was recovered elsewhere, ids of its earlier homes mean nothing to the new one, so each
//! later home marks its ids, and an id without the present mark is not sent upstream.
//!
//! SPEC: 2025-11-25 basic/transports, Resumability: ids are unique within the session.

use bytes::Bytes;

/// How often a session has moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation(pub u32);

impl Generation {
    /// Whether the session still lives where it began.
    #[must_use]
    pub const fn is_first(self) -> bool {
        self.0 == 0
    }

    /// The id clients see.
    #[must_use]
    pub fn mark(self, id: &Bytes) -> Bytes {
        if self.is_first() {
            return id.clone();
        }
        let mut marked = format!("tg{}~", self.0).into_bytes();
        marked.extend_from_slice(id);
        Bytes::from(marked)
    }

    /// The id the upstream gave, if it was this home that gave it.
    #[must_use]
    pub fn unmark(self, id: &[u8]) -> Option<&[u8]> {
        if self.is_first() {
            Some(id)
        } else {
            id.strip_prefix(format!("tg{}~", self.0).as_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Generation;
    use bytes::Bytes;

    #[test]
    fn ids_of_another_home_are_not_passed_on() {
        let id = Bytes::from_static(b"17");
        let second = Generation(1).mark(&id);
        assert_eq!(Generation(0).mark(&id), id);
        assert_eq!(Generation(1).unmark(&second), Some(&b"17"[..]));
        assert_eq!(Generation(1).unmark(&id), None);
        assert_eq!(Generation(2).unmark(&second), None);
    }
}
