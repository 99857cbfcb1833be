//! The browser: which one it is, who is signed in there, and what it carries from step to step.
//!
//! A browser holds a random key in a cookie. All else it holds is sealed and bound to that key, so
//! nothing can be carried from one browser to another: neither a half-done authorization nor a
//! session. A session has a new id at every sign-in. It is void once its person is locked, has
//! another password, was cut off or signed out, whatever the cookie says.
//!
//! Next: `browser/cookie.rs`, `browser/ended.rs`; what travels: `transaction.rs`.

pub(crate) mod cookie;
pub(crate) mod ended;

use crate::accounts;
use crate::browser::cookie::Cookie;
use crate::desk::Desk;
use crate::request::Request;
use crate::seal::Purpose;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use tollgate_core::bounds::people::BROWSER_SESSION_SECS;
use tollgate_core::stores::StoreError;

/// A browser that asked for something.
#[derive(Debug)]
pub(crate) struct Browser {
    key: String,
    is_new: bool,
    /// Who is signed in.
    pub(crate) session: Option<Session>,
}

/// Who is signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Session {
    /// Random; another one at each sign-in.
    pub(crate) id: String,
    /// Who signed in.
    pub(crate) person: Person,
    /// When, in Unix seconds.
    pub(crate) signed_in: u64,
}

/// A person, however they signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Person {
    /// What tokens name them by.
    pub(crate) subject: String,
    /// The local account, if it is one.
    pub(crate) account: Option<Account>,
    /// What they are called.
    pub(crate) name: String,
    /// Groups.
    pub(crate) groups: Vec<String>,
}

/// Which local account somebody signed in to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Account {
    /// Its id.
    pub(crate) id: String,
    /// A digest of the password's salted hash: another password makes another one, also within the
    /// same second.
    pub(crate) stamp: String,
}

impl Browser {
    /// Reads the cookies of a request, and asks the stores whether the session still stands.
    ///
    /// # Errors
    /// The stores have no answer; then nobody counts as signed in.
    pub(crate) async fn read(desk: &Desk, request: &Request) -> Result<Self, StoreError> {
        let headers = &request.head.headers;
        let is_secure = is_secure(desk);
        let key = cookie::read(headers, Cookie::Browser, is_secure).filter(|key| is_key(key));
        let Some(key) = key else {
            return Ok(Self { key: random(desk), is_new: true, session: None });
        };
        let mut browser = Self { key, is_new: false, session: None };
        if let Some(text) = cookie::read(headers, Cookie::Session, is_secure) {
            let session = desk.people.seal.open(Purpose::Session, &[&browser.key], &text);
            browser.session = standing(desk, session).await?;
        }
        Ok(browser)
    }

    /// What sealed values are bound to.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Makes a browser that came without our cookie keep one.
    pub(crate) fn remember(&self, desk: &Desk, headers: &mut HeaderMap) {
        if self.is_new {
            cookie::set(headers, Cookie::Browser, &self.key, is_secure(desk), None);
        }
    }

    /// Begins a session, with a new id; false if it is more than a browser can hold.
    pub(crate) fn sign_in(&self, desk: &Desk, person: Person, headers: &mut HeaderMap) -> bool {
        let session = Session { id: random(desk), person, signed_in: desk.now() };
        let sealed =
            desk.people.seal.seal(Purpose::Session, &[&self.key], &session, &*desk.entropy);
        sealed
            .is_some_and(|text| cookie::set(headers, Cookie::Session, &text, is_secure(desk), None))
    }

    /// Ends the session, here and for whoever kept its cookie.
    pub(crate) async fn sign_out(
        &self,
        desk: &Desk,
        headers: &mut HeaderMap,
    ) -> Result<(), StoreError> {
        if let Some(session) = &self.session {
            self.end(desk, session).await?;
        }
        cookie::clear(headers, Cookie::Session, is_secure(desk));
        Ok(())
    }

    /// Ends a session for whoever kept its cookie.
    pub(crate) async fn end(&self, desk: &Desk, session: &Session) -> Result<(), StoreError> {
        ended::end(desk, &session.id, session.signed_in + BROWSER_SESSION_SECS).await
    }
}

/// The session, if nothing ended it.
async fn standing(desk: &Desk, session: Option<Session>) -> Result<Option<Session>, StoreError> {
    let Some(session) = session else { return Ok(None) };
    let now = desk.now();
    // A clock that was set back must not make sessions last longer.
    let age = now.checked_sub(session.signed_in);
    if age.is_none_or(|age| age >= BROWSER_SESSION_SECS) {
        return Ok(None);
    }
    if let Some(account) = &session.person.account {
        let user = desk.stores.users.by_id(&account.id).await?;
        let stands = user.is_some_and(|user| {
            let is_same = accounts::stamp(&user) == account.stamp;
            user.locked.is_none() && is_same && user.password_set <= session.signed_in
        });
        if !stands {
            return Ok(None);
        }
    }
    let subject = &session.person.subject;
    let ended = &desk.people.ended;
    let has_ended = ended.has(desk, &session.id, subject, session.signed_in).await?;
    Ok((!has_ended).then_some(session))
}

/// Whether people reach us by TLS, whoever ends it.
pub(crate) fn is_secure(desk: &Desk) -> bool {
    desk.settings.url.scheme() == "https"
}

/// 256 random bits.
pub(crate) fn random(desk: &Desk) -> String {
    let mut bytes = [0; 32];
    desk.entropy.fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

fn is_key(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}
