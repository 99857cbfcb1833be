//! Mutated bodies, read by the gate and by parsers that disagree with each other: whatever any of them
//! reads in a body that is forwarded is what was judged.

use super::{Subjects, Target};
use crate::call::Post;
use crate::hub;
use crate::knowledge::Knowledge;
use crate::meter::Tabs;
use crate::settings::{
    CredentialSettings, EjectionSettings, HealthSettings, Probe, RouteSettings, SessionLoss,
    Transport, UpstreamEra, UpstreamSettings, UpstreamTimeouts, UpstreamTls,
};
use crate::snapshot::{Leg, Plan, Route};
use crate::upstream::Upstreams;
use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::collections::HashMap;
use std::fmt;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tollgate_core::ids::{RoutePath, UpstreamName};
use tollgate_identity::DoorId;
use tollgate_mcp::era::Era;
use tollgate_mcp::json::{self, Body, Limits, Message};
use tollgate_mcp::methods::Method;

fn upstream(name: &str) -> UpstreamSettings {
    let long = Duration::from_secs(9);
    UpstreamSettings {
        name: UpstreamName::from(name),
        transport: Transport::Http,
        endpoints: vec!["http://127.0.0.1:9/mcp".parse().expect("a url")],
        tls: UpstreamTls::default(),
        headers: Vec::new(),
        credential: CredentialSettings::None,
        era: UpstreamEra::Both,
        sessions: SessionLoss::Strict,
        timeouts: UpstreamTimeouts { connect: long, first_byte: long, pause: long, total: long },
        health: HealthSettings {
            probe: Probe::Connect,
            every: Duration::ZERO,
            timeout: long,
            unhealthy_after: 1,
            healthy_after: 1,
        },
        ejection: EjectionSettings { after: 0, span: long },
        resolve_every: long,
    }
}

/// A route to the upstreams `a` and `b`, or straight to `a`.
fn route(names: &[&str]) -> Route {
    let settings: Vec<UpstreamSettings> = names.iter().map(|name| upstream(name)).collect();
    let upstreams = Upstreams::build(&settings, None).expect("upstreams");
    let path = RoutePath::from("/mcp");
    let listed = names.iter().map(|name| UpstreamName::from(*name)).collect();
    let plan = hub::Plan::compile(&RouteSettings::plain(path.clone(), listed), None);
    let leg = |upstream: &Arc<crate::upstream::Upstream>| {
        Arc::new(Leg { upstream: upstream.clone(), knowledge: Arc::<Knowledge>::default() })
    };
    let legs: Vec<Arc<Leg>> = upstreams.iter().map(leg).collect();
    let plan = match plan {
        Some(plan) => Plan::Hub(Arc::new(plan)),
        None => Plan::Straight(legs[0].clone()),
    };
    Route { path, door: DoorId(0), legs, plan, soft_sessions: false }
}

/// A JSON value with all that was written, in order.
#[derive(Clone, Debug)]
enum Tree {
    Object(Vec<(String, Tree)>),
    Array(Vec<Tree>),
    Text(String),
    Other,
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Planter)
    }
}

struct Planter;

impl<'de> Visitor<'de> for Planter {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("json")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Tree::Object(members))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            elements.push(element);
        }
        Ok(Tree::Array(elements))
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Other)
    }
}

/// How a parser finds a member.
#[derive(Clone, Copy, Debug)]
struct Reader {
    takes_last: bool,
    folds_case: bool,
}

const READERS: [Reader; 4] = [
    Reader { takes_last: true, folds_case: false },
    Reader { takes_last: false, folds_case: false },
    Reader { takes_last: true, folds_case: true },
    Reader { takes_last: false, folds_case: true },
];

/// As Go's `encoding/json` folds.
fn folded(key: &str) -> String {
    let simple = |letter| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other,
    };
    key.chars().map(simple).flat_map(char::to_lowercase).collect()
}

impl Reader {
    fn member<'t>(self, tree: &'t Tree, wanted: &str) -> Option<&'t Tree> {
        let Tree::Object(members) = tree else { return None };
        let is_it = |key: &str| key == wanted || (self.folds_case && folded(key) == folded(wanted));
        let mut found = members.iter().filter(|(key, _)| is_it(key)).map(|(_, value)| value);
        if self.takes_last { found.next_back() } else { found.next() }
    }

    fn text(self, tree: Option<&Tree>, wanted: &str) -> Option<String> {
        match self.member(tree?, wanted)? {
            Tree::Text(text) => Some(text.clone()),
            _ => None,
        }
    }

    /// The methods and names that it reads in a body.
    fn read(self, body: &Tree) -> Vec<Read> {
        let messages = match body {
            Tree::Array(messages) => messages.as_slice(),
            one => std::slice::from_ref(one),
        };
        let methods = messages.iter().filter_map(|message| {
            let method = self.text(Some(message), "method")?;
            let params = self.member(message, "params");
            let reference = params.and_then(|params| self.member(params, "ref"));
            let name = match key_of(&method)? {
                "ref" => self.text(reference, "name").or_else(|| self.text(reference, "uri")),
                key => self.text(params, key),
            };
            Some((method, name))
        });
        methods.collect()
    }
}

/// The parameter that names what a method acts on.
fn key_of(method: &str) -> Option<&'static str> {
    Some(match method {
        "tools/call" | "prompts/get" => "name",
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => "uri",
        "tasks/get" | "tasks/cancel" | "tasks/result" | "tasks/update" => "taskId",
        "completion/complete" => "ref",
        _ => return None,
    })
}

fn post(body: &Bytes) -> Option<Post> {
    let messages = json::judge(body, &Limits::default()).ok()?;
    let method = |message: &Message| {
        message.method.map_or(Method::Other, |name| Method::of(&name.decode(body)))
    };
    let method = match &messages {
        Body::One(message) => method(message),
        Body::Batch(_) => Method::Other,
    };
    let body = body.clone();
    let (subjects, answered) = (Subjects::Off, Vec::new());
    let (version, params) = (None, Vec::new());
    let (era, tabs) = (Era::Legacy, Tabs::None);
    Some(Post { body, messages, era, method, version, params, subjects, answered, tabs })
}

/// A method, and the name it acts on.
type Read = (String, Option<String>);

/// What is judged of a body, and the body that is forwarded; `None` for what policy refuses by itself.
fn judged(route: &Route, body: &Bytes) -> Option<(Bytes, Vec<Read>)> {
    let post = post(body)?;
    let subjects = Subjects::of(route, &post);
    let mut found = Vec::new();
    for (message, target) in post.all().iter().zip(subjects.all()) {
        let Some(method) = message.method.map(|name| name.decode(&post.body).into_owned()) else {
            continue;
        };
        match target {
            Target::Item(subject) => found.push((method, Some(subject.name.as_str().to_owned()))),
            Target::Task { id, .. } => found.push((method, Some(id.as_str().to_owned()))),
            Target::Nothing | Target::Listen => {}
            Target::Shortened { .. }
            | Target::Method(_)
            | Target::Absent(_)
            | Target::Unclear(_) => {
                return None;
            }
        }
    }
    Some((forwarded(route, &post, &subjects)?, found))
}

/// The bytes that go to the upstream, as `hub/errand.rs` makes them.
fn forwarded(route: &Route, post: &Post, subjects: &Subjects) -> Option<Bytes> {
    if route.straight().is_some() {
        return Some(post.body.clone());
    }
    let (message, [target]) = (post.one()?, subjects.all()) else { return None };
    let name = match target {
        Target::Item(subject) => subject.name.as_str(),
        Target::Task { id, .. } => id.as_str(),
        _ => return None,
    };
    let fields = &message.fields;
    let within = |key| json::find_path(&post.body, fields.reference?, &[key]);
    let span = match key_of(&message.method?.decode(&post.body))? {
        "name" => fields.name?.span,
        "uri" => fields.uri?.span,
        "taskId" => fields.task_id?.span,
        _ => within("name").or_else(|| within("uri"))?,
    };
    let text = serde_json::to_string(name).expect("a string");
    Some(json::replace(&post.body, message, span, text.as_bytes()).0)
}

/// A small generator of its own, so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() >> 16).unwrap_or(0) % n.max(1)
    }

    fn pick<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.below(of.len())]
    }

    /// A body, mutated.
    fn body(&mut self, is_hub: bool) -> Vec<u8> {
        let mut text = self.message(is_hub);
        if self.below(12) == 0 {
            text = format!("[{text},{}]", self.message(is_hub));
        }
        for _ in 0..self.below(4) {
            text = self.mutated(text);
        }
        let mut bytes = text.into_bytes();
        if self.below(20) == 0 {
            let at = self.below(bytes.len());
            bytes[at] = u8::try_from(self.below(256)).unwrap_or(0);
        }
        bytes
    }

    fn message(&mut self, is_hub: bool) -> String {
        let method = self.pick(&[
            "tools/call",
            "tools/call",
            "prompts/get",
            "resources/read",
            "resources/subscribe",
            "completion/complete",
            "tasks/get",
            "tools/list",
            "ping",
        ]);
        let name = self.pick(&["ok", "evil", "o\\u006b", "\\u0065vil", "a/b", "\\\"x"]);
        let name = if is_hub { format!("a__{name}") } else { name.to_owned() };
        let uri = self.pick(&["file:///ok", "file:///evil", "file:\\/\\/\\/ok"]);
        let uri = if is_hub { format!("tollgate+a:{uri}") } else { uri.to_owned() };
        let params = match key_of(method) {
            Some("name") => format!(r#""name":"{name}","arguments":{{"name":"evil","a":[1]}}"#),
            Some("uri") => format!(r#""uri":"{uri}""#),
            Some("taskId") => format!(r#""taskId":"{name}""#),
            Some(_) if self.below(2) == 0 => {
                format!(r#""ref":{{"type":"ref/prompt","name":"{name}"}}"#)
            }
            Some(_) => format!(r#""ref":{{"type":"ref/resource","uri":"{uri}"}}"#),
            None => r#""cursor":"c""#.to_owned(),
        };
        let id = self.below(3);
        format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}}}}}"#)
    }

    /// The text with a member put in somewhere, spelled or nested another way.
    fn mutated(&mut self, text: String) -> String {
        let places: Vec<usize> =
            text.char_indices().filter(|(_, c)| "{,}\"".contains(*c)).map(|(at, _)| at).collect();
        let at = places.get(self.below(places.len())).copied().unwrap_or(0);
        let (head, tail) = text.split_at(at);
        match self.below(9) {
            0..=3 => self.with_member(head, tail),
            4 => self.spelled(&text),
            5 => text.replacen(
                "tools/call",
                self.pick(&["Tools/call", "tools\\/call", "tools/call "]),
                1,
            ),
            6 => {
                format!("{head}{}{tail}", self.pick(&[" ", "\n", "\t", "\u{a0}", "\u{feff}", "\0"]))
            }
            7 => text.replacen("evil", "ok", 1),
            _ => text.replacen(
                "\"ok\"",
                self.pick(&["null", "[\"evil\"]", "{}", "\"\\ud83d\\ude00\""]),
                1,
            ),
        }
    }

    fn with_member(&mut self, head: &str, tail: &str) -> String {
        let key = self.pick(&[
            "name",
            "Name",
            "NAME",
            "uri",
            "URI",
            "method",
            "Method",
            "params",
            "Params",
            "param\u{17f}",
            "tas\u{212a}Id",
            "taskId",
            "taskid",
            "ref",
            "Ref",
            "arguments",
            "type",
            "na\\u006de",
            "metho\\u0064",
            "\\u006eame",
            "name\\u0000",
            " name",
            "id",
            "x",
        ]);
        let value = self.pick(&[
            "\"evil\"",
            "\"tools/call\"",
            "null",
            "{\"name\":\"evil\"}",
            "[\"evil\"]",
            "1",
            "\"a__evil\"",
            "\"ref/prompt\"",
            "\"file:///evil\"",
            "{\"uri\":\"file:///evil\"}",
            "{}",
            "1e999",
            "\"\\ud800\"",
        ]);
        let member = format!("\"{key}\":{value}");
        match tail.chars().next() {
            Some('{') => {
                let rest = tail.get(1..).unwrap_or_default();
                let comma = if rest.trim_start().starts_with('}') { "" } else { "," };
                format!("{head}{{{member}{comma}{rest}")
            }
            Some('}') => format!("{head},{member}{tail}"),
            Some(',') => format!("{head},{member}{tail}"),
            _ => format!("{head}{tail}"),
        }
    }

    fn spelled(&mut self, text: &str) -> String {
        let words = ["name", "uri", "method", "params", "taskId", "ref", "jsonrpc", "id"];
        let word = self.pick(&words);
        let spelled = match self.below(4) {
            0 => word.to_uppercase(),
            1 => format!("\\u00{:02x}{}", word.as_bytes()[0], &word[1..]),
            2 => format!("{word}\\u0000"),
            _ => word.replace('a', "\u{430}"),
        };
        text.replacen(word, &spelled, 1)
    }
}

const CASES: usize = if cfg!(debug_assertions) { 30_000 } else { 1_000_000 };

#[test]
fn what_any_parser_reads_in_a_forwarded_body_is_what_was_judged() {
    for (names, seed) in [(&["a"][..], 0x70_11_6a_7e), (&["a", "b"][..], 0x0a_2e_4a_0e)] {
        let (route, is_hub) = (route(names), names.len() > 1);
        let mut dice = Dice(seed);
        let mut counts: HashMap<String, usize> = HashMap::new();
        for case in 0..CASES / 2 {
            let body = Bytes::from(dice.body(is_hub));
            let Some((forwarded, judged)) = judged(&route, &body) else { continue };
            for (method, _) in &judged {
                *counts.entry(method.clone()).or_default() += 1;
            }
            // What a parser does not take at all does no harm.
            let Ok(tree) = serde_json::from_slice::<Tree>(&forwarded) else { continue };
            for reader in READERS {
                let read = reader.read(&tree);
                let shown = String::from_utf8_lossy(&forwarded);
                assert_eq!(read, judged, "case {case}, {reader:?}: {shown}");
            }
        }
        for method in ["tools/call", "resources/read", "completion/complete", "tasks/get"] {
            assert!(counts.get(method).is_some_and(|count| *count > 100), "{counts:?}");
        }
    }
}

/// Reads a line of hexadecimal digits at a time, and writes what it found as JSON.
const PYTHON: &str = r#"
import json, sys
def name(method, params):
    params = params if isinstance(params, dict) else {}
    key = KEYS[method]
    if key == "ref":
        ref = params.get("ref")
        ref = ref if isinstance(ref, dict) else {}
        return ref.get("name", ref.get("uri"))
    return params.get(key)
KEYS = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri", "resources/subscribe": "uri",
        "resources/unsubscribe": "uri", "tasks/get": "taskId", "completion/complete": "ref"}
for line in sys.stdin:
    try:
        body = json.loads(bytes.fromhex(line))
        messages = body if isinstance(body, list) else [body]
        print(json.dumps([[m["method"], name(m["method"], m.get("params"))] for m in messages
                          if isinstance(m, dict) and m.get("method") in KEYS]))
    except Exception:
        print("null")
"#;

const NODE: &str = r#"
const keys = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri", "resources/subscribe": "uri",
              "resources/unsubscribe": "uri", "tasks/get": "taskId", "completion/complete": "ref"};
const name = (m) => {
  const p = m.params ?? {}, key = keys[m.method];
  return (key === "ref" ? (p.ref?.name ?? p.ref?.uri) : p[key]) ?? null;
};
for (const line of require("fs").readFileSync(0, "utf8").trim().split("\n")) {
  try {
    const body = JSON.parse(Buffer.from(line, "hex").toString("utf8"));
    const all = Array.isArray(body) ? body : [body];
    console.log(JSON.stringify(all.filter((m) => m?.method in keys).map((m) => [m.method, name(m)])));
  } catch { console.log("null"); }
}
"#;

/// What a program reads in these bodies; `None` where the program is not installed.
fn read_by(program: &str, script: [&str; 2], lines: &str) -> Option<Vec<serde_json::Value>> {
    let spawned =
        Command::new(program).args(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = spawned.ok()?;
    let mut stdin = child.stdin.take().expect("a pipe");
    let lines = lines.to_owned();
    let writing = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().expect("an output");
    writing.join().expect("written").expect("read whole");
    let text = String::from_utf8(output.stdout).expect("text");
    Some(text.lines().map(|line| serde_json::from_str(line).expect("json")).collect())
}

#[test]
fn the_parsers_of_other_languages_read_what_was_judged() {
    let mut dice = Dice(0x5eed);
    let (mut lines, mut all) = (String::new(), Vec::new());
    for (names, is_hub) in [(&["a"][..], false), (&["a", "b"][..], true)] {
        let route = route(names);
        while all.len() < if is_hub { 4_000 } else { 2_000 } {
            let body = Bytes::from(dice.body(is_hub));
            let Some((forwarded, judged)) = judged(&route, &body) else { continue };
            lines.extend(forwarded.iter().map(|byte| format!("{byte:02x}")));
            lines.push('\n');
            all.push((forwarded, judged));
        }
    }
    let python = read_by("python3", ["-c", PYTHON], &lines).expect("python3 is installed");
    let node = read_by("node", ["-e", NODE], &lines);
    for read in [Some(python), node].into_iter().flatten() {
        assert_eq!(read.len(), all.len());
        for ((body, judged), found) in all.iter().zip(read) {
            let judged = serde_json::to_value(judged).expect("json");
            let is_same = found.is_null() || found == judged;
            assert!(is_same, "{found} {judged}: {}", String::from_utf8_lossy(body));
        }
    }
}
