//! What a file comes to, and what must never happen to one.

mod identity;

mod limits;

mod pins;

mod routes;

mod upstreams;

mod usage;

use crate::config::{Checked, Report, judge};
use proptest::prelude::{ProptestConfig, any, prop, proptest};
use proptest::strategy::Strategy as _;
use std::path::Path;
use std::time::Duration;
use tollgate_core::bounds;
use tollgate_gate::settings::{IdentitySettings, Probe, SessionLoss, UpstreamEra};

const MINIMAL: &str = "upstreams:\n  search: { http: { url: \"http://127.0.0.1:9001/mcp\" } }\nroutes:\n  /mcp: { upstreams: [search] }\n";

fn judged_in(folder: &Path, source: &str) -> Result<Checked, Report> {
    let environment = |name: &str| (name == "TOKEN").then(|| "s3cret-${env:TOKEN}".to_owned());
    judge(Path::new("tollgate.yaml"), folder, source, &environment)
}

fn judged(source: &str) -> Result<Checked, Report> {
    judged_in(Path::new("/nowhere"), source)
}

fn checked(source: &str) -> Checked {
    judged(source).unwrap_or_else(|report| panic!("{report}"))
}

/// The minimal file with these lines below `http:` of its upstream.
fn with_http(lines: &str) -> Checked {
    checked(&format!(
        "upstreams:\n  search:\n    http:\n      url: \"http://a/mcp\"\n{lines}\nroutes:\n  /mcp: {{ upstreams: [search] }}\n"
    ))
}

#[test]
fn a_minimal_file_has_the_defaults_of_the_bounds() {
    let Checked { settings, admin, .. } = checked(MINIMAL);
    let upstream = &settings.upstreams[0];
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(admin.to_string(), "127.0.0.1:9090");
    assert_eq!(settings.identity, IdentitySettings::LoopbackOnly);
    assert_eq!(settings.names.hosts, ["localhost", "127.0.0.1", "[::1]"]);
    assert_eq!(settings.limits.request_bytes_max, bounds::REQUEST_BYTES_MAX);
    assert_eq!(settings.limits.keepalive, Duration::from_secs(bounds::KEEPALIVE_SECS));
    assert_eq!(settings.sessions.caps.per_caller, bounds::SESSIONS_PER_CALLER_MAX);
    assert_eq!(settings.drain, Duration::from_secs(bounds::DRAIN_SECS));
    assert_eq!(upstream.timeouts.total, Duration::from_secs(bounds::UPSTREAM_TOTAL_SECS));
    assert_eq!((upstream.era, upstream.sessions), (UpstreamEra::Auto, SessionLoss::Strict));
    assert_eq!(upstream.health.probe, Probe::Connect);
}

#[test]
fn what_is_switched_off_is_off() {
    let upstream = &with_http("      health: off\n      ejection: off").settings.upstreams[0];
    assert_eq!((upstream.health.every, upstream.ejection.after), (Duration::ZERO, 0));
}

#[test]
fn a_default_gives_way_to_a_shorter_whole() {
    let upstream = &with_http("      timeouts: { total: 3s }\n      health: { every: 1s }")
        .settings
        .upstreams[0];
    assert_eq!(upstream.timeouts.connect, Duration::from_secs(3));
    assert_eq!(upstream.health.timeout, Duration::from_secs(1));
}

#[test]
fn references_are_resolved_once_and_values_stay_text() {
    let source = MINIMAL.replace(
        "} }\nroutes",
        "}, credential: { header: { A: \"Bearer ${env:TOKEN}\", B: 1.10, C: \"$${x} $5\", D: 007, E: off } } }\nroutes",
    );
    let upstream = &checked(&source).settings.upstreams[0];
    let headers: Vec<_> = upstream
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.expose().as_str()))
        .collect();
    let expected = [
        ("a", "Bearer s3cret-${env:TOKEN}"),
        ("b", "1.10"),
        ("c", "${x} $5"),
        ("d", "007"),
        ("e", "off"),
    ];
    assert_eq!(headers, expected);
}

#[test]
fn a_referenced_file_loses_one_newline_and_is_watched() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "abc \n\n").unwrap();
    let source = MINIMAL
        .replace("} }\nroutes", "}, credential: { header: { A: \"x${file:token}y\" } } }\nroutes");
    // The second newline stays, and no header can hold one.
    assert!(judged_in(folder.path(), &source).is_err());
    std::fs::write(folder.path().join("token"), "abc \r\n").unwrap();
    let checked = judged_in(folder.path(), &source).unwrap();
    assert_eq!(checked.settings.upstreams[0].headers[0].1.expose(), "xabc y");
    assert_eq!(checked.watched, [folder.path().join("token")]);
}

#[test]
fn the_version_names_the_file_and_what_it_refers_to() {
    let folder = tempfile::tempdir().unwrap();
    let version = |source: &str| judged_in(folder.path(), source).unwrap().settings.version;
    assert_eq!(version(MINIMAL), "415f611663cc");
    assert_ne!(version(MINIMAL), version(&format!("{MINIMAL}\n")));
    let source = MINIMAL
        .replace("} }\nroutes", "}, credential: { header: { A: \"${file:token}\" } } }\nroutes");
    std::fs::write(folder.path().join("token"), "one").unwrap();
    let before = version(&source);
    assert_eq!(version(&source), before);
    std::fs::write(folder.path().join("token"), "two").unwrap();
    assert_ne!(version(&source), before);
}

#[test]
fn a_file_that_is_missing_is_watched_all_the_same() {
    let source = MINIMAL
        .replace("} }\nroutes", "}, credential: { header: { A: \"${file:token}\" } } }\nroutes");
    let report = judged(&source).unwrap_err();
    assert_eq!(report.watched(), [Path::new("tollgate.yaml"), Path::new("/nowhere/token")]);
}

#[test]
fn only_a_written_off_opens_the_gate_to_others() {
    let open = format!(
        "identity: off\ngate: {{ listen: \"[::]:8443\", hosts: [MCP.example.com] }}\n{MINIMAL}"
    );
    let Checked { settings, warnings, .. } = checked(&open);
    assert_eq!(settings.identity, IdentitySettings::Off);
    assert_eq!(settings.names.hosts, ["mcp.example.com"]);
    assert!(warnings[0].contains("clear text"), "{warnings:?}");
    assert!(judged(&open.replace("identity: off\n", "")).is_err());
}

#[test]
fn a_public_url_is_a_name_of_the_gate() {
    let source = format!("gate: {{ public_url: \"https://mcp.example.com:8443/\" }}\n{MINIMAL}");
    assert_eq!(checked(&source).settings.names.hosts[0], "mcp.example.com");
}

#[test]
fn keys_in_hex_and_base64_are_the_same_and_keep_their_order() {
    let (hex, base64) = (
        "9f3c1e0b7a64d2588cf1034be6975a20d14f83b9c56e0a7712fd48ac35e9b06d",
        "gNrH4lzqRF9wB0nM3mX2b7Y5cTJvKkAs1PqWZ8hUdyo",
    );
    let source = format!("sessions: {{ keys: [\"{hex}\", \"{base64}\"] }}\n{MINIMAL}");
    let keys = checked(&source).settings.sessions.keys;
    assert_eq!(keys.iter().map(|key| key.expose()[0]).collect::<Vec<_>>(), [0x9f, 0x80]);
}

#[test]
fn places_are_right_after_a_byte_order_mark_carriage_returns_and_wide_characters() {
    let source = format!(
        "\u{feff}# é😀\nsessions: {{ max: 12 }} # é\ngate:\n  limits: {{ json_depth: 9 }}\n{MINIMAL}"
    );
    let settings = checked(&source.replace('\n', "\r\n")).settings;
    assert_eq!((settings.sessions.caps.total, settings.limits.json_depth_max), (12, 9));
}

#[test]
fn keys_that_differ_in_quotes_only_are_the_same() {
    let twice = "upstreams:\n  1: { http: { url: \"http://a/\" } }\n  \"1\": { http: { url: \"http://b/\" } }\nroutes:\n  /mcp: { upstreams: [1] }\n";
    let report = judged(twice).unwrap_err().to_string();
    assert!(
        report.contains("key `1` is there twice") && report.contains("tollgate.yaml:3:3"),
        "{report}"
    );
}

#[test]
fn a_gate_full_of_mistakes_is_reported_up_to_the_bound() {
    let many: String = (0..300).map(|n| format!("unknown{n}: 1\n")).collect();
    let report = judged(&format!("{many}{MINIMAL}")).unwrap_err().to_string();
    assert_eq!(report.matches("error: ").count(), bounds::CONFIG_MISTAKES_MAX);
    assert!(report.ends_with("300 mistakes in tollgate.yaml, 200 of them not shown"), "{report}");
}

#[test]
fn a_named_pipe_is_refused_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let report = crate::config::load(&pipe).unwrap_err().to_string();
    assert!(report.contains("not a regular file"), "{report}");
}

#[test]
fn a_secret_in_a_block_is_covered() {
    let source = "upstreams:\n  search:\n    http: { url: \"http://a/mcp\" }\n    credential:\n      header:\n        A: |\n          hunter2\n        B: >-\n          hunter2\n          hunter2\nroutes:\n  /mcp: { upstreams: [search] }\n";
    let root = crate::config::tree::parse(source).unwrap();
    let covered = crate::config::cover::cover_tree(source, &root, crate::config::schema());
    assert_eq!((covered.contains("hunter2"), covered.len()), (false, source.len()), "{covered}");
}

/// Text with the characters that mean something to YAML and to us.
fn nearly_yaml() -> impl proptest::strategy::Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "gate",
        "listen",
        "upstreams",
        "routes",
        "http",
        "url",
        "keys",
        "credential",
        "header",
        ":",
        ": ",
        "\n",
        "\n  ",
        "\n    ",
        "- ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        "\"",
        "'",
        "|",
        ">",
        "&a",
        "*a",
        "!t",
        "<<",
        "#",
        "---\n",
        "\t",
        "${env:TOKEN}",
        "${file:x}",
        "$${",
        "${",
        "off",
        "30s",
        "4MiB",
        "0x10",
        "1e999",
        ".nan",
        "null",
        "~",
        "é",
        "😀",
        "\u{feff}",
        "\\x00",
        "http://a@b/",
    ]);
    prop::collection::vec(words, 0..60).prop_map(|words| words.concat())
}

/// Cases of each property; all of them together take about a second.
const CASES: u32 = 512;

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_reader_panic(source in "\\PC{0,200}", bytes in any::<Vec<u8>>()) {
        for source in [source, String::from_utf8_lossy(&bytes).into_owned()] {
            if let Err(report) = judged(&source) {
                assert!(report.to_string().contains("mistake"));
            }
        }
    }

    #[test]
    fn nothing_nearly_yaml_makes_the_reader_panic_or_tell_a_secret(source in nearly_yaml()) {
        if let Err(report) = judged(&source) {
            assert!(!report.to_string().contains("s3cret"));
        }
    }
}

/// Secrets in block and flow style, and a mistake of its own.
const SECRETIVE: &str = "gate: { unknown: 1 }\nissuer: { sign_in: { provider: { client_secret: hunter2 } } }\nsessions:\n  keys:\n    - hunter2hunter2hunter2\n    - \"hunter2\"\nupstreams:\n  a:\n    http: { url: \"http://bob:hunter2@a/mcp\" }\n    credential:\n      header:\n        Authorization: \"Bearer hunter2\"\n        X-Key: hunter2\n        key: hunter2\n  b: { http: { url: \"http://b/\" }, credential: { header: { X-A: hunter2, X-B: \"hunter2\" } } }\n  c:\n    stdio:\n      command: npx\n      args: [--key, hunter2]\n      env: { KEY: hunter2 }\nroutes:\n  /a: { upstreams: [a] }\n  /b: { upstreams: [b] }\n";

const SLIPS: [&str; 14] =
    ["\"", "'", "{", "}", "[", ":", ": ", ",", "\n", "#", "*", "x", " ", "- "];

#[test]
fn a_slip_of_the_keyboard_shows_no_secret() {
    let mut shown = Vec::new();
    for at in 0..=SECRETIVE.len() {
        for slip in SLIPS {
            let mut source = SECRETIVE.to_owned();
            source.insert_str(at, slip);
            let report = judged(&source).unwrap_err().to_string();
            if report.contains("hunter2") {
                let lines: Vec<_> = report.lines().filter(|l| l.contains("hunter2")).collect();
                shown.push(format!("{slip:?} at {at}: {lines:?}"));
            }
        }
    }
    assert!(
        shown.is_empty(),
        "{} of them, such as\n{}",
        shown.len(),
        shown[..shown.len().min(5)].join("\n")
    );
}
