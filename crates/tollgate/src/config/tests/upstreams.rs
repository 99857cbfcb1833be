//! What the ways to reach an upstream come to: child processes, and the old HTTP+SSE transport.

use crate::config::tests::judged_in;
use crate::config::{Checked, judge};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tollgate_core::bounds;
use tollgate_gate::settings::{
    Isolation, ProcessLimits, StdioSettings, Transport, UpstreamEra, UpstreamSettings,
};

/// A file with one upstream, and a route to it.
fn file(upstream: &str) -> String {
    format!("upstreams:\n  one: {{ {upstream} }}\nroutes:\n  /mcp: {{ upstreams: [one] }}\n")
}

fn checked_in(folder: &Path, upstream: &str) -> Checked {
    judged_in(folder, &file(upstream)).unwrap_or_else(|report| panic!("{report}"))
}

fn upstream(text: &str) -> UpstreamSettings {
    checked_in(Path::new("/nowhere"), text).settings.upstreams.remove(0)
}

fn stdio_of(upstream: UpstreamSettings) -> StdioSettings {
    match upstream.transport {
        Transport::Stdio(stdio) => *stdio,
        other @ (Transport::Http | Transport::Sse) => panic!("{other:?}"),
    }
}

fn stdio(keys: &str) -> StdioSettings {
    stdio_of(upstream(&format!("stdio: {{ {keys} }}")))
}

/// The variables a program gets from a gate with this environment.
fn variables(environment: &[(&str, &str)], keys: &str) -> Vec<(String, String)> {
    let look_up = |name: &str| {
        environment.iter().find(|(each, _)| *each == name).map(|(_, value)| (*value).to_owned())
    };
    let source = file(&format!("stdio: {{ command: a, {keys} }}"));
    let checked = judge(Path::new("tollgate.yaml"), Path::new("/nowhere"), &source, &look_up);
    let upstream = checked.unwrap_or_else(|report| panic!("{report}")).settings.upstreams.remove(0);
    let env = stdio_of(upstream).env.into_iter();
    env.map(|(name, value)| (name, value.expose().clone())).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_program_has_the_defaults_of_the_bounds() {
    let settings = upstream("stdio: { command: server }");
    let timeouts = settings.timeouts;
    assert_eq!(settings.endpoints, []);
    assert_eq!((settings.health.every, settings.ejection.after), (Duration::ZERO, 0));
    assert_eq!(timeouts.connect, Duration::from_secs(bounds::PROCESS_START_SECS));
    assert_eq!(timeouts.total, Duration::from_secs(bounds::UPSTREAM_TOTAL_SECS));
    assert_eq!(settings.era, UpstreamEra::Auto);
    let stdio = stdio_of(settings);
    assert_eq!((stdio.command.as_str(), stdio.args.len(), stdio.cwd), ("server", 0, None));
    assert_eq!(stdio.isolation, Isolation::Session);
    assert_eq!(stdio.processes_max, bounds::PROCESSES_MAX);
    assert_eq!(stdio.idle, Duration::from_secs(bounds::PROCESS_IDLE_SECS));
    assert_eq!(stdio.stop, Duration::from_secs(bounds::PROCESS_STOP_SECS));
    assert_eq!(stdio.backoff, (Duration::from_secs(1), Duration::from_secs(60)));
    assert_eq!(stdio.resources, ProcessLimits::default());
    assert!(stdio.guard.exists(), "{:?}", stdio.guard);
}

#[test]
fn every_key_of_a_program_arrives() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("work")).unwrap();
    let text = "stdio: { command: bin/server, args: [-y, \"${env:TOKEN}\", \"\"], cwd: work, isolation: agent, processes: 3, \
         idle: 1m, start: 5s, stop: 4s, backoff: { first: 2s, max: 3s }, limits: { memory: 1GiB, open_files: 64, cpu: 2m }, \
         timeouts: { first_byte: 1s, pause: 2s, total: 3s } }";
    let settings = checked_in(folder.path(), text).settings.upstreams.remove(0);
    // Starting counts as connecting, which is within the call as a whole.
    assert_eq!(settings.timeouts.connect, Duration::from_secs(3));
    assert_eq!(settings.timeouts.pause, Duration::from_secs(2));
    let stdio = stdio_of(settings);
    assert_eq!(PathBuf::from(stdio.command), folder.path().join("bin/server"));
    assert_eq!(stdio.args, ["-y", "s3cret-${env:TOKEN}", ""]);
    assert_eq!(stdio.cwd, Some(folder.path().join("work")));
    assert_eq!((stdio.isolation, stdio.processes_max), (Isolation::Agent, 3));
    assert_eq!((stdio.idle, stdio.start), (Duration::from_secs(60), Duration::from_secs(5)));
    assert_eq!(stdio.stop, Duration::from_secs(4));
    assert_eq!(stdio.backoff, (Duration::from_secs(2), Duration::from_secs(3)));
    let resources =
        ProcessLimits { memory_bytes: Some(1 << 30), open_files: Some(64), cpu_secs: Some(120) };
    assert_eq!(stdio.resources, resources);
}

#[test]
fn a_program_gets_only_the_variables_that_are_named() {
    let own = [("PATH", "/bin"), ("HOME", "/root"), ("AWS_SECRET", "x"), ("PROXY", "p")];
    assert_eq!(variables(&own, "args: []"), pairs(&[("HOME", "/root"), ("PATH", "/bin")]));
    assert_eq!(variables(&own, "inherit_env: []"), []);
    assert_eq!(variables(&own, "inherit_env: [PROXY, NOT_SET]"), pairs(&[("PROXY", "p")]));
    assert_eq!(
        variables(
            &own,
            "inherit_env: [PATH, PATH], env: { KEY: \"${env:AWS_SECRET}\", EMPTY: \"\" }"
        ),
        pairs(&[("PATH", "/bin"), ("KEY", "x"), ("EMPTY", "")])
    );
}

#[test]
fn a_variable_that_is_set_replaces_the_one_passed_on() {
    let own = [("PATH", "/bin"), ("TZ", "UTC")];
    assert_eq!(variables(&own, "env: { PATH: /opt }"), pairs(&[("TZ", "UTC"), ("PATH", "/opt")]));
}

#[test]
fn relative_programs_and_folders_start_at_the_folder_of_the_file() {
    assert_eq!(stdio("command: ./bin/server").command, "/nowhere/bin/server");
    assert_eq!(stdio("command: /opt/server").command, "/opt/server");
    assert_eq!(stdio("command: server").command, "server");
}

/// The warnings on one upstream, without their places.
fn warnings(keys: &str) -> Vec<String> {
    let path = std::env::join_paths([Path::new("/bin"), Path::new("/usr/bin")]).unwrap();
    let path = path.into_string().unwrap();
    let source = file(&format!("stdio: {{ {keys} }}"));
    let look_up = |name: &str| (name == "PATH").then(|| path.clone());
    let checked = judge(Path::new("t"), Path::new("/nowhere"), &source, &look_up);
    let warnings = checked.unwrap_or_else(|report| panic!("{report}")).warnings.into_iter();
    warnings.map(|line| line.splitn(4, ':').last().unwrap_or_default().trim().to_owned()).collect()
}

#[test]
fn what_is_likely_to_be_a_slip_is_warned_of() {
    let starts = |keys: &str, start: &str| {
        let warnings = warnings(keys);
        let fits = matches!(warnings.as_slice(), [one] if one.starts_with(start));
        assert!(fits, "{keys}: {warnings:?}");
    };
    starts("command: sh, args: [-c, \"server $KEY\"]", "`sh` takes the text");
    starts("command: /bin/sh, args: [-ec, server]", "`sh` takes the text");
    starts("command: sh, env: { LD_PRELOAD: /tmp/x.so }", "`LD_PRELOAD` puts other code");
    starts("command: sh, env: { DYLD_INSERT_LIBRARIES: x }", "`DYLD_INSERT_LIBRARIES` puts");
    starts("command: no-such-program-anywhere", "the program of upstream `one` is in no folder");
    starts("command: ./server", "the program of upstream `one` is not there");
    starts("command: /etc/passwd", "the program of upstream `one` is not there");
    starts("command: sh, inherit_env: []", "upstream `one` gets no `PATH`");
}

#[test]
fn what_is_no_slip_is_not_warned_of() {
    assert_eq!(warnings("command: sh, args: [server.sh, --cc, config]"), [""; 0]);
    assert_eq!(warnings("command: /bin/sh, env: { KEY: x, OLD_PATH: x }"), [""; 0]);
    // `-c` is an argument of the package, not of npx.
    let npx = warnings("command: npx, args: [-y, some-server, -c, config.json]");
    assert!(!npx.iter().any(|line| line.contains("takes the text")), "{npx:?}");
    let npx = warnings("command: npx, args: [-y, -c, some-server]");
    assert!(npx.iter().any(|line| line.contains("takes the text")), "{npx:?}");
}

#[test]
fn an_old_server_is_one_event_stream_of_the_legacy_era() {
    let settings = upstream(
        "sse: { url: \"https://a/sse\", tls: { server_name: B }, timeouts: { total: 3s } }, credential: { header: { A: b } }",
    );
    assert_eq!(settings.transport, Transport::Sse);
    let endpoints: Vec<_> = settings.endpoints.iter().map(url::Url::as_str).collect();
    assert_eq!(endpoints, ["https://a/sse"]);
    assert_eq!(settings.tls.server_name.as_deref(), Some("b"));
    assert_eq!(settings.era, UpstreamEra::Legacy);
    assert_eq!((settings.health.every, settings.ejection.after), (Duration::ZERO, 0));
    assert_eq!(settings.timeouts.first_byte, Duration::from_secs(3));
    assert_eq!(settings.headers.len(), 1);
}

#[test]
fn an_upstream_over_http_is_as_before() {
    let settings = upstream("http: { url: \"http://a/mcp\" }");
    assert_eq!(settings.transport, Transport::Http);
    assert_eq!(settings.health.every, Duration::from_secs(bounds::HEALTH_EVERY_SECS));
}
