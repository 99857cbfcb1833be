//! Where a password comes from: typed twice on a terminal without being shown, read from standard
//! input, or made up.

use crate::cli::PasswordArgs;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};
use tollgate_core::bounds::people::PASSWORD_BYTES_MAX;
use tollgate_core::clock::Entropy;
use tollgate_oauth::secret;

/// Why there is no password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasswordError {
    #[error("nobody is here to type a password: use `--password-stdin` or `--generate`")]
    NoTerminal,
    #[error("the two passwords are not the same; nothing was changed")]
    Different,
    #[error("the password cannot be read: {0}")]
    Read(#[from] std::io::Error),
}

/// A password.
pub(super) enum Password {
    /// Somebody knows it.
    Given(String),
    /// Nobody knows it yet.
    MadeUp(String),
}

impl Password {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Given(text) | Self::MadeUp(text) => text,
        }
    }
}

/// Characters of a password that is made up: 120 random bits.
const MADE_UP_CHARS: usize = 20;

pub(super) fn get(how: &PasswordArgs, entropy: &dyn Entropy) -> Result<Password, PasswordError> {
    if how.generate {
        // No prefix: it says nothing about itself. Characters of base64url, 6 bits each.
        let random = secret::mint("", entropy);
        return Ok(Password::MadeUp(random.chars().take(MADE_UP_CHARS).collect()));
    }
    if how.password_stdin {
        return Ok(Password::Given(line()?));
    }
    if !std::io::stdin().is_terminal() {
        return Err(PasswordError::NoTerminal);
    }
    let first = ask("password: ")?;
    if ask("again: ")? != first {
        return Err(PasswordError::Different);
    }
    Ok(Password::Given(first))
}

/// One line of standard input.
fn line() -> std::io::Result<String> {
    // One more than may be, so that what is too long is refused rather than cut.
    let limit = u64::try_from(PASSWORD_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(2);
    let mut text = String::new();
    std::io::stdin().lock().take(limit).read_line(&mut text)?;
    let end = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(end);
    Ok(text)
}

fn ask(what: &str) -> std::io::Result<String> {
    let mut diagnostics = std::io::stderr();
    diagnostics.write_all(what.as_bytes())?;
    diagnostics.flush()?;
    let quiet = Quiet::begin()?;
    let typed = line();
    drop(quiet);
    // The end of the line was not shown either.
    diagnostics.write_all(b"\n")?;
    typed
}

/// The terminal shows nothing of what is typed, as long as this lives.
struct Quiet(Termios);

impl Quiet {
    fn begin() -> std::io::Result<Self> {
        let before = tcgetattr(std::io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &quiet)?;
        Ok(Self(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // A terminal that is gone shows nothing anyway.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}
