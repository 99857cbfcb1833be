//! What may stand in a file, and what a file may be called.
//!
//! Plain searches, line by line: a rule that needs a parser belongs into clippy. The words searched
//! for are put together from halves, so that this file passes its own rules.

/// Names that say nothing about what is in the file.
const EMPTY_NAMES: [&str; 7] = ["utils", "util", "helpers", "helper", "common", "types", "manager"];
/// Marks of unfinished work.
const UNFINISHED: [&str; 5] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("to", "do!"),
    concat!("unimple", "mented!"),
    concat!("#[ig", "nore"),
];
/// Protocol versions as they stand in code.
const VERSIONS: [&str; 3] =
    [concat!("\"20", "25-"), concat!("\"20", "26-07-28"), concat!("\"20", "24-11-05")];
/// Folders of one person's machine.
const HOMES: [&str; 4] =
    [concat!("/ho", "me/"), concat!("/Use", "rs/"), concat!("/ro", "ot/"), concat!("/wo", "rk/")];
/// Where versions may be written: the eras, and what plays a peer, shows one or is a tool.
const VERSIONED: [&str; 8] = [
    "crates/mcp/src/era",
    "crates/demo/",
    "crates/tollgate/src/demo.rs",
    "peers/",
    "xtask/",
    "fuzz/",
    "/tests/",
    "/examples/",
];
/// Where a call's era may decide: the wire, and the data plane, which has sessions in one only.
const ERAS: [&str; 5] = ["crates/mcp/", "crates/gate/", "peers/", "xtask/", "/tests/"];
/// The only registry our lock file may name.
const CRATES_IO: &str = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";

/// Checks a file's name.
pub(super) fn name(file: &str) -> Vec<String> {
    let last = file.rsplit('/').next().unwrap_or(file);
    let stem = last.split('.').next().unwrap_or(last);
    if EMPTY_NAMES.contains(&stem) {
        return vec![format!("{file}: `{stem}` does not say what is in the file")];
    }
    Vec::new()
}

/// Checks a text file of any kind.
pub(super) fn anywhere(file: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let is_code = [".rs", ".py", ".mjs", ".js", ".sh", ".toml"].iter().any(|it| file.ends_with(it));
    for (at, line) in numbered(text) {
        for home in HOMES {
            if names_folder(line, home) {
                complaints.push(format!("{file}:{at}: `{home}` is a path of one machine"));
            }
        }
        if is_code && let Some(mark) = UNFINISHED.iter().find(|mark| line.contains(**mark)) {
            complaints.push(format!("{file}:{at}: `{mark}` marks unfinished work"));
        }
        if file.ends_with("package-lock.json") && line.contains("\"resolved\"") {
            complaints.push(format!("{file}:{at}: a lock file must not name a registry"));
        }
        if file.ends_with("Cargo.lock") && line.starts_with("source = ") && line != CRATES_IO {
            complaints.push(format!("{file}:{at}: only crates.io may be a source"));
        }
    }
    complaints
}

/// Checks a Rust file.
pub(super) fn rust(file: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    if !text.starts_with("//!") {
        complaints
            .push(format!("{file}:1: a file opens with `//!`: what for, what not, where next"));
    }
    let versioned = VERSIONED.iter().any(|place| file.contains(place));
    let knows_eras = ERAS.iter().any(|place| file.contains(place));
    for (at, line) in numbered(production(file, text)) {
        let code = line.split("//").next().unwrap_or(line);
        if code.contains(concat!("unbounded", "_channel")) {
            complaints.push(format!("{file}:{at}: every queue has a bound"));
        }
        if ["use crate::*", "use super::*"].iter().any(|all| code.trim_start().starts_with(all)) {
            complaints.push(format!("{file}:{at}: imports name what they import"));
        }
        if !versioned && VERSIONS.iter().any(|version| code.contains(version)) {
            complaints.push(format!("{file}:{at}: only the era files name protocol versions"));
        }
        if !knows_eras && compares_eras(code) {
            complaints.push(format!("{file}:{at}: only the wire and the gate compare eras"));
        }
    }
    complaints
}

/// The part of a Rust file that is built into the product: what comes before its tests.
pub(super) fn production<'a>(file: &str, text: &'a str) -> &'a str {
    if ["/tests/", "/benches/"].iter().any(|folder| file.contains(folder))
        || file.ends_with("/tests.rs")
    {
        return "";
    }
    let tests = text.find("\n#[cfg(test)]\nmod ").map_or(text.len(), |at| at + 1);
    &text[..tests]
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(at, line)| (at + 1, line))
}

/// Whether the folder is named as the beginning of a path, and not in the middle of one.
fn names_folder(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + folder.len()..].chars().next();
        !before.is_some_and(|it| it.is_alphanumeric() || "._-:*/{}".contains(it))
            && after.is_some_and(|it| it.is_alphanumeric() || it == '.')
    })
}

fn compares_eras(code: &str) -> bool {
    let spread: String = code.split_whitespace().collect();
    ["==Era::", "!=Era::"].iter().any(|it| spread.contains(it))
        || (spread.contains("matches!(") && spread.contains(",Era::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_called_by_an_empty_word_is_a_complaint() {
        assert_eq!(name("crates/gate/src/helpers.rs").len(), 1);
        assert!(name("crates/gate/src/help.rs").is_empty());
    }

    #[test]
    fn unfinished_work_is_a_complaint_in_code_only() {
        let line = concat!("// TO", "DO: later");
        assert_eq!(anywhere("a.rs", line).len(), 1);
        assert!(anywhere("a.md", line).is_empty());
    }

    #[test]
    fn a_path_into_a_home_is_a_complaint() {
        assert_eq!(anywhere("a.md", concat!("see /ho", "me/ada/x")).len(), 1);
        assert!(anywhere("a.md", concat!("https://example.org/ho", "me/x")).is_empty());
    }

    #[test]
    fn a_lock_file_that_names_a_registry_is_a_complaint() {
        assert_eq!(anywhere("peers/package-lock.json", "\"resolved\": \"x\"").len(), 1);
        assert_eq!(anywhere("Cargo.lock", "source = \"registry+https://elsewhere\"").len(), 1);
        assert!(anywhere("Cargo.lock", CRATES_IO).is_empty());
    }

    #[test]
    fn a_file_without_a_front_door_is_a_complaint() {
        assert_eq!(rust("crates/gate/src/a.rs", "fn a() {}").len(), 1);
    }

    #[test]
    fn a_version_outside_the_eras_is_a_complaint() {
        let text = concat!("//! A\nlet v = \"20", "25-11-25\";");
        assert_eq!(rust("crates/gate/src/a.rs", text).len(), 1);
        assert!(rust("crates/mcp/src/era/legacy.rs", text).is_empty());
    }

    #[test]
    fn a_version_in_a_test_is_in_order() {
        let text = concat!("//! A\n#[cfg(test)]\nmod tests {\nlet v = \"20", "25-11-25\";\n}");
        assert!(rust("crates/gate/src/a.rs", text).is_empty());
    }

    #[test]
    fn a_comparison_of_eras_outside_the_data_plane_is_a_complaint() {
        let text = "//! A\nif era == Era::Legacy {}";
        assert_eq!(rust("crates/console/src/a.rs", text).len(), 1);
        assert!(rust("crates/gate/src/a.rs", text).is_empty());
    }

    #[test]
    fn a_queue_without_a_bound_is_a_complaint() {
        let text = concat!("//! A\nlet (a, b) = mpsc::unbounded", "_channel();");
        assert_eq!(rust("crates/gate/src/a.rs", text).len(), 1);
    }
}
