use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use p256::ecdsa::{Signature, VerifyingKey};

use crate::base64url;
use crate::hash::{SessionHash, Sha256};

/// Who may use a token: a public key of P-256, as a compressed point ([SEC 1, section 2.3.3]).
///
/// P-256, because a browser keeps a key of that kind where no script can read it. Its text form is `stoqh1` and the bytes in
/// base64url: 50 characters.
///
/// One that a token [claims](super::SignedAccessToken::claim) may be no point of the curve, as long as no
/// [`Verifier`](super::Verifier) has taken the token; nobody can sign for such a one.
///
/// [SEC 1, section 2.3.3]: https://www.secg.org/sec1-v2.pdf
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct HolderKey([u8; Self::LEN]);

impl HolderKey {
    /// Bytes of a key.
    pub const LEN: usize = 33;

    /// Checks that these bytes are a point of the curve. Takes some 30 µs.
    ///
    /// # Errors
    /// [`InvalidHolderKey`] if they are not, or the point is not compressed: a key has one encoding.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Result<Self, InvalidHolderKey> {
        let key = Self(*bytes);
        match key.is_point() {
            true => Ok(key),
            false => Err(InvalidHolderKey),
        }
    }

    /// The key of a token that nobody has verified.
    pub(super) const fn unchecked(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// Whether the bytes are a compressed point of the curve.
    pub(super) fn is_point(&self) -> bool {
        matches!(self.0[0], 2 | 3) && VerifyingKey::from_sec1_bytes(&self.0).is_ok()
    }

    /// The key that cryptographic libraries export: 65 bytes, `04`, x and y.
    ///
    /// # Errors
    /// [`InvalidHolderKey`] if they are no point of the curve.
    pub fn from_uncompressed(bytes: &[u8]) -> Result<Self, InvalidHolderKey> {
        let key = Self::from_trusted(bytes)?;
        VerifyingKey::from_sec1_bytes(bytes).map_err(|_| InvalidHolderKey)?;
        Ok(key)
    }

    /// As [`from_uncompressed`](Self::from_uncompressed), from a library that has checked the point, as WebCrypto has: it is not
    /// checked again, which would be the only use of the curve's arithmetic in a page.
    ///
    /// # Errors
    /// [`InvalidHolderKey`] if they have not the form of an uncompressed point.
    pub fn from_trusted(bytes: &[u8]) -> Result<Self, InvalidHolderKey> {
        let bytes: &[u8; 65] = bytes.try_into().map_err(|_| InvalidHolderKey)?;
        if bytes[0] != 4 {
            return Err(InvalidHolderKey);
        }
        let mut compressed = [2 | bytes[64] & 1; Self::LEN];
        compressed[1..].copy_from_slice(&bytes[1..33]);
        Ok(Self(compressed))
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// Whether the holder of this key has signed [`proof_message`] with ECDSA and SHA-256 ([FIPS 186-5]).
    ///
    /// Each good signature has a twin with another s, which is as good; both are taken, because WebCrypto makes either. Nothing
    /// is told apart by the bytes of a proof, so that does no harm. Takes some 200 µs.
    ///
    /// [FIPS 186-5]: https://csrc.nist.gov/pubs/fips/186-5/final
    pub fn has_signed(
        &self,
        token: &TokenHash,
        session: &SessionHash,
        proof: &HolderProof,
    ) -> bool {
        let mut hash = Sha256::new();
        hash.update(&proof_message(token, session));
        let key = VerifyingKey::from_sec1_bytes(&self.0);
        let signature = Signature::from_slice(proof.as_bytes());
        match (key, signature) {
            (Ok(key), Ok(signature)) => key.verify_prehash(&hash.finish(), &signature).is_ok(),
            _ => false,
        }
    }
}

impl fmt::Display for HolderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::from(PREFIX);
        base64url::encode(&self.0, &mut text);
        f.write_str(&text)
    }
}

impl fmt::Debug for HolderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HolderKey({self})")
    }
}

/// Reads the text form, in which each key has one spelling.
impl FromStr for HolderKey {
    type Err = InvalidHolderKey;

    fn from_str(text: &str) -> Result<Self, InvalidHolderKey> {
        let characters = text.strip_prefix(PREFIX).ok_or(InvalidHolderKey)?;
        if characters.len() != CHARACTERS {
            return Err(InvalidHolderKey);
        }
        let bytes = base64url::decode(characters).ok_or(InvalidHolderKey)?;
        let bytes = bytes.as_slice().try_into().map_err(|_| InvalidHolderKey)?;
        Self::from_bytes(bytes)
    }
}

/// Something is not a [`HolderKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a holder key: a point of P-256, as text {PREFIX} and 44 characters")]
pub struct InvalidHolderKey;

/// A holder's signature over [`proof_message`]: r and s of ECDSA with P-256 and SHA-256, 32 bytes each, as WebCrypto gives it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HolderProof([u8; Self::LEN]);

impl HolderProof {
    /// Bytes of a proof.
    pub const LEN: usize = 64;
    /// The number that AUTH frames give the algorithm.
    pub const ALGORITHM: u8 = 1;

    /// The proof with these bytes, good or not.
    pub const fn new(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Debug for HolderProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HolderProof(64 bytes)")
    }
}

/// SHA-256 of a token as it travels, its signature included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash with these bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The hash of the token with these bytes, readable or not.
    pub fn of(token: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(token);
        Self(hash.finish())
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Lower-case hexadecimal.
impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenHash({self})")
    }
}

/// What a holder signs to show that it is the one.
///
/// ```text
/// "stoq access proof v1" [20] · token hash [32] · session hash [32]
/// ```
///
/// The session hash makes a proof worth nothing in another session: a relay cannot keep it for later.
pub fn proof_message(token: &TokenHash, session: &SessionHash) -> [u8; PROOF_MESSAGE_LEN] {
    let mut message = [0; PROOF_MESSAGE_LEN];
    let (label, hashes) = message.split_at_mut(LABEL.len());
    label.copy_from_slice(LABEL);
    hashes[..32].copy_from_slice(token.as_bytes());
    hashes[32..].copy_from_slice(session.as_bytes());
    message
}

const PROOF_MESSAGE_LEN: usize = LABEL.len() + 32 + 32;
/// The use that the signature has, and its version.
const LABEL: &[u8] = b"stoq access proof v1";
const PREFIX: &str = "stoqh1";
/// 264 bits, 6 in each, none spare.
const CHARACTERS: usize = 44;
