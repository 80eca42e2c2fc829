//! Signatures that are forged, left out, repeated, early, or of somebody else.

use stoq_core::channel::{ChannelError, ChannelId, Delivery, Item, Opener, Sent};
use stoq_core::falcon::VerifyingKey;
use stoq_core::frame::{FalconKey, FalconSignature};
use stoq_core::identity::SignatureAlgorithm;
use stoq_core::token::Scope;
use stoq_core::{FalconId, Frame, SessionHash, VarInt};

use crate::number;
use crate::wire::{
    Channel, NOW, ORIGIN, OTHER, announcement, data, open, opener, origins, read, scope, verified,
};

#[test]
fn data_with_new_tokens_does_not_pass_for_the_origins() {
    // What a relay can do, as tags have no key: make all of a run anew around other data, and leave the signature.
    let mut forged = Channel::new(scope(), Some(&OTHER));
    forged.send(&[0; 10]);
    forged.send(b"changed");
    let mut frames = Channel::of_three_runs(scope(), &ORIGIN).frames;
    frames.splice(1..5, forged.frames.into_iter().skip(1));
    let (items, end) = open(&frames);
    let (sequence, last) = (number(0), number(1));
    assert_eq!(end, Err(ChannelError::BadSignature { sequence, last }));
    assert_eq!(verified(&items), 0);
    assert!(items.contains(&pending(1, b"changed")), "it was pending");
}

#[test]
fn held_back_data_of_a_bad_run_is_never_handed_out() {
    let mut frames = Channel::of_three_runs(scope(), &ORIGIN).frames;
    let whole = read(opener(Delivery::Verified), &mut Sent::default(), &frames);
    assert_eq!((data(&whole.0).len(), whole.1), (60, Ok(())));
    for item in &whole.0 {
        assert!(!matches!(
            item,
            Item::Data {
                verified: false,
                ..
            }
        ));
    }
    *frames[10].last_mut().unwrap() ^= 1;
    let (items, end) = read(opener(Delivery::Verified), &mut Sent::default(), &frames);
    let (sequence, last) = (number(2), number(3));
    assert_eq!(end, Err(ChannelError::BadSignature { sequence, last }));
    assert_eq!(data(&items), data(&whole.0)[..20]);
}

#[test]
fn held_back_data_comes_before_the_word_for_it() {
    let frames = Channel::of_three_runs(scope(), &ORIGIN).frames;
    // The first run, and one message more.
    let (items, end) = read(
        opener(Delivery::Verified),
        &mut Sent::default(),
        &frames[..8],
    );
    let sequence = number(2);
    assert_eq!(end, Err(ChannelError::Truncated { sequence }));
    let data = |sequence: u8| Item::Data {
        sequence: sequence.into(),
        data: vec![sequence; 10].into(),
        verified: true,
    };
    let word = Item::Verified {
        through: number(1),
        signer: ORIGIN.key.id(),
        is_final: false,
        answers: number(0),
        answers_all: true,
    };
    let key = Item::Key(ORIGIN.key.id());
    assert_eq!(items, [key, data(0), data(1), word]);
}

#[test]
fn held_back_data_waits_for_its_own_signature() {
    let mut frames = Channel::of_three_runs(scope(), &ORIGIN).frames;
    // The first run's signature comes behind the second run's first message.
    frames[5..8].rotate_left(1);
    let opened = read(
        opener(Delivery::Verified),
        &mut Sent::default(),
        &frames[..8],
    );
    let expected: Vec<_> = [[0; 10], [1; 10]].concat();
    assert_eq!((data(&opened.0), verified(&opened.0)), (expected, 2));
    let opened = read(opener(Delivery::Verified), &mut Sent::default(), &frames);
    assert_eq!((data(&opened.0).len(), opened.1), (60, Ok(())));
}

#[test]
fn each_field_of_a_signature_counts() {
    let frames = Channel::of_three_runs(scope(), &ORIGIN).frames;
    let change = |change: fn(&mut FalconSignature<'_>)| {
        let mut frames = frames.clone();
        let Ok(Some((Frame::FalconSignature(mut signature), _))) = Frame::decode(&frames[10])
        else {
            panic!("no signature there")
        };
        change(&mut signature);
        let mut changed = Vec::new();
        Frame::FalconSignature(signature).encode(&mut changed);
        frames[10] = changed;
        open(&frames).1.unwrap_err()
    };
    let bad = |last| ChannelError::BadSignature {
        sequence: number(2),
        last: number(last),
    };
    // One token less than was signed; the last of them then has no signature.
    assert_eq!(change(|it| it.last = number(2)), bad(2));
    assert_eq!(change(|it| it.signature = &[0x3a; 1280]), bad(3));
    assert_eq!(
        change(|it| it.algorithm = SignatureAlgorithm(2)),
        bad(3),
        "no such key"
    );
    assert_eq!(
        change(|it| it.is_final = true),
        bad(3),
        "the end was not here"
    );
    let sequence = number(3);
    assert_eq!(
        change(|it| (it.is_final, it.last) = (true, number(2))),
        ChannelError::BehindEnd { sequence }
    );
    let unsent = |last| ChannelError::UnsentRun {
        sequence: number(4),
        last,
    };
    assert_eq!(change(|it| it.last = number(4)), unsent(number(4)));
    assert_eq!(change(|it| it.last = VarInt::MAX), unsent(VarInt::MAX));
    let sequence = number(1);
    assert_eq!(
        change(|it| it.first = number(1)),
        ChannelError::Replayed { sequence }
    );
    let (sequence, got) = (number(2), number(3));
    assert_eq!(
        change(|it| it.first = number(3)),
        ChannelError::Unsigned { sequence, got }
    );
    let (sequence, request) = (number(2), number(1));
    assert_eq!(
        change(|it| it.request = number(1)),
        ChannelError::WrongRequest { sequence, request }
    );
    let (sequence, signer) = (number(2), FalconId::new([7; 32]));
    assert_eq!(
        change(|it| it.signer = FalconId::new([7; 32])),
        ChannelError::UntrustedOrigin { sequence, signer }
    );
}

#[test]
fn a_signature_left_out_repeated_or_early_is_found_out() {
    let frames = Channel::of_three_runs(scope(), &ORIGIN).frames;
    let mut without = frames.clone();
    without.remove(5);
    let (sequence, got) = (number(0), number(2));
    let missing = ChannelError::Unsigned { sequence, got };
    assert_eq!(open(&without).1, Err(missing));

    let mut repeated = frames.clone();
    repeated.insert(6, frames[5].clone());
    let sequence = number(0);
    assert_eq!(open(&repeated).1, Err(ChannelError::Replayed { sequence }));

    let mut early = frames.clone();
    early.swap(5, 4);
    early.swap(4, 3);
    let (sequence, last) = (number(1), number(1));
    let unsent = ChannelError::UnsentRun { sequence, last };
    assert_eq!(open(&early).1, Err(unsent));

    // A signature may come late: tokens of the next run stand in front of it.
    let mut late = frames;
    late[5..8].rotate_left(1);
    late[6..8].rotate_left(1);
    let (items, end) = open(&late);
    assert_eq!((verified(&items), end), (6, Ok(())));
}

#[test]
fn a_signature_is_good_for_its_channel_and_session_only() {
    let frames = Channel::of_three_runs(scope(), &ORIGIN).frames;
    let channel = ChannelId::new([4; 16]);
    let session = SessionHash::new(&[1; 32], &[9; 32], "files");
    for other in [Scope { channel, ..scope() }, Scope { session, ..scope() }] {
        let elsewhere = Channel::of_three_runs(other, &ORIGIN).frames;
        // A relay makes the tokens anew for here, and shows the signature of there.
        let mut spliced = frames.clone();
        spliced[5] = elsewhere[5].clone();
        let (sequence, last) = (number(0), number(1));
        let bad = ChannelError::BadSignature { sequence, last };
        assert_eq!(open(&spliced).1, Err(bad));
    }
}

#[test]
fn only_trusted_origins_may_sign() {
    let frames = Channel::of_three_runs(scope(), &OTHER).frames;
    let (sequence, signer) = (number(0), OTHER.key.id());
    let untrusted = ChannelError::UntrustedOrigin { sequence, signer };
    assert_eq!(open(&frames), (vec![], Err(untrusted)));
    let (items, end) = open(&frames[1..]);
    assert_eq!((items.len(), end), (2, Err(untrusted)), "at the signature");
}

#[test]
fn a_channel_has_one_signer() {
    let mut frames = Channel::of_three_runs(scope(), &ORIGIN).frames;
    let other = Channel::of_three_runs(scope(), &OTHER).frames;
    let both = || Opener::new(scope(), origins(), Delivery::Pending);
    // The same data, signed by another that is trusted as well.
    frames.splice(10..11, [other[10].clone()]);
    let (sequence, signer) = (number(2), OTHER.key.id());
    let second = ChannelError::UntrustedOrigin { sequence, signer };
    let (items, end) = read(
        both().with_key(OTHER.key.clone()),
        &mut Sent::default(),
        &frames,
    );
    assert_eq!((verified(&items), end), (2, Err(second)));
    let (_, end) = read(both(), &mut Sent::default(), &other);
    assert_eq!(end, Ok(()));
}

#[test]
fn the_key_must_have_come_or_be_known() {
    let frames = Channel::of_three_runs(scope(), &ORIGIN).frames;
    let (sequence, signer) = (number(0), ORIGIN.key.id());
    let none = ChannelError::NoKey { sequence, signer };
    assert_eq!(open(&frames[1..]).1, Err(none));
    let knows = |key: &VerifyingKey| opener(Delivery::Pending).with_key(key.clone());
    let given = |key| read(knows(key), &mut Sent::default(), &frames[1..]).1;
    assert_eq!(given(&ORIGIN.key), Ok(()));
    assert_eq!(given(&OTHER.key), Err(none), "not one of the origins");
    // Announced again it is the same key.
    let again = [vec![announcement(&ORIGIN)], frames].concat();
    assert_eq!(open(&again).1, Ok(()));
}

#[test]
fn what_is_no_key_is_refused_although_its_name_is_trusted() {
    for (algorithm, key) in [(1, &[0; 1793]), (2, ORIGIN.key.as_bytes())] {
        let algorithm = SignatureAlgorithm(algorithm);
        let signer = FalconId::of(algorithm, key);
        let opener = Opener::new(scope(), [signer], Delivery::Pending);
        let mut frame = Vec::new();
        Frame::FalconKey(FalconKey {
            algorithm,
            key,
            created: NOW,
        })
        .encode(&mut frame);
        let sequence = number(0);
        let end = read(opener, &mut Sent::default(), &[frame]).1;
        assert_eq!(end, Err(ChannelError::NoKey { sequence, signer }));
    }
}

fn pending(sequence: u32, data: &'static [u8]) -> Item {
    Item::Data {
        sequence: number(sequence),
        data: data.into(),
        verified: false,
    }
}
