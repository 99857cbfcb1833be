//! Signing in: with a local account here, or by way of a provider.
//!
//! Outside of a transaction the same address says who is signed in, and signs them out. What was
//! wrong with a sign-in is never told apart: the name, the password, or an account that is locked.
//!
//! Next: `accounts.rs`, `throttle.rs`, `provider.rs`.

use crate::accounts::{self, AccountsFault};
use crate::authorize::{client, proceed};
use crate::browser::{Account, Browser, Person};
use crate::consent::{client_name, denied, question_url};
use crate::desk::Desk;
use crate::error::OAuthError;
use crate::form::Form;
use crate::pages::problem::Problem;
use crate::pages::shown::shown;
use crate::pages::{self, Forms, SignInPage, StatusPage, page, see_other};
use crate::reply::Response;
use crate::request::Request;
use crate::settings::SignIn;
use crate::throttle::Wait;
use crate::transaction::{Step, Transaction, form_token, is_form_token};
use http::header::{HeaderValue, RETRY_AFTER};
use http::{Method, StatusCode};
use tollgate_core::bounds::people::USER_NAME_BYTES_MAX;
use tollgate_core::ids::Secret;
use tollgate_core::stores::UserRecord;

/// Where it is.
pub(crate) const SIGN_IN: &str = "/oauth/signin";
/// What a sign-out is for: no transaction has this id.
const NO_TRANSACTION: &str = "";
/// When to come back while too many sign in at once, in seconds.
const BUSY_SECS: u64 = 2;

/// Shows the page, or takes what was filled in.
pub(crate) async fn sign_in(desk: &Desk, request: &Request) -> Response {
    let answer = match request.head.method {
        Method::POST => sent(desk, request).await,
        _ => asked(desk, request).await,
    };
    answer.unwrap_or_else(|problem| problem.response(desk))
}

async fn asked(desk: &Desk, request: &Request) -> Result<Response, Problem> {
    let form = request.query().map_err(|error| Problem::bad_link(&error))?;
    let browser = Browser::read(desk, request).await?;
    let Some(text) = form.get("transaction") else { return status(desk, &browser) };
    let transaction = Transaction::opened(desk, &browser, text).ok_or_else(Problem::over)?;
    // A link and no form: nobody else knows the transaction, and our forms here lead only to us.
    if form.get("answer") == Some("cancel") {
        return denied(desk, &transaction).await;
    }
    if transaction.session(&browser).is_some() {
        return proceed(desk, &browser, &transaction).await;
    }
    match (&desk.settings.sign_in, &desk.people.provider) {
        (SignIn::Accounts, _) => {
            let visit = Visit { desk, browser: &browser, transaction: &transaction };
            visit.page(StatusCode::OK, "", None).await
        }
        (_, Some(provider)) => provider.depart(desk, &browser, &transaction).await,
        (_, None) => Err(Problem::nobody()),
    }
}

async fn sent(desk: &Desk, request: &Request) -> Result<Response, Problem> {
    let form = request.form().map_err(|error| Problem::bad_link(&error))?;
    let browser = Browser::read(desk, request).await?;
    let Some(text) = form.get("transaction") else { return sign_out(desk, &browser, &form).await };
    let transaction = Transaction::opened(desk, &browser, text).ok_or_else(Problem::over)?;
    if !is_form_token(desk, &browser, &transaction.id, Step::SignIn, form.get("token")) {
        return Err(Problem::forged());
    }
    if !matches!(desk.settings.sign_in, SignIn::Accounts) {
        return Err(Problem::nobody());
    }
    let visit = Visit { desk, browser: &browser, transaction: &transaction };
    let name = form.get("name").unwrap_or_default();
    let password = Secret::new(form.get("password").unwrap_or_default().to_owned());
    visit.tried(request, name, &password).await
}

/// Somebody at the sign-in page.
#[derive(Debug)]
struct Visit<'a> {
    desk: &'a Desk,
    browser: &'a Browser,
    transaction: &'a Transaction,
}

impl Visit<'_> {
    async fn tried(
        &self,
        request: &Request,
        name: &str,
        password: &Secret<String>,
    ) -> Result<Response, Problem> {
        let Self { desk, browser, transaction } = self;
        let people = &desk.people;
        let attempt = match people.throttle.begin(name, request.peer, desk.clock.now()) {
            Ok(attempt) => attempt,
            Err(wait) => return self.wait(name, wait).await,
        };
        let user = match people.accounts.person(&*desk.stores.users, name, password).await {
            Ok(Some(user)) => user,
            Ok(None) => {
                tracing::info!(address = %request.peer, "a sign-in failed");
                let text = "That name and password do not fit together.";
                return self.page(StatusCode::FORBIDDEN, name, Some(text)).await;
            }
            Err(fault) => {
                attempt.withdrawn();
                return self.failed(name, fault).await;
            }
        };
        attempt.succeeded();
        let person = person(user);
        // Asked again also if there is a consent: our form must not lead away from us by itself.
        let next = Transaction { must_ask: true, ..(*transaction).clone() };
        let mut response = see_other(&question_url(desk, browser, &next)?);
        if !browser.sign_in(desk, person, response.headers_mut()) {
            return Err(Problem::too_many_groups());
        }
        // The session before this one is not only covered, but ended.
        if let Some(session) = &browser.session {
            browser.end(desk, session).await?;
        }
        tracing::info!(client = %transaction.client, "a person signed in");
        Ok(response)
    }

    async fn wait(&self, name: &str, wait: Wait) -> Result<Response, Problem> {
        let text = format!(
            "There were too many attempts. Try again in {}.",
            if wait.secs < 90 {
                format!("{} seconds", wait.secs)
            } else {
                format!("{} minutes", wait.secs.div_ceil(60))
            }
        );
        let mut response = self.page(StatusCode::TOO_MANY_REQUESTS, name, Some(&text)).await?;
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.secs));
        Ok(response)
    }

    async fn failed(&self, name: &str, fault: AccountsFault) -> Result<Response, Problem> {
        match fault {
            AccountsFault::Store(error) => Err(Problem::from(error)),
            AccountsFault::Busy => {
                let text = "Many people are signing in just now. Try again in a moment.";
                let status = StatusCode::SERVICE_UNAVAILABLE;
                let mut response = self.page(status, name, Some(text)).await?;
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(BUSY_SECS));
                Ok(response)
            }
        }
    }

    async fn page(
        &self,
        status: StatusCode,
        name: &str,
        problem: Option<&str>,
    ) -> Result<Response, Problem> {
        let Self { desk, browser, transaction } = self;
        let sealed = transaction.sealed(desk, browser).ok_or_else(Problem::over)?;
        let token = form_token(desk, browser, &transaction.id, Step::SignIn);
        let of = SignInPage {
            host: pages::host(desk),
            client: &client_shown(desk, transaction).await?,
            transaction: &sealed,
            token: &token.ok_or_else(Problem::over)?,
            name: if name.len() <= USER_NAME_BYTES_MAX { name } else { "" },
            problem,
        };
        Ok(page(status, &of, Forms::Home))
    }
}

/// The person of a local account.
fn person(user: UserRecord) -> Person {
    Person {
        subject: accounts::subject(&user),
        account: Some(Account { stamp: accounts::stamp(&user), id: user.id }),
        name: user.name,
        groups: user.groups,
    }
}

async fn client_shown(desk: &Desk, transaction: &Transaction) -> Result<String, Problem> {
    let found = client::known(desk, &transaction.client).await;
    let found = found.map_err(|error: OAuthError| Problem::bad_link(&error))?;
    Ok(client_name(&found))
}

fn status(desk: &Desk, browser: &Browser) -> Result<Response, Problem> {
    let name = browser.session.as_ref().map(|session| session.person.name.as_str());
    let name = name.map(|name| shown(name, "a person without a name"));
    let token = form_token(desk, browser, NO_TRANSACTION, Step::SignOut);
    let of = StatusPage {
        host: pages::host(desk),
        person: name.as_deref(),
        token: &token.ok_or_else(Problem::over)?,
    };
    let mut response = page(StatusCode::OK, &of, Forms::Home);
    browser.remember(desk, response.headers_mut());
    Ok(response)
}

async fn sign_out(desk: &Desk, browser: &Browser, form: &Form) -> Result<Response, Problem> {
    if !is_form_token(desk, browser, NO_TRANSACTION, Step::SignOut, form.get("token")) {
        return Err(Problem::forged());
    }
    let mut response = see_other(SIGN_IN);
    browser.sign_out(desk, response.headers_mut()).await?;
    Ok(response)
}
