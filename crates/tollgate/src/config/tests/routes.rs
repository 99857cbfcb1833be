//! What a route comes to: its upstreams, what it shows of them, and the paths it takes.

use crate::config::tests::{checked, judged};
use tollgate_core::bounds;
use tollgate_gate::settings::{Curation, RouteSettings};

const UPSTREAMS: &str =
    "upstreams:\n  b: { http: { url: \"http://b/\" } }\n  a: { http: { url: \"http://a/\" } }\n";

fn file(routes: &str) -> String {
    format!("{UPSTREAMS}routes:\n{routes}\n")
}

/// The first route of these lines.
fn route(routes: &str) -> RouteSettings {
    checked(&file(routes)).settings.routes.remove(0)
}

/// The messages on a route of `a` and `b` with these keys.
fn mistakes(keys: &str) -> Vec<String> {
    let source = file(&format!("  /mcp: {{ upstreams: [a, b], {keys} }}"));
    let report = judged(&source).map(|_| ()).unwrap_err().to_string();
    report.lines().filter_map(|line| line.strip_prefix("error: ")).map(str::to_owned).collect()
}

fn texts(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

#[test]
fn a_route_keeps_the_order_of_its_upstreams() {
    let route = route("  /mcp: { upstreams: [a, b] }");
    let names: Vec<_> = route.upstreams.iter().map(|name| name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(route, RouteSettings::plain(route.path.clone(), route.upstreams.clone()));
}

#[test]
fn every_key_of_a_route_arrives() {
    let route = route(
        "  /mcp:\n    upstreams: [a, b]\n    tools:\n      include: [\"a__*\", find]\n      exclude: [\"*__delete?\"]\n      rename: { b__search: find, a__x: y }\n      describe: { find: Finds it., a__z: \"two\\nlines\" }\n    prompts: { rename: { a__p: q } }\n    resources: { include: [\"tollgate+a:*\"], exclude: [\"*.key\"] }\n    instructions: |\n      First.\n      Second.\n    soft_sessions: true\n    sse: true",
    );
    let tools = Curation {
        include: vec!["a__*".to_owned(), "find".to_owned()],
        exclude: vec!["*__delete?".to_owned()],
        rename: texts(&[("b__search", "find"), ("a__x", "y")]),
        describe: texts(&[("find", "Finds it."), ("a__z", "two\nlines")]),
    };
    assert_eq!(route.tools, tools);
    assert_eq!(route.prompts.rename, texts(&[("a__p", "q")]));
    assert_eq!(route.resources.include, ["tollgate+a:*"]);
    assert_eq!(route.resources.exclude, ["*.key"]);
    assert_eq!(route.instructions.as_deref(), Some("First.\nSecond.\n"));
    assert!(route.soft_sessions && route.sse);
}

#[test]
fn two_tools_may_swap_their_names_with_one_upstream() {
    let route = route(
        "  /mcp: { upstreams: [a], tools: { rename: { x: y, y: x }, describe: { x: was y }, exclude: [y] } }\n  /b: { upstreams: [b] }",
    );
    assert_eq!(route.tools.rename, texts(&[("x", "y"), ("y", "x")]));
}

#[test]
fn a_pattern_passes_where_a_name_of_the_route_could_match_it() {
    for pattern in ["*", "a__*", "a*", "?__x", "b__x", "*x", "a__?", "a__old", "new", "n*", "?"] {
        let keys = format!("tools: {{ include: [\"{pattern}\"], rename: {{ a__old: new }} }}");
        route(&format!("  /mcp: {{ upstreams: [a, b], {keys} }}"));
    }
    for pattern in ["c__*", "x*", "a_x*", "a__", "ab__x", "new2", "A__x"] {
        let keys = format!("tools: {{ include: [\"{pattern}\"], rename: {{ a__old: new }} }}");
        assert_eq!(mistakes(&keys).len(), 1, "{pattern}");
    }
}

#[test]
fn lists_descriptions_and_instructions_have_bounds() {
    let list = |count: usize| vec!["\"*\""; count].join(", ");
    let exclude = |count| format!("prompts: {{ exclude: [{}] }}", list(count));
    let passes = |keys: &str| route(&format!("  /mcp: {{ upstreams: [a, b], {keys} }}"));
    passes(&exclude(bounds::CURATION_ENTRIES_MAX));
    let too_many = "a list in `prompts` of route `/mcp` has 1001 entries";
    assert_eq!(mistakes(&exclude(bounds::CURATION_ENTRIES_MAX + 1)), [too_many]);
    let describe =
        |bytes: usize| format!("tools: {{ describe: {{ a__x: {} }} }}", "d".repeat(bytes));
    passes(&describe(bounds::DESCRIPTION_BYTES_MAX));
    let too_long = "the description of `a__x` has 4097 bytes";
    assert_eq!(mistakes(&describe(bounds::DESCRIPTION_BYTES_MAX + 1)), [too_long]);
    let instructions = |bytes: usize| format!("instructions: {}", "i".repeat(bytes));
    passes(&instructions(bounds::INSTRUCTIONS_BYTES_MAX));
    let too_long = "the instructions of route `/mcp` have 16385 bytes";
    assert_eq!(mistakes(&instructions(bounds::INSTRUCTIONS_BYTES_MAX + 1)), [too_long]);
    let glob = |bytes: usize| format!("tools: {{ include: [\"*{}\"] }}", "g".repeat(bytes - 1));
    passes(&glob(bounds::GLOB_BYTES_MAX));
    assert_eq!(mistakes(&glob(bounds::GLOB_BYTES_MAX + 1)).len(), 1);
}

#[test]
fn a_route_takes_as_many_upstreams_as_the_bound_says() {
    let with = |count: usize| {
        let upstreams: String =
            (0..count).map(|n| format!("  u{n}: {{ http: {{ url: \"http://a/\" }} }}\n")).collect();
        let names: Vec<_> = (0..count).map(|n| format!("u{n}")).collect();
        judged(&format!(
            "upstreams:\n{upstreams}routes:\n  /mcp: {{ upstreams: [{}] }}\n",
            names.join(", ")
        ))
    };
    assert!(with(bounds::ROUTE_UPSTREAMS_MAX).is_ok());
    let report = with(bounds::ROUTE_UPSTREAMS_MAX + 1).unwrap_err().to_string();
    assert!(report.contains("route `/mcp` offers 257 upstreams"), "{report}");
}

#[test]
fn paths_of_the_old_transport_are_free_where_it_is_off() {
    let settings = checked(&file(
        "  /mcp: { upstreams: [a, b] }\n  /mcp/sse: { upstreams: [a] }\n  /old: { upstreams: [a], sse: true }\n  /older/sse: { upstreams: [a] }",
    ))
    .settings;
    assert_eq!(settings.routes.len(), 4);
}
