//! The question whether a client may act for a person, and the answer to it.
//!
//! Nobody is asked again for what they agreed to before, for exactly this person, client, place to be
//! sent back to and resource. That holds only where the client proves who it is, or the place does:
//! anybody on a machine can listen at a loopback port or claim a private-use scheme under a client's
//! name, so these are asked about every time (RFC 8252 section 8.6, RFC 9700 section 4.14).
//!
//! Signing in comes first and agreeing last, so that whatever a provider has remembered, nothing goes
//! to a client that the person has not agreed to here. SPEC: MCP security best practices, Confused
//! Deputy.
//!
//! Next: `consent/question.rs`, what the page says.

mod question;

pub(crate) use question::client_name;

use crate::authorize::answer::{self, Return};
use crate::authorize::{client, proceed};
use crate::browser::{Browser, Session};
use crate::clients::Client;
use crate::consent::question::Question;
use crate::desk::Desk;
use crate::error::{ErrorCode, OAuthError};
use crate::form::Form;
use crate::pages::problem::Problem;
use crate::reply::Response;
use crate::request::Request;
use crate::transaction::{Prompt, Step, Transaction, is_form_token};
use http::Method;
use std::collections::BTreeSet;
use tollgate_core::stores::Consent;
use tollgate_oauth::redirect;

/// Where it is.
pub(crate) const CONSENT: &str = "/oauth/consent";

/// Asks, or takes the answer.
pub(crate) async fn consent(desk: &Desk, request: &Request) -> Response {
    let answer = match request.head.method {
        Method::POST => answered(desk, request).await,
        _ => asked(desk, request).await,
    };
    answer.unwrap_or_else(|problem| problem.response(desk))
}

async fn asked(desk: &Desk, request: &Request) -> Result<Response, Problem> {
    let form = request.query().map_err(|error| Problem::bad_link(&error))?;
    let browser = Browser::read(desk, request).await?;
    let transaction = opened(desk, &browser, &form)?;
    let Some(session) = transaction.session(&browser) else {
        return proceed(desk, &browser, &transaction).await;
    };
    if let Some(scopes) = remembered(desk, session, &transaction).await? {
        return answer::code(desk, session, &transaction, scopes).await;
    }
    let client = standing(desk, &transaction).await?;
    let question = Question { desk, browser: &browser, session, transaction: &transaction, client };
    question.page(None)
}

async fn answered(desk: &Desk, request: &Request) -> Result<Response, Problem> {
    let form = request.form().map_err(|error| Problem::bad_link(&error))?;
    let browser = Browser::read(desk, request).await?;
    let transaction = opened(desk, &browser, &form)?;
    let token = form.get("token");
    if !is_form_token(desk, &browser, &transaction.id, Step::Consent, token) {
        return Err(Problem::forged());
    }
    let Some(session) = transaction.session(&browser) else {
        return proceed(desk, &browser, &transaction).await;
    };
    let client = standing(desk, &transaction).await?;
    match form.get("answer") {
        Some("allow") => {}
        Some("other") => return other(desk, &browser, transaction).await,
        _ => return denied(desk, &transaction).await,
    }
    let question = Question { desk, browser: &browser, session, transaction: &transaction, client };
    let Some(kept) = question.kept(&form) else {
        return question.page(Some("Leave at least one thing selected, or deny."));
    };
    remember(desk, session, &question, &kept).await?;
    answer::code(desk, session, &transaction, kept).await
}

/// Where a person who has signed in is asked.
pub(crate) fn question_url(
    desk: &Desk,
    browser: &Browser,
    transaction: &Transaction,
) -> Result<String, Problem> {
    let sealed = transaction.sealed(desk, browser).ok_or_else(Problem::over)?;
    Ok(format!("{CONSENT}?transaction={sealed}"))
}

fn opened(desk: &Desk, browser: &Browser, form: &Form) -> Result<Transaction, Problem> {
    let text = form.get("transaction").unwrap_or_default();
    Transaction::opened(desk, browser, text).ok_or_else(Problem::over)
}

/// The client of a transaction, if all that was judged still holds: it may have been cut off since.
async fn standing(desk: &Desk, transaction: &Transaction) -> Result<Client, Problem> {
    let bad = |error: OAuthError| Problem::bad_link(&error);
    let client = client::known(desk, &transaction.client).await.map_err(bad)?;
    client::check_redirect(&client, &transaction.redirect_uri).map_err(bad)?;
    let resource = desk.resource(&transaction.resource).ok_or_else(Problem::over)?;
    let may_ask = |asked: &String| client::may_ask(&client, resource, asked);
    if !transaction.scopes.iter().all(may_ask) {
        return Err(Problem::over());
    }
    Ok(client)
}

/// Says no, once.
pub(crate) async fn denied(desk: &Desk, transaction: &Transaction) -> Result<Response, Problem> {
    if !transaction.finish(desk).await? {
        return Err(Problem::over());
    }
    let error = OAuthError::new(ErrorCode::AccessDenied, "the person did not allow it");
    Ok(Return::of(transaction).refused(desk, &error))
}

/// Signs out and goes on with whoever signs in next.
async fn other(
    desk: &Desk,
    browser: &Browser,
    mut transaction: Transaction,
) -> Result<Response, Problem> {
    transaction.not_session = browser.session.as_ref().map(|session| session.id.clone());
    transaction.prompt = Some(Prompt::SelectAccount);
    let mut response = proceed(desk, browser, &transaction).await?;
    browser.sign_out(desk, response.headers_mut()).await?;
    Ok(response)
}

/// The scopes asked for, if the person has agreed to all of them before and that may be believed.
pub(crate) async fn remembered(
    desk: &Desk,
    session: &Session,
    transaction: &Transaction,
) -> Result<Option<Vec<String>>, Problem> {
    if transaction.must_ask {
        return Ok(None);
    }
    let client = standing(desk, transaction).await?;
    if !is_memorable(&client, &transaction.redirect_uri) {
        return Ok(None);
    }
    let place = redirect::place(&transaction.redirect_uri);
    let subject = &session.person.subject;
    let grants = &desk.stores.grants;
    let kept = grants.consent(subject, client.id(), &place, &transaction.resource).await?;
    let wanted = wanted(desk, &client, transaction);
    Ok(kept
        .and_then(|kept| wanted.iter().all(|scope| kept.scopes.contains(scope)).then_some(wanted)))
}

/// Whether a consent may be believed the next time.
fn is_memorable(client: &Client, redirect_uri: &str) -> bool {
    let leaves = redirect_uri.starts_with("https://") && !redirect::is_loopback(redirect_uri);
    !client.is_public() || leaves
}

/// Keeps what was agreed to, besides what was agreed to before, without what was left out now.
async fn remember(
    desk: &Desk,
    session: &Session,
    question: &Question<'_>,
    kept: &[String],
) -> Result<(), Problem> {
    let Question { transaction, client, .. } = question;
    if !is_memorable(client, &transaction.redirect_uri) {
        return Ok(());
    }
    let grants = &desk.stores.grants;
    let (subject, resource) = (&session.person.subject, &transaction.resource);
    let place = redirect::place(&transaction.redirect_uri);
    let before = grants.consent(subject, client.id(), &place, resource).await?;
    let mut scopes: BTreeSet<String> = before.into_iter().flat_map(|old| old.scopes).collect();
    for asked in wanted(desk, client, transaction) {
        if kept.contains(&asked) {
            scopes.insert(asked);
        } else {
            scopes.remove(&asked);
        }
    }
    let consent = Consent {
        subject: subject.clone(),
        client: client.id().to_owned(),
        redirect: place,
        resource: resource.clone(),
        scopes: scopes.into_iter().collect(),
        given: desk.now(),
    };
    Ok(grants.keep_consent(consent).await?)
}

/// What is asked for: what the client named, or else all that the resource has and it may ask for.
fn wanted(desk: &Desk, client: &Client, transaction: &Transaction) -> Vec<String> {
    if !transaction.scopes.is_empty() {
        return transaction.scopes.clone();
    }
    let Some(resource) = desk.resource(&transaction.resource) else { return Vec::new() };
    let mut scopes = resource.scopes.clone();
    scopes.retain(|scope| client::may_ask(client, resource, scope));
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}
