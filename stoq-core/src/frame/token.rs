use bytes::BufMut;

use crate::{
    reader::{Fault, Reader},
    time::UnixMicros,
    varint::VarInt,
};

/// Vouches for the next DATA frame. Reading and writing one reserves nothing.
///
/// ```text
/// algorithm [1] · sequence varint [1..8] · timestamp [8] · tag [32]
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// How the tag was made.
    pub algorithm: TokenAlgorithm,
    /// Counts the tokens of a channel and direction.
    pub sequence: VarInt,
    /// When the token was made.
    pub timestamp: UnixMicros,
    /// The hash of session, channel, sequence, time and data.
    pub tag: [u8; 32],
}

impl Token {
    /// All fields at their longest.
    pub const MAX_LEN: usize = 1 + 8 + 8 + 32;

    /// Reads a whole payload.
    pub(crate) fn decode(payload: &[u8]) -> Result<Self, Fault> {
        let mut reader = Reader::new(payload);
        let body = Self::read(&mut reader)?;
        reader.end()?;
        body.check()?;
        Ok(body)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self {
            algorithm: TokenAlgorithm(reader.u8()?),
            sequence: reader.varint()?,
            timestamp: UnixMicros(reader.u64()?),
            tag: *reader.array()?,
        })
    }

    pub(super) const fn check(&self) -> Result<(), Fault> {
        Ok(())
    }

    pub(super) const fn payload_len(&self) -> usize {
        1 + self.sequence.encoded_len() + 8 + 32
    }

    pub(super) fn write(&self, out: &mut impl BufMut) {
        out.put_u8(self.algorithm.0);
        self.sequence.encode(out);
        out.put_u64(self.timestamp.0);
        out.put_slice(&self.tag);
    }
}

/// How the tag of a [`Token`] was made. A number that is not named here can be read and shown, not checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenAlgorithm(pub u8);

impl TokenAlgorithm {
    /// SHA-256.
    pub const SHA256: Self = Self(0);
    /// BLAKE3.
    pub const BLAKE3: Self = Self(3);
}
