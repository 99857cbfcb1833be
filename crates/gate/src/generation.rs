//! Event ids across the homes of a session, and across the upstreams of a hub.
//!
//! Event ids are the upstream's own and pass unchanged while a session lives where it began. After a
//! session was recovered elsewhere, ids of its earlier homes mean nothing to the new one, so each
//! later home marks its ids; on a hub each upstream does. An id without the present mark is not sent
//! upstream.
//!
//! SPEC: 2025-11-25 basic/transports, Resumability: ids are unique within the session.

use bytes::Bytes;
use tollgate_core::ids::UpstreamName;
use tollgate_core::sessions::Session;

/// What the ids of one home look like to agents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark(Option<Box<[u8]>>);

impl Mark {
    /// No mark: for sessions that live where they began, and for streams without any.
    pub const NONE: Self = Self(None);

    /// The mark of the home a session has now.
    #[must_use]
    pub fn of(session: &Session) -> Self {
        Self::new(session.is_leg.then_some(&session.upstream), session.home.generation)
    }

    fn new(leg: Option<&UpstreamName>, generation: u32) -> Self {
        if leg.is_none() && generation == 0 {
            return Self(None);
        }
        let leg = leg.map_or("", UpstreamName::as_str);
        Self(Some(format!("tg{generation}:{leg}~").into_bytes().into()))
    }

    /// Whether ids pass unchanged.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// The id clients see.
    #[must_use]
    pub fn mark(&self, id: &Bytes) -> Bytes {
        match &self.0 {
            None => id.clone(),
            Some(mark) => Bytes::from([mark, &**id].concat()),
        }
    }

    /// The id the upstream gave, if it was this home that gave it.
    #[must_use]
    pub fn unmark<'a>(&self, id: &'a [u8]) -> Option<&'a [u8]> {
        match &self.0 {
            None => Some(id),
            Some(mark) => id.strip_prefix(&**mark),
        }
    }

    /// The name of the upstream that an id on a hub says it is of.
    #[must_use]
    pub fn leg_of(id: &[u8]) -> Option<&[u8]> {
        let marked = id.strip_prefix(b"tg")?;
        let end = marked.iter().position(|byte| *byte == b'~')?;
        let colon = marked[..end].iter().position(|byte| *byte == b':')?;
        Some(&marked[colon + 1..end]).filter(|name| !name.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::Mark;
    use bytes::Bytes;
    use tollgate_core::ids::UpstreamName;

    #[test]
    fn ids_of_another_home_are_not_passed_on() {
        let id = Bytes::from_static(b"17");
        let (first, second) = (Mark::new(None, 0), Mark::new(None, 1));
        let marked = second.mark(&id);
        assert_eq!(first.mark(&id), id);
        assert_eq!(second.unmark(&marked), Some(&b"17"[..]));
        assert_eq!(second.unmark(&id), None);
        assert_eq!(Mark::new(None, 2).unmark(&marked), None);
    }

    #[test]
    fn ids_on_a_hub_say_whose_they_are() {
        let id = Bytes::from_static(b"a~b:c");
        let (files, git) = (UpstreamName::from("files"), UpstreamName::from("git"));
        let marked = Mark::new(Some(&files), 0).mark(&id);
        assert_eq!(Mark::leg_of(&marked), Some(&b"files"[..]));
        assert_eq!(Mark::new(Some(&files), 0).unmark(&marked), Some(&b"a~b:c"[..]));
        assert_eq!(Mark::new(Some(&git), 0).unmark(&marked), None);
        assert_eq!(Mark::new(Some(&files), 1).unmark(&marked), None);
        for other in [&b"17"[..], b"tg1:~17", b"tg", b"tg1~"] {
            assert_eq!(Mark::leg_of(other), None);
        }
    }
}
