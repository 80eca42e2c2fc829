//! Frames that only the mux carrier needs: QUIC and WebTransport do this themselves. The mux frame around them names
//! the stream.

use bytes::BufMut;

use crate::{
    close::Code,
    reader::{Fault, Reader},
    varint::VarInt,
};

/// A stream ends early.
///
/// ```text
/// code [4]
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RstStream {
    /// Why.
    pub code: Code,
}

impl RstStream {
    /// The code is always four bytes.
    pub const MAX_LEN: usize = 4;

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self {
            code: Code::new(reader.u32()?),
        })
    }

    pub(super) const fn check(&self) -> Result<(), Fault> {
        Ok(())
    }

    pub(super) const fn payload_len(&self) -> usize {
        Self::MAX_LEN
    }

    pub(super) fn write(&self, out: &mut impl BufMut) {
        out.put_u32(self.code.value());
    }
}

/// The receiver of a stream has room for more.
///
/// ```text
/// increment varint [1..8]
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowUpdate {
    /// Bytes more than allowed so far.
    pub increment: VarInt,
}

impl WindowUpdate {
    /// One integer.
    pub const MAX_LEN: usize = VarInt::MAX_LEN;

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self {
            increment: reader.varint()?,
        })
    }

    pub(super) const fn check(&self) -> Result<(), Fault> {
        Ok(())
    }

    pub(super) const fn payload_len(&self) -> usize {
        self.increment.encoded_len()
    }

    pub(super) fn write(&self, out: &mut impl BufMut) {
        self.increment.encode(out);
    }
}
