//! Who a server is: its certificate and the key behind it.

use core::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::server::NoServerSessionStorage;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use time::{Duration, OffsetDateTime};

use crate::certificate;
use crate::trust::provider;

/// A certificate chain and its private key.
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// A new P-256 key with a certificate for these names (DNS names or IP addresses), signed by itself.
    ///
    /// For development, and for peers that trust by [hash](Self::certificate_hash). It holds for 13 days from an
    /// hour ago (clocks differ), because browsers refuse more than 14, and any key but P-256, in a certificate
    /// that they trust by hash.
    ///
    /// # Errors
    /// [`IdentityError::Name`] if a name cannot stand in a certificate.
    pub fn self_signed<N: Into<String>>(
        names: impl IntoIterator<Item = N>,
    ) -> Result<Self, IdentityError> {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        let refused = |error: rcgen::Error| IdentityError::Name {
            reason: error.to_string(),
        };
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(refused)?;
        let mut params = CertificateParams::new(names).map_err(refused)?;
        params.not_before = OffsetDateTime::now_utc() - Duration::HOUR;
        params.not_after = params.not_before + Duration::days(13);
        let certificate = params.self_signed(&key).map_err(refused)?;
        Ok(Self {
            chain: vec![certificate.der().clone()],
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        })
    }

    /// A certificate chain (the server's own certificate first) and a private key (PKCS #8, PKCS #1 or SEC 1),
    /// each from a PEM file.
    ///
    /// # Errors
    /// [`IdentityError`] if a file cannot be read, holds no certificate or key, or the two do not belong together.
    pub fn from_pem_files(
        chain: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, IdentityError> {
        let unreadable = |path: &Path, error: rustls_pki_types::pem::Error| IdentityError::File {
            path: path.into(),
            error: io::Error::other(error),
        };
        let (chain_path, key_path) = (chain.as_ref(), key.as_ref());
        let chain = CertificateDer::pem_file_iter(chain_path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| unreadable(chain_path, error))?;
        if chain.is_empty() {
            return Err(IdentityError::NoCertificate {
                path: chain_path.into(),
            });
        }
        let key =
            PrivateKeyDer::from_pem_file(key_path).map_err(|error| unreadable(key_path, error))?;
        let identity = Self { chain, key };
        identity.tls()?;
        Ok(identity)
    }

    /// SHA-256 of the server's own certificate in DER: what
    /// [`Trust::CertificateHashes`](crate::Trust::CertificateHashes) and browsers compare.
    pub fn certificate_hash(&self) -> [u8; 32] {
        certificate::hash(&self.chain[0])
    }

    /// The certificates in DER, the server's own first. There is at least one.
    pub fn certificate_chain(&self) -> impl Iterator<Item = &[u8]> {
        self.chain.iter().map(AsRef::as_ref)
    }

    /// The private key in DER: PKCS #8 from [`self_signed`](Self::self_signed), otherwise as the file has it.
    pub fn private_key(&self) -> &[u8] {
        self.key.secret_der()
    }

    /// The server side of TLS with this identity.
    pub(crate) fn tls(&self) -> Result<rustls::ServerConfig, IdentityError> {
        let mut tls = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("the provider has TLS 1.3 suites")
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .map_err(|error| IdentityError::Mismatch {
                reason: error.to_string(),
            })?;
        tls.alpn_protocols = vec![crate::ALPN.to_vec()];
        // Clients do not resume either: see `Trust`.
        tls.session_storage = Arc::new(NoServerSessionStorage {});
        tls.send_tls13_tickets = 0;
        Ok(tls)
    }
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self {
            chain: self.chain.clone(),
            key: self.key.clone_key(),
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the key.
        f.debug_struct("Identity")
            .field("certificates", &self.chain.len())
            .finish_non_exhaustive()
    }
}

/// An identity could not be made from what was given.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A name cannot stand in a certificate.
    #[error("cannot make a certificate for these names: {reason}")]
    Name {
        /// What is wrong.
        reason: String,
    },
    /// A file cannot be read, or holds no such PEM section.
    #[error("cannot read {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: io::Error,
    },
    /// The file of the chain has no certificate.
    #[error("no certificate in {}", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The key cannot be used, or is not the certificate's.
    #[error("certificate and key do not make an identity: {reason}")]
    Mismatch {
        /// What is wrong.
        reason: String,
    },
}
