//! `initialize` on a line: sent once, answered to everybody who shares the line.
//!
//! SPEC: 2025-11-25 basic/lifecycle: it is the first interaction, and it is not cancelled; so an
//! answer is kept even where whoever asked first has left.

use crate::upstream::duplex::conversation::Conversation;
use crate::upstream::duplex::desk::{Call, Desk, Role, Seat};
use crate::upstream::duplex::mailbox::Mailbox;
use crate::upstream::duplex::outbound::Judged;
use crate::upstream::duplex::served::{Held, Inbox, Ticket};
use crate::upstream::fault::SendError;
use bytes::Bytes;
use std::sync::Arc;
use tollgate_mcp::reply::Glance;

/// How far `initialize` has come on a line.
#[derive(Debug, Default)]
pub(super) struct Greeting {
    step: Step,
    /// Whether `notifications/initialized` was sent.
    pub(super) is_confirmed: bool,
}

#[derive(Debug, Default)]
enum Step {
    /// Nobody has sent it.
    #[default]
    New,
    /// It was sent; these wait for the answer under ids of their own.
    Sent(Vec<(Bytes, Arc<Mailbox>)>),
    /// This is the result.
    Done(Bytes),
}

/// A place on a line for a session that is being opened.
#[derive(Debug)]
pub(super) struct Greeted {
    /// The session's number on the line.
    pub(super) seat: u64,
    /// Where the answer comes.
    pub(super) inbox: Inbox,
    /// What must be written, if this is the first.
    pub(super) line: Option<Bytes>,
}

impl Conversation {
    /// Takes an `initialize`: passes it on, or answers it from what the first one was answered.
    ///
    /// # Errors
    /// [`SendError::NotSent`] if the line takes no more.
    pub(super) fn greet(self: &Arc<Self>, judged: &Judged) -> Result<Greeted, SendError> {
        let message = judged.first();
        let id = message.id.map(|id| judged.slice(id)).unwrap_or_default();
        let mailbox = Mailbox::new();
        let mut desk = self.desk();
        self.check_room(&desk)?;
        let seat = desk.number();
        desk.seats.insert(seat, Seat::default());
        let number = desk.number();
        let mut line = None;
        match &mut desk.greeting.step {
            Step::Done(result) => {
                mailbox.put(answer(&id, result), true);
                mailbox.finish();
            }
            Step::Sent(waiting) => waiting.push((id, mailbox.clone())),
            step @ Step::New => {
                *step = Step::Sent(Vec::new());
                line = Some(judged.renumbered(message, number));
                let mailbox = Some(mailbox.clone());
                let (seat, role) = (Some(seat), Role::Initialize);
                desk.begin(number, Call { id, token: None, seat, mailbox, role });
            }
        }
        drop(desk);
        let ticket = Ticket { conversation: self.clone(), of: Held::Calls(vec![number]) };
        Ok(Greeted { seat, inbox: Inbox::new(mailbox, ticket), line })
    }
}

impl Desk {
    /// The peer answered `initialize`: tells everybody who waits, and keeps a good answer.
    pub(super) fn greeted(&mut self, message: &Bytes, glance: &Glance) {
        let result = glance.result.map(|result| message.slice(result.span.range()));
        let waiting = match std::mem::take(&mut self.greeting.step) {
            Step::Sent(waiting) => waiting,
            Step::New | Step::Done(_) => Vec::new(),
        };
        for (id, mailbox) in waiting {
            let answer = match (&result, glance.error) {
                (Some(result), _) => answer(&id, result),
                (None, error) => {
                    let error = error.map(|error| error.of(message)).unwrap_or(b"{}");
                    Bytes::from(
                        [br#"{"jsonrpc":"2.0","id":"#, &*id, br#","error":"#, error, b"}"].concat(),
                    )
                }
            };
            mailbox.put(answer, true);
            mailbox.finish();
        }
        if let Some(result) = result {
            self.greeting.step = Step::Done(result);
        }
    }

    /// The line is over: those who wait for the greeting learn it too.
    pub(super) fn greeting_failed(&mut self, error: &SendError) {
        if let Step::Sent(waiting) = std::mem::take(&mut self.greeting.step) {
            for (_, mailbox) in waiting {
                mailbox.fail(error.clone());
            }
        }
    }
}

fn answer(id: &[u8], result: &[u8]) -> Bytes {
    Bytes::from([br#"{"jsonrpc":"2.0","id":"#, id, br#","result":"#, result, b"}"].concat())
}
