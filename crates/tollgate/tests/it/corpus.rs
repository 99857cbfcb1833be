//! Row 38: every file of JSONTestSuite, as a body and as an argument.
//!
//! The corpus is not part of this repository. Its folder comes from the environment variable
//! `TOLLGATE_JSON_SUITE`, else it is looked for beside the workspace.
//!
//! What the suite leaves open is decided here: numbers of any size are carried as their text; lone
//! surrogates, invalid UTF-8, UTF-16, byte order marks and nesting beyond the bound are refused;
//! and so are duplicate keys, although the suite calls them valid.

use crate::GATE;
use std::path::{Path, PathBuf};
use testkit::House;
use testkit::post::good_call;

struct Case {
    name: String,
    text: Vec<u8>,
}

impl Case {
    /// Whether the gate carries it as the value of an argument.
    fn is_carried(&self) -> bool {
        let is_valid = self.name.starts_with("y_") || self.name.starts_with("i_number_");
        is_valid && !self.name.starts_with("y_object_duplicated_key")
    }
}

fn folder() -> PathBuf {
    match std::env::var_os("TOLLGATE_JSON_SUITE") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/json-test-suite"),
    }
}

fn cases() -> Vec<Case> {
    let folder = folder();
    let entries = std::fs::read_dir(&folder);
    let entries = entries.unwrap_or_else(|cause| {
        panic!(
            "set TOLLGATE_JSON_SUITE to the folder of JSONTestSuite's cases ({folder:?}: {cause})"
        )
    });
    let mut cases: Vec<Case> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| Case {
            name: path.file_name().expect("a name").to_string_lossy().into_owned(),
            text: std::fs::read(&path).expect("a readable file"),
        })
        .collect();
    cases.push(Case {
        name: "n_structure_open_array_object.json".to_owned(),
        text: [b"[{\"\":".repeat(50_000), b"\n".to_vec()].concat(),
    });
    assert!(cases.len() >= 318, "{} cases in {folder:?}", cases.len());
    cases
}

#[tokio::test]
async fn no_case_is_a_message() {
    let house = House::open(GATE).await;
    for case in cases() {
        let post = good_call().body(case.text.clone());
        let before = house.peer.bytes_seen();
        let answer = house.ask(&post).await;
        assert_eq!(answer.status, 400, "{}: {}", case.name, answer.text());
        // A valid document that is no message is a bad request; for an invalid one, either is true.
        let codes: &[i64] = match case.is_carried() {
            true => &[-32600],
            false => &[-32700, -32600],
        };
        assert!(codes.contains(&answer.code().unwrap_or(0)), "{}: {}", case.name, answer.text());
        assert_eq!(house.peer.bytes_seen(), before, "{}", case.name);
    }
    house.still_serves().await;
}

#[tokio::test]
async fn as_an_argument_a_case_is_carried_exactly_or_refused() {
    let house = House::open(GATE).await;
    // The argument comes last, so that nothing in a case can be completed by what follows it.
    let prefix = br#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}},"arguments":{"x":"#;
    for case in cases() {
        let body = [prefix.as_slice(), &case.text, b"}}}"].concat();
        let post = good_call().body(body);
        let before = house.peer.bytes_seen();
        let answer = house.ask(&post).await;
        if case.is_carried() {
            assert_eq!(answer.status, 200, "{}: {}", case.name, answer.text());
            let seen = house.peer.requests().pop().expect("a request");
            let has = seen.body.windows(case.text.len()).any(|window| window == case.text);
            assert!(has, "{}: {}", case.name, seen.text());
        } else {
            assert_eq!(answer.status, 400, "{}: {}", case.name, answer.text());
            assert_eq!(house.peer.bytes_seen(), before, "{}", case.name);
        }
    }
    house.still_serves().await;
}
