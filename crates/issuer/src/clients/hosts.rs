//! Which hosts agents nobody vouches for may name.
//!
//! An empty list names all. Loopback redirects need no entry: they lead to the person's own machine.
//! Entries are host names, `*.` and a name for its subdomains, or a private-use scheme with its
//! colon (`com.example.app:`).

use tollgate_oauth::redirect;

/// Whether a document, or the keys of a client, may be at this host.
pub(crate) fn allow(hosts: &[String], host: &str) -> bool {
    hosts.is_empty() || hosts.iter().any(|entry| fits(entry, host))
}

/// Whether people may be sent back there.
pub(crate) fn allow_redirect(hosts: &[String], uri: &str) -> bool {
    if hosts.is_empty() || redirect::is_loopback(uri) {
        return true;
    }
    match redirect::host(uri) {
        Some(host) => allow(hosts, &host),
        None => hosts.iter().any(|entry| *entry == redirect::place(uri)),
    }
}

fn fits(entry: &str, host: &str) -> bool {
    let Some(parent) = entry.strip_prefix("*.") else { return entry.eq_ignore_ascii_case(host) };
    let host = host.to_ascii_lowercase();
    let below = host.strip_suffix(&parent.to_ascii_lowercase());
    below.is_some_and(|below| below.len() > 1 && below.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::{allow, allow_redirect};

    fn hosts(entries: &[&str]) -> Vec<String> {
        entries.iter().map(|entry| String::from(*entry)).collect()
    }

    #[test]
    fn an_empty_list_allows_every_host() {
        assert!(allow(&[], "anything.example") && allow_redirect(&[], "com.example.app:/cb"));
    }

    #[test]
    fn an_entry_allows_itself_and_a_star_only_what_is_below() {
        let list = hosts(&["app.example", "*.corp.example"]);
        for good in ["app.example", "APP.example", "a.corp.example", "b.a.Corp.example"] {
            assert!(allow(&list, good), "{good}");
        }
        for bad in [
            "corp.example",
            ".corp.example",
            "evilcorp.example",
            "a.app.example",
            "app.example.evil",
            "a.corp.example.evil",
            "example",
            "",
        ] {
            assert!(!allow(&list, bad), "{bad}");
        }
    }

    #[test]
    fn redirects_need_an_entry_unless_they_stay_on_the_machine() {
        let list = hosts(&["app.example", "com.example.app:"]);
        for good in [
            "https://app.example/cb",
            "https://app.example:8443/cb",
            "http://127.0.0.1/cb",
            "http://localhost:3000/cb",
            "http://[::1]/cb",
            "com.example.app:/cb",
        ] {
            assert!(allow_redirect(&list, good), "{good}");
        }
        for bad in [
            "https://evil.example/cb",
            "https://app.example.evil/cb",
            "https://evil.example/app.example",
            "com.example.other:/cb",
            "http://localhost.evil.example/cb",
        ] {
            assert!(!allow_redirect(&list, bad), "{bad}");
        }
    }
}
