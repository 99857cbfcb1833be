//! A policy, compiled: one immutable value for each version of the configuration.
//!
//! Bindings and scopes are its *rules*, in the order of the file, bindings first. The order only chooses
//! which of several rules a decision names; never the decision.
//!
//! Next: `decision.rs`.

use crate::bits::{Bits, RuleId};
use crate::callers::Callers;
use crate::condition::{Condition, ConditionError};
use crate::item_scopes;
use crate::items::Items;
use crate::settings::{Grant, ItemScopes, Mode, PolicySettings};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tollgate_core::bounds::policy::{PATTERNS_MAX, ROLES_MAX, RULES_MAX};
use tollgate_core::ids::RoutePath;
use tollgate_core::party::Party;
use tollgate_rules::who::Who;

/// What decisions call scopes that name single items.
const ITEM_SCOPES: &str = "scopes that name items";

/// A policy. Pure: the same question gets the same answer.
#[derive(Debug)]
pub struct Policy {
    mode: Mode,
    pub(crate) item_scopes: ItemScopes,
    pub(crate) rules: Vec<Rule>,
    /// The rules with a condition.
    pub(crate) conditional: Bits,
    pub(crate) callers: Callers,
    pub(crate) items: Items,
}

/// A binding, or what a scope allows.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) name: Box<str>,
    pub(crate) who: Who,
    pub(crate) grant: Arc<Grant>,
    /// The role it gives; `None` for what a scope allows.
    pub(crate) role: Option<Box<str>>,
    pub(crate) condition: Option<Condition>,
    /// What those are told whom the condition refuses.
    pub(crate) message: Option<Arc<str>>,
}

/// What a caller has on one route: which rules hold for it, and which would with the right scope.
///
/// Of one policy only: ask again when the configuration changed.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    pub(crate) holds: Bits,
    pub(crate) near: Bits,
    /// Whether any scope of the credential names items.
    pub(crate) is_item_scoped: bool,
}

/// Why settings are no policy. The configuration finds all of these itself, with their places.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Too many roles.
    #[error("a policy has at most {ROLES_MAX} roles")]
    TooManyRoles,
    /// Too many bindings and scopes.
    #[error("a policy has at most {RULES_MAX} bindings and scopes")]
    TooManyRules,
    /// Too many patterns.
    #[error("a policy has at most {PATTERNS_MAX} patterns in all its roles and scopes")]
    TooManyPatterns,
    /// Two roles, or two rules, of one name.
    #[error("the name `{0}` is used twice")]
    TwiceNamed(String),
    /// A binding gives a role that is not there.
    #[error("binding `{binding}` gives the role `{role}`, which is not there")]
    UnknownRole {
        /// The binding.
        binding: String,
        /// The role.
        role: String,
    },
    /// A condition cannot be used.
    #[error("the condition of binding `{binding}` cannot be used: {error}")]
    Condition {
        /// The binding.
        binding: String,
        /// Why.
        error: ConditionError,
    },
}

impl Policy {
    /// Compiles settings.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn compile(settings: &PolicySettings) -> Result<Self, PolicyError> {
        let rules = rules(settings)?;
        let patterns = |grant: &Grant| grant.allow.len() + grant.deny.len() + grant.methods.len();
        let roles = settings.roles.iter().map(|role| patterns(&role.grant));
        let scopes = settings.scopes.iter().map(|scope| patterns(&scope.grant));
        if roles.chain(scopes).sum::<usize>() > PATTERNS_MAX {
            return Err(PolicyError::TooManyPatterns);
        }
        let mut conditional = Bits::NONE;
        for (place, _) in rules.iter().enumerate().filter(|(_, rule)| rule.condition.is_some()) {
            conditional.insert(place);
        }
        Ok(Self {
            mode: settings.mode,
            conditional,
            item_scopes: settings.item_scopes,
            callers: Callers::new(rules.iter().map(|rule| &rule.who)),
            items: Items::new(rules.iter().map(|rule| &*rule.grant)),
            rules,
        })
    }

    /// Whether it is enforced.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// What a rule is called, for logs, explanations and the journal.
    #[must_use]
    pub fn rule(&self, id: RuleId) -> &str {
        self.rules.get(id.place()).map_or(ITEM_SCOPES, |rule| &rule.name)
    }

    /// What a caller has on a route.
    #[must_use]
    pub fn standing(&self, party: &Party<'_>, route: &RoutePath) -> Standing {
        let (holds, near) = self.callers.standing(party, route);
        let is_item_scoped =
            self.item_scopes != ItemScopes::Ignore && item_scopes::any(party.scopes());
        Standing { holds, near, is_item_scoped }
    }
}

fn rules(settings: &PolicySettings) -> Result<Vec<Rule>, PolicyError> {
    if settings.roles.len() > ROLES_MAX {
        return Err(PolicyError::TooManyRoles);
    }
    if settings.bindings.len() + settings.scopes.len() > RULES_MAX {
        return Err(PolicyError::TooManyRules);
    }
    let mut roles: HashMap<&str, Arc<Grant>> = HashMap::new();
    for role in &settings.roles {
        if roles.insert(&role.name, Arc::new(role.grant.clone())).is_some() {
            return Err(PolicyError::TwiceNamed(role.name.clone()));
        }
    }
    let mut rules = Vec::with_capacity(settings.bindings.len() + settings.scopes.len());
    for binding in &settings.bindings {
        let Some(grant) = roles.get(binding.role.as_str()) else {
            let (binding, role) = (binding.name.clone(), binding.role.clone());
            return Err(PolicyError::UnknownRole { binding, role });
        };
        let condition = binding.when.as_deref().map(Condition::parse).transpose();
        let condition = condition
            .map_err(|error| PolicyError::Condition { binding: binding.name.clone(), error })?;
        rules.push(Rule {
            name: binding.name.as_str().into(),
            who: binding.who.clone(),
            grant: Arc::clone(grant),
            role: Some(binding.role.as_str().into()),
            condition,
            message: binding.message.as_deref().map(Arc::from),
        });
    }
    rules.extend(settings.scopes.iter().map(|scope| Rule {
        name: format!("scope {}", scope.scope).into(),
        who: Who { scopes: vec![scope.scope.as_str().into()], ..Who::default() },
        grant: Arc::new(scope.grant.clone()),
        role: None,
        condition: None,
        message: None,
    }));
    let mut names = HashSet::new();
    match rules.iter().find(|rule| !names.insert(&rule.name)) {
        Some(twice) => Err(PolicyError::TwiceNamed(twice.name.to_string())),
        None => Ok(rules),
    }
}
