//! The decision about one call, and about what is shown.
//!
//! Deny wins, absence is denied. A call that its arguments alone keep from being allowed is told so, since
//! lists show the item; one that a scope would allow is told which; to all others the item is not there.

use crate::bits::{Bits, RuleId};
use crate::condition::{Arguments, Facts, Verdict};
use crate::item_scopes;
use crate::items::Marks;
use crate::policy::{Policy, Standing};
use crate::settings::ItemScopes;
use std::sync::Arc;
use tollgate_core::bounds::policy::DECISION_COST_MAX;
use tollgate_core::ids::RoutePath;
use tollgate_core::party::{Item, ItemKind, Party};

/// A call, as far as policy looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Who calls.
    pub party: Party<'a>,
    /// By which route.
    pub route: &'a RoutePath,
    /// The MCP method.
    pub method: &'a str,
    /// What the call acts on.
    pub item: Item<'a>,
    /// The arguments: JSON text that was judged. Absent is as good as an empty object.
    pub arguments: Option<&'a [u8]>,
}

/// Whether a call may be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may.
    Allow {
        /// The rule that allows it; where several do, the first of the file.
        rule: RuleId,
    },
    /// It may not.
    Deny(Denial),
}

/// How a call is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The item does not exist for this caller.
    Hidden {
        /// The rule that denies it; `None` where none allows it.
        rule: Option<RuleId>,
    },
    /// These scopes, all of them, would allow it.
    Scope {
        /// Never empty.
        scopes: Vec<Box<str>>,
    },
    /// Other arguments might be allowed.
    Arguments {
        /// The rule whose condition refuses it.
        rule: RuleId,
        /// The operator's words.
        message: Option<Arc<str>>,
    },
}

impl Policy {
    /// Decides about a call.
    #[must_use]
    pub fn decide(&self, standing: &Standing, question: &Question<'_>) -> Decision {
        let marks = self.items.of(&question.item);
        let hearing = Hearing::new(self, question, standing.is_item_scoped, marks);
        match hearing.judge(&standing.holds, Arguments::Seen) {
            Ok(rule) => Decision::Allow { rule },
            Err(rule) => Decision::Deny(hearing.denial(standing, rule)),
        }
    }

    /// Whether an item is shown to a caller: whether some call of it could be allowed. For items that
    /// lists of upstreams name.
    #[must_use]
    pub fn shows(
        &self,
        standing: &Standing,
        party: &Party<'_>,
        route: &RoutePath,
        item: &Item<'_>,
    ) -> bool {
        let marks = self.items.of_existing(item);
        let method = method_of(item.kind);
        let question = Question { party: *party, route, method, item: *item, arguments: None };
        let hearing = Hearing::new(self, &question, standing.is_item_scoped, marks);
        hearing.judge(&standing.holds, Arguments::Unseen).is_ok()
    }

    /// Whether a caller may use a method that MCP does not define. Bindings with a condition allow none:
    /// there is nothing here that it could be judged by.
    #[must_use]
    pub fn allows_method(&self, standing: &Standing, method: &str) -> bool {
        let allowing = self.items.of_method(method).and(&standing.holds);
        !allowing.without(&self.conditional).is_empty()
    }

    /// Whether a scope that names just this item would allow a call that was denied.
    #[must_use]
    pub fn item_scope_helps(&self, standing: &Standing, question: &Question<'_>) -> bool {
        let marks = self.items.of(&question.item);
        let mut hearing = Hearing::new(self, question, true, marks);
        hearing.is_named = true;
        hearing.is_proven
            && self.item_scopes != ItemScopes::Ignore
            && hearing.judge(&standing.holds, Arguments::Seen).is_ok()
    }
}

/// The method by which an item of a kind is used first of all.
#[must_use]
pub const fn method_of(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Tool => "tools/call",
        ItemKind::Prompt => "prompts/get",
        ItemKind::Resource => "resources/read",
    }
}

/// One question being judged: what is known of it is made once, however often it is looked at.
pub(crate) struct Hearing<'h> {
    policy: &'h Policy,
    marks: Marks,
    facts: Facts<'h>,
    /// Whether any scope of the credential names items, and whether one names this.
    is_item_scoped: bool,
    is_named: bool,
    is_proven: bool,
}

impl<'h> Hearing<'h> {
    pub(crate) fn new(
        policy: &'h Policy,
        question: &'h Question<'h>,
        is_item_scoped: bool,
        marks: Marks,
    ) -> Self {
        let scopes = question.party.scopes();
        let is_named = is_item_scoped && item_scopes::name(scopes, &question.item);
        let is_proven = question.party.principal.proof().is_some();
        Self { policy, marks, facts: Facts::new(question), is_item_scoped, is_named, is_proven }
    }

    /// The rule that allows, or the one that denies if it is one. With arguments unseen: the rule that
    /// may allow, for some arguments.
    fn judge(&self, holds: &Bits, arguments: Arguments) -> Result<RuleId, Option<RuleId>> {
        let conditional = &self.policy.conditional;
        let denying = self.marks.deny.and(holds);
        if let Some(rule) = denying.without(conditional).first() {
            return Err(Some(rule));
        }
        let mut budget = DECISION_COST_MAX;
        for rule in denying.iter() {
            match self.verdict(rule, arguments, &mut budget) {
                Verdict::Yes | Verdict::Failed => return Err(Some(rule)),
                Verdict::No | Verdict::Depends => {}
            }
        }
        if self.is_item_scoped && !self.is_named && self.policy.item_scopes == ItemScopes::Limit {
            return Err(Some(RuleId::ITEM_SCOPES));
        }
        let allowing = self.marks.allow.and(holds);
        if let Some(rule) = allowing.without(conditional).first() {
            return Ok(rule);
        }
        if self.is_named && self.policy.item_scopes == ItemScopes::Grant {
            return Ok(RuleId::ITEM_SCOPES);
        }
        for rule in allowing.iter() {
            match self.verdict(rule, arguments, &mut budget) {
                Verdict::Yes | Verdict::Depends => return Ok(rule),
                Verdict::No | Verdict::Failed => {}
            }
        }
        Err(None)
    }

    /// What the condition of a rule says, as long as conditions may cost more.
    pub(crate) fn verdict(&self, rule: RuleId, arguments: Arguments, budget: &mut u64) -> Verdict {
        let Some(rule) = self.policy.rules.get(rule.place()) else { return Verdict::Failed };
        let Some(condition) = &rule.condition else { return Verdict::Yes };
        match budget.checked_sub(condition.cost()) {
            Some(left) => *budget = left,
            None => return Verdict::Failed,
        }
        condition.judge(&self.facts, arguments)
    }

    fn denial(&self, standing: &Standing, rule: Option<RuleId>) -> Denial {
        let mut speaking = self.marks.deny;
        speaking.join(&self.marks.allow);
        if !speaking.and(&standing.holds).and(&self.policy.conditional).is_empty()
            && let Ok(possible) = self.judge(&standing.holds, Arguments::Unseen)
        {
            let rule = rule.unwrap_or(possible);
            let refusing = self.policy.rules.get(rule.place());
            let message = refusing.and_then(|rule| rule.message.clone());
            return Denial::Arguments { rule, message };
        }
        if !self.is_proven {
            // Who proves nothing has no credential that a scope could be in.
            return Denial::Hidden { rule };
        }
        let missing = self.marks.allow.and(&standing.near).without(&standing.holds);
        let wanted = missing.iter().filter_map(|rule| self.policy.rules.get(rule.place()));
        for scope in wanted.flat_map(|rule| &rule.who.scopes) {
            // With the scope come all rules that name it, also those that deny.
            let mut holds = self.policy.callers.wanting_scope(scope).and(&standing.near);
            holds.join(&standing.holds);
            if self.judge(&holds, Arguments::Seen).is_ok() {
                return Denial::Scope { scopes: vec![scope.clone()] };
            }
        }
        Denial::Hidden { rule }
    }
}
