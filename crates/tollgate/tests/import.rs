//! Configurations of real clients become configurations of the gate: see `golden/import`.
//!
//! `UPDATE=1 cargo test -p tollgate --test import` writes the results anew; review the difference. Every
//! secret in the files holds the mark `S3CRET`.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use testkit::gate::GateProcess;
use testkit::recorder::Recorder;

/// What every secret of the fixtures holds.
const MARK: &str = "S3CRET";

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/import")
}

fn fixtures() -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(golden()).expect("fixtures").map(|entry| entry.expect("one").path());
    let is_fixture = |path: &PathBuf| path.extension().is_some_and(|e| e == "json" || e == "toml");
    let mut files: Vec<_> = entries.filter(is_fixture).collect();
    files.sort();
    files
}

fn import(file: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .arg("import")
        .arg(file.file_name().expect("a name"))
        .args(args)
        .current_dir(golden())
        .env_clear()
        .output()
        .expect("the command runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// The variables that a run with `--print-secrets` says to set, with values where it knows none.
fn environment(report: &str) -> Vec<(String, String)> {
    let variable = |line: &str| {
        let (name, rest) = line.strip_prefix("export ")?.split_once('=')?;
        let value = rest.rsplit_once("    # ")?.0;
        let value = match value.strip_prefix('\'').and_then(|value| value.strip_suffix('\'')) {
            Some(value) => value.replace(r"'\''", "'"),
            None if name.contains("URL") => "https://example.com".to_owned(),
            None => "value".to_owned(),
        };
        Some((name.to_owned(), value))
    };
    report.lines().filter_map(variable).collect()
}

#[test]
fn imports_are_as_reviewed() {
    let mut wrong = Vec::new();
    for file in fixtures() {
        let output = import(&file, &[]);
        for (extension, written) in [("yaml", &output.stdout), ("txt", &output.stderr)] {
            let expected = file.with_extension(extension);
            if std::env::var_os("UPDATE").is_some() {
                std::fs::write(&expected, written).expect("written");
            }
            let reviewed = std::fs::read(&expected).unwrap_or_default();
            if reviewed != *written || output.status.code() != Some(0) {
                wrong.push(format!("{}:\n{}", expected.display(), text(written)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_import_passes_the_check_once_its_variables_are_set() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut wrong = Vec::new();
    for file in fixtures() {
        let output = import(&file, &["--print-secrets"]);
        let result = folder.path().join("tollgate.yaml");
        std::fs::write(&result, &output.stdout).expect("written");
        let check = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(["check", "--config"])
            .arg(&result)
            .env_clear()
            .envs(environment(&text(&output.stderr)))
            .output()
            .expect("the command runs");
        if check.status.code() != Some(0) {
            wrong.push(format!("{}:\n{}", file.display(), text(&check.stderr)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_secret_is_written_or_printed() {
    let mut showing = Vec::new();
    let mut secrets = 0;
    for file in fixtures() {
        secrets += std::fs::read_to_string(&file).expect("a fixture").matches(MARK).count();
        let output = import(&file, &[]);
        for line in text(&output.stdout).lines().chain(text(&output.stderr).lines()) {
            if line.contains(MARK) {
                showing.push(line.to_owned());
            }
        }
    }
    assert!(secrets > 15, "the fixtures hold {secrets} secrets");
    assert_eq!(showing, Vec::<String>::new());
}

#[test]
fn secrets_are_printed_on_demand_and_only_on_standard_error() {
    let file = golden().join("claude-desktop.json");
    let output = import(&file, &["--print-secrets"]);
    assert!(!text(&output.stdout).contains(MARK));
    let report = text(&output.stderr);
    let line = "export GITHUB_PERSONAL_ACCESS_TOKEN='ghp_S3CRETS3CRETS3CRETexample'";
    assert!(report.contains(line), "{report}");
}

#[test]
fn the_same_file_gives_the_same_result() {
    for file in fixtures() {
        assert_eq!(import(&file, &[]).stdout, import(&file, &[]).stdout, "{}", file.display());
    }
}

#[test]
fn standard_input_is_read_and_a_file_is_not_written_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out.yaml");
    let run = |more: &[&str]| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(["import", "-", "-o"])
            .arg(&out)
            .args(more)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let mut stdin = child.stdin.take().expect("an input");
        let servers = br#"{ "mcpServers": { "a": { "url": "http://127.0.0.1:1/mcp" } } }"#;
        std::io::Write::write_all(&mut stdin, servers).expect("written");
        drop(stdin);
        child.wait_with_output().expect("it ends")
    };
    assert_eq!(run(&[]).status.code(), Some(0));
    assert!(std::fs::read_to_string(&out).expect("written").contains("/mcp: { upstreams: [a] }"));
    let again = run(&[]);
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again.stderr).contains("is there already"), "{}", text(&again.stderr));
    assert_eq!(run(&["--force"]).status.code(), Some(0));
}

#[test]
fn what_cannot_be_imported_is_refused_in_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("client.json");
    let long = " ".repeat(1024 * 1024 + 1);
    let deep = format!("{{ \"mcpServers\": {}1{} }}", "[".repeat(70), "]".repeat(70));
    for (content, words) in [
        ("{}", "expected under `mcpServers`"),
        ("{ \"mcpServers\": {} }", "is empty"),
        ("{ \"mcpServers\": { \"a\": {}, \"a\": {} } }", "is there twice"),
        ("{ \"mcpServers\": { \"a\": { \"type\": \"http\" } } }", "neither a command nor a URL"),
        ("{ \"mcpServers\": { \"a\": { \"command\": \"x\", \"disabled\": true } } }", "disabled"),
        ("{ \"mcpServers\": ", "is not JSON"),
        ("= nothing", "neither JSON nor TOML"),
        (long.as_str(), "larger than"),
        (deep.as_str(), "nested too deeply"),
    ] {
        std::fs::write(&file, content).expect("written");
        let output = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .arg("import")
            .arg(&file)
            .output()
            .expect("the command runs");
        assert_eq!(output.status.code(), Some(2), "{words}");
        assert!(text(&output.stderr).contains(words), "{words}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty(), "{words}");
    }
}

/// From a client's file to its tools through the gate, as a team that moves in does it.
#[tokio::test(flavor = "multi_thread")]
async fn imported_servers_are_served() {
    let (first, second) = (Recorder::start().await, Recorder::start().await);
    let folder = tempfile::tempdir().expect("a folder");
    let (file, result) = (folder.path().join("mcp.json"), folder.path().join("imported.yaml"));
    let servers = format!(
        "{{ \"mcpServers\": {{ \"First\": {{ \"url\": \"http://{}/mcp\" }}, \"second\": {{ \"url\": \"http://{}/mcp\" }} }} }}",
        first.address, second.address
    );
    std::fs::write(&file, servers).expect("written");
    let run = |args: Vec<String>| async {
        let command = move || {
            Command::new(env!("CARGO_BIN_EXE_tollgate"))
                .args(args)
                .output()
                .expect("the command runs")
        };
        tokio::task::spawn_blocking(command).await.expect("no panic")
    };
    let shown = |path: &Path| path.to_str().expect("text").to_owned();
    let imported = run(vec!["import".into(), shown(&file), "-o".into(), shown(&result)]).await;
    assert_eq!(imported.status.code(), Some(0), "{}", text(&imported.stderr));
    let configuration = std::fs::read_to_string(&result).expect("written");
    let listen = "gate: { listen: \"127.0.0.1:0\" }\nadmin: { listen: \"127.0.0.1:0\" }\n";
    let gate =
        GateProcess::start(env!("CARGO_BIN_EXE_tollgate"), &format!("{listen}{configuration}"))
            .await;
    for (path, tools) in [("/mcp", "first__echo\nsecond__echo\n"), ("/mcp/first", "echo\n")] {
        let url = format!("http://{}{path}", gate.address);
        let list = run(vec!["tools".into(), "--url".into(), url, "list".into()]).await;
        assert_eq!(text(&list.stdout), tools, "{}", text(&list.stderr));
    }
    let url = format!("http://{}/mcp", gate.address);
    let call = ["tools", "--url", &url, "call", "second__echo", "--arg", "text=hello"];
    let call = run(call.map(str::to_owned).to_vec()).await;
    assert_eq!(text(&call.stdout), "{\"text\":\"hello\"}\n", "{}", text(&call.stderr));
    assert_eq!((first.calls_of("tools/call").len(), second.calls_of("tools/call").len()), (0, 1));
}
