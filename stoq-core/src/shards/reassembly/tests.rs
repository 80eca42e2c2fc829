use alloc::vec::Vec;

use super::{delivered::WINDOW, *};
use crate::shards::{Cutter, Loss, Parity, Plan};

const NOW: Timestamp = Timestamp::from_micros(1_000_000);

fn id(value: u64) -> VarInt {
    VarInt::new(value).unwrap()
}

fn text(message: u64, len: usize) -> Bytes {
    (0..len)
        .map(|at| (at * 7 + at / 256) as u8 ^ message as u8)
        .collect()
}

/// [`text`] in shards of at most `shard` bytes.
fn cut(message: u64, len: usize, shard: usize, parity: u8) -> Cutter {
    let room = Plan::OVERHEAD + shard;
    let plan = Plan::new(len, room, Parity::Fixed(parity), Loss::UNKNOWN).unwrap();
    Cutter::new(id(message), text(message, len), plan)
}

fn small() -> Reassembly {
    Reassembly::new(Limits::default())
}

/// Feeds shards until the message is whole.
fn feed<'a>(
    reassembly: &mut Reassembly,
    shards: impl IntoIterator<Item = Shard<'a>>,
) -> Option<Message> {
    for shard in shards {
        match reassembly.receive(NOW, &shard) {
            Ok(Received::Held) => {}
            Ok(Received::Message(message)) => return Some(message),
            Err(dropped) => panic!("{dropped}"),
        }
    }
    None
}

#[test]
fn any_data_shards_rebuild_the_message() {
    for skip in 0..5 {
        let cutter = cut(1, 4_999, 1_000, 4);
        let mut shards: Vec<_> = cutter.shards().collect();
        shards.rotate_left(skip);
        let whole = feed(&mut small(), shards).expect("five of nine are enough");
        assert_eq!((whole.id, whole.bytes), (id(1), text(1, 4_999)));
    }
}

#[test]
fn nothing_is_delivered_twice() {
    let mut reassembly = small();
    let cutter = cut(7, 3_000, 1_000, 2);
    assert!(feed(&mut reassembly, cutter.shards().take(3)).is_some());
    for shard in cutter.shards() {
        let late = Dropped::Late { message: id(7) };
        assert_eq!(reassembly.receive(NOW, &shard), Err(late));
    }
    assert_eq!(
        (reassembly.counters().delivered, reassembly.counters().late),
        (1, 5)
    );
    assert_eq!(reassembly.held_bytes(), 0);
}

#[test]
fn ids_behind_the_window_count_as_delivered() {
    let mut reassembly = small();
    assert!(feed(&mut reassembly, cut(WINDOW, 5, 100, 0).shards()).is_some());
    let old = cut(0, 5, 100, 0);
    let shard = old.shards().next().unwrap();
    assert_eq!(
        reassembly.receive(NOW, &shard),
        Err(Dropped::Late { message: id(0) })
    );
    assert!(feed(&mut reassembly, cut(1, 5, 100, 0).shards()).is_some());
}

#[test]
fn a_shard_that_comes_again_is_counted() {
    let mut reassembly = small();
    let cutter = cut(7, 3_000, 1_000, 2);
    let shard = cutter.shards().nth(1).unwrap();
    assert_eq!(reassembly.receive(NOW, &shard), Ok(Received::Held));
    let again = Dropped::Duplicate {
        message: id(7),
        index: 1,
    };
    assert_eq!(reassembly.receive(NOW, &shard), Err(again));
    assert_eq!(reassembly.counters().duplicate, 1);
    assert!(feed(&mut reassembly, cutter.shards().skip(2)).is_some());
}

#[test]
fn wrong_shards_that_come_first_do_not_keep_the_message_away() {
    let cutter = cut(7, 3_000, 1_000, 2);
    let right: Vec<_> = cutter.shards().collect();
    let contradictions = [
        Shard {
            digest: &[1; 32],
            ..right[0]
        },
        Shard {
            parity: 3,
            ..right[0]
        },
        Shard {
            data: 2,
            parity: 1,
            message_len: id(1_500),
            ..right[0]
        },
    ];
    let mut reassembly = small();
    assert_eq!(feed(&mut reassembly, contradictions), None);
    assert_eq!(reassembly.counters().contradicting, 2);
    let message = feed(&mut reassembly, right.clone()).expect("it is whole");
    assert_eq!(message.bytes, text(7, 3_000));
    // The other versions went with it.
    assert_eq!(
        (reassembly.held_messages(), reassembly.held_bytes()),
        (0, 0)
    );
    assert_eq!(reassembly.counters().contradicting, 3);
}

#[test]
fn a_fifth_version_of_a_message_is_refused() {
    let cutter = cut(7, 3_000, 1_000, 2);
    let right: Vec<_> = cutter.shards().collect();
    let mut reassembly = small();
    assert_eq!(feed(&mut reassembly, right[..2].to_vec()), None);
    for wrong in 0..6 {
        let digest = [wrong; 32];
        let shard = Shard {
            digest: &digest,
            ..right[0]
        };
        let answer = reassembly.receive(NOW, &shard);
        let expected = match wrong {
            0..=2 => Ok(Received::Held),
            _ => Err(Dropped::Contradiction { message: id(7) }),
        };
        assert_eq!(answer, expected);
    }
    assert_eq!(reassembly.counters().contradicting, 6);
    assert!(feed(&mut reassembly, right[2..].to_vec()).is_some());
}

#[test]
fn a_message_with_another_digest_is_not_delivered_but_may_begin_again() {
    let mut reassembly = small();
    let cutter = cut(7, 3_000, 1_000, 2);
    let right: Vec<_> = cutter.shards().collect();
    let altered = [9; 1_000];
    assert_eq!(
        feed(
            &mut reassembly,
            [
                Shard {
                    bytes: &altered,
                    ..right[1]
                },
                right[4]
            ]
        ),
        None
    );
    let mismatch = Dropped::Mismatch { message: id(7) };
    assert_eq!(reassembly.receive(NOW, &right[0]), Err(mismatch));
    assert_eq!(reassembly.counters().mismatched, 1);
    assert_eq!(reassembly.held_bytes(), 0);
    assert!(feed(&mut reassembly, right).is_some());
}

#[test]
fn what_does_not_become_whole_in_time_is_dropped() {
    let mut reassembly = small();
    assert_eq!(reassembly.next_due(), None);
    let cutter = cut(7, 3_000, 1_000, 2);
    assert_eq!(feed(&mut reassembly, cutter.shards().take(2)), None);
    let due = NOW + Duration::from_secs(5);
    assert_eq!(reassembly.next_due(), Some(due));
    reassembly.expire(Timestamp::from_micros(due.as_micros() - 1));
    assert_eq!(reassembly.held_messages(), 1);
    let shard = cutter.shards().nth(2).unwrap();
    assert_eq!(reassembly.receive(due, &shard), Ok(Received::Held));
    assert_eq!(reassembly.counters().expired, 1);
    assert_eq!(reassembly.next_due(), Some(due + Duration::from_secs(5)));
}

#[test]
fn the_oldest_gives_way_when_there_are_too_many() {
    let mut reassembly = Reassembly::new(Limits {
        max_messages: 3,
        ..Limits::default()
    });
    let cutters: Vec<_> = (0..5)
        .map(|message| cut(message, 2_000, 1_000, 0))
        .collect();
    for cutter in &cutters {
        assert_eq!(feed(&mut reassembly, cutter.shards().take(1)), None);
    }
    assert_eq!(
        (reassembly.held_messages(), reassembly.counters().evicted),
        (3, 2)
    );
    for cutter in &cutters[2..] {
        assert!(feed(&mut reassembly, cutter.shards().skip(1)).is_some());
    }
}

#[test]
fn the_oldest_gives_way_when_there_are_too_many_bytes() {
    let limits = Limits {
        max_bytes: 8_000,
        ..Limits::default()
    };
    let mut reassembly = Reassembly::new(limits);
    let cutters: Vec<_> = (0..3)
        .map(|message| cut(message, 3_000, 1_000, 0))
        .collect();
    for cutter in &cutters {
        assert_eq!(feed(&mut reassembly, cutter.shards().take(2)), None);
        assert!(reassembly.held_bytes() <= 8_000);
    }
    // 256 + 2 × 1064 each: three are 7152, and a third shard completes what it belongs to.
    assert_eq!(
        (reassembly.held_bytes(), reassembly.counters().evicted),
        (7_152, 0)
    );
    let next = cut(3, 5_000, 1_000, 0);
    assert_eq!(feed(&mut reassembly, next.shards().take(1)), None);
    assert_eq!(
        (reassembly.held_messages(), reassembly.counters().evicted),
        (3, 1)
    );
    assert!(feed(&mut reassembly, cutters[2].shards().skip(2)).is_some());
}

#[test]
fn a_message_that_is_the_oldest_gives_way_itself() {
    let limits = Limits {
        max_bytes: 4_700,
        ..Limits::default()
    };
    let mut reassembly = Reassembly::new(limits);
    let (old, young) = (cut(0, 4_000, 1_000, 0), cut(1, 4_000, 1_000, 0));
    assert_eq!(feed(&mut reassembly, old.shards().take(2)), None);
    assert_eq!(feed(&mut reassembly, young.shards().take(1)), None);
    let evicted = Dropped::Evicted { message: id(0) };
    assert_eq!(
        reassembly.receive(NOW, &old.shards().nth(2).unwrap()),
        Err(evicted)
    );
    assert_eq!(reassembly.counters().evicted, 1);
    assert!(feed(&mut reassembly, young.shards().skip(1)).is_some());
}

#[test]
fn announced_lengths_reserve_nothing_and_impossible_ones_are_refused() {
    let limits = Limits {
        max_bytes: 4_000,
        ..Limits::default()
    };
    let mut reassembly = Reassembly::new(limits);
    let cutter = cut(0, 4_000, 1_000, 0);
    let too_large = Dropped::TooLarge {
        message: id(0),
        limit: 4_000,
        got: 4_512,
    };
    let first = cutter.shards().next().unwrap();
    assert_eq!(reassembly.receive(NOW, &first), Err(too_large));
    assert_eq!(
        (reassembly.counters().too_large, reassembly.held_bytes()),
        (1, 0)
    );
}

#[test]
fn values_that_no_decoder_gives_are_refused() {
    let cutter = cut(0, 4_000, 1_000, 0);
    let first = cutter.shards().next().unwrap();
    let malformed = [
        Shard { data: 0, ..first },
        Shard {
            data: 255,
            parity: 255,
            ..first
        },
        Shard { index: 4, ..first },
        Shard {
            parity: 25,
            ..first
        },
        Shard {
            bytes: &[],
            ..first
        },
        Shard {
            bytes: &[1],
            ..first
        },
        Shard {
            message_len: id(4_001),
            ..first
        },
        Shard {
            message_len: VarInt::MAX,
            ..first
        },
    ];
    let mut reassembly = small();
    for shard in malformed {
        assert_eq!(reassembly.receive(NOW, &shard), Err(Dropped::Malformed));
    }
    assert_eq!(reassembly.counters().malformed, 8);
}

#[test]
fn a_limit_of_no_messages_means_one() {
    let mut reassembly = Reassembly::new(Limits {
        max_messages: 0,
        ..Limits::default()
    });
    let cutters = [cut(0, 2_000, 1_000, 0), cut(1, 2_000, 1_000, 0)];
    for cutter in &cutters {
        assert_eq!(feed(&mut reassembly, cutter.shards().take(1)), None);
    }
    assert_eq!(reassembly.held_messages(), 1);
    assert!(feed(&mut reassembly, cutters[1].shards().skip(1)).is_some());
    assert_eq!(
        reassembly.counters(),
        Counters {
            delivered: 1,
            evicted: 1,
            ..Counters::default()
        }
    );
}
