//! What goes into a client's file comes out of the gate's configuration unchanged, whatever it is: by
//! random programs, headers and names, read by the gate's own reader.

use crate::cli::ImportFormat;
use crate::config;
use crate::import::{formats, writing};
use proptest::prelude::{Just, Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};
use serde_json::{Value, json};
use std::path::Path;
use tollgate_gate::settings::{Transport, UpstreamSettings};

/// The upstreams that the gate makes of an imported file, with the variables set as the file had them.
fn through(file: &Value, format: ImportFormat) -> Vec<UpstreamSettings> {
    let source = formats::read(&file.to_string(), format).expect("a file of a client");
    let written = writing::write(&source, "client.json");
    let environment = |name: &str| {
        let wanted = written.wanted.iter().find(|wanted| wanted.name == name)?;
        wanted.value.as_ref().map(|value| value.expose().clone())
    };
    match config::judge(Path::new("tollgate.yaml"), Path::new(""), &written.text, &environment) {
        Ok(checked) => checked.settings.upstreams,
        Err(report) => panic!("{report}\n{}", written.text),
    }
}

/// Text as people and attackers write it: anything but NUL, rich in what YAML and references use.
fn words() -> impl Strategy<Value = String> {
    let special = prop_oneof![
        Just("${".to_owned()),
        Just("$${env:X}".to_owned()),
        Just("$".to_owned()),
        Just("\"".to_owned()),
        Just("\\".to_owned()),
        Just("\n  - x: {".to_owned()),
        Just(" # ".to_owned()),
        Just("--token=".to_owned()),
        Just("Bearer ".to_owned()),
        Just("https://u:p@h/?key=".to_owned()),
        Just("ghp_0123456789abcdef".to_owned()),
        "[a-zA-Z0-9_-]{0,30}",
        any::<char>().prop_map(|c| if c == '\0' { String::new() } else { c.to_string() }),
    ];
    prop::collection::vec(special, 0..6).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn arguments_and_variables_survive(
        args in prop::collection::vec(words(), 0..5),
        values in prop::collection::vec(words(), 0..4),
    ) {
        let env: Value = values.iter().enumerate().map(|(at, value)| (format!("KEY_{at}"), json!(value))).collect();
        let file = json!({ "context_servers": { "a": { "command": "run", "args": args, "env": env } } });
        let upstreams = through(&file, ImportFormat::Zed);
        let Transport::Stdio(program) = &upstreams[0].transport else { panic!("not a program") };
        prop_assert_eq!(&program.args, &args);
        for (at, value) in values.iter().enumerate() {
            let name = format!("KEY_{at}");
            let there = program.env.iter().find(|(key, _)| *key == name);
            prop_assert_eq!(there.map(|(_, there)| there.expose()), Some(value));
        }
    }

    #[test]
    fn headers_survive(value in "[!-~]([ -~]{0,60}[!-~])?", name in "X-[A-Za-z]{1,20}") {
        let file = json!({ "context_servers": {
            "a": { "url": "https://h.example/mcp?x=1", "headers": { &name: value, "Authorization": value } },
        } });
        let upstreams = through(&file, ImportFormat::Zed);
        for name in [name.to_ascii_lowercase(), "authorization".to_owned()] {
            let there = upstreams[0].headers.iter().find(|(key, _)| *key == name);
            prop_assert_eq!(there.map(|(_, there)| there.expose()), Some(&value));
        }
    }

    #[test]
    fn every_name_becomes_a_valid_one_and_none_is_lost(names in prop::collection::hash_set(words(), 1..8)) {
        let servers: Value =
            names.iter().map(|name| (name.clone(), json!({ "url": "http://127.0.0.1:1/mcp" }))).collect();
        let upstreams = through(&json!({ "mcpServers": servers }), ImportFormat::Auto);
        prop_assert_eq!(upstreams.len(), names.len());
    }

    #[test]
    fn no_file_makes_it_panic(text in "[\\[\\]{}\":,/*a-z\\\\ \n]{0,60}") {
        for format in [ImportFormat::Auto, ImportFormat::Vscode, ImportFormat::Codex] {
            // Whatever is an error has words for it.
            if let Err(error) = formats::read(&text, format) {
                prop_assert_eq!(error.to_string().is_empty(), false);
            }
        }
    }
}

#[test]
fn every_secret_of_a_file_is_a_variable_with_its_value() {
    let file = json!({ "mcpServers": {
        "a": { "command": "x", "args": ["--api-key", "pa$$${word", "--n", "1"] },
        "b": { "url": "https://user:pass%20word@h.example/mcp" },
    } });
    let upstreams = through(&file, ImportFormat::Claude);
    let Transport::Stdio(program) = &upstreams[0].transport else { panic!("not a program") };
    assert_eq!(program.args, ["--api-key", "pa$$${word", "--n", "1"]);
    // `user:pass word` in base64.
    assert_eq!(upstreams[1].headers[0].1.expose(), "Basic dXNlcjpwYXNzIHdvcmQ=");
    assert_eq!(upstreams[1].endpoints[0].as_str(), "https://h.example/mcp");
}
