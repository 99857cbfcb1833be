//! Conditions: CEL over what is known of a call.
//!
//! Read once, when the policy is compiled, and refused there if they could be wrong or expensive
//! (`condition/vet.rs`, `condition/cost.rs`). An evaluation is pure, bounded, and never panics outwards.
//! What cannot be said is said ([`Verdict::Failed`]), and whoever asked denies.
//!
//! Next: `condition/facts.rs` for the names, `condition/json.rs` for what JSON becomes.

mod vet;

mod cost;

mod facts;

mod json;

mod spelling;

pub(crate) use facts::Facts;

use cel::common::types::CelBool;
use cel::context::VariableResolver;
use cel::extractors::This;
use cel::parser::{Expression, Parser};
use cel::{Context, Env, ExecutionError, Value};
use facts::Seen;
use regex::Regex;
use spelling::Spellings;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};
use tollgate_core::bounds::policy::{
    CONDITION_BYTES_MAX, CONDITION_COST_MAX, CONDITION_DEPTH_MAX, CONDITION_NODES_MAX,
    REGEX_BYTES_MAX,
};

/// A condition, read and found to be bounded.
pub struct Condition {
    text: Box<str>,
    expression: Expression,
    reads_arguments: bool,
    spellings: Spellings,
    cost: u64,
    /// The regular expressions in it, by their text.
    patterns: Arc<HashMap<String, Regex>>,
}

/// What a condition says about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It holds.
    Yes,
    /// It does not.
    No,
    /// That depends on the arguments, which are not looked at.
    Depends,
    /// It cannot be said.
    Failed,
}

/// Whether the arguments of a call are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arguments {
    Seen,
    Unseen,
}

/// Why a text is no condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// It is too long.
    #[error("it has more than {CONDITION_BYTES_MAX} bytes")]
    TooLong,
    /// It is nested too deeply.
    #[error("it is nested more than {CONDITION_DEPTH_MAX} deep")]
    TooDeep,
    /// It has too many parts.
    #[error("it has more than {CONDITION_NODES_MAX} parts")]
    TooLarge,
    /// It is no CEL.
    #[error("{message}")]
    Syntax {
        /// The line of the condition, from 1.
        line: usize,
        /// The column in it, from 1.
        column: usize,
        /// What the parser says.
        message: String,
    },
    /// It uses a name that nothing has.
    #[error("there is nothing called `{0}`")]
    UnknownName(String),
    /// It uses a function that is not there.
    #[error("there is no function `{0}`")]
    UnknownFunction(String),
    /// It gives an element the name of something else.
    #[error("`{0}` already is the name of something else")]
    Shadowed(String),
    /// One macro runs inside another.
    #[error("`all`, `exists`, `exists_one`, `map` and `filter` cannot stand inside one another")]
    Nested,
    /// A pattern for `matches` is not written out.
    #[error("the pattern of `matches` must be written out")]
    PatternNotWritten,
    /// A pattern for `matches` is no regular expression, or too large.
    #[error("`{0}` is not a regular expression that can be used")]
    BadPattern(String),
    /// It makes a message, which nothing here is.
    #[error("messages cannot be made here: write a map, `{{'name': value}}`")]
    Message,
    /// It is not a question.
    #[error("it is neither true nor false")]
    NotBoolean,
    /// It could take too long.
    #[error(
        "it could take too long for large arguments ({cost}, and the bound is {CONDITION_COST_MAX})"
    )]
    TooExpensive {
        /// What it could cost.
        cost: u64,
    },
}

impl ConditionError {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::TooLong | Self::TooLarge | Self::TooDeep => {
                "split it into several bindings: one that holds is enough".to_owned()
            }
            Self::Syntax { .. } => {
                "write a CEL expression, such as `args.branch != 'main'`".to_owned()
            }
            Self::UnknownName(_) => format!(
                "names are {}; text stands in quotes",
                facts::NAMES.map(|name| format!("`{name}`")).join(", ")
            ),
            Self::UnknownFunction(_) => format!("functions are {}", vet::functions()),
            Self::Shadowed(name) => format!("give it another name than `{name}`"),
            Self::Nested => "put one after the other, or compare with a list in brackets: `x in ['a', 'b']`".to_owned(),
            Self::PatternNotWritten => "write it as text in quotes: `args.path.matches('^/srv/')`".to_owned(),
            Self::BadPattern(_) => "write an RE2 pattern without look-around and back-references, in quotes with every `\\` doubled, or in `r'...'`".to_owned(),
            Self::Message => "remove it".to_owned(),
            Self::NotBoolean => "compare it with something: `== true`, `!= 'main'`, `size(...) > 0`".to_owned(),
            Self::TooExpensive { .. } => "look at single arguments instead of whole lists, or compare with a short list in brackets".to_owned(),
        }
    }
}

/// Functions and macros of CEL, without `matches`: ours takes only patterns that were read before.
static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// [`ConditionError`].
    pub fn parse(text: &str) -> Result<Self, ConditionError> {
        vet::text(text)?;
        let expression = parse(text)?;
        let vetted = vet::expression(&expression)?;
        let cost = cost::of(&expression);
        if cost > CONDITION_COST_MAX {
            return Err(ConditionError::TooExpensive { cost });
        }
        let mut patterns = HashMap::new();
        for pattern in vetted.patterns {
            let mut builder = regex::RegexBuilder::new(pattern);
            let regex = builder.size_limit(REGEX_BYTES_MAX).dfa_size_limit(REGEX_BYTES_MAX).build();
            let regex = regex.map_err(|_| ConditionError::BadPattern(pattern.to_owned()))?;
            patterns.insert(pattern.to_owned(), regex);
        }
        let reads_arguments = vetted.names.contains("args");
        let spellings = Spellings::of(vetted.members);
        Ok(Self {
            text: text.into(),
            expression,
            reads_arguments,
            spellings,
            cost,
            patterns: Arc::new(patterns),
        })
    }

    /// The text it was read from.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it says anything about arguments.
    #[must_use]
    pub const fn reads_arguments(&self) -> bool {
        self.reads_arguments
    }

    /// The most it can cost.
    pub(crate) const fn cost(&self) -> u64 {
        self.cost
    }

    /// What it says. With arguments unseen, only what holds for all arguments is said.
    pub(crate) fn judge(&self, facts: &Facts<'_>, arguments: Arguments) -> Verdict {
        let is_open = arguments == Arguments::Unseen && self.reads_arguments;
        if self.reads_arguments && !is_open {
            let readable = facts.arguments();
            if readable.is_none_or(|it| self.spellings.is_mistaken_in(&it.names)) {
                return Verdict::Failed;
            }
        }
        match self.evaluate(&Seen { facts, arguments }) {
            Some(true) => Verdict::Yes,
            Some(false) => Verdict::No,
            None if is_open => Verdict::Depends,
            None => Verdict::Failed,
        }
    }

    fn evaluate(&self, seen: &Seen<'_, '_>) -> Option<bool> {
        // A panic of the interpreter is a condition that cannot be said: nothing of ours is changed by an
        // evaluation, so nothing is left half done.
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let mut context = Context::with_env(Arc::clone(&ENV));
            if !self.patterns.is_empty() {
                let patterns = Arc::clone(&self.patterns);
                context.add_function("matches", matcher(patterns)).ok()?;
            }
            context.set_variable_resolver(seen as &dyn VariableResolver);
            let value = Value::resolve_val(&self.expression, &context).ok()?;
            value.as_ref().downcast_ref::<CelBool>().map(|found| *found.inner())
        }));
        outcome.ok().flatten()
    }
}

impl std::fmt::Debug for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

type Matched = Result<bool, ExecutionError>;

fn matcher(
    patterns: Arc<HashMap<String, Regex>>,
) -> impl Fn(This<Arc<String>>, Arc<String>) -> Matched + Send + Sync + 'static {
    move |This(text): This<Arc<String>>, pattern: Arc<String>| {
        let known = patterns.get(pattern.as_str());
        let unknown = || ExecutionError::function_error("matches", "a pattern that was not read");
        known.map(|regex| regex.is_match(&text)).ok_or_else(unknown)
    }
}

fn parse(text: &str) -> Result<Expression, ConditionError> {
    let unparsed = |line, column, message| ConditionError::Syntax { line, column, message };
    let parsed = catch_unwind(|| {
        let parser: Parser = ENV.parser();
        parser.parse(text)
    });
    match parsed {
        Ok(Ok(expression)) => Ok(expression),
        Ok(Err(errors)) => Err(match errors.errors.first() {
            Some(error) => {
                let at = |position: isize| usize::try_from(position).unwrap_or(0).max(1);
                let message = error.msg.lines().next().unwrap_or_default().trim();
                unparsed(at(error.pos.0), at(error.pos.1), message.to_owned())
            }
            None => unparsed(1, 1, "it is no expression".to_owned()),
        }),
        Err(_) => Err(unparsed(1, 1, "it cannot be read".to_owned())),
    }
}

#[cfg(test)]
mod tests;
