//! What waits for the reader of one exchange: messages, then an end.
//!
//! Bounded in number and bytes. A reader that falls behind is cut off instead of stalling the line,
//! which others use too.

use crate::upstream::fault::{Cause, SendError};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tollgate_core::bounds::{LINE_UNREAD_BYTES_MAX, LINE_UNREAD_MAX};

/// One message for the reader.
#[derive(Debug)]
pub(super) struct Said {
    /// The message.
    pub(super) message: Bytes,
    /// Whether it answers a request, rather than being a notification or a request itself.
    pub(super) is_answer: bool,
}

/// The queue. Clones of its `Arc` are held by the line, which fills it, and by its reader.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    // A plain mutex: held for one queue operation.
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    queue: VecDeque<Said>,
    bytes: usize,
    end: Option<Result<(), SendError>>,
    reader: Option<Waker>,
}

impl Mailbox {
    /// An empty one.
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Adds a message; without effect behind the end. False if the reader is cut off by it.
    pub(super) fn put(&self, message: Bytes, is_answer: bool) -> bool {
        let mut inner = self.inner.lock();
        if inner.end.is_some() {
            return false;
        }
        let bytes = inner.bytes.saturating_add(message.len());
        if inner.queue.len() >= LINE_UNREAD_MAX || bytes > LINE_UNREAD_BYTES_MAX {
            let why = String::from("its messages were not read in time");
            inner.close(Err(SendError::Lost(Cause::Line(why))));
            inner.queue = VecDeque::new();
            return false;
        }
        inner.bytes = bytes;
        inner.queue.push_back(Said { message, is_answer });
        inner.wake();
        true
    }

    /// Ends it, behind the messages it has.
    pub(super) fn finish(&self) {
        self.inner.lock().close(Ok(()));
    }

    /// Ends it badly, behind the messages it has.
    pub(super) fn fail(&self, error: SendError) {
        self.inner.lock().close(Err(error));
    }

    /// The next message; `None` behind the good end.
    pub(super) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Said, SendError>>> {
        let mut inner = self.inner.lock();
        if let Some(said) = inner.queue.pop_front() {
            inner.bytes = inner.bytes.saturating_sub(said.message.len());
            return Poll::Ready(Some(Ok(said)));
        }
        match &inner.end {
            Some(Ok(())) => Poll::Ready(None),
            Some(Err(error)) => Poll::Ready(Some(Err(error.clone()))),
            None => {
                inner.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Inner {
    fn close(&mut self, end: Result<(), SendError>) {
        if self.end.is_none() {
            self.end = Some(end);
            self.wake();
        }
    }

    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Mailbox;
    use bytes::Bytes;
    use std::task::{Context, Poll, Waker};
    use tollgate_core::bounds::{LINE_UNREAD_BYTES_MAX, LINE_UNREAD_MAX};

    fn next(mailbox: &Mailbox) -> String {
        match mailbox.poll_next(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(Ok(said))) => String::from_utf8_lossy(&said.message).into_owned(),
            Poll::Ready(Some(Err(error))) => error.to_string(),
            Poll::Ready(None) => String::from("(end)"),
            Poll::Pending => String::from("(nothing)"),
        }
    }

    #[test]
    fn messages_come_before_the_end() {
        let mailbox = Mailbox::new();
        assert_eq!(next(&mailbox), "(nothing)");
        assert!(mailbox.put(Bytes::from_static(b"a"), false));
        mailbox.finish();
        assert!(!mailbox.put(Bytes::from_static(b"late"), false));
        assert_eq!((next(&mailbox), next(&mailbox)), ("a".into(), "(end)".into()));
    }

    #[test]
    fn a_reader_that_falls_behind_is_cut_off_and_its_messages_are_freed() {
        let many = Mailbox::new();
        assert!((0..LINE_UNREAD_MAX).all(|_| many.put(Bytes::from_static(b"a"), false)));
        assert!(!many.put(Bytes::from_static(b"a"), false));
        assert!(next(&many).contains("not read in time"));

        let large = Mailbox::new();
        let half = Bytes::from(vec![0; LINE_UNREAD_BYTES_MAX / 2]);
        assert!(large.put(half.clone(), false) && large.put(half.clone(), false));
        assert!(!large.put(Bytes::from_static(b"a"), false));
        assert!(next(&large).contains("not read in time"));
    }
}
