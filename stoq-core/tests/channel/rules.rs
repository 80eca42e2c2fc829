//! What may stand on a channel, and how much of it.

use stoq_core::channel::{
    ChannelError, Delivery, Item, MAX_IDLE_FRAMES, MAX_RUN_BYTES, MAX_RUN_TOKENS, MAX_RUNS, Sent,
};
use stoq_core::close::Code;
use stoq_core::frame::{DecodeError, FrameType, Ping, Priority, TokenAlgorithm};
use stoq_core::reader::Fault;
use stoq_core::{Frame, VarInt};

use crate::number;
use crate::wire::{Channel, ORIGIN, data, open, opener, read, scope, verified};

#[test]
fn data_stands_behind_its_token() {
    let frames = Channel::of_three_runs(scope(), &ORIGIN).frames;
    let without = |at| {
        let mut frames = frames.clone();
        frames.remove(at);
        open(&frames).1
    };
    let unexpected = |sequence, frame| ChannelError::Unexpected {
        sequence: number(sequence),
        frame,
    };
    assert_eq!(without(3), Err(unexpected(1, FrameType::DATA)));
    let (sequence, last) = (number(1), number(1));
    let unsent = ChannelError::UnsentRun { sequence, last };
    assert_eq!(without(4), Err(unsent), "a token without data is none");
    // Two tokens in front of one piece of data: the first would vouch for nothing.
    let mut doubled = frames.clone();
    doubled.insert(1, frames[1].clone());
    assert_eq!(open(&doubled).1, Err(unexpected(0, FrameType::TOKEN)));
}

#[test]
fn frames_without_data_are_limited_and_data_makes_up_for_them() {
    let channel = Channel::of_three_runs(scope(), &ORIGIN);
    let (ty, payload) = (FrameType::new(VarInt::from_u32(0x21)), &[][..]);
    let mut idle = Vec::new();
    Frame::Unknown { ty, payload }.encode(&mut idle);
    let mut priority = Vec::new();
    let urgency = 1;
    Frame::Priority(Priority {
        urgency,
        incremental: false,
    })
    .encode(&mut priority);
    let key = channel.frames[0].clone();
    let flood = ChannelError::Flood {
        sequence: number(0),
    };
    assert_eq!(flood.code(), Code::CONTROL_FLOOD);
    for frame in [&idle, &priority, &key] {
        let many = vec![frame.clone(); MAX_IDLE_FRAMES as usize];
        assert_eq!(
            open(&many).1.err().map(|it| it.code()),
            Some(Code::TRUNCATED)
        );
        let more = vec![frame.clone(); MAX_IDLE_FRAMES as usize + 1];
        assert_eq!(open(&more).1, Err(flood));
    }
    // One between all frames is not too many, however long the channel.
    let mut channel = Channel::new(scope(), Some(&ORIGIN));
    for _ in 0..200 {
        channel.send(b"data");
        channel.frames.push(idle.clone());
    }
    channel.finish();
    assert_eq!(open(&channel.frames).1, Ok(()));
    // Tokens without data are no data.
    let mut empty = Channel::new(scope(), Some(&ORIGIN));
    let frames = MAX_IDLE_FRAMES;
    for sequence in 0..frames {
        empty.send_empty(sequence);
    }
    let sequence = number(frames - 1);
    assert_eq!(open(&empty.frames).1, Err(ChannelError::Flood { sequence }));
}

#[test]
fn frames_of_other_places_are_refused_and_unknown_ones_skipped() {
    let frames = Channel::of_three_runs(scope(), &ORIGIN).frames;
    let with = |at, frame: &Frame<'_>| {
        let mut frames = frames.clone();
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        frames.insert(at, bytes);
        open(&frames)
    };
    let ping = Frame::Ping(Ping {
        data: [0; 8],
        ack: false,
    });
    let (sequence, frame) = (number(1), FrameType::PING);
    let unexpected = ChannelError::Unexpected { sequence, frame };
    assert_eq!(with(3, &ping).1, Err(unexpected));
    assert_eq!(unexpected.code(), Code::PROTOCOL);
    for payload in [&[][..], &[7; Frame::MAX_UNKNOWN]] {
        let ty = FrameType::new(VarInt::from_u32(0x1234));
        let unknown = Frame::Unknown { ty, payload };
        for at in 0..=frames.len() {
            let (items, end) = with(at, &unknown);
            assert_eq!((verified(&items), end), (6, Ok(())), "{at}");
        }
    }
    let priority = Priority {
        urgency: 1,
        incremental: true,
    };
    let (items, end) = with(0, &Frame::Priority(priority));
    assert_eq!((&items[0], end), (&Item::Priority(priority), Ok(())));
}

#[test]
fn what_cannot_be_read_is_malformed() {
    let frames = Channel::of_three_runs(scope(), &ORIGIN).frames;
    let with = |bytes: &[u8]| {
        let mut frames = frames.clone();
        frames.insert(3, bytes.to_vec());
        open(&frames).1.unwrap_err()
    };
    let malformed = |fault| ChannelError::Malformed {
        sequence: number(1),
        fault,
    };
    let not_shortest = DecodeError::Header(Fault::NotShortest);
    assert_eq!(with(&[0x40, 0x00]), malformed(not_shortest));
    assert_eq!(with(&[0x00, 0x40, 0x01]), malformed(not_shortest));
    let priority = with(&[0x02, 0x02, 0x08, 0x00]);
    assert_eq!(priority.code(), Code::FRAME);
    let large = with(&[0x00, 0x80, 0x00, 0x40, 0x01]);
    assert_eq!(large.code(), Code::FRAME_TOO_LARGE, "{large}");
}

#[test]
fn runs_without_a_signature_are_bounded_in_tokens() {
    let most = MAX_RUNS * MAX_RUN_TOKENS;
    for delivery in [Delivery::Pending, Delivery::Verified] {
        // Nobody signs, so the sender does not stop by itself.
        let mut channel = Channel::new(scope(), None);
        (0..=most).for_each(|_| channel.send(b"x"));
        let (items, end) = read(opener(delivery), &mut Sent::default(), &channel.frames);
        let sequence = number(0);
        assert_eq!(end, Err(ChannelError::RunTooLong { sequence }));
        let pending = [most, 0][delivery as usize];
        assert_eq!(data(&items).len(), pending);
        let (_, end) = read(
            opener(delivery),
            &mut Sent::default(),
            &channel.frames[..2 * most],
        );
        assert_eq!(end, Err(ChannelError::Truncated { sequence }), "so many");
    }
}

#[test]
fn runs_without_a_signature_are_bounded_in_bytes() {
    let most = MAX_RUNS * MAX_RUN_BYTES / Frame::MAX_DATA;
    let mut channel = Channel::new(scope(), None);
    (0..most).for_each(|_| channel.send(&[0; Frame::MAX_DATA]));
    let sequence = number(0);
    let end = |channel: &Channel<'_>| {
        read(
            opener(Delivery::Pending),
            &mut Sent::default(),
            &channel.frames,
        )
        .1
    };
    assert_eq!(end(&channel), Err(ChannelError::Truncated { sequence }));
    channel.send(b"x");
    assert_eq!(end(&channel), Err(ChannelError::RunTooLong { sequence }));
}

#[test]
fn every_error_has_a_code_with_a_name_and_a_sequence() {
    let (sequence, got, last, request) = (number(3), number(4), number(5), number(6));
    let signer = ORIGIN.key.id();
    let fault = DecodeError::NoData;
    let (frame, algorithm) = (FrameType::PING, TokenAlgorithm(9));
    for (error, code) in [
        (
            ChannelError::Malformed { sequence, fault },
            "malformed-frame",
        ),
        (
            ChannelError::Unexpected { sequence, frame },
            "protocol-violation",
        ),
        (
            ChannelError::UnknownAlgorithm {
                sequence,
                algorithm,
            },
            "unsupported",
        ),
        (ChannelError::BadTag { sequence }, "bad-token"),
        (ChannelError::Replayed { sequence }, "replayed-token"),
        (ChannelError::Late { sequence }, "replayed-token"),
        (ChannelError::Missing { sequence, got }, "bad-token"),
        (ChannelError::Stale { sequence }, "stale-token"),
        (ChannelError::RunTooLong { sequence }, "limit-exceeded"),
        (
            ChannelError::UntrustedOrigin { sequence, signer },
            "untrusted-origin",
        ),
        (ChannelError::NoKey { sequence, signer }, "bad-signature"),
        (ChannelError::Unsigned { sequence, got }, "bad-signature"),
        (ChannelError::UnsentRun { sequence, last }, "unsent-run"),
        (
            ChannelError::WrongRequest { sequence, request },
            "wrong-request",
        ),
        (
            ChannelError::BadSignature { sequence, last },
            "bad-signature",
        ),
        (ChannelError::BehindEnd { sequence }, "protocol-violation"),
        (ChannelError::Truncated { sequence }, "truncated"),
    ] {
        assert_eq!(error.code().name(), Some(code), "{error}");
        assert_eq!(error.sequence(), sequence, "{error}");
        assert!(!error.to_string().ends_with('.'));
    }
}
