//! What holds for every codec, as functions that property tests and fuzz targets call with bytes of their own.
//!
//! `…_bytes` takes any bytes: they must be answered without a panic, and what decodes must encode to the same bytes.
//! The others take a value that may be sent: it must come back, have the length it says, and each part of it must ask
//! for more.

use std::fmt::Debug;

use bytes::Bytes;
use stoq_core::{
    Code, Datagram, FalconId, Frame, ServiceName, SessionId, StreamHeader, VarInt,
    datagram::Content,
    endpoint_record::{EndpointRecord, SignedEndpointRecord},
    falcon::{Domain, PUBLIC_KEY_LEN, SIGNATURE_LEN, Signature, VerifyingKey},
    frame::TokenRun,
    grant::{Grant, SignedGrant},
    service::PATH_PREFIX,
    stream::Direction,
    transport_parameter::{Capabilities, ParameterError, TransportParameter},
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
    if let Frame::TokenRun(run) = frame {
        assert_eq!(TokenRun::new(&tokens(run)), Ok(*run));
    }
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

pub(crate) fn token_run_bytes(input: &[u8]) {
    if let Ok(run) = TokenRun::new(input) {
        assert_eq!(tokens(&run), input);
        assert!((1..=TokenRun::MAX_TOKENS).contains(&run.tokens().count()));
        assert!(run.tokens().is_sorted_by(|a, b| a.0 < b.0));
        frame(&Frame::TokenRun(run));
    }
}

fn tokens(run: &TokenRun<'_>) -> Vec<u8> {
    encoded(|out| {
        for (sequence, tag) in run.tokens() {
            TokenRun::put(sequence, tag, out);
        }
    })
}

pub(crate) fn datagram_bytes(input: &[u8]) {
    if let Ok(found) = Datagram::decode(Bytes::copy_from_slice(input)) {
        assert!(input.ends_with(&found.content));
        datagram(found.session, &found.content);
    }
    content_bytes(input);
}

fn content_bytes(input: &[u8]) {
    if let Ok(found) = Content::decode(Bytes::copy_from_slice(input)) {
        if let Content::Shard(payload) = &found {
            assert_eq!(
                Content::shard(payload).map(|shard| shard.data > 0),
                Ok(true)
            );
        }
        let bytes = encoded(|out| found.encode(out));
        assert_eq!(bytes.len(), found.encoded_len());
        assert!(bytes.len() <= input.len());
        assert_eq!(Content::decode(bytes.into()), Ok(found));
    }
}

pub(crate) fn datagram(session: SessionId, data: &[u8]) {
    let mut bytes = encoded(|out| Datagram::header(session, out));
    assert_eq!(bytes.len(), Datagram::header_len(session));
    assert!(bytes.len() <= Datagram::MAX_HEADER_LEN);
    for end in 0..Datagram::prefix_len(session) {
        assert!(Datagram::decode(Bytes::copy_from_slice(&bytes[..end])).is_err());
    }
    bytes.extend_from_slice(data);
    let found = Datagram::decode(bytes.into()).expect("it has just been written");
    assert_eq!(found.session, session);
    let data = Content::Data(Bytes::copy_from_slice(data));
    assert_eq!(Content::decode(found.content), Ok(data));
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

pub(crate) fn grant_bytes(input: &[u8]) {
    // The second has a signature, which random bytes are seldom long enough for.
    for bytes in [input, &[input, &SIGNATURE].concat()] {
        match SignedGrant::decode(bytes) {
            Ok(signed) => {
                assert_eq!(signed.encode(), bytes);
                grant(signed.claim());
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

pub(crate) fn grant(value: &Grant) {
    let signed = SignedGrant::new(value.clone(), Signature::new(SIGNATURE)).expect("it is in form");
    let bytes = signed.encode();
    assert!(bytes.len() <= Grant::MAX_LEN);
    assert_eq!(signed.claim(), value);
    assert_eq!(
        value.to_be_signed().expect("it is in form"),
        bytes[..bytes.len() - SIGNATURE_LEN]
    );
    only_whole(&bytes, |bytes| SignedGrant::decode(bytes).is_err());
    assert_eq!(SignedGrant::decode(&bytes), Ok(signed));
}

pub(crate) fn endpoint_record_bytes(input: &[u8]) {
    // The second has version, algorithm, key and signature, which random bytes seldom have.
    let framed = [&[1, 1][..], &KEY, input, &SIGNATURE].concat();
    for bytes in [input, &framed] {
        match SignedEndpointRecord::decode(bytes) {
            Ok(signed) => {
                assert_eq!(signed.encode(), bytes);
                endpoint_record(signed.claim());
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

pub(crate) fn endpoint_record(value: &EndpointRecord) {
    let key = VerifyingKey::from_bytes(&KEY).expect("zeros are a key");
    let signed = SignedEndpointRecord::new(value.clone(), key.clone(), Signature::new(SIGNATURE))
        .expect("it is in form");
    let bytes = signed.encode();
    assert!(bytes.len() <= EndpointRecord::MAX_LEN);
    assert_eq!((signed.claim(), signed.signer()), (value, key.id()));
    assert_eq!(
        value.to_be_signed(&key).expect("it is in form"),
        bytes[..bytes.len() - SIGNATURE_LEN]
    );
    only_whole(&bytes, |bytes| SignedEndpointRecord::decode(bytes).is_err());
    assert_eq!(SignedEndpointRecord::decode(&bytes), Ok(signed));
}

pub(crate) fn transport_parameter_bytes(input: &[u8]) {
    if let Ok(value) = TransportParameter::decode(input) {
        assert_eq!(encoded(|out| value.encode(out))[PARAMETER_HEAD..], *input);
        transport_parameter(&value);
    }
    let found = TransportParameter::find(input);
    let ours = found.ok().flatten().unwrap_or(NOBODY);
    transport_parameter(&ours);
    let longer = [input, &encoded(|out| ours.encode(out))].concat();
    match found {
        Ok(None) => assert_eq!(TransportParameter::find(&longer), Ok(Some(ours))),
        Ok(Some(_)) => {
            let duplicate = Err(ParameterError::Duplicate);
            assert_eq!(TransportParameter::find(&longer), duplicate);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

pub(crate) fn transport_parameter(value: &TransportParameter) {
    let bytes = encoded(|out| value.encode(out));
    assert_eq!(bytes.len(), value.encoded_len());
    assert_eq!(TransportParameter::find(&bytes), Ok(Some(*value)));
    let alone = &bytes[PARAMETER_HEAD..];
    assert!(alone.len() <= TransportParameter::MAX_LEN);
    assert_eq!(TransportParameter::decode(alone), Ok(*value));
    only_whole(alone, |bytes| TransportParameter::decode(bytes).is_err());
}

pub(crate) fn falcon_id_text(input: &str) {
    for text in [input, &["stoq1", input].concat()] {
        if let Ok(id) = text.parse::<FalconId>() {
            assert_eq!(id.to_string(), text);
            falcon_id(id);
        }
    }
}

pub(crate) fn falcon_id(id: FalconId) {
    let text = id.to_string();
    assert_eq!(text.len(), 57);
    assert_eq!(text.parse(), Ok(id));
    assert!(text.to_uppercase().parse::<FalconId>().is_err());
    only_whole(text.as_bytes(), |bytes| {
        let text = core::str::from_utf8(bytes).expect("it is ASCII");
        text.parse::<FalconId>().is_err()
    });
}

pub(crate) fn falcon_bytes(input: &[u8]) {
    let signature = Signature::try_from(input);
    assert_eq!(signature.is_ok(), input.len() == SIGNATURE_LEN);
    if let Ok(key) = VerifyingKey::try_from(input) {
        assert_eq!(key.as_bytes()[..], *input);
        assert_eq!(key.id(), FalconId::of(key.algorithm(), input));
    }
    // As much of the input as there is, in a signature and in a key whose first bytes are right.
    let mut signature = SIGNATURE;
    let len = input.len().min(SIGNATURE_LEN - 1);
    signature[1..=len].copy_from_slice(&input[..len]);
    let mut key = KEY;
    let len = input.len().min(PUBLIC_KEY_LEN - 1);
    key[1..=len].copy_from_slice(&input[..len]);
    for key in [KEY, key] {
        if let Ok(key) = VerifyingKey::from_bytes(&key) {
            let signature = Signature::new(signature);
            // Nobody made it for any of them.
            let good = |domain: &&Domain| key.verify(**domain, &[input], &signature).is_ok();
            assert_eq!(Domain::ALL.iter().find(good), None);
        }
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

/// What has a signature at its end, or its length in front, is not read from a part of it, nor from more.
fn only_whole(bytes: &[u8], is_refused: impl Fn(&[u8]) -> bool) {
    let step = 1 + bytes.len() / 256;
    for end in (0..bytes.len().min(64)).chain((64..bytes.len()).step_by(step)) {
        assert!(is_refused(&bytes[..end]), "{end} bytes");
    }
    for more in [b'0', b'a'] {
        assert!(is_refused(&[bytes, &[more]].concat()), "{more} more");
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

/// A key, as decoding goes; nobody has the secret half.
const KEY: [u8; PUBLIC_KEY_LEN] = {
    let mut key = [0; PUBLIC_KEY_LEN];
    key[0] = 0x0a;
    key
};
const SIGNATURE: [u8; SIGNATURE_LEN] = {
    let mut signature = [0; SIGNATURE_LEN];
    signature[0] = 0x3a;
    signature
};
/// Bytes of a transport parameter's number and length.
const PARAMETER_HEAD: usize = 5;
const NOBODY: TransportParameter = TransportParameter {
    version: VarInt::from_u32(1),
    capabilities: Capabilities(VarInt::from_u32(0)),
    identity: None,
    token_algorithm: 0,
    max_shard: VarInt::from_u32(0),
};
