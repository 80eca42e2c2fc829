//! The text files of known answers, as blocks.

use std::fmt::{self, Debug};

/// One block of a file.
pub(crate) struct Vector {
    name: &'static str,
    pub(crate) on: &'static str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) expected: Expected,
}

pub(crate) enum Expected {
    Is(String),
    Skips(String),
    Error(String),
    More,
}

impl Vector {
    pub(crate) fn read(file: &'static str) -> Vec<Self> {
        let vectors: Vec<_> = file.split("\n\n").filter_map(Self::read_block).collect();
        assert!(vectors.len() > 10, "the file was not read");
        vectors
    }

    fn read_block(block: &'static str) -> Option<Self> {
        let mut lines = block
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .peekable();
        lines.peek()?;
        let (mut name, mut on, mut bytes, mut expected) = (None, "", None, None);
        for line in lines {
            match line
                .split_once(':')
                .map_or((line, ""), |(key, value)| (key, value.trim()))
            {
                ("name", value) => name = Some(value),
                ("on", value) => on = value,
                ("hex", value) => bytes = Some(hex(value)),
                ("is", value) => expected = Some(Expected::Is(value.into())),
                ("skips", value) => expected = Some(Expected::Skips(value.into())),
                ("error", value) => expected = Some(Expected::Error(value.into())),
                ("more", _) => expected = Some(Expected::More),
                _ => panic!("cannot read {line:?}"),
            }
        }
        let name = name.unwrap_or_else(|| panic!("no name: {block}"));
        let bytes = bytes.unwrap_or_else(|| panic!("no hex: {block}"));
        let expected = expected.unwrap_or_else(|| panic!("no answer: {block}"));
        Some(Self {
            name,
            on,
            bytes,
            expected,
        })
    }

    pub(crate) fn decodes<T: Debug, E: Debug>(&self, decoded: &Result<Option<(T, usize)>, E>) {
        match (decoded, &self.expected) {
            (Ok(Some((value, len))), Expected::Is(expected)) => {
                assert_eq!(&show(value), expected, "{self}");
                assert_eq!(*len, self.bytes.len(), "{self}");
            }
            (Ok(None), Expected::More) => {}
            (Err(error), Expected::Error(expected)) => assert_eq!(&show(error), expected, "{self}"),
            _ => panic!("{self}: {decoded:?}"),
        }
    }

    pub(crate) fn encodes(&self, out: &[u8], encoded_len: usize) {
        assert_eq!(out, self.bytes, "{self}");
        assert_eq!(encoded_len, self.bytes.len(), "{self}");
    }

    pub(crate) fn prefixes_are_refused(&self, is_refused: impl Fn(&[u8]) -> bool) {
        for end in 0..self.bytes.len() {
            assert!(is_refused(&self.bytes[..end]), "{self}, {end} bytes");
        }
    }

    pub(crate) fn prefixes_ask_for_more<T: Debug + PartialEq, E: Debug + PartialEq>(
        &self,
        decode: impl Fn(&[u8]) -> Result<Option<(T, usize)>, E>,
    ) {
        for end in 0..self.bytes.len() {
            assert_eq!(decode(&self.bytes[..end]), Ok(None), "{self}, {end} bytes");
        }
    }
}

impl fmt::Display for Vector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vector {:?}", self.name)
    }
}

/// `00 ff*3 "hi"` into bytes.
fn hex(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (ascii, after) = quoted.split_once('"').expect("a closing quote");
            bytes.extend_from_slice(ascii.as_bytes());
            rest = after.trim_start();
            continue;
        }
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        let (digits, times) = word.split_once('*').unwrap_or((word, "1"));
        assert!(digits.len() % 2 == 0, "half a byte in {text:?}");
        let once: Vec<u8> = (0..digits.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits"))
            .collect();
        bytes.extend(once.repeat(times.parse().expect("a number of times")));
        rest = after.trim_start();
    }
    bytes
}

/// `{:?}`, with `[7, 7, 7, 7, 7]` written `[7; 5]`.
pub(crate) fn show(value: &impl Debug) -> String {
    let long = format!("{value:?}");
    let mut short = String::new();
    let mut rest = long.as_str();
    while let Some((before, after)) = rest.split_once('[') {
        short.push_str(before);
        short.push('[');
        rest = after;
        let Some((list, _)) = after.split_once(']') else {
            continue;
        };
        let items: Vec<_> = list.split(", ").collect();
        if items.len() >= 5 && items.iter().all(|item| *item == items[0]) {
            short.push_str(&format!("{}; {}", items[0], items.len()));
            rest = &after[list.len()..];
        }
    }
    short.push_str(rest);
    short
}
