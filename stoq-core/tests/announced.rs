//! What a peer announces takes no more memory than its bounds say, as the allocator counts it.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    net::Ipv6Addr,
    time::Duration,
};

use stoq_core::{
    FalconId, Frame,
    announce::{Announcements, MAX_SIGNATURE_BYTES},
    frame::{Seed, SeedNode, SeedPriority, TokenRun},
    seeds::Limits,
    time::Timestamp,
    varint::VarInt,
};

#[test]
fn a_book_of_seeds_holds_no_more_than_its_bound() {
    for nodes in [0, 1, 60, Seed::MAX_NODES as u32] {
        let limits = Limits {
            contents: 4096,
            memory: 256 * 1024,
            burst: u32::MAX,
            ..Limits::default()
        };
        let mut random = 1;
        let mut peak = 0;
        let frames: Vec<_> = (0..1600)
            .map(|at| encode(&Frame::Seed(seed(&mut random, at % 700, nodes))))
            .collect();
        let before = live();
        let mut announced = Announcements::new(limits);
        let mut now = Timestamp::default();
        for (at, frame) in frames.iter().enumerate() {
            now = now + Duration::from_secs(1);
            announced.feed(now, frame).expect("within the rate");
            // Half of the time nobody asks.
            if at % 1000 < 500 {
                while announced.seeds().next_event().is_some() {}
            }
            peak = peak.max(live() - before);
        }
        assert!(announced.seeds().counters().dropped > 500);
        assert!(peak <= limits.memory + PARTIAL, "{peak} with {nodes} nodes");
        drop(announced);
        assert_eq!(live(), before);
    }
}

#[test]
fn signatures_that_nobody_takes_are_bounded_too() {
    for tokens in [1, 40, TokenRun::MAX_TOKENS as u32] {
        let mut entries = Vec::new();
        for sequence in 0..tokens {
            TokenRun::put(VarInt::from_u32(sequence), &[7; 32], &mut entries);
        }
        let run = TokenRun::new(&entries).expect("in ascending order");
        let frame = encode(&Frame::TokenRun(run));
        let before = live();
        let mut announced = Announcements::new(Limits::default());
        let mut now = Timestamp::default();
        while announced.signatures_dropped() < 100 {
            now = now + Duration::from_secs(1);
            announced.feed(now, &frame).expect("within the rate");
            assert!(live() - before <= MAX_SIGNATURE_BYTES + PARTIAL, "{tokens}");
        }
    }
}

fn encode(frame: &Frame<'_>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(frame.encoded_len());
    frame.encode(&mut bytes);
    bytes
}

/// A seed of some content, with up to so many nodes.
fn seed(random: &mut u64, content: u32, nodes: u32) -> Seed {
    *random = random
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1);
    let most = (*random >> 33) as u32 % (nodes + 1);
    let mut id = [0; 32];
    // Spread over the tree.
    id[..4].copy_from_slice(&content.wrapping_mul(2_654_435_761).to_be_bytes());
    let node = |at: u32| SeedNode {
        id: FalconId::new(id),
        address: Ipv6Addr::LOCALHOST,
        port: 1 + at as u16,
        reliability: 50,
    };
    Seed {
        content: id,
        replication: 1,
        priority: SeedPriority::High,
        nodes: (0..most).map(node).collect(),
    }
}

/// Bytes that this thread has reserved and not given back.
fn live() -> usize {
    LIVE.get()
}

/// A frame that is being read: its bytes, and itself.
const PARTIAL: usize = 64 * 1024;

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; the counter is plain data without a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.set(LIVE.get().wrapping_add(layout.size()));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.set(LIVE.get().wrapping_sub(layout.size()));
        // SAFETY: the pointer came from `alloc` above, that is, from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static LIVE: Cell<usize> = const { Cell::new(0) };
}
