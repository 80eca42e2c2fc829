//! Who this end is: its certificates and the keys behind them.

mod falcon;
mod rotation;
mod source;

use core::fmt;
use core::ops::RangeInclusive;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::server::ServerSessionMemoryCache;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use stoq_core::grant::GrantError;
use stoq_core::identity::FalconId;
use time::{Duration, OffsetDateTime};

use crate::certificate::{self, CertificateFault, Leaf};
use crate::config::Cipher;
use crate::falcon::{FalconKeyError, FalconSigner};
use crate::grant_file::GrantFileError;
use crate::tls::clients::Clients;
use crate::tls::composite::CompositeKey;
use crate::tls::identities::ServerResolver;
use crate::tls::{preferring, provider};
pub(crate) use rotation::start as rotate;
pub use rotation::{Rotation, RotationConfig, RotationError, RotationStats};
pub use source::{IdentitySource, LoadedIdentity};

/// Certificates and their private keys: a classical chain, a FALCON certificate, or both.
///
/// A peer that takes STOQ's composite signatures is shown the FALCON certificate, others the classical chain (browsers,
/// plain QUIC clients). One rule beside: if an authority issued the classical chain and nobody issued the FALCON
/// certificate, peers that would take either are shown the chain, because that is what they can believe.
#[derive(Clone)]
pub struct Identity {
    classical: Option<Classical>,
    composite: Option<Composite>,
}

struct Classical {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// A certificate with a FALCON key, and both of its secret keys.
#[derive(Clone)]
struct Composite {
    certificate: CertificateDer<'static>,
    key: CompositeKey,
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
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(refused)?;
        let certificate = params(names)?.self_signed(&key).map_err(refused)?;
        Ok(Self {
            classical: Some(Classical {
                chain: vec![certificate.der().clone()],
                key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            }),
            composite: None,
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
        let classical = Classical::from_pem_files(chain.as_ref(), key.as_ref())?;
        classical.certified()?;
        Ok(Self {
            classical: Some(classical),
            composite: None,
        })
    }

    /// SHA-256 of the server's own certificate in DER: what
    /// [`Trust::CertificateHashes`](crate::Trust::CertificateHashes) and browsers compare. The classical one, if there are
    /// two; [`certificate_hashes`](Self::certificate_hashes) has both.
    pub fn certificate_hash(&self) -> [u8; 32] {
        self.certificate_hashes()[0]
    }

    /// SHA-256 of every certificate of its own, the classical one first.
    pub fn certificate_hashes(&self) -> Vec<[u8; 32]> {
        let classical = self.classical.iter().map(|classical| &classical.chain[0]);
        let composite = self
            .composite
            .iter()
            .map(|composite| &composite.certificate);
        let hashes = classical.chain(composite).map(|der| certificate::hash(der));
        hashes.collect()
    }

    /// The classical certificates in DER, the server's own first. None if the identity is FALCON's alone.
    pub fn certificate_chain(&self) -> impl Iterator<Item = &[u8]> {
        let chain = self.classical.iter().flat_map(|classical| &classical.chain);
        chain.map(AsRef::as_ref)
    }

    /// The private key of the classical chain in DER: PKCS #8 from [`self_signed`](Self::self_signed), otherwise as the file
    /// has it. `None` if the identity is FALCON's alone.
    pub fn private_key(&self) -> Option<&[u8]> {
        let classical = self.classical.as_ref()?;
        Some(classical.key.secret_der())
    }

    /// Its FALCON identity, if it has one.
    pub fn falcon_id(&self) -> Option<FalconId> {
        let composite = self.composite.as_ref()?;
        Some(composite.key.falcon.verifying_key().id())
    }

    /// What signs with its FALCON key, if it has one: for verified streams in its name.
    pub fn falcon_signer(&self) -> Option<Arc<dyn FalconSigner>> {
        let composite = self.composite.as_ref()?;
        Some(composite.key.falcon.clone())
    }

    pub(crate) fn classical_key(&self) -> Option<Arc<CertifiedKey>> {
        let classical = self.classical.as_ref()?;
        let certified = classical.certified();
        Some(Arc::new(
            certified.expect("it was checked when it was made"),
        ))
    }

    pub(crate) fn composite_key(&self) -> Option<Arc<CertifiedKey>> {
        let Composite { certificate, key } = self.composite.as_ref()?;
        let key = Arc::new(key.clone());
        Some(Arc::new(CertifiedKey::new(vec![certificate.clone()], key)))
    }

    /// First and last second, since the Unix epoch, at which all of its own certificates hold. What cannot be read is left aside.
    fn validity(&self) -> RangeInclusive<i64> {
        let classical = self.classical.iter().map(|classical| &classical.chain[0]);
        let composite = (self.composite.iter()).map(|composite| &composite.certificate);
        let read = |der: &CertificateDer<'_>| Leaf::parse(der).ok();
        let leaves = classical.chain(composite).filter_map(read);
        leaves.fold(i64::MIN..=i64::MAX, |all, leaf| {
            let (start, end) = leaf.validity.into_inner();
            start.max(*all.start())..=end.min(*all.end())
        })
    }

    /// Whether another one would make no difference to anybody.
    fn is_same(&self, other: &Self) -> bool {
        self.private_key() == other.private_key()
            && self.certificate_chain().eq(other.certificate_chain())
            && self.certificate_hashes() == other.certificate_hashes()
    }

    /// Whether peers that take either certificate are shown the FALCON one.
    pub(crate) fn prefers_composite(&self) -> bool {
        let issued =
            |der: &CertificateDer<'_>| Leaf::parse(der).is_ok_and(|leaf| !leaf.self_issued);
        let classical = self
            .classical
            .as_ref()
            .is_some_and(|classical| issued(&classical.chain[0]));
        let composite = self
            .composite
            .as_ref()
            .is_some_and(|composite| issued(&composite.certificate));
        composite || !classical
    }

    /// The server side of TLS with this identity, for clients that `clients` judges, with sessions of its own to resume.
    pub(crate) fn tls(
        &self,
        clients: &Arc<Clients>,
        cipher: Cipher,
        early_data: bool,
    ) -> rustls::ServerConfig {
        let provider = preferring(clients.provider().clone(), cipher);
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("the provider has TLS 1.3 suites")
            .with_client_cert_verifier(clients.clone())
            .with_cert_resolver(Arc::new(ServerResolver::new(self)));
        tls.alpn_protocols = vec![crate::ALPN.to_vec()];
        tls.ignore_client_order = true;
        tls.session_storage = ServerSessionMemoryCache::new(RESUMABLE_SESSIONS);
        // QUIC knows only these two values (RFC 9001, section 4.6.1).
        tls.max_early_data_size = if early_data { u32::MAX } else { 0 };
        tls
    }
}

impl Classical {
    fn from_pem_files(chain: &Path, key: &Path) -> Result<Self, IdentityError> {
        let unreadable = |path: &Path, error: rustls_pki_types::pem::Error| IdentityError::File {
            path: path.into(),
            error: io::Error::other(error),
        };
        let (chain_path, key_path) = (chain, key);
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
        Ok(Self { chain, key })
    }

    fn certified(&self) -> Result<CertifiedKey, IdentityError> {
        CertifiedKey::from_der(self.chain.clone(), self.key.clone_key(), &provider()).map_err(
            |error| IdentityError::Mismatch {
                reason: error.to_string(),
            },
        )
    }
}

impl Clone for Classical {
    fn clone(&self) -> Self {
        Self {
            chain: self.chain.clone(),
            key: self.key.clone_key(),
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the keys.
        f.debug_struct("Identity")
            .field("certificates", &self.certificate_chain().count())
            .field("falcon", &self.falcon_id())
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
    /// A certificate cannot be read as STOQ must be able to.
    #[error(transparent)]
    Certificate(CertificateFault),
    /// The chain of a FALCON certificate has intermediates. They would not fit the server's first flight, so each
    /// handshake would take another round trip.
    #[error("a FALCON certificate stands alone, this chain has {got}")]
    Intermediates {
        /// Certificates found.
        got: usize,
    },
    /// A grant is for another key, so nobody would believe it here.
    #[error("the grant is for {got}, not for this key")]
    Grant {
        /// For whom it is.
        got: FalconId,
    },
    /// The file of a FALCON key is of no use.
    #[error(transparent)]
    FalconKey(FalconKeyError),
    /// The file of a grant is of no use.
    #[error(transparent)]
    GrantFile(GrantFileError),
    /// Nobody would believe a grant now: it is for another key, or its time is over or has not come.
    #[error("{} is of no use: {error}", path.display())]
    GrantUnusable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: GrantError,
    },
}

/// A certificate for these names that begins an hour ago.
fn params<N: Into<String>>(
    names: impl IntoIterator<Item = N>,
) -> Result<CertificateParams, IdentityError> {
    let names: Vec<String> = names.into_iter().map(Into::into).collect();
    let mut params = CertificateParams::new(names).map_err(refused)?;
    params.not_before = OffsetDateTime::now_utc() - Duration::HOUR;
    params.not_after = params.not_before + Duration::days(13);
    Ok(params)
}

fn refused(error: rcgen::Error) -> IdentityError {
    IdentityError::Name {
        reason: error.to_string(),
    }
}

/// Sessions that clients can resume, the oldest leave first. Each costs about 0.3 KB, and what the client's FALCON
/// certificate has, some 3 KB and at most 16: 64 MB if each of 4096 trusted clients pads its own.
const RESUMABLE_SESSIONS: usize = 4096;
