//! Grants in files: PEM with a label of its own. A grant is no secret, so anybody may read the file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use pem::{EncodeConfig, LineEnding, Pem};
use stoq_core::grant::{GrantError, SignedGrant};

/// The grant as PEM:
///
/// ```text
/// -----BEGIN STOQ FALCON GRANT-----
/// base64( the grant's encoding, its signature included )
/// -----END STOQ FALCON GRANT-----
/// ```
pub fn grant_to_pem(grant: &SignedGrant) -> String {
    let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
    pem::encode_config(&Pem::new(LABEL, grant.encode()), config)
}

/// Reads a grant from a file that holds what [`grant_to_pem`] made. Nothing is verified yet: that takes the authority's
/// public key.
///
/// # Errors
/// [`GrantFileError`] names the file and what is wrong with it.
pub fn grant_from_pem_file(path: impl AsRef<Path>) -> Result<SignedGrant, GrantFileError> {
    let path = path.as_ref();
    let text = fs::read_to_string(path).map_err(|error| GrantFileError::File {
        path: path.into(),
        error,
    })?;
    let pem = pem::parse(text).map_err(|error| GrantFileError::Pem {
        path: path.into(),
        reason: error.to_string(),
    })?;
    if pem.tag() != LABEL {
        return Err(GrantFileError::Label {
            path: path.into(),
            got: pem.tag().into(),
        });
    }
    SignedGrant::decode(pem.contents()).map_err(|error| GrantFileError::Grant {
        path: path.into(),
        error,
    })
}

/// A file of a grant is of no use.
#[derive(Debug, thiserror::Error)]
pub enum GrantFileError {
    /// The system does not let us read it.
    #[error("cannot read {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It is not PEM.
    #[error("{} is not PEM ({reason})", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// It is PEM of something else.
    #[error("{} is labelled {got:?}, not {LABEL:?}", path.display())]
    Label {
        /// The file.
        path: PathBuf,
        /// The label found.
        got: String,
    },
    /// What it holds is no grant.
    #[error("{}: {error}", path.display())]
    Grant {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: GrantError,
    },
}

const LABEL: &str = "STOQ FALCON GRANT";

#[cfg(test)]
mod tests {
    use stoq_core::falcon::{Domain, SIGNATURE_LEN};
    use stoq_core::grant::Grant;
    use stoq_core::time::UnixMicros;
    use tempfile::TempDir;

    use super::*;
    use crate::{FalconKey, FalconSigner as _};

    fn granted(authority: &FalconKey) -> SignedGrant {
        let grant = Grant {
            authority: authority.id(),
            subject: authority.id(),
            serial: 7,
            not_before: UnixMicros(1),
            not_after: UnixMicros(2),
            names: vec!["example.org".into()],
        };
        let signed = grant.to_be_signed().unwrap();
        let signature = authority.sign(Domain::GRANT, &[&signed]).unwrap();
        SignedGrant::new(grant, signature).unwrap()
    }

    #[test]
    fn a_grant_comes_back_from_its_file() {
        let authority = FalconKey::generate();
        let grant = granted(&authority);
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("grant.pem");
        fs::write(&path, grant_to_pem(&grant)).unwrap();
        let back = grant_from_pem_file(&path).unwrap();
        assert_eq!(back, grant);
        assert_eq!(back.verify(authority.verifying_key()), Ok(grant.claim()));
    }

    #[test]
    fn what_is_wrong_with_a_file_is_named() {
        let grant = granted(&FalconKey::generate());
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("grant.pem");
        let read = |text: &str| {
            fs::write(&path, text).unwrap();
            grant_from_pem_file(&path).unwrap_err()
        };
        let pem = grant_to_pem(&grant);
        assert!(matches!(read("nothing"), GrantFileError::Pem { .. }));
        assert!(matches!(
            read(&pem.replace("FALCON GRANT", "CERTIFICATE")),
            GrantFileError::Label { got, .. } if got == "STOQ CERTIFICATE"
        ));
        let mut bytes = grant.encode();
        bytes.truncate(SIGNATURE_LEN - 1);
        assert!(matches!(
            read(&pem::encode(&Pem::new(LABEL, bytes))),
            GrantFileError::Grant {
                error: GrantError::Malformed(_),
                ..
            }
        ));
        fs::write(&path, [0xff]).unwrap();
        let error = grant_from_pem_file(&path).unwrap_err();
        assert!(matches!(error, GrantFileError::File { .. }));
        let absent = directory.path().join("absent");
        let error = grant_from_pem_file(&absent).unwrap_err();
        assert!(error.to_string().contains("absent"), "{error}");
    }
}
