use bytes::BufMut;

use crate::{
    identity::{FalconId, SignatureAlgorithm},
    reader::{Fault, Reader},
    varint::VarInt,
};

/// Vouches for a run of tokens. Read by its shape only; nothing is verified here.
///
/// ```text
/// FalconId [32] · algorithm [1] · first sequence varint [1..8] · last sequence varint [1..8] · request varint [1..8]
///   · final [1], 0 | 1 · signature [1280]
/// ```
///
/// What the signature covers is drawn at [`Statement`](crate::run::Statement).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FalconSignature<'a> {
    /// Who signed.
    pub signer: FalconId,
    /// With what.
    pub algorithm: SignatureAlgorithm,
    /// The first token of the run.
    pub first: VarInt,
    /// The last, not before the first.
    pub last: VarInt,
    /// How many DATA frames of the channel's other direction the run [answers](crate::channel::Request).
    pub request: VarInt,
    /// Whether nothing comes after the run: the sender ended here.
    pub is_final: bool,
    /// The signature.
    pub signature: &'a [u8; 1280],
}

impl<'a> FalconSignature<'a> {
    /// All fields at their longest.
    pub const MAX_LEN: usize = 32 + 1 + 8 + 8 + 8 + 1 + 1280;

    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Fault> {
        Ok(Self {
            signer: FalconId::new(*reader.array()?),
            algorithm: SignatureAlgorithm(reader.u8()?),
            first: reader.varint()?,
            last: reader.varint()?,
            request: reader.varint()?,
            is_final: reader.bool("final")?,
            signature: reader.array()?,
        })
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        if self.last < self.first {
            return Err(Fault::OutOfRange {
                field: "last sequence",
                got: self.last.into_inner(),
            });
        }
        Ok(())
    }

    pub(super) const fn payload_len(&self) -> usize {
        32 + 1
            + self.first.encoded_len()
            + self.last.encoded_len()
            + self.request.encoded_len()
            + 1
            + self.signature.len()
    }

    pub(super) fn write(&self, out: &mut impl BufMut) {
        out.put_slice(self.signer.as_bytes());
        out.put_u8(self.algorithm.0);
        self.first.encode(out);
        self.last.encode(out);
        self.request.encode(out);
        out.put_u8(self.is_final.into());
        out.put_slice(self.signature);
    }
}
