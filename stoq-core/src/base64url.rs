//! Base64url without padding ([RFC 4648, section 5]), in which each byte string has one spelling.
//!
//! [RFC 4648, section 5]: https://www.rfc-editor.org/rfc/rfc4648#section-5

use alloc::string::String;
use alloc::vec::Vec;

/// Appends the characters of `bytes`.
pub(crate) fn encode(bytes: &[u8], out: &mut String) {
    out.reserve(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let mut padded = [0; 4];
        padded[1..=group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes(padded);
        for character in 0..=group.len() {
            let index = bits >> (18 - 6 * character) & 0x3f;
            out.push(char::from(ALPHABET[index as usize]));
        }
    }
}

/// The bytes that `text` spells; `None` if it is spelled otherwise than [`encode`] does.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for group in text.as_bytes().chunks(4) {
        let mut bits = 0;
        for &character in group {
            bits = bits << 6 | u32::from(value(character)?);
        }
        // Characters that are not there hold six bits each; what the bytes do not need of the last one must be zero.
        bits <<= 6 * (4 - group.len());
        let count = group.len().checked_sub(1).filter(|&count| count > 0)?;
        let [_, spelled @ ..] = u32::to_be_bytes(bits);
        if spelled[count..].iter().any(|&spare| spare != 0) {
            return None;
        }
        bytes.extend_from_slice(&spelled[..count]);
    }
    Some(bytes)
}

fn value(character: u8) -> Option<u8> {
    Some(match character {
        b'A'..=b'Z' => character - b'A',
        b'a'..=b'z' => character - b'a' + 26,
        b'0'..=b'9' => character - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    })
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        // RFC 4648, section 10, without padding; and python3 -c 'import base64; print(base64.urlsafe_b64encode(b"\xfb\xef\xff"))'
        for (bytes, text) in [
            (&b""[..], ""),
            (b"f", "Zg"),
            (b"fo", "Zm8"),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg"),
            (b"fooba", "Zm9vYmE"),
            (b"foobar", "Zm9vYmFy"),
            (b"\xfb\xef\xff", "--__"),
        ] {
            let mut encoded = String::new();
            encode(bytes, &mut encoded);
            assert_eq!(encoded, text);
            assert_eq!(decode(text).as_deref(), Some(bytes));
        }
    }

    #[test]
    fn a_byte_string_has_one_spelling() {
        for wrong in [
            "Z", "Zg=", "Zg==", "Zh", "Zm9", "Zm8 ", " Zm8", "Zm9vY", "++//", "Zm9v\n", "é",
        ] {
            assert_eq!(decode(wrong), None, "{wrong:?}");
        }
    }
}
