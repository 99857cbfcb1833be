//! The same question is asked once, however many callers wait for its answer.
//!
//! Whoever asks first does the work; should that caller go away, the next one does it anew. Answers
//! are not kept: that is the work of `remembered.rs`.

use crate::remembered::Key;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Weak};
use tokio::sync::OnceCell;

/// Questions that are under way.
#[derive(Debug)]
pub(crate) struct Flights<T> {
    // Held for one map operation, never across an await.
    under_way: Mutex<UnderWay<T>>,
}

#[derive(Debug)]
struct UnderWay<T> {
    cells: HashMap<Key, Weak<OnceCell<T>>>,
    /// At this many, those that nobody waits for are dropped: the map stays within twice the
    /// callers that wait.
    sweep_at: usize,
}

const SWEEP_AT_MIN: usize = 128;

impl<T> Default for Flights<T> {
    fn default() -> Self {
        let under_way = UnderWay { cells: HashMap::new(), sweep_at: SWEEP_AT_MIN };
        Self { under_way: Mutex::new(under_way) }
    }
}

impl<T: Clone> Flights<T> {
    /// The outcome of `work`, or of the work somebody else began for the same key.
    pub(crate) async fn once(&self, key: Key, work: impl Future<Output = T>) -> T {
        let cell = self.board(key);
        cell.get_or_init(|| work).await.clone()
    }

    fn board(&self, key: Key) -> Arc<OnceCell<T>> {
        let mut under_way = self.under_way.lock();
        if let Some(cell) = under_way.cells.get(&key).and_then(Weak::upgrade) {
            return cell;
        }
        if under_way.cells.len() >= under_way.sweep_at {
            under_way.cells.retain(|_, cell| cell.strong_count() > 0);
            under_way.sweep_at = (under_way.cells.len() * 2).max(SWEEP_AT_MIN);
        }
        let cell = Arc::new(OnceCell::new());
        under_way.cells.insert(key, Arc::downgrade(&cell));
        cell
    }
}

#[cfg(test)]
mod tests {
    use super::{Flights, SWEEP_AT_MIN};
    use crate::remembered::Key;

    #[tokio::test]
    async fn flights_that_have_landed_take_no_room() {
        let flights = Flights::default();
        for number in 0..10_000_u32 {
            flights.once(Key::of(1, &number.to_be_bytes()), async { number }).await;
        }
        assert!(flights.under_way.lock().cells.len() <= SWEEP_AT_MIN);
    }

    #[tokio::test]
    async fn work_that_was_given_up_is_done_by_the_next() {
        let flights = Flights::default();
        let key = Key::of(1, b"token");
        let endless = flights.once(key, std::future::pending());
        let given_up = tokio::time::timeout(std::time::Duration::from_millis(1), endless).await;
        assert!(given_up.is_err());
        assert_eq!(flights.once(key, async { 7 }).await, 7);
    }
}
