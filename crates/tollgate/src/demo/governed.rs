//! The demonstration with identity: what it stores, and what it prints of it.
//!
//! One agent with a secret, one person with a password; programs of people register themselves. The
//! lines are those that `tollgate agents add` prints, and they work as they are pasted.

use crate::agents::{self, ACCESS_TOKEN};
use crate::cli::{AddAgentArgs, AddUserArgs, PasswordArgs, ProofArgs};
use crate::config::Checked;
use crate::demo::{clients, curl, indented};
use crate::records::Records;
use crate::users;
use anyhow::Context as _;
use std::path::Path;
use tollgate_backends::embedded::Embedded;
use tollgate_core::clock::Clock as _;
use tollgate_gate::system::{SystemClock, SystemEntropy};
use url::Url;

/// What the agent and the person are called.
const NAME: &str = "demo";

/// What gets in.
#[derive(Debug)]
pub(crate) struct LetIn {
    /// The secret of the agent.
    pub(crate) secret: String,
    /// The password of the person.
    pub(crate) password: String,
}

/// Adds the agent and the person, as the commands do.
///
/// # Errors
/// The store cannot be used.
pub(crate) async fn settle(checked: &Checked) -> anyhow::Result<Option<LetIn>> {
    let Some(file) = checked.store.as_deref() else { return Ok(None) };
    let store = Embedded::open(file).await?;
    let clock = SystemClock::default();
    let now = clock.unix_secs();
    let (stores, pins) = (store.stores(), store.pins());
    let checked = checked.clone();
    let records = Records { checked, stores, pins, clock, entropy: SystemEntropy, now };
    let agent = AddAgentArgs {
        name: NAME.to_owned(),
        proof: ProofArgs {
            secret: true,
            api_key: false,
            jwks: None,
            jwks_url: None,
            workload: false,
            public: false,
        },
        scopes: Vec::new(),
        routes: Vec::new(),
        groups: Vec::new(),
        redirect_uris: Vec::new(),
        expires: None,
        title: None,
    };
    let password = PasswordArgs { password_stdin: false, generate: true };
    let user = AddUserArgs { name: NAME.to_owned(), groups: Vec::new(), password };
    let agent = agents::add(&records, &agent).await?;
    let user = users::add(&records, &user).await?;
    let secret = agent.value["client_secret"].as_str().context("the agent has no secret")?;
    let password = user.value["password"].as_str().context("the person has no password")?;
    Ok(Some(LetIn { secret: secret.to_owned(), password: password.to_owned() }))
}

/// What a user sees when the demonstration has started. `file` is where its configuration is.
pub(super) fn welcome(url: &str, let_in: &LetIn, file: &Path) -> String {
    let LetIn { secret, password } = let_in;
    let origin = Url::parse(url).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
    let token = format!(
        "TOKEN=$(curl -sS -u '{NAME}:{secret}' -d grant_type=client_credentials \
         --data-urlencode 'resource={url}' {origin}/oauth/token | {ACCESS_TOKEN})"
    );
    let with_token = curl(url, "-H \"Authorization: Bearer $TOKEN\" ");
    let without = curl(url, "-i ");
    let config = format!("--config {}", file.display());
    format!(
        "\nTollgate is open at  {url}  for those who prove who they are.\n\
         Its own authorization server knows one agent and one person, both called `{NAME}`. Behind it: one MCP\n\
         server in two instances. Stop with Ctrl-C; what it stores is gone then.\n\n\
         A machine trades its secret for a token, and calls a tool with it:\n\n{}\n\
         The same call without a token is refused, and told where to get one:\n\n{}\n\
         A person connects a client, which registers itself and opens a page to sign in:\n\
         name {NAME}, password {password}\n\n{}\n\
         Cut the agent off while the gate runs, and let it in again:\n\n{}\n\
         Make it yours: put `issuer: {{}}` into tollgate.yaml, then  tollgate agents add NAME  and  \
         tollgate users add NAME\n\n",
        indented(&format!("{token}\n{with_token}")),
        indented(&without),
        clients(url, true),
        indented(&format!(
            "tollgate agents revoke {NAME} {config}\ntollgate agents restore {NAME} {config}"
        )),
    )
}

#[cfg(test)]
mod tests {
    use super::{LetIn, welcome};
    use std::path::Path;

    #[test]
    fn the_welcome_shows_how_to_get_in_and_that_others_do_not() {
        let let_in = LetIn { secret: "tgs_x".into(), password: "p4ss".into() };
        let text = welcome("http://127.0.0.1:8484/mcp", &let_in, Path::new("/tmp/d/tollgate.yaml"));
        for part in [
            "-u 'demo:tgs_x'",
            "http://127.0.0.1:8484/oauth/token | sed",
            "-H \"Authorization: Bearer $TOKEN\"",
            "curl -sS -i http://127.0.0.1:8484/mcp",
            "password p4ss",
            "tollgate agents revoke demo --config /tmp/d/tollgate.yaml",
        ] {
            assert!(text.contains(part), "`{part}` is missing in\n{text}");
        }
    }
}
