//! Channels that are cut, and what comes behind their end.

use stoq_core::channel::{ChannelError, Delivery, Opener, Sent};

use crate::number;
use crate::wire::{Channel, ORIGIN, open, read, scope, verified};

#[test]
fn a_channel_that_is_cut_anywhere_is_truncated() {
    let frames = Channel::of_three_runs(scope(), &ORIGIN).frames;
    let bytes = frames.concat();
    let ends: Vec<_> = frames
        .iter()
        .scan(0, |end, frame| {
            *end += frame.len();
            Some(*end)
        })
        .collect();
    for end in (0..bytes.len()).filter(|end| end % 61 == 0 || ends.contains(end)) {
        let (items, found) = open(&[bytes[..end].to_vec()]);
        // The signatures stand at 5 and 10.
        let signed = [5, 10].iter().filter(|&&at| end >= ends[at]).count() as u32;
        let sequence = number(signed * 2);
        assert_eq!(found, Err(ChannelError::Truncated { sequence }), "{end}");
        assert_eq!(verified(&items), sequence.into_inner());
    }
}

#[test]
fn without_origins_only_a_cut_frame_shows() {
    let mut channel = Channel::new(scope(), None);
    channel.send(b"one");
    channel.send(b"two");
    channel.finish();
    let bytes = channel.bytes();
    let middle = bytes.len() / 2;
    for end in 0..=bytes.len() {
        let opener = Opener::new(scope(), [], Delivery::Pending);
        let (_, found) = read(opener, &mut Sent::default(), &[bytes[..end].to_vec()]);
        let sequence = number(u32::from(end >= middle));
        let cut = Err(ChannelError::Truncated { sequence });
        let is_whole = [0, middle, bytes.len()].contains(&end);
        assert_eq!(found, if is_whole { Ok(()) } else { cut }, "{end}");
    }
}

#[test]
fn an_end_without_data_is_signed_too() {
    let mut channel = Channel::new(scope(), Some(&ORIGIN));
    channel.finish();
    let (items, end) = open(&channel.frames);
    assert_eq!((items.len(), end), (2, Ok(())), "the key and the end");
    let sequence = number(1);
    let cut = open(&channel.frames[..channel.frames.len() - 1]).1;
    let from = number(0);
    assert_eq!(cut, Err(ChannelError::Truncated { sequence: from }));

    // Behind a run that was signed before.
    let mut channel = Channel::new(scope(), Some(&ORIGIN));
    channel.send(b"data");
    channel.close();
    channel.finish();
    let (items, end) = open(&channel.frames);
    assert_eq!((verified(&items), end), (2, Ok(())));
    for dropped in 1..=3 {
        let left = channel.frames.len() - dropped;
        let cut = open(&channel.frames[..left]).1;
        assert_eq!(cut, Err(ChannelError::Truncated { sequence }), "{dropped}");
    }
}

#[test]
fn nothing_comes_behind_the_end() {
    let frames = Channel::of_three_runs(scope(), &ORIGIN).frames;
    let behind = |more: &[Vec<u8>]| open(&[&frames[..], more].concat()).1;
    let mut longer = Channel::new(scope(), Some(&ORIGIN));
    (0..8).for_each(|_| longer.send(b"more"));
    let sequence = number(6);
    let error = Err(ChannelError::BehindEnd { sequence });
    assert_eq!(behind(&longer.frames[13..15]), error);
    assert_eq!(behind(&frames[15..]), error);

    // In front of the last signature, and not covered by it.
    let mut covered = frames.clone();
    covered.splice(15..15, longer.frames[13..15].iter().cloned());
    assert_eq!(open(&covered).1, error);
    let mut token = frames.clone();
    token.splice(15..15, longer.frames[13..14].iter().cloned());
    assert_eq!(open(&token).1, error, "a token alone");
}
