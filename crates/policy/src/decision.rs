//! The decision about one call, and about what is shown.
//!
//! Deny wins, absence is denied. A call that its arguments alone keep from being allowed is told so, since
//! lists show the item; one that a scope would allow is told which; to all others the item is not there.

use crate::bits::{Bits, RuleId};
use crate::item_scopes;
use crate::items::Marks;
use crate::policy::{Policy, Standing};
use crate::settings::ItemScopes;
use std::sync::Arc;
use tollgate_core::ids::RoutePath;
use tollgate_core::party::{Item, Party};

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
        match self.judge(&standing.holds, standing.is_item_scoped, &marks, question) {
            Ok(rule) => Decision::Allow { rule },
            Err(rule) => Decision::Deny(self.denial(standing, &marks, question, rule)),
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
        let question = Question { party: *party, route, method: "", item: *item, arguments: None };
        self.judge(&standing.holds, standing.is_item_scoped, &marks, &question).is_ok()
    }

    /// Whether a caller may use a method that MCP does not define.
    #[must_use]
    pub fn allows_method(&self, standing: &Standing, method: &str) -> bool {
        !self.items.of_method(method).and(&standing.holds).is_empty()
    }

    /// Whether a scope that names just this item would allow a call that was denied.
    #[must_use]
    pub fn item_scope_helps(&self, standing: &Standing, question: &Question<'_>) -> bool {
        let marks = self.items.of(&question.item);
        marks.deny.and(&standing.holds).is_empty()
            && match self.item_scopes {
                ItemScopes::Grant => true,
                ItemScopes::Limit => {
                    standing.is_item_scoped
                        && self.judge(&standing.holds, false, &marks, question).is_ok()
                }
                ItemScopes::Ignore => false,
            }
    }

    /// The rule that allows, or the one that denies if it is one.
    fn judge(
        &self,
        holds: &Bits,
        is_item_scoped: bool,
        marks: &Marks,
        question: &Question<'_>,
    ) -> Result<RuleId, Option<RuleId>> {
        if let Some(rule) = marks.deny.and(holds).first() {
            return Err(Some(rule));
        }
        let named = is_item_scoped && item_scopes::name(question.party.scopes(), &question.item);
        if is_item_scoped && !named && self.item_scopes == ItemScopes::Limit {
            return Err(Some(RuleId::ITEM_SCOPES));
        }
        match marks.allow.and(holds).first() {
            Some(rule) => Ok(rule),
            None if named && self.item_scopes == ItemScopes::Grant => Ok(RuleId::ITEM_SCOPES),
            None => Err(None),
        }
    }

    fn denial(
        &self,
        standing: &Standing,
        marks: &Marks,
        question: &Question<'_>,
        rule: Option<RuleId>,
    ) -> Denial {
        let missing = marks.allow.and(&standing.near).without(&standing.holds);
        let wanted = missing.iter().filter_map(|rule| self.rules.get(rule.place()));
        for scope in wanted.flat_map(|rule| &rule.who.scopes) {
            // With the scope come all rules that name it, also those that deny.
            let mut holds = self.callers.wanting_scope(scope).and(&standing.near);
            holds.join(&standing.holds);
            if self.judge(&holds, standing.is_item_scoped, marks, question).is_ok() {
                return Denial::Scope { scopes: vec![scope.clone()] };
            }
        }
        Denial::Hidden { rule }
    }
}
