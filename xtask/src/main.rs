//! `cargo xtask`: the project's own tools.

mod bench;

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args_os().skip(1);
    match args.next().as_deref().and_then(std::ffi::OsStr::to_str) {
        Some("bench") => bench::run(args),
        _ => anyhow::bail!("the tasks are: bench"),
    }
}
