//! Browser sessions that ended before their time: somebody signed out, or was cut off.
//!
//! What ended is in the store of revocations, so all processes that share it know. It is read anew
//! only when its version has changed, which is cheap to ask.

use crate::desk::Desk;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tollgate_core::stores::{Revocable, Revocation, StoreError};

/// Ids of browser sessions, among ids of tokens.
const PREFIX: &str = "browser:";

/// What had ended at one version of the store.
#[derive(Debug, Default)]
struct Known {
    version: u64,
    sessions: HashSet<String>,
    /// People, and until when their sign-ins are void.
    people: HashMap<String, u64>,
}

/// Remembers what had ended. Its lock is held for a copy of a pointer only.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    known: Mutex<Option<Arc<Known>>>,
}

impl Ended {
    /// Whether a session of a person has ended.
    pub(crate) async fn has(
        &self,
        desk: &Desk,
        session: &str,
        subject: &str,
        signed_in: u64,
    ) -> Result<bool, StoreError> {
        let version = desk.stores.revocations.version().await?;
        let known = self.known.lock().clone().filter(|known| known.version == version);
        let known = match known {
            Some(known) => known,
            None => self.read(desk, version).await?,
        };
        let person = known.people.get(subject).is_some_and(|before| signed_in <= *before);
        Ok(person || known.sessions.contains(session))
    }

    async fn read(&self, desk: &Desk, version: u64) -> Result<Arc<Known>, StoreError> {
        let mut known = Known { version, ..Known::default() };
        for revocation in desk.stores.revocations.all(desk.now()).await? {
            match revocation.what {
                Revocable::Token(issuer, id) if issuer == desk.issuer => {
                    known.sessions.extend(id.strip_prefix(PREFIX).map(String::from));
                }
                Revocable::Subject(issuer, subject) if issuer == desk.issuer => {
                    known.people.insert(subject, revocation.before);
                }
                _ => {}
            }
        }
        let known = Arc::new(known);
        *self.known.lock() = Some(Arc::clone(&known));
        Ok(known)
    }
}

/// Ends a session, until it would have ended by itself.
pub(crate) async fn end(desk: &Desk, session: &str, until: u64) -> Result<(), StoreError> {
    let what = Revocable::Token(desk.issuer.clone(), format!("{PREFIX}{session}"));
    desk.stores.revocations.revoke(Revocation { what, before: u64::MAX, until }).await
}
