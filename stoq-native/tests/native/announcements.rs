//! Seeds, announced from peer to peer: told as events, in their order, within bounds, whatever the peer does.

use std::net::Ipv6Addr;
use std::time::Duration;

use stoq_core::frame::{Frame, FrameType};
use stoq_core::reader::Fault;
use stoq_core::session_id::SessionId;
use stoq_core::stream::{Direction, Payload, StreamHeader};
use stoq_core::varint::VarInt;
use stoq_native::{
    AnnounceError, AnnouncementsError, ClosedBy, Code, DecodeError, FalconId, Seed, SeedEvent,
    SeedNode, SeedPriority, SendSeedError, Session,
};

use crate::harness::{Peers, until, waits, within};
use crate::hostile::{Bare, encode};

/// Peers that take framed streams.
fn peers() -> Peers {
    Peers::with(|server, client| {
        server.framed_streams = true;
        client.framed_streams = true;
    })
}

/// Peers that remember seeds for so long.
fn forgetful(lifetime: Duration) -> Peers {
    Peers::with(|server, client| {
        server.framed_streams = true;
        server.transport.limits.seeds.lifetime = lifetime;
        client.framed_streams = true;
    })
}

fn seed(content: u8, nodes: u16) -> Seed {
    let node = |at: u16| SeedNode {
        id: FalconId::new([at as u8; 32]),
        address: Ipv6Addr::LOCALHOST,
        port: 4433 + at,
        reliability: 100,
    };
    Seed {
        content: [content; 32],
        replication: 3,
        priority: SeedPriority::High,
        nodes: (0..nodes).map(node).collect(),
    }
}

async fn told(session: &Session, expected: SeedEvent) {
    assert_eq!(session.next_seed_event().await, Ok(expected));
}

/// Seeds go both ways at once, in their order.
async fn announce_both_ways(client: &Session, server: &Session) {
    for (from, to) in [(client, server), (server, client)] {
        from.send_seed(&seed(1, 1)).await.unwrap();
        from.send_seed(&seed(2, Seed::MAX_NODES as u16))
            .await
            .unwrap();
        told(to, SeedEvent::Announced(seed(1, 1))).await;
        told(to, SeedEvent::Announced(seed(2, Seed::MAX_NODES as u16))).await;
        from.send_seed(&seed(1, 1)).await.unwrap();
        from.send_seed(&seed(1, 2)).await.unwrap();
        told(to, SeedEvent::Changed(seed(1, 2))).await;
        assert_eq!(to.seed(&[1; 32]), Some(seed(1, 2)));
        assert_eq!(to.seed(&[9; 32]), None);
        let counted = to.stats().seeds;
        assert_eq!((counted.received, counted.announced), (4, 2));
    }
    assert_eq!(client.stats().opened_streams, 0, "they are not the user's");
    assert_eq!(client.stats().accepted_streams, 0);
}

#[tokio::test]
async fn seeds_go_both_ways_in_their_order() {
    within(async {
        let peers = peers();
        let (client, server) = peers.session().await;
        announce_both_ways(&client, &server).await;
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn each_multiplexed_session_announces_for_itself() {
    within(async {
        let peers = peers();
        let connection = peers.connection().await;
        let (client, server) = peers.multiplexed(&connection).await;
        let (other, other_server) = peers.multiplexed(&connection).await;
        announce_both_ways(&client, &server).await;
        assert!(waits(other_server.next_seed_event()).await);
        announce_both_ways(&other, &other_server).await;
        assert_eq!(connection.stats().refused_announcements, 0);
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn more_seeds_than_the_peer_takes_at_once_are_sent_slower() {
    within(async {
        let peers = Peers::with(|server, client| {
            server.framed_streams = true;
            // A little more than what is sent at once.
            server.transport.limits.seeds.burst = 260;
            server.transport.limits.seeds.contents = 1000;
            client.framed_streams = true;
        });
        let (client, server) = peers.session().await;
        let count = 300u16;
        let numbered = |number: u16| {
            let mut seed = seed(0, 1);
            seed.content[..2].copy_from_slice(&number.to_be_bytes());
            seed
        };
        let send = async {
            for number in 0..count {
                client.send_seed(&numbered(number)).await.unwrap();
            }
        };
        let receive = async {
            for number in 0..count {
                told(&server, SeedEvent::Announced(numbered(number))).await;
            }
        };
        tokio::join!(send, receive);
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn seeds_expire_for_who_waits() {
    within(async {
        let peers = forgetful(Duration::from_millis(50));
        let (client, server) = peers.session().await;
        client.send_seed(&seed(1, 1)).await.unwrap();
        told(&server, SeedEvent::Announced(seed(1, 1))).await;
        told(&server, SeedEvent::Expired([1; 32])).await;
        assert_eq!(server.seed(&[1; 32]), None);
        client.send_seed(&seed(1, 1)).await.unwrap();
        told(&server, SeedEvent::Announced(seed(1, 1))).await;
        assert_eq!(server.stats().seeds.expired, 1);
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn what_breaks_a_rule_is_not_sent() {
    within(async {
        let peers = peers();
        let (client, server) = peers.session().await;
        let invalid = |change: fn(&mut Seed), field| {
            let mut seed = seed(1, 2);
            change(&mut seed);
            let client = &client;
            async move {
                let error = client.send_seed(&seed).await.unwrap_err();
                assert_eq!(error.code(), Code::INVALID_ARGUMENT);
                assert!(matches!(error, SendSeedError::Invalid(_)), "{error}");
                assert!(error.to_string().contains(field), "{error}");
            }
        };
        invalid(|seed| seed.nodes[0].reliability = 101, "reliability").await;
        invalid(|seed| seed.nodes[1].port = 0, "port").await;
        invalid(|seed| seed.nodes[1] = seed.nodes[0], "node 1").await;
        invalid(
            |seed| seed.nodes = vec![seed.nodes[0]; 256],
            "more than 13039",
        )
        .await;
        client.send_seed(&seed(1, 2)).await.unwrap();
        told(&server, SeedEvent::Announced(seed(1, 2))).await;
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn who_takes_no_announcements_says_so() {
    within(async {
        let peers = Peers::with(|_, client| client.framed_streams = true);
        let (client, server) = peers.session().await;
        let not_taken = AnnouncementsError::NotTaken;
        assert_eq!(server.next_seed_event().await, Err(not_taken));
        let stopped = SendSeedError::Stopped(Code::UNSUPPORTED);
        loop {
            match client.send_seed(&seed(1, 1)).await {
                Ok(()) => tokio::task::yield_now().await,
                Err(error) => break assert_eq!(error, stopped),
            }
        }
        assert_eq!(client.send_seed(&seed(1, 1)).await, Err(stopped));
        // The other way is another matter.
        server.send_seed(&seed(2, 1)).await.unwrap();
        told(&client, SeedEvent::Announced(seed(2, 1))).await;
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_seed_whose_sending_is_given_up_is_whole_or_absent() {
    within(async {
        let peers = Peers::with(|server, client| {
            server.framed_streams = true;
            server.transport.limits.stream_window = 20_000;
            server.transport.limits.seeds.burst = u32::MAX;
            client.framed_streams = true;
        });
        for multiplexed in [false, true] {
            let connection = peers.connection().await;
            let (client, server) = match multiplexed {
                true => peers.multiplexed(&connection).await,
                false => peers.session().await,
            };
            // More than the window, which nobody reads: each try but the first few is dropped.
            let mut given_up = 0;
            let mut tried = 0;
            while given_up < 5 {
                tried += 1;
                given_up += u32::from(waits(client.send_seed(&seed(tried, 200))).await);
                tokio::task::yield_now().await;
            }
            // Nothing else is held up.
            let (mut send, _receive) = client.open_bi().await.unwrap();
            send.write_all(b"x").await.unwrap();
            server.accept_bi().await.unwrap();

            let last = seed(250, 200);
            let (sent, ()) = tokio::join!(client.send_seed(&last), async {
                let mut before = 0;
                loop {
                    match server.next_seed_event().await {
                        Ok(SeedEvent::Announced(seed)) if seed == last => break,
                        Ok(SeedEvent::Announced(seed)) => {
                            assert!(seed.content[0] > before, "in their order");
                            assert_eq!(seed.nodes.len(), 200);
                            before = seed.content[0];
                        }
                        other => panic!("{other:?}"),
                    }
                }
                assert!(before > 0 && before < tried, "{before} of {tried}");
            });
            sent.unwrap();
        }
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn many_who_ask_share_the_events() {
    within(async {
        let peers = peers();
        let (client, server) = peers.session().await;
        let mut askers = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let server = server.clone();
            askers.spawn(async move { server.next_seed_event().await.unwrap() });
        }
        // Some give up while they wait, or read.
        for _ in 0..8 {
            assert!(waits(server.next_seed_event()).await);
            tokio::task::yield_now().await;
        }
        for content in 0..8 {
            client.send_seed(&seed(content, 1)).await.unwrap();
        }
        let mut told: Vec<_> = askers
            .join_all()
            .await
            .into_iter()
            .map(|event| match event {
                SeedEvent::Announced(seed) => seed.content[0],
                other => panic!("{other:?}"),
            })
            .collect();
        told.sort_unstable();
        assert_eq!(told, [0, 1, 2, 3, 4, 5, 6, 7]);
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn what_came_before_the_end_is_told() {
    within(async {
        let peers = peers();
        let connection = peers.connection().await;
        let (client, server) = peers.multiplexed(&connection).await;
        client.send_seed(&seed(1, 1)).await.unwrap();
        client.send_seed(&seed(2, 1)).await.unwrap();
        told(&server, SeedEvent::Announced(seed(1, 1))).await;
        client.close(Code::new(7), "");
        let closed = server.closed().await;
        // Read with the first.
        told(&server, SeedEvent::Announced(seed(2, 1))).await;
        let ended = AnnouncementsError::SessionClosed(closed);
        assert_eq!(server.next_seed_event().await, Err(ended.clone()));
        assert_eq!(ended.code(), Code::new(7));
        let refused = client.send_seed(&seed(3, 1)).await.unwrap_err();
        assert!(
            matches!(&refused, SendSeedError::SessionClosed(closed) if closed.by == ClosedBy::Local),
            "{refused}"
        );
        let waiting = client.next_seed_event().await.unwrap_err();
        assert_eq!(waiting.code(), Code::new(7));
        peers.close().await;
    })
    .await;
}

/// An announcing stream of a bare client, and the server's end of its session.
async fn hostile(peers: &Peers) -> (Bare, quinn::SendStream, Session) {
    let (bare, session) = Bare::session(peers).await;
    let (mut announce, _) = bare.open(Direction::Unidirectional, header()).await;
    announce
        .write_all(&encode(&Frame::Seed(seed(1, 1))))
        .await
        .unwrap();
    told(&session, SeedEvent::Announced(seed(1, 1))).await;
    (bare, announce, session)
}

const fn header() -> StreamHeader {
    StreamHeader::Data {
        session: SessionId::ZERO,
        payload: Payload::Announce,
    }
}

/// With which code the server stops a stream, and what its application is told.
async fn stops(bytes: &[u8], code: Code) -> AnnounceError {
    let peers = peers();
    let (_bare, mut announce, session) = hostile(&peers).await;
    let told = async {
        loop {
            if let Err(error) = session.next_seed_event().await {
                return error;
            }
        }
    };
    let (error, ()) = tokio::join!(told, async {
        // The stop may come before all is written.
        let _ = announce.write_all(bytes).await;
        let stopped = announce.stopped().await.unwrap().unwrap();
        assert_eq!(Code::from_quic(stopped.into_inner()), code);
    });
    let AnnouncementsError::Violated(error) = error else {
        panic!("the peer broke a rule")
    };
    assert_eq!(error.code(), code);
    // The session is unharmed, and what was announced still stands.
    assert_eq!(session.close_reason(), None);
    assert_eq!(session.seed(&[1; 32]), Some(seed(1, 1)));
    let again = session.next_seed_event().await;
    assert_eq!(again, Err(AnnouncementsError::Violated(error)));
    peers.close().await;
    error
}

fn fault(error: AnnounceError) -> Fault {
    match error {
        AnnounceError::Frame(DecodeError::Malformed { fault, .. }) => fault,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn fields_out_of_their_range_stop_the_stream() {
    within(async {
        let mut bytes = encode(&Frame::Seed(seed(2, 1)));
        *bytes.last_mut().unwrap() = 101;
        let reliability = fault(stops(&bytes, Code::FRAME).await);
        let field = "reliability";
        assert_eq!(reliability, Fault::OutOfRange { field, got: 101 });

        let mut bytes = encode(&Frame::Seed(seed(2, 0)));
        *bytes.last_mut().unwrap() = 4;
        let priority = fault(stops(&bytes, Code::FRAME).await);
        let field = "priority";
        assert_eq!(priority, Fault::OutOfRange { field, got: 4 });
    })
    .await;
}

#[tokio::test]
async fn a_frame_over_its_limit_stops_the_stream() {
    within(async {
        let mut bytes = Vec::new();
        VarInt::from(FrameType::SEED).encode(&mut bytes);
        VarInt::from_u32(1 << 29).encode(&mut bytes);
        stops(&bytes, Code::FRAME_TOO_LARGE).await;
    })
    .await;
}

#[tokio::test]
async fn floods_stop_the_stream() {
    within(async {
        let seeds = encode(&Frame::Seed(seed(2, 0))).repeat(1000);
        let flood = stops(&seeds, Code::CONTROL_FLOOD).await;
        assert!(matches!(flood, AnnounceError::Seeds(_)), "{flood}");
        let unknown = [0x3f, 0x00].repeat(10_000);
        let flood = stops(&unknown, Code::CONTROL_FLOOD).await;
        assert!(matches!(flood, AnnounceError::Flood { .. }), "{flood}");
    })
    .await;
}

#[tokio::test]
async fn a_stream_may_end_between_frames_only() {
    within(async {
        let peers = peers();
        let (bare, mut announce, session) = hostile(&peers).await;
        announce.finish().unwrap();
        drop(announce);
        assert!(waits(session.next_seed_event()).await, "for what expires");
        bare.quinn.close(0u32.into(), b"");
        let ended = session.next_seed_event().await.unwrap_err();
        assert!(matches!(ended, AnnouncementsError::SessionClosed(_)));

        let (_bare, mut announce, session) = hostile(&peers).await;
        let cut = &encode(&Frame::Seed(seed(2, 9)))[..100];
        announce.write_all(cut).await.unwrap();
        announce.finish().unwrap();
        let error = AnnouncementsError::Violated(AnnounceError::Cut { got: 100 });
        assert_eq!(session.next_seed_event().await, Err(error));

        let (_bare, mut announce, session) = hostile(&peers).await;
        announce.reset(77u32.into()).unwrap();
        let error = AnnouncementsError::Reset(Code::new(77));
        assert_eq!(session.next_seed_event().await, Err(error));
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_second_stream_is_stopped_and_counted() {
    within(async {
        let peers = peers();
        let (bare, mut announce, session) = hostile(&peers).await;
        for number in 1..=3 {
            let (second, _) = bare.open(Direction::Unidirectional, header()).await;
            let code = second.stopped().await.unwrap().unwrap();
            assert_eq!(Code::from_quic(code.into_inner()), Code::PROTOCOL);
            let connection = session.connection();
            until(|| connection.stats().refused_announcements == number).await;
        }
        // The first goes on.
        announce
            .write_all(&encode(&Frame::Seed(seed(2, 1))))
            .await
            .unwrap();
        told(&session, SeedEvent::Announced(seed(2, 1))).await;
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn an_endless_stream_that_nobody_reads_waits_with_the_peer() {
    within(async {
        let window = 16 * 1024;
        let peers = Peers::with(|server, _| {
            server.framed_streams = true;
            server.transport.limits.stream_window = window;
        });
        let (bare, session) = Bare::session(&peers).await;
        let (mut announce, _) = bare.open(Direction::Unidirectional, header()).await;
        let frames = encode(&Frame::Seed(seed(1, 10))).repeat(1000);
        let mut sent = 0;
        while !waits(announce.write(&frames[sent..sent + 1])).await {
            sent += 1;
        }
        assert!(sent <= window as usize, "{sent} of {window}");
        // The session goes on beside it.
        let raw = StreamHeader::Data {
            session: SessionId::ZERO,
            payload: Payload::Raw,
        };
        let (mut send, _) = bare.open(Direction::Unidirectional, raw).await;
        send.write_all(b"beside").await.unwrap();
        send.finish().unwrap();
        let mut receive = session.accept_uni().await.unwrap();
        assert_eq!(receive.read_to_end(6).await.unwrap(), b"beside");
        assert_eq!(session.stats().seeds.received, 0);
        peers.close().await;
    })
    .await;
}
