use bytes::BufMut;

use crate::{
    reader::{Fault, Reader},
    varint::VarInt,
};

/// A part of a message that does not fit a datagram. Reading and writing one reserves nothing.
///
/// ```text
/// message id varint [1..8] · index [2] · data shards [2] · parity shards [2] · message length varint [1..8]
/// SHA-256 of the message [32] · shard [the rest, an even number, at least 2]
/// ```
///
/// Any `data` shards of the `data + parity` rebuild the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard<'a> {
    /// Which message of the session.
    pub message: VarInt,
    /// Which shard of it: data shards first, then parity.
    pub index: u16,
    /// Shards that hold the message itself, at least one.
    pub data: u16,
    /// Shards that make up for lost ones, at most [`max_parity`](Self::max_parity).
    pub parity: u16,
    /// Bytes of the message: at least one, and no more than the data shards hold.
    pub message_len: VarInt,
    /// SHA-256 of the message.
    pub digest: &'a [u8; 32],
    /// The shard itself; all of a message are of one, even length.
    pub bytes: &'a [u8],
}

impl<'a> Shard<'a> {
    /// The largest UDP payload (65535 less the UDP header): a shard exists to fit a datagram.
    pub const MAX_LEN: usize = 65_527;

    /// The most shards of a message, data and parity together: a Reed–Solomon code over bytes has no more, and a receiver
    /// keeps track of them in 32 bytes.
    pub const MAX_SHARDS: u16 = 255;

    /// The most parity shards beside `data` data shards: two for each, and 16 more, within [`MAX_SHARDS`](Self::MAX_SHARDS).
    ///
    /// To rebuild takes work for all shards that there could be, not for those that came. So much parity is enough on a path
    /// that loses half of its packets, where more than 13 beyond twice the data are never wanted for one failure in ten
    /// thousand; 253 beside two would let two datagrams ask for as much work as a message of 200 KB: 5 ms and more in a page.
    pub const fn max_parity(data: u16) -> u16 {
        let (left, most) = (Self::MAX_SHARDS.saturating_sub(data), 2 * data as u32 + 16);
        if most < left as u32 {
            most as u16
        } else {
            left
        }
    }

    /// Reads a whole payload.
    pub(crate) fn decode(payload: &'a [u8]) -> Result<Self, Fault> {
        let mut reader = Reader::new(payload);
        let body = Self::read(&mut reader)?;
        reader.end()?;
        body.check()?;
        Ok(body)
    }

    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Fault> {
        Ok(Self {
            message: reader.varint()?,
            index: reader.u16()?,
            data: reader.u16()?,
            parity: reader.u16()?,
            message_len: reader.varint()?,
            digest: reader.array()?,
            bytes: reader.rest(),
        })
    }

    pub(crate) fn check(&self) -> Result<(), Fault> {
        // As u32: the sum of two u16 may overflow one.
        let shards = u32::from(self.data) + u32::from(self.parity);
        if self.data == 0 {
            return Err(Fault::OutOfRange {
                field: "data shards",
                got: 0,
            });
        }
        if shards > Self::MAX_SHARDS.into() {
            return Err(Fault::OutOfRange {
                field: "data and parity shards",
                got: shards.into(),
            });
        }
        if self.parity > Self::max_parity(self.data) {
            return Err(Fault::OutOfRange {
                field: "parity shards",
                got: self.parity.into(),
            });
        }
        if u32::from(self.index) >= shards {
            return Err(Fault::OutOfRange {
                field: "index of a shard",
                got: self.index.into(),
            });
        }
        let len = self.bytes.len() as u64;
        if len == 0 || !len.is_multiple_of(2) {
            return Err(Fault::OutOfRange {
                field: "length of a shard",
                got: len,
            });
        }
        let message_len = self.message_len.into_inner();
        if message_len == 0 || message_len > len * u64::from(self.data) {
            return Err(Fault::OutOfRange {
                field: "length of a message",
                got: message_len,
            });
        }
        Ok(())
    }

    pub(super) const fn payload_len(&self) -> usize {
        self.message.encoded_len() + 6 + self.message_len.encoded_len() + 32 + self.bytes.len()
    }

    pub(super) fn write(&self, out: &mut impl BufMut) {
        self.message.encode(out);
        out.put_u16(self.index);
        out.put_u16(self.data);
        out.put_u16(self.parity);
        self.message_len.encode(out);
        out.put_slice(self.digest);
        out.put_slice(self.bytes);
    }
}
