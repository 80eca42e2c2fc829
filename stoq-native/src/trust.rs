//! Whom a client believes: the one type behind which every kind of trust stands.

use core::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::{CertificateError, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::certificate;

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

    /// The client side of TLS with this trust.
    pub(crate) fn tls(&self) -> Result<rustls::ClientConfig, TrustError> {
        let provider = provider();
        let builder = rustls::ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("the provider has TLS 1.3 suites");
        let builder = match self {
            Self::SystemRoots => builder.with_root_certificates(system_roots()?),
            Self::Roots(roots) => builder.with_root_certificates(own_roots(roots)?),
            Self::CertificateHashes(hashes) if hashes.is_empty() => {
                return Err(TrustError::NoHashes);
            }
            Self::CertificateHashes(hashes) => {
                let hashes = hashes.clone();
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(ByHash { hashes, provider }))
            }
        };
        let mut tls = builder.with_no_client_auth();
        tls.alpn_protocols = vec![crate::ALPN.to_vec()];
        // A resumed session would skip the checks above, and so outlive the certificate they were made on.
        tls.resumption = Resumption::disabled();
        Ok(tls)
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
    /// A given root is not a certificate.
    #[error("root {index} is not a certificate authority's certificate: {reason}")]
    Root {
        /// Its place in the list, from zero.
        index: usize,
        /// What is wrong.
        reason: String,
    },
}

/// aws-lc-rs, with the post-quantum hybrid group first: a server that has it uses it, at no extra round trip.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![
        aws_lc_rs::kx_group::X25519MLKEM768,
        aws_lc_rs::kx_group::X25519,
        aws_lc_rs::kx_group::SECP256R1,
        aws_lc_rs::kx_group::SECP384R1,
    ];
    Arc::new(provider)
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

/// [`Trust::CertificateHashes`].
#[derive(Debug)]
struct ByHash {
    hashes: Vec<[u8; 32]>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for ByHash {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let got = certificate::hash(certificate);
        if !self.hashes.contains(&got) {
            return Err(CertificateError::Other(OtherError(Arc::new(WrongHash { got }))).into());
        }
        let Some(validity) = certificate::validity(certificate) else {
            return Err(CertificateError::BadEncoding.into());
        };
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        if now < *validity.start() {
            return Err(CertificateError::NotValidYet.into());
        }
        if now > *validity.end() {
            return Err(CertificateError::Expired.into());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("QUIC has no TLS 1.2".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[derive(thiserror::Error)]
#[error("certificate hash {} is not one that is trusted", hex(got))]
struct WrongHash {
    got: [u8; 32],
}

/// As for users: rustls shows the errors of others so.
impl fmt::Debug for WrongHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    fn verify(hashes: Vec<[u8; 32]>, certificate: &[u8], now: i64) -> Result<(), rustls::Error> {
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now.try_into().unwrap()));
        let verifier = ByHash {
            hashes,
            provider: provider(),
        };
        let name = ServerName::try_from("any.example").unwrap();
        verifier
            .verify_server_cert(&certificate.into(), &[], &name, &[], now)
            .map(drop)
    }

    #[test]
    fn a_hash_stands_for_one_certificate_while_it_is_valid() {
        let identity = crate::Identity::self_signed(["localhost"]).unwrap();
        let certificate = identity.certificate_chain().next().unwrap();
        let hash = identity.certificate_hash();
        let valid = certificate::validity(certificate).unwrap();
        let (first, last) = (*valid.start(), *valid.end());

        verify(vec![[0; 32], hash], certificate, first).unwrap();
        verify(vec![hash], certificate, last).unwrap();
        for (hashes, now, message) in [
            (vec![[0; 32]], first, "is not one that is trusted"),
            (vec![hash], first - 1, "NotValidYet"),
            (vec![hash], last + 1, "Expired"),
        ] {
            let error = verify(hashes, certificate, now).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn nothing_to_trust_is_an_error() {
        let errors = [
            Trust::Roots(vec![]).tls().unwrap_err(),
            Trust::CertificateHashes(vec![]).tls().unwrap_err(),
            Trust::Roots(vec![vec![1, 2, 3]]).tls().unwrap_err(),
            Trust::roots_from_pem_file("no/such/file").unwrap_err(),
        ];
        assert!(matches!(errors[0], TrustError::NoRoots));
        assert!(matches!(errors[1], TrustError::NoHashes));
        assert!(matches!(errors[2], TrustError::Root { index: 0, .. }));
        assert!(matches!(errors[3], TrustError::File { .. }));
    }
}
