//! Ids of clients: which may be given, and which are the URL of a document that is fetched.

use tollgate_oauth::client_id::BadClientId::{
    self, Character, Host, Length, NoPath, NotCanonical, Port, Reserved, Scheme,
};
use tollgate_oauth::client_id::{check_name, document, is_url};

#[test]
fn public_https_urls_with_a_path_are_documents() {
    for good in [
        "https://app.example/client.json",
        "https://app.example/oauth/mcp-client-metadata",
        "https://a.b.app.example/c/",
        "https://app.example/c?v=1",
        "https://xn--bcher-kva.example/c",
    ] {
        assert_eq!(document(good, false).map(String::from).as_deref(), Ok(good));
        assert!(is_url(good));
    }
}

#[test]
fn no_spelling_of_an_inner_address_is_a_document() {
    let long = format!("https://app.example/{}", "a".repeat(1_024));
    for (bad, why) in INNER {
        assert_eq!(document(bad, false), Err(*why), "{bad:?}");
    }
    assert_eq!(document("", false), Err(Length));
    assert_eq!(document(&long, false), Err(Length));
}

const INNER: &[(&str, BadClientId)] = &[
    // Addresses, plain and in disguise.
    ("https://127.0.0.1/c", Host),
    ("https://127.0.0.2/c", Host),
    ("https://[::1]/c", Host),
    ("https://[::]/c", Host),
    ("https://[::ffff:127.0.0.1]/c", NotCanonical),
    ("https://[::ffff:7f00:1]/c", Host),
    ("https://[::ffff:a9fe:a9fe]/c", Host),
    ("https://[fe80::1]/c", Host),
    ("https://[fd00:ec2::254]/c", Host),
    ("https://[64:ff9b::7f00:1]/c", Host),
    ("https://[2002:7f00:1::]/c", Host),
    ("https://[2606:4700::1]/c", Host),
    ("https://0.0.0.0/c", Host),
    ("https://0/c", NotCanonical),
    ("https://1/c", NotCanonical),
    ("https://127.1/c", NotCanonical),
    ("https://127.0.1/c", NotCanonical),
    ("https://2130706433/c", NotCanonical),
    ("https://0x7f000001/c", NotCanonical),
    ("https://0x7f.1/c", NotCanonical),
    ("https://0177.0.0.1/c", NotCanonical),
    ("https://017700000001/c", NotCanonical),
    ("https://127.0.0.1./c", NotCanonical),
    ("https://127。0。0。1/c", Character),
    ("https://①②⑦.0.0.1/c", Character),
    ("https://%31%32%37.0.0.1/c", NotCanonical),
    ("https://10.0.0.1/c", Host),
    ("https://100.64.0.1/c", Host),
    ("https://169.254.169.254/latest/meta-data/", Host),
    ("https://172.16.0.1/c", Host),
    ("https://192.168.0.1/c", Host),
    ("https://8.8.8.8/c", Host),
    ("https://255.255.255.255/c", Host),
    // Names that stay inside.
    ("https://localhost/c", Host),
    ("https://localhost./c", Host),
    ("https://LOCALHOST/c", NotCanonical),
    ("https://a.localhost/c", Host),
    ("https://metadata/c", Host),
    ("https://metadata.google.internal/c", Host),
    ("https://printer.local/c", Host),
    ("https://router.lan/c", Host),
    ("https://nas.home/c", Host),
    ("https://router.home.arpa/c", Host),
    ("https://1.0.0.127.in-addr.arpa/c", Host),
    ("https://app.example./c", Host),
    ("https://a..example/c", Host),
    ("https://.app.example/c", Host),
    ("https://a_b.example/c", Host),
    ("https://*.app.example/c", Host),
    ("https://a$b.example/c", Host),
    // Not https.
    ("http://app.example/c", Scheme),
    ("HTTPS://app.example/c", Scheme),
    ("hTTps://app.example/c", Scheme),
    ("ftp://app.example/c", Scheme),
    ("file:///etc/passwd", Scheme),
    ("gopher://127.0.0.1:6379/_x", Scheme),
    ("data:application/json,{}", Scheme),
    ("javascript:alert(1)", Scheme),
    ("app.example/c", Scheme),
    ("//app.example/c", Scheme),
    (" https://app.example/c", Scheme),
    // Ports, users, paths, fragments.
    ("https://app.example:22/c", Port),
    ("https://app.example:8443/c", Port),
    ("https://app.example:0/c", Port),
    ("https://app.example:443/c", NotCanonical),
    ("https://app.example:/c", NotCanonical),
    ("https://user@app.example/c", NotCanonical),
    ("https://user:pass@app.example/c", NotCanonical),
    ("https://@app.example/c", NotCanonical),
    ("https://app.example@127.0.0.1/c", NotCanonical),
    ("https://app.example", NoPath),
    ("https://app.example/", NoPath),
    ("https://app.example?c", NotCanonical),
    ("https://app.example/?c", NoPath),
    ("https://app.example/./c", NotCanonical),
    ("https://app.example/a/../c", NotCanonical),
    ("https://app.example/a/%2e%2e/c", NotCanonical),
    ("https://app.example/%2E/c", NotCanonical),
    ("https://app.example/c#f", NotCanonical),
    ("https://app.example/c#", NotCanonical),
    ("https://APP.example/c", NotCanonical),
    ("https:///app.example/c", NotCanonical),
    ("https://app.example\\c", Character),
    ("https://app.example/c d", Character),
    ("https://app.example/c\n", Character),
    ("https://app.ex\tample/c", Character),
    ("https://b\u{fc}cher.example/c", Character),
    ("https://app.example/\u{202e}", Character),
    ("https://app.example/%", Character),
    ("https://", Host),
    ("https://:443/c", Host),
    ("https://[::1/c", Host),
    ("https://app.example:99999/c", Host),
];

#[test]
fn in_a_closed_network_addresses_and_ports_are_taken_but_clear_text_only_on_the_machine() {
    for good in [
        "http://127.0.0.1:8080/c",
        "http://localhost:8080/c",
        "http://[::1]:8080/c",
        "https://10.0.0.1:8443/c",
        "https://intranet/c",
    ] {
        assert!(document(good, true).is_ok(), "{good}");
        assert!(document(good, false).is_err(), "{good}");
    }
    for (bad, why) in [
        ("http://10.0.0.1/c", Scheme),
        ("http://app.example/c", Scheme),
        ("http://localhost.evil.example/c", Scheme),
        ("ftp://127.0.0.1/c", Scheme),
        ("https://10.0.0.1", NoPath),
        ("https://user@10.0.0.1/c", NotCanonical),
        ("https://127.1/c", NotCanonical),
        ("https://app.example/a/../c", NotCanonical),
    ] {
        assert_eq!(document(bad, true), Err(why), "{bad}");
    }
}

#[test]
fn a_given_id_looks_like_nothing_else() {
    for good in ["ci", "build-bot", "a:b", "cn=x,o=y", "users", "x://"] {
        assert_eq!(check_name(good).is_ok(), good != "x://", "{good}");
    }
    for bad in [
        "user:1",
        "USER:1",
        "urn:tollgate:api-key",
        "reg_x",
        "Reg_x",
        "https:",
        "http:x",
        "https://app.example/c",
        "com.example://x",
    ] {
        assert_eq!(check_name(bad), Err(Reserved), "{bad}");
    }
    for bad in ["a b", "a\n", "b\u{fc}", "\u{202e}a", "a\0", "\u{7f}"] {
        assert_eq!(check_name(bad), Err(Character), "{bad:?}");
    }
    assert_eq!(check_name(""), Err(Length));
    assert_eq!(check_name(&"a".repeat(1_025)), Err(Length));
    assert_eq!(check_name("日"), Err(Character));
}
