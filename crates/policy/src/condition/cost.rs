//! What a condition can cost at most, found out before it is ever evaluated.
//!
//! Counted in bytes looked at, with a fixed price for each part. Every value has a largest size: arguments
//! and claims have theirs as bounds. Inside a macro, sizes and costs are linear in the size of the element
//! at hand, and the sizes of all elements add up to that of what it runs over; macros cannot be nested, so
//! linear is enough. Everything saturates.

use cel::common::ast::{EntryExpr, Expr, LiteralValue, operators};
use cel::parser::Expression;
use tollgate_core::bounds::KIB;
use tollgate_core::bounds::policy::{ARGUMENTS_BYTES_MAX, ARGUMENTS_VALUES_MAX, CLAIMS_BYTES_MAX};

/// What evaluating any part costs.
const PART: u64 = 16;
/// What a step of a macro costs besides.
const STEP: u64 = 64;
/// What looking at a byte with a regular expression costs.
const MATCH: u64 = 8;
/// Size of numbers, truths and the like.
const SCALAR: u64 = 8;

/// An amount: a fixed part, and one for each byte of the element at hand.
#[derive(Clone, Copy, Debug, Default)]
struct Amount {
    fixed: u64,
    each: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Estimate {
    cost: Amount,
    size: Amount,
}

impl Amount {
    const fn of(fixed: u64) -> Self {
        Self { fixed, each: 0 }
    }

    const fn plus(self, other: Self) -> Self {
        let fixed = self.fixed.saturating_add(other.fixed);
        Self { fixed, each: self.each.saturating_add(other.each) }
    }

    const fn times(self, factor: u64) -> Self {
        let fixed = self.fixed.saturating_mul(factor);
        Self { fixed, each: self.each.saturating_mul(factor) }
    }

    /// Over all elements of something of a size: their number times the fixed part, and their bytes.
    const fn over(self, count: u64, bytes: u64) -> u64 {
        self.fixed.saturating_mul(count).saturating_add(self.each.saturating_mul(bytes))
    }
}

/// What a condition can cost at most.
pub(super) fn of(root: &Expression) -> u64 {
    estimate(root, None).cost.fixed
}

/// `element` is the name of the element at hand, inside a macro.
fn estimate(part: &Expression, element: Option<&str>) -> Estimate {
    match &part.expr {
        Expr::Literal(literal) => {
            let size = match literal {
                LiteralValue::String(text) => text.inner().len() as u64,
                LiteralValue::Bytes(bytes) => bytes.inner().len() as u64,
                _ => SCALAR,
            };
            Estimate { cost: Amount::of(PART), size: Amount::of(size.max(SCALAR)) }
        }
        Expr::Ident(name) => {
            let size = if element == Some(name.as_str()) {
                Amount { fixed: SCALAR, each: 1 }
            } else {
                Amount::of(size_of(name))
            };
            Estimate { cost: Amount::of(PART), size }
        }
        Expr::Select(select) => {
            let inner = estimate(&select.operand, element);
            // What was just made is taken apart; what stands somewhere is only looked up.
            let taken = if is_path(&select.operand) { Amount::default() } else { inner.size };
            Estimate { cost: inner.cost.plus(taken).plus(Amount::of(PART)), size: inner.size }
        }
        Expr::List(list) => sum(&list.elements, element),
        Expr::Map(map) => {
            let entries = map.entries.iter().filter_map(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => Some([&entry.key, &entry.value]),
                EntryExpr::StructField(_) => None,
            });
            sum(entries.flatten(), element)
        }
        Expr::Call(call) => {
            let parts = call.target.as_deref().into_iter().chain(&call.args);
            let all = sum(parts, element);
            let factor = if call.func_name == "matches" { MATCH } else { 1 };
            let size = match call.func_name.as_str() {
                operators::ADD => all.size,
                operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT => all.size,
                operators::CONDITIONAL | "of" | "or" | "orValue" | "value" | "dyn" => all.size,
                "string" | "bytes" => all.size.times(4).plus(Amount::of(SCALAR * 4)),
                _ => Amount::of(SCALAR),
            };
            Estimate { cost: all.cost.plus(all.size.times(factor)), size }
        }
        Expr::Comprehension(inner) => {
            let range = estimate(&inner.iter_range, None);
            let bytes = range.size.fixed;
            let count = (ARGUMENTS_VALUES_MAX as u64).min(bytes / 2 + 1);
            let mut step = Estimate::default();
            for inside in [&inner.loop_cond, &inner.loop_step] {
                let one = estimate(inside, Some(&inner.iter_var));
                step.cost = step.cost.plus(one.cost);
                step.size = one.size;
            }
            // The element is copied for each step.
            let each = step.cost.plus(Amount { fixed: STEP, each: 1 });
            let cost = range.cost.fixed.saturating_add(each.over(count, bytes));
            Estimate { cost: Amount::of(cost), size: Amount::of(step.size.over(count, bytes)) }
        }
        Expr::Struct(_) | Expr::Unspecified => {
            Estimate { cost: Amount::of(u64::MAX), size: Amount::of(u64::MAX) }
        }
    }
}

fn sum<'e>(parts: impl IntoIterator<Item = &'e Expression>, element: Option<&str>) -> Estimate {
    let start = Estimate { cost: Amount::of(PART), size: Amount::default() };
    parts.into_iter().fold(start, |all, part| {
        let one = estimate(part, element);
        Estimate { cost: all.cost.plus(one.cost), size: all.size.plus(one.size) }
    })
}

fn is_path(part: &Expression) -> bool {
    match &part.expr {
        Expr::Ident(_) => true,
        Expr::Select(select) => is_path(&select.operand),
        _ => false,
    }
}

fn size_of(name: &str) -> u64 {
    let bytes = match name.trim_start_matches('.') {
        "args" => ARGUMENTS_BYTES_MAX,
        // Groups and scopes come from a token, which is no longer than a head of a request.
        "claims" | "groups" | "scopes" => CLAIMS_BYTES_MAX,
        "kind" | "method" | "address" | "route" | "upstream" => 256,
        // What a macro collects is appended to, not copied.
        collected if collected.starts_with('@') => 8,
        _ => 2 * KIB,
    };
    bytes as u64
}
