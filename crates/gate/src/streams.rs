//! How many event streams each caller holds open.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tollgate_core::principal::CallerKey;
use tollgate_core::refusal::{Reason, Refusal};

/// Counts lasting streams by caller. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Streams {
    // A plain mutex: held for one map operation, and lasting streams open rarely.
    held: Arc<Mutex<HashMap<CallerKey, usize>>>,
}

/// One counted stream, or none for answers to calls, which their request already bounds.
#[derive(Debug)]
pub struct StreamSlot(Option<(Streams, CallerKey)>);

impl StreamSlot {
    /// For a stream that is not counted.
    #[must_use]
    pub const fn uncounted() -> Self {
        Self(None)
    }
}

impl Streams {
    /// Counts another stream of this caller.
    ///
    /// # Errors
    /// [`Reason::CallerStreamsFull`] at the cap.
    pub fn open(&self, caller: CallerKey, max: usize) -> Result<StreamSlot, Refusal> {
        let mut held = self.held.lock();
        let count = held.entry(caller).or_insert(0);
        if *count >= max {
            let text = "this caller holds as many open streams as one caller may: close one first";
            return Err(Refusal::new(Reason::CallerStreamsFull, text).retry_after(10));
        }
        *count += 1;
        Ok(StreamSlot(Some((self.clone(), caller))))
    }

    /// How many streams are open.
    #[must_use]
    pub fn count(&self) -> usize {
        self.held.lock().values().sum()
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        let Some((streams, caller)) = self.0.take() else { return };
        let mut held = streams.held.lock();
        if let Some(count) = held.get_mut(&caller) {
            *count -= 1;
            if *count == 0 {
                held.remove(&caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Streams;
    use tollgate_core::principal::CallerKey;

    #[test]
    fn a_closed_stream_makes_room_for_another() {
        let streams = Streams::default();
        let caller = CallerKey::of_address([127, 0, 0, 1].into());
        let first = streams.open(caller, 1).expect("room");
        assert!(streams.open(caller, 1).is_err());
        drop(first);
        assert!(streams.open(caller, 1).is_ok());
        assert_eq!(streams.count(), 0);
    }
}
