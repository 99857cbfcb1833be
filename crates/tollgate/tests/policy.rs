//! `tollgate policy` and what `check` says of a policy, as a person and a script see them.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const TOLLGATE: &str = env!("CARGO_BIN_EXE_tollgate");

/// Exit code, standard output, standard error.
fn tollgate(args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(TOLLGATE).args(args).env_clear().output().expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name);
    path.to_str().expect("a path").to_owned()
}

fn explain(more: &[&str]) -> (Option<i32>, String, String) {
    let config = example("policy.yaml");
    let mut args = vec!["policy", "explain", "--config", &config];
    args.extend(more);
    tollgate(&args)
}

fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file.yaml");
    std::fs::write(&file, text).expect("written");
    (folder, file)
}

#[test]
fn the_example_holds_its_cases() {
    let (code, said, errors) = tollgate(&["policy", "test", &example("cases/policy.yaml")]);
    assert_eq!(code, Some(0), "{said}{errors}");
    assert!(said.ends_with("10 of 10 cases hold\n"), "{said}");
}

#[test]
fn an_explanation_names_the_rule_the_claim_and_what_would_change_it() {
    let arguments = r#"{"branch":"main"}"#;
    let asked = ["--agent", "ci", "--group", "release", "--tool", "git__push", "--args", arguments];
    let (code, said, _) = explain(&asked);
    let expected = "\
refused for its arguments (by `releases`)
  told      push to a branch of its own and open a pull request; never by force
  lists     show it
  rule      `releases` allows `git__push`: holds
            + the group `release`
            ? args.branch != 'main' && !has(args.force) -> false
  change    `releases` would allow it where this is true: args.branch != 'main' && !has(args.force)
";
    assert_eq!((code, said.as_str()), (Some(1), expected));
    let (code, said, _) = explain(&["--agent", "ci", "--tool", "git__push"]);
    let change =
        "change    `releases` would allow it, but the group must be `release`, and there is none";
    assert!(code == Some(1) && said.contains(change), "{said}");
    let (code, said, _) = explain(&["--agent", "ci", "--tool", "git__get_issue"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("allowed (by `reader#2`)") && said.contains("+ the agent `ci`"),
        "{said}"
    );
    let (_, said, _) = explain(&["--agent", "ci", "--tool", "git__delete_x"]);
    assert!(
        said.starts_with("denied: it does not exist for this caller (by `careful#1`)"),
        "{said}"
    );
}

#[test]
fn what_a_rule_denies_itself_is_never_said_to_be_helped_by_it() {
    let (_folder, file) = written(
        "upstreams: { git: { http: { url: \"http://127.0.0.1:1/mcp\" } } }\nroutes: { /mcp: { upstreams: [git] } }\n\
         policy:\n  roles: { all: { tools: [\"git__*\"], deny: [\"git__delete_*\"] } }\n  \
         bindings: [ { role: all, groups: [release] } ]\n",
    );
    let file = file.to_str().expect("a path");
    let asked = ["policy", "explain", "--config", file, "--agent", "ci", "--tool", "git__delete_x"];
    let (code, said, _) = tollgate(&asked);
    assert_eq!(code, Some(1));
    assert!(!said.contains("would allow it"), "{said}");
    assert!(said.contains("change    no role and no scope allows tool `git__delete_x`"), "{said}");
}

#[test]
fn an_explanation_is_json_for_scripts() {
    let (code, said, _) = explain(&["--agent", "ci", "--tool", "files__write_file", "--json"]);
    let said: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(code, Some(1));
    assert_eq!((&said["decision"], &said["scopes"][0]), (&"scope".into(), &"files:write".into()));
}

#[test]
fn a_question_that_cannot_be_asked_is_exit_code_2() {
    for (more, hint) in [
        (&["--tool", "push"][..], "is not `UPSTREAM__NAME`"),
        (&["--tool", "git__push", "--args", "[1]"], "takes a JSON object"),
        (&["--tool", "git__push", "--route", "/x"], "there is no route `/x`"),
        (&["--tool", "git__push", "--issuer", "x"], "there is no issuer `x`"),
        (&["--tool", "git__push", "--claim", "x"], "NAME=VALUE"),
        (&["--agent", "ci"], "--tool"),
        (&["--tool", "a__b", "--prompt", "a__b"], "cannot be used with"),
    ] {
        let (code, said, errors) = explain(more);
        assert_eq!((code, said.as_str()), (Some(2), ""), "{more:?}");
        assert!(errors.contains(hint), "{errors}");
    }
    let config = example("minimal.yaml");
    let (code, _, errors) = tollgate(&["policy", "matrix", "--config", &config]);
    assert!(code == Some(2) && errors.contains("no section `policy`"), "{errors}");
}

#[test]
fn cases_that_do_not_hold_are_exit_code_1_and_say_why() {
    let cases = "cases:
  - { name: pushes, agent: ci, tool: git__push, expect: allow }
  - { agent: ci, tool: git__get_issue, expect: allow, rule: releases }
  - { agent: ci, tool: git__get_issue, expect: allow }
";
    let (_folder, file) = written(cases);
    let (file, config) = (file.to_str().expect("a path"), example("policy.yaml"));
    let (code, said, _) = tollgate(&["policy", "test", file, "--config", &config]);
    assert_eq!(code, Some(1), "{said}");
    for part in [
        "FAIL  pushes\n      expected allow, and it is denied",
        "FAIL  case 2\n      expected by `releases`, and it is by `reader#2`",
        "ok    case 3",
        "1 of 3 cases hold",
    ] {
        assert!(said.contains(part), "`{part}` is missing in\n{said}");
    }
    for (wrong, hint) in [
        ("cases: [{ tool: git__push }]", "write `expect: allow`"),
        ("cases: [{ expect: deny }]", "exactly one of `tool`"),
        ("cases: [{ tools: x, expect: deny }]", "unknown field"),
        ("cases: []", "has no case"),
    ] {
        let (_folder, file) = written(wrong);
        let file = file.to_str().expect("a path");
        let (code, _, errors) = tollgate(&["policy", "test", file, "--config", &config]);
        assert!(code == Some(2) && errors.contains(hint), "{wrong}: {errors}");
    }
}

#[test]
fn a_matrix_shows_who_can_call_what() {
    let (code, said, _) = tollgate(&["policy", "matrix", "--config", &example("policy.yaml")]);
    let expected = "\
item       anyone  group release  scope files:write
git__push  -       args           -
git__tag   -       args           -
";
    assert_eq!((code, said.as_str()), (Some(0), expected));
    let config = example("policy.yaml");
    let asked = ["policy", "matrix", "--config", &config, "--agent", "ci", "--format", "csv"];
    let (_, said, _) = tollgate(&asked);
    assert!(said.starts_with("kind,upstream,name,\"agent ci\"\ntool,git,\"push\",-\n"), "{said}");
}

/// The demonstration on a free port. It is killed when dropped.
struct Demo {
    child: Child,
    url: String,
}

impl Demo {
    fn start() -> Self {
        let mut child = Command::new(TOLLGATE)
            .args(["demo", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let url = lines
            .map_while(Result::ok)
            .find_map(|line| line.split("open at  ").nth(1).map(str::to_owned))
            .expect("a URL");
        Self { child, url }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn a_live_matrix_shows_what_the_upstreams_have() {
    let demo = Demo::start();
    let config = format!(
        "upstreams: {{ demo: {{ http: {{ url: \"{}\" }} }} }}
routes: {{ /mcp: {{ upstreams: [demo] }} }}
policy:
  roles: {{ some: {{ tools: [\"demo__*count\"], deny: [\"demo__slow_*\"] }} }}
  bindings: [{{ role: some, agents: [anonymous] }}]
",
        demo.url
    );
    let (_folder, file) = written(&config);
    let file = file.to_str().expect("a path");
    let (code, said, errors) =
        tollgate(&["policy", "matrix", "--live", "--json", "--config", file]);
    assert_eq!(code, Some(0), "{errors}");
    let rows: Vec<Value> = serde_json::from_str(&said).expect("JSON");
    let reach = |name: &str| {
        let row = rows.iter().find(|row| row["name"] == name).expect("a row");
        row["callers"]["anyone"].clone()
    };
    assert_eq!([reach("count"), reach("slow_count"), reach("echo")], ["yes", "-", "-"]);
}

#[test]
fn check_warns_of_what_nobody_can_have_meant() {
    let config = "upstreams: { git: { http: { url: \"http://a/\" } } }
routes: { /mcp: { upstreams: [git] } }
policy:
  roles:
    reader: { tools: [\"git__get_x\", \"gti__*\"], deny: [\"git__get_*\"] }
    idle: { tools: [\"git__x\"] }
  bindings:
    - { role: reader, message: hello }
";
    let (_folder, file) = written(config);
    let file = file.to_str().expect("a path");
    let (code, said, errors) = tollgate(&["check", "--config", file]);
    assert_eq!(code, Some(0), "{errors}");
    assert!(said.contains("policy    2 roles, 1 binding, 0 scopes (enforced)"), "{said}");
    assert!(!said.contains("off       policy"), "{said}");
    for part in [
        "file.yaml:5:23: role `reader` allows tool `git__get_x` and denies it by `git__get_*`: deny wins",
        "file.yaml:5:37: role `reader` allows tool `gti__*`, and there is no upstream `gti`",
        "file.yaml:6:5: role `idle` is given to nobody",
        "file.yaml:8:7: binding `reader#1` has a `message`, and no `when`",
    ] {
        assert!(errors.contains(part), "`{part}` is missing in\n{errors}");
    }
}
