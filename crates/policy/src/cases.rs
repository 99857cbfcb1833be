//! Cases: what a policy is expected to say, kept beside it.

use crate::decision::Question;
use crate::policy::Policy;
use crate::subject::Subject;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::net::IpAddr;
use tollgate_core::ids::{RoutePath, UpstreamName};
use tollgate_core::party::{Item, ItemKind};

/// A file of cases.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cases {
    /// The configuration they are about, as a path from the file.
    pub config: Option<String>,
    /// The cases.
    pub cases: Vec<Case>,
}

/// What is expected of one call.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Case {
    /// What it shows. Default: what is asked.
    pub name: Option<String>,
    /// See [`Subject::agent`].
    pub agent: Option<String>,
    /// The name of an issuer of the configuration. Default: the first.
    pub issuer: Option<String>,
    /// See [`Subject::user`].
    pub user: Option<String>,
    /// See [`Subject::groups`].
    pub groups: Vec<String>,
    /// See [`Subject::scopes`].
    pub scopes: Vec<String>,
    /// See [`Subject::claims`].
    pub claims: Map<String, Value>,
    /// See [`Subject::address`].
    pub address: Option<IpAddr>,
    /// The route. Default: the first of the configuration.
    pub route: Option<String>,
    /// The tool, as `UPSTREAM__NAME`. Or one of the next two.
    pub tool: Option<String>,
    /// The prompt.
    pub prompt: Option<String>,
    /// The resource.
    pub resource: Option<String>,
    /// The arguments.
    pub args: Map<String, Value>,
    /// What is decided. Must be written.
    pub expect: Option<Expected>,
    /// By which rule.
    pub rule: Option<String>,
}

/// A decision, as cases write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expected {
    /// It is allowed.
    Allow,
    /// It is refused, by whatever denial but that for a scope.
    Deny,
    /// It is refused until the token has a scope.
    Scope,
}

/// Why a case cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaseError {
    /// Nothing is asked about, or more than one thing.
    #[error("write exactly one of `tool`, `prompt` and `resource`")]
    Item,
    /// Nothing is expected.
    #[error("write `expect: allow`, `deny` or `scope`")]
    Expect,
    /// It is no name of an item.
    #[error("`{0}` is not `UPSTREAM__NAME`")]
    Name(String),
}

/// An item by its whole name.
///
/// # Errors
/// It has no upstream, or no name.
pub fn item(text: &str) -> Result<(UpstreamName, &str), CaseError> {
    match text.split_once("__") {
        Some((upstream, name)) if !upstream.is_empty() && !name.is_empty() => {
            Ok((UpstreamName::from(upstream), name))
        }
        _ => Err(CaseError::Name(text.to_owned())),
    }
}

impl Case {
    /// Who calls.
    #[must_use]
    pub fn subject(&self) -> Subject {
        Subject {
            agent: self.agent.clone(),
            issuer: self.issuer.clone(),
            user: self.user.clone(),
            groups: self.groups.clone(),
            scopes: self.scopes.clone(),
            claims: self.claims.clone(),
            address: self.address,
        }
    }

    /// What is asked about.
    ///
    /// # Errors
    /// [`CaseError`].
    pub fn asked(&self) -> Result<(ItemKind, &str), CaseError> {
        let named = [
            (ItemKind::Tool, &self.tool),
            (ItemKind::Prompt, &self.prompt),
            (ItemKind::Resource, &self.resource),
        ];
        let mut named = named.into_iter().filter_map(|(kind, name)| Some((kind, name.as_deref()?)));
        match (named.next(), named.next()) {
            (Some(one), None) => Ok(one),
            _ => Err(CaseError::Item),
        }
    }

    /// Whether the policy says what is expected; if not, what it says.
    ///
    /// # Errors
    /// [`CaseError`].
    pub fn run(
        &self,
        policy: &Policy,
        subject: &Subject,
        route: &RoutePath,
    ) -> Result<Result<(), String>, CaseError> {
        let (kind, text) = self.asked()?;
        let (upstream, name) = item(text)?;
        let principal = subject.principal();
        let arguments = Value::Object(self.args.clone()).to_string();
        let question = Question {
            party: subject.party(&principal),
            route,
            method: crate::decision::method_of(kind),
            item: Item { kind, upstream: &upstream, name },
            arguments: Some(arguments.as_bytes()),
        };
        let said = policy.explain(&question);
        let expected: &[&str] = match self.expect.ok_or(CaseError::Expect)? {
            Expected::Allow => &["allow"],
            Expected::Deny => &["deny", "arguments"],
            Expected::Scope => &["scope"],
        };
        let by = |rule: Option<&str>| rule.map_or("no rule".to_owned(), |rule| format!("`{rule}`"));
        if !expected.contains(&said.decision) {
            return Ok(Err(format!("expected {}, and it is {said}", expected[0])));
        }
        if self.rule.is_some() && self.rule != said.rule {
            let wanted = by(self.rule.as_deref());
            let text = format!("expected by {wanted}, and it is by {}", by(said.rule.as_deref()));
            return Ok(Err(text));
        }
        Ok(Ok(()))
    }
}
