//! The sending end: when runs are due, and what may go on meanwhile.

use core::time::Duration;

use bytes::BytesMut;
use stoq_core::channel::{MAX_RUN_BYTES, MAX_RUN_TOKENS, RUN_TIME, Received, SealError, Sealer};
use stoq_core::frame::TokenAlgorithm;
use stoq_core::time::UnixMicros;
use stoq_core::{Frame, VarInt};

use crate::number;
use crate::wire::{Channel, NOW, ORIGIN, open, scope, verified};

#[test]
fn a_run_is_full_with_so_many_bytes_or_tokens() {
    for (size, tokens) in [
        (Frame::MAX_DATA, MAX_RUN_BYTES / Frame::MAX_DATA),
        (1, MAX_RUN_TOKENS),
        // One more could exceed 8 MiB.
        (10_000, (MAX_RUN_BYTES - Frame::MAX_DATA) / 10_000 + 1),
    ] {
        let mut channel = Channel::new(scope(), Some(&ORIGIN));
        let data = vec![0; size];
        for sent in 0..tokens {
            assert!(!channel.sealer.due(NOW), "{size}: {sent}");
            channel.send(&data);
        }
        assert!(channel.sealer.due(NOW), "{size}");
        assert_eq!(channel.try_send(&data), Err(SealError::Unsigned));
        channel.close();
        assert!(!channel.sealer.due(NOW));
        channel.send(&data);
    }
}

#[test]
fn a_run_is_due_when_it_is_old_enough() {
    let mut channel = Channel::new(scope(), Some(&ORIGIN));
    let after = |time: Duration| UnixMicros(NOW.0 + time.as_micros() as u64);
    assert!(!channel.sealer.due(after(RUN_TIME)), "there is none");
    channel.send(b"data");
    assert_eq!(channel.sealer.run(), Some(number(0)));
    assert!(
        !channel
            .sealer
            .due(after(RUN_TIME - Duration::from_micros(1)))
    );
    assert!(channel.sealer.due(after(RUN_TIME)));
    assert!(
        !channel.sealer.due(UnixMicros(0)),
        "a clock that was set back"
    );
}

#[test]
fn the_next_run_goes_on_while_one_is_being_signed() {
    let mut channel = Channel::new(scope(), Some(&ORIGIN));
    channel.send(b"first");
    let first = channel.sealer.close(&Received::default()).unwrap();
    assert_eq!(channel.sealer.run(), None);
    for _ in 0..MAX_RUN_TOKENS {
        channel.send(b"second");
    }
    assert!(channel.sealer.is_full() && channel.sealer.awaits_signature());
    // Both are out: the sender waits.
    assert_eq!(channel.try_send(b"third"), Err(SealError::Unsigned));
    assert_eq!(channel.sealer.close(&Received::default()), None);
    let mut out = Vec::new();
    let finish = channel.sealer.finish(NOW, &Received::default(), &mut out);
    assert_eq!(finish, Err(SealError::Unsigned));
    let signature = ORIGIN.sign(&first);
    let mut frame = Vec::new();
    channel.sealer.signed(&signature, &mut frame).unwrap();
    assert_eq!(
        channel.sealer.signed(&signature, &mut frame),
        Err(SealError::NotClosed)
    );
    channel.frames.push(frame);
    channel.finish();
    let (items, end) = open(&channel.frames);
    assert_eq!((verified(&items), end), (1 + MAX_RUN_TOKENS as u64, Ok(())));
    assert_eq!(channel.try_send(b"more"), Err(SealError::Finished));
    let again = channel.sealer.finish(NOW, &Received::default(), &mut out);
    assert_eq!(again, Err(SealError::Finished));
}

#[test]
fn data_sealed_as_a_whole_is_sealed_the_same() {
    for algorithm in [TokenAlgorithm::SHA256, TokenAlgorithm::BLAKE3] {
        let id = Some(ORIGIN.key.id());
        let mut parts = Sealer::new(scope(), algorithm, id).unwrap();
        let mut whole = parts.clone();
        let (received, mut expected) = (Received::default(), Vec::new());
        let mut out = BytesMut::new();
        for len in [1, 5, 63, 64, 1000, Frame::MAX_DATA, 20].repeat(20) {
            let data = vec![len as u8; len];
            parts.seal(NOW, &data, &mut expected).unwrap();
            expected.extend_from_slice(&data);
            whole.seal_whole(NOW, &data, &mut out).unwrap();
        }
        assert!(out == expected, "{algorithm:?}");
        assert_eq!(whole.close(&received), parts.close(&received));
        for got in [0, Frame::MAX_DATA + 1] {
            let refused = whole.seal_whole(NOW, &vec![0; got], &mut out);
            assert_eq!(refused, Err(SealError::Length { got }));
        }
    }
}

#[test]
fn what_does_not_fit_a_frame_is_refused() {
    let mut channel = Channel::new(scope(), None);
    for got in [0, Frame::MAX_DATA + 1] {
        let refused = Err(SealError::Length { got });
        assert_eq!(channel.try_send(&vec![0; got]), refused);
    }
    assert_eq!(
        channel.sealer.close(&Received::default()),
        None,
        "nobody signs"
    );
    let unknown = Sealer::new(scope(), TokenAlgorithm(1), None);
    assert_eq!(unknown.unwrap_err(), SealError::UnknownAlgorithm { got: 1 });
}

#[test]
fn no_header_is_longer_than_it_says() {
    let mut longest = Vec::new();
    Frame::Token(stoq_core::frame::Token {
        algorithm: TokenAlgorithm::BLAKE3,
        sequence: VarInt::MAX,
        timestamp: NOW,
        tag: [0; 32],
    })
    .encode(&mut longest);
    let data = [0; Frame::MAX_DATA];
    let data = Frame::Data(&data).encoded_len() - Frame::MAX_DATA;
    assert_eq!(longest.len() + data, Sealer::MAX_HEADER_LEN);
}
