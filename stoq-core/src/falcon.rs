//! FALCON-1024: public keys, signatures, and whether the one vouches for something in the name of the other.
//!
//! This is Falcon as submitted to round 3, with signatures padded to one length (PQClean's `falcon-padded-1024`). FN-DSA as
//! drafted hashes differently; it is not this, and it will have another [`SignatureAlgorithm`]. Core verifies; it cannot sign.

use core::fmt;

use fn_dsa_vrfy::{
    DOMAIN_NONE, HASH_ID_ORIGINAL_FALCON, VerifyingKey as _, VerifyingKey1024 as Polynomial,
};

use crate::identity::{FalconId, SignatureAlgorithm};

/// Bytes of a public key.
pub const PUBLIC_KEY_LEN: usize = 1793;
/// Bytes of a signature.
pub const SIGNATURE_LEN: usize = 1280;
/// Bytes that one signature covers at most, its [`Domain`]'s label included: the room that [`VerifyingKey::verify`] has on
/// the stack. What is longer is hashed first.
pub const MAX_SIGNED_LEN: usize = 4096;

/// The use that a signature has. Its label stands in front of what is signed, so that what was signed for one use is worth
/// nothing for another.
///
/// No label is the beginning of another, so the label and what follows it cannot be taken apart in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Domain(&'static str);

impl Domain {
    /// The post-quantum half of the signature in a TLS handshake.
    pub const COMPOSITE: Self = Self("stoq composite v1");
    /// An authority's word for an identity: [`Grant`](crate::grant::Grant).
    pub const GRANT: Self = Self("stoq grant v1");
    /// What a gateway publishes of itself: [`EndpointRecord`](crate::endpoint_record::EndpointRecord).
    pub const ENDPOINT_RECORD: Self = Self("stoq endpoint record v1");
    /// A run of tokens on a stream: [`Statement`](crate::run::Statement).
    pub const TOKEN_RUN: Self = Self("stoq token run v1");
    /// A run of tokens of datagrams: [`Statement`](crate::run::Statement).
    pub const DATAGRAM_RUN: Self = Self("stoq datagram run v1");
    /// What an issuer permits: [`AccessToken`](crate::access::AccessToken).
    pub const ACCESS_TOKEN: Self = Self("stoq access token v1");

    /// Every use there is.
    pub const ALL: &[Self] = &[
        Self::COMPOSITE,
        Self::GRANT,
        Self::ENDPOINT_RECORD,
        Self::TOKEN_RUN,
        Self::DATAGRAM_RUN,
        Self::ACCESS_TOKEN,
    ];

    /// What stands in front of the signed bytes.
    pub const fn label(self) -> &'static str {
        self.0
    }
}

/// A signature, by its length; whether it is worth anything, [`VerifyingKey::verify`] says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; SIGNATURE_LEN]);

impl Signature {
    /// The signature with these bytes.
    pub const fn new(bytes: [u8; SIGNATURE_LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; SIGNATURE_LEN] {
        &self.0
    }
}

/// # Errors
/// [`BadSignature`] if there are not exactly [`SIGNATURE_LEN`] bytes: PQClean's verifier takes signatures whose padding was
/// stripped, this one does not, because a signature has one encoding.
impl TryFrom<&[u8]> for Signature {
    type Error = BadSignature;

    fn try_from(bytes: &[u8]) -> Result<Self, BadSignature> {
        bytes.try_into().map(Self).map_err(|_| BadSignature)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(1280 bytes)")
    }
}

/// A public key that has been checked, ready to verify many signatures. Takes 4 KB.
#[derive(Clone)]
pub struct VerifyingKey {
    bytes: [u8; PUBLIC_KEY_LEN],
    id: FalconId,
    polynomial: Polynomial,
}

impl VerifyingKey {
    /// Checks a public key: its first byte says 1024, and each coefficient is below 12289.
    ///
    /// Takes 10 to 45 µs, and 20 KB of stack: 64 KB where nothing was optimised. Allocates nothing.
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn from_bytes(bytes: &[u8; PUBLIC_KEY_LEN]) -> Result<Self, BadKey> {
        Ok(Self {
            polynomial: Polynomial::decode(bytes).ok_or(BadKey)?,
            id: FalconId::of(SignatureAlgorithm::FALCON_PADDED_1024, bytes),
            bytes: *bytes,
        })
    }

    /// The key as it travels.
    pub const fn as_bytes(&self) -> &[u8; PUBLIC_KEY_LEN] {
        &self.bytes
    }

    /// Who holds the key.
    pub const fn id(&self) -> FalconId {
        self.id
    }

    /// What the key is for.
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::FALCON_PADDED_1024
    }

    /// Whether `signature` covers the domain's label and then `parts`, one after the other, and was made with this key.
    ///
    /// Takes much the same time for all good signatures of a length of input (all that it reads is public): for 2 KB, on a
    /// server of 2026, some 25 µs with AVX2, 50 to 90 without, 60 to 100 in WebAssembly. Needs 12 KB of stack, 43 KB where
    /// nothing was optimised, as `tests/stack.rs` sees to. Allocates nothing.
    ///
    /// # Errors
    /// [`BadSignature`], also if there are more than [`MAX_SIGNED_LEN`] bytes to cover, which no signer of ours covers.
    pub fn verify(
        &self,
        domain: Domain,
        parts: &[&[u8]],
        signature: &Signature,
    ) -> Result<(), BadSignature> {
        let mut room = [0; MAX_SIGNED_LEN];
        let mut signed = 0;
        for part in core::iter::once(domain.0.as_bytes()).chain(parts.iter().copied()) {
            let end = signed + part.len();
            room.get_mut(signed..end)
                .ok_or(BadSignature)?
                .copy_from_slice(part);
            signed = end;
        }
        self.polynomial
            .verify(
                &signature.0,
                &DOMAIN_NONE,
                &HASH_ID_ORIGINAL_FALCON,
                &room[..signed],
            )
            .then_some(())
            .ok_or(BadSignature)
    }
}

impl PartialEq for VerifyingKey {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for VerifyingKey {}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VerifyingKey").field(&self.id).finish()
    }
}

/// # Errors
/// [`BadKey`] if there are not exactly [`PUBLIC_KEY_LEN`] bytes, or they are not a key.
impl TryFrom<&[u8]> for VerifyingKey {
    type Error = BadKey;

    fn try_from(bytes: &[u8]) -> Result<Self, BadKey> {
        Self::from_bytes(bytes.try_into().map_err(|_| BadKey)?)
    }
}

/// Bytes are not a public key of FALCON-1024.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a FALCON-1024 public key")]
pub struct BadKey;

/// A signature does not vouch for what it was said to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the FALCON-1024 signature is not good")]
pub struct BadSignature;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_label_is_the_beginning_of_another() {
        for (at, domain) in Domain::ALL.iter().enumerate() {
            for (other_at, other) in Domain::ALL.iter().enumerate() {
                let begins = other.label().starts_with(domain.label());
                assert_eq!(begins, at == other_at, "{domain:?} {other:?}");
            }
        }
    }

    #[test]
    fn rejects_what_is_no_key() {
        assert_eq!(VerifyingKey::from_bytes(&[0; PUBLIC_KEY_LEN]), Err(BadKey));
        let mut too_large = [0; PUBLIC_KEY_LEN];
        too_large[0] = 10;
        assert!(VerifyingKey::from_bytes(&too_large).is_ok());
        too_large[1..3].copy_from_slice(&[0xff; 2]);
        assert_eq!(VerifyingKey::from_bytes(&too_large), Err(BadKey));
        assert_eq!(VerifyingKey::try_from(&too_large[1..]), Err(BadKey));
    }
}
