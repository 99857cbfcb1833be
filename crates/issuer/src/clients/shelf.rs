//! A bounded memory of what was fetched: one place for each URL, and at each place one who fetches
//! while the others wait for the outcome.
//!
//! Forgets what was asked for longest ago. Whoever holds a forgotten place may finish; the next one
//! begins anew. Knows nothing of what is kept, nor of how long it is good.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use tollgate_core::clock::Millis;

/// A place of which one at a time has the use.
pub(crate) type Place<T> = Arc<tokio::sync::Mutex<T>>;

/// At most `max` places.
pub(crate) struct Shelf<T> {
    max: usize,
    /// Held only to find a place, never while anything is fetched.
    places: Mutex<HashMap<String, (Place<T>, Millis)>>,
}

impl<T> fmt::Debug for Shelf<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf").field("max", &self.max).finish_non_exhaustive()
    }
}

impl<T: Default> Shelf<T> {
    /// An empty one.
    pub(crate) fn new(max: usize) -> Self {
        Self { max, places: Mutex::default() }
    }

    /// The place of this name, made if need be.
    pub(crate) fn place(&self, name: &str, now: Millis) -> Place<T> {
        let mut places = self.places.lock();
        if let Some((place, asked)) = places.get_mut(name) {
            *asked = now;
            return Arc::clone(place);
        }
        if places.len() >= self.max {
            let oldest = places.iter().min_by_key(|(_, (_, asked))| *asked);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                places.remove(&oldest);
            }
        }
        let place = Place::<T>::default();
        places.insert(String::from(name), (Arc::clone(&place), now));
        place
    }
}

#[cfg(test)]
mod tests {
    use super::Shelf;
    use std::sync::Arc;
    use tollgate_core::clock::Millis;

    #[test]
    fn one_name_has_one_place() {
        let shelf: Shelf<u8> = Shelf::new(2);
        let place = shelf.place("a", Millis(1));
        assert!(Arc::ptr_eq(&place, &shelf.place("a", Millis(2))));
        assert!(!Arc::ptr_eq(&place, &shelf.place("b", Millis(2))));
    }

    #[test]
    fn what_was_asked_for_longest_ago_is_forgotten() {
        let shelf: Shelf<u8> = Shelf::new(2);
        let (a, b) = (shelf.place("a", Millis(1)), shelf.place("b", Millis(2)));
        shelf.place("a", Millis(3));
        shelf.place("c", Millis(4));
        assert!(Arc::ptr_eq(&a, &shelf.place("a", Millis(5))));
        assert!(!Arc::ptr_eq(&b, &shelf.place("b", Millis(6))));
        assert_eq!(shelf.places.lock().len(), 2);
    }
}
