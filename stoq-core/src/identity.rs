//! Names of FALCON identities, and of signature algorithms.

use core::fmt;
use core::str::FromStr;

use crate::hash::Sha256;

/// Who holds a FALCON key: SHA-256 of the algorithm's number and the public key.
///
/// Its text form is `stoq1` and the bytes in lower-case base32 without padding ([RFC 4648, section 6]): 57 characters.
///
/// [RFC 4648, section 6]: https://www.rfc-editor.org/rfc/rfc4648#section-6
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FalconId([u8; 32]);

impl FalconId {
    /// The identity with these bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The holder of this public key.
    ///
    /// ```text
    /// SHA-256( algorithm [1] · public key )
    /// ```
    pub fn of(algorithm: SignatureAlgorithm, public_key: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(&[algorithm.0]);
        hash.update(public_key);
        Self(hash.finish())
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Reads the text form, in which each identity has one spelling: upper case, padding and spare bits are refused.
impl FromStr for FalconId {
    type Err = InvalidFalconId;

    fn from_str(text: &str) -> Result<Self, InvalidFalconId> {
        let characters = text.strip_prefix(PREFIX).ok_or(InvalidFalconId)?;
        if characters.len() != CHARACTERS {
            return Err(InvalidFalconId);
        }
        let mut bytes = [0; 32];
        let (mut bits, mut held, mut at) = (0u32, 0, 0);
        for character in characters.bytes() {
            let value = BASE32.iter().position(|&known| known == character);
            bits = bits << 5 | value.ok_or(InvalidFalconId)? as u32;
            held += 5;
            if held >= 8 {
                held -= 8;
                bytes[at] = (bits >> held) as u8;
                at += 1;
                bits &= (1 << held) - 1;
            }
        }
        match bits {
            0 => Ok(Self(bytes)),
            _ => Err(InvalidFalconId),
        }
    }
}

/// A text is not a [`FalconId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a FALCON identity is stoq1 and 52 characters of a-z and 2-7")]
pub struct InvalidFalconId;

impl fmt::Display for FalconId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        // Five bytes make eight characters; the last two bytes make four, the rest of their bits zero.
        for group in self.0.chunks(5) {
            let mut padded = [0; 8];
            padded[3..3 + group.len()].copy_from_slice(group);
            let bits = u64::from_be_bytes(padded);
            for character in 0..(group.len() * 8).div_ceil(5) {
                let index = bits >> (35 - 5 * character) & 0x1f;
                fmt::Write::write_char(f, char::from(BASE32[index as usize]))?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for FalconId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FalconId({self})")
    }
}

/// Which algorithm a key or signature belongs to. A number that is not named here can be read and shown, not verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignatureAlgorithm(pub u8);

impl SignatureAlgorithm {
    /// `falcon-padded-1024`: Falcon as submitted to round 3, with signatures padded to 1280 bytes.
    pub const FALCON_PADDED_1024: Self = Self(1);
}

const PREFIX: &str = "stoq1";
/// 256 bits, 5 in each.
const CHARACTERS: usize = 52;
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    #[test]
    fn text_form_is_unpadded_base32() {
        // python3 -c 'import base64; print(base64.b32encode(bytes(range(32))).decode().lower().rstrip("="))'
        let id = FalconId::new(core::array::from_fn(|at| at as u8));
        assert_eq!(
            id.to_string(),
            "stoq1aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq"
        );
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn an_identity_has_one_spelling() {
        let text = FalconId::new([0xff; 32]).to_string();
        assert_eq!(text.parse(), Ok(FalconId::new([0xff; 32])));
        for wrong in [
            "",
            "stoq1",
            &text[1..],
            &text[..text.len() - 1],
            &(text.clone() + "a"),
            &text.to_uppercase(),
            &text.replace("stoq1", "stoq2"),
            // The last character holds one bit of the identity and four that are zero.
            &(text[..text.len() - 1].to_string() + "7"),
            &(text[..text.len() - 1].to_string() + "="),
            &(text[..text.len() - 2].to_string() + "é"),
        ] {
            assert_eq!(wrong.parse::<FalconId>(), Err(InvalidFalconId), "{wrong}");
        }
    }
}
