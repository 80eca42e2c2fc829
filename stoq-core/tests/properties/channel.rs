//! What holds for the receiving end of a channel, whatever comes in.

use stoq_core::channel::{ChannelError, ChannelId, Delivery, Item, Opener, Sent};
use stoq_core::stream::Direction;
use stoq_core::time::UnixMicros;
use stoq_core::token::{Flow, Scope};
use stoq_core::{FalconId, Frame, SessionHash};

/// Any bytes, in any pieces: they are answered without a panic, all pieces give the same answer, and nothing is verified.
/// Then bytes that a relay has made of a channel that was signed: what is verified is what was sent.
pub(crate) fn channel_bytes(input: &[u8]) {
    for origins in [&[][..], &[origin()]] {
        for delivery in [Delivery::Pending, Delivery::Verified] {
            let open = |piece| open(input, piece, origins, delivery);
            let (items, end) = open(usize::MAX);
            let piece = 1 + usize::from(input.first().copied().unwrap_or(0));
            for piece in [1, piece] {
                assert_eq!(open(piece), (items.clone(), end));
            }
            for item in &items {
                let verified = matches!(
                    item,
                    Item::Verified { .. } | Item::Data { verified: true, .. }
                );
                assert!(!verified, "nobody has signed: {item:?}");
            }
        }
    }
    signed_and_altered(&spliced(input));
    signed_and_altered(&shuffled(input));
}

/// Whatever the relay did, a receiver that waits for signatures is given the beginning of what was sent; and all of it, if it
/// is told that the end has come.
fn signed_and_altered(wire: &[u8]) {
    let (items, end) = open(wire, 1000, &[origin()], Delivery::Verified);
    let mut messages = 0;
    for item in items {
        if let Item::Data { data, verified, .. } = item {
            assert!(verified);
            assert_eq!(data[..], vec![messages as u8; LENGTHS[messages]]);
            messages += 1;
        }
    }
    if end.is_ok() {
        assert_eq!(messages, LENGTHS.len());
    }
}

/// The signed channel with bytes put in place of others: `at [2] · cut [1] · put [1] · bytes`, over and over.
fn spliced(mut script: &[u8]) -> Vec<u8> {
    let mut wire = SIGNED.to_vec();
    while let [high, low, cut, put, rest @ ..] = script {
        let at = usize::from(u16::from_be_bytes([*high, *low])) % (wire.len() + 1);
        let end = (at + usize::from(*cut)).min(wire.len());
        let (bytes, rest) = rest.split_at(usize::from(*put % 32).min(rest.len()));
        wire.splice(at..end, bytes.iter().copied());
        script = rest;
    }
    wire
}

/// The frames of the signed channel in the order that the script says; an odd one is left as it stands.
fn shuffled(script: &[u8]) -> Vec<u8> {
    let mut frames = Vec::new();
    let mut rest = SIGNED;
    while let Some((_, len)) = Frame::decode(rest).expect("it was made so") {
        frames.push(&rest[..len]);
        rest = &rest[len..];
    }
    let mut wire = Vec::new();
    let whole = 0..frames.len();
    for (turn, byte) in script.iter().enumerate().take(64) {
        let turn = turn % frames.len();
        let chosen = if byte % 2 == 0 {
            usize::from(byte / 2)
        } else {
            turn
        };
        wire.extend_from_slice(frames[chosen % frames.len()]);
    }
    // What was not reached follows in its order.
    for at in whole.skip(script.len()) {
        wire.extend_from_slice(frames[at]);
    }
    wire
}

fn open(
    input: &[u8],
    piece: usize,
    origins: &[FalconId],
    delivery: Delivery,
) -> (Vec<Item>, Result<(), ChannelError>) {
    let scope = Scope {
        session: SessionHash::new(&[1; 32], &[2; 32], "files"),
        flow: Flow::ToClient,
        kind: Direction::Bidirectional,
        channel: ChannelId::new([3; 16]),
    };
    let mut opener = Opener::new(scope, origins, delivery);
    let mut sent = Sent::default();
    (0..3).for_each(|_| sent.note(b"question"));
    let mut items = Vec::new();
    for mut piece in input.chunks(piece.min(input.len().max(1))) {
        loop {
            match opener.next(UnixMicros(0), &mut sent, &mut piece) {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(error) => {
                    assert!(!error.to_string().is_empty() && error.code().name().is_some());
                    assert_eq!(opener.end(), Err(error));
                    return (items, Err(error));
                }
            }
        }
        assert!(piece.is_empty(), "it waits for more although there is more");
    }
    (items, opener.end())
}

/// Who has signed the channel.
fn origin() -> FalconId {
    match Frame::decode(SIGNED) {
        Ok(Some((Frame::FalconKey(key), _))) => FalconId::of(key.algorithm, key.key),
        other => panic!("no key: {other:?}"),
    }
}

const SIGNED: &[u8] = include_bytes!("../vectors/channel-sha256.bin");
const LENGTHS: [usize; 4] = [1, 100, 1000, 3000];
