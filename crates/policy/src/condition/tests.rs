//! What conditions see, what they are refused for, and what they can cost at worst.

use super::{Arguments, Condition, ConditionError, Facts, Verdict};
use crate::decision::Question;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tollgate_core::ids::{RoutePath, UpstreamName};
use tollgate_core::party::{Item, ItemKind, Party};
use tollgate_core::principal::{CallerKey, Credential, Names, Principal, Proof};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn condition(text: &str) -> Condition {
    Condition::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn principal(claims: Option<&str>) -> Principal {
    let names = Names {
        issuer: "https://login.example".into(),
        subject: "u1".into(),
        client: "ci".into(),
        caller_digest: [1; 16],
        agent_digest: [2; 16],
    };
    let mut proof = Proof::new(names, Credential::Jwt, 0);
    proof.user = Some("u1".into());
    proof.groups = Arc::new(["dev".into(), "ops".into()]);
    proof.scopes = Arc::new(["files:read".into()]);
    proof.claims = claims.map(Arc::from);
    Principal::Proven(Arc::new(proof))
}

fn judge_as(who: &Principal, text: &str, seen: Arguments, arguments: Option<&str>) -> Verdict {
    let (route, upstream) = (RoutePath::from("/mcp"), UpstreamName::from("git"));
    let question = Question {
        party: Party { principal: who, caller: CallerKey::of_address(HERE), address: HERE },
        route: &route,
        method: "tools/call",
        item: Item { kind: ItemKind::Tool, upstream: &upstream, name: "push" },
        arguments: arguments.map(str::as_bytes),
    };
    condition(text).judge(&Facts::new(&question), seen)
}

fn judge(text: &str, arguments: &str) -> Verdict {
    let who = principal(Some(r#"{"tier":"gold","seats":3,"realm":{"roles":["a"]}}"#));
    judge_as(&who, text, Arguments::Seen, Some(arguments))
}

fn blind(text: &str) -> Verdict {
    judge_as(&principal(None), text, Arguments::Unseen, None)
}

#[test]
fn a_name_that_a_careless_upstream_takes_for_another_says_nothing() {
    for (text, arguments) in [
        ("!has(args.force)", r#"{"Force":true}"#),
        ("!('force' in args)", r#"{"FORCE":true}"#),
        ("!has(args.force)", r#"{"for\u0000ce":true}"#),
        ("args.branch != 'main'", r#"{"branch":"x","Branch":"main"}"#),
        ("args.to.branch != 'main'", r#"{"to":{"branch":"x"},"more":[{"BRANCH":"main"}]}"#),
        ("args['branch'] != 'main'", r#"{"branch":"x","bran\u212ah":1,"b":{"brancH":"main"}}"#),
    ] {
        assert_eq!(judge(text, arguments), Verdict::Failed, "{text} for {arguments}");
    }
    assert_eq!(judge("!has(args.force)", r#"{"forced":1,"Other":2}"#), Verdict::Yes);
    assert_eq!(judge("args.branchName == 'x'", r#"{"branchName":"x"}"#), Verdict::Yes);
}

#[test]
fn conditions_see_who_calls_what_with_what() {
    for text in [
        "agent == 'ci' && issuer == 'https://login.example' && user == 'u1'",
        "'ops' in groups && 'files:read' in scopes && size(groups) == 2",
        "route == '/mcp' && upstream == 'git' && tool == 'push' && kind == 'tool'",
        "method == 'tools/call' && address == '127.0.0.1'",
        "claims.tier == 'gold' && claims.seats > 2 && 'a' in claims.realm.roles",
        "args.branch != 'main' && args.branch.matches('^feature/[a-z]+$')",
        "args.files.all(f, f.startsWith('/srv/')) && args.files.exists(f, f.endsWith('.md'))",
        "has(args.branch) && !has(args.force) && args.?force.orValue(true)",
        "args.files.filter(f, f.contains('a')).size() == 1 && args.depth == 1.0",
    ] {
        let arguments = r#"{"branch":"feature/x","files":["/srv/a.md","/srv/b"],"depth":1}"#;
        assert_eq!(judge(text, arguments), Verdict::Yes, "{text}");
    }
}

#[test]
fn what_cannot_be_said_is_not_guessed() {
    for (text, arguments) in [
        ("args.branch == 'main'", "{}"),
        ("args.n > 1", r#"{"n":"2"}"#),
        ("args.n / 0 == 1", r#"{"n":1}"#),
        ("claims.absent == 'x'", "{}"),
        ("args.x", r#"{"x":"yes"}"#),
        ("args.x", r#"{"x":"#),
        ("args.x", "[true]"),
        ("args.x", r#"{"x":true} {"x":true}"#),
        ("args.x", r#"{"x":true,"x":true}"#),
        ("args.s.matches('a')", r#"{"s":1}"#),
    ] {
        assert_eq!(judge(text, arguments), Verdict::Failed, "{text} with {arguments}");
    }
}

#[test]
fn what_holds_anyway_holds_in_spite_of_an_error() {
    assert_eq!(judge("args.absent || agent == 'ci'", "{}"), Verdict::Yes);
    assert_eq!(judge("args.absent && agent == 'web'", "{}"), Verdict::No);
}

#[test]
fn numbers_are_what_they_were_or_nothing() {
    for (text, number) in [
        ("args.n == 9223372036854775807", "9223372036854775807"),
        ("args.n == 9223372036854775808u && args.n > 1", "9223372036854775808"),
        ("args.n < 0.2 && args.n > 0", "0.1"),
        ("args.n == 3", "3.0"),
        ("args.n == -1", "-1"),
    ] {
        assert_eq!(judge(text, &format!("{{\"n\":{number}}}")), Verdict::Yes, "{number}");
    }
    for number in
        ["18446744073709551616", "-9223372036854775809", "9007199254740993.0", "1e300", "1e999"]
    {
        assert_eq!(
            judge("args.n != 7", &format!("{{\"n\":{number}}}")),
            Verdict::Failed,
            "{number}"
        );
    }
}

#[test]
fn arguments_beyond_their_bounds_are_not_looked_at() {
    let long = format!(r#"{{"s":"{}"}}"#, "a".repeat(64 * 1024));
    let deep = format!(r#"{{"s":{}1{}}}"#, "[".repeat(40), "]".repeat(40));
    let many = format!(r#"{{"s":[{}1]}}"#, "1,".repeat(1_100));
    for arguments in [&long, &deep, &many] {
        assert_eq!(judge("has(args.s)", arguments), Verdict::Failed);
        assert_eq!(judge("agent == 'ci'", arguments), Verdict::Yes);
    }
}

#[test]
fn claims_that_are_not_there_fail_what_reads_them() {
    let who = principal(None);
    for text in ["!has(claims.blocked)", "claims.x == 1", "size(claims) == 0"] {
        assert_eq!(judge_as(&who, text, Arguments::Seen, None), Verdict::Failed, "{text}");
    }
    let verdict = judge_as(
        &Principal::Anonymous,
        "agent == 'anonymous' && user == ''",
        Arguments::Seen,
        None,
    );
    assert_eq!(verdict, Verdict::Yes);
}

#[test]
fn unseen_arguments_leave_open_what_depends_on_them_and_nothing_else() {
    assert_eq!(blind("args.branch != 'main'"), Verdict::Depends);
    assert_eq!(blind("agent == 'ci' && args.branch != 'main'"), Verdict::Depends);
    assert_eq!(blind("args.branch != 'main' && agent == 'web'"), Verdict::No);
    assert_eq!(blind("args.branch != 'main' || agent == 'ci'"), Verdict::Yes);
    assert_eq!(blind("agent == 'web'"), Verdict::No);
    assert_eq!(blind("claims.x == 1"), Verdict::Failed);
    assert!(condition("size(args) == 0").reads_arguments());
    assert!(condition("['x'].all(k, k in args)").reads_arguments());
    assert!(!condition("claims.args == 'args'").reads_arguments());
}

#[test]
fn what_is_wrong_is_refused_when_it_is_read() {
    let refused = |text: &str| Condition::parse(text).expect_err(text);
    assert!(matches!(refused("args.branch ="), ConditionError::Syntax { .. }));
    assert!(matches!(refused(""), ConditionError::Syntax { .. }));
    assert_eq!(refused("agents == 'x'"), ConditionError::UnknownName("agents".to_owned()));
    assert_eq!(refused("agent == main"), ConditionError::UnknownName("main".to_owned()));
    assert_eq!(refused("lower(agent) == 'x'"), ConditionError::UnknownFunction("lower".to_owned()));
    assert_eq!(
        refused("groups.exists(args, args == 'x')"),
        ConditionError::Shadowed("args".to_owned())
    );
    assert_eq!(refused("args.a.all(x, args.b.exists(y, x == y))"), ConditionError::Nested);
    assert_eq!(refused("args.a.map(x, args.b.map(y, y)).size() > 1"), ConditionError::Nested);
    assert_eq!(refused("args.a.matches(args.b)"), ConditionError::PatternNotWritten);
    assert!(matches!(refused("args.a.matches('(a')"), ConditionError::BadPattern(_)));
    assert!(matches!(refused("args.a.matches('a{1000}{1000}')"), ConditionError::BadPattern(_)));
    assert_eq!(refused("size(groups)"), ConditionError::NotBoolean);
    assert_eq!(refused("'true'"), ConditionError::NotBoolean);
    assert_eq!(refused("Thing{a: 1} == 1"), ConditionError::Message);
    assert!(matches!(refused("args.a.all(x, x in args.b)"), ConditionError::TooExpensive { .. }));
    assert!(matches!(
        refused(&format!("args.a.map(x, {}).size() > 1", ["args.s"; 20].join(" + "))),
        ConditionError::TooExpensive { .. }
    ));
    for error in [refused("x"), refused("f(1)"), refused("1 +"), refused("size(groups)")] {
        assert!(!error.to_string().is_empty() && !error.remedy().is_empty());
    }
}

#[test]
fn nothing_that_can_be_written_overflows_the_stack() {
    let around = |open: &str, inner: &str, close: &str, times: usize| {
        format!("{}{inner}{}", open.repeat(times), close.repeat(times))
    };
    let texts: Vec<String> = [1, 20, 30, 60, 120, 400, 1_000]
        .into_iter()
        .flat_map(|times| {
            [
                around("(", "true", ")", times),
                around("[", "true", "]", times),
                around("!", "true", "", times),
                around("-", "1", " == 1", times.min(5)),
                around("true ? true : ", "true", "", times),
                around("agent", "", ".a", 1) + &".a".repeat(times),
                around("", "true", " && true", times),
                around("", "1", " + 1", times) + " == 1",
                around("size(", "groups", ")", times),
                around("args.", "a", ".b.all(x, x)", 1) + &".filter(x, x)".repeat(times),
                around("args", "", "[0]", times),
                around("{1:", "1", "}", times),
            ]
        })
        .collect();
    // As small as the stacks of threads that serve.
    let run = std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(move || {
        for text in &texts {
            if let Ok(condition) = Condition::parse(text) {
                let who = principal(None);
                drop(condition);
                judge_as(&who, text, Arguments::Seen, Some("{\"a\":1}"));
            }
        }
    });
    run.expect("a thread").join().expect("no panic");
}

#[test]
fn the_worst_arguments_for_the_most_expensive_conditions_take_no_longer_than_the_bound_says() {
    // The dearest that may be written, each as often as it may be.
    let each = [
        "args.l.all(x, args.s.contains('aaaaaaab'))",
        "args.l.exists(x, x.matches('(a|b|aa)*c'))",
        "args.l.all(x, !(x in claims.l))",
        "args.s.matches('(a*)*b')",
        "args.l == args.l",
        "args.l.map(x, x + x + x).size() == 0",
        "args.l.filter(x, x.startsWith('b') || x.endsWith('b')).size() > 3",
    ];
    let texts = each.iter().filter_map(|one| {
        (1..=64)
            .rev()
            .map(|times| vec![*one; times].join(" || "))
            .find(|text| Condition::parse(text).is_ok())
    });
    let long = format!(
        r#"{{"l":[{}"a"],"s":"{}"}}"#,
        "\"aaaaaaaaaaaa\",".repeat(1_000),
        "a".repeat(40_000)
    );
    let one = format!(r#"{{"l":["{}"],"s":"a"}}"#, "a".repeat(64_000));
    let mut claims = String::from(r#"{"l":["x""#);
    while claims.len() < 8_000 {
        let _ = write!(claims, ",\"y\"");
    }
    let who = principal(Some(&format!("{claims}]}}")));
    for text in texts {
        for arguments in [&long, &one] {
            let start = Instant::now();
            judge_as(&who, &text, Arguments::Seen, Some(arguments));
            let took = start.elapsed();
            println!("{took:?} of {} for {}", condition(&text).cost(), &text[..text.len().min(60)]);
            // Unoptimised, and on a machine that does other things: in earnest a fraction of it.
            assert!(took < Duration::from_secs(3), "{took:?}: {text}");
        }
    }
}
