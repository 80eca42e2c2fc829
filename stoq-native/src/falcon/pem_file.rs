//! Keys in files: PEM with a label of its own, which nobody but the owner may read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use pem::{EncodeConfig, LineEnding, Pem};
use stoq_core::falcon::PUBLIC_KEY_LEN;
use stoq_core::hash::Sha256;
use stoq_core::identity::SignatureAlgorithm;
use zeroize::Zeroizing;

use super::{FalconKey, FalconSigner as _, pqclean};

impl FalconKey {
    /// The key as PEM:
    ///
    /// ```text
    /// -----BEGIN STOQ FALCON-1024 PRIVATE KEY-----
    /// base64( algorithm [1] · public key [1793] · secret key [2305] · SHA-256 of all before [32] )
    /// -----END STOQ FALCON-1024 PRIVATE KEY-----
    /// ```
    pub fn to_pem(&self) -> Zeroizing<String> {
        let mut body = Zeroizing::new(Vec::with_capacity(BODY_LEN));
        body.push(SignatureAlgorithm::FALCON_PADDED_1024.0);
        body.extend_from_slice(self.verifying_key().as_bytes());
        body.extend_from_slice(self.secret_bytes());
        let checksum = sha256(&body);
        body.extend_from_slice(&checksum);
        let pem = Pem::new(LABEL, body.as_slice());
        let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
        let text = Zeroizing::new(pem::encode_config(&pem, config));
        drop(Zeroizing::new(pem.into_contents()));
        text
    }

    /// Reads a key that [`to_pem`](Self::to_pem) wrote, and checks that it is one.
    ///
    /// # Errors
    /// [`KeyFileFault`] names what is wrong with it.
    pub fn from_pem(text: &str) -> Result<Self, KeyFileFault> {
        let pem = pem::parse(text).map_err(|error| KeyFileFault::Pem(error.to_string()))?;
        if pem.tag() != LABEL {
            let got = pem.tag().to_owned();
            return Err(KeyFileFault::Label { got });
        }
        let body = Zeroizing::new(pem.into_contents());
        if body.len() != BODY_LEN {
            let got = body.len();
            return Err(KeyFileFault::Length { got });
        }
        let (body, checksum) = body.split_at(BODY_LEN - CHECKSUM_LEN);
        if sha256(body) != checksum {
            return Err(KeyFileFault::Checksum);
        }
        let (&[algorithm], rest) = body.split_first_chunk().expect("the length is known");
        if algorithm != SignatureAlgorithm::FALCON_PADDED_1024.0 {
            return Err(KeyFileFault::Algorithm { got: algorithm });
        }
        let (public, secret) = rest.split_first_chunk().expect("the length is known");
        Self::from_parts(public, secret)
    }

    /// Writes the key to a new file that only its owner may read (mode 0600 on Unix).
    ///
    /// # Errors
    /// [`FalconKeyError::File`] also if the file exists: a key is not overwritten.
    pub fn write_pem_file(&self, path: impl AsRef<Path>) -> Result<(), FalconKeyError> {
        let path = path.as_ref();
        let write = || {
            let mut file = create_private(path)?;
            let written = file
                .write_all(self.to_pem().as_bytes())
                .and_then(|()| file.sync_all());
            // Half a key would stand in the way of the next attempt.
            written.inspect_err(|_| drop(fs::remove_file(path)))
        };
        write().map_err(|error| FalconKeyError::File {
            path: path.into(),
            error,
        })
    }

    /// Reads a key from a file. Warns in the log if others than its owner may read it.
    ///
    /// # Errors
    /// [`FalconKeyError`] if it cannot be read, or holds no sound key.
    pub fn from_pem_file(path: impl AsRef<Path>) -> Result<Self, FalconKeyError> {
        let path = path.as_ref();
        let unreadable = |error| FalconKeyError::File {
            path: path.into(),
            error,
        };
        let text = Zeroizing::new(fs::read_to_string(path).map_err(unreadable)?);
        if others_may_read(path).map_err(unreadable)? {
            tracing::warn!(path = %path.display(), "this private key can be read by others: chmod 600 it");
        }
        Self::from_pem(&text).map_err(|fault| FalconKeyError::Key {
            path: path.into(),
            fault,
        })
    }
}

/// A key file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum FalconKeyError {
    /// The system does not let us read or write it.
    #[error("cannot use {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It holds no sound key.
    #[error("{} holds no sound FALCON-1024 key: {fault}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: KeyFileFault,
    },
}

/// What is wrong with a key in PEM.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileFault {
    /// It is not PEM.
    #[error("not PEM ({0})")]
    Pem(String),
    /// It is PEM of something else.
    #[error("it is labelled {got:?}, not {LABEL:?}")]
    Label {
        /// The label found.
        got: String,
    },
    /// It is cut, or too long.
    #[error("{got} bytes, a key has {BODY_LEN}")]
    Length {
        /// Bytes found.
        got: usize,
    },
    /// It was altered: write it again from a copy.
    #[error("its checksum is wrong: the file is damaged")]
    Checksum,
    /// It is for an algorithm that this version does not know.
    #[error("algorithm {got} is not known")]
    Algorithm {
        /// The number found.
        got: u8,
    },
    /// The public half is not a key.
    #[error("the public half is not a key")]
    PublicKey,
    /// The secret half is not a key, or belongs to another public one.
    #[error("the secret half is not a key, or not that of the public half")]
    Mismatch,
}

fn sha256(bytes: &[u8]) -> [u8; CHECKSUM_LEN] {
    let mut hash = Sha256::new();
    hash.update(bytes);
    hash.finish()
}

pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(unix)]
pub(crate) fn others_may_read(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(fs::metadata(path)?.permissions().mode() & 0o077 != 0)
}

/// Elsewhere, who may read a file is not said in a mode.
#[cfg(not(unix))]
pub(crate) fn others_may_read(_path: &Path) -> io::Result<bool> {
    Ok(false)
}

const LABEL: &str = "STOQ FALCON-1024 PRIVATE KEY";
const CHECKSUM_LEN: usize = 32;
const BODY_LEN: usize = 1 + PUBLIC_KEY_LEN + pqclean::secret_key_bytes() + CHECKSUM_LEN;
