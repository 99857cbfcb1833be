//! `cargo xtask`: the project's own tools, one file each.
//!
//! They start processes, wait for them with deadlines, and end them by their own handles; nothing
//! here is shipped.
//!
//! Next: `test.rs` (everything, in order), then the file of the command you need.
#![expect(clippy::print_stdout, reason = "a command-line tool speaks through its output")]

mod bench;
mod browser;
mod clients;
mod conformance;
mod gate;
mod hygiene;
mod peers;
mod processes;
mod test;
mod tidy;

use anyhow::{Context, bail};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask COMMAND

  test                                     format, tidy, lints, docs, licences, peers, all tests
  tidy                                     the house rules that compilers do not keep
  peers                                    install the software that tests run Tollgate against
  conformance [--direct] [--release] [--gate PROGRAM] [--only PEER]
                                           the official suite, through the gate and directly
  clients [walks|http-sse|aggregate|oauth] [--direct] [--release] [--gate PROGRAM] [--only CLIENT]
                                           real clients, through the gate and directly
  browser                                  the issuer's pages in Chromium, judged by axe
  hygiene [--release] [--gate PROGRAM]     kills agents and the gate; nothing may be left
  bench [--quick] [--json FILE] ...        speed against a bare proxy and nginx (see --help)";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[String]) -> anyhow::Result<()> {
    let (command, rest) = words.split_first().context(USAGE)?;
    let root = root()?;
    match command.as_str() {
        "test" => test::run(&root, rest),
        "tidy" => tidy::run(&root, rest),
        "peers" => peers::run(&root, rest),
        "conformance" => conformance::run(&root, rest),
        "clients" => clients::run(&root, rest),
        "browser" => browser::run(&root, rest),
        "hygiene" => hygiene::run(&root, rest),
        "bench" => bench::run(rest.iter().map(std::ffi::OsString::from)),
        other => bail!("unknown command `{other}`\n{USAGE}"),
    }
}

/// The folder of the workspace.
fn root() -> anyhow::Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(Path::to_owned).context("xtask has no parent folder")
}
