//! Where a fetch goes when somebody else wrote the URL.

use crate::stage::{Names, Script, Server, ask, ok, over, plain};
use std::sync::Arc;
use std::time::Duration;
use tollgate_outbound::{FetchFault, Reach};
use url::Url;

/// URLs that must lead nowhere, whoever wrote them hoped otherwise.
const FORBIDDEN: [&str; 92] = [
    "https://127.0.0.1/c",
    "https://127.0.0.2/c",
    "https://127.1/c",
    "https://127.0.1/c",
    "https://127.255.255.254/c",
    "https://0/c",
    "https://0.0.0.0/c",
    "https://0x0/c",
    "https://0.1.2.3/c",
    "https://2130706433/c",
    "https://0x7f000001/c",
    "https://0x7f.1/c",
    "https://0x7f.0.0.1/c",
    "https://0x7F.0x0.0x0.0x1/c",
    "https://0177.0.0.1/c",
    "https://0177.1/c",
    "https://017700000001/c",
    "https://127.0.0.1./c",
    "https://127.1./c",
    "https://①②⑦.⓪.⓪.①/c",
    "https://127。0。0。1/c",
    "https://%31%32%37.0.0.1/c",
    "https://[::1]/c",
    "https://[::]/c",
    "https://[0:0:0:0:0:0:0:1]/c",
    "https://[0000:0000:0000:0000:0000:0000:0000:0001]/c",
    "https://[::127.0.0.1]/c",
    "https://[::ffff:127.0.0.1]/c",
    "https://[::ffff:7f00:1]/c",
    "https://[::ffff:7f00:0001]/c",
    "https://[::ffff:10.0.0.1]/c",
    "https://[::ffff:169.254.169.254]/c",
    "https://[::ffff:0:127.0.0.1]/c",
    "https://[64:ff9b::127.0.0.1]/c",
    "https://[64:ff9b::a9fe:a9fe]/c",
    "https://[64:ff9b:1::8.8.8.8]/c",
    "https://[2002:7f00:1::]/c",
    "https://[2002:a00:1::1]/c",
    "https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/c",
    "https://[2001:db8::1]/c",
    "https://[3fff::1]/c",
    "https://[5f00::1]/c",
    "https://[100::1]/c",
    "https://[fc00::1]/c",
    "https://[fd00:ec2::254]/c",
    "https://[fe80::1]/c",
    "https://[fec0::1]/c",
    "https://[ff02::1]/c",
    "https://10.0.0.1/c",
    "https://10.1/c",
    "https://167772161/c",
    "https://100.64.0.1/c",
    "https://100.100.100.200/c",
    "https://168.63.129.16/c",
    "https://169.254.169.254/c",
    "https://169.254.1/c",
    "https://2852039166/c",
    "https://0xa9fea9fe/c",
    "https://0251.0376.0251.0376/c",
    "https://172.16.0.1/c",
    "https://172.31.255.255/c",
    "https://192.0.0.192/c",
    "https://192.0.2.1/c",
    "https://192.88.99.1/c",
    "https://192.168.0.1/c",
    "https://192.168.1/c",
    "https://198.18.0.1/c",
    "https://198.51.100.1/c",
    "https://203.0.113.1/c",
    "https://224.0.0.1/c",
    "https://240.0.0.1/c",
    "https://255.255.255.255/c",
    "https://4294967295/c",
    "https://localhost/c",
    "https://LOCALHOST/c",
    "https://localhost./c",
    "https://ｌｏｃａｌｈｏｓｔ/c",
    "https://a.localhost/c",
    "https://a.localhost./c",
    "https://intranet/c",
    "https://metadata./c",
    "https://loop.example/c",
    "https://loop.example./c",
    "https://six.example/c",
    "https://mapped.example/c",
    "https://private.example/c",
    "https://metadata.example/c",
    "https://mixed.example/c",
    "https://mixed-six.example/c",
    "https://nat.example/c",
    "https://last.example/c",
    "https://nothing.example/c",
];

fn names() -> Names {
    Names::default()
        .with("loop.example", &[&["127.0.0.1"]])
        .with("loop.example.", &[&["127.0.0.1"]])
        .with("six.example", &[&["::1"]])
        .with("mapped.example", &[&["::ffff:127.0.0.1"]])
        .with("private.example", &[&["10.1.2.3"]])
        .with("metadata.example", &[&["169.254.169.254"]])
        .with("mixed.example", &[&["8.8.8.8", "127.0.0.1"]])
        .with("mixed-six.example", &[&["2606:4700::1", "fe80::1"]])
        .with("nat.example", &[&["64:ff9b::10.0.0.1"]])
        .with(
            "last.example",
            &[&["8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9", "10.0.0.1"]],
        )
        .with("nothing.example", &[&[]])
        // Never asked for: what these names stand for must not even be looked up.
        .with("localhost", &[&["8.8.8.8"]])
        .with("localhost.", &[&["8.8.8.8"]])
        .with("a.localhost", &[&["8.8.8.8"]])
        .with("a.localhost.", &[&["8.8.8.8"]])
        .with("intranet", &[&["8.8.8.8"]])
        .with("metadata.", &[&["8.8.8.8"]])
}

#[tokio::test]
async fn no_spelling_of_an_address_that_is_not_public_is_connected_to() {
    let names = Arc::new(names());
    let fetcher = over(&names);
    for text in FORBIDDEN {
        // Some are no URL at all: also refused.
        let Ok(url) = Url::parse(text) else { continue };
        let fault = fetcher.send(ask(&url, Reach::Public)).await.expect_err(text);
        let is_refused = matches!(fault, FetchFault::NotPublic { .. });
        let is_nowhere = matches!(fault, FetchFault::Name { .. });
        assert!(is_refused || (is_nowhere && text.contains("nothing")), "{text}: {fault}");
    }
    assert_eq!(names.opened(), []);
    assert!(names.looked_up().iter().all(|name| name.contains("example")));
}

#[tokio::test]
async fn spellings_without_a_meaning_are_few() {
    let meaningless = FORBIDDEN.iter().filter(|text| Url::parse(text).is_err()).count();
    assert!(meaningless <= 3, "{meaningless} of {} are not judged by us", FORBIDDEN.len());
}

#[tokio::test]
async fn urls_that_are_not_plainly_public_https_are_refused() {
    let names = Arc::new(Names::default().with("a.example", &[&["8.8.8.8"]]));
    let fetcher = over(&names);
    for text in [
        "http://a.example/c",
        "https://a.example:22/c",
        "https://a.example:8443/c",
        "https://a.example:80/c",
        "https://user@a.example/c",
        "https://user:word@a.example/c",
        "https://:word@a.example/c",
        "ftp://a.example/c",
        "file:///etc/passwd",
        "ws://a.example/c",
        "data:application/json,{}",
        "gopher://a.example/c",
    ] {
        let url = Url::parse(text).expect(text);
        let fault = fetcher.send(ask(&url, Reach::Public)).await.expect_err(text);
        assert!(matches!(fault, FetchFault::Url(_)), "{text}: {fault}");
    }
    assert_eq!((names.looked_up(), names.opened()), (vec![], vec![]));
}

#[tokio::test]
async fn what_is_connected_to_is_what_was_judged_and_a_name_is_looked_up_once() {
    let answers: [&[&str]; 2] = [&["8.8.8.8"], &["127.0.0.1"]];
    let names = Arc::new(Names::default().with("flip.example", &answers));
    let fetcher = over(&names);
    let url = Url::parse("https://flip.example/c").expect("a URL");
    // The first look-up is public, so it is connected to; the second is not.
    let first = fetcher.send(ask(&url, Reach::Public)).await;
    assert!(matches!(first, Err(FetchFault::Unreachable { .. })), "{first:?}");
    assert_eq!(names.looked_up().len(), 1);
    assert_eq!(names.opened(), ["8.8.8.8:443".parse().expect("an address")]);
    let second = fetcher.send(ask(&url, Reach::Public)).await;
    assert!(matches!(second, Err(FetchFault::NotPublic { .. })), "{second:?}");
    assert_eq!(names.opened().len(), 1);
}

#[tokio::test]
async fn public_addresses_are_tried_in_turn_and_at_most_four() {
    let many = ["8.8.8.8", "2606:4700::1", "::ffff:8.8.4.4", "64:ff9b::1.1.1.1", "9.9.9.9"];
    let names = Arc::new(Names::default().with("many.example", &[&many]));
    let url = Url::parse("https://many.example/c").expect("a URL");
    let tried = over(&names).send(ask(&url, Reach::Public)).await;
    assert!(matches!(tried, Err(FetchFault::Unreachable { .. })), "{tried:?}");
    let shown: Vec<_> = names.opened().iter().map(ToString::to_string).collect();
    let wanted =
        ["8.8.8.8:443", "[2606:4700::1]:443", "[::ffff:8.8.4.4]:443", "[64:ff9b::101:101]:443"];
    assert_eq!(shown, wanted);
}

#[tokio::test]
async fn a_name_with_more_addresses_than_are_judged_is_refused() {
    let many: Vec<_> = (0..65).map(|n| format!("8.8.8.{n}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let names = Arc::new(Names::default().with("many.example", &[&many]));
    let url = Url::parse("https://many.example/c").expect("a URL");
    let tried = over(&names).send(ask(&url, Reach::Public)).await;
    assert!(matches!(tried, Err(FetchFault::Name { .. })), "{tried:?}");
    assert_eq!(names.opened(), []);
}

#[tokio::test]
async fn clear_text_is_for_loopback_only_where_that_is_allowed() {
    let mut server = Server::start(Script::Say(ok("{}"))).await;
    let fetcher = plain();
    let fetched = fetcher.send(ask(&server.url(), Reach::PublicOrLoopback)).await;
    assert_eq!(fetched.expect("an answer").body, "{}");
    assert_eq!(server.heads().len(), 1);

    let names = names().with("public.example", &[&["8.8.8.8"]]);
    let names = Arc::new(names.with("localhost", &[&["10.0.0.1"]]));
    let fetcher = over(&names);
    for text in [
        "http://public.example/c",
        "http://8.8.8.8/c",
        "http://mixed.example/c",
        "http://10.0.0.1/c",
        "https://10.0.0.1:8443/c",
        "https://private.example/c",
        "https://mixed-six.example/c",
        "http://localhost/c",
        "http://intranet/c",
    ] {
        let url = Url::parse(text).expect(text);
        let fault = fetcher.send(ask(&url, Reach::PublicOrLoopback)).await.expect_err(text);
        assert!(matches!(fault, FetchFault::NotPublic { .. }), "{text}: {fault}");
    }
    assert_eq!(names.opened(), []);
}

#[tokio::test]
async fn what_the_operator_wrote_goes_anywhere() {
    let mut server = Server::start(Script::Say(ok("{}"))).await;
    let names = Names::default().with("keys", &[&["10.9.9.9", "10.9.9.10"]]);
    let names = Arc::new(names.door("10.9.9.10:8080", server.address));
    let url = Url::parse("http://keys:8080/jwks").expect("a URL");
    let fetched = over(&names).send(ask(&url, Reach::Anywhere)).await;
    assert_eq!(fetched.expect("an answer").body, "{}");
    let heads = server.heads();
    assert!(heads[0].contains("host: keys:8080\r\n"), "{heads:?}");
}

#[tokio::test]
async fn an_address_that_does_not_answer_leaves_time_for_the_next() {
    /// The first address never answers.
    #[derive(Debug)]
    struct Half(std::net::SocketAddr);

    impl tollgate_outbound::Net for Half {
        fn look_up<'a>(&'a self, _: &'a str, _: u16) -> tollgate_outbound::Lookup<'a> {
            let found = ["192.0.2.1:80", "192.0.2.2:80"].map(|text| text.parse());
            Box::pin(async move { Ok(found.into_iter().flatten().collect()) })
        }

        fn open(&self, address: std::net::SocketAddr) -> tollgate_outbound::Opening<'_> {
            let door = self.0;
            Box::pin(async move {
                if address.ip().to_string() == "192.0.2.1" {
                    std::future::pending::<()>().await;
                }
                tokio::net::TcpStream::connect(door).await
            })
        }
    }

    let server = Server::start(Script::Say(ok("{}"))).await;
    let net = Arc::new(Half(server.address));
    let fetcher = tollgate_outbound::Fetcher::over(tollgate_outbound::Trust::System, net);
    let url = Url::parse("http://half.example/").expect("a URL");
    let mut ask = ask(&url, Reach::Anywhere);
    ask.limit = Duration::from_secs(2);
    let fetched = fetcher.expect("a fetcher").send(ask).await;
    assert_eq!(fetched.expect("an answer").body, "{}");
}
