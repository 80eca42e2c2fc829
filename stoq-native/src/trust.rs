//! Whom a client believes in a classical sense: certificate authorities, or single certificates.

use std::io;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// How a client decides that a server is the one it means.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trust {
    /// The certificate authorities of the operating system. The certificate must name the host.
    SystemRoots,
    /// Certificate authorities of one's own, each in DER. The certificate must name the host.
    Roots(Vec<Vec<u8>>),
    /// SHA-256 of the server's certificate in DER, one of several (so that a successor can be announced).
    ///
    /// The handshake's signature and the validity period are checked; names are not, because the hash already
    /// says which certificate is meant. What a browser calls `serverCertificateHashes`.
    CertificateHashes(Vec<[u8; 32]>),
}

impl Trust {
    /// [`Trust::Roots`] with every certificate of a PEM file.
    ///
    /// # Errors
    /// [`TrustError`] if the file cannot be read, is not PEM, or holds no certificate.
    pub fn roots_from_pem_file(path: impl AsRef<Path>) -> Result<Self, TrustError> {
        let path = path.as_ref();
        let unreadable = |error| TrustError::File {
            path: path.into(),
            error: io::Error::other(error),
        };
        let roots = CertificateDer::pem_file_iter(path)
            .map_err(unreadable)?
            .map(|root| root.map(|root| root.to_vec()).map_err(unreadable))
            .collect::<Result<Vec<_>, _>>()?;
        if roots.is_empty() {
            return Err(TrustError::NoRoots);
        }
        Ok(Self::Roots(roots))
    }

    /// The authorities, for trust that rests on some; `None` for trust by hash.
    pub(crate) fn roots(&self) -> Result<Option<RootCertStore>, TrustError> {
        match self {
            Self::SystemRoots => system_roots().map(Some),
            Self::Roots(roots) => own_roots(roots).map(Some),
            Self::CertificateHashes(hashes) if hashes.is_empty() => Err(TrustError::NoHashes),
            Self::CertificateHashes(_) => Ok(None),
        }
    }
}

/// Trust could not be established from what was given.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file of roots cannot be read, or is not PEM.
    #[error("cannot read certificates from {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: io::Error,
    },
    /// There is not one certificate authority to trust.
    #[error("no certificate authority to trust")]
    NoRoots,
    /// There is not one certificate hash to trust.
    #[error("no certificate hash to trust")]
    NoHashes,
    /// The roots do not make a verifier.
    #[error("these certificate authorities cannot be used: {reason}")]
    Roots {
        /// What is wrong.
        reason: String,
    },
    /// A given root is not a certificate.
    #[error("root {index} is not a certificate authority's certificate: {reason}")]
    Root {
        /// Its place in the list, from zero.
        index: usize,
        /// What is wrong.
        reason: String,
    },
}

fn system_roots() -> Result<RootCertStore, TrustError> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a system root could not be read");
    }
    let mut store = RootCertStore::empty();
    // Old roots in system stores that webpki cannot parse are of no use to anyone.
    store.add_parsable_certificates(found.certs);
    if store.is_empty() {
        return Err(TrustError::NoRoots);
    }
    Ok(store)
}

fn own_roots(roots: &[Vec<u8>]) -> Result<RootCertStore, TrustError> {
    let mut store = RootCertStore::empty();
    for (index, root) in roots.iter().enumerate() {
        let root = CertificateDer::from(root.as_slice());
        store
            .add(root.into_owned())
            .map_err(|error| TrustError::Root {
                index,
                reason: error.to_string(),
            })?;
    }
    if store.is_empty() {
        return Err(TrustError::NoRoots);
    }
    Ok(store)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_to_trust_is_an_error() {
        let errors = [
            Trust::Roots(vec![]).roots().unwrap_err(),
            Trust::CertificateHashes(vec![]).roots().unwrap_err(),
            Trust::Roots(vec![vec![1, 2, 3]]).roots().unwrap_err(),
            Trust::roots_from_pem_file("no/such/file").unwrap_err(),
        ];
        assert!(matches!(errors[0], TrustError::NoRoots));
        assert!(matches!(errors[1], TrustError::NoHashes));
        assert!(matches!(errors[2], TrustError::Root { index: 0, .. }));
        assert!(matches!(errors[3], TrustError::File { .. }));
    }
}
