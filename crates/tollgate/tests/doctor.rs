//! `tollgate doctor` against good and broken houses: what it says, its exit code, and what it leaves.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use rcgen::{CertificateParams, KeyPair};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use testkit::gate::GateProcess;
use testkit::recorder::Recorder;
use testkit::script::Reply;

const TOLLGATE: &str = env!("CARGO_BIN_EXE_tollgate");

/// A folder with a configuration in it.
struct Patient {
    folder: TempDir,
}

impl Patient {
    fn new(configuration: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("tollgate.yaml"), configuration).expect("written");
        Self { folder }
    }

    async fn examine(&self) -> Output {
        let folder = self.folder.path().to_owned();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let run = move || {
            Command::new(TOLLGATE)
                .arg("doctor")
                .current_dir(folder)
                .env_clear()
                .env("PATH", path)
                .output()
                .expect("the binary runs")
        };
        tokio::task::spawn_blocking(run).await.expect("no panic")
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// A configuration of one upstream, on ports that the system chooses.
fn with_upstream(upstream: &str) -> String {
    let listen = "gate: { listen: \"127.0.0.1:0\" }\nadmin: { listen: \"127.0.0.1:0\" }\n";
    format!("{listen}upstreams:\n  one: {upstream}\nroutes:\n  /mcp: {{ upstreams: [one] }}\n")
}

fn over_http(recorder: &Recorder) -> String {
    with_upstream(&format!("{{ http: {{ url: \"http://{}/mcp\" }} }}", recorder.address))
}

/// The line about a subject.
fn line<'t>(output: &'t str, subject: &str) -> &'t str {
    let about =
        |line: &&str| line.get(6..).is_some_and(|rest| rest.starts_with(&format!("{subject}: ")));
    output.lines().find(about).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_house_is_all_right_and_gets_no_session() {
    let recorder = Recorder::start().await;
    let output = Patient::new(&over_http(&recorder)).examine().await;
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        line(&said, "configuration").starts_with("ok    configuration: tollgate.yaml (version ")
    );
    let upstream = line(&said, "upstream one");
    assert!(upstream.starts_with("ok  ") && upstream.contains("speaks 2026-07-28"), "{said}");
    assert_eq!(recorder.calls_of("initialize").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_had_to_be_opened_is_ended() {
    let recorder = Recorder::start().await;
    let upstream =
        format!("{{ http: {{ url: \"http://{}/mcp\" }}, era: legacy }}", recorder.address);
    let output = Patient::new(&with_upstream(&upstream)).examine().await;
    let said = text(&output.stdout);
    assert!(line(&said, "upstream one").contains("peer 1 speaks 2025-11-25"), "{said}");
    assert_eq!(recorder.calls_of("initialize").len(), 1);
    assert_eq!(recorder.with_http_method("DELETE").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_server_is_asked_over_its_event_stream() {
    let recorder = Recorder::start().await;
    let old = over_http(&recorder).replacen("[one] }", "[one], sse: true }", 1);
    let gate = GateProcess::start(TOLLGATE, &old).await;
    let upstream = format!("{{ sse: {{ url: \"http://{}/mcp/sse\" }} }}", gate.address);
    let said = text(&Patient::new(&with_upstream(&upstream)).examine().await.stdout);
    let upstream = line(&said, "upstream one");
    assert!(upstream.starts_with("ok  ") && upstream.contains("peer 1 speaks"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_an_upstream_is_said_with_the_remedy() {
    for (reply, words) in [
        (Reply::status(401, &[], b""), "give it a `credential"),
        (Reply::status(404, &[], b""), "correct the path of its URL"),
        (Reply::status(503, &[], b""), "it is in trouble itself"),
        (
            Reply::status(200, &[("content-type", "text/html")], b"<p>"),
            "is this the URL of its MCP",
        ),
    ] {
        let recorder = Recorder::scripted(move |_| reply.clone()).await;
        let output = Patient::new(&over_http(&recorder)).examine().await;
        let said = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{said}");
        let upstream = line(&said, "upstream one");
        assert!(upstream.starts_with("FAIL") && upstream.contains(words), "{words}: {said}");
    }
    let nameless = with_upstream("{ http: { url: \"http://no-such-host.invalid/mcp\" } }");
    let said = text(&Patient::new(&nameless).examine().await.stdout);
    let upstream = line(&said, "upstream one");
    assert!(upstream.contains("its name has no address") && upstream.contains("or DNS"), "{said}");
    let nobody = with_upstream("{ http: { url: \"http://127.0.0.1:1/mcp\" } }");
    let said = text(&Patient::new(&nobody).examine().await.stdout);
    let upstream = line(&said, "upstream one");
    assert!(
        upstream.contains("it refused the connection; start it, or correct its address"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_differs_is_told() {
    let recorder = Recorder::scripted(|_| {
        Reply::status(404, &[("date", "Sun, 06 Nov 1994 08:49:37 GMT")], b"")
    })
    .await;
    let said = text(&Patient::new(&over_http(&recorder)).examine().await.stdout);
    let warning =
        said.lines().find(|line| line.starts_with("warn  upstream one")).unwrap_or_default();
    assert!(warning.contains("s behind this machine's; start a time service"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_cannot_be_served_is_reported_whole() {
    let configuration = "gate: { lisen: x }\nupstreams:\n  one: { http: { url: \"http://127.0.0.1:1/mcp\" }, credential: { header: { Authorization: \"Bearer ${env:NOT_SET}\" } } }\nroutes:\n  /mcp: { upstreams: [one] }\n";
    let output = Patient::new(configuration).examine().await;
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for words in ["FAIL  configuration", "did you mean `listen`?", "`NOT_SET` is not set"] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_that_is_not_set_keeps_nothing_else_from_being_looked_at() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let recorder = Recorder::start().await;
    let configuration = format!(
        "gate: {{ listen: \"{address}\" }}\nadmin: {{ listen: \"127.0.0.1:0\" }}\nupstreams:\n  one: {{ http: {{ url: \"http://{}/mcp\" }}, credential: {{ header: {{ X-Key: \"${{env:NOT_SET}}\" }} }} }}\nroutes:\n  /mcp: {{ upstreams: [one] }}\n",
        recorder.address
    );
    let said = text(&Patient::new(&configuration).examine().await.stdout);
    assert!(line(&said, "gate.listen").contains("is taken by another program"), "{said}");
    assert!(line(&said, "upstreams").contains("not asked"), "{said}");
    assert_eq!(recorder.bytes_seen(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_of_the_running_gate_are_known_as_its_own() {
    let recorder = Recorder::start().await;
    let free = || {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address")
    };
    let configuration = format!(
        "gate: {{ listen: \"{}\" }}\nadmin: {{ listen: \"{}\" }}\nupstreams:\n  one: {{ http: {{ url: \"http://{}/mcp\" }} }}\nroutes:\n  /mcp: {{ upstreams: [one] }}\n",
        free(),
        free(),
        recorder.address
    );
    let gate = GateProcess::start(TOLLGATE, &configuration).await;
    let said = text(&Patient::new(&configuration).examine().await.stdout);
    assert!(
        line(&said, "gate.listen").contains("is served by a gate with this configuration"),
        "{said}"
    );
    assert!(line(&said, "admin.listen").starts_with("ok  "), "{said}");
    let changed = format!("{configuration}# changed\n");
    let said = text(&Patient::new(&changed).examine().await.stdout);
    assert!(line(&said, "gate.listen").contains("another version of the configuration"), "{said}");
    drop(gate);
}

/// A server on stdin and stdout of the legacy era, in the language of every machine.
const SERVER: &str = r#"#!/bin/sh
echo $$ > pid
while read -r line; do
  id=$(printf %s "$line" | sed -n 's/.*"id":\("[^"]*"\|[0-9]*\).*/\1/p')
  case "$line" in
    *server/discover*) echo "{\"jsonrpc\":\"2.0\",\"id\":$id,\"error\":{\"code\":-32601,\"message\":\"no\"}}" ;;
    *'"initialize"'*) echo "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{},\"serverInfo\":{\"name\":\"shell\",\"version\":\"1\"}}}" ;;
  esac
done
"#;

fn script(folder: &Path, content: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let file = folder.join("server.sh");
    std::fs::write(&file, content).expect("written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("set");
}

/// Waits until the process that wrote its id is gone.
async fn is_gone(folder: &Path) -> bool {
    let pid = std::fs::read_to_string(folder.join("pid")).expect("it was started");
    let process = Path::new("/proc").join(pid.trim());
    let deadline = Instant::now() + testkit::DEADLINE;
    while process.exists() && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    !process.exists()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_is_started_asked_and_ended() {
    let patient = Patient::new(&with_upstream("{ stdio: { command: ./server.sh } }"));
    script(patient.folder.path(), SERVER);
    let output = patient.examine().await;
    let said = text(&output.stdout);
    let upstream = line(&said, "upstream one");
    assert!(upstream.starts_with("ok  "), "{said}{}", text(&output.stderr));
    assert!(upstream.contains("starts: shell 1 speaks 2025-11-25"), "{said}");
    assert!(is_gone(patient.folder.path()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_hangs_is_told_and_ended() {
    let patient = Patient::new(&with_upstream("{ stdio: { command: ./server.sh, start: 1s } }"));
    script(patient.folder.path(), "#!/bin/sh\necho $$ > pid\nexec sleep 1000\n");
    let output = patient.examine().await;
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        line(&said, "upstream one").contains("did not answer within 1 s; its first start"),
        "{said}"
    );
    assert!(is_gone(patient.folder.path()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_not_there_is_told() {
    let configuration = with_upstream("{ stdio: { command: no-such-program-anywhere } }");
    let said = text(&Patient::new(&configuration).examine().await.stdout);
    let upstream = line(&said, "upstream one");
    assert!(upstream.contains("is not there, or cannot be run; install it"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_looked_at_before_they_end() {
    let recorder = Recorder::start().await;
    let upstream = format!("{{ http: {{ url: \"http://{}/mcp\" }} }}", recorder.address);
    let tls = "public_url: \"https://mcp.example.com\", tls: { cert: a.crt, key: a.key }";
    let configuration = with_upstream(&upstream).replacen(
        "\"127.0.0.1:0\" }",
        &format!("\"127.0.0.1:0\", {tls} }}"),
        1,
    );
    let patient = Patient::new(&configuration);
    for (name, days, words) in [
        ("mcp.example.com", 3, "warn  gate.tls: a.crt expires on"),
        ("mcp.example.com", 90, "ok    gate.tls: a.crt is valid until"),
        ("mcp.example.com", -1, "FAIL  gate.tls: a.crt expired on"),
        ("other.example.com", 90, "FAIL  gate.tls: a.crt is not for `mcp.example.com`"),
    ] {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("names");
        let now = std::time::SystemTime::now();
        let day = Duration::from_secs(86_400);
        let until =
            if days < 0 { now - day } else { now + day * u32::try_from(days).expect("days") };
        params.not_before = (now - day * 10).into();
        params.not_after = until.into();
        let certificate = params.self_signed(&key).expect("a certificate");
        std::fs::write(patient.folder.path().join("a.crt"), certificate.pem()).expect("written");
        std::fs::write(patient.folder.path().join("a.key"), key.serialize_pem()).expect("written");
        let said = text(&patient.examine().await.stdout);
        assert!(said.contains(words), "{words}: {said}");
    }
}
