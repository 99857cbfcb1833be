//! What people are told when nothing can go on: what happened, what to do, and for whoever made the
//! client the code and description of OAuth.
//!
//! Never a redirect: who is told here was sent by a client that could not be believed, or there is
//! none to go back to.

use crate::desk::Desk;
use crate::error::{ErrorCode, OAuthError};
use crate::pages::{self, Forms, page};
use crate::reply::Response;
use askama::Template;
use http::StatusCode;
use http::header::{HeaderValue, RETRY_AFTER};
use std::borrow::Cow;
use tollgate_core::stores::StoreError;

/// When to come back while something is down, in seconds.
const RETRY_SECS: u64 = 2;

/// What people are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) title: &'static str,
    pub(crate) what: Cow<'static, str>,
    pub(crate) remedy: &'static str,
    pub(crate) detail: Option<String>,
}

#[derive(Debug, Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    host: &'a str,
    title: &'a str,
    what: &'a str,
    remedy: &'a str,
    detail: Option<&'a str>,
}

impl Problem {
    /// The client sent something that cannot be answered, not even to it.
    pub(crate) fn bad_link(error: &OAuthError) -> Self {
        let status = match error.code {
            // The status of a client that fails to prove itself is none for a page.
            ErrorCode::InvalidClient => StatusCode::BAD_REQUEST,
            code => code.status(),
        };
        let detail = format!("{}: {}", error.code.name(), error.shown());
        if status.is_server_error() {
            return Self { detail: Some(detail), ..Self::unavailable() };
        }
        Self {
            status,
            title: "This request cannot be answered",
            what: "The program that sent you here made a mistake, so it is not told anything."
                .into(),
            remedy: "You did nothing wrong. Go back to it, or tell whoever made it.",
            detail: Some(detail),
        }
    }

    /// The transaction is not of this browser, or over.
    pub(crate) fn over() -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            title: "This page has expired",
            what: "It was open for more than ten minutes, is already answered, or was begun in \
                   another browser."
                .into(),
            remedy: "Go back to the program that sent you here and connect again. If that does not \
                     help, allow cookies for this site.",
            detail: None,
        }
    }

    /// A form that is none of ours.
    pub(crate) fn forged() -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            title: "This form is not valid any more",
            what: "It was sent from another page, or somebody signed in or out meanwhile.".into(),
            remedy: "Nothing was changed. Go back to the program that sent you here and connect again.",
            detail: None,
        }
    }

    /// Nobody can sign in here.
    pub(crate) fn nobody() -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            title: "People cannot sign in here",
            what: "This gate only serves machines.".into(),
            remedy: "Ask its operator to set up how people sign in.",
            detail: None,
        }
    }

    /// What is known of a person does not fit into cookies.
    pub(crate) fn too_many_groups() -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            title: "You are in too many groups",
            what: "The list of your groups is longer than a browser can carry.".into(),
            remedy: "Ask the operator of this gate to have fewer groups sent.",
            detail: None,
        }
    }

    /// The provider did not let somebody in, or said something that cannot be believed.
    pub(crate) fn provider(name: &str, detail: String) -> Self {
        Self {
            status: StatusCode::BAD_GATEWAY,
            title: "Signing in did not work",
            what: format!("What came back from {name} could not be used.").into(),
            remedy: "Go back to the program that sent you here and connect again. If it happens \
                     again, tell the operator of this gate.",
            detail: Some(detail),
        }
    }

    /// Something this depends on is down.
    pub(crate) fn unavailable() -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            title: "Not available just now",
            what: "Something this page depends on does not answer.".into(),
            remedy: "Wait a moment and reload this page.",
            detail: None,
        }
    }

    /// The page.
    pub(crate) fn response(&self, desk: &Desk) -> Response {
        let of = ProblemPage {
            host: pages::host(desk),
            title: self.title,
            what: &self.what,
            remedy: self.remedy,
            detail: self.detail.as_deref(),
        };
        let mut response = page(self.status, &of, Forms::Home);
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(RETRY_SECS));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "a page of the issuer could not be made: its store failed");
        Self::unavailable()
    }
}
