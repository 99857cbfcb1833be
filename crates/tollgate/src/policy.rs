//! `tollgate policy`: what the policy of a configuration decides, and why.
//!
//! Callers are imagined; nothing is verified, and only `matrix --live` connects to anything. Decisions are
//! made by the same code as at the gate.
//!
//! Next: `policy/cases.rs` for files of cases, `policy/table.rs` for who can call what.

mod cases;

mod table;

use crate::check;
use crate::cli::{
    EXIT_FAILED, EXIT_REFUSED, ExplainArgs, ItemArgs, LogArgs, PolicyAction, PolicyArgs,
};
use crate::config::{self, Report};
use crate::screen;
use serde_json::{Map, Value};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tollgate_core::ids::RoutePath;
use tollgate_core::party::{Item, ItemKind};
use tollgate_gate::settings::{IdentitySettings, Settings};
use tollgate_policy::cases::{CaseError, item};
use tollgate_policy::settings::PolicySettings;
use tollgate_policy::subject::Subject;
use tollgate_policy::{Policy, PolicyError, Question, method_of};

/// The configuration that is read where none is named.
const CONFIG: &str = "tollgate.yaml";

/// Why there is no answer. The command line or a file is wrong.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error("{0}")]
    Configuration(Report),
    #[error("`{0}` has no section `policy`, so every caller may call everything")]
    NoPolicy(PathBuf),
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error("there is no route `{0}` in the configuration")]
    Route(String),
    #[error("there is no issuer `{0}` in the configuration")]
    Issuer(String),
    #[error("`--claim` takes NAME=VALUE, and not `{0}`")]
    Claim(String),
    #[error("`--args` takes a JSON object")]
    Arguments,
    #[error(transparent)]
    Case(#[from] CaseError),
    #[error("{0}")]
    File(String),
}

/// What there is to print.
struct Answer {
    text: String,
    is_success: bool,
}

/// Runs the command.
///
/// # Errors
/// Standard output or standard error is closed, or an upstream of `matrix --live` cannot be asked.
pub(crate) fn run(args: &PolicyArgs, log: &LogArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.as_deref().unwrap_or(Path::new(CONFIG));
    let answer = match &args.action {
        PolicyAction::Test(test) => cases::run(args, test),
        PolicyAction::Explain(asked) => {
            House::open(config).and_then(|house| explain(&house, asked, args.json))
        }
        PolicyAction::Matrix(asked) => match House::open(config) {
            Ok(house) => return table::run(&house, asked, args.json, log),
            Err(error) => Err(error),
        },
    };
    match answer {
        Ok(Answer { text, is_success }) => {
            std::io::stdout().lock().write_all(text.as_bytes())?;
            Ok(if is_success { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) })
        }
        Err(error) => refuse(&error),
    }
}

fn refuse(error: &AskError) -> anyhow::Result<ExitCode> {
    if let AskError::Configuration(report) = error {
        return Ok(check::refuse(report)?);
    }
    writeln!(std::io::stderr().lock(), "tollgate: {error}")?;
    Ok(ExitCode::from(EXIT_REFUSED))
}

/// A configuration with a policy.
struct House {
    settings: Settings,
    rules: PolicySettings,
    policy: Policy,
}

impl House {
    fn open(path: &Path) -> Result<Self, AskError> {
        let checked = config::look_at(path).map_err(AskError::Configuration)?;
        let settings = checked.settings;
        let rules = settings.policy.clone().ok_or_else(|| AskError::NoPolicy(path.to_owned()))?;
        let policy = Policy::compile(&rules)?;
        Ok(Self { settings, rules, policy })
    }

    /// The route of this name, or the first.
    fn route(&self, named: Option<&str>) -> Result<RoutePath, AskError> {
        let mut routes = self.settings.routes.iter().map(|route| &route.path);
        let found = match named {
            Some(named) => routes.find(|path| path.as_str() == named),
            None => routes.next(),
        };
        found.cloned().ok_or_else(|| AskError::Route(named.unwrap_or("/").to_owned()))
    }

    /// What proofs call the issuer of this name, or the first.
    fn issuer(&self, named: Option<&str>) -> Result<Option<String>, AskError> {
        let issuers = match &self.settings.identity {
            IdentitySettings::Required(access) => access.identity.issuers.as_slice(),
            IdentitySettings::Off | IdentitySettings::LoopbackOnly => &[],
        };
        let Some(named) = named else { return Ok(issuers.first().map(|one| one.url.clone())) };
        let of_gate = [
            ("api-keys", tollgate_core::principal::API_KEYS),
            ("certificates", tollgate_core::principal::CERTIFICATES),
        ];
        let own =
            of_gate.into_iter().find(|(name, _)| *name == named).map(|(_, urn)| urn.to_owned());
        let found = issuers.iter().find(|one| one.name == named).map(|one| one.url.clone());
        found.or(own).map(Some).ok_or_else(|| AskError::Issuer(named.to_owned()))
    }

    /// The subject with the issuer it must have: who proves nothing else has none.
    fn vouched(&self, mut subject: Subject) -> Result<Subject, AskError> {
        let named = subject.issuer.take();
        let proves = subject.principal().proof().is_some();
        if proves || named.is_some() {
            subject.issuer = self.issuer(named.as_deref())?;
        }
        Ok(subject)
    }
}

fn explain(house: &House, asked: &ExplainArgs, as_json: bool) -> Result<Answer, AskError> {
    let mut claims = Map::new();
    for claim in &asked.claims {
        let pair = claim.split_once('=').filter(|(name, _)| !name.is_empty());
        let (name, value) = pair.ok_or_else(|| AskError::Claim(claim.clone()))?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        claims.insert(name.to_owned(), value);
    }
    let subject = house.vouched(Subject {
        agent: asked.agent.clone(),
        issuer: asked.issuer.clone(),
        user: asked.user.clone(),
        groups: asked.groups.clone(),
        scopes: asked.scopes.clone(),
        claims,
        address: asked.address,
    })?;
    if let Some(arguments) = &asked.args {
        serde_json::from_str::<Map<String, Value>>(arguments).map_err(|_| AskError::Arguments)?;
    }
    let (kind, text) = named(&asked.item);
    let (upstream, name) = item(text)?;
    let route = house.route(asked.route.as_deref())?;
    let principal = subject.principal();
    let said = house.policy.explain(&Question {
        party: subject.party(&principal),
        route: &route,
        method: method_of(kind),
        item: Item { kind, upstream: &upstream, name },
        arguments: asked.args.as_deref().map(str::as_bytes),
    });
    let text = match serde_json::to_value(&said) {
        Ok(value) if as_json => format!("{}\n", screen::json(&value)),
        _ => screen::on_lines(&said.to_string()),
    };
    Ok(Answer { text, is_success: said.decision == "allow" })
}

fn named(item: &ItemArgs) -> (ItemKind, &str) {
    let named = [
        (ItemKind::Tool, &item.tool),
        (ItemKind::Prompt, &item.prompt),
        (ItemKind::Resource, &item.resource),
    ];
    // The command line has exactly one of them.
    let found = named.into_iter().find_map(|(kind, name)| Some((kind, name.as_deref()?)));
    found.unwrap_or((ItemKind::Tool, ""))
}
