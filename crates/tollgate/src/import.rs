//! `tollgate import`: from the configuration a client already has to a configuration of the gate.
//!
//! Carries what has a counterpart, says what has none, and keeps secrets out of what it writes. Starts
//! nothing and connects nowhere; the same file always gives the same result.
//!
//! Read in this order.

mod formats;

mod reading;

mod server;

mod template;

mod names;

mod secrets;

mod looks;

mod variables;

mod entry;

mod lines;

mod writing;

use crate::cli::{EXIT_REFUSED, ImportArgs};
use crate::screen::on_one_line;
use std::fmt::Write as _;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tollgate_core::bounds::{CONFIG_BYTES_MAX, IMPORT_BYTES_MAX, IMPORT_SHOWN_MAX, UPSTREAMS_MAX};
use writing::Written;

/// Why a file was not imported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    #[error("`{}` cannot be read: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("the file is larger than {IMPORT_BYTES_MAX} bytes: is it the right one?")]
    TooLarge,
    #[error("the file is not UTF-8 text")]
    NotText,
    #[error("the file is not JSON (comments and trailing commas are taken): {0}")]
    NotJson(String),
    #[error("the file is not TOML: {0}")]
    NotToml(String),
    #[error(
        "the file is neither JSON nor TOML: name the file in which the client keeps its servers"
    )]
    Unknown,
    #[error("there are no servers in this file: they are expected under {places}")]
    NoServers { places: String },
    #[error("the list of servers in this file is empty")]
    Empty,
    #[error(
        "there are more than {UPSTREAMS_MAX} servers in this file, which is what one gate takes"
    )]
    TooMany,
    #[error(
        "the configuration would be larger than {CONFIG_BYTES_MAX} bytes, which is what one gate takes"
    )]
    ResultTooLarge,
    #[error("none of the servers in this file can be an upstream:\n{0}")]
    NothingLeft(String),
    #[error("`{}` is there already: remove it, choose another name, or add `--force`", .0.display())]
    Exists(PathBuf),
    #[error("`{}` cannot be written: {source}", path.display())]
    Unwritable { path: PathBuf, source: io::Error },
}

/// Runs the command.
///
/// # Errors
/// Standard output or standard error is closed.
pub(crate) fn run(args: &ImportArgs) -> io::Result<ExitCode> {
    let written = match import(args) {
        Ok(written) => written,
        Err(error) => {
            writeln!(io::stderr(), "tollgate import: {error}")?;
            return Ok(ExitCode::from(EXIT_REFUSED));
        }
    };
    if args.output.is_none() {
        let mut out = io::stdout().lock();
        out.write_all(written.text.as_bytes())?;
        out.flush()?;
    }
    io::stderr().lock().write_all(report(&written, args).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn import(args: &ImportArgs) -> Result<Written, ImportError> {
    let text = read(&args.file)?;
    let source = formats::read(&text, args.format)?;
    let written = writing::write(&source, &called(&args.file));
    if written.counts.iter().sum::<usize>() == 0 {
        let mut reasons = String::new();
        for (server, why) in &written.refused {
            // Writing to a string cannot fail.
            let _ = writeln!(reasons, "  {}: {why}", on_one_line(server, IMPORT_SHOWN_MAX));
        }
        if written.disabled > 0 {
            let _ = writeln!(reasons, "  disabled: {}; enable one", written.disabled);
        }
        return Err(ImportError::NothingLeft(reasons.trim_end().to_owned()));
    }
    if written.text.len() > CONFIG_BYTES_MAX {
        return Err(ImportError::ResultTooLarge);
    }
    if let Some(path) = &args.output {
        save(path, &written.text, args.force)?;
    }
    Ok(written)
}

/// The file's own name: the folder it is in says nothing about the result, and may say who made it.
fn called(file: &Path) -> String {
    match file.file_name().filter(|_| file != Path::new("-")) {
        Some(name) => on_one_line(&name.to_string_lossy(), IMPORT_SHOWN_MAX),
        None => "standard input".to_owned(),
    }
}

fn read(path: &Path) -> Result<String, ImportError> {
    let limit = u64::try_from(IMPORT_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut content = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(limit).read_to_end(&mut content)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut content))
    };
    read.map_err(|source| ImportError::Unreadable { path: path.to_owned(), source })?;
    if content.len() > IMPORT_BYTES_MAX {
        return Err(ImportError::TooLarge);
    }
    String::from_utf8(content).map_err(|_| ImportError::NotText)
}

fn save(path: &Path, text: &str, force: bool) -> Result<(), ImportError> {
    let mut options = std::fs::OpenOptions::new();
    let options = if force {
        options.write(true).create(true).truncate(true)
    } else {
        options.write(true).create_new(true)
    };
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => ImportError::Exists(path.to_owned()),
        _ => ImportError::Unwritable { path: path.to_owned(), source },
    })
}

/// What a person should know and do, for standard error.
fn report(written: &Written, args: &ImportArgs) -> String {
    let [http, sse, stdio] = written.counts;
    let mut text = format!(
        "imported {} of {} servers: {http} over HTTP, {sse} over HTTP+SSE, {stdio} as processes\n",
        http + sse + stdio,
        http + sse + stdio + written.disabled + written.refused.len(),
    );
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    if written.disabled > 0 {
        line(format!("disabled, and therefore comments: {}", written.disabled));
    }
    for (server, why) in &written.refused {
        line(format!("warning: `{}` is a comment: {why}", on_one_line(server, IMPORT_SHOWN_MAX)));
    }
    if written.text.lines().any(|line| line.trim_start().starts_with("# not carried: ")) {
        line("what has no counterpart is a comment: look for `not carried`".to_owned());
    }
    let used: Vec<_> = written.wanted.iter().filter(|wanted| wanted.is_used).collect();
    if !used.is_empty() {
        let hidden = used.iter().any(|wanted| wanted.value.is_some()) && !args.print_secrets;
        let hint = if hidden { " (`--print-secrets` fills in those the file holds)" } else { "" };
        line(format!("set these where tollgate is started{hint}:"));
    }
    for wanted in used {
        let value = wanted.value.as_ref().filter(|_| args.print_secrets);
        let value = value.map(|value| in_shell(value.expose())).unwrap_or_default();
        let hint = wanted.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
        let about = on_one_line(&format!("{}{hint}", wanted.place), IMPORT_SHOWN_MAX);
        line(format!("export {}={value}    # {about}", wanted.name));
    }
    let path = args.output.as_deref().unwrap_or(Path::new("tollgate.yaml")).display();
    line(format!("next: tollgate check --config {path}"));
    text
}

/// A value as one word of a shell.
fn in_shell(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests;
