//! Two session machines across a bad link, on a virtual clock. A failure prints its seed; run one seed with
//! `STOQ_SEED=… cargo test -p stoq-tests --test simulation`.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use stoq_core::close::Code;
use stoq_core::datagram::Datagram;
use stoq_core::hash::SessionHash;
use stoq_core::service::ServiceName;
use stoq_core::session::{OpenError, Output, Request};
use stoq_core::session_id::SessionId;
use stoq_core::stream::{Payload, StreamHeader};
use stoq_tests::link::Conditions;
use stoq_tests::world::World;

/// Seeds of one run; each takes well under a millisecond.
const SEEDS: u64 = 10_000;

#[test]
fn sessions_agree_whatever_the_link_does() {
    let seeds = match std::env::var("STOQ_SEED") {
        Ok(seed) => seed.parse::<u64>().unwrap()..=seed.parse().unwrap(),
        Err(_) => 0..=SEEDS,
    };
    for seed in seeds {
        let run = std::panic::catch_unwind(|| simulate(seed));
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
    /// The codes with which either end closed a session.
    closed: BTreeSet<(SessionId, u32)>,
}

fn simulate(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed ^ 0x5354_4f51);
    let conditions = Conditions {
        loss: random.f64() * 0.3,
        duplication: random.f64() * 0.2,
        delay: Duration::from_millis(random.u64(0..=200)),
        jitter: Duration::from_millis(random.u64(0..=800)),
    };
    let mut world = World::new(conditions, seed);
    let mut log = Log::default();
    let mut asked: Vec<SessionId> = Vec::new();
    for action in 0..random.u64(5..60) {
        for _ in 0..random.u32(0..6) {
            world.step().unwrap();
        }
        match random.u32(0..10) {
            0..=2 => {
                let service = ServiceName::new("echo").unwrap();
                let request = Request::new(service, [action as u8; 32]);
                match world.client(|client, out| client.open(&request, out)) {
                    Ok(id) => asked.push(id),
                    Err(error) => assert_eq!(error, OpenError::NotOpen),
                }
            }
            3..=5 => open_stream(&mut world, &mut log, &mut random, &asked, action),
            6..=8 => send_datagram(&mut world, &mut log, &mut random, &asked, action),
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
