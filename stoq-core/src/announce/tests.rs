use alloc::vec;

use super::*;
use crate::frame::{FalconKey, Seed, SeedPriority, TokenRun};
use crate::identity::SignatureAlgorithm;
use crate::reader::Fault;
use crate::seeds::SeedEvent;
use crate::time::UnixMicros;

const NOW: Timestamp = Timestamp::from_micros(1);

fn bytes(frame: &Frame<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    bytes
}

fn seed(content: u8) -> Seed {
    Seed {
        content: [content; 32],
        replication: 1,
        priority: SeedPriority::Low,
        nodes: vec![],
    }
}

fn key(byte: u8) -> Vec<u8> {
    bytes(&Frame::FalconKey(FalconKey {
        algorithm: SignatureAlgorithm(1),
        key: &[byte; 1793],
        created: UnixMicros(0),
    }))
}

#[test]
fn frames_go_to_who_asks_for_them() {
    let mut announced = Announcements::new(Limits::default());
    let unknown = Frame::Unknown {
        ty: FrameType::new(crate::VarInt::from_u32(0x3f)),
        payload: &[1, 2, 3],
    };
    let run = Frame::TokenRun(TokenRun::new(&[9; 33]).unwrap());
    // What belongs on other streams means nothing here either.
    let frames = [
        bytes(&Frame::Seed(seed(1))),
        bytes(&unknown),
        key(7),
        bytes(&Frame::Data(b"?")),
        bytes(&run),
        bytes(&Frame::Seed(seed(2))),
    ];
    for byte in frames.concat() {
        announced.feed(NOW, &[byte]).unwrap();
    }
    assert_eq!(announced.finish(), Ok(()));
    for content in [1, 2] {
        let told = announced.seeds().next_event();
        assert_eq!(told, Some(SeedEvent::Announced(seed(content))));
    }
    assert_eq!(announced.next_signature().unwrap(), key(7));
    assert_eq!(announced.next_signature().unwrap(), bytes(&run));
    assert_eq!(announced.next_signature(), None);
    assert_eq!(announced.skipped(), 2);
}

#[test]
fn signatures_that_nobody_takes_give_way() {
    let mut announced = Announcements::new(Limits::default());
    let one = key(0);
    let room = MAX_SIGNATURE_BYTES / (one.len() + OVERHEAD);
    for _ in 0..room {
        announced.feed(NOW, &one).unwrap();
    }
    assert_eq!(announced.signatures_dropped(), 0);
    announced.feed(NOW, &key(1)).unwrap();
    assert_eq!(announced.signatures_dropped(), 1);
    let last = core::iter::from_fn(|| announced.next_signature()).last();
    assert_eq!(last.unwrap(), key(1));
    assert_eq!(announced.signature_bytes, 0);
}

#[test]
fn what_breaks_a_rule_ends_the_reading() {
    let ends = |input: &[u8]| {
        let mut announced = Announcements::new(Limits::default());
        announced.feed(NOW, &bytes(&Frame::Seed(seed(1)))).unwrap();
        let error = announced.feed(NOW, input).unwrap_err();
        assert!(announced.seeds().next_event().is_some(), "it stays good");
        error
    };
    // SEED of 13,040 bytes: no byte of it has come.
    let large = ends(&[0xc0, 0, 0, 0, 0xfe, 0, 0, 4, 0x72, 0xf0]);
    assert_eq!(large.code(), Code::FRAME_TOO_LARGE);
    let mut urgent = bytes(&Frame::Seed(seed(1)));
    *urgent.last_mut().unwrap() = 4;
    let urgent = ends(&urgent);
    assert_eq!(urgent.code(), Code::FRAME);
    assert!(matches!(
        urgent,
        AnnounceError::Frame(DecodeError::Malformed {
            fault: Fault::OutOfRange { got: 4, .. },
            ..
        })
    ));
    let seeds = bytes(&Frame::Seed(seed(1))).repeat(512);
    assert!(matches!(
        ends(&seeds),
        AnnounceError::Seeds(SeedFlood { limit: 64 })
    ));
    let nothing = [0x3f, 0x00].repeat(4096);
    assert_eq!(ends(&nothing), AnnounceError::Flood { limit: 2048 });
    assert_eq!(ends(&nothing).code(), Code::CONTROL_FLOOD);
}

#[test]
fn the_end_is_between_frames() {
    let mut announced = Announcements::new(Limits::default());
    assert_eq!(announced.finish(), Ok(()));
    announced.feed(NOW, &key(1)[..100]).unwrap();
    assert_eq!(announced.finish(), Err(AnnounceError::Cut { got: 100 }));
    announced.feed(NOW, &key(1)[100..]).unwrap();
    assert_eq!(announced.finish(), Ok(()));
}
