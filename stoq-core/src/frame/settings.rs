use alloc::vec::Vec;
use core::fmt;

use bytes::BufMut;

use super::{DecodeError, FrameType, at_most, counted_len, put_counted};
use crate::{
    reader::{Fault, Reader},
    varint::VarInt,
};

/// What a peer can do and wants. The first frame on its control stream, and sent once.
///
/// ```text
/// any number of: id varint [1..8] · length varint [1..8] · value [length]
/// ```
///
/// The order means nothing but is kept. A setting stands at most once; one that is not known is ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings<'a>(Vec<(SettingId, &'a [u8])>);

impl<'a> Settings<'a> {
    /// 8 KiB: room for an access token with a FALCON signature, its key and its certificate, and a bound on what a peer
    /// that nobody has judged yet can make us hold.
    pub const MAX_LEN: usize = 8 * 1024;

    /// The most settings in a frame: many times those that have names, and few enough to look for doubles pair by pair.
    pub const MAX_COUNT: usize = 64;

    /// The value of a setting, if it is there.
    pub fn get(&self, id: SettingId) -> Option<&'a [u8]> {
        self.iter()
            .find_map(|(found, value)| (found == id).then_some(value))
    }

    /// The value of a setting that is a varint, if it is there.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] if the value is not exactly a varint.
    pub fn get_varint(&self, id: SettingId) -> Result<Option<u64>, DecodeError> {
        let Some(value) = self.get(id) else {
            return Ok(None);
        };
        let mut reader = Reader::new(value);
        let number = reader
            .varint()
            .and_then(|number| reader.end().map(|()| number));
        let number = number.map_err(|fault| DecodeError::Malformed {
            frame: FrameType::SETTINGS,
            fault,
        })?;
        Ok(Some(number.into_inner()))
    }

    /// All settings in their order.
    pub fn iter(&self) -> impl Iterator<Item = (SettingId, &'a [u8])> {
        self.0.iter().copied()
    }

    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Fault> {
        let mut entries = Vec::new();
        while reader.left() > 0 {
            at_most("number of settings", Self::MAX_COUNT, entries.len() + 1)?;
            let id = SettingId(reader.varint()?);
            entries.push((id, reader.counted("value of a setting", Self::MAX_LEN)?));
        }
        Ok(Self(entries))
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        at_most("number of settings", Self::MAX_COUNT, self.0.len())?;
        for (at, (id, _)) in self.0.iter().enumerate() {
            if self.0[..at].iter().any(|(earlier, _)| earlier == id) {
                return Err(Fault::Duplicate {
                    field: "setting",
                    got: id.value(),
                });
            }
        }
        Ok(())
    }

    pub(super) fn payload_len(&self) -> usize {
        self.iter()
            .map(|(id, value)| id.0.encoded_len() + counted_len(value))
            .sum()
    }

    pub(super) fn write(&self, out: &mut impl BufMut) {
        for (id, value) in self.iter() {
            id.0.encode(out);
            put_counted(value, out);
        }
    }
}

impl<'a> From<Vec<(SettingId, &'a [u8])>> for Settings<'a> {
    fn from(entries: Vec<(SettingId, &'a [u8])>) -> Self {
        Self(entries)
    }
}

/// Which setting: a number from the wire, of which some have names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SettingId(VarInt);

impl SettingId {
    /// The version of STOQ that the peer speaks, a varint.
    pub const VERSION: Self = Self(VarInt::from_u32(1));
    /// The peer's random, 32 bytes.
    pub const RANDOM: Self = Self(VarInt::from_u32(2));
    /// The service that session 0 is for, UTF-8; from clients only.
    pub const SERVICE: Self = Self(VarInt::from_u32(3));
    /// Multiplexed sessions at once that the peer takes, a varint.
    pub const MAX_SESSIONS: Self = Self(VarInt::from_u32(4));
    /// The largest payload of a datagram that the peer takes, in bytes, a varint.
    pub const MAX_DATAGRAM_SIZE: Self = Self(VarInt::from_u32(5));
    /// Streams at once that the peer takes, for each session and direction, a varint.
    pub const MAX_STREAMS: Self = Self(VarInt::from_u32(6));
    /// What the client shows to be let in to the service of session 0, [`AccessTokens`](super::AccessTokens); from clients
    /// only.
    pub const ACCESS_TOKENS: Self = Self(VarInt::from_u32(7));
    /// The relays that the request for session 0 has to pass behind this server, a [`Route`](super::Route); from clients
    /// only.
    pub const ROUTE: Self = Self(VarInt::from_u32(8));
    /// The relays that the request for session 0 had passed, as the target saw them, the payload of a HOP frame; from
    /// servers only.
    pub const HOPS: Self = Self(VarInt::from_u32(9));

    /// The setting with this number.
    pub const fn new(value: VarInt) -> Self {
        Self(value)
    }

    /// The number.
    pub const fn value(self) -> u64 {
        self.0.into_inner()
    }
}

impl fmt::Debug for SettingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SettingId({})", self.0)
    }
}
