//! The two commands of the README: how to run, and how to test. `.ci/run` calls the second.

use std::path::Path;

/// Checks the README and `.ci/run`.
pub(super) fn complaints(root: &Path) -> Vec<String> {
    let read = |file: &str| std::fs::read_to_string(root.join(file)).unwrap_or_default();
    of(&read("README.md"), &read(".ci/run"))
}

fn of(readme: &str, ci: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    if block(readme, "run").is_none() {
        complaints.push("README.md: no fenced block right after `<!-- run -->`".to_owned());
    }
    let Some(test) = block(readme, "test") else {
        complaints.push("README.md: no fenced block right after `<!-- test -->`".to_owned());
        return complaints;
    };
    let calls: Vec<&str> = ci
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter(|line| !line.starts_with("set ") && !line.starts_with("cd "))
        .collect();
    if calls.join("\n") != test {
        complaints.push(format!(".ci/run must call exactly `{test}`, as the README says"));
    }
    complaints
}

/// The text of the fenced block that follows the comment `<!-- MARK -->`.
fn block(readme: &str, mark: &str) -> Option<String> {
    let (_, after) = readme.split_once(&format!("<!-- {mark} -->"))?;
    let (fence, body) = after.trim_start().split_once('\n')?;
    let (body, _) = body.split_once("\n```")?;
    fence.starts_with("```").then(|| body.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str =
        "<!-- run -->\n```sh\ncargo run\n```\ntext\n<!-- test -->\n```sh\ncargo xtask test\n```\n";

    #[test]
    fn ci_that_calls_the_test_command_is_in_order() {
        assert!(of(README, "#!/bin/bash\nset -euo pipefail\ncargo xtask test\n").is_empty());
    }

    #[test]
    fn ci_that_calls_something_else_is_a_complaint() {
        assert_eq!(of(README, "cargo test\n").len(), 1);
    }

    #[test]
    fn a_readme_without_the_marks_is_a_complaint() {
        assert_eq!(of("# Tollgate\n", "cargo xtask test\n").len(), 2);
    }
}
