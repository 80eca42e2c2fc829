use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

/// The number that an issuer gives a token once. Its text form is 32 digits of lower-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nonce([u8; Self::LEN]);

impl Nonce {
    /// Bytes of a nonce: drawn at random, no two of an issuer are the same.
    pub const LEN: usize = 16;

    /// The nonce with these bytes.
    pub const fn new(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Nonce({self})")
    }
}

/// Reads the text form; upper case is refused, so that a nonce has one spelling.
impl FromStr for Nonce {
    type Err = InvalidNonce;

    fn from_str(text: &str) -> Result<Self, InvalidNonce> {
        let digits: &[u8; 2 * Self::LEN] = text.as_bytes().try_into().map_err(|_| InvalidNonce)?;
        let mut bytes = [0; Self::LEN];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

/// A text is not a [`Nonce`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a nonce is 32 digits of lower-case hexadecimal")]
pub struct InvalidNonce;

/// The nonces of tokens that hold no longer, whatever else they say.
///
/// As a file: a nonce a line; empty lines, and what follows a `#`, are for people. The order means nothing. A nonce can be taken
/// from the list once its token has expired.
///
/// ```
/// use stoq_core::access::Revocations;
///
/// let revoked = Revocations::parse("# laptop lost on Monday\n00112233445566778899aabbccddeeff\n")?;
/// assert!(revoked.contains(&"00112233445566778899aabbccddeeff".parse()?));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revocations {
    /// Ascending, each once: 16 bytes a nonce, and found in 16 steps.
    nonces: Vec<Nonce>,
}

impl Revocations {
    /// Nonces of one list: 1 MiB of them. An issuer whose tokens live for hours revokes far fewer in that time.
    pub const MAX_NONCES: usize = 65_536;
    /// Bytes of the longest file: that many lines, and as much again for people.
    pub const MAX_TEXT_LEN: usize = 4 * 1024 * 1024;

    /// Reads a file's text.
    ///
    /// # Errors
    /// [`InvalidRevocations`] names the line. No part of such a list is used: it may lack the one that matters.
    pub fn parse(text: &str) -> Result<Self, InvalidRevocations> {
        if text.len() > Self::MAX_TEXT_LEN {
            return Err(InvalidRevocations::TooLong { got: text.len() });
        }
        let mut nonces = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let (entry, _) = line.split_once('#').unwrap_or((line, ""));
            let entry = entry.trim_ascii();
            if entry.is_empty() {
                continue;
            }
            let line = at + 1;
            let nonce = entry.parse();
            nonces.push(nonce.map_err(|InvalidNonce| InvalidRevocations::Line { line })?);
            if nonces.len() > Self::MAX_NONCES {
                return Err(InvalidRevocations::TooMany { line });
            }
        }
        nonces.sort_unstable();
        nonces.dedup();
        Ok(Self { nonces })
    }

    /// Adds a nonce.
    ///
    /// # Errors
    /// [`InvalidRevocations::TooMany`] if there is no room for it.
    pub fn insert(&mut self, nonce: Nonce) -> Result<(), InvalidRevocations> {
        if let Err(at) = self.nonces.binary_search(&nonce) {
            let line = self.nonces.len() + 1;
            if line > Self::MAX_NONCES {
                return Err(InvalidRevocations::TooMany { line });
            }
            self.nonces.insert(at, nonce);
        }
        Ok(())
    }

    /// Whether the nonce is listed.
    pub fn contains(&self, nonce: &Nonce) -> bool {
        self.nonces.binary_search(nonce).is_ok()
    }

    /// All nonces, ascending.
    pub fn iter(&self) -> impl Iterator<Item = &Nonce> {
        self.nonces.iter()
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.nonces.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.nonces.is_empty()
    }
}

/// A text is not a list of revoked nonces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRevocations {
    /// A line is no nonce.
    #[error("line {line} of the revoked nonces: {InvalidNonce}")]
    Line {
        /// Which, from 1.
        line: usize,
    },
    /// There are more than [`Revocations::MAX_NONCES`].
    #[error(
        "line {line} of the revoked nonces is one too many: a list has {} at most",
        Revocations::MAX_NONCES
    )]
    TooMany {
        /// The line of the first that has no room, from 1.
        line: usize,
    },
    /// There is more than [`Revocations::MAX_TEXT_LEN`].
    #[error(
        "the revoked nonces have {got} bytes, more than {}",
        Revocations::MAX_TEXT_LEN
    )]
    TooLong {
        /// How many bytes.
        got: usize,
    },
}

fn digit(character: u8) -> Result<u8, InvalidNonce> {
    match character {
        b'0'..=b'9' => Ok(character - b'0'),
        b'a'..=b'f' => Ok(character - b'a' + 10),
        _ => Err(InvalidNonce),
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString as _;

    use super::*;

    #[test]
    fn a_nonce_has_one_spelling() {
        let text = "00112233445566778899aabbccddeeff";
        assert_eq!(text.parse::<Nonce>().unwrap().to_string(), text);
        for wrong in [
            "",
            &text[1..],
            &format!("{text}0"),
            &text.to_uppercase(),
            &text.replace("ff", "fg"),
            &text.replace("ff", "é"),
        ] {
            assert_eq!(wrong.parse::<Nonce>(), Err(InvalidNonce), "{wrong}");
        }
    }

    #[test]
    fn a_list_has_comments_and_names_the_line_that_is_wrong() {
        let (a, b) = (Nonce::new([0xaa; 16]), Nonce::new([0xbb; 16]));
        let list = Revocations::parse(&format!("# two\r\n\r\n {b} # b\n{a}\n{b}")).unwrap();
        assert_eq!(list.iter().collect::<Vec<_>>(), [&a, &b]);
        assert!(!list.contains(&Nonce::new([0; 16])));
        let wrong = Revocations::parse(&format!("{a}\n\n{a}{b}\n"));
        assert_eq!(wrong, Err(InvalidRevocations::Line { line: 3 }));
    }

    #[test]
    fn a_list_is_bounded() {
        let lines = |count: u32| {
            let nonce = |at: u32| format!("{at:032x}\n");
            (0..count).map(nonce).collect::<alloc::string::String>()
        };
        let most = Revocations::MAX_NONCES as u32;
        let mut full = Revocations::parse(&lines(most)).unwrap();
        let too_many = Err(InvalidRevocations::TooMany {
            line: Revocations::MAX_NONCES + 1,
        });
        assert_eq!(
            Revocations::parse(&lines(most + 1)),
            too_many.map(|()| full.clone())
        );
        assert_eq!(full.insert(Nonce::new([0xff; 16])), too_many);
        assert_eq!(full.insert(Nonce::new([0; 16])), Ok(()));
        let got = Revocations::MAX_TEXT_LEN + 1;
        let long = "#".repeat(got);
        assert_eq!(
            Revocations::parse(&long),
            Err(InvalidRevocations::TooLong { got })
        );
    }
}
