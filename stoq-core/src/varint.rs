//! Variable-length integers.

use bytes::BufMut;

use crate::reader::Fault;

/// An integer below 2^62, in 1, 2, 4 or 8 bytes ([RFC 9000, section 16]).
/// Stricter than the source: only the shortest form decodes, so a value has one encoding.
///
/// ```text
/// first byte   00xxxxxx   01xxxxxx   10xxxxxx   11xxxxxx
/// bytes        1          2          4          8
/// values to    63         16383      2^30 - 1   2^62 - 1
/// ```
///
/// [RFC 9000, section 16]: https://www.rfc-editor.org/rfc/rfc9000#section-16
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VarInt(u64);

impl VarInt {
    /// The largest value, 2^62 - 1.
    pub const MAX: Self = Self((1 << 62) - 1);

    /// The longest encoding, in bytes.
    pub const MAX_LEN: usize = 8;

    /// `value`, or `None` if it is above [`MAX`](Self::MAX).
    pub const fn new(value: u64) -> Option<Self> {
        if value > Self::MAX.0 {
            None
        } else {
            Some(Self(value))
        }
    }

    /// `value`, which always fits.
    pub const fn from_u32(value: u32) -> Self {
        Self(value as u64)
    }

    /// `value`, or [`MAX`](Self::MAX) if that is smaller: for measurements, where a bound does no harm.
    /// As wide as what [`Duration::as_micros`](core::time::Duration::as_micros) gives.
    pub const fn saturating(value: u128) -> Self {
        if value > Self::MAX.0 as u128 {
            Self::MAX
        } else {
            Self(value as u64)
        }
    }

    /// The number itself.
    pub const fn into_inner(self) -> u64 {
        self.0
    }

    /// Reads one integer from the front of `input`.
    ///
    /// `Ok(None)` means `input` ends too early: append more bytes and call again.
    /// `Ok(Some((value, n)))` means the integer covered the first `n` bytes.
    ///
    /// # Errors
    /// [`Fault::NotShortest`], as soon as no continuation of `input` could be a shortest form.
    pub fn decode(input: &[u8]) -> Result<Option<(Self, usize)>, Fault> {
        let Some(&first) = input.first() else {
            return Ok(None);
        };
        let len = 1 << (first >> 6);
        // Missing bytes count as 0xff, the best they can be; what is too small even so is refused now.
        let value = (1..len).fold(u64::from(first & 0x3f), |value, at| {
            value << 8 | u64::from(input.get(at).copied().unwrap_or(0xff))
        });
        let value = Self(value);
        if value.encoded_len() != len {
            return Err(Fault::NotShortest);
        }
        Ok((input.len() >= len).then_some((value, len)))
    }

    /// Exact number of bytes that [`encode`](Self::encode) appends: 1, 2, 4 or 8.
    pub const fn encoded_len(self) -> usize {
        match self.0 {
            0..0x40 => 1,
            0x40..0x4000 => 2,
            0x4000..0x4000_0000 => 4,
            _ => 8,
        }
    }

    /// Appends the shortest form.
    pub fn encode(self, out: &mut impl BufMut) {
        let value = self.0;
        // The casts cannot lose bits: `encoded_len` is chosen by the size of the value.
        match self.encoded_len() {
            1 => out.put_u8(value as u8),
            2 => out.put_u16(0x4000 | value as u16),
            4 => out.put_u32(0x8000_0000 | value as u32),
            _ => out.put_u64(0xc000_0000_0000_0000 | value),
        }
    }
}

impl From<u8> for VarInt {
    fn from(value: u8) -> Self {
        Self(value.into())
    }
}

impl From<u16> for VarInt {
    fn from(value: u16) -> Self {
        Self(value.into())
    }
}

impl From<u32> for VarInt {
    fn from(value: u32) -> Self {
        Self::from_u32(value)
    }
}

impl TryFrom<u64> for VarInt {
    type Error = VarIntTooLarge;

    fn try_from(value: u64) -> Result<Self, VarIntTooLarge> {
        Self::new(value).ok_or(VarIntTooLarge { got: value })
    }
}

impl TryFrom<usize> for VarInt {
    type Error = VarIntTooLarge;

    fn try_from(value: usize) -> Result<Self, VarIntTooLarge> {
        Self::try_from(value as u64)
    }
}

impl From<VarInt> for u64 {
    fn from(value: VarInt) -> Self {
        value.0
    }
}

impl core::fmt::Display for VarInt {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

/// The number is 2^62 or more, so it has no [`VarInt`] form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{got} is above the largest variable-length integer, 2^62 - 1")]
pub struct VarIntTooLarge {
    /// The number that was offered.
    pub got: u64,
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn each_length_begins_where_the_shorter_one_ends() {
        for (value, len) in [
            (0, 1),
            (63, 1),
            (64, 2),
            (16383, 2),
            (16384, 4),
            ((1 << 30) - 1, 4),
            (1 << 30, 8),
        ] {
            let mut out = Vec::new();
            VarInt::new(value).unwrap().encode(&mut out);
            assert_eq!(out.len(), len);
            assert_eq!(VarInt::decode(&out), Ok(Some((VarInt(value), len))));
        }
    }

    #[test]
    fn refuses_a_long_form_before_its_last_byte() {
        assert_eq!(VarInt::decode(&[0x80, 0x00, 0x3f]), Err(Fault::NotShortest));
        assert_eq!(VarInt::decode(&[0x80, 0x00, 0x40]), Ok(None));
    }

    #[test]
    fn nothing_above_62_bits() {
        assert_eq!(
            VarInt::try_from(1u64 << 62),
            Err(VarIntTooLarge { got: 1 << 62 })
        );
        assert_eq!(VarInt::saturating(u128::MAX), VarInt::MAX);
    }
}
