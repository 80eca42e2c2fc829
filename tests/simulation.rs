//! Two session machines across a bad link, on a virtual clock: streams, datagrams, messages in shards, and verified streams past
//! a relay that tampers. A failure prints its seed; run one seed with `STOQ_SEED=… cargo test -p stoq-tests --test simulation`.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "simulation/verified.rs"]
mod verified;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use stoq_core::close::Code;
use stoq_core::datagram::Datagram;
use stoq_core::frame::{Frame, Shard};
use stoq_core::hash::SessionHash;
use stoq_core::service::ServiceName;
use stoq_core::session::{OpenError, Output, Request};
use stoq_core::session_id::SessionId;
use stoq_core::shards::{Cutter, Limits, Loss, Parity, Plan};
use stoq_core::stream::{Payload, StreamHeader};
use stoq_core::varint::VarInt;
use stoq_tests::link::Conditions;
use stoq_tests::messages::Messages;
use stoq_tests::world::World;

/// Seeds of one run, shared by the tests below, which run side by side; each takes well under a millisecond.
const SEEDS: u64 = 10_000;

/// How many tests share the seeds.
const SHARES: u64 = 4;

/// One seed of so many, in each share, also has verified streams: each of their signatures takes as long as a whole seed without.
const VERIFIED: u64 = 20;

#[test]
fn sessions_agree_whatever_the_link_does_in_the_first_quarter() {
    run(0);
}

#[test]
fn sessions_agree_whatever_the_link_does_in_the_second_quarter() {
    run(1);
}

#[test]
fn sessions_agree_whatever_the_link_does_in_the_third_quarter() {
    run(2);
}

#[test]
fn sessions_agree_whatever_the_link_does_in_the_fourth_quarter() {
    run(3);
}

/// One share of the seeds; if one was named, the first share is that one and the others are empty.
fn run(share: u64) {
    let seeds = match std::env::var("STOQ_SEED") {
        Ok(seed) if share == 0 => vec![seed.parse().unwrap()],
        Ok(_) => Vec::new(),
        Err(_) => (0..SEEDS)
            .skip(share as usize)
            .step_by(SHARES as usize)
            .collect(),
    };
    for seed in seeds {
        let run = std::panic::catch_unwind(|| {
            simulate(seed);
            if seed % VERIFIED == share || std::env::var("STOQ_SEED").is_ok() {
                verified::simulate(seed);
            }
        });
        if let Err(failure) = run {
            eprintln!("seed {seed} failed; repeat it with STOQ_SEED={seed}");
            std::panic::resume_unwind(failure);
        }
    }
}

/// What the two ends did and saw.
#[derive(Default)]
struct Log {
    hashes: BTreeMap<SessionId, SessionHash>,
    /// Streams and datagrams that were sent, by session.
    streams: BTreeMap<u64, SessionId>,
    datagrams: BTreeMap<Bytes, SessionId>,
    /// Streams that an output has named: each must be named at most once.
    named: BTreeSet<u64>,
    /// Messages that each side has sent, the client first, by session and id.
    messages: [BTreeMap<(SessionId, VarInt), Sent>; 2],
    /// The codes with which either end closed a session.
    closed: BTreeSet<(SessionId, u32)>,
}

struct Sent {
    message: Bytes,
    digest: [u8; 32],
    data: usize,
    /// Whether a shard that contradicts it was sent along.
    forged: bool,
}

/// How bad the link is.
fn conditions(random: &mut fastrand::Rng) -> Conditions {
    Conditions {
        loss: random.f64() * 0.3,
        duplication: random.f64() * 0.2,
        delay: Duration::from_millis(random.u64(0..=200)),
        jitter: Duration::from_millis(random.u64(0..=800)),
    }
}

fn simulate(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed ^ 0x5354_4f51);
    let conditions = conditions(&mut random);
    // Now and then so little that messages push each other out.
    let limits = match random.u32(0..4) {
        0 => Limits {
            max_bytes: random.usize(2_000..40_000),
            max_messages: random.usize(1..6),
            ..Limits::default()
        },
        _ => Limits::default(),
    };
    let mut world = World::new(conditions, limits, seed);
    let mut log = Log::default();
    let mut asked: Vec<SessionId> = Vec::new();
    for action in 0..random.u64(5..60) {
        for _ in 0..random.u32(0..6) {
            world.step().unwrap();
        }
        match random.u32(0..12) {
            0..=2 => {
                let service = ServiceName::new("echo").unwrap();
                let request = Request::new(service, [action as u8; 32]);
                match world.client(|client, out| client.open(&request, out)) {
                    Ok(id) => asked.push(id),
                    Err(error) => assert_eq!(error, OpenError::NotOpen),
                }
            }
            3..=5 => open_stream(&mut world, &mut log, &mut random, &asked, action),
            6..=7 => send_datagram(&mut world, &mut log, &mut random, &asked, action),
            8..=10 => send_message(&mut world, &mut log, &mut random, &asked, &conditions),
            _ => close(&mut world, &mut log, &mut random, &mut asked, action),
        }
    }
    for id in asked.drain(..) {
        let now = world.now;
        world.client(|client, out| client.close(now, id, Code::NO_ERROR, "", out));
    }
    world.settle().unwrap();
    check(&mut world, &mut log);
}

/// The client opens a stream in a session that it has asked for, perhaps before the server knows of it.
fn open_stream(
    world: &mut World,
    log: &mut Log,
    random: &mut fastrand::Rng,
    asked: &[SessionId],
    stream: u64,
) {
    let session = random.choice(asked).copied().unwrap_or(SessionId::ZERO);
    let header = StreamHeader::Data {
        session,
        payload: Payload::Raw,
    };
    log.streams.insert(stream, session);
    let now = world.now;
    world.client.open_stream(now, stream, header);
}

fn send_datagram(
    world: &mut World,
    log: &mut Log,
    random: &mut fastrand::Rng,
    asked: &[SessionId],
    action: u64,
) {
    let session = random.choice(asked).copied().unwrap_or(SessionId::ZERO);
    let mut datagram = BytesMut::new();
    Datagram::header(session, &mut datagram);
    let start = Datagram::prefix_len(session);
    datagram.put_u64(action);
    datagram.put_bytes(action as u8, random.usize(0..1_000));
    let datagram = datagram.freeze();
    log.datagrams.insert(datagram.slice(start..), session);
    let now = world.now;
    world.client.send_datagram(now, datagram);
}

/// Either end sends a message in shards, now and then with a shard that contradicts it.
fn send_message(
    world: &mut World,
    log: &mut Log,
    random: &mut fastrand::Rng,
    asked: &[SessionId],
    conditions: &Conditions,
) {
    let by_server = random.bool();
    let session = match by_server {
        // The server may not know the others yet.
        true => SessionId::ZERO,
        false => random.choice(asked).copied().unwrap_or(SessionId::ZERO),
    };
    let sent = &mut log.messages[usize::from(by_server)];
    let id = VarInt::from_u32(
        sent.range((session, VarInt::from_u32(0))..=(session, VarInt::MAX))
            .count() as u32,
    );
    let len = match random.u32(0..8) {
        0 => random.usize(1..100_000),
        _ => random.usize(1..12_000),
    };
    let message: Bytes = std::iter::repeat_with(|| random.u8(..)).take(len).collect();
    let parity = match random.bool() {
        true => Parity::Auto,
        false => Parity::Fixed(random.u8(0..12)),
    };
    let loss = Loss::from_millionths((conditions.loss * 1e6) as u32);
    let plan = Plan::new(len, 1_200, parity, loss).unwrap();
    let cutter = Cutter::new(id, message.clone(), plan);
    let end = match by_server {
        true => &mut world.server,
        false => &mut world.client,
    };
    let mut send = |shard: Shard<'_>| {
        let mut datagram = BytesMut::new();
        Datagram::prefix(session, &mut datagram);
        Frame::Shard(shard).encode(&mut datagram);
        end.send_datagram(world.now, datagram.freeze());
    };
    let forged = random.u32(0..8) == 0;
    if forged {
        let first = cutter.shards().next().unwrap();
        send(Shard {
            digest: &[id.into_inner() as u8; 32],
            ..first
        });
    }
    cutter.shards().for_each(send);
    let sent_message = Sent {
        message,
        digest: *cutter.shards().next().unwrap().digest,
        data: plan.data().into(),
        forged,
    };
    sent.insert((session, id), sent_message);
}

/// Either end closes a session.
fn close(
    world: &mut World,
    log: &mut Log,
    random: &mut fastrand::Rng,
    asked: &mut Vec<SessionId>,
    action: u64,
) {
    if asked.is_empty() {
        return;
    }
    let id = asked[random.usize(0..asked.len())];
    let (now, code) = (world.now, Code::new(action as u32));
    log.closed.insert((id, code.value()));
    if random.bool() {
        world.client(|client, out| client.close(now, id, code, "by the client", out));
        asked.retain(|other| *other != id);
    } else {
        // The server may not have heard of it yet; then this does nothing.
        world.server(|server, out| server.close(now, id, code, "by the server", out));
    }
}

fn check(world: &mut World, log: &mut Log) {
    for output in world.client.saw.drain(..) {
        match output {
            Output::Opened { id, hash, .. } => assert_eq!(log.hashes.insert(id, hash), None),
            Output::Closed { id, code, .. } => assert!(log.closed.contains(&(id, code.value()))),
            other => panic!("the client saw {other:?}"),
        }
    }
    for output in world.server.saw.drain(..) {
        match output {
            // The client may have closed before it heard of the opening, so not every hash is known.
            Output::Opened { id, hash, .. } => {
                assert!(
                    log.hashes.get(&id).is_none_or(|theirs| *theirs == hash),
                    "{id}"
                );
            }
            Output::Stream {
                stream, session, ..
            } => {
                assert_eq!(log.streams[&stream], session);
                assert!(log.named.insert(stream), "stream {stream} delivered twice");
            }
            Output::RejectStream { stream, code } => {
                assert!(log.named.insert(stream), "stream {stream} named twice");
                let expected = [Code::SESSION_CLOSED, Code::HELD_TOO_LONG, Code::LIMIT];
                assert!(expected.contains(&code), "{code}");
            }
            Output::Datagram { session, content } => assert_eq!(log.datagrams[&content], session),
            Output::Closed { id, code, .. } => {
                assert!(code == Code::NO_ERROR || log.closed.contains(&(id, code.value())));
            }
            other => panic!("the server saw {other:?}"),
        }
    }
    assert_eq!(log.named.len(), log.streams.len(), "a stream was forgotten");
    check_messages(&world.server.messages, &log.messages[0]);
    check_messages(&world.client.messages, &log.messages[1]);
    assert_eq!(
        (
            world.client.session.session_count(),
            world.server.session.session_count()
        ),
        (0, 0)
    );
    assert!(world.client.session.is_open() && world.server.session.is_open());
    assert_eq!(world.client.session.next_due(), None);
}

/// What was delivered is what was sent, once; and all was delivered of which enough arrived, unless it had to give way.
fn check_messages(received: &Messages, sent: &BTreeMap<(SessionId, VarInt), Sent>) {
    let mut delivered = BTreeSet::new();
    for (session, message) in received.whole() {
        let key = (*session, message.id);
        assert!(
            message.bytes == sent[&key].message,
            "{key:?} is another message"
        );
        assert!(delivered.insert(key), "{key:?} was delivered twice");
    }
    // A forged shard that is a whole message shows at once, twice if the link doubles it; others never become whole.
    let mut forged_in_one = BTreeMap::new();
    for ((session, _), sent) in sent {
        *forged_in_one.entry(*session).or_default() += 2 * u64::from(sent.forged && sent.data == 1);
    }
    for (&(session, id), sent) in sent {
        let counters = received.counters(session);
        let whole = delivered.contains(&(session, id));
        if received.arrived(session, id, &sent.digest) < sent.data {
            assert!(!whole);
        } else if (counters.evicted, counters.too_large) == (0, 0) {
            assert!(whole, "{id} of session {session} had all it needs");
        }
        let forged = forged_in_one.get(&session).copied().unwrap_or_default();
        assert!(counters.mismatched <= forged);
        assert_eq!(counters.malformed, 0);
    }
    assert_eq!(received.held(), (0, 0), "something was held for ever");
}
