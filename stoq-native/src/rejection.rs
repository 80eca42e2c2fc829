//! Why a peer's identity was not accepted.

use std::sync::Arc;

use rustls::{CertificateError, OtherError};
use stoq_core::grant::GrantError;
use stoq_core::identity::FalconId;

use crate::certificate::CertificateFault;

/// Why a peer's identity was not accepted. The variant names the matter; there is never a fall-back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityRejected {
    /// The policy asks for a FALCON identity, and the peer's certificate has none.
    #[error("the peer has no FALCON key in its certificate, which the policy requires")]
    NoFalconKey,
    /// There is a FALCON key in the certificate, and the handshake was signed without it: somebody who has only the classical
    /// key would do that.
    #[error("the certificate has a FALCON key, but the handshake was not signed with it")]
    FalconKeyUnused,
    /// The certificate that goes with the composite signature has no Ed25519 key.
    #[error("the certificate has no Ed25519 key beside its FALCON key")]
    NoEd25519Key,
    /// The composite signature has another length.
    #[error("the composite signature has {got} bytes, not 1344")]
    SignatureLength {
        /// Bytes found.
        got: usize,
    },
    /// The classical half of the handshake's signature is not good.
    #[error("the Ed25519 half of the handshake's signature is not good")]
    Ed25519Signature,
    /// The post-quantum half of the handshake's signature is not good.
    #[error("the FALCON half of the handshake's signature is not good")]
    FalconSignature,
    /// Nothing is pinned for where we were to connect: pin the server's identity, or ask for less.
    #[error("no FALCON identity is pinned for {authority}")]
    NothingPinned {
        /// `host:port`.
        authority: String,
    },
    /// The server is somebody else than is pinned.
    #[error("{got} is not pinned for {authority}")]
    NotPinned {
        /// `host:port`.
        authority: String,
        /// Who it is.
        got: FalconId,
    },
    /// The client is nobody whom the server knows.
    #[error("{got} is not one of the clients that are trusted")]
    UnknownClient {
        /// Who it is.
        got: FalconId,
    },
    /// The certificate has no grant of an authority.
    #[error("the certificate has no grant by an authority, which the policy requires")]
    NoGrant,
    /// The grant is of no use.
    #[error(transparent)]
    Grant(GrantError),
    /// The grant was revoked.
    #[error("the grant with serial {serial} is revoked")]
    Revoked {
        /// Its serial.
        serial: u64,
    },
    /// The certificate's time has not begun.
    #[error("the certificate is not valid yet")]
    NotYetValid,
    /// The certificate's time is over.
    #[error("the certificate has expired")]
    Expired,
    /// The certificate cannot be read.
    #[error(transparent)]
    Certificate(CertificateFault),
    /// The certificate is not one whose hash is trusted.
    #[error("certificate hash {got} is not one that is trusted")]
    Hash {
        /// Its hash, in hexadecimal.
        got: String,
    },
    /// The classical part of the trust says no.
    #[error("the certificate is not trusted: {reason}")]
    Classical {
        /// What rustls says.
        reason: String,
    },
    /// The client showed no certificate, and the server's policy requires one.
    #[error("the client has no FALCON identity, which the policy requires")]
    NoClientIdentity,
}

impl IdentityRejected {
    /// As rustls wants it; [`from_tls`](Self::from_tls) brings it back.
    pub(crate) fn into_tls(self) -> rustls::Error {
        CertificateError::Other(OtherError(Arc::new(self))).into()
    }

    /// A server that shows no certificate at all.
    pub(crate) fn no_certificate() -> Self {
        let reason = "the server showed no certificate".into();
        Self::Classical { reason }
    }

    /// What is said about an identity in this error, if anything. Of a server's error: a client without a certificate is none
    /// of a client's errors.
    pub(crate) fn from_tls(error: &rustls::Error) -> Option<Self> {
        match error {
            rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(ours))) => {
                ours.downcast_ref::<Self>().cloned()
            }
            rustls::Error::InvalidCertificate(
                CertificateError::Expired | CertificateError::ExpiredContext { .. },
            ) => Some(Self::Expired),
            rustls::Error::InvalidCertificate(
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
            ) => Some(Self::NotYetValid),
            rustls::Error::InvalidCertificate(CertificateError::BadSignature) => {
                let reason = "the handshake's signature is not good".into();
                Some(Self::Classical { reason })
            }
            rustls::Error::InvalidCertificate(theirs) => Some(Self::Classical {
                reason: theirs.to_string(),
            }),
            rustls::Error::NoCertificatesPresented => Some(Self::NoClientIdentity),
            _ => None,
        }
    }
}
