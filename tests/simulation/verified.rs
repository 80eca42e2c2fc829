//! Verified streams from an origin to a client, past a relay that leaves them alone or tampers with them.

use std::sync::LazyLock;

use stoq_core::SessionHash;
use stoq_core::channel::{ChannelId, Delivery};
use stoq_core::session::Output;
use stoq_core::session_id::SessionId;
use stoq_core::shards::Limits;
use stoq_core::stream::{Direction, Payload, StreamHeader};
use stoq_core::token::{Flow, Scope};
use stoq_native::FalconKey;
use stoq_tests::channels::Incoming;
use stoq_tests::tampering::{Tampering, channel, tamper};
use stoq_tests::world::World;

/// The origin's key, new in each run of the tests: nothing that they do follows from which it is.
static ORIGIN: LazyLock<FalconKey> = LazyLock::new(FalconKey::generate);

/// A stream as the origin made it.
struct Made {
    scope: Scope,
    data: Vec<Vec<u8>>,
    frames: Vec<Vec<u8>>,
}

/// Two streams at once, at one of which the relay does what it can.
pub(crate) fn simulate(seed: u64) {
    let mut random = fastrand::Rng::with_seed(!seed);
    let conditions = super::conditions(&mut random);
    let mut world = World::new(conditions, Limits::default(), seed);
    let session = loop {
        assert!(world.step().unwrap(), "it never opened");
        if let Some(hash) = opened(&world) {
            break hash;
        }
    };
    let made = [0, 1].map(|stream| made(&mut random, session, stream));
    let mut passed = [made[0].frames.clone(), made[1].frames.clone()];
    // The kinds of streams are what the relay says that they are.
    let is_swapped = random.u32(0..10) == 0;
    let tampering = match is_swapped {
        true => Tampering::Harmful,
        false => {
            let [first, second] = &made;
            tamper(&mut random, &mut passed[0], &second.frames, first.scope)
        }
    };
    let deliveries = [Delivery::Pending, Delivery::Verified];
    for (stream, frames) in (0..).zip(&passed) {
        let mut scope = made[stream as usize].scope;
        if is_swapped && stream == 0 {
            scope.kind = other(scope.kind);
        }
        let delivery = deliveries[random.usize(0..deliveries.len())];
        let client = &mut world.client;
        client.channels.expect(stream, scope, ORIGIN.id(), delivery);
        let header = StreamHeader::Data {
            session: SessionId::ZERO,
            payload: Payload::Framed,
        };
        let now = world.now;
        world.server.open_stream(now, stream, header);
        let bytes = frames.concat().into();
        world.server.send_stream(now, stream, bytes);
    }
    world.settle().unwrap();
    for (stream, (made, tampering)) in (0..).zip(made.iter().zip([tampering, Tampering::None])) {
        let Some(incoming) = world.client.channels.get(stream) else {
            let rejected = |output: &Output| matches!(output, Output::RejectStream { stream: it, .. } if *it == stream);
            assert!(
                world.client.saw.iter().any(rejected),
                "{stream} was forgotten"
            );
            continue;
        };
        check(incoming, &made.data, tampering);
    }
}

/// The hash of session 0, once both ends know it.
fn opened(world: &World) -> Option<SessionHash> {
    let hash = |saw: &std::collections::VecDeque<Output>| {
        saw.iter().find_map(|output| match output {
            Output::Opened { hash, .. } => Some(*hash),
            _ => None,
        })
    };
    let (here, there) = (hash(&world.client.saw)?, hash(&world.server.saw)?);
    assert_eq!(here, there);
    Some(here)
}

fn made(random: &mut fastrand::Rng, session: SessionHash, stream: u8) -> Made {
    let kinds = [Direction::Unidirectional, Direction::Bidirectional];
    let scope = Scope {
        session,
        flow: Flow::ToClient,
        kind: kinds[random.usize(0..kinds.len())],
        channel: ChannelId::new([stream + 1; ChannelId::LEN]),
    };
    let mut number = 0;
    let runs: Vec<Vec<Vec<u8>>> = (0..random.u32(1..3))
        .map(|_| {
            let data = || {
                number += 1;
                // No two are alike.
                let mut data = vec![stream, number];
                data.resize_with(random.usize(2..600), || random.u8(..));
                data
            };
            std::iter::repeat_with(data).take(3).collect()
        })
        .collect();
    let frames = channel(scope, &ORIGIN, &runs);
    Made {
        scope,
        data: runs.concat(),
        frames,
    }
}

const fn other(kind: Direction) -> Direction {
    match kind {
        Direction::Bidirectional => Direction::Unidirectional,
        Direction::Unidirectional => Direction::Bidirectional,
    }
}

/// What was reported as verified is what was sent, in order; and nothing but all of it ends well.
fn check(incoming: &Incoming, sent: &[Vec<u8>], tampering: Tampering) {
    let verified = incoming.verified();
    assert!(sent.starts_with(verified), "other data is verified");
    let end = incoming.ended().expect("the stream has ended");
    assert!(end.is_err() || incoming.is_final(), "an end without a word");
    assert!(
        end.is_err() || verified == sent,
        "an end before all has come"
    );
    match tampering {
        Tampering::None => assert_eq!(end, Ok(())),
        Tampering::Harmless => {}
        Tampering::Harmful => assert!(end.is_err(), "it was not found out"),
    }
}
