use bytes::BufMut;

use super::at_most;
use crate::{
    reader::{Fault, Reader},
    session_id::SessionId,
    varint::VarInt,
};

/// The holder of an access token shows that it is, after the session was answered.
///
/// ```text
/// session id varint [1..8] · token hash [32] · algorithm [1] · signature [the rest, 0..1280]
/// ```
///
/// The server answers with the same, and no signature: the proof holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Auth<'a> {
    /// The session that the token was for.
    pub id: SessionId,
    /// SHA-256 of the token, of several that were presented.
    pub token: [u8; 32],
    /// Which algorithm the holder's key is of.
    pub algorithm: u8,
    /// Over the token's hash and the session hash.
    pub signature: &'a [u8],
}

impl<'a> Auth<'a> {
    /// The longest signature, that of FALCON-1024; P-256 has 64 bytes.
    pub const MAX_SIGNATURE: usize = 1280;

    /// All fields at their longest.
    pub const MAX_LEN: usize = 8 + 32 + 1 + Self::MAX_SIGNATURE;

    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Fault> {
        Ok(Self {
            id: reader.varint()?.into(),
            token: *reader.array()?,
            algorithm: reader.u8()?,
            signature: reader.rest(),
        })
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        at_most("signature", Self::MAX_SIGNATURE, self.signature.len())
    }

    pub(super) fn payload_len(&self) -> usize {
        VarInt::from(self.id).encoded_len() + 32 + 1 + self.signature.len()
    }

    pub(super) fn write(&self, out: &mut impl BufMut) {
        VarInt::from(self.id).encode(out);
        out.put_slice(&self.token);
        out.put_u8(self.algorithm);
        out.put_slice(self.signature);
    }
}
