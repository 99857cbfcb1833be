//! Signing in at an OpenID provider, as its client: the issuer is its facade, so that MCP clients the
//! provider would never know can use it.
//!
//! Code flow with PKCE, `state` and `nonce`. What must be remembered meanwhile is sealed in a cookie
//! of the browser that left, so nobody can finish in one browser what was begun in another. The ID
//! token is verified by the provider's keys even though it came by TLS, and nothing else is asked of
//! the provider. Its token endpoint, keys and issuer are those of one document, and `iss` in its
//! answer must agree, so answers of two providers cannot be mixed up (RFC 9207).
//!
//! Next: `provider/discovery.rs`, `provider/id_token.rs`.

mod discovery;
mod id_token;

use crate::browser::cookie::{self, Cookie};
use crate::browser::{self, Browser, Person};
use crate::consent::{denied, question_url};
use crate::desk::Desk;
use crate::form::Form;
use crate::pages::problem::Problem;
use crate::pages::see_other;
use crate::provider::discovery::{Discovery, Metadata};
use crate::reply::Response;
use crate::request::Request;
use crate::seal::Purpose;
use crate::settings::ProviderSettings;
use crate::transaction::Transaction;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderValue};
use serde::{Deserialize, Serialize};
use tollgate_core::bounds::people::{PROVIDER_TOKEN_BYTES_MAX, TRANSACTION_SECS};
use tollgate_core::ids::Secret;
use tollgate_oauth::{pkce, secret};
use tollgate_outbound::{Ask, FetchFault, Fetcher, Reach, Trust};
use url::Url;
use url::form_urlencoded::byte_serialize;

/// Where the provider sends people back to.
pub(crate) const CALLBACK: &str = "/oauth/callback";

/// Why nobody can sign in at the provider. Safe to show: holds no secret and nothing of a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderFault {
    /// It could not be asked.
    #[error("the provider cannot be asked: {0}")]
    Fetch(#[from] FetchFault),
    /// What it says of itself cannot be used.
    #[error("the provider's discovery document {0}")]
    Discovery(&'static str),
    /// It did not let the person in.
    #[error("the provider answered `{0}`")]
    Refused(String),
    /// It did not give a token for the code.
    #[error("the provider's token endpoint {0}")]
    Token(String),
    /// Its ID token cannot be believed.
    #[error("the provider's ID token is not good: {0}")]
    IdToken(String),
    /// The answer is not to the question this browser left with.
    #[error("the answer of the provider is not to what was asked: {0}")]
    Mismatch(&'static str),
}

/// The provider.
#[derive(Debug)]
pub(crate) struct Provider {
    settings: ProviderSettings,
    fetcher: Fetcher,
    discovery: Discovery,
}

/// What is remembered while somebody is there.
#[derive(Debug, Serialize, Deserialize)]
struct Departure {
    state: String,
    nonce: String,
    verifier: String,
    transaction: Transaction,
}

impl Provider {
    /// Makes it; nothing is fetched yet.
    ///
    /// # Errors
    /// The CA file cannot be used.
    pub(crate) fn new(settings: ProviderSettings) -> Result<Self, ProviderFault> {
        let trust = settings.ca.clone().map_or(Trust::System, Trust::File);
        Ok(Self { settings, fetcher: Fetcher::new(trust)?, discovery: Discovery::default() })
    }

    /// Sends somebody there.
    pub(crate) async fn depart(
        &self,
        desk: &Desk,
        browser: &Browser,
        transaction: &Transaction,
    ) -> Result<Response, Problem> {
        let metadata = self.metadata(desk).await.map_err(|fault| self.problem(&fault))?;
        let departure = Departure {
            state: browser::random(desk),
            nonce: browser::random(desk),
            verifier: browser::random(desk),
            transaction: transaction.clone(),
        };
        let context = [browser.key()];
        let sealed =
            desk.people.seal.seal(Purpose::Departure, &context, &departure, &*desk.entropy);
        let mut response = see_other(self.question(desk, &metadata, &departure).as_str());
        let headers = response.headers_mut();
        let age = Some(TRANSACTION_SECS);
        let is_kept = sealed.is_some_and(|text| {
            cookie::set(headers, Cookie::Departure, &text, browser::is_secure(desk), age)
        });
        if is_kept { Ok(response) } else { Err(Problem::over()) }
    }

    fn question(&self, desk: &Desk, metadata: &Metadata, departure: &Departure) -> Url {
        let mut scopes = vec!["openid"];
        scopes.extend(self.settings.scopes.iter().map(String::as_str).filter(|it| *it != "openid"));
        let mut url = metadata.authorization_endpoint.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", &desk.url(CALLBACK))
            .append_pair("scope", &scopes.join(" "))
            .append_pair("state", &departure.state)
            .append_pair("nonce", &departure.nonce)
            .append_pair("code_challenge", &pkce::challenge(&departure.verifier))
            .append_pair("code_challenge_method", "S256");
        if let Some(prompt) = departure.transaction.prompt {
            url.query_pairs_mut().append_pair("prompt", prompt.name());
        }
        url
    }

    /// Who came back with this code.
    async fn person(
        &self,
        desk: &Desk,
        departure: &Departure,
        form: &Form,
    ) -> Result<Person, ProviderFault> {
        let metadata = self.metadata(desk).await?;
        // SPEC: RFC 9207 section 2.4: before anything else is looked at.
        let iss = form.get("iss");
        if iss.is_some_and(|iss| iss != metadata.issuer) {
            return Err(ProviderFault::Mismatch("`iss` names another issuer"));
        }
        if iss.is_none() && metadata.names_issuer {
            return Err(ProviderFault::Mismatch("`iss` is missing"));
        }
        if let Some(error) = form.get("error") {
            return Err(ProviderFault::Refused(error.chars().take(100).collect()));
        }
        let code = form.get("code").ok_or(ProviderFault::Mismatch("`code` is missing"))?;
        let token = self.redeemed(desk, &metadata, code, &departure.verifier).await?;
        let expected = id_token::Expected {
            issuer: &metadata.issuer,
            client_id: &self.settings.client_id,
            nonce: &departure.nonce,
            now: desk.now(),
        };
        let keys = self.discovery.keys(&self.fetcher, &metadata, desk, token.expose()).await?;
        id_token::person(token.expose(), &keys, &expected, &self.settings)
            .map_err(|fault| ProviderFault::IdToken(fault.to_string()))
    }

    /// The ID token for a code.
    async fn redeemed(
        &self,
        desk: &Desk,
        metadata: &Metadata,
        code: &str,
        verifier: &str,
    ) -> Result<Secret<String>, ProviderFault> {
        let callback = desk.url(CALLBACK);
        let (id, secret) = (&*self.settings.client_id, &**self.settings.client_secret.expose());
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &*callback),
            ("code_verifier", verifier),
        ];
        if !metadata.takes_basic {
            fields.extend([("client_id", id), ("client_secret", secret)]);
        }
        let mut ask = Ask::form(&metadata.token_endpoint, Reach::Anywhere, &fields);
        ask.bytes_max = PROVIDER_TOKEN_BYTES_MAX;
        if metadata.takes_basic {
            ask.headers.push((AUTHORIZATION, basic(id, secret)?));
        }
        let answer = self.fetcher.send(ask).await?;
        let status = answer.status;
        if !status.is_success() {
            let error = tokens_error(&answer.body);
            return Err(ProviderFault::Token(format!("answered {status}{error}")));
        }
        let tokens: Tokens = serde_json::from_slice(&answer.body)
            .map_err(|_error| ProviderFault::Token("gave no ID token".into()))?;
        Ok(Secret::new(tokens.id_token))
    }

    async fn metadata(&self, desk: &Desk) -> Result<std::sync::Arc<Metadata>, ProviderFault> {
        self.discovery.metadata(&self.fetcher, &self.settings.url, desk).await
    }

    fn problem(&self, fault: &ProviderFault) -> Problem {
        tracing::warn!(provider = %self.settings.url, %fault, "nobody can be signed in");
        Problem::provider(&self.settings.name, fault.to_string())
    }
}

/// What we take of a token answer. The access token is for nothing here.
#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

/// The code of an error, if it is one.
fn tokens_error(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Fault {
        error: String,
    }
    let fault = serde_json::from_slice::<Fault>(body).ok();
    fault.map_or(String::new(), |fault| {
        format!(" and `{}`", fault.error.chars().take(100).collect::<String>())
    })
}

/// SPEC: RFC 6749 section 2.3.1: both are form-encoded first.
fn basic(id: &str, secret: &str) -> Result<HeaderValue, ProviderFault> {
    let escaped = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let pair = STANDARD.encode(format!("{}:{}", escaped(id), escaped(secret)));
    let value = HeaderValue::from_str(&format!("Basic {pair}"));
    let mut value =
        value.map_err(|_error| ProviderFault::Token("cannot be sent the client secret".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Takes back whom the provider sends.
pub(crate) async fn callback(desk: &Desk, request: &Request) -> Response {
    returned(desk, request).await.unwrap_or_else(|problem| problem.response(desk))
}

async fn returned(desk: &Desk, request: &Request) -> Result<Response, Problem> {
    let provider = desk.people.provider.as_ref().ok_or_else(Problem::nobody)?;
    let form = request.query().map_err(|error| Problem::bad_link(&error))?;
    let browser = Browser::read(desk, request).await?;
    let is_secure = browser::is_secure(desk);
    let text = cookie::read(&request.head.headers, Cookie::Departure, is_secure);
    let departure: Option<Departure> =
        text.and_then(|text| desk.people.seal.open(Purpose::Departure, &[browser.key()], &text));
    let departure = departure.filter(|it| {
        let state = form.get("state").map(secret::digest);
        let is_same = state.is_some_and(|state| secret::same(&state, &secret::digest(&it.state)));
        is_same && desk.now() < it.transaction.expires
    });
    let departure = departure.ok_or_else(Problem::over)?;
    let transaction = &departure.transaction;
    // Once: also where the provider takes a code twice.
    let state = secret::digest(&format!("departure {}", departure.state));
    if !desk.stores.grants.spend_once(state, transaction.expires).await? {
        return Err(Problem::over());
    }
    let person = match provider.person(desk, &departure, &form).await {
        Err(ProviderFault::Refused(code)) if code == "access_denied" => {
            return denied(desk, transaction).await;
        }
        outcome => outcome.map_err(|fault| provider.problem(&fault))?,
    };
    let mut response = see_other(&question_url(desk, &browser, transaction)?);
    let headers = response.headers_mut();
    if !browser.sign_in(desk, person, headers) {
        return Err(Problem::too_many_groups());
    }
    cookie::clear(headers, Cookie::Departure, is_secure);
    if let Some(session) = &browser.session {
        browser.end(desk, session).await?;
    }
    tracing::info!(client = %transaction.client, "a person signed in at the provider");
    Ok(response)
}
