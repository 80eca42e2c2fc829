//! What the command says: results on standard output, complaints and the log on standard error.

use crate::error::CommandError;
use crate::file_name::steers_text;
use core::fmt::Display;
use std::io::{self, IsTerminal, Write};
use tracing_subscriber::EnvFilter;

/// Writes one line to standard output.
///
/// # Errors
/// [`CommandError::Output`] if nobody reads it any more.
pub(crate) fn say(line: impl Display) -> Result<(), CommandError> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", printable(&line.to_string()))
        .and_then(|()| stdout.flush())
        .map_err(CommandError::Output)
}

/// Writes one line to standard error.
pub(crate) fn complain(line: impl Display) {
    // If that fails there is nobody left to tell.
    let _ = writeln!(io::stderr(), "stoq: {}", printable(&line.to_string()));
}

/// Logs to standard error what the environment variable RUST_LOG asks for, or else `default`.
pub(crate) fn log(default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
}

/// One line, and nothing that a peer could steer a terminal with: its reasons and messages end up here.
fn printable(text: &str) -> String {
    let replace = |c: char| if steers_text(c) { ' ' } else { c };
    text.trim_end().chars().map(replace).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_words_stay_on_their_line() {
        assert_eq!(printable("a\r\nb\u{1b}[2Jc\u{9b}d\n"), "a  b [2Jc d");
    }
}
