//! What holds for every codec, as functions that property tests and fuzz targets call with bytes of their own.
//!
//! `…_bytes` takes any bytes: they must be answered without a panic, and what decodes must encode to the same bytes.
//! The others take a value that may be sent: it must come back, have the length it says, and each part of it must ask
//! for more.

use std::fmt::Debug;

use bytes::Bytes;
use stoq_core::{
    Code, Datagram, Frame, ServiceName, SessionId, StreamHeader, VarInt, service::PATH_PREFIX,
    stream::Direction,
};

pub(crate) fn varint_bytes(input: &[u8]) {
    errors_are_final(input, |bytes| VarInt::decode(bytes).map(length));
    if let Ok(Some((value, len))) = VarInt::decode(input) {
        assert_eq!(encoded(|out| value.encode(out)), input[..len]);
        varint(value);
    }
}

pub(crate) fn varint(value: VarInt) {
    let bytes = encoded(|out| value.encode(out));
    assert_eq!(bytes.len(), value.encoded_len());
    assert_eq!(VarInt::decode(&bytes), Ok(Some((value, bytes.len()))));
    parts_ask_for_more(&bytes, |bytes| VarInt::decode(bytes).map(length));
}

pub(crate) fn stream_header_bytes(input: &[u8]) {
    for direction in [Direction::Bidirectional, Direction::Unidirectional] {
        errors_are_final(input, |bytes| {
            StreamHeader::decode(bytes, direction).map(length)
        });
        if let Ok(Some((header, len))) = StreamHeader::decode(input, direction) {
            assert_eq!(encoded(|out| header.encode(direction, out)), input[..len]);
            stream_header(&header, direction);
        }
    }
}

pub(crate) fn stream_header(header: &StreamHeader, direction: Direction) {
    let bytes = encoded(|out| header.encode(direction, out));
    assert!(bytes.len() <= StreamHeader::MAX_LEN);
    assert_eq!(bytes.len(), header.encoded_len(direction));
    assert_eq!(
        StreamHeader::decode(&bytes, direction),
        Ok(Some((*header, bytes.len())))
    );
    parts_ask_for_more(&bytes, |bytes| {
        StreamHeader::decode(bytes, direction).map(length)
    });
}

pub(crate) fn frame_bytes(input: &[u8]) {
    errors_are_final(input, |bytes| Frame::decode(bytes).map(length));
    if let Ok(Some((value, len))) = Frame::decode(input) {
        assert_eq!(encoded(|out| value.encode(out)), input[..len]);
        frame(&value);
    }
}

pub(crate) fn frame(frame: &Frame<'_>) {
    assert_eq!(frame.check(), Ok(()));
    let bytes = encoded(|out| frame.encode(out));
    assert!(bytes.len() <= frame.ty().max_len() + 2 * VarInt::MAX_LEN);
    assert_eq!(bytes.len(), frame.encoded_len());
    assert_eq!(
        Frame::decode(&bytes)
            .expect("it may be sent")
            .expect("it is whole"),
        (frame.clone(), bytes.len())
    );
    parts_ask_for_more(&bytes, |bytes| Frame::decode(bytes).map(length));
    if let Frame::Settings(settings) = frame {
        for (id, value) in settings.iter() {
            assert_eq!(settings.get(id), Some(value));
            if let Ok(number) = settings.get_varint(id) {
                let number = number.and_then(VarInt::new).expect("the setting is there");
                assert_eq!(encoded(|out| number.encode(out)), value);
            }
        }
    }
}

pub(crate) fn datagram_bytes(input: &[u8]) {
    if let Ok(found) = Datagram::decode(Bytes::copy_from_slice(input)) {
        assert!(input.ends_with(&found.payload));
        datagram(found.session, &found.payload);
    }
}

pub(crate) fn datagram(session: SessionId, payload: &[u8]) {
    let mut bytes = encoded(|out| Datagram::header(session, out));
    assert_eq!(bytes.len(), Datagram::header_len(session));
    assert!(bytes.len() <= Datagram::MAX_HEADER_LEN);
    for end in 0..bytes.len() {
        assert!(Datagram::decode(Bytes::copy_from_slice(&bytes[..end])).is_err());
    }
    bytes.extend_from_slice(payload);
    let payload = Bytes::copy_from_slice(payload);
    assert_eq!(
        Datagram::decode(bytes.into()),
        Ok(Datagram { session, payload })
    );
}

pub(crate) fn service_text(input: &str) {
    if let Ok(name) = ServiceName::new(input) {
        assert_eq!(name.as_str(), input);
        assert_eq!(ServiceName::from_path(&name.path()), Ok(name));
    }
    if let Ok(name) = ServiceName::from_path(input) {
        assert_eq!(name.path(), input);
    }
    let path = [PATH_PREFIX, input].concat();
    assert_eq!(
        ServiceName::from_path(&path).is_ok(),
        ServiceName::new(input).is_ok()
    );
}

pub(crate) fn close_code(number: u64) {
    let code = Code::new(number as u32);
    assert_eq!(Code::from_http3(code.to_http3()), code);
    assert_eq!(Code::from_quic(code.value().into()), code);
    assert!(VarInt::new(code.to_http3()).is_some());
    match Code::from_http3(number) {
        Code::UNMAPPED => {}
        back => assert_eq!(back.to_http3(), number),
    }
}

/// Bytes that cannot be the beginning of anything do not become so when more arrive.
fn errors_are_final<E: Debug + PartialEq>(
    input: &[u8],
    decode: impl Fn(&[u8]) -> Result<Option<usize>, E>,
) {
    match decode(input) {
        Ok(len) => assert!(len.unwrap_or(0) <= input.len()),
        Err(error) => {
            for more in [0x00, 0xff] {
                let longer = [input, &[more; 9]].concat();
                assert_eq!(decode(&longer).as_ref(), Err(&error));
            }
        }
    }
}

fn parts_ask_for_more<E: Debug + PartialEq>(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Result<Option<usize>, E>,
) {
    // Everywhere in the front, where fields end; in long payloads, at some places.
    let step = 1 + bytes.len() / 256;
    for end in (0..bytes.len().min(64)).chain((64..bytes.len()).step_by(step)) {
        assert_eq!(decode(&bytes[..end]), Ok(None), "{end} bytes");
    }
}

fn length<T>(found: Option<(T, usize)>) -> Option<usize> {
    found.map(|(_, len)| len)
}

fn encoded(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&mut out);
    out
}
