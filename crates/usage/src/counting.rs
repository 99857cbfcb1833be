//! Counts a call: on the thread of its own that has the time, or cheaply by bytes where nobody has.
//!
//! Next: `answer.rs`.

use crate::answer;
use crate::call::{Finished, Results};
use crate::plain;
use crate::reported::Report;
use crate::settings::{Estimator, Trust, UsageSettings};
use crate::text::{Ruler, Tape, compact, of_bytes, wide};
use tollgate_core::stores::{CountedBy, Outcome};

/// What was counted of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) tokens_in: u64,
    pub(crate) tokens_out: u64,
    pub(crate) bytes: u64,
    pub(crate) by: CountedBy,
    pub(crate) outcome: Outcome,
    /// A tokenizer did not read everything.
    pub(crate) is_extrapolated: bool,
    /// What the upstream reported could not be used.
    pub(crate) is_report_void: bool,
}

/// Counts a call as the operator wants it counted.
pub(crate) fn count(call: &Finished, ruler: Ruler, settings: &UsageSettings) -> Counted {
    let mut input = Tape::new(ruler);
    match std::str::from_utf8(&call.arguments) {
        Ok(arguments) => input.add(&compact(arguments)),
        Err(_) => input.add_bytes(call.arguments.len()),
    }
    let Results::Whole(whole) = &call.results else {
        let tokens_in = input.tokens();
        return Counted { tokens_in, ..cheap(call) };
    };
    let trust = trust(call, settings);
    if trust.is_none()
        && settings.estimator == Estimator::Bytes
        && !plain::may_have_failed(whole)
        && let Some(text) = plain::text_bytes(whole)
    {
        let tokens_out = of_bytes(wide(text)).saturating_add(of_bytes(call.aside_bytes));
        return Counted { tokens_in: input.tokens(), tokens_out, ..cheap(call) };
    }
    let mut output = Tape::new(ruler);
    let said = answer::read(whole, &mut output, trust.is_some());
    let aside = of_bytes(call.aside_bytes);
    let own = (input.tokens(), output.tokens());
    let ((tokens_in, tokens_out), is_reported) = match (said.report, trust) {
        (Report::Said(said), Some(trust)) => said.against(own, trust),
        _ => (own, false),
    };
    Counted {
        tokens_in,
        tokens_out: tokens_out.saturating_add(aside),
        bytes: bytes(call),
        by: if is_reported { CountedBy::Reported } else { ruler.counted_by() },
        outcome: match call.outcome {
            Outcome::Done if said.is_error => Outcome::Error,
            Outcome::Done if said.is_tool_error => Outcome::ToolError,
            known => known,
        },
        is_extrapolated: input.is_extrapolated() || output.is_extrapolated(),
        is_report_void: said.report == Report::Void,
    }
}

/// Counts a call by nothing but numbers of bytes.
pub(crate) fn cheap(call: &Finished) -> Counted {
    let tokens_out = match &call.results {
        Results::Whole(whole) => of_bytes(wide(whole.len())),
        Results::Counted { tokens, .. } => *tokens,
        Results::None => 0,
    };
    Counted {
        tokens_in: of_bytes(wide(call.arguments.len())),
        tokens_out: tokens_out.saturating_add(of_bytes(call.aside_bytes)),
        bytes: bytes(call),
        by: CountedBy::Bytes,
        outcome: call.outcome,
        is_extrapolated: false,
        is_report_void: false,
    }
}

fn bytes(call: &Finished) -> u64 {
    let results = match &call.results {
        Results::Whole(whole) => wide(whole.len()),
        Results::Counted { bytes, .. } => *bytes,
        Results::None => 0,
    };
    wide(call.arguments.len()).saturating_add(results).saturating_add(call.aside_bytes)
}

fn trust(call: &Finished, settings: &UsageSettings) -> Option<Trust> {
    let upstream = call.upstream.as_str();
    settings.reported.iter().find(|(name, _)| **name == *upstream).map(|(_, trust)| *trust)
}
