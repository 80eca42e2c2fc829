//! Public keys in files: PEM with a label of its own. Anybody may read the file; who may write it decides whom others believe.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use pem::{EncodeConfig, LineEnding, Pem};
use stoq_core::falcon::{BadKey, PUBLIC_KEY_LEN, VerifyingKey};
use stoq_core::identity::SignatureAlgorithm;

/// The public key as PEM:
///
/// ```text
/// -----BEGIN STOQ FALCON-1024 PUBLIC KEY-----
/// base64( algorithm [1] · public key [1793] )
/// -----END STOQ FALCON-1024 PUBLIC KEY-----
/// ```
pub fn verifying_key_to_pem(key: &VerifyingKey) -> String {
    let body = [&[key.algorithm().0], &key.as_bytes()[..]].concat();
    let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
    pem::encode_config(&Pem::new(LABEL, body), config)
}

/// Reads a public key from a file that holds what [`verifying_key_to_pem`] made. A private key's file is not taken: only its
/// owner should have it.
///
/// # Errors
/// [`PublicKeyFileError`] names the file and what is wrong with it.
pub fn verifying_key_from_pem_file(
    path: impl AsRef<Path>,
) -> Result<VerifyingKey, PublicKeyFileError> {
    let path = path.as_ref();
    let text = fs::read_to_string(path).map_err(|error| PublicKeyFileError::File {
        path: path.into(),
        error,
    })?;
    read(&text).map_err(|fault| PublicKeyFileError::Key {
        path: path.into(),
        fault,
    })
}

/// A file of a public key is of no use.
#[derive(Debug, thiserror::Error)]
pub enum PublicKeyFileError {
    /// The system does not let us read it.
    #[error("cannot read {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It holds no public key.
    #[error("{} holds no FALCON-1024 public key: {fault}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: PublicKeyFault,
    },
}

/// What is wrong with a public key in PEM.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyFault {
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
    #[error("{got} bytes, a public key has {BODY_LEN}")]
    Length {
        /// Bytes found.
        got: usize,
    },
    /// It is for an algorithm that this version does not know.
    #[error("algorithm {got} is not known")]
    Algorithm {
        /// The number found.
        got: u8,
    },
    /// The bytes are not a key.
    #[error(transparent)]
    Key(BadKey),
}

fn read(text: &str) -> Result<VerifyingKey, PublicKeyFault> {
    let pem = pem::parse(text).map_err(|error| PublicKeyFault::Pem(error.to_string()))?;
    if pem.tag() != LABEL {
        let got = pem.tag().to_owned();
        return Err(PublicKeyFault::Label { got });
    }
    let body: &[u8; BODY_LEN] = pem.contents().try_into().map_err(|_| {
        let got = pem.contents().len();
        PublicKeyFault::Length { got }
    })?;
    let (&[algorithm], key) = body.split_first_chunk().expect("the length is known");
    if algorithm != SignatureAlgorithm::FALCON_PADDED_1024.0 {
        return Err(PublicKeyFault::Algorithm { got: algorithm });
    }
    VerifyingKey::try_from(key).map_err(PublicKeyFault::Key)
}

const LABEL: &str = "STOQ FALCON-1024 PUBLIC KEY";
const BODY_LEN: usize = 1 + PUBLIC_KEY_LEN;

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::{FalconKey, FalconSigner as _};

    #[test]
    fn a_public_key_comes_back_from_its_file() {
        let key = FalconKey::generate();
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("public.pem");
        fs::write(&path, verifying_key_to_pem(key.verifying_key())).unwrap();
        let back = verifying_key_from_pem_file(&path).unwrap();
        assert_eq!(back, *key.verifying_key());
        assert_eq!(back.id(), key.id());
    }

    #[test]
    fn what_is_wrong_with_a_public_key_is_named() {
        let key = FalconKey::generate();
        let good = [&[1], &key.verifying_key().as_bytes()[..]].concat();
        let fault = |label: &str, body: Vec<u8>| read(&pem::encode(&Pem::new(label, body)));
        assert_eq!(fault(LABEL, good.clone()).as_ref(), Ok(key.verifying_key()));
        let Err(PublicKeyFault::Label { got }) = read(&key.to_pem()) else {
            panic!("a private key was taken for a public one");
        };
        assert_eq!(got, "STOQ FALCON-1024 PRIVATE KEY");
        for cut in [0, 1, BODY_LEN - 1] {
            let length = PublicKeyFault::Length { got: cut };
            assert_eq!(fault(LABEL, good[..cut].to_vec()), Err(length));
        }
        let got = BODY_LEN + 1;
        let long = [&good[..], &[0]].concat();
        assert_eq!(fault(LABEL, long), Err(PublicKeyFault::Length { got }));
        let mut other = good.clone();
        other[0] = 2;
        let algorithm = PublicKeyFault::Algorithm { got: 2 };
        assert_eq!(fault(LABEL, other), Err(algorithm));
        let mut broken = good;
        broken[1] ^= 1;
        assert_eq!(fault(LABEL, broken), Err(PublicKeyFault::Key(BadKey)));
        assert!(matches!(read("nothing"), Err(PublicKeyFault::Pem(_))));

        let directory = TempDir::new().unwrap();
        let absent = directory.path().join("absent");
        let error = verifying_key_from_pem_file(&absent).unwrap_err();
        assert!(matches!(error, PublicKeyFileError::File { .. }));
        assert!(error.to_string().contains("absent"), "{error}");
    }
}
