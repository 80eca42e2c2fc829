use alloc::vec;
use alloc::vec::Vec;
use core::net::Ipv6Addr;

use super::*;
use crate::frame::SeedPriority;
use crate::identity::FalconId;

const MINUTE: u64 = 60_000_000;

fn at(micros: u64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn seed(content: u8, nodes: u16) -> Seed {
    let node = |at: u16| SeedNode {
        id: FalconId::new([content; 32]),
        address: Ipv6Addr::LOCALHOST,
        port: 1 + at,
        reliability: 90,
    };
    Seed {
        content: [content; 32],
        replication: 2,
        priority: SeedPriority::Normal,
        nodes: (0..nodes).map(node).collect(),
    }
}

fn events(book: &mut SeedBook) -> Vec<SeedEvent> {
    core::iter::from_fn(|| book.next_event()).collect()
}

#[test]
fn a_content_is_announced_changed_and_expires() {
    let mut book = SeedBook::new(Limits::default());
    book.take(at(0), seed(1, 1)).unwrap();
    assert_eq!(events(&mut book), [SeedEvent::Announced(seed(1, 1))]);
    // The same again says nothing new, but it holds for longer.
    book.take(at(MINUTE), seed(1, 1)).unwrap();
    assert_eq!(events(&mut book), []);
    book.take(at(2 * MINUTE), seed(1, 2)).unwrap();
    assert_eq!(events(&mut book), [SeedEvent::Changed(seed(1, 2))]);
    assert_eq!(book.next_due(), Some(at(12 * MINUTE)));
    book.tick(at(12 * MINUTE - 1));
    assert_eq!(events(&mut book), []);
    book.tick(at(12 * MINUTE));
    assert_eq!(events(&mut book), [SeedEvent::Expired([1; 32])]);
    assert_eq!((book.next_due(), book.len(), book.memory()), (None, 0, 0));
    let counted = book.counters();
    assert_eq!((counted.received, counted.announced), (3, 1));
    assert_eq!(
        (counted.changed, counted.expired, counted.dropped),
        (1, 1, 0)
    );
}

#[test]
fn the_one_announced_longest_ago_makes_room() {
    let limits = Limits {
        contents: 2,
        ..Limits::default()
    };
    let mut book = SeedBook::new(limits);
    for content in [1, 2] {
        book.take(at(0), seed(content, 0)).unwrap();
    }
    events(&mut book);
    // Said again, 1 is younger than 2.
    book.take(at(1), seed(1, 0)).unwrap();
    book.take(at(2), seed(3, 0)).unwrap();
    let told = [
        SeedEvent::Dropped([2; 32]),
        SeedEvent::Announced(seed(3, 0)),
    ];
    assert_eq!(events(&mut book), told);
    assert!(book.get(&[1; 32]).is_some());
}

#[test]
fn memory_is_bounded_too() {
    let limits = Limits {
        memory: 2 * weight(&seed(0, 10)),
        ..Limits::default()
    };
    let mut book = SeedBook::new(limits);
    for content in [1, 2] {
        book.take(at(0), seed(content, 10)).unwrap();
    }
    assert_eq!(book.memory(), limits.memory);
    events(&mut book);
    book.take(at(0), seed(3, 11)).unwrap();
    let gone = [1, 2].map(|content| SeedEvent::Dropped([content; 32]));
    assert_eq!(events(&mut book)[..2], gone);
    // What can never fit is dropped itself, and what was known of it with it.
    book.take(at(0), seed(3, 200)).unwrap();
    assert_eq!(events(&mut book), [SeedEvent::Dropped([3; 32])]);
    assert_eq!((book.len(), book.memory()), (0, 0));
    assert_eq!(book.counters().dropped, 3);
}

#[test]
fn what_comes_and_goes_unasked_is_not_told() {
    let limits = Limits {
        contents: 1,
        ..Limits::default()
    };
    let mut book = SeedBook::new(limits);
    for content in 1..=100 {
        book.take(at(0), seed(content, 1)).unwrap();
    }
    book.take(at(0), seed(100, 3)).unwrap();
    assert_eq!(events(&mut book), [SeedEvent::Announced(seed(100, 3))]);
    assert_eq!(book.counters().dropped, 99);
}

#[test]
fn a_content_may_come_back() {
    let mut book = SeedBook::new(Limits::default());
    book.take(at(0), seed(1, 1)).unwrap();
    events(&mut book);
    book.take(at(11 * MINUTE), seed(1, 1)).unwrap();
    let told = [
        SeedEvent::Expired([1; 32]),
        SeedEvent::Announced(seed(1, 1)),
    ];
    assert_eq!(events(&mut book), told);
}

#[test]
fn no_more_frames_than_the_rate() {
    let mut book = SeedBook::new(Limits::default());
    for _ in 0..512 {
        book.take(at(0), seed(1, 1)).unwrap();
    }
    let flood = SeedFlood { limit: 64 };
    assert_eq!(book.take(at(0), seed(2, 1)), Err(flood));
    assert_eq!(flood.code(), Code::CONTROL_FLOOD);
    assert_eq!(book.get(&[2; 32]), None);
    // 64 a second is one in 15,625 µs.
    book.take(at(15_625), seed(2, 1)).unwrap();
    assert_eq!(book.take(at(31_249), seed(2, 1)), Err(flood));
}

#[test]
fn a_book_may_keep_nothing() {
    let limits = Limits {
        contents: 0,
        ..Limits::default()
    };
    let mut book = SeedBook::new(limits);
    book.take(at(0), seed(1, 1)).unwrap();
    assert_eq!((events(&mut book), book.len()), (vec![], 0));
    let limits = Limits {
        lifetime: Duration::ZERO,
        ..Limits::default()
    };
    let mut book = SeedBook::new(limits);
    book.take(at(0), seed(1, 1)).unwrap();
    book.tick(at(0));
    assert_eq!((events(&mut book), book.len()), (vec![], 0));
}
