//! The configuration file: from what an operator typed to what the gate needs, or to a report.
//!
//! `Raw` is what was typed ([`raw`]); [`Checked`] is what we need, and only that travels. A file is
//! taken whole or not at all, and everything that is wrong with it is said at once. Nothing here
//! listens, connects or applies anything: that is the caller's, with what [`load`] returns.
//!
//! Read in this order.

mod raw;

mod checking;

mod decode;

mod scalars;

mod values;

mod issuers;

mod billing;

mod rules;

mod amounts;

mod programs;

mod collections;

mod reading;

mod tree;

mod report;

mod cover;

pub(crate) mod watch;

pub(crate) use checking::is_own_header;
pub(crate) use report::Report;

use aws_lc_rs::digest;
use checking::Judged;
use decode::Decode as _;
use raw::Root;
pub(crate) use reading::{Environment, read_bounded};
use reading::{Reading, cause};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;
use tollgate_core::bounds::CONFIG_BYTES_MAX;
use tollgate_gate::settings::Settings;
use tollgate_issuer::settings::IssuerSettings;
pub(crate) use values::is_loopback;

/// One whole configuration that may be served.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Checked {
    /// What the gate needs.
    pub settings: Settings,
    /// The gate's own authorization server, where there is one.
    pub issuer: Option<IssuerSettings>,
    /// The file of the embedded store; `None` where nothing is to be kept. Changing it needs a restart.
    pub store: Option<PathBuf>,
    /// The file of the ledger of usage; `None` where nothing is metered. Changing it needs a restart.
    pub ledger: Option<PathBuf>,
    /// Where the operator's listener listens. Changing it needs a restart.
    pub admin: SocketAddr,
    /// Every file that was read, the configuration file first. When one changes, [`load`] again.
    pub watched: Vec<PathBuf>,
    /// What deserves a look, one line each, with its place in the file.
    pub warnings: Vec<String>,
}

/// Reads, resolves and checks the file at `path`.
///
/// # Errors
/// Everything that is wrong with it, for a person to read.
pub(crate) fn load(path: &Path) -> Result<Checked, Report> {
    load_with(path, &|name| std::env::var(name).ok())
}

/// The same for those who only look at it: a variable that is not set has some value. What comes of it
/// must not be served.
///
/// # Errors
/// Everything that is wrong with it besides.
pub(crate) fn look_at(path: &Path) -> Result<Checked, Report> {
    let real = load(path);
    // Whether a variable holds a host or a URL, only its place knows.
    let stand_ins = ["unset.invalid", "https://unset.invalid"];
    let looked = stand_ins.into_iter().find_map(|stand_in| {
        let environment = |name: &str| {
            std::env::var(name).ok().filter(|value| !value.is_empty()).or(Some(stand_in.to_owned()))
        };
        load_with(path, &environment).ok()
    });
    match (real, looked) {
        (Err(_), Some(looked)) => Ok(looked),
        (real, _) => real,
    }
}

fn load_with(path: &Path, environment: Environment<'_>) -> Result<Checked, Report> {
    let help =
        "name the file with `--config FILE` or in TOLLGATE_CONFIG; `tollgate demo` needs none";
    let content = match read_bounded(path, CONFIG_BYTES_MAX) {
        Ok(Some(content)) => content,
        Ok(None) => {
            let message = format!("the file is larger than {CONFIG_BYTES_MAX} bytes");
            return Err(Report::unreadable(path, message, "is this the right file?".to_owned()));
        }
        Err(error) => {
            let message = format!("the configuration cannot be read: {}", cause(&error));
            return Err(Report::unreadable(path, message, help.to_owned()));
        }
    };
    let Ok(source) = String::from_utf8(content) else {
        let help = "save it as UTF-8 text".to_owned();
        return Err(Report::unreadable(path, "the file is not UTF-8 text".to_owned(), help));
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut checked = judge(path, folder, &source, environment)?;
    checked.watched.insert(0, path.to_owned());
    Ok(checked)
}

/// Judges a configuration that is not in a file, under a name for its reports and as if in this folder.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn from_text(name: &str, folder: &Path, source: &str) -> Result<Checked, Report> {
    judge(Path::new(name), folder, source, &|name| std::env::var(name).ok())
}

/// Judges the text of a file. `path` only names it in reports.
pub(crate) fn judge(
    path: &Path,
    folder: &Path,
    source: &str,
    environment: Environment<'_>,
) -> Result<Checked, Report> {
    if source.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        let help = "start from `examples/minimal.yaml`: one upstream and one route are enough";
        return Err(Report::unreadable(path, "the file is empty".to_owned(), help.to_owned()));
    }
    let root = tree::parse(source).map_err(|mistake| {
        Report::new(path, &cover::cover_text(source, schema()), vec![mistake])
    })?;
    let mut reading = Reading::new(folder, environment);
    let checked =
        Root::decode(&root, &mut reading).and_then(|raw| checking::check(&raw, &mut reading));
    match checked {
        Some(Judged { mut settings, admin, issuer, store, ledger })
            if reading.mistakes.is_empty() =>
        {
            settings.version = version(source, &reading.files);
            Ok(Checked {
                settings,
                issuer,
                store,
                ledger,
                admin,
                watched: reading.files.into_iter().map(|(file, _)| file).collect(),
                warnings: lines(path, reading.warnings),
            })
        }
        _ => Err(Report::new(path, &cover::cover_tree(source, &root, schema()), reading.mistakes)
            .with_files(reading.files.into_iter().map(|(file, _)| file))),
    }
}

fn lines(path: &Path, warnings: Vec<(report::Pos, String)>) -> Vec<String> {
    let line = |(at, text): (report::Pos, String)| {
        format!("{}:{}:{}: {text}", path.display(), at.line, at.column)
    };
    warnings.into_iter().map(line).collect()
}

/// The first 12 hex digits of a hash over the file and every file it refers to. Lengths are part of
/// it, so that no two sets of files share a version by running into one another.
fn version(source: &str, files: &[(PathBuf, Vec<u8>)]) -> String {
    let mut hash = digest::Context::new(&digest::SHA256);
    let contents = files.iter().map(|(_, content)| content.as_slice());
    for content in std::iter::once(source.as_bytes()).chain(contents) {
        hash.update(&u64::try_from(content.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(content);
    }
    hash.finish().as_ref().iter().take(6).fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads a duration as the file has it, for the command line.
///
/// # Errors
/// How it is written.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let parsed = <scalars::Span as scalars::Scalar>::parse(text);
    let help = <scalars::Span as scalars::Scalar>::FORM;
    parsed.map(|span| span.0).map_err(|other| other.unwrap_or_else(|| help.to_owned()))
}

/// Whether this can be the name of an agent, which is its `client_id`.
pub(crate) fn is_agent(text: &str) -> bool {
    issuers::AgentId::is_id(text)
}

/// The JSON Schema of the file, for editors.
#[must_use]
pub(crate) fn schema() -> &'static serde_json::Value {
    static SCHEMA: OnceLock<serde_json::Value> = OnceLock::new();
    SCHEMA.get_or_init(Root::schema)
}

#[cfg(test)]
mod tests;
