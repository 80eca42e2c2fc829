use bytes::BufMut;

use super::at_most;
use crate::{
    close::Code,
    reader::{Fault, Reader},
    session_id::SessionId,
    varint::VarInt,
};

/// A session ends. In band, because not every carrier can say it.
///
/// ```text
/// session id varint [1..8] · code [4] · reason [the rest, 0..1024], UTF-8
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseSession<'a> {
    /// Which.
    pub id: SessionId,
    /// Why, for programs.
    pub code: Code,
    /// Why, for people; at most [`MAX_REASON`](Self::MAX_REASON) bytes.
    pub reason: &'a str,
}

impl<'a> CloseSession<'a> {
    /// The longest reason, in bytes: what a WebTransport session may be closed with ([WebTransport over HTTP/3],
    /// "Session Termination").
    ///
    /// [WebTransport over HTTP/3]: https://datatracker.ietf.org/doc/html/draft-ietf-webtrans-http3-13
    pub const MAX_REASON: usize = 1024;

    /// All fields at their longest.
    pub const MAX_LEN: usize = 8 + 4 + Self::MAX_REASON;

    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Fault> {
        Ok(Self {
            id: reader.varint()?.into(),
            code: Code::new(reader.u32()?),
            reason: reader.rest_text("reason", Self::MAX_REASON)?,
        })
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        at_most("reason", Self::MAX_REASON, self.reason.len())
    }

    pub(super) fn payload_len(&self) -> usize {
        VarInt::from(self.id).encoded_len() + 4 + self.reason.len()
    }

    pub(super) fn write(&self, out: &mut impl BufMut) {
        VarInt::from(self.id).encode(out);
        out.put_u32(self.code.value());
        out.put_slice(self.reason.as_bytes());
    }
}
