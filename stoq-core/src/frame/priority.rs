use bytes::BufMut;

use crate::reader::{Fault, Reader};

/// How urgent the stream is that this frame travels on ([RFC 9218, section 4], whose values these are).
///
/// ```text
/// urgency [1], 0 most … 7 least · incremental [1], 0 | 1
/// ```
///
/// It names no stream: stream ids change at each relay, and browsers show none.
///
/// [RFC 9218, section 4]: https://www.rfc-editor.org/rfc/rfc9218#section-4
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priority {
    /// 0, before all others, to [`MAX_URGENCY`](Self::MAX_URGENCY).
    pub urgency: u8,
    /// Whether a part of the stream is of use before the whole is there, so that it may share with its equals.
    pub incremental: bool,
}

impl Priority {
    /// Both fields are always there.
    pub const MAX_LEN: usize = 2;

    /// The least urgent.
    pub const MAX_URGENCY: u8 = 7;

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self {
            urgency: reader.u8()?,
            incremental: reader.bool("incremental")?,
        })
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        if self.urgency > Self::MAX_URGENCY {
            return Err(Fault::OutOfRange {
                field: "urgency",
                got: self.urgency.into(),
            });
        }
        Ok(())
    }

    pub(super) const fn payload_len(&self) -> usize {
        Self::MAX_LEN
    }

    pub(super) fn write(&self, out: &mut impl BufMut) {
        out.put_u8(self.urgency);
        out.put_u8(self.incremental.into());
    }
}
