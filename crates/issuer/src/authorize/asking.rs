//! An authorization request of a client that is known, to be answered at a place that is its own.
//!
//! Only [`Asking::read`] makes one, so whatever takes one may send its complaints there.

use crate::authorize::answer::Return;
use crate::authorize::client;
use crate::clients::Client;
use crate::desk::Desk;
use crate::error::OAuthError;
use crate::form::Form;
use crate::settings::ResourceSettings;
use tollgate_core::bounds::people::STATE_BYTES_MAX;
use tollgate_oauth::resource::Resource;
use tollgate_oauth::scope;

/// What is asked, by whom, and where the answer goes.
#[derive(Debug)]
pub(crate) struct Asking<'a> {
    pub(crate) desk: &'a Desk,
    pub(crate) form: &'a Form,
    pub(crate) client: Client,
    pub(crate) redirect_uri: String,
}

/// What `prompt` says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prompts<'a>(&'a str);

impl Prompts<'_> {
    pub(crate) fn has(self, prompt: &str) -> bool {
        self.0.split(' ').any(|word| word == prompt)
    }

    /// Whether no page may be shown.
    pub(crate) fn is_none(self) -> bool {
        self.has("none")
    }

    pub(crate) fn is_contradiction(self) -> bool {
        self.is_none() && self.0 != "none"
    }
}

impl<'a> Asking<'a> {
    /// Finds the client, and judges where the answer would go.
    ///
    /// # Errors
    /// The client is unknown or cut off, or the redirect URI is not exactly one of its own.
    ///
    /// SPEC: OAuth 2.1 section 4.1.1: only a client with one redirect URI may leave it out.
    pub(crate) async fn read(desk: &'a Desk, form: &'a Form) -> Result<Self, OAuthError> {
        let found = client::known(desk, form.required("client_id")?).await?;
        let redirect_uri = match (form.get("redirect_uri"), found.only_redirect()) {
            (None, Some(only)) => only.to_owned(),
            _ => form.required("redirect_uri")?.to_owned(),
        };
        client::check_redirect(&found, &redirect_uri)?;
        Ok(Self { desk, form, client: found, redirect_uri })
    }

    /// Where complaints and the code go.
    pub(crate) fn back(&self) -> Return {
        Return { redirect_uri: self.redirect_uri.clone(), state: self.state().map(str::to_owned) }
    }

    /// What is echoed. One that cannot be echoed is refused by a check, and not echoed then.
    pub(crate) fn state(&self) -> Option<&'a str> {
        self.form.get("state").filter(|state| is_echoable(state))
    }

    /// What `prompt` says.
    pub(crate) fn prompts(&self) -> Prompts<'a> {
        Prompts(self.form.get("prompt").unwrap_or_default())
    }

    /// The resource, if it is exactly one, known, and open to this client.
    pub(crate) fn resource(&self) -> Option<&'a ResourceSettings> {
        let mut named = self.form.resources();
        let (Some(named), None) = (named.next(), named.next()) else { return None };
        let named = Resource::parse(named).ok()?;
        let all = &self.desk.settings.resources;
        let found = all.iter().find(|resource| named.is(&resource.identifier))?;
        self.client.allows_route(&found.path).then_some(found)
    }

    /// The scopes asked for; `None` if they cannot be read.
    pub(crate) fn scopes(&self) -> Option<Vec<String>> {
        let asked = scope::parse(self.form.get("scope").unwrap_or_default()).ok()?;
        Some(asked.into_iter().map(String::from).collect())
    }
}

/// SPEC: RFC 6749 appendix A.5: visible ASCII and spaces.
pub(crate) fn is_echoable(state: &str) -> bool {
    state.len() <= STATE_BYTES_MAX && state.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
}
