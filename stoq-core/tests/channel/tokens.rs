//! Data that is changed, dropped, repeated, reordered, or from elsewhere.

use stoq_core::channel::{ChannelError, ChannelId, Delivery, Item, Opener, Sent};
use stoq_core::replay::TimeWindow;
use stoq_core::stream::Direction;
use stoq_core::time::UnixMicros;
use stoq_core::token::{Flow, Scope};
use stoq_core::{Frame, SessionHash};

use crate::number;
use crate::wire::{Channel, NOW, ORIGIN, data, open, opener, read, scope, verified};

#[test]
fn what_was_sent_arrives_and_is_verified() {
    let channel = Channel::of_three_runs(scope(), &ORIGIN);
    let expected: Vec<_> = (0..6).flat_map(|message| [message; 10]).collect();
    for piece in [1, 2, 7, 60, 1000, usize::MAX] {
        let mut opener = opener(Delivery::Pending);
        let mut items = Vec::new();
        for mut input in channel.bytes().chunks(piece.min(channel.bytes().len())) {
            while let Some(item) = opener.next(NOW, &mut Sent::default(), &mut input).unwrap() {
                items.push(item);
            }
            assert!(input.is_empty());
        }
        assert_eq!(opener.end(), Ok(()), "{piece}");
        assert!(opener.is_final());
        assert_eq!(opener.signer(), Some(ORIGIN.key.id()));
        assert_eq!(data(&items), expected);
        assert_eq!(verified(&items), 6);
        let shown: String = items.iter().map(letter).collect();
        assert_eq!(shown, "kppvppvppf", "{piece}");
    }
}

#[test]
fn changed_data_is_named() {
    for (frame, sequence) in [(2, 0), (4, 1), (9, 3)] {
        let mut frames = Channel::of_three_runs(scope(), &ORIGIN).frames;
        *frames[frame].last_mut().unwrap() ^= 1;
        let (items, end) = open(&frames);
        let sequence = number(sequence);
        assert_eq!(end, Err(ChannelError::BadTag { sequence }));
        assert_eq!(data(&items).len() as u64, sequence.into_inner() * 10);
    }
}

#[test]
fn a_changed_token_is_named() {
    // Algorithm, sequence, timestamp, tag.
    for (byte, expected) in [
        (9, "unknown algorithm"),
        (10, "missing"),
        (11, "changed"),
        (18, "changed"),
        (19, "changed"),
        (50, "changed"),
    ] {
        let mut frames = Channel::of_three_runs(scope(), &ORIGIN).frames;
        frames[3][byte] ^= 2;
        let error = open(&frames).1.unwrap_err();
        assert_eq!(error.sequence(), number(1), "{error}");
        assert!(error.to_string().contains(expected), "{byte}: {error}");
    }
}

#[test]
fn a_dropped_message_is_missing() {
    let mut frames = Channel::of_three_runs(scope(), &ORIGIN).frames;
    frames.drain(6..8);
    let (items, end) = open(&frames);
    let (sequence, got) = (number(2), number(3));
    assert_eq!(end, Err(ChannelError::Missing { sequence, got }));
    assert_eq!((data(&items).len(), verified(&items)), (20, 2));
}

#[test]
fn a_repeated_message_is_replayed() {
    let mut frames = Channel::of_three_runs(scope(), &ORIGIN).frames;
    let repeated = frames[1..3].to_vec();
    frames.splice(5..5, repeated);
    let sequence = number(0);
    assert_eq!(open(&frames).1, Err(ChannelError::Replayed { sequence }));
}

#[test]
fn messages_in_another_order_are_found_out() {
    let mut frames = Channel::of_three_runs(scope(), &ORIGIN).frames;
    frames[6..10].rotate_left(2);
    let (sequence, got) = (number(2), number(3));
    assert_eq!(
        open(&frames).1,
        Err(ChannelError::Missing { sequence, got })
    );
}

#[test]
fn what_was_made_elsewhere_is_not_taken() {
    let with = |change: fn(&mut Scope)| {
        let mut changed = scope();
        change(&mut changed);
        Channel::of_three_runs(changed, &ORIGIN).frames
    };
    let sequence = number(0);
    for frames in [
        with(|scope| scope.session = SessionHash::new(&[1; 32], &[9; 32], "files")),
        with(|scope| scope.channel = ChannelId::new([4; 16])),
        with(|scope| scope.flow = Flow::ToTarget),
        with(|scope| scope.kind = Direction::Unidirectional),
    ] {
        assert_eq!(open(&frames).1, Err(ChannelError::BadTag { sequence }));
    }
}

#[test]
fn a_stream_of_one_kind_does_not_pass_for_one_of_the_other() {
    let kinds = [Direction::Bidirectional, Direction::Unidirectional];
    for (made, opened) in [(kinds[0], kinds[1]), (kinds[1], kinds[0])] {
        let of = |kind| Scope { kind, ..scope() };
        let frames = Channel::of_three_runs(of(made), &ORIGIN).frames;
        let open = |kind| {
            let opener = Opener::new(of(kind), [ORIGIN.key.id()], Delivery::Pending);
            read(opener, &mut Sent::default(), &frames)
        };
        let (items, end) = open(made);
        assert_eq!((verified(&items), end), (6, Ok(())));
        let (items, end) = open(opened);
        let sequence = number(0);
        assert_eq!(end, Err(ChannelError::BadTag { sequence }));
        assert_eq!((data(&items), verified(&items)), (vec![], 0));
    }
}

#[test]
fn two_channels_cannot_be_spliced() {
    let mut frames = Channel::of_three_runs(scope(), &ORIGIN).frames;
    let channel = ChannelId::new([4; 16]);
    let other = Channel::of_three_runs(Scope { channel, ..scope() }, &ORIGIN);
    frames.splice(6.., other.frames[6..].iter().cloned());
    let (items, end) = open(&frames);
    let sequence = number(2);
    assert_eq!(end, Err(ChannelError::BadTag { sequence }));
    assert_eq!(verified(&items), 2);
}

#[test]
fn old_tokens_are_stale_where_time_counts() {
    let frames = Channel::of_three_runs(scope(), &ORIGIN).frames;
    let window = TimeWindow(Some(core::time::Duration::from_secs(1)));
    let at = |now| {
        let mut opener = opener(Delivery::Pending).with_time_window(window);
        let bytes = frames.concat();
        let mut input = &bytes[..];
        opener.next(now, &mut Sent::default(), &mut input).unwrap();
        opener.next(now, &mut Sent::default(), &mut input)
    };
    assert!(at(NOW).is_ok());
    let sequence = number(0);
    let stale = Err(ChannelError::Stale { sequence });
    assert_eq!(at(UnixMicros(NOW.0 + 1_000_001)), stale);
    assert_eq!(at(UnixMicros(NOW.0 - 1_000_001)), stale);
}

#[test]
fn without_origins_nothing_is_verified_and_what_was_changed_is_still_found() {
    let signed = Channel::of_three_runs(scope(), &ORIGIN).frames;
    let mut unsigned = Channel::new(scope(), None);
    (0..6).for_each(|message| unsigned.send(&[message; 10]));
    unsigned.finish();
    for frames in [signed, unsigned.frames] {
        let nobody = || Opener::new(scope(), [], Delivery::Verified);
        let (items, end) = read(nobody(), &mut Sent::default(), &frames);
        assert_eq!(end, Ok(()));
        assert_eq!(items.iter().map(letter).collect::<String>(), "pppppp");

        let mut changed = frames.clone();
        let last = changed
            .iter()
            .rposition(|frame| matches!(Frame::decode(frame), Ok(Some((Frame::Data(_), _)))));
        *changed[last.unwrap()].last_mut().unwrap() ^= 1;
        let sequence = number(5);
        let end = read(nobody(), &mut Sent::default(), &changed).1;
        assert_eq!(end, Err(ChannelError::BadTag { sequence }));
    }
}

/// **p**ending data, **d**ata that is verified, **v**erified so far, **f**inal, **k**ey.
fn letter(item: &Item) -> char {
    match item {
        Item::Data { verified, .. } => ['p', 'd'][usize::from(*verified)],
        Item::Verified { is_final, .. } => ['v', 'f'][usize::from(*is_final)],
        Item::Key(_) => 'k',
        Item::Priority(_) => 'u',
    }
}
