//! The composite signature scheme: Ed25519 and FALCON-1024, both over the same bytes, both must be good.
//!
//! ```text
//! CertificateVerify = Ed25519 [64] · FALCON [1280], each over "stoq composite v1" · the content of RFC 8446, section 4.4.3
//! ```
//!
//! Its code point, 0xFE7C, is of the range for private use (RFC 8446, section 4.2.3). What Ed25519 adds
//! depends on who vouches for its key: where a classical authority or a hash vouches for the whole certificate (`Prefer`), whoever
//! wants to pose as a peer must break both. Pins and grants (`Require`) name the FALCON key alone, and whoever breaks or steals
//! that makes a new certificate with an Ed25519 key of their own.

use std::sync::Arc;

use aws_lc_rs::signature::{self, Ed25519KeyPair, UnparsedPublicKey};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::sign::{Signer, SigningKey};
use rustls::{DigitallySignedStruct, SignatureAlgorithm, SignatureScheme};
use rustls_pki_types::CertificateDer;
use stoq_core::falcon::{Domain, SIGNATURE_LEN, Signature, VerifyingKey};

use crate::certificate::Leaf;
use crate::falcon::FalconSigner;
use crate::rejection::IdentityRejected;

/// The scheme's code point in TLS.
pub(crate) const COMPOSITE: SignatureScheme = SignatureScheme::Unknown(0xfe7c);

/// Both secret keys of an identity.
#[derive(Clone, Debug)]
pub(crate) struct CompositeKey {
    pub(crate) ed25519: Arc<Ed25519KeyPair>,
    pub(crate) falcon: Arc<dyn FalconSigner>,
}

impl SigningKey for CompositeKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered
            .contains(&COMPOSITE)
            .then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::Unknown(0x7c)
    }
}

impl Signer for CompositeKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let falcon = self
            .falcon
            .sign(Domain::COMPOSITE, &[message])
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        let ed25519 = self.ed25519.sign(&labelled(message));
        Ok([ed25519.as_ref(), falcon.as_bytes()].concat())
    }

    fn scheme(&self) -> SignatureScheme {
        COMPOSITE
    }
}

/// Judges the signature of a handshake. A certificate with a FALCON key and a composite signature need each other: so who
/// finds a FALCON key in a peer's certificate knows that it was verified.
pub(crate) fn verify_handshake(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    classical: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    let leaf = Leaf::parse(certificate)
        .map_err(|fault| IdentityRejected::Certificate(fault).into_tls())?;
    match (signed.scheme == COMPOSITE, &leaf.falcon) {
        (true, Some(falcon)) => verify(message, leaf.ed25519.as_ref(), falcon, signed.signature())
            .map(|()| HandshakeSignatureValid::assertion())
            .map_err(IdentityRejected::into_tls),
        (true, None) => Err(IdentityRejected::NoFalconKey.into_tls()),
        (false, Some(_)) => Err(IdentityRejected::FalconKeyUnused.into_tls()),
        (false, None) => verify_tls13_signature(message, certificate, signed, classical),
    }
}

fn verify(
    message: &[u8],
    ed25519: Option<&[u8; 32]>,
    falcon: &VerifyingKey,
    signature: &[u8],
) -> Result<(), IdentityRejected> {
    match halves(message, ed25519, falcon, signature)? {
        Halves { ed25519: false, .. } => Err(IdentityRejected::Ed25519Signature),
        Halves { falcon: false, .. } => Err(IdentityRejected::FalconSignature),
        _ => Ok(()),
    }
}

/// Which halves of a composite signature are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Halves {
    pub(crate) ed25519: bool,
    pub(crate) falcon: bool,
}

/// Judges each half by itself; the signature is good if both are.
pub(crate) fn halves(
    message: &[u8],
    ed25519: Option<&[u8; 32]>,
    falcon: &VerifyingKey,
    signature: &[u8],
) -> Result<Halves, IdentityRejected> {
    let ed25519 = ed25519.ok_or(IdentityRejected::NoEd25519Key)?;
    let got = signature.len();
    let wrong_length = IdentityRejected::SignatureLength { got };
    let (first, second) = signature
        .split_at_checked(ED25519_LEN)
        .filter(|(_, second)| second.len() == SIGNATURE_LEN)
        .ok_or(wrong_length)?;
    Ok(Halves {
        ed25519: UnparsedPublicKey::new(&signature::ED25519, ed25519)
            .verify(&labelled(message), first)
            .is_ok(),
        falcon: Signature::try_from(second)
            .and_then(|second| falcon.verify(Domain::COMPOSITE, &[message], &second))
            .is_ok(),
    })
}

fn labelled(message: &[u8]) -> Vec<u8> {
    [Domain::COMPOSITE.label().as_bytes(), message].concat()
}

const ED25519_LEN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FalconKey;
    use aws_lc_rs::signature::KeyPair as _;

    #[test]
    fn both_halves_must_be_good() {
        let key = CompositeKey {
            ed25519: Arc::new(Ed25519KeyPair::generate().unwrap()),
            falcon: Arc::new(FalconKey::generate()),
        };
        let ed25519 = key.ed25519.public_key().as_ref().try_into().unwrap();
        let falcon = key.falcon.verifying_key();
        let good = key.sign(b"a handshake").unwrap();
        let judge = |signature: &[u8]| verify(b"a handshake", Some(&ed25519), falcon, signature);
        assert_eq!(judge(&good), Ok(()));
        let altered = |at: usize| {
            let mut signature = good.clone();
            signature[at] ^= 1;
            judge(&signature)
        };
        assert_eq!(altered(0), Err(IdentityRejected::Ed25519Signature));
        assert_eq!(altered(63), Err(IdentityRejected::Ed25519Signature));
        assert_eq!(altered(64), Err(IdentityRejected::FalconSignature));
        assert_eq!(altered(1343), Err(IdentityRejected::FalconSignature));
        for got in [0, 63, 64, 1343] {
            assert_eq!(
                judge(&good[..got]),
                Err(IdentityRejected::SignatureLength { got })
            );
        }
        let without = verify(b"a handshake", None, falcon, &good);
        assert_eq!(without, Err(IdentityRejected::NoEd25519Key));
        let other = verify(b"another one", Some(&ed25519), falcon, &good);
        assert_eq!(other, Err(IdentityRejected::Ed25519Signature));
    }
}
