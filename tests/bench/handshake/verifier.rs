//! STOQ's composite signature for stock quinn as a client: a verifier that knows the server's certificate and FALCON key.
//!
//! With it the client's TLS shows when it is done, and the suite can be chosen; STOQ's own client does neither.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use stoq_native::{Domain, Signature, VerifyingKey};

/// Verifies both halves.
#[derive(Debug)]
pub(crate) struct Composite {
    pub(crate) certificate_hash: [u8; 32],
    pub(crate) falcon: VerifyingKey,
}

impl ServerCertVerifier for Composite {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match digest(&SHA256, certificate).as_ref() == self.certificate_hash {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("QUIC has no TLS 1.2".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let bad = || Error::from(CertificateError::BadSignature);
        let (ed25519, falcon) = signed
            .signature()
            .split_at_checked(ED25519_SIGNATURE_LEN)
            .ok_or_else(bad)?;
        let labelled = [Domain::COMPOSITE.label().as_bytes(), message].concat();
        UnparsedPublicKey::new(&ED25519, ed25519_key(certificate).ok_or_else(bad)?)
            .verify(&labelled, ed25519)
            .map_err(|_| bad())?;
        Signature::try_from(falcon)
            .and_then(|falcon| self.falcon.verify(Domain::COMPOSITE, &[message], &falcon))
            .map_err(|_| bad())?;
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::Unknown(0xfe7c)]
    }
}

/// The certificate is known by its hash, so the key is what follows its only header of an Ed25519 key.
fn ed25519_key(certificate: &[u8]) -> Option<&[u8]> {
    let at = certificate
        .windows(ED25519_SPKI.len())
        .position(|window| window == ED25519_SPKI)?;
    certificate[at + ED25519_SPKI.len()..].get(..32)
}

/// SEQUENCE { SEQUENCE { OID 1.3.101.112 }, BIT STRING } up to the key (RFC 8410).
const ED25519_SPKI: &[u8] = &[
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
const ED25519_SIGNATURE_LEN: usize = 64;
