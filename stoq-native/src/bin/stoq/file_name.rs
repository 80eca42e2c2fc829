//! Names that may stand in a store: one plain file of the directory, on every operating system.

use core::{fmt, str::FromStr};
use serde::{Deserialize, Serialize};

/// The name of a stored file.
///
/// 1 to [`MAX_LEN`](Self::MAX_LEN) bytes of UTF-8; joined to a directory it always names an entry of that directory
/// itself. Stricter than any one system asks, so that a file stored here can be fetched to there: the union of what
/// Unix and Windows refuse.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct FileName(Box<str>);

/// Why a text cannot be the name of a stored file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidFileName {
    #[error("a name has 1 to {} bytes, this one has {got}", FileName::MAX_LEN)]
    Length { got: usize },
    #[error("a name does not begin with a dot")]
    LeadingDot,
    #[error("a name does not end with a dot or a space")]
    TrailingDotOrSpace,
    #[error("a name does not hold {0:?}")]
    Character(char),
    #[error("this name is a device on Windows")]
    Device,
}

impl FileName {
    /// What Linux file systems allow for one name.
    pub(crate) const MAX_LEN: usize = 255;

    /// The name as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FileName {
    type Err = InvalidFileName;

    fn from_str(name: &str) -> Result<Self, InvalidFileName> {
        if name.is_empty() || name.len() > Self::MAX_LEN {
            return Err(InvalidFileName::Length { got: name.len() });
        }
        if name.starts_with('.') {
            return Err(InvalidFileName::LeadingDot);
        }
        if name.ends_with(['.', ' ']) {
            return Err(InvalidFileName::TrailingDotOrSpace);
        }
        if let Some(character) = name.chars().find(|c| is_refused(*c)) {
            return Err(InvalidFileName::Character(character));
        }
        if is_device(name) {
            return Err(InvalidFileName::Device);
        }
        Ok(Self(name.into()))
    }
}

impl TryFrom<String> for FileName {
    type Error = InvalidFileName;

    fn try_from(name: String) -> Result<Self, InvalidFileName> {
        name.parse()
    }
}

impl From<FileName> for String {
    fn from(name: FileName) -> Self {
        name.0.into()
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Separators, what Windows reserves, and what steers text.
fn is_refused(character: char) -> bool {
    steers_text(character)
        || matches!(
            character,
            '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|'
        )
}

/// Control characters, and marks that turn text around in a terminal or a page, so that `gpj.exe` reads as `exe.jpg`
/// (Unicode 15, section 23.2).
pub(crate) fn steers_text(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Windows opens the device for these names in any case, in any directory, whatever extension follows.
fn is_device(name: &str) -> bool {
    let stem = name
        .split('.')
        .next()
        .expect("split yields one item at least");
    let stem = stem.trim_end().to_uppercase();
    if ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"].contains(&stem.as_str()) {
        return true;
    }
    let number = stem
        .strip_prefix("COM")
        .or_else(|| stem.strip_prefix("LPT"));
    let mut rest = number.unwrap_or_default().chars();
    matches!(rest.next(), Some('0'..='9' | '¹' | '²' | '³')) && rest.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::{Component, Path};

    #[test]
    fn accepts_ordinary_names() {
        let longest = "x".repeat(255);
        for name in [
            "a",
            "a.bin",
            "Größe 10 µm.csv",
            "日本.txt",
            "a..b",
            "console",
            "COM10",
            "nulls.txt",
            &longest,
        ] {
            assert!(name.parse::<FileName>().is_ok(), "{name}");
        }
    }

    #[test]
    fn refuses_each_kind_of_bad_name() {
        use InvalidFileName::{Character, Device, LeadingDot, Length, TrailingDotOrSpace};
        let long = "é".repeat(128);
        for (name, reason) in [
            ("", Length { got: 0 }),
            (long.as_str(), Length { got: 256 }),
            (".", LeadingDot),
            ("..", LeadingDot),
            (".incoming", LeadingDot),
            ("a.", TrailingDotOrSpace),
            ("a ", TrailingDotOrSpace),
            ("a/b", Character('/')),
            ("a\\b", Character('\\')),
            ("c:", Character(':')),
            ("a\0", Character('\0')),
            ("a\nb", Character('\n')),
            ("a\u{7f}", Character('\u{7f}')),
            ("a\u{202e}gpj.exe", Character('\u{202e}')),
            ("nul", Device),
            ("Com1.txt", Device),
            ("LPT².tar.gz", Device),
            ("aux .c", Device),
        ] {
            assert_eq!(name.parse::<FileName>(), Err(reason), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn an_accepted_name_is_one_entry_of_its_directory(name in ".*|[./\\\\a]{0,8}") {
            if let Ok(accepted) = name.parse::<FileName>() {
                let path = Path::new("/store").join(accepted.as_str());
                prop_assert_eq!(path.parent(), Some(Path::new("/store")));
                let last = path.components().next_back();
                prop_assert_eq!(last, Some(Component::Normal(name.as_ref())));
                prop_assert_eq!(accepted.as_str(), name);
            }
        }
    }
}
