//! What a person is asked: which client, on whose behalf, for what, and where the answer goes.
//!
//! A client's name is only what it calls itself, so beside it stands what is known of it: who added
//! it, or the host its metadata is at.

use crate::authorize::client::TOOL;
use crate::browser::{Browser, Session};
use crate::clients::Client;
use crate::consent::wanted;
use crate::desk::Desk;
use crate::form::Form;
use crate::pages::problem::Problem;
use crate::pages::shown::shown;
use crate::pages::{self, ConsentPage, Forms, Words, page};
use crate::reply::Response;
use crate::transaction::{Step, Transaction, form_token};
use http::StatusCode;
use tollgate_core::bounds::people::CONSENT_CHOICES_MAX;
use tollgate_core::stores::Origin;
use tollgate_oauth::redirect;
use url::Url;

/// Everything a person is asked about.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    pub(crate) desk: &'a Desk,
    pub(crate) browser: &'a Browser,
    pub(crate) session: &'a Session,
    pub(crate) transaction: &'a Transaction,
    pub(crate) client: Client,
}

impl Question<'_> {
    /// The page.
    pub(crate) fn page(&self, problem: Option<&str>) -> Result<Response, Problem> {
        let Self { desk, browser, transaction, client, .. } = self;
        let sealed = transaction.sealed(desk, browser).ok_or_else(Problem::over)?;
        let token = form_token(desk, browser, &transaction.id, Step::Consent);
        let token = token.ok_or_else(Problem::over)?;
        let scopes = wanted(desk, client, transaction);
        let id_host = document_host(client);
        let place = redirect::place(&transaction.redirect_uri);
        let place = place_in_words(&transaction.redirect_uri, &place);
        let of = ConsentPage {
            host: pages::host(desk),
            client: &client_name(client),
            origin: match client.record().origin {
                Origin::Operator => "The operator of this gate added it.",
                Origin::Registered { .. } => {
                    "It registered itself under this name. Nobody has checked who it is."
                }
                Origin::Document => "It is known by the web page it publishes itself on.",
            },
            id_host: id_host.as_deref(),
            warning: warning(&client.record().origin, client.is_loopback_only()),
            person: &shown(&self.session.person.name, "a person without a name"),
            resource: &transaction.resource,
            place: &place,
            scopes: &scopes.iter().map(|scope| words(scope)).collect::<Vec<_>>(),
            is_choice: is_choice(&scopes),
            transaction: &sealed,
            token: &token,
            problem,
        };
        let status = if problem.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        Ok(page(status, &of, Forms::Away))
    }

    /// The scopes left selected; `None` if none is, though some could have been: a token without
    /// scopes would not be a smaller right but an unnamed one.
    pub(crate) fn kept(&self, form: &Form) -> Option<Vec<String>> {
        let wanted = wanted(self.desk, &self.client, self.transaction);
        if wanted.is_empty() || !is_choice(&wanted) {
            return Some(wanted);
        }
        let is_kept = |at: usize| form.get(&format!("scope-{at}")) == Some("yes");
        let kept: Vec<_> = wanted
            .into_iter()
            .enumerate()
            .filter(|(at, _)| is_kept(*at))
            .map(|(_, it)| it)
            .collect();
        (!kept.is_empty()).then_some(kept)
    }
}

/// Whether single scopes can be left out: nobody weighs hundreds one by one.
fn is_choice(scopes: &[String]) -> bool {
    scopes.len() <= CONSENT_CHOICES_MAX
}

/// What a client calls itself.
pub(crate) fn client_name(client: &Client) -> String {
    let id = shown(client.id(), "a client without a name");
    shown(client.name(), &id)
}

/// Of a client that is a document: the host it is at.
fn document_host(client: &Client) -> Option<String> {
    match client.record().origin {
        Origin::Document => Url::parse(client.id()).ok()?.host_str().map(String::from),
        Origin::Operator | Origin::Registered { .. } => None,
    }
}

/// SPEC: MCP 2026-07-28 authorization, security considerations: whoever shows a genuine document can
/// listen at a loopback port.
fn warning(origin: &Origin, is_loopback_only: bool) -> Option<&'static str> {
    (is_loopback_only && *origin == Origin::Document).then_some(
        "The answer goes to a program on the computer you are using, and any program there can claim \
         this name. Allow it only if you have just asked for this connection yourself.",
    )
}

/// Where the person is sent back to, in words. `place` is the place of the redirect URI.
fn place_in_words<'a>(redirect_uri: &str, place: &'a str) -> Words<'a> {
    if redirect::is_loopback(redirect_uri) {
        let host = place.split_once("://").map_or(place, |(_, host)| host);
        return Words { words: "a program on this computer,", exact: Some(host) };
    }
    match place.strip_prefix("https://") {
        Some(host) => Words { words: "", exact: Some(host) },
        None => Words { words: "an app on this device,", exact: Some(place) },
    }
}

/// A scope in words.
fn words(scope: &str) -> Words<'_> {
    match scope.strip_prefix(TOOL) {
        Some("*") => Words { words: "call every tool", exact: None },
        Some(tool) => Words { words: "call the tool", exact: Some(tool) },
        None => Words { words: "use", exact: Some(scope) },
    }
}

#[cfg(test)]
mod tests {
    use super::{Words, place_in_words, warning, words};
    use tollgate_core::stores::Origin;
    use tollgate_oauth::redirect;

    #[test]
    fn scopes_are_said_in_words() {
        let tool = Words { words: "call the tool", exact: Some("github__get_issue") };
        assert_eq!(words("tool:github__get_issue"), tool);
        assert_eq!(words("files:read"), Words { words: "use", exact: Some("files:read") });
    }

    #[test]
    fn a_document_that_leads_only_to_this_machine_is_warned_of() {
        let text = warning(&Origin::Document, true).expect("a warning");
        assert!(text.contains("any program there can claim this name"));
        assert_eq!(warning(&Origin::Document, false), None);
        assert_eq!(warning(&Origin::Operator, true), None);
    }

    #[test]
    fn places_are_said_in_words() {
        for (uri, words, exact) in [
            ("https://claude.ai/api/cb?x=1", "", "claude.ai"),
            ("http://127.0.0.1:4711/cb", "a program on this computer,", "127.0.0.1"),
            ("com.example.app:/cb", "an app on this device,", "com.example.app:"),
        ] {
            let place = redirect::place(uri);
            assert_eq!(place_in_words(uri, &place), Words { words, exact: Some(exact) });
        }
    }
}
