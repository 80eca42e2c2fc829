use bytes::BufMut;

use crate::{
    reader::{Fault, Reader},
    varint::VarInt,
};

/// The tokens of datagrams that the FALCON_SIGNATURE behind it vouches for: a list, so that those that were lost spoil
/// nothing for those that were not.
///
/// ```text
/// count × (sequence varint [1..8] · tag [32]), count 1..=400, sequences ascending
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenRun<'a> {
    entries: &'a [u8],
}

impl<'a> TokenRun<'a> {
    /// The most tokens in one run: what fits the size of a DATA frame, with every sequence at its longest.
    pub const MAX_TOKENS: usize = 400;

    /// All tokens, with sequences at their longest.
    pub const MAX_LEN: usize = Self::MAX_TOKENS * (VarInt::MAX_LEN + 32);

    /// The run whose payload is `entries`.
    ///
    /// # Errors
    /// [`Fault`] if they are none, too many, cut, or not in ascending order.
    pub fn new(entries: &'a [u8]) -> Result<Self, Fault> {
        let run = Self { entries };
        run.check()?;
        Ok(run)
    }

    /// Appends one token to the payload of a run.
    pub fn put(sequence: VarInt, tag: &[u8; 32], out: &mut impl BufMut) {
        sequence.encode(out);
        out.put_slice(tag);
    }

    /// The tokens' sequences and tags, in ascending order.
    pub fn tokens(&self) -> impl Iterator<Item = (VarInt, &'a [u8; 32])> + use<'a> {
        let mut reader = Reader::new(self.entries);
        core::iter::from_fn(move || read_token(&mut reader).ok())
    }

    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Fault> {
        Self::new(reader.rest())
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        let mut reader = Reader::new(self.entries);
        let (mut count, mut last) = (0, None);
        while reader.left() > 0 {
            let (sequence, _) = read_token(&mut reader)?;
            if last >= Some(sequence) {
                let (field, got) = ("sequence", sequence.into_inner());
                return Err(Fault::OutOfRange { field, got });
            }
            last = Some(sequence);
            count += 1;
        }
        match count {
            1..=Self::MAX_TOKENS => Ok(()),
            0 => Err(Fault::OutOfRange {
                field: "tokens",
                got: 0,
            }),
            got => Err(Fault::TooLong {
                field: "tokens",
                limit: Self::MAX_TOKENS,
                got: got as u64,
            }),
        }
    }

    pub(super) const fn payload_len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn write(&self, out: &mut impl BufMut) {
        out.put_slice(self.entries);
    }
}

fn read_token<'a>(reader: &mut Reader<'a>) -> Result<(VarInt, &'a [u8; 32]), Fault> {
    Ok((reader.varint()?, reader.array()?))
}
