//! The JSON parsing corpus of nst/JSONTestSuite, as `arguments` of a call and as whole bodies.
//!
//! The corpus lives beside the repository (`shared/json-test-suite`); `TOLLGATE_JSON_SUITE` names
//! another place. Its absence is a failure, not a pass.

use std::collections::BTreeSet;
use std::path::PathBuf;

use tollgate_mcp::json::{Body, FaultKind, Limits, judge};

/// Accepted by the grammar, refused by us: the same key twice.
const DUPLICATES: [&str; 2] =
    ["y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"];

/// What the grammar leaves open and we accept, forwarding the bytes as they are.
const OPEN_AND_ACCEPTED: [&str; 10] = [
    "i_number_double_huge_neg_exp.json",
    "i_number_huge_exp.json",
    "i_number_neg_int_huge_exp.json",
    "i_number_pos_double_huge_exp.json",
    "i_number_real_neg_overflow.json",
    "i_number_real_pos_overflow.json",
    "i_number_real_underflow.json",
    "i_number_too_big_neg_int.json",
    "i_number_too_big_pos_int.json",
    "i_number_very_big_negative_int.json",
];

/// What the grammar leaves open and we refuse: lone surrogates, what is not UTF-8 or has a byte
/// order mark, and nesting beyond the limit.
const OPEN_AND_REFUSED: [(&str, FaultKind); 25] = [
    ("i_object_key_lone_2nd_surrogate.json", FaultKind::Surrogate),
    ("i_string_1st_surrogate_but_2nd_missing.json", FaultKind::Surrogate),
    ("i_string_1st_valid_surrogate_2nd_invalid.json", FaultKind::Surrogate),
    ("i_string_UTF-16LE_with_BOM.json", FaultKind::NotUtf8),
    ("i_string_UTF-8_invalid_sequence.json", FaultKind::NotUtf8),
    ("i_string_UTF8_surrogate_U+D800.json", FaultKind::NotUtf8),
    ("i_string_incomplete_surrogate_and_escape_valid.json", FaultKind::Surrogate),
    ("i_string_incomplete_surrogate_pair.json", FaultKind::Surrogate),
    ("i_string_incomplete_surrogates_escape_valid.json", FaultKind::Surrogate),
    ("i_string_invalid_lonely_surrogate.json", FaultKind::Surrogate),
    ("i_string_invalid_surrogate.json", FaultKind::Surrogate),
    ("i_string_invalid_utf-8.json", FaultKind::NotUtf8),
    ("i_string_inverted_surrogates_U+1D11E.json", FaultKind::Surrogate),
    ("i_string_iso_latin_1.json", FaultKind::NotUtf8),
    ("i_string_lone_second_surrogate.json", FaultKind::Surrogate),
    ("i_string_lone_utf8_continuation_byte.json", FaultKind::NotUtf8),
    ("i_string_not_in_unicode_range.json", FaultKind::NotUtf8),
    ("i_string_overlong_sequence_2_bytes.json", FaultKind::NotUtf8),
    ("i_string_overlong_sequence_6_bytes.json", FaultKind::NotUtf8),
    ("i_string_overlong_sequence_6_bytes_null.json", FaultKind::NotUtf8),
    ("i_string_truncated-utf-8.json", FaultKind::NotUtf8),
    ("i_string_utf16BE_no_BOM.json", FaultKind::NotUtf8),
    ("i_string_utf16LE_no_BOM.json", FaultKind::NotUtf8),
    ("i_structure_500_nested_arrays.json", FaultKind::TooDeep),
    ("i_structure_UTF-8_BOM_empty_object.json", FaultKind::Syntax),
];

fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = std::env::var_os("TOLLGATE_JSON_SUITE").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/json-test-suite")),
        PathBuf::from,
    );
    let listing = std::fs::read_dir(&folder).unwrap_or_else(|error| {
        panic!("no corpus at {} ({error}); set TOLLGATE_JSON_SUITE to its folder", folder.display())
    });
    let mut files: Vec<(String, Vec<u8>)> = listing
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_str()?.to_owned();
            name.ends_with(".json").then(|| {
                let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
                (name, bytes)
            })
        })
        .collect();
    // The one file that is too large to keep beside the others, made as its readme says.
    let nested = [r#"[{"":"#.repeat(50_000).as_bytes(), b"\n"].concat();
    files.push(("n_structure_open_array_object.json".to_owned(), nested));
    files.sort();
    files
}

/// The file as a member of a call's `arguments`, judged.
fn as_argument(file: &[u8]) -> Result<Body, FaultKind> {
    let head =
        br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":"#;
    let body = [&head[..], file, b"}}}"].concat();
    judge(&body, &Limits::default()).map_err(|fault| fault.kind)
}

#[test]
fn corpus_is_complete() {
    let files = corpus();
    let count = |sort: &str| files.iter().filter(|(name, _)| name.starts_with(sort)).count();
    assert_eq!((count("y_"), count("n_"), count("i_")), (95, 188, 35));
}

#[test]
fn what_must_be_accepted_is_accepted_as_arguments() {
    for (name, file) in corpus().iter().filter(|(name, _)| name.starts_with("y_")) {
        let outcome = as_argument(file).map(|_| ());
        let is_duplicate = DUPLICATES.contains(&name.as_str());
        let wanted = if is_duplicate { Err(FaultKind::DuplicateKey) } else { Ok(()) };
        assert_eq!(outcome, wanted, "{name}");
    }
}

#[test]
fn what_must_be_refused_is_refused_as_arguments() {
    for (name, file) in corpus().iter().filter(|(name, _)| name.starts_with("n_")) {
        assert!(as_argument(file).is_err(), "{name}");
    }
}

#[test]
fn what_is_left_open_has_the_outcome_written_down_here() {
    let mut seen = BTreeSet::new();
    for (name, file) in corpus().iter().filter(|(name, _)| name.starts_with("i_")) {
        let outcome = as_argument(file).map(|_| ());
        let refused = OPEN_AND_REFUSED.iter().find(|(refused, _)| refused == name);
        assert_eq!(outcome, refused.map_or(Ok(()), |(_, kind)| Err(*kind)), "{name}");
        assert!(refused.is_some() || OPEN_AND_ACCEPTED.contains(&name.as_str()), "{name}");
        seen.insert(name.clone());
    }
    assert_eq!(seen.len(), OPEN_AND_ACCEPTED.len() + OPEN_AND_REFUSED.len());
}

#[test]
fn no_file_of_the_corpus_is_a_message_by_itself() {
    for (name, file) in corpus() {
        let fault = judge(&file, &Limits::default()).expect_err(&name);
        let must_parse = name.starts_with("y_") && !DUPLICATES.contains(&name.as_str());
        assert!(!(must_parse && fault.kind.is_parse_error()), "{name}: {fault}");
    }
}
