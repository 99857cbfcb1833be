//! The Tollgate binary: reads the command line and hands over to one file per command.
//!
//! Exit codes: 0 done, 1 a failure while running, 2 a wrong command line or configuration.

mod cli;

mod config;

mod serve;

mod wire;

mod identity;

mod report;

mod notices;

mod demo;

mod check;

mod schema;

mod guard;

mod import;

mod front;

mod connect;

mod agent;

mod tools;

mod doctor;

mod screen;

mod dates;

mod policy;

mod records;

mod agents;

mod users;

mod keys;

mod pins;

mod usage;

mod ledger;

use clap::{CommandFactory as _, Parser as _};
use cli::{Cli, Command};
use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything that costs memory or threads: there may be a guard for every agent.
    if let Some(code) = guard::run() {
        return code;
    }
    let cli = Cli::parse();
    match run(&cli) {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to tell where standard error is closed too.
            let _ = writeln!(std::io::stderr(), "tollgate: {error:#}");
            ExitCode::from(cli::EXIT_FAILED)
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    match &cli.command {
        Command::Serve(args) => return serve::run(args, &cli.log),
        Command::Demo(args) => serve::demo(args, &cli.log)?,
        Command::Check(args) => return Ok(check::run(args)?),
        Command::Import(args) => return Ok(import::run(args)?),
        Command::Connect(args) => return connect::run(args),
        Command::Doctor(args) => return doctor::run(args, &cli.log),
        Command::Tools(args) => return tools::run(args, &cli.log),
        Command::Policy(args) => return policy::run(args, &cli.log),
        Command::Agents(args) => return agents::run(args),
        Command::Users(args) => return users::run(args),
        Command::Keys(args) => return keys::run(args),
        Command::Pins(args) => return pins::run(args),
        Command::Usage(args) => return usage::run(args),
        Command::Schema => schema::run()?,
        Command::Completions(args) => {
            // Into memory first: clap's generator panics when the pipe it writes to is closed.
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut Cli::command(), "tollgate", &mut script);
            std::io::stdout().write_all(&script)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// `tollgate schema | head` is not a failure.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
}
