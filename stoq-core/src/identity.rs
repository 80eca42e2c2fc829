//! Names of FALCON identities, and of signature algorithms.

use core::fmt;

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

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for FalconId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stoq1")?;
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
    }
}
