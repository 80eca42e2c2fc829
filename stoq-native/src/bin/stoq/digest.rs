//! SHA-256 of what streams by: a file is hashed while it is read or written, never a second time.

use aws_lc_rs::digest::{Context, SHA256};
use core::{fmt, str::FromStr};
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};

/// A SHA-256 value; its text form is 64 hexadecimal digits, written in lower case and read in either.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Digest(pub(crate) [u8; 32]);

/// The text is no SHA-256 value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a SHA-256 value is 64 hexadecimal digits")]
pub(crate) struct InvalidDigest;

impl FromStr for Digest {
    type Err = InvalidDigest;

    /// Colons between bytes, as other tools print them, are passed over.
    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let mut digits = text.chars().filter(|c| *c != ':').map(|c| c.to_digit(16));
        let mut digit = || digits.next().flatten().ok_or(InvalidDigest);
        let mut bytes = [0; 32];
        for byte in &mut bytes {
            let value = digit()? << 4 | digit()?;
            *byte = u8::try_from(value).expect("two hexadecimal digits are one byte");
        }
        if digits.next().is_some() {
            return Err(InvalidDigest);
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Digest {
    type Error = InvalidDigest;

    fn try_from(text: String) -> Result<Self, InvalidDigest> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A reader or writer that hashes all that passes through it.
pub(crate) struct Hashing<T> {
    inner: T,
    context: Context,
}

impl<T> Hashing<T> {
    /// Starts a hash over what `inner` will read or write.
    pub(crate) fn new(inner: T) -> Self {
        let context = Context::new(&SHA256);
        Self { inner, context }
    }

    /// What was wrapped, and the SHA-256 of all that passed.
    pub(crate) fn finish(self) -> (T, Digest) {
        let digest = self.context.finish();
        let bytes = digest.as_ref().try_into().expect("SHA-256 has 32 bytes");
        (self.inner, Digest(bytes))
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.context.update(&buffer[..count]);
        Ok(count)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(buffer)?;
        self.context.update(&buffer[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// FIPS 180-2, appendix B.1: SHA-256 of "abc".
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn hashes_what_is_written_and_what_is_read() {
        let mut writer = Hashing::new(Vec::new());
        writer.write_all(b"ab").unwrap();
        writer.write_all(b"c").unwrap();
        let (written, digest) = writer.finish();
        assert_eq!(
            (written.as_slice(), digest.to_string().as_str()),
            (&b"abc"[..], ABC)
        );

        let mut reader = Hashing::new(&b"abc"[..]);
        io::copy(&mut reader, &mut io::sink()).unwrap();
        assert_eq!(reader.finish().1.to_string(), ABC);
    }

    #[test]
    fn reads_upper_case_and_colons() {
        let upper = ABC.to_uppercase();
        let pairs: Vec<_> = (0..32).map(|i| &upper[2 * i..2 * i + 2]).collect();
        assert_eq!(pairs.join(":").parse::<Digest>(), ABC.parse());
    }

    proptest! {
        #[test]
        fn text_form_round_trips(bytes: [u8; 32]) {
            prop_assert_eq!(Digest(bytes).to_string().parse(), Ok(Digest(bytes)));
        }

        #[test]
        fn other_lengths_are_refused(text in "[0-9a-f]{0,63}|[0-9a-f]{65,80}") {
            prop_assert_eq!(text.parse::<Digest>(), Err(InvalidDigest));
        }

        #[test]
        fn any_text_returns(text in ".*") {
            let _ = text.parse::<Digest>();
        }
    }
}
