//! Names of upstreams from names of servers: which characters, and what two servers do that want one.
//!
//! A server whose name can stay as it is keeps it, wherever it stands in the file; the others get what
//! is left, in the order of the file. So the same file always gives the same names.

use std::collections::HashSet;

/// Longest name of an upstream.
const NAME_MAX: usize = 32;

/// The names of upstreams for these servers, in their order.
pub(super) fn settle(servers: &[&str]) -> Vec<String> {
    let mut taken: HashSet<String> = servers
        .iter()
        .filter(|name| mapped(name) == **name)
        .map(|name| (*name).to_owned())
        .collect();
    let mut kept = HashSet::new();
    let name = |server: &&str| {
        let wish = mapped(server);
        if wish == *server && kept.insert(wish.clone()) {
            return wish;
        }
        let free = (1_usize..).map(|n| numbered(&wish, n)).find(|name| !taken.contains(name));
        let name = free.unwrap_or(wish);
        taken.insert(name.clone());
        name
    };
    servers.iter().map(name).collect()
}

/// Lower-case letters, digits and single dashes, starting and ending with one of the former. Words
/// within a name stay together: `GitHub` is `github`.
fn mapped(server: &str) -> String {
    let mut name = String::new();
    for c in server.chars() {
        if c.is_ascii_alphanumeric() {
            name.push(c.to_ascii_lowercase());
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
    }
    name.truncate(NAME_MAX);
    let name = name.trim_end_matches('-');
    if name.is_empty() { "server".to_owned() } else { name.to_owned() }
}

fn numbered(name: &str, n: usize) -> String {
    if n == 1 {
        return name.to_owned();
    }
    let number = format!("-{n}");
    let room = NAME_MAX - number.len().min(NAME_MAX);
    let head = name.get(..name.len().min(room)).unwrap_or_default();
    format!("{}{number}", head.trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::settle;

    #[test]
    fn names_are_mapped_and_what_needs_no_mapping_stays() {
        let names =
            settle(&["My_Server", "my-server", "My Server", "github", "@scope/pkg", "日本"]);
        assert_eq!(
            names,
            ["my-server-2", "my-server", "my-server-3", "github", "scope-pkg", "server"]
        );
    }

    #[test]
    fn long_names_are_cut_and_stay_different() {
        let long = "a".repeat(40);
        let names = settle(&[&long, &format!("{long}b"), "camelCaseName", "a--b-"]);
        let cut = "a".repeat(32);
        assert_eq!(
            names,
            [cut.clone(), format!("{}-2", &cut[..30]), "camelcasename".into(), "a-b".into()]
        );
    }
}
