//! Tokens and lists of revoked nonces in files.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use stoq_core::access::{
    AccessToken, InvalidRevocations, InvalidTokenText, Revocations, SignedAccessToken,
};

/// Reads a token from a file that holds its text form and perhaps the end of the line. Nothing is verified.
///
/// # Errors
/// [`AccessTokenFileError`] names the file and what is wrong with it.
pub fn access_token_from_file(
    path: impl AsRef<Path>,
) -> Result<SignedAccessToken, AccessTokenFileError> {
    let path = path.as_ref();
    let text = read(path, 2 * AccessToken::MAX_LEN)?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    line.parse().map_err(|error| AccessTokenFileError::Token {
        path: path.into(),
        error,
    })
}

/// Reads a list of revoked nonces from a file, as [`Revocations`] has it.
///
/// # Errors
/// [`AccessTokenFileError`] names the file and what is wrong with it.
pub fn revocations_from_file(path: impl AsRef<Path>) -> Result<Revocations, AccessTokenFileError> {
    let path = path.as_ref();
    let text = read(path, Revocations::MAX_TEXT_LEN)?;
    Revocations::parse(&text).map_err(|error| AccessTokenFileError::Revocations {
        path: path.into(),
        error,
    })
}

/// At most one byte more than the limit, so that whoever parses it sees that it is too long.
fn read(path: &Path, limit: usize) -> Result<String, AccessTokenFileError> {
    let read = || {
        let mut text = String::new();
        File::open(path)?
            .take(limit as u64 + 1)
            .read_to_string(&mut text)?;
        Ok(text)
    };
    read().map_err(|error| AccessTokenFileError::File {
        path: path.into(),
        error,
    })
}

/// A file of a token, or of revoked nonces, is of no use.
#[derive(Debug, thiserror::Error)]
pub enum AccessTokenFileError {
    /// The system does not let us read it.
    #[error("cannot read {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It holds no token.
    #[error("{}: {error}", path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: InvalidTokenText,
    },
    /// It holds no list of nonces.
    #[error("{}: {error}", path.display())]
    Revocations {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        error: InvalidRevocations,
    },
}
