//! The cursor through which all payloads are read.

use crate::varint::VarInt;

/// A borrowed cursor over a payload that is known to be whole, so running out of bytes is an error.
///
/// This is the only place that slices input: each field of a frame is one call, and [`end`](Self::end)
/// refuses what is left over.
///
/// ```
/// use stoq_core::reader::{Fault, Reader};
///
/// let mut payload = Reader::new(&[0x01, 0x00, 0x02, b'h', b'i']);
/// assert_eq!(payload.u8(), Ok(1));
/// assert_eq!(payload.u16(), Ok(2));
/// assert_eq!(payload.bytes(2), Ok(&b"hi"[..]));
/// assert_eq!(payload.u8(), Err(Fault::Truncated { wanted: 1, left: 0 }));
/// assert_eq!(payload.end(), Ok(()));
/// ```
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the front of `input`.
    pub const fn new(input: &'a [u8]) -> Self {
        Self { left: input }
    }

    /// Bytes not read yet.
    pub const fn left(&self) -> usize {
        self.left.len()
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// [`Fault::Truncated`] if fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Fault> {
        let fault = self.truncated(N as u64);
        let (head, tail) = self.left.split_first_chunk().ok_or(fault)?;
        self.left = tail;
        Ok(head)
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    /// [`Fault::Truncated`] if fewer are left.
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], Fault> {
        let fault = self.truncated(len as u64);
        let (head, tail) = self.left.split_at_checked(len).ok_or(fault)?;
        self.left = tail;
        Ok(head)
    }

    /// All that is left, perhaps nothing.
    pub const fn rest(&mut self) -> &'a [u8] {
        let rest = self.left;
        self.left = &[];
        rest
    }

    /// An unsigned integer of one byte.
    ///
    /// # Errors
    /// [`Fault::Truncated`] if nothing is left.
    pub fn u8(&mut self) -> Result<u8, Fault> {
        self.array().map(|&[byte]| byte)
    }

    /// A big-endian integer of two bytes.
    ///
    /// # Errors
    /// [`Fault::Truncated`] if fewer are left.
    pub fn u16(&mut self) -> Result<u16, Fault> {
        self.array().map(|bytes| u16::from_be_bytes(*bytes))
    }

    /// A big-endian integer of four bytes.
    ///
    /// # Errors
    /// [`Fault::Truncated`] if fewer are left.
    pub fn u32(&mut self) -> Result<u32, Fault> {
        self.array().map(|bytes| u32::from_be_bytes(*bytes))
    }

    /// A big-endian integer of eight bytes.
    ///
    /// # Errors
    /// [`Fault::Truncated`] if fewer are left.
    pub fn u64(&mut self) -> Result<u64, Fault> {
        self.array().map(|bytes| u64::from_be_bytes(*bytes))
    }

    /// A byte that must be 0 or 1. `field` names it in the error.
    ///
    /// # Errors
    /// [`Fault::Truncated`] if nothing is left, [`Fault::OutOfRange`] if the byte is above 1.
    pub fn bool(&mut self, field: &'static str) -> Result<bool, Fault> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            got => Err(Fault::OutOfRange {
                field,
                got: got.into(),
            }),
        }
    }

    /// A variable-length integer in its shortest form.
    ///
    /// # Errors
    /// [`Fault::Truncated`] if it is cut, [`Fault::NotShortest`] if it is longer than it need be.
    pub fn varint(&mut self) -> Result<VarInt, Fault> {
        let (value, len) =
            VarInt::decode(self.left)?.ok_or_else(|| self.truncated(1 + self.left.len() as u64))?;
        self.left = &self.left[len..];
        Ok(value)
    }

    /// Bytes behind a varint that counts them, of which there may be at most `limit`. `field` names them in the error.
    ///
    /// # Errors
    /// [`Fault::TooLong`] if the count is above `limit`, even if the bytes are absent; else as [`varint`](Self::varint)
    /// and [`bytes`](Self::bytes).
    pub fn counted(&mut self, field: &'static str, limit: usize) -> Result<&'a [u8], Fault> {
        let got = self.varint()?.into_inner();
        match usize::try_from(got) {
            Ok(len) if len <= limit => self.bytes(len),
            _ => Err(Fault::TooLong { field, limit, got }),
        }
    }

    /// UTF-8 behind a varint that counts its bytes, of which there may be at most `limit`. `field` names it in the error.
    ///
    /// # Errors
    /// [`Fault::NotUtf8`] if the bytes are not text; else as [`counted`](Self::counted).
    pub fn text(&mut self, field: &'static str, limit: usize) -> Result<&'a str, Fault> {
        utf8(field, self.counted(field, limit)?)
    }

    /// All that is left as UTF-8, of which there may be at most `limit` bytes. `field` names it in the error.
    ///
    /// # Errors
    /// [`Fault::TooLong`] and [`Fault::NotUtf8`].
    pub fn rest_text(&mut self, field: &'static str, limit: usize) -> Result<&'a str, Fault> {
        let rest = self.rest();
        if rest.len() > limit {
            return Err(Fault::TooLong {
                field,
                limit,
                got: rest.len() as u64,
            });
        }
        utf8(field, rest)
    }

    /// Ends the payload.
    ///
    /// # Errors
    /// [`Fault::Leftover`] if there is more: a second meaning hidden behind the first.
    pub const fn end(self) -> Result<(), Fault> {
        match self.left.len() {
            0 => Ok(()),
            left => Err(Fault::Leftover { left }),
        }
    }

    const fn truncated(&self, wanted: u64) -> Fault {
        Fault::Truncated {
            wanted,
            left: self.left.len(),
        }
    }
}

fn utf8<'a>(field: &'static str, bytes: &'a [u8]) -> Result<&'a str, Fault> {
    core::str::from_utf8(bytes).map_err(|error| Fault::NotUtf8 {
        field,
        valid: error.valid_up_to(),
    })
}

/// What is wrong with one field. The peer broke a rule; a [`DecodeError`](crate::frame::DecodeError) says in which frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// An integer took more bytes than its value needs.
    #[error("an integer is not in its shortest form")]
    NotShortest,
    /// The bytes end inside a field.
    #[error("it ends too early: {wanted} bytes wanted, {left} left")]
    Truncated {
        /// Bytes that the field needs at least.
        wanted: u64,
        /// Bytes that there were.
        left: usize,
    },
    /// There are bytes after the last field.
    #[error("{left} bytes too many")]
    Leftover {
        /// How many.
        left: usize,
    },
    /// Text is not UTF-8.
    #[error("{field} is not UTF-8 after byte {valid}")]
    NotUtf8 {
        /// The field.
        field: &'static str,
        /// Bytes in front that are.
        valid: usize,
    },
    /// A field, or a list, is over its limit.
    #[error("{field} has {got}, more than {limit}")]
    TooLong {
        /// The field.
        field: &'static str,
        /// The most it may have.
        limit: usize,
        /// What it says it has.
        got: u64,
    },
    /// A number has no meaning in its field.
    #[error("{field} cannot be {got}")]
    OutOfRange {
        /// The field.
        field: &'static str,
        /// The number found.
        got: u64,
    },
    /// What may stand once stands twice.
    #[error("{field} {got} stands twice")]
    Duplicate {
        /// The field.
        field: &'static str,
        /// The number found again.
        got: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_count_over_the_limit_before_it_looks_for_the_bytes() {
        let mut reader = Reader::new(&[0x05]);
        assert_eq!(
            reader.counted("name", 4),
            Err(Fault::TooLong {
                field: "name",
                limit: 4,
                got: 5
            })
        );
    }

    #[test]
    fn refuses_leftovers() {
        assert_eq!(Reader::new(&[0]).end(), Err(Fault::Leftover { left: 1 }));
    }

    #[test]
    fn a_cut_varint_is_truncated() {
        assert_eq!(
            Reader::new(&[0xc0, 0xff]).varint(),
            Err(Fault::Truncated { wanted: 3, left: 2 })
        );
        assert_eq!(
            Reader::new(&[]).varint(),
            Err(Fault::Truncated { wanted: 1, left: 0 })
        );
    }
}
