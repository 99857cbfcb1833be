//! What clients are told to paste is as reviewed, and is what each of them can read.
//!
//! `UPDATE=1 cargo test -p tollgate --test connect` writes `golden/connect` anew; review the difference.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/connect")
}

fn connect(file: &str, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(["connect", "--config", file])
        .args(args)
        .current_dir(golden())
        .env_clear()
        .output()
        .expect("the command runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn what_to_paste_is_as_reviewed() {
    let mut wrong = Vec::new();
    for name in ["local", "public", "clear"] {
        let output = connect(&format!("{name}.yaml"), &[]);
        let written = format!("{}---\n{}", text(&output.stdout), text(&output.stderr));
        let expected = golden().join(format!("{name}.txt"));
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&expected, &written).expect("written");
        }
        let reviewed = std::fs::read_to_string(&expected).unwrap_or_default();
        if reviewed != written || output.status.code() != Some(0) {
            wrong.push(written);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn one_client_gets_exactly_its_file() {
    for (client, place) in [
        ("claude-code", "/mcpServers/tollgate-search/url"),
        ("claude-desktop", "/mcpServers/tollgate-search/args/2"),
        ("cursor", "/mcpServers/tollgate-search/url"),
        ("vscode", "/servers/tollgate-search/url"),
        ("windsurf", "/mcpServers/tollgate-search/url"),
        ("zed", "/context_servers/tollgate-search/url"),
    ] {
        let output = connect("public.yaml", &["--client", client]);
        let content: Value = serde_json::from_slice(&output.stdout).expect(client);
        let url = content.pointer(place).and_then(Value::as_str);
        assert_eq!(url, Some("https://mcp.example.com/gate/mcp/search"), "{client}");
    }
    let codex = text(&connect("public.yaml", &["--client", "codex"]).stdout);
    let expected =
        "[mcp_servers.tollgate-search]\nurl = \"https://mcp.example.com/gate/mcp/search\"\n";
    assert_eq!(codex, expected);
}

#[test]
fn what_is_printed_for_a_client_can_be_imported_again() {
    let folder = tempfile::tempdir().expect("a folder");
    for client in ["claude-code", "cursor", "vscode", "windsurf", "codex", "zed"] {
        let file = folder.path().join(client);
        std::fs::write(&file, connect("public.yaml", &["--client", client]).stdout)
            .expect("written");
        let output = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .arg("import")
            .arg(&file)
            .output()
            .expect("the command runs");
        let imported = text(&output.stdout);
        let line = "http: { url: \"https://mcp.example.com/gate/mcp/search\" }";
        assert!(imported.contains(line), "{client}: {imported}{}", text(&output.stderr));
    }
}

#[test]
fn a_route_that_is_not_there_is_said_with_those_that_are() {
    let output = connect("public.yaml", &["--route", "/mcp"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("there is no route `/mcp`; the routes are: /mcp/search"), "{said}");
}
