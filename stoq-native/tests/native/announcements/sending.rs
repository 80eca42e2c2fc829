//! What is sent, how fast, and what is not.

use stoq_native::{AnnouncementsError, Code, Seed, SeedEvent, SendSeedError};

use super::{peers, seed, told};
use crate::harness::{Peers, waits, within};

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
