//! `tollgate policy test`: the cases of a file, one line each.

use crate::cli::{PolicyArgs, TestArgs};
use crate::config::read_bounded;
use crate::policy::{Answer, AskError, House};
use crate::screen;
use serde_json::json;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use tollgate_core::bounds::CONFIG_BYTES_MAX;
use tollgate_policy::cases::{Case, Cases};

/// Runs the cases.
pub(super) fn run(args: &PolicyArgs, test: &TestArgs) -> Result<Answer, AskError> {
    let Cases { config, cases } = read(&test.file)?;
    let folder = test.file.parent().unwrap_or(Path::new(""));
    let beside = config.map(|config| folder.join(config));
    let config = args.config.clone().or(beside);
    let house = House::open(&config.unwrap_or_else(|| PathBuf::from(super::CONFIG)))?;
    let mut text = String::new();
    let mut lines = Vec::new();
    let mut failed = 0_usize;
    for (place, case) in cases.iter().enumerate() {
        let name = case.name.clone().unwrap_or_else(|| format!("case {}", place + 1));
        let name = screen::on_one_line(&name, 200);
        let wrong = |error: &AskError| AskError::File(format!("{name}: {error}"));
        let outcome = judge(&house, case).map_err(|error| wrong(&error))?;
        lines
            .push(json!({ "name": name, "holds": outcome.is_ok(), "why": outcome.as_ref().err() }));
        // Writing to a string cannot fail.
        let _ = match &outcome {
            Ok(()) => writeln!(text, "ok    {name}"),
            Err(why) => writeln!(text, "FAIL  {name}\n{}", indented(&screen::on_lines(why))),
        };
        failed += usize::from(outcome.is_err());
    }
    let held = cases.len() - failed;
    let _ = writeln!(text, "{held} of {} cases hold", cases.len());
    if args.json {
        text = format!("{}\n", screen::json(&json!({ "cases": lines, "failed": failed })));
    }
    Ok(Answer { text, is_success: failed == 0 })
}

fn read(path: &Path) -> Result<Cases, AskError> {
    let shown = path.display();
    let content = read_bounded(path, CONFIG_BYTES_MAX)
        .map_err(|error| AskError::File(format!("`{shown}` cannot be read: {error}")))?
        .ok_or_else(|| {
            AskError::File(format!("`{shown}` is larger than {CONFIG_BYTES_MAX} bytes"))
        })?;
    let content = String::from_utf8(content)
        .map_err(|_| AskError::File(format!("`{shown}` is not UTF-8 text")))?;
    let cases: Cases = serde_saphyr::from_str(&content)
        .map_err(|error| AskError::File(format!("`{shown}` holds no cases: {error}")))?;
    if cases.cases.is_empty() {
        return Err(AskError::File(format!("`{shown}` has no case: add one below `cases`")));
    }
    Ok(cases)
}

fn judge(house: &House, case: &Case) -> Result<Result<(), String>, AskError> {
    let subject = house.vouched(case.subject())?;
    let route = house.route(case.route.as_deref())?;
    Ok(case.run(&house.policy, &subject, &route)?)
}

fn indented(text: &str) -> String {
    text.trim_end().lines().map(|line| format!("      {line}")).collect::<Vec<_>>().join("\n")
}
