use core::time::Duration;

use bytes::BufMut;

use super::{RequestHeaders, at_most};
use crate::{
    close::Code,
    reader::{Fault, Reader},
    session_id::SessionId,
    varint::VarInt,
};

/// No new sessions, please; those that run may do so for a while.
///
/// ```text
/// last session varint [1..8] · grace in ms varint [1..8] · code [4] · other authority [the rest, 0..259], UTF-8
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoAway<'a> {
    /// The highest session that was or will be dealt with: all above it can safely be asked for elsewhere.
    pub last: SessionId,
    /// Time until the rest is closed. Whole milliseconds are sent, rounded down.
    pub grace: Duration,
    /// Why.
    pub code: Code,
    /// Where to go instead, as in [`RequestHeaders::authority`]. An empty one says nothing, as `None` does.
    pub authority: Option<&'a str>,
}

impl<'a> GoAway<'a> {
    /// All fields at their longest.
    pub const MAX_LEN: usize = 8 + 8 + 4 + RequestHeaders::MAX_AUTHORITY;

    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Fault> {
        Ok(Self {
            last: reader.varint()?.into(),
            grace: Duration::from_millis(reader.varint()?.into_inner()),
            code: Code::new(reader.u32()?),
            authority: match reader.rest_text("authority", RequestHeaders::MAX_AUTHORITY)? {
                "" => None,
                authority => Some(authority),
            },
        })
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        at_most(
            "authority",
            RequestHeaders::MAX_AUTHORITY,
            self.authority.map_or(0, str::len),
        )
    }

    pub(super) fn payload_len(&self) -> usize {
        VarInt::from(self.last).encoded_len()
            + self.millis().encoded_len()
            + 4
            + self.authority.map_or(0, str::len)
    }

    pub(super) fn write(&self, out: &mut impl BufMut) {
        VarInt::from(self.last).encode(out);
        self.millis().encode(out);
        out.put_u32(self.code.value());
        out.put_slice(self.authority.unwrap_or_default().as_bytes());
    }

    const fn millis(&self) -> VarInt {
        VarInt::saturating(self.grace.as_millis())
    }
}
