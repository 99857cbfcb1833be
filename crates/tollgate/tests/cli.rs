//! The command line as a script sees it: exit codes, what goes to which stream, and the help.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn tollgate(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tollgate")).args(args).env_clear().output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

#[test]
fn a_right_configuration_is_summed_up_with_exit_code_0() {
    let output =
        tollgate(&["check", "--config", examples().join("minimal.yaml").to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let summary = text(&output.stdout);
    for part in
        ["ok: ", "gate      http://127.0.0.1:8080", "route     /mcp -> search", "off       policy"]
    {
        assert!(summary.contains(part), "`{part}` is missing in\n{summary}");
    }
}

#[test]
fn a_missing_configuration_is_exit_code_2_with_a_remedy() {
    let output = tollgate(&["check", "--config", "/nowhere/tollgate.yaml"]);
    assert_eq!(output.status.code(), Some(2));
    let report = text(&output.stderr);
    assert!(
        report.contains("there is no such file") && report.contains("--config FILE"),
        "{report}"
    );
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    for args in [&["chek"][..], &["check", "--confg", "x"], &["completions", "cobol"], &[]] {
        assert_eq!(tollgate(args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn the_configuration_can_be_named_in_the_environment() {
    let output = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .arg("check")
        .env_clear()
        .env("TOLLGATE_CONFIG", examples().join("two-instances.yaml"))
        .output()
        .unwrap();
    assert!(text(&output.stdout).contains("search: 2 endpoints"), "{}", text(&output.stderr));
}

#[test]
fn help_shows_the_first_commands_and_the_exit_codes() {
    let output = tollgate(&["--help"]);
    let help = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0));
    for part in
        ["tollgate demo", "tollgate check --config", "tollgate serve --config", "Exit codes:"]
    {
        assert!(help.contains(part), "`{part}` is missing in\n{help}");
    }
}

#[test]
fn every_command_has_an_example_and_a_next_step() {
    for command in [
        "serve",
        "demo",
        "check",
        "import",
        "connect",
        "doctor",
        "tools",
        "agents",
        "users",
        "keys",
        "schema",
        "completions",
    ] {
        let help = text(&tollgate(&[command, "--help"]).stdout);
        assert!(help.contains("Example:\n") && help.contains("Next: "), "{command}:\n{help}");
    }
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = text(&tollgate(&["completions", shell]).stdout);
        let missing = [
            "serve",
            "demo",
            "check",
            "import",
            "connect",
            "doctor",
            "tools",
            "agents",
            "users",
            "keys",
            "schema",
            "completions",
        ]
        .into_iter()
        .find(|c| !script.contains(c));
        assert_eq!(missing, None, "{shell}");
    }
}

#[test]
fn version_is_the_one_of_the_package() {
    let output = tollgate(&["--version"]);
    assert_eq!(text(&output.stdout).trim(), concat!("tollgate ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn warnings_do_not_stop_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tollgate.yaml");
    let unused = "upstreams:\n  a: { http: { url: \"http://127.0.0.1:1/mcp\" } }\n  b: { http: { url: \"http://127.0.0.1:2/mcp\" } }\nroutes:\n  /mcp: { upstreams: [a] }\n";
    std::fs::write(&file, unused).unwrap();
    let output = tollgate(&["check", "--config", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0));
    assert!(
        text(&output.stderr).contains("tollgate.yaml:3:3: upstream `b` is on no route"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_guard_ends_as_its_command_did() {
    for (script, code) in [("exit 5", 5), ("kill -9 $$", 137), ("sleep 60 & exit 0", 0)] {
        let guard = ["guard", "--stop-millis", "100", "--", "/bin/sh", "-c", script];
        assert_eq!(tollgate(&guard).status.code(), Some(code), "{script}");
    }
}

#[test]
fn a_guard_says_why_its_command_cannot_be_started() {
    for (command, said) in [
        ("no-such-program", "`no-such-program` is not in PATH=(not set)"),
        ("/nowhere/program", "`/nowhere/program` cannot be started: No such file"),
        ("/etc/passwd", "`/etc/passwd` cannot be started: Permission denied"),
    ] {
        let output = tollgate(&["guard", "--", command]);
        let errors = text(&output.stderr);
        assert_eq!((output.status.code(), errors.contains(said)), (Some(127), true), "{errors}");
    }
}

#[test]
fn a_guard_is_only_for_the_gate() {
    for args in [&["guard"][..], &["guard", "--"], &["guard", "--memory-bytes", "x", "--", "true"]]
    {
        let output = tollgate(args);
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(127), "{errors}");
        assert!(errors.contains("this command is for the gate itself"), "{errors}");
    }
    assert!(!text(&tollgate(&["--help"]).stdout).contains("guard"));
}
