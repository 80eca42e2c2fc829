use alloc::vec::Vec;

use bytes::BufMut;

use super::{at_most, counted_len, put_counted};
use crate::reader::{Fault, Reader};

/// Access tokens that a client presents, each for one of those who stand between it and the target, or for the target. Read
/// by their shape only: each verifier looks for the one that is for it.
///
/// ```text
/// count [1], at most 4 · each: length varint [1..2], bytes [0..4096]; all together at most 6 KiB
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessTokens<'a>(Vec<&'a [u8]>);

impl<'a> AccessTokens<'a> {
    /// The most tokens: the gateway's, the target's and those of two relays.
    pub const MAX_COUNT: usize = 4;

    /// The longest token: one with a FALCON signature and every text at its longest has less.
    pub const MAX_TOKEN: usize = 4096;

    /// All fields, so that SETTINGS have room for them and for everything else.
    pub const MAX_LEN: usize = 6 * 1024;

    /// The tokens in their order.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().copied()
    }

    /// Reads them from the front.
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, Fault> {
        let count = usize::from(reader.u8()?);
        at_most("number of access tokens", Self::MAX_COUNT, count)?;
        let tokens = (0..count)
            .map(|_| reader.counted("access token", Self::MAX_TOKEN))
            .collect::<Result<_, _>>()?;
        Ok(Self(tokens))
    }

    pub(crate) fn check(&self) -> Result<(), Fault> {
        at_most("number of access tokens", Self::MAX_COUNT, self.0.len())?;
        at_most("access tokens", Self::MAX_LEN, self.len())?;
        self.iter()
            .try_for_each(|token| at_most("access token", Self::MAX_TOKEN, token.len()))
    }

    pub(crate) fn len(&self) -> usize {
        1 + self.iter().map(counted_len).sum::<usize>()
    }

    pub(crate) fn write(&self, out: &mut impl BufMut) {
        // The cast cannot lose bits in what was checked.
        out.put_u8(self.0.len() as u8);
        for token in self.iter() {
            put_counted(token, out);
        }
    }
}

impl<'a> FromIterator<&'a [u8]> for AccessTokens<'a> {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(tokens: I) -> Self {
        Self(tokens.into_iter().collect())
    }
}
