//! What a condition may be made of. Everything else is refused when it is read, where an operator sees
//! it, and not when a call fails because of it.

use crate::condition::{ConditionError, facts};
use cel::common::ast::{EntryExpr, Expr, LiteralValue, operators};
use cel::parser::Expression;
use std::collections::HashSet;
use tollgate_core::bounds::policy::{
    CONDITION_BYTES_MAX, CONDITION_DEPTH_MAX, CONDITION_NODES_MAX,
};

/// Functions that may be called, besides operators.
const FUNCTIONS: [&str; 22] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "string",
    "int",
    "uint",
    "double",
    "bool",
    "bytes",
    "type",
    "dyn",
    "of",
    "none",
    "ofNonZeroValue",
    "value",
    "hasValue",
    "or",
    "orValue",
    "optional.of",
    "optional.none",
];
/// Those named to people; the others are parts of optional values.
const NAMED: usize = 12;

/// Names of types, which conditions may compare with.
const TYPES: [&str; 10] =
    ["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"];

/// The functions, for people.
pub(super) fn functions() -> String {
    let names = FUNCTIONS.iter().take(NAMED).map(|name| format!("`{name}`"));
    let macros = ["has", "all", "exists", "exists_one", "map", "filter"];
    names.chain(macros.map(|name| format!("`{name}`"))).collect::<Vec<_>>().join(", ")
}

/// Looks at the text, before a parser that recurses does.
pub(super) fn text(text: &str) -> Result<(), ConditionError> {
    if text.len() > CONDITION_BYTES_MAX {
        return Err(ConditionError::TooLong);
    }
    // Brackets in quotes count too: nobody needs that many.
    let mut depth = 0_usize;
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > CONDITION_DEPTH_MAX {
            return Err(ConditionError::TooDeep);
        }
    }
    // Signs and choices nest without brackets.
    let signs = text.bytes().filter(|byte| matches!(byte, b'!' | b'-' | b'?')).count();
    if signs > 4 * CONDITION_DEPTH_MAX { Err(ConditionError::TooLarge) } else { Ok(()) }
}

/// What was found in a condition.
#[derive(Debug, Default)]
pub(super) struct Vetted<'e> {
    pub(super) names: HashSet<&'e str>,
    pub(super) patterns: Vec<&'e str>,
    /// Members it selects, and texts in it, which may name members.
    pub(super) members: HashSet<&'e str>,
    nodes: usize,
    /// The element a macro runs over, and what it makes.
    bound: Vec<&'e str>,
}

/// Looks at every part.
pub(super) fn expression(root: &Expression) -> Result<Vetted<'_>, ConditionError> {
    let mut vetted = Vetted::default();
    vetted.part(root, 0)?;
    if is_never_boolean(&root.expr) {
        return Err(ConditionError::NotBoolean);
    }
    Ok(vetted)
}

fn is_never_boolean(root: &Expr) -> bool {
    match root {
        Expr::Literal(literal) => !matches!(literal, LiteralValue::Boolean(_)),
        Expr::List(_) | Expr::Map(_) => true,
        Expr::Ident(name) => !matches!(name.as_str(), "args" | "claims"),
        Expr::Call(call) => {
            let arithmetic = [
                operators::ADD,
                operators::SUBSTRACT,
                operators::MULTIPLY,
                operators::DIVIDE,
                operators::MODULO,
                operators::NEGATE,
                "size",
                "string",
                "int",
                "uint",
                "double",
                "bytes",
                "type",
            ];
            arithmetic.contains(&call.func_name.as_str())
        }
        Expr::Unspecified | Expr::Comprehension(_) | Expr::Select(_) | Expr::Struct(_) => false,
    }
}

impl<'e> Vetted<'e> {
    fn part(&mut self, part: &'e Expression, depth: usize) -> Result<(), ConditionError> {
        self.nodes += 1;
        if self.nodes > CONDITION_NODES_MAX {
            return Err(ConditionError::TooLarge);
        }
        if depth > CONDITION_DEPTH_MAX {
            return Err(ConditionError::TooDeep);
        }
        let below = depth + 1;
        match &part.expr {
            Expr::Literal(LiteralValue::String(text)) => {
                self.members.insert(text.inner());
                Ok(())
            }
            Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.name(name),
            Expr::Select(select) => {
                self.members.insert(&select.field);
                self.part(&select.operand, below)
            }
            Expr::List(list) => list.elements.iter().try_for_each(|one| self.part(one, below)),
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.part(&entry.key, below)?;
                    self.part(&entry.value, below)
                }
                EntryExpr::StructField(_) => Err(ConditionError::Message),
            }),
            Expr::Call(call) => {
                self.function(&call.func_name)?;
                if call.func_name == "matches" {
                    self.pattern(call.args.last())?;
                }
                // `optional.of` and the like: the target is the family's name.
                let family = call.target.as_deref().is_some_and(
                    |target| matches!(&target.expr, Expr::Ident(name) if name == "optional"),
                );
                if let Some(target) = call.target.as_deref().filter(|_| !family) {
                    self.part(target, below)?;
                }
                call.args.iter().try_for_each(|argument| self.part(argument, below))
            }
            Expr::Comprehension(inner) => {
                if !self.bound.is_empty() {
                    return Err(ConditionError::Nested);
                }
                self.part(&inner.iter_range, below)?;
                self.part(&inner.accu_init, below)?;
                let made = [Some(&inner.iter_var), inner.iter_var2.as_ref(), Some(&inner.accu_var)];
                for name in made.into_iter().flatten() {
                    if facts::NAMES.contains(&name.as_str()) || TYPES.contains(&name.as_str()) {
                        return Err(ConditionError::Shadowed(name.clone()));
                    }
                    self.bound.push(name);
                }
                for inside in [&inner.loop_cond, &inner.loop_step, &inner.result] {
                    self.part(inside, below)?;
                }
                self.bound.clear();
                Ok(())
            }
            Expr::Struct(_) | Expr::Unspecified => Err(ConditionError::Message),
        }
    }

    fn name(&mut self, name: &'e str) -> Result<(), ConditionError> {
        if self.bound.contains(&name) || TYPES.contains(&name) {
            return Ok(());
        }
        // A leading dot means the outermost name.
        let plain = name.trim_start_matches('.');
        if !facts::NAMES.contains(&plain) {
            return Err(ConditionError::UnknownName(plain.to_owned()));
        }
        self.names.insert(plain);
        Ok(())
    }

    fn function(&self, name: &str) -> Result<(), ConditionError> {
        let is_operator = name.starts_with(['_', '!', '-', '@']);
        if is_operator || FUNCTIONS.contains(&name) {
            return Ok(());
        }
        Err(ConditionError::UnknownFunction(name.to_owned()))
    }

    fn pattern(&mut self, pattern: Option<&'e Expression>) -> Result<(), ConditionError> {
        match pattern.map(|pattern| &pattern.expr) {
            Some(Expr::Literal(LiteralValue::String(text))) => {
                self.patterns.push(text.inner());
                Ok(())
            }
            _ => Err(ConditionError::PatternNotWritten),
        }
    }
}
