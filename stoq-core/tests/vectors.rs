//! Known answers: bytes and what they mean, in both directions, from the files in `tests/vectors`.
//!
//! Each file says at its top how it is read. Values are compared in their `Debug` form, so a slip that encoder and decoder
//! share still shows.

use std::fmt::{self, Debug};

use bytes::Bytes;
use stoq_core::{Code, Datagram, Frame, StreamHeader, VarInt, stream::Direction};

#[test]
fn varints() {
    for vector in Vector::read(include_str!("vectors/varints.txt")) {
        let decode = |bytes: &[u8]| {
            VarInt::decode(bytes).map(|found| found.map(|(value, len)| (value.into_inner(), len)))
        };
        vector.decodes(&decode(&vector.bytes));
        if let Ok(Some((value, _))) = decode(&vector.bytes) {
            let value = VarInt::new(value).unwrap();
            let mut out = Vec::new();
            value.encode(&mut out);
            vector.encodes(&out, value.encoded_len());
            vector.prefixes_ask_for_more(|bytes| decode(bytes));
        }
    }
}

#[test]
fn streams() {
    for vector in Vector::read(include_str!("vectors/streams.txt")) {
        let direction = match vector.on {
            "bidirectional" => Direction::Bidirectional,
            "unidirectional" => Direction::Unidirectional,
            other => panic!("{vector}: on {other:?}"),
        };
        vector.decodes(&StreamHeader::decode(&vector.bytes, direction));
        if let Ok(Some((header, _))) = StreamHeader::decode(&vector.bytes, direction) {
            let mut out = Vec::new();
            header.encode(direction, &mut out);
            vector.encodes(&out, header.encoded_len(direction));
            vector.prefixes_ask_for_more(|bytes| StreamHeader::decode(bytes, direction));
        }
    }
}

#[test]
fn frames() {
    for vector in Vector::read(include_str!("vectors/frames.txt")) {
        vector.decodes(&Frame::decode(&vector.bytes));
        if let Ok(Some((frame, _))) = Frame::decode(&vector.bytes) {
            let mut out = Vec::new();
            frame.encode(&mut out);
            vector.encodes(&out, frame.encoded_len());
            vector.prefixes_ask_for_more(|bytes| {
                Frame::decode(bytes).map(|found| found.map(|(_, len)| ((), len)))
            });
        }
    }
}

#[test]
fn datagrams() {
    for vector in Vector::read(include_str!("vectors/datagrams.txt")) {
        let decoded = Datagram::decode(Bytes::from(vector.bytes.clone()));
        match (&decoded, &vector.expected) {
            (Ok(datagram), Expected::Is(value) | Expected::Skips(value)) => {
                assert_eq!(&show(datagram), value, "{vector}");
                let mut out = Vec::new();
                Datagram::header(datagram.session, &mut out);
                assert_eq!(
                    out.len(),
                    Datagram::header_len(datagram.session),
                    "{vector}"
                );
                out.extend_from_slice(&datagram.payload);
                assert_eq!(
                    out == vector.bytes,
                    matches!(vector.expected, Expected::Is(_)),
                    "{vector}"
                );
            }
            (Err(error), Expected::Error(expected)) => {
                assert_eq!(&show(error), expected, "{vector}")
            }
            _ => panic!("{vector}: {decoded:?}"),
        }
    }
}

#[test]
fn close_codes() {
    let number = |text| u64::from_str_radix(text, 16).unwrap();
    let mut named = Vec::new();
    for row in include_str!("vectors/close.txt")
        .lines()
        .filter(|row| !row.is_empty() && !row.starts_with('#'))
    {
        let [code, http3, name] = row.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{row}")
        };
        let http3 = number(http3);
        if code == "-" {
            assert_eq!(Code::from_http3(http3), Code::UNMAPPED, "{row}");
            continue;
        }
        let code = Code::new(number(code).try_into().unwrap());
        assert_eq!(code.to_http3(), http3, "{row}");
        assert_eq!(Code::from_http3(http3), code, "{row}");
        assert_eq!(Code::from_quic(code.value().into()), code, "{row}");
        assert_eq!(code.name(), (name != "-").then_some(name), "{row}");
        named.extend(code.name().map(|_| code));
    }
    assert_eq!(named, Code::ALL);
}

struct Vector {
    name: &'static str,
    on: &'static str,
    bytes: Vec<u8>,
    expected: Expected,
}

enum Expected {
    Is(String),
    Skips(String),
    Error(String),
    More,
}

impl Vector {
    fn read(file: &'static str) -> Vec<Self> {
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

    fn decodes<T: Debug, E: Debug>(&self, decoded: &Result<Option<(T, usize)>, E>) {
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

    fn encodes(&self, out: &[u8], encoded_len: usize) {
        assert_eq!(out, self.bytes, "{self}");
        assert_eq!(encoded_len, self.bytes.len(), "{self}");
    }

    fn prefixes_ask_for_more<T: Debug + PartialEq, E: Debug + PartialEq>(
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
fn show(value: &impl Debug) -> String {
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
