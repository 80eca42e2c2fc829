//! Certificates: one authority and one leaf for "localhost" (ECDSA over P-256), as PEM files in a folder, which all subjects with
//! classical certificates share.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::CipherSuite;
use rustls::NamedGroup;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The name in the certificate.
pub(crate) const NAME: &str = "localhost";

/// What both ends speak.
pub(crate) const ALPN: &[u8] = b"stoq-peers";

/// Where the files are.
#[derive(Clone, Debug)]
pub(crate) struct Pki(pub(crate) PathBuf);

impl Pki {
    /// Makes the files.
    pub(crate) fn make(folder: &Path) -> Result<Self> {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        // By another name than the leaf's, or OpenSSL's heirs take the leaf for its own issuer.
        let name = &mut authority.distinguished_name;
        name.push(DnType::CommonName, "authority");
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let mut leaf = CertificateParams::new(vec![NAME.into()])?;
        leaf.distinguished_name.push(DnType::CommonName, NAME);
        let leaf = leaf.signed_by(&key, &authority)?;
        let pki = Self(folder.to_owned());
        fs::write(pki.authority(), authority.pem())?;
        fs::write(pki.leaf(), leaf.pem())?;
        fs::write(pki.key(), key.serialize_pem())?;
        Ok(pki)
    }

    pub(crate) fn authority(&self) -> PathBuf {
        self.0.join("authority.pem")
    }

    pub(crate) fn leaf(&self) -> PathBuf {
        self.0.join("leaf.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.0.join("key.pem")
    }

    /// A server for the subjects that use rustls.
    pub(crate) fn rustls_server(&self) -> Result<rustls::ServerConfig> {
        let chain = vec![CertificateDer::from_pem_file(self.leaf())?];
        let key = PrivateKeyDer::from_pem_file(self.key())?;
        let mut tls = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        tls.alpn_protocols = vec![ALPN.to_vec()];
        Ok(tls)
    }

    /// A client for the subjects that use rustls. It resumes nothing.
    pub(crate) fn rustls_client(&self) -> Result<rustls::ClientConfig> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.authority())?)?;
        let mut tls = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![ALPN.to_vec()];
        tls.resumption = rustls::client::Resumption::disabled();
        Ok(tls)
    }
}

/// AES-128-GCM and X25519 and nothing else, so that nothing else can be agreed on.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider
        .cipher_suites
        .retain(|suite| suite.suite() == CipherSuite::TLS13_AES_128_GCM_SHA256);
    provider
        .kx_groups
        .retain(|group| group.name() == NamedGroup::X25519);
    Arc::new(provider)
}
