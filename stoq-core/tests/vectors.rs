//! Known answers: bytes and what they mean, in both directions, from the files in `tests/vectors`.
//!
//! Each file says at its top how it is read. Values are compared in their `Debug` form, so a slip that encoder and decoder
//! share still shows.

#[path = "vectors/vector.rs"]
mod vector;

use bytes::Bytes;
use stoq_core::{
    Code, Datagram, Frame, StreamHeader, VarInt,
    access::{Revocations, SignedAccessToken},
    datagram::Content,
    endpoint_record::SignedEndpointRecord,
    falcon::{SIGNATURE_LEN, Signature, VerifyingKey},
    grant::SignedGrant,
    shards::{Cutter, Limits, Loss, Message, Parity, Plan, Reassembly, Received},
    stream::Direction,
    time::Timestamp,
    transport_parameter::TransportParameter,
};
use vector::{Expected, Vector, show};

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
            (Ok(datagram), Expected::Is(value)) => {
                assert_eq!(&show(datagram), value, "{vector}");
                let mut out = Vec::new();
                Datagram::prefix(datagram.session, &mut out);
                assert_eq!(
                    out.len(),
                    Datagram::prefix_len(datagram.session),
                    "{vector}"
                );
                out.extend_from_slice(&datagram.content);
                assert_eq!(out, vector.bytes, "{vector}");
            }
            (Err(error), Expected::Error(expected)) => {
                assert_eq!(&show(error), expected, "{vector}")
            }
            _ => panic!("{vector}: {decoded:?}"),
        }
    }
}

#[test]
fn contents_of_datagrams() {
    for vector in Vector::read(include_str!("vectors/contents.txt")) {
        let decoded = Content::decode(Bytes::from(vector.bytes.clone()));
        match (&decoded, &vector.expected) {
            (Ok(content), Expected::Is(value) | Expected::Skips(value)) => {
                assert_eq!(&show(content), value, "{vector}");
                let mut out = Vec::new();
                content.encode(&mut out);
                assert_eq!(out.len(), content.encoded_len(), "{vector}");
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

#[test]
fn grants() {
    for vector in Vector::read(include_str!("vectors/grants.txt")) {
        let decode = |bytes: &[u8]| {
            SignedGrant::decode(bytes).map(|grant| Some((grant.claim().clone(), bytes.len())))
        };
        vector.decodes(&decode(&vector.bytes));
        if let Ok(Some((grant, _))) = decode(&vector.bytes) {
            let signature = Signature::new([0; SIGNATURE_LEN]);
            let encoded = SignedGrant::new(grant, signature).unwrap().encode();
            vector.encodes(&encoded, encoded.len());
            vector.prefixes_are_refused(|bytes| decode(bytes).is_err());
        }
    }
}

#[test]
fn access_tokens() {
    for vector in Vector::read(include_str!("vectors/access_tokens.txt")) {
        let decode = |bytes: &[u8]| {
            SignedAccessToken::decode(bytes).map(|token| Some((token.claim().clone(), bytes.len())))
        };
        vector.decodes(&decode(&vector.bytes));
        if let Ok(Some((token, _))) = decode(&vector.bytes) {
            let signature = Signature::new([0; SIGNATURE_LEN]);
            let encoded = SignedAccessToken::new(token, signature).unwrap().encode();
            vector.encodes(&encoded, encoded.len());
            vector.prefixes_are_refused(|bytes| decode(bytes).is_err());
        }
    }
}

#[test]
fn revocations() {
    for vector in Vector::read(include_str!("vectors/revocations.txt")) {
        let text = str::from_utf8(&vector.bytes).unwrap();
        let parsed = Revocations::parse(text);
        let nonces =
            parsed.map(|list| Some((list.iter().copied().collect::<Vec<_>>(), text.len())));
        vector.decodes(&nonces);
    }
}

#[test]
fn endpoint_records() {
    for vector in Vector::read(include_str!("vectors/endpoint_records.txt")) {
        let decode = |bytes: &[u8]| {
            SignedEndpointRecord::decode(bytes)
                .map(|record| Some((record.claim().clone(), bytes.len())))
        };
        vector.decodes(&decode(&vector.bytes));
        if let Ok(Some((record, _))) = decode(&vector.bytes) {
            let key = VerifyingKey::try_from(&vector.bytes[2..][..1793]).unwrap();
            let signature = Signature::new([0; SIGNATURE_LEN]);
            let signed = SignedEndpointRecord::new(record, key, signature);
            let encoded = signed.unwrap().encode();
            vector.encodes(&encoded, encoded.len());
            vector.prefixes_are_refused(|bytes| decode(bytes).is_err());
        }
    }
}

#[test]
fn shards() {
    for vector in Vector::read(include_str!("vectors/shards.txt")) {
        let (room, parity, lost) = shards_on(vector.on);
        let mut reassembly = Reassembly::new(Limits::default());
        let mut message = None;
        let (mut rest, mut number) = (&vector.bytes[..], 0);
        while !rest.is_empty() {
            let Ok(Some((Frame::Shard(shard), len))) = Frame::decode(rest) else {
                panic!("{vector}: {rest:?}");
            };
            rest = &rest[len..];
            if !lost.contains(&number)
                && let Ok(Received::Message(whole)) =
                    reassembly.receive(Timestamp::default(), &shard)
            {
                message = Some(whole);
            }
            number += 1;
        }
        let len = vector.bytes.len();
        vector.decodes(&Ok::<_, ()>(message.clone().map(|message| (message, len))));
        let Message { id, bytes } = message.expect("it was compared");
        let plan = Plan::new(bytes.len(), room, parity, Loss::UNKNOWN).unwrap();
        let mut out = Vec::new();
        for shard in Cutter::new(id, bytes, plan).shards() {
            Frame::Shard(shard).encode(&mut out);
        }
        vector.encodes(&out, len);
    }
}

/// `room 200, parity 2, lost 0 1`
fn shards_on(text: &str) -> (usize, Parity, Vec<usize>) {
    let [room, parity, lost] = text.split(',').collect::<Vec<_>>()[..] else {
        panic!("{text}");
    };
    let number = |text: &str| text.parse::<usize>().expect("a number");
    let numbers =
        |text: &str| -> Vec<usize> { text.split_whitespace().skip(1).map(number).collect() };
    (
        numbers(room)[0],
        Parity::Fixed(numbers(parity)[0] as u8),
        numbers(lost),
    )
}

#[test]
fn transport_parameters() {
    for vector in Vector::read(include_str!("vectors/transport_parameters.txt")) {
        let bytes = &vector.bytes;
        let decode = |bytes: &[u8]| TransportParameter::decode(bytes);
        match vector.on {
            "value" => {
                vector.decodes(&decode(bytes).map(|value| Some((value, bytes.len()))));
                let Ok(value) = decode(bytes) else { continue };
                let mut out = Vec::new();
                value.encode(&mut out);
                assert_eq!(out.len(), value.encoded_len(), "{vector}");
                vector.encodes(out.get(5..).unwrap(), out.len() - 5);
                vector.prefixes_are_refused(|bytes| decode(bytes).is_err());
            }
            "list" => {
                let found = TransportParameter::find(bytes);
                vector.decodes(&found.map(|found| found.map(|value| (value, bytes.len()))));
            }
            other => panic!("{vector}: on {other:?}"),
        }
    }
}
