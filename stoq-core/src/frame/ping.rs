use bytes::BufMut;

use crate::reader::{Fault, Reader};

/// A question that is answered at once with the same data.
///
/// ```text
/// flags [1], 0 question | 1 answer · data [8]
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ping {
    /// Whatever the asker wants to have back.
    pub data: [u8; 8],
    /// Whether this is the answer.
    pub ack: bool,
}

impl Ping {
    /// Both fields are always there.
    pub const MAX_LEN: usize = 9;

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self {
            ack: reader.bool("flags")?,
            data: *reader.array()?,
        })
    }

    pub(super) const fn check(&self) -> Result<(), Fault> {
        Ok(())
    }

    pub(super) const fn payload_len(&self) -> usize {
        Self::MAX_LEN
    }

    pub(super) fn write(&self, out: &mut impl BufMut) {
        out.put_u8(self.ack.into());
        out.put_slice(&self.data);
    }
}
