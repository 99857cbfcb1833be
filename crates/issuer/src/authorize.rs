//! The authorization endpoint: judges what a client asks for, then lets the person sign in and agree.
//!
//! Who asks and where the answer would go are judged first; whatever is wrong with these is told on a
//! page, since an answer sent there would be sent to somebody else. All else that is wrong goes back
//! to the client by a redirect. What is judged good becomes a [`Transaction`], and only that goes on.
//!
//! Next: `authorize/checks.rs`, the table of checks; `authorize/answer.rs`, what is sent back;
//! `signin.rs`, `consent.rs`. SPEC: OAuth 2.1 section 4.1; RFC 9700 sections 2.1 and 4.1.

pub(crate) mod answer;
mod asking;
mod checks;
pub(crate) mod client;

use crate::authorize::answer::Return;
use crate::authorize::asking::Asking;
use crate::browser::{self, Browser};
use crate::consent;
use crate::desk::Desk;
use crate::error::{ErrorCode, OAuthError};
use crate::pages::problem::Problem;
use crate::pages::see_other;
use crate::reply::Response;
use crate::request::Request;
use crate::signin;
use crate::transaction::{Prompt, Transaction};
use http::Method;
use tollgate_core::bounds::people::AUTHORIZE_BYTES_MAX;

/// Where it is.
pub(crate) const AUTHORIZE: &str = "/oauth/authorize";

/// Answers an authorization request.
pub(crate) async fn authorize(desk: &Desk, request: &Request) -> Response {
    let judged = match request.head.method {
        Method::POST => by_get(request).map_err(|error| Problem::bad_link(&error)),
        _ => begun(desk, request).await,
    };
    judged.unwrap_or_else(|problem| problem.response(desk))
}

/// A form that another site sent comes without our cookies; asked for again by GET, they are there.
fn by_get(request: &Request) -> Result<Response, OAuthError> {
    request.form()?;
    let form = std::str::from_utf8(&request.body)
        .map_err(|_error| OAuthError::invalid_request("the form is not UTF-8"))?;
    check_size(form)?;
    let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    if !form.bytes().all(fits) {
        return Err(OAuthError::invalid_request("the form has characters that must be escaped"));
    }
    Ok(see_other(&format!("{AUTHORIZE}?{form}")))
}

async fn begun(desk: &Desk, request: &Request) -> Result<Response, Problem> {
    let bad = |error: OAuthError| Problem::bad_link(&error);
    check_size(request.head.uri.query().unwrap_or_default()).map_err(bad)?;
    let form = request.query().map_err(bad)?;
    let asking = Asking::read(desk, &form).await.map_err(bad)?;
    let back = asking.back();
    if let Err(error) = checks::all(&asking) {
        return Ok(back.refused(desk, &error));
    }
    let browser = Browser::read(desk, request).await?;
    let transaction = transaction(desk, &asking, &browser);
    let mut response = if asking.prompts().is_none() {
        silently(desk, &browser, &transaction, &back).await?
    } else {
        proceed(desk, &browser, &transaction).await?
    };
    browser.remember(desk, response.headers_mut());
    Ok(response)
}

fn check_size(text: &str) -> Result<(), OAuthError> {
    if text.len() > AUTHORIZE_BYTES_MAX {
        return Err(OAuthError::new(ErrorCode::TooLarge, "the authorization request is too long"));
    }
    Ok(())
}

fn transaction(desk: &Desk, asking: &Asking<'_>, browser: &Browser) -> Transaction {
    let prompts = asking.prompts();
    let session = browser.session.as_ref().map(|session| session.id.clone());
    let all = [Prompt::Login, Prompt::SelectAccount];
    let prompt = all.into_iter().find(|prompt| prompts.has(prompt.name()));
    Transaction {
        id: browser::random(desk),
        expires: Transaction::ends(desk),
        client: asking.client.id().to_owned(),
        redirect_uri: asking.redirect_uri.clone(),
        state: asking.state().map(str::to_owned),
        challenge: asking.form.get("code_challenge").unwrap_or_default().to_owned(),
        resource: asking.resource().map(|found| found.identifier.clone()).unwrap_or_default(),
        scopes: asking.scopes().unwrap_or_default(),
        must_ask: prompts.has("consent"),
        not_session: session.filter(|_| prompt.is_some()),
        prompt,
    }
}

/// The next step of a transaction: signing in, agreeing, or the answer.
pub(crate) async fn proceed(
    desk: &Desk,
    browser: &Browser,
    transaction: &Transaction,
) -> Result<Response, Problem> {
    let sealed = transaction.sealed(desk, browser).ok_or_else(|| {
        Problem::bad_link(&OAuthError::new(ErrorCode::TooLarge, "the request is too long"))
    })?;
    let Some(session) = transaction.session(browser) else {
        return Ok(see_other(&format!("{}?transaction={sealed}", signin::SIGN_IN)));
    };
    match consent::remembered(desk, session, transaction).await? {
        Some(scopes) => answer::code(desk, session, transaction, scopes).await,
        None => Ok(see_other(&format!("{}?transaction={sealed}", consent::CONSENT))),
    }
}

/// The answer if no page may be shown (`prompt=none`).
async fn silently(
    desk: &Desk,
    browser: &Browser,
    transaction: &Transaction,
    back: &Return,
) -> Result<Response, Problem> {
    let Some(session) = transaction.session(browser) else {
        let error = OAuthError::new(ErrorCode::LoginRequired, "nobody is signed in");
        return Ok(back.refused(desk, &error));
    };
    match consent::remembered(desk, session, transaction).await? {
        Some(scopes) => answer::code(desk, session, transaction, scopes).await,
        None => {
            let error = OAuthError::new(ErrorCode::ConsentRequired, "the person must be asked");
            Ok(back.refused(desk, &error))
        }
    }
}
