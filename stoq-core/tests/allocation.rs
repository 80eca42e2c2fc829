//! What is read for every message on the hot path reserves no memory, and what is held for a peer stays within its bound.

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
    shards::{self, Cutter, Dropped, Limits, Loss, Parity, Plan, Reassembly, WORK_LEN},
    stream::{Direction, Payload},
    time::{Timestamp, UnixMicros},
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
                let sealed = sealer.seal(now, &data, &mut &mut room[..]);
                assert_eq!(sealed, Ok(()));
            }
            assert!(sealer.close(&received).is_some());
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
        let sealed = sealer.seal(now, &data, &mut wire);
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
        kind: Direction::Bidirectional,
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

#[test]
fn the_shards_of_a_message_are_sent_without_a_reservation() {
    let cutter = cut(0, 20_000, 4);
    let mut room = [0; 1_200];
    let reserved = reservations(|| {
        for shard in cutter.shards() {
            Frame::Shard(shard).encode(&mut &mut room[..]);
        }
    });
    assert_eq!(reserved, 0);
}

#[test]
fn a_reassembly_holds_no_more_than_its_bound() {
    let limits = Limits {
        max_bytes: 200_000,
        ..Limits::default()
    };
    // The tables of the code are the process's.
    let cutter = cut(0, 5_000, 2);
    let mut reassembly = Reassembly::new(limits);
    for shard in cutter.shards().skip(2) {
        let _: Result<shards::Received, Dropped> = reassembly.receive(Timestamp::default(), &shard);
    }
    assert_eq!(reassembly.counters().delivered, 1);
    drop((cutter, reassembly));

    // Places in the table of messages, each at most twice over while it grows, and the window of delivered ids.
    let fixed = 2 * 256 * limits.max_messages + 1024;
    let mut reassembly = Reassembly::new(limits);
    let before = live();
    let mut random = 1u64;
    let digest = [7; 32];
    let peak = most_live(|| {
        for step in 0..60_000u32 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            // Shards of 2 bytes, where bookkeeping weighs most, and of all lengths.
            let len = if step % 20_000 < 10_000 {
                2
            } else {
                2 + 2 * (random >> 40) as usize % 2_000
            };
            let shard = Shard {
                message: VarInt::from_u32(1 + (random >> 33) as u32 % 90),
                index: (random >> 20) as u16 % 250,
                data: 251,
                parity: 4,
                message_len: VarInt::from_u32(251),
                digest: &digest,
                bytes: &[0; 4_002][..len],
            };
            let _: Result<shards::Received, Dropped> =
                reassembly.receive(Timestamp::default(), &shard);
            assert!(reassembly.held_bytes() <= limits.max_bytes);
            let held = reassembly.held_bytes() + fixed;
            assert!(live() - before <= held as isize);
        }
    });
    assert!(reassembly.counters().evicted > 100);
    assert!(
        peak - before <= (limits.max_bytes + fixed) as isize,
        "{}",
        peak - before
    );

    // A message of the largest size on top of that, rebuilt: itself, and what the code works in.
    let len = 150_000;
    let cutter = cut(1_000, len, 60);
    let before = live() - reassembly.held_bytes() as isize;
    let peak = most_live(|| {
        for shard in cutter.shards().skip(60) {
            let _: Result<shards::Received, Dropped> =
                reassembly.receive(Timestamp::default(), &shard);
        }
    });
    assert_eq!(reassembly.counters().delivered, 1);
    let rows = usize::from(cutter.plan().data()) * cutter.plan().shard_len();
    let bound = limits.max_bytes + fixed + rows + WORK_LEN + 64 * 1024;
    assert!(
        peak - before <= bound as isize,
        "{} of {bound}",
        peak - before
    );
}

/// A message of `len` bytes, in shards for datagrams of 1200.
fn cut(id: u32, len: usize, parity: u8) -> Cutter {
    let plan = Plan::new(len, 1_200, Parity::Fixed(parity), Loss::UNKNOWN).expect("it fits");
    Cutter::new(VarInt::from_u32(id), vec![1; len].into(), plan)
}

/// The most bytes that were reserved at once while `run` ran, those from before included.
fn most_live(run: impl FnOnce()) -> isize {
    PEAK.set(live());
    run();
    PEAK.get()
}

/// Bytes that this thread has reserved and not given back; less than none if it gave back what another thread reserved.
fn live() -> isize {
    LIVE.get()
}

/// How often `run` asks for memory.
fn reservations(run: impl FnOnce()) -> usize {
    RESERVATIONS.set(0);
    run();
    RESERVATIONS.get()
}

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; the counters are plain data without a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        RESERVATIONS.set(RESERVATIONS.get() + 1);
        LIVE.set(LIVE.get() + layout.size() as isize);
        PEAK.set(PEAK.get().max(LIVE.get()));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.set(LIVE.get() - layout.size() as isize);
        // SAFETY: the pointer came from `alloc` above, that is, from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static RESERVATIONS: Cell<usize> = const { Cell::new(0) };
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}
