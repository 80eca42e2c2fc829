//! Seeds, announced from peer to peer: told as events, in their order, within bounds, whatever the peer does.

mod hostile;
mod sending;

use std::net::Ipv6Addr;
use std::time::Duration;

use stoq_native::{
    AnnouncementsError, ClosedBy, Code, FalconId, Seed, SeedEvent, SeedNode, SeedPriority,
    SendSeedError, Session,
};

use crate::harness::{Peers, waits, within};

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
