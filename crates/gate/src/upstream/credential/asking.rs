//! One request to a token endpoint, and what its answer means.
//!
//! SPEC: RFC 6749 sections 4.4, 5.1 and 5.2; RFC 8693 sections 2.1 to 2.3; RFC 8707 section 2. Only
//! bearer tokens are taken. What the server says about an error is kept for the operator, cut and
//! without control characters; agents see the error code at most.

use super::client::{Client, Shown};
use super::server::{self, Server};
use super::{CredentialError, CredentialFault, Lent};
use crate::settings::TokenRequest;
use http::header::AUTHORIZATION;
use http::{HeaderValue, StatusCode};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tollgate_core::bounds::identity::TOKEN_BYTES_MAX;
use tollgate_core::bounds::outbound::{BORROWED_SECS, BORROWED_SECS_MAX};
use tollgate_core::clock::{Clock, Entropy};
use tollgate_oauth::jwt::Claims;
use tollgate_outbound::{Answer, Ask, Fetcher, Reach, Trust};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// Asks one token server for the tokens of one upstream.
#[derive(Debug)]
pub(super) struct Asking {
    fetcher: Fetcher,
    server: Server,
    client: Client,
    /// What is asked for, the same in each request.
    wanted: Vec<(&'static str, String)>,
}

impl Asking {
    pub(super) fn new(
        request: &TokenRequest,
        means: (Arc<dyn Clock>, Arc<dyn Entropy>),
    ) -> Result<Self, CredentialError> {
        let trust = request.server.ca.clone().map_or(Trust::System, Trust::File);
        let mut wanted = Vec::new();
        if !request.scopes.is_empty() {
            wanted.push(("scope", request.scopes.join(" ")));
        }
        wanted.extend(request.resources.iter().map(|name| ("resource", name.clone())));
        wanted.extend(request.audience.iter().map(|name| ("audience", name.clone())));
        Ok(Self {
            fetcher: Fetcher::new(trust).map_err(CredentialError::Trust)?,
            server: Server::new(&request.server)?,
            client: Client::new(&request.client, server::name(&request.server), means)?,
            wanted,
        })
    }

    /// A token of the gate itself.
    pub(super) async fn own(&self) -> Result<Lent, CredentialFault> {
        self.ask(&[("grant_type", "client_credentials")]).await
    }

    /// A token for whom `subject` speaks of.
    pub(super) async fn exchange(&self, subject: &str) -> Result<Lent, CredentialFault> {
        self.ask(&[
            ("grant_type", EXCHANGE),
            ("subject_token", subject),
            ("subject_token_type", JWT),
            ("requested_token_type", ACCESS_TOKEN),
        ])
        .await
    }

    async fn ask(&self, grant: &[(&str, &str)]) -> Result<Lent, CredentialFault> {
        let endpoint = self.server.endpoint(&self.fetcher).await?;
        let Shown { fields, authorization } = self.client.show()?;
        let mut form = grant.to_vec();
        form.extend(self.wanted.iter().chain(&fields).map(|(name, value)| (*name, value.as_str())));
        let mut ask = Ask::form(&endpoint, Reach::Anywhere, &form);
        ask.headers.extend(authorization.map(|value| (AUTHORIZATION, value)));
        let asked_at = Instant::now();
        let answer = self.fetcher.send(ask).await;
        let answer = answer.map_err(|fault| CredentialFault::Unavailable(fault.to_string()))?;
        read(&answer, asked_at)
    }
}

fn read(answer: &Answer, asked_at: Instant) -> Result<Lent, CredentialFault> {
    if answer.status != StatusCode::OK {
        return Err(refusal(answer));
    }
    let said =
        Claims::parse(&answer.body).map_err(|_| CredentialFault::Unusable("it is no JSON"))?;
    let text = |name| said.text(name).ok().flatten();
    let is_bearer = text("token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"));
    if !is_bearer {
        return Err(CredentialFault::Unusable("it gives no bearer token"));
    }
    let token = text("access_token").filter(|token| is_sendable(token));
    let token = token.ok_or(CredentialFault::Unusable("it gives no token that can be sent"))?;
    let value = HeaderValue::try_from(format!("Bearer {token}"));
    let value = value.map_err(|_| CredentialFault::Unusable("it gives an unsendable token"))?;
    let life = life(said.value("expires_in"))
        .ok_or(CredentialFault::Unusable("it gives a lifetime that is no number of seconds"))?;
    Ok(Lent::new(value, asked_at, Duration::from_secs(life.min(BORROWED_SECS_MAX))))
}

/// SPEC: RFC 6750 section 2.1.
fn is_sendable(token: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    !token.is_empty() && token.len() <= TOKEN_BYTES_MAX && token.bytes().all(is_plain)
}

/// Some servers write the number as a text.
fn life(said: Option<&Value>) -> Option<u64> {
    match said {
        None | Some(Value::Null) => Some(BORROWED_SECS),
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::String(text)) => text.parse().ok(),
        Some(_) => None,
    }
}

fn refusal(answer: &Answer) -> CredentialFault {
    let status = answer.status;
    let said = Claims::parse(&answer.body).ok();
    let text = |name| said.as_ref().and_then(|said| said.text(name).ok().flatten());
    let is_code = |code: &&str| {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        (1..=40).contains(&code.len()) && code.bytes().all(is_plain)
    };
    let code = text("error").filter(is_code);
    if let Some(described) = text("error_description") {
        let shown: String = described.chars().filter(|c| !c.is_control()).take(200).collect();
        tracing::warn!(status = status.as_u16(), code, described = shown, "a token server said no");
    }
    match code {
        _ if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            CredentialFault::Unavailable(format!("it answers {}", status.as_u16()))
        }
        Some(code) => CredentialFault::Refused(code.to_owned()),
        None => CredentialFault::Refused(format!("it answers {}", status.as_u16())),
    }
}
