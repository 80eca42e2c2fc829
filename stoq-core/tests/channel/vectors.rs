//! Whole channels as files, in both directions; `../vectors/README.md` says what they hold.

use stoq_core::channel::{Delivery, Item, Opener, Received, Sealer, Sent};
use stoq_core::falcon::Signature;
use stoq_core::frame::TokenAlgorithm;
use stoq_core::stream::Direction;
use stoq_core::time::UnixMicros;
use stoq_core::token::Scope;
use stoq_core::{FalconId, Frame};

use crate::number;
use crate::wire::scope;

const FILES: [(TokenAlgorithm, Direction, &[u8]); 3] = [
    (
        TokenAlgorithm::SHA256,
        Direction::Bidirectional,
        include_bytes!("../vectors/channel-sha256.bin"),
    ),
    (
        TokenAlgorithm::BLAKE3,
        Direction::Bidirectional,
        include_bytes!("../vectors/channel-blake3.bin"),
    ),
    (
        TokenAlgorithm::BLAKE3,
        Direction::Unidirectional,
        include_bytes!("../vectors/channel-unidirectional.bin"),
    ),
];

/// Questions that come between the runs.
fn questions(kind: Direction) -> u32 {
    match kind {
        Direction::Bidirectional => 1,
        Direction::Unidirectional => 0,
    }
}

const LENGTHS: [usize; 4] = [1, 100, 1000, 3000];
const NOW: u64 = 1_700_524_800_000_000;

#[test]
fn the_files_open_to_what_they_hold() {
    for (_, kind, file) in FILES {
        let (origin, questions) = (origin(file), questions(kind));
        let scope = Scope { kind, ..scope() };
        let mut opener = Opener::new(scope, [origin], Delivery::Verified);
        let mut sent = Sent::default();
        (0..3 * questions).for_each(|_| sent.note(b"question"));
        let mut input = file;
        let mut items = Vec::new();
        while let Some(item) = opener.next(UnixMicros(0), &mut sent, &mut input).unwrap() {
            items.push(item);
        }
        assert_eq!(opener.end(), Ok(()));
        let data = |message: usize| Item::Data {
            sequence: number(message as u32),
            data: vec![message as u8; LENGTHS[message]].into(),
            verified: true,
        };
        let word = |through, is_final, answers| Item::Verified {
            through: number(through),
            signer: origin,
            is_final,
            answers: number(answers),
            answers_all: answers == 3 * questions,
        };
        let expected = [
            Item::Key(origin),
            data(0),
            data(1),
            word(1, false, 0),
            data(2),
            data(3),
            word(3, false, questions),
            word(4, true, 2 * questions),
        ];
        assert_eq!(items, expected);
    }
}

#[test]
fn what_the_files_hold_seals_to_them() {
    for (algorithm, kind, file) in FILES {
        let scope = Scope { kind, ..scope() };
        let mut sealer = Sealer::new(scope, algorithm, Some(origin(file))).unwrap();
        let mut received = Received::default();
        let mut signatures = signatures(file).into_iter();
        let (_, key) = Frame::decode(file).unwrap().unwrap();
        let mut wire = file[..key].to_vec();
        for (message, len) in LENGTHS.into_iter().enumerate() {
            let data = vec![message as u8; len];
            let now = UnixMicros(NOW + message as u64);
            sealer.seal(now, &data, &mut wire).unwrap();
            wire.extend_from_slice(&data);
            if message % 2 == 1 {
                sealer.close(&received).unwrap();
                let signature = signatures.next().unwrap();
                sealer.signed(&signature, &mut wire).unwrap();
                (0..questions(kind)).for_each(|_| received.note(b"question"));
            }
        }
        let now = UnixMicros(NOW + 4);
        sealer.finish(now, &received, &mut wire).unwrap().unwrap();
        let signature = signatures.next().unwrap();
        sealer.signed(&signature, &mut wire).unwrap();
        assert!(wire == file, "{algorithm:?}");
    }
}

fn origin(file: &[u8]) -> FalconId {
    match Frame::decode(file) {
        Ok(Some((Frame::FalconKey(key), _))) => FalconId::of(key.algorithm, key.key),
        other => panic!("no key: {other:?}"),
    }
}

fn signatures(mut file: &[u8]) -> Vec<Signature> {
    let mut found = Vec::new();
    while let Some((frame, len)) = Frame::decode(file).expect("it was made so") {
        if let Frame::FalconSignature(signed) = frame {
            found.push(Signature::new(*signed.signature));
        }
        file = &file[len..];
    }
    found
}
