//! `tollgate agents`, `users` and `keys`: what they store, what they say, and what they never show.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::Value;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const ROUTES: &str = "upstreams:
  search: { http: { url: \"http://127.0.0.1:9001/mcp\" } }
routes:
  /mcp: { upstreams: [search] }
  /other: { upstreams: [search] }
";

/// A configuration and its store, in a folder of their own.
struct Gate {
    folder: TempDir,
}

impl Gate {
    fn with(lines: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tollgate.yaml"), format!("{lines}\n{ROUTES}")).unwrap();
        Self { folder }
    }

    fn with_issuer() -> Self {
        Self::with("issuer: {}")
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn run_with(&self, input: &str, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command.args(args).args(["--config", "tollgate.yaml"]).current_dir(self.folder.path());
        command.env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // One that does not read its input may have ended already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// Standard output of a command that succeeds.
    fn ok(&self, args: &[&str]) -> String {
        let output = self.run_with("", args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, args: &[&str]) -> Value {
        let mut args = args.to_vec();
        args.push("--json");
        serde_json::from_str(&self.ok(&args)).unwrap()
    }

    /// Standard error of a command that fails, on one line.
    fn fails(&self, args: &[&str]) -> String {
        self.fails_with("", args)
    }

    fn fails_with(&self, input: &str, args: &[&str]) -> String {
        let output = self.run_with(input, args);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {errors}");
        assert!(output.stdout.is_empty(), "{args:?}");
        errors.trim().to_owned()
    }

    /// Every byte of the store.
    fn stored(&self) -> Vec<u8> {
        let files =
            std::fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let of_store = files.filter(|path| path.to_string_lossy().contains("tollgate.db"));
        of_store.flat_map(|path| std::fs::read(path).unwrap()).collect()
    }

    fn holds(&self, text: &str) -> bool {
        self.stored().windows(text.len()).any(|window| window == text.as_bytes())
    }
}

#[test]
fn a_secret_is_shown_once_and_stored_nowhere() {
    let gate = Gate::with_issuer();
    let added = gate.json(&["agents", "add", "nightly", "--scope", "mcp", "--route", "/mcp"]);
    let secret = added["client_secret"].as_str().unwrap();
    assert!(secret.starts_with("tgs_"), "{secret}");
    assert!(gate.holds("nightly") && !gate.holds(secret));
    let shown = gate.ok(&["agents", "show", "nightly"]) + &gate.ok(&["agents", "list"]);
    assert!(!shown.contains(&secret[4..]), "{shown}");
    for part in ["secret", "active", "/mcp", "mcp", "by the operator"] {
        assert!(shown.contains(part), "`{part}` is missing in\n{shown}");
    }
    let value = gate.json(&["agents", "show", "nightly"]);
    assert_eq!(value["grants"], serde_json::json!(["client_credentials"]));
    assert!(!value.to_string().contains("digest"), "{value}");
}

#[test]
fn an_agent_is_added_with_lines_to_paste() {
    let gate = Gate::with_issuer();
    let text = gate.ok(&["agents", "add", "nightly"]);
    let secret = text.lines().find_map(|line| line.strip_prefix("client_secret  ")).unwrap();
    let parts = [
        &format!("-u 'nightly:{secret}'"),
        "'resource=http://127.0.0.1:8080/mcp' http://127.0.0.1:8080/oauth/token",
        "tollgate tools --url http://127.0.0.1:8080/mcp -H \"Authorization: Bearer $TOKEN\" list",
    ];
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in\n{text}");
    }
}

#[test]
fn what_cannot_be_added_is_refused_with_a_remedy() {
    let gate = Gate::with_issuer();
    gate.ok(&["agents", "add", "nightly"]);
    for (args, said) in [
        (&["nightly"][..], "there is an agent `nightly` already"),
        (&["two words"], "cannot be the name of an agent"),
        (&["user:1"], "cannot be the name of an agent"),
        (&["https://a/b"], "cannot be the name of an agent"),
        (&["a", "--scope", "two words"], "`two words` is not a scope"),
        (&["a", "--route", "/nowhere"], "the routes are: /mcp, /other"),
        (&["a", "--redirect-uri", "http://example.com/cb"], "cannot be redirected to"),
        (&["a", "--jwks-url", "http://example.com/keys"], "write one with `https://`"),
        (&["a", "--jwks", "nowhere.json"], "nowhere.json"),
    ] {
        let args: Vec<&str> = ["agents", "add"].iter().chain(args).copied().collect();
        let errors = gate.fails(&args);
        assert!(errors.contains(said), "{args:?}: {errors}");
    }
    assert_eq!(gate.json(&["agents", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn a_gate_without_identity_stores_nothing() {
    for (lines, command, said) in [
        ("", &["agents", "list"][..], "add a section `issuer`"),
        ("identity: off", &["keys", "list"], "add a section `issuer`"),
        ("identity: {}", &["agents", "add", "a"], "add a section `issuer`"),
        ("identity: {}", &["users", "list"], "add `issuer: { sign_in: accounts }`"),
        ("identity: {}", &["keys", "rotate"], "add a section `issuer`"),
        (
            "identity: { api_keys: false }\nissuer: {}",
            &["agents", "add", "a", "--api-key"],
            "remove `api_keys: false`",
        ),
        ("issuer: { sign_in: nobody }", &["users", "list"], "write `sign_in: accounts`"),
    ] {
        let gate = Gate::with(lines);
        let errors = gate.fails(command);
        assert!(errors.contains(said), "{lines:?} {command:?}: {errors}");
    }
}

#[test]
fn a_new_secret_stands_beside_the_old_for_a_while() {
    let gate = Gate::with_issuer();
    let first = gate.json(&["agents", "add", "a"])["client_secret"].clone();
    let rotated = gate.json(&["agents", "rotate", "a", "--overlap", "1h"]);
    assert_ne!(rotated["client_secret"], first);
    let secrets = gate.json(&["agents", "show", "a"])["secrets"].clone();
    let [old, new] = secrets.as_array().unwrap().as_slice() else { panic!("{secrets}") };
    assert_eq!(old["expires"].as_u64().unwrap(), new["created"].as_u64().unwrap() + 3_600);
    assert_eq!(new["expires"], Value::Null);
    gate.ok(&["agents", "rotate", "a", "--overlap", "0"]);
    assert_eq!(gate.json(&["agents", "show", "a"])["secrets"].as_array().unwrap().len(), 1);
    assert!(gate.fails(&["agents", "rotate", "b"]).contains("there is no agent `b`"));
}

#[test]
fn an_api_key_needs_no_issuer_and_is_rotated() {
    let gate = Gate::with("identity: {}");
    let added = gate.json(&["agents", "add", "notebook", "--api-key", "--expires", "90d"]);
    let key = added["api_key"].as_str().unwrap();
    assert!(key.starts_with("tgk_") && !gate.holds(key), "{key}");
    assert_eq!(added["proof"], "API key");
    let first = &added["api_keys"][0];
    let days = first["expires"].as_u64().unwrap() - first["created"].as_u64().unwrap();
    assert_eq!(days, 90 * 86_400);
    let rotated = gate.json(&["agents", "rotate", "notebook", "--overlap", "1h"]);
    assert_ne!(rotated["api_key"], added["api_key"]);
    let keys = gate.json(&["agents", "show", "notebook"])["api_keys"].clone();
    let ends: Vec<u64> =
        keys.as_array().unwrap().iter().map(|key| key["expires"].as_u64().unwrap()).collect();
    assert!(ends.len() == 2 && ends.iter().any(|end| *end < first["expires"].as_u64().unwrap()));
    gate.ok(&["agents", "rotate", "notebook", "--overlap", "0"]);
    let keys = gate.json(&["agents", "show", "notebook"])["api_keys"].clone();
    let good = keys.as_array().unwrap().iter().filter(|key| key["revoked"].is_null()).count();
    assert_eq!(good, 1, "{keys}");
}

/// An example key of RFC 7517 (appendix A.1), and what is private of it (appendix A.2).
const KEY: &str = r#"{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","kid":"1""#;
const PRIVATE: &str = r#","d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE""#;

#[test]
fn public_keys_are_taken_and_private_ones_are_not() {
    let gate = Gate::with_issuer();
    gate.file("public.json", &format!("{{\"keys\":[{KEY}}}]}}"));
    gate.file("private.json", &format!("{{\"keys\":[{KEY}{PRIVATE}}}]}}"));
    gate.file("empty.json", "{\"keys\":[]}");
    gate.file("not.json", "-----BEGIN PUBLIC KEY-----");
    for (file, said) in [
        ("private.json", "a private key is in it"),
        ("empty.json", "no key in it can be used"),
        ("not.json", "the key set cannot be read"),
    ] {
        let errors = gate.fails(&["agents", "add", "a", "--jwks", file]);
        assert!(errors.contains(said), "{errors}");
    }
    let added = gate.json(&["agents", "add", "a", "--jwks", "public.json"]);
    assert_eq!(added["proof"], "private key");
    assert!(gate.fails(&["agents", "rotate", "a"]).contains("give the file with `--jwks FILE`"));
    gate.ok(&["agents", "rotate", "a", "--jwks", "public.json"]);
}

#[test]
fn an_agent_is_cut_off_and_let_in_again() {
    let gate = Gate::with_issuer();
    gate.ok(&["agents", "add", "a"]);
    gate.ok(&["agents", "revoke", "a"]);
    assert_eq!(gate.json(&["agents", "show", "a"])["state"], "revoked");
    assert!(gate.fails(&["agents", "rotate", "a"]).contains("tollgate agents restore a"));
    assert!(gate.ok(&["agents", "restore", "a"]).contains("restored"));
    assert_eq!(gate.json(&["agents", "show", "a"])["state"], "active");
    assert!(gate.ok(&["agents", "restore", "a"]).contains("was not revoked"));
}

#[test]
fn an_agent_of_another_issuer_is_cut_off_by_its_name() {
    let gate = Gate::with("identity: {}");
    let id = "https://agents.example.com/client.json";
    assert_eq!(gate.json(&["agents", "revoke", id])["known"], false);
    let listed = gate.json(&["agents", "list"]);
    assert_eq!((&listed[0]["id"], &listed[0]["state"]), (&id.into(), &"revoked".into()));
    gate.ok(&["agents", "restore", id]);
    assert_eq!(gate.json(&["agents", "list"]), serde_json::json!([]));
    assert!(gate.fails(&["agents", "restore", id]).contains("there is no agent"));
}

#[test]
fn revoking_an_agent_revokes_its_api_keys() {
    let gate = Gate::with("identity: {}");
    gate.ok(&["agents", "add", "a", "--api-key"]);
    assert_eq!(gate.json(&["agents", "revoke", "a"])["api_keys_revoked"], 1);
    gate.ok(&["agents", "restore", "a"]);
    let keys = gate.json(&["agents", "show", "a"])["api_keys"].clone();
    assert!(keys[0]["revoked"].is_u64(), "{keys}");
}

#[test]
fn a_public_agent_and_a_workload_have_nothing_to_hide() {
    let gate = Gate::with(
        "issuer: { workloads: [{ url: \"https://ci\", subjects: { \"repo:a\": ci } }] }",
    );
    let uri = "http://127.0.0.1/callback";
    let added = gate.json(&["agents", "add", "app", "--public", "--redirect-uri", uri]);
    assert_eq!(added["grants"], serde_json::json!(["authorization_code", "refresh_token"]));
    assert_eq!(added["proof"], "people sign in");
    assert!(gate.ok(&["agents", "add", "ci", "--workload"]).contains("a token of https://ci"));
    let unmapped = gate.ok(&["agents", "add", "other", "--workload"]);
    assert!(unmapped.contains("\"SUB\": other"), "{unmapped}");
    assert!(gate.fails(&["agents", "rotate", "app"]).contains("has no secret and no API key"));
}

#[test]
fn signing_keys_are_listed_and_rotated() {
    let gate = Gate::with_issuer();
    assert!(gate.ok(&["keys", "list"]).contains("no keys yet"));
    let first = gate.json(&["keys", "rotate"]);
    assert!(gate.ok(&["keys", "rotate"]).contains("published at once"));
    let keys = gate.json(&["keys", "list"]);
    assert_eq!(keys.as_array().unwrap().len(), 2);
    assert_eq!(keys[0]["kid"], first["kid"]);
    assert_eq!((&keys[0]["state"], &keys[1]["state"]), (&"signs".into(), &"next".into()));
    assert!(!gate.ok(&["keys", "list", "--json"]).contains("pkcs8"));
}

#[test]
fn the_store_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let gate = Gate::with_issuer();
    gate.ok(&["agents", "list"]);
    let store = gate.folder.path().join("tollgate.db");
    assert_eq!(std::fs::metadata(&store).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&store, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(gate.fails(&["agents", "list"]).contains("chmod 600"));
}

#[test]
fn a_wrong_configuration_is_exit_code_2() {
    let gate = Gate::with("issuer: { url: \"ftp://a\" }");
    assert_eq!(gate.run_with("", &["agents", "list"]).status.code(), Some(2));
}

#[test]
fn a_password_is_made_up_and_shown_once() {
    let gate = Gate::with_issuer();
    let added = gate.json(&["users", "add", "alice", "--group", "engineering", "--generate"]);
    let password = added["password"].as_str().unwrap();
    assert_eq!(password.len(), 20);
    assert!(added["id"].as_str().unwrap().starts_with("user:"), "{added}");
    assert!(gate.holds("alice") && !gate.holds(password));
    let listed = gate.json(&["users", "list"]);
    assert_eq!(
        (&listed[0]["name"], &listed[0]["groups"][0]),
        (&"alice".into(), &"engineering".into())
    );
    assert!(!listed.to_string().contains("argon2"), "{listed}");
}

#[test]
fn a_password_is_read_and_judged() {
    let gate = Gate::with_issuer();
    let add = ["users", "add", "alice", "--password-stdin"];
    assert!(gate.fails_with("short\n", &add).contains("at least 12 characters"));
    assert!(gate.fails(&["users", "add", "alice"]).contains("use `--password-stdin`"));
    assert_eq!(gate.json(&["users", "list"]), serde_json::json!([]));
    let output = gate.run_with("correct horse battery\n", &add);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!String::from_utf8_lossy(&output.stdout).contains("horse"));
    assert!(
        gate.fails_with("correct horse battery\n", &add)
            .contains("there is an account `alice` already")
    );
    assert!(gate.fails(&["users", "add", " bob", "--generate"]).contains("cannot be the name"));
}

#[test]
fn somebody_is_locked_out_and_let_in_again() {
    let gate = Gate::with_issuer();
    gate.ok(&["users", "add", "alice", "--generate"]);
    assert!(gate.ok(&["users", "lock", "alice"]).contains("locked"));
    assert_eq!(gate.json(&["users", "list"])[0]["state"], "locked");
    gate.ok(&["users", "unlock", "alice"]);
    assert_eq!(gate.json(&["users", "list"])[0]["state"], "active");
    assert!(gate.ok(&["users", "passwd", "alice", "--generate"]).contains("password  "));
    gate.ok(&["users", "remove", "alice"]);
    assert!(gate.fails(&["users", "lock", "alice"]).contains("there is no account `alice`"));
    assert_eq!(gate.json(&["users", "list"]), serde_json::json!([]));
}
