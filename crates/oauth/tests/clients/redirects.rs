//! Redirect URIs: what can be registered, and what then passes for it.

use tollgate_oauth::redirect::BadRedirect::{
    self, Character, Clear, Fragment, Host, Malformed, NotCanonical, Reserved, Scheme, TooLong,
    UserInfo,
};
use tollgate_oauth::redirect::{host, is_loopback, matches, place, register};

#[test]
fn web_loopback_and_private_use_redirects_can_be_registered() {
    for good in [
        "https://app.example/cb",
        "https://app.example",
        "https://app.example/",
        "https://app.example:8443/cb",
        "https://app.example/cb?tenant=a&x=%20",
        "https://app.example/a;b=c/d",
        "https://xn--bcher-kva.example/cb",
        "https://192.0.2.7/cb",
        "https://[2001:db8::7]:8443/cb",
        "https://localhost/cb",
        "http://localhost/cb",
        "http://localhost:3000",
        "http://localhost:33418/",
        "http://127.0.0.1/cb",
        "http://127.0.0.1:49152/oauth/callback?x=1",
        "http://[::1]/cb",
        "http://[::1]:65535/cb",
        "com.example.app:/cb",
        "com.example.app://cb/x",
        "com.example.app:cb",
    ] {
        assert_eq!(register(good), Ok(()), "{good}");
    }
}

#[test]
fn every_other_redirect_is_refused_for_what_is_wrong_with_it() {
    let long = format!("https://app.example/{}", "a".repeat(2_048));
    for (bad, why) in BAD {
        assert_eq!(register(bad), Err(*why), "{bad:?}");
    }
    assert_eq!(register(&long), Err(TooLong));
}

const BAD: &[(&str, BadRedirect)] = &[
    ("", Malformed),
    ("cb", Malformed),
    ("/cb", Malformed),
    ("//app.example/cb", Malformed),
    ("?x", Malformed),
    ("https:", Malformed),
    ("https://", Malformed),
    ("https://:443/cb", Malformed),
    ("https://app.example:99999/cb", Malformed),
    ("https://app.example:x/cb", Malformed),
    ("https://[::1/cb", Malformed),
    ("https://a%00b.example/cb", Character),
    // Schemes.
    ("javascript:alert(1)", Scheme),
    ("JaVaScRiPt:alert(1)", Scheme),
    ("javascript://app.example/%0aalert(1)", Character),
    ("data:text/html,x", Scheme),
    ("vbscript:x", Scheme),
    ("file:///etc/passwd", Scheme),
    ("blob:https://app.example/1", Scheme),
    ("about:blank", Scheme),
    ("ftp://app.example/cb", Scheme),
    ("ws://app.example/cb", Scheme),
    ("wss://app.example/cb", Scheme),
    ("mailto:a@app.example", Scheme),
    ("urn:ietf:wg:oauth:2.0:oob", Scheme),
    ("intent://cb", Scheme),
    ("view-source:https://app.example/", Scheme),
    ("myapp://cb", Scheme),
    ("x:cb", Scheme),
    ("com..example:/cb", Scheme),
    ("example.:/cb", Scheme),
    ("com.example.app:", Malformed),
    // Clear text off the machine, and what only looks like this machine.
    ("http://app.example/cb", Clear),
    ("http://localhost.app.example/cb", Clear),
    ("http://localhost./cb", Host),
    ("http://127.0.0.1.app.example/cb", Clear),
    ("http://127.0.0.2/cb", Clear),
    ("http://0.0.0.0/cb", Clear),
    ("http://10.0.0.1/cb", Clear),
    ("http://127.1/cb", Clear),
    ("http://2130706433/cb", Clear),
    ("http://0x7f000001/cb", Clear),
    ("http://[::ffff:127.0.0.1]/cb", Clear),
    ("http://[0:0:0:0:0:0:0:1]/cb", Clear),
    ("http://LOCALHOST/cb", Clear),
    ("http://169.254.169.254/latest", Clear),
    // Whose host is not what one reads.
    ("https://good.example@evil.example/cb", UserInfo),
    ("https://good.example:443@evil.example/cb", UserInfo),
    ("https://:pass@evil.example/cb", UserInfo),
    ("https://@evil.example/cb", NotCanonical),
    ("http://127.0.0.1@evil.example/cb", UserInfo),
    ("https://good.example\\@evil.example/cb", Character),
    ("https:\\\\evil.example\\cb", Character),
    ("https:evil.example/cb", NotCanonical),
    ("https:/evil.example/cb", NotCanonical),
    ("https:///evil.example/cb", NotCanonical),
    ("https://evil.example./cb", Host),
    ("https://ev_il.example/cb", Host),
    ("https://*.app.example/cb", Host),
    ("https://app.example:0/cb", Host),
    ("https://b\u{fc}cher.example/cb", Character),
    ("https://\u{ff41}pp.example/cb", Character),
    // Not written the one way a browser would.
    ("HTTPS://app.example/cb", NotCanonical),
    ("https://APP.example/cb", NotCanonical),
    ("https://app.example:443/cb", NotCanonical),
    ("https://app.example:/cb", NotCanonical),
    ("https://app.example:0443/cb", NotCanonical),
    ("https://app.example/../cb", NotCanonical),
    ("https://app.example/a/./cb", NotCanonical),
    ("https://app.example/a/..", NotCanonical),
    ("https://app.example/a/%2e%2e/cb", NotCanonical),
    ("https://app.example/a/.%2E/cb", NotCanonical),
    ("https://app.example/a/..;/cb", NotCanonical),
    ("https://app.example/a/%2e%2e;x/cb", NotCanonical),
    ("https://2130706433/cb", NotCanonical),
    ("https://0x7f.1/cb", NotCanonical),
    ("https://127.1/cb", NotCanonical),
    ("https://app%2eexample/cb", NotCanonical),
    ("com.example.app:/a/../b", NotCanonical),
    ("Com.Example.App:/cb", NotCanonical),
    // Fragments, and characters no URL has.
    ("https://app.example/cb#x", Fragment),
    ("https://app.example/cb#", Fragment),
    ("com.example.app:/cb#x", Fragment),
    ("https://app.example/c b", Character),
    (" https://app.example/cb", Character),
    ("https://app.example/cb\n", Character),
    ("https://app.example/cb\t", Character),
    ("https://app.ex\tample/cb", Character),
    ("java\nscript:alert(1)", Character),
    ("https://app.example/cb\0", Character),
    ("https://app.example/<b>", Character),
    ("https://app.example/\"x", Character),
    ("https://app.example/%0d%0aSet-Cookie:x", Character),
    ("https://app.example/%00", Character),
    ("https://app.example/%7f", Character),
    ("https://app.example/%", Character),
    ("https://app.example/%4", Character),
    ("https://app.example/%zz", Character),
    ("https://app.example/\u{202e}cb", Character),
    // What would be there twice in the answer.
    ("https://app.example/cb?code=x", Reserved),
    ("https://app.example/cb?a=1&state=x", Reserved),
    ("https://app.example/cb?%73tate=x", Reserved),
    ("https://app.example/cb?iss=https://evil.example", Reserved),
    ("http://127.0.0.1/cb?error=x", Reserved),
];

#[test]
fn only_the_same_bytes_pass_for_what_was_registered() {
    let registered = "https://app.example/cb?x=1";
    assert!(matches(registered, registered));
    for other in [
        "https://app.example/cb",
        "https://app.example/cb?x=2",
        "https://app.example/cb?x=1&y=2",
        "https://app.example/cb?x=1#",
        "https://app.example/cb?x=1#f",
        "https://app.example/cb/?x=1",
        "https://app.example/cb/../cb?x=1",
        "https://app.example/CB?x=1",
        "https://app.example/%63b?x=1",
        "https://app.example:443/cb?x=1",
        "https://app.example:8443/cb?x=1",
        "https://APP.example/cb?x=1",
        "HTTPS://app.example/cb?x=1",
        "http://app.example/cb?x=1",
        "https://a.app.example/cb?x=1",
        "https://app.example.evil/cb?x=1",
        "https://app.example@evil.example/cb?x=1",
        "https://good@app.example/cb?x=1",
        "https://app.example./cb?x=1",
        "https://app.example\\cb?x=1",
        " https://app.example/cb?x=1",
        "https://app.example/cb?x=1 ",
        "https://app.example/cb?x=1\n",
        "",
    ] {
        assert!(!matches(registered, other), "{other:?}");
    }
}

#[test]
fn of_a_loopback_redirect_the_port_alone_may_differ() {
    let pairs = [
        ("http://127.0.0.1/cb", "http://127.0.0.1:49152/cb"),
        ("http://127.0.0.1:1/cb", "http://127.0.0.1:65535/cb"),
        ("http://127.0.0.1:1/cb", "http://127.0.0.1/cb"),
        ("http://[::1]:1/cb?x=1", "http://[::1]:2/cb?x=1"),
        ("http://localhost:1", "http://localhost:2"),
    ];
    for (registered, asked) in pairs {
        assert!(matches(registered, asked), "{registered} {asked}");
    }
    let registered = "http://127.0.0.1:3000/cb";
    for other in [
        "http://127.0.0.1:3000/cb/",
        "http://127.0.0.1:3000/",
        "http://127.0.0.1:3000",
        "http://127.0.0.1:3000/cb?x",
        "http://127.0.0.1:3000/cb#",
        "https://127.0.0.1:3000/cb",
        "http://localhost:3000/cb",
        "http://[::1]:3000/cb",
        "http://127.0.0.2:3000/cb",
        "http://127.1:3000/cb",
        "http://127.0.0.1.evil.example/cb",
        "http://127.0.0.1:3000.evil.example/cb",
        "http://127.0.0.1:3000@evil.example/cb",
        "http://127.0.0.1@evil.example/cb",
        "http://127.0.0.1:@evil.example/cb",
        "http://user@127.0.0.1:3000/cb",
        "http://127.0.0.1:0/cb",
        "http://127.0.0.1:03000/cb",
        "http://127.0.0.1:65536/cb",
        "http://127.0.0.1:+300/cb",
        "http://127.0.0.1:-1/cb",
        "http://127.0.0.1:/cb",
        "http://127.0.0.1: 3000/cb",
        "http://127.0.0.1:3000\\cb",
        "http://127.0.0.1:3000/a/../cb",
        "HTTP://127.0.0.1:3000/cb",
    ] {
        assert!(!matches(registered, other), "{other:?}");
    }
    assert!(!matches("https://localhost:1/cb", "https://localhost:2/cb"));
    assert!(!matches("https://app.example:1/cb", "https://app.example:2/cb"));
    assert!(!matches("com.example.app://a:1/cb", "com.example.app://a:2/cb"));
}

#[test]
fn people_are_shown_the_place_they_are_sent_to() {
    for (uri, shown) in [
        ("https://app.example/cb?x=1", "https://app.example"),
        ("https://app.example:8443/cb", "https://app.example:8443"),
        ("https://[2001:db8::7]/cb", "https://[2001:db8::7]"),
        ("http://127.0.0.1:49152/cb", "http://127.0.0.1"),
        ("http://localhost:3000/cb", "http://localhost"),
        ("com.example.app:/cb", "com.example.app:"),
        ("com.example.app://evil/cb", "com.example.app:"),
        ("nonsense", "an unreadable address"),
    ] {
        assert_eq!(place(uri), shown, "{uri}");
    }
}

#[test]
fn what_stays_on_the_machine_is_told_from_what_leaves_it() {
    for on in ["http://127.0.0.1:1/cb", "http://[::1]", "http://localhost/cb", "https://localhost/"]
    {
        assert!(is_loopback(on), "{on}");
    }
    for off in [
        "https://app.example/cb",
        "https://localhost.evil.example/cb",
        "https://localhost@evil.example/cb",
        "http://127.0.0.1@evil.example/",
        "com.example.app:/cb",
        "",
    ] {
        assert!(!is_loopback(off), "{off}");
    }
    assert_eq!(host("https://App.example:1/cb").as_deref(), Some("app.example"));
    assert_eq!(host("com.example.app://app.example/cb"), None);
}
