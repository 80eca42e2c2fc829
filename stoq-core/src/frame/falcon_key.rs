use bytes::BufMut;

use crate::{
    identity::SignatureAlgorithm,
    reader::{Fault, Reader},
    time::UnixMicros,
};

/// A public key. Read by its shape only; the key itself is not checked here.
///
/// ```text
/// algorithm [1] · public key [1793] · created [8]
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FalconKey<'a> {
    /// What it is for.
    pub algorithm: SignatureAlgorithm,
    /// The key.
    pub key: &'a [u8; 1793],
    /// When it says it was made.
    pub created: UnixMicros,
}

impl<'a> FalconKey<'a> {
    /// All fields are always there.
    pub const MAX_LEN: usize = 1 + 1793 + 8;

    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Fault> {
        Ok(Self {
            algorithm: SignatureAlgorithm(reader.u8()?),
            key: reader.array()?,
            created: UnixMicros(reader.u64()?),
        })
    }

    pub(super) const fn check(&self) -> Result<(), Fault> {
        Ok(())
    }

    pub(super) const fn payload_len(&self) -> usize {
        Self::MAX_LEN
    }

    pub(super) fn write(&self, out: &mut impl BufMut) {
        out.put_u8(self.algorithm.0);
        out.put_slice(self.key);
        out.put_u64(self.created.0);
    }
}
