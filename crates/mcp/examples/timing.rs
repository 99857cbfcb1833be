//! Prints how long the judge and the glance take, in nanoseconds a message.
//!
//! Not a benchmark with a history, only a look before and after a change of the innermost loops:
//! `cargo run --release -p tollgate-mcp --example timing`.
#![expect(clippy::print_stdout, reason = "its purpose is to print")]

use std::hint::black_box;
use std::time::Instant;

use tollgate_mcp::json::{Limits, judge};
use tollgate_mcp::reply::glance;

fn main() {
    let legacy = r#"{"jsonrpc":"2.0","id":12,"method":"tools/call","params":{"name":"search_issues","arguments":{"query":"is:open label:bug panic in parser","repository":"acme/widgets","limit":25,"labels":["bug","p1"],"since":"2026-01-01T00:00:00Z"},"_meta":{"progressToken":"tok-12"}}}"#;
    let modern = r#"{"jsonrpc":"2.0","id":12,"method":"tools/call","params":{"name":"search_issues","arguments":{"query":"x"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"a","version":"1"}}}}"#;
    for (name, body) in [("legacy call", legacy), ("modern call", modern)] {
        report(&format!("judge {name}"), body.len(), || {
            black_box(judge(black_box(body.as_bytes()), &Limits::default()).is_ok())
        });
    }
    for size in [1 << 10, 64 << 10, 4 << 20] {
        let prose =
            reply(&"the quick brown fox jumps over the lazy dog; ".repeat(size / 45 + 1)[..size]);
        let source =
            reply(&r#"let x = \"a\";\n    call(x);\n"#.repeat(size / 30 + 1)[..size / 30 * 30]);
        let umlauts = reply(&"größer als früher, schöner auch; ".repeat(size / 37 + 1));
        for (name, body) in [("prose", prose), ("escapes", source), ("umlauts", umlauts)] {
            report(&format!("glance {name}"), body.len(), || {
                black_box(glance(black_box(body.as_bytes())).is_ok())
            });
        }
    }
    let heavy = format!(
        r#"{{"jsonrpc":"2.0","id":1,"result":{{"a":[{}0]}}}}"#,
        r#"{"k":[1,2,true]},"#.repeat(4000)
    );
    report("glance structure", heavy.len(), || {
        black_box(glance(black_box(heavy.as_bytes())).is_ok())
    });
    let keys: String = (0..190_000).map(|index| format!(r#""k{index}":0,"#)).collect();
    let wide = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{{keys}"z":0}}}}"#);
    report("judge 190k keys", wide.len(), || {
        black_box(judge(black_box(wide.as_bytes()), &Limits::default()).is_ok())
    });
    let arrays = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"a":[{}0]}}}}"#,
        "[],".repeat(190_000)
    );
    report("judge 190k arrays", arrays.len(), || {
        black_box(judge(black_box(arrays.as_bytes()), &Limits::default()).is_ok())
    });
}

fn reply(text: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":12,"result":{{"content":[{{"type":"text","text":"{text}"}}],"isError":false}}}}"#
    )
}

/// Many short runs, the best of which no other process disturbed.
fn report(name: &str, bytes: usize, work: impl Fn() -> bool) {
    assert!(work(), "{name} is refused");
    let rounds = u32::try_from(200_000 / (bytes + 200)).unwrap_or(1).max(1);
    let best = (0..2_000)
        .scan(Instant::now(), |since, run| {
            let start = Instant::now();
            (run < 10 || start.duration_since(*since).as_millis() < 500).then(|| {
                for _ in 0..rounds {
                    work();
                }
                start.elapsed().as_secs_f64() * 1e9 / f64::from(rounds)
            })
        })
        .fold(f64::INFINITY, f64::min);
    println!("{name:20} {bytes:>9} bytes {best:>12.0} ns {:>8.2} GB/s", bytes as f64 / best);
}
