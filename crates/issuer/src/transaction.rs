//! An authorization request on its way to a code.
//!
//! It was judged once, and travels sealed and bound to the browser through sign-in and consent, so
//! that nobody can change it between the steps or finish in another browser what was begun here. It
//! ends after ten minutes, and is answered once. What may change meanwhile (the client, the
//! configuration) is looked at again where it is answered.
//!
//! Next: `authorize.rs`, which makes it; `consent.rs`, which ends it.

use crate::browser::{Browser, Session};
use crate::desk::Desk;
use crate::seal::Purpose;
use serde::{Deserialize, Serialize};
use tollgate_core::bounds::people::TRANSACTION_SECS;
use tollgate_core::stores::StoreError;
use tollgate_oauth::secret;

/// A judged authorization request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Transaction {
    /// Random.
    pub(crate) id: String,
    /// When it ends, in Unix seconds.
    pub(crate) expires: u64,
    /// The client.
    pub(crate) client: String,
    /// Where the answer goes.
    pub(crate) redirect_uri: String,
    /// What the client wants back with it.
    pub(crate) state: Option<String>,
    /// The S256 challenge.
    pub(crate) challenge: String,
    /// The resource, as the settings name it.
    pub(crate) resource: String,
    /// The scopes asked for; none: whatever the resource has.
    pub(crate) scopes: Vec<String>,
    /// Whether to ask although the person has agreed before.
    pub(crate) must_ask: bool,
    /// The session that is not good enough: somebody wants to sign in anew.
    pub(crate) not_session: Option<String>,
    /// What is asked of the provider, if somebody is to sign in anew.
    pub(crate) prompt: Option<Prompt>,
}

/// How to sign in anew (OpenID Connect Core section 3.1.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Prompt {
    /// As whoever, and with their credentials.
    Login,
    /// As whomever the person chooses.
    SelectAccount,
}

impl Prompt {
    /// As it is sent.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::SelectAccount => "select_account",
        }
    }
}

/// A step with a form of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Signing in.
    SignIn,
    /// Signing out, outside of any transaction.
    SignOut,
    /// Agreeing.
    Consent,
}

impl Step {
    const fn name(self) -> &'static str {
        match self {
            Self::SignIn => "sign-in",
            Self::SignOut => "sign-out",
            Self::Consent => "consent",
        }
    }
}

impl Transaction {
    /// When one that begins now ends.
    pub(crate) fn ends(desk: &Desk) -> u64 {
        desk.now() + TRANSACTION_SECS
    }

    /// As text that only this browser can bring back.
    pub(crate) fn sealed(&self, desk: &Desk, browser: &Browser) -> Option<String> {
        desk.people.seal.seal(Purpose::Transaction, &[browser.key()], self, &*desk.entropy)
    }

    /// What this browser brings back, unless it is over.
    pub(crate) fn opened(desk: &Desk, browser: &Browser, text: &str) -> Option<Self> {
        let opened: Self = desk.people.seal.open(Purpose::Transaction, &[browser.key()], text)?;
        (desk.now() < opened.expires).then_some(opened)
    }

    /// The session, if it is good enough for this.
    pub(crate) fn session<'a>(&self, browser: &'a Browser) -> Option<&'a Session> {
        browser.session.as_ref().filter(|session| self.not_session.as_ref() != Some(&session.id))
    }

    /// Answers it; false if it was answered before.
    pub(crate) async fn finish(&self, desk: &Desk) -> Result<bool, StoreError> {
        let id = secret::digest(&format!("transaction {}", self.id));
        desk.stores.grants.spend_once(id, self.expires).await
    }
}

/// Proves that a form came from a page we made for this browser, session, transaction and step.
pub(crate) fn form_token(desk: &Desk, browser: &Browser, id: &str, step: Step) -> Option<String> {
    let context = form_context(browser, id, step);
    desk.people.seal.seal(Purpose::Form, &context, &Transaction::ends(desk), &*desk.entropy)
}

/// Whether such a proof is good.
pub(crate) fn is_form_token(
    desk: &Desk,
    browser: &Browser,
    id: &str,
    step: Step,
    token: Option<&str>,
) -> bool {
    let context = form_context(browser, id, step);
    let opened = token.and_then(|token| desk.people.seal.open(Purpose::Form, &context, token));
    opened.is_some_and(|expires: u64| desk.now() < expires)
}

fn form_context<'a>(browser: &'a Browser, id: &'a str, step: Step) -> [&'a str; 4] {
    let session = browser.session.as_ref().map_or("", |session| &session.id);
    [browser.key(), session, id, step.name()]
}
