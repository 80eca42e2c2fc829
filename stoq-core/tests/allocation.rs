//! What is read for every message on the hot path reserves no memory.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use bytes::Bytes;
use stoq_core::{
    Datagram, FalconId, Frame, SessionHash, SessionId, StreamHeader, VarInt,
    channel::{ChannelId, Delivery, Item, Opener, Received, Sealer, Sent},
    falcon::{BadSignature, Domain, MAX_SIGNED_LEN, Signature, VerifyingKey},
    frame::{Shard, Token, TokenAlgorithm},
    replay::ReplayWindow,
    stream::{Direction, Payload},
    time::UnixMicros,
    token::{Flow, Scope},
};

#[test]
fn data_tokens_and_shards_reserve_nothing() {
    let digest = [7; 32];
    let token = Token {
        algorithm: TokenAlgorithm::SHA256,
        sequence: VarInt::from_u32(70_000),
        timestamp: UnixMicros(1),
        tag: [9; 32],
    };
    let shard = Shard {
        message: VarInt::MAX,
        index: 3,
        data: 10,
        parity: 4,
        message_len: VarInt::from_u32(12_000),
        digest: &digest,
        bytes: &[1; 1200],
    };
    let mut room = [0; 2048];
    for frame in [
        Frame::Data(&[5; 1000]),
        Frame::Token(token),
        Frame::Shard(shard),
    ] {
        let reserved = reservations(|| {
            let mut out = &mut room[..];
            frame.encode(&mut out);
            let left = out.len();
            let bytes = &room[..room.len() - left];
            assert_eq!(
                Frame::decode(bytes),
                Ok(Some((frame.clone(), frame.encoded_len())))
            );
        });
        assert_eq!(reserved, 0, "{}", frame.ty());
    }
}

#[test]
fn stream_headers_and_datagrams_reserve_nothing() {
    let session = SessionId::new(1 << 40).expect("below 2^62");
    let header = StreamHeader::Data {
        session,
        payload: Payload::Raw,
    };
    let mut bytes = Vec::new();
    Datagram::header(session, &mut bytes);
    bytes.extend_from_slice(&[1; 1200]);
    let datagram = Bytes::from(bytes);
    let reserved = reservations(|| {
        let mut room = [0; StreamHeader::MAX_LEN];
        header.encode(Direction::Bidirectional, &mut &mut room[..]);
        assert_eq!(
            StreamHeader::decode(&room, Direction::Bidirectional),
            Ok(Some((header, room.len())))
        );
    });
    assert_eq!(reserved, 0);
    // `Bytes` notes once that it is shared, 24 bytes, whatever the datagram's size.
    let reserved = reservations(|| {
        assert_eq!(
            Datagram::decode(datagram)
                .expect("a datagram")
                .content
                .len(),
            1201
        )
    });
    assert!(reserved <= 1, "{reserved}");
}

#[test]
fn sealing_and_tags_reserve_nothing() {
    let (scope, now, data) = (scope(), UnixMicros(1), [5; Frame::MAX_DATA]);
    for algorithm in [TokenAlgorithm::SHA256, TokenAlgorithm::BLAKE3] {
        let signer = Some(FalconId::new([9; 32]));
        let mut sealer = Sealer::new(scope, algorithm, signer).expect("it is known");
        let received = Received::default();
        let signature = Signature::new([0x3a; 1280]);
        let mut room = [0; 2048];
        let reserved = reservations(|| {
            for _ in 0..3 {
                let sealed = sealer.seal(now, &received, &data, &mut &mut room[..]);
                assert_eq!(sealed, Ok(()));
            }
            assert!(sealer.close().is_some());
            let signed = sealer.signed(&signature, &mut &mut room[..]);
            assert_eq!(signed, Ok(()));
            let tag = scope.tag(algorithm, VarInt::MAX, now, &data);
            assert!(tag.is_some());
        });
        assert_eq!(reserved, 0, "{algorithm:?}");
    }
}

#[test]
fn opening_reserves_what_the_application_is_given() {
    const FRAMES: usize = 100;
    let mut sealer = Sealer::new(scope(), TokenAlgorithm::SHA256, None).expect("it is known");
    let (now, data, mut wire) = (UnixMicros(1), [5; 1000], Vec::new());
    for _ in 0..FRAMES {
        let sealed = sealer.seal(now, &Received::default(), &data, &mut wire);
        sealed.expect("there is room");
        wire.extend_from_slice(&data);
    }
    let mut opener = Opener::new(scope(), [], Delivery::Pending);
    let (mut sent, mut input) = (Sent::default(), &wire[..]);
    let mut open = |frames| {
        reservations(|| {
            for _ in 0..frames {
                let item = opener.next(now, &mut sent, &mut input);
                assert!(matches!(item, Ok(Some(Item::Data { .. }))), "{item:?}");
            }
        })
    };
    // The room for a token is reserved once.
    assert!(open(1) <= 8);
    assert_eq!(open(FRAMES - 1), FRAMES - 1, "one for the data of each");
}

#[test]
fn a_replay_window_reserves_nothing_beyond_itself() {
    let mut window = ReplayWindow::default();
    let reserved = reservations(|| {
        for sequence in [0u32, 7, 3, 100_000, 99_999, u32::MAX] {
            assert_eq!(window.check(VarInt::from_u32(sequence)), Ok(()));
            window.note(VarInt::from_u32(sequence));
        }
    });
    assert_eq!(reserved, 0);
}

fn scope() -> Scope {
    Scope {
        session: SessionHash::new(&[1; 32], &[2; 32], "files"),
        flow: Flow::ToClient,
        channel: ChannelId::new([7; 16]),
    }
}

#[test]
fn keys_and_signatures_reserve_nothing() {
    let record = include_bytes!("vectors/endpoint-record.bin");
    let (message, signature) = record.split_last_chunk().expect("it ends in a signature");
    let key = message[2..].first_chunk().expect("it begins with a key");
    let signature = Signature::new(*signature);
    let reserved = reservations(|| {
        let key = VerifyingKey::from_bytes(key).expect("it is one");
        let verify = |parts: &[&[u8]]| key.verify(Domain::ENDPOINT_RECORD, parts, &signature);
        assert_eq!(verify(&[message]), Ok(()));
        assert_eq!(verify(&[message, message]), Err(BadSignature));
        assert_eq!(verify(&[&[0; MAX_SIGNED_LEN], message]), Err(BadSignature));
    });
    assert_eq!(reserved, 0);
}

/// How often `run` asks for memory.
fn reservations(run: impl FnOnce()) -> usize {
    RESERVATIONS.set(0);
    run();
    RESERVATIONS.get()
}

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; the counter is plain data without a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        RESERVATIONS.set(RESERVATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` above, that is, from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static RESERVATIONS: Cell<usize> = const { Cell::new(0) };
}
