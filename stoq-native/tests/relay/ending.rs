//! How relayed sessions end: in order, with codes and reasons as they were given, or because somebody is gone.

use std::time::Duration;

use stoq_native::relay::RelayConfig;
use stoq_native::{Closed, ClosedBy, Code, ConnectError, ReadError, Request, Target};

use crate::chain::{Chain, id, pattern, relay, service, until, within};

#[tokio::test]
async fn code_and_reason_go_both_ways() {
    within(async {
        let chain = Chain::new(3);
        let reason = "naïve ✓".repeat(20);
        for (number, multiplexed) in [(0, false), (7, false), (0, true), (4_000_000_000, true)] {
            for by_client in [true, false] {
                let pair = match multiplexed {
                    true => chain.multiplexed().await,
                    false => chain.session().await,
                };
                let (closer, other) = match by_client {
                    true => pair,
                    false => (pair.1, pair.0),
                };
                closer.close(Code::new(number), &reason);
                let Closed {
                    code,
                    reason: told,
                    by,
                } = other.closed().await;
                assert_eq!(
                    (code.value(), told, by),
                    (number, reason.clone(), ClosedBy::Peer)
                );
            }
        }
        until(|| (1..=3).all(|n| chain.stats(n).sessions_open == 0)).await;
    })
    .await;
}

#[tokio::test]
async fn what_was_acknowledged_before_a_close_arrives_before_it() {
    within(async {
        let chain = Chain::new(3);
        let sent = pattern(200_000);
        for by_client in [true, false] {
            let pair = chain.session().await;
            let (from, to) = match by_client {
                true => pair,
                false => (pair.1, pair.0),
            };
            let mut send = from.open_uni().await.unwrap();
            send.write_all(&sent).await.unwrap();
            send.finish().unwrap();
            // The neighbour has it; without relays that would be the far end.
            send.stopped().await.unwrap();
            from.close(Code::NO_ERROR, "sent it");
            let mut receive = to.accept_uni().await.unwrap();
            assert!(receive.read_to_end(sent.len()).await.unwrap() == sent);
            assert_eq!(to.closed().await.reason, "sent it");
        }
    })
    .await;
}

#[tokio::test]
async fn a_relay_that_vanishes_in_the_middle_is_lost_and_nothing_looks_complete() {
    within(async {
        let elsewhere = tokio::runtime::Runtime::new().unwrap();
        let shorter = |config: &mut RelayConfig| {
            config.transport.idle_timeout = Duration::from_millis(600);
        };
        let chain = Chain::apart(3, shorter, Some((2, &elsewhere)));
        let (client, target) = chain.session().await;
        let (mut send, mut answer) = client.open_bi().await.unwrap();
        send.write_all(b"the first half").await.unwrap();
        let (mut back, mut receive) = target.accept_bi().await.unwrap();
        assert!(receive.read_chunk(100).await.unwrap().is_some());
        back.write_all(b"half an answer").await.unwrap();
        assert!(answer.read_chunk(100).await.unwrap().is_some());

        // It has nobody left who could say goodbye.
        elsewhere.shutdown_background();

        let ended = client.closed().await;
        assert_eq!((ended.code, ended.by), (Code::UPSTREAM_LOST, ClosedBy::Peer));
        let read = loop {
            match answer.read_chunk(100).await {
                Ok(Some(_)) => {}
                other => break other,
            }
        };
        // On the client's own connection the close of the session may come before the reset.
        assert!(
            matches!(&read, Err(ReadError::Reset(code)) if *code == Code::UPSTREAM_LOST)
                || matches!(&read, Err(ReadError::SessionClosed(closed)) if closed.code == Code::UPSTREAM_LOST),
            "{read:?}"
        );
        let ended = target.closed().await;
        assert_eq!((ended.code, ended.by), (Code::CONNECTION_LOST, ClosedBy::Peer));
        let read = receive.read_chunk(100).await;
        assert!(
            matches!(
                &read,
                Err(ReadError::Reset(Code::CONNECTION_LOST) | ReadError::SessionClosed(_))
            ),
            "{read:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_target_that_ends_without_a_word_is_lost() {
    within(async {
        let chain = Chain::new(2);
        let (client, target) = chain.session().await;
        // A connection that ends politely says nothing of its sessions: a process that just exits.
        target.connection().close(Code::NO_ERROR, "");
        let ended = client.closed().await;
        assert_eq!(
            (ended.code, ended.by),
            (Code::UPSTREAM_LOST, ClosedBy::Peer)
        );
    })
    .await;
}

#[tokio::test]
async fn a_shutdown_lets_sessions_end_and_closes_the_rest() {
    within(async {
        let mut chain = Chain::new(2);
        let (polite, polite_target) = chain.session().await;
        let (stubborn, stubborn_target) = chain.session().await;
        let first = chain.relays.remove(0);
        let leave = async {
            let going = polite.connection().going_away().await;
            assert_eq!(going.code, Code::GOING_AWAY);
            polite.close(Code::new(5), "done in time");
            assert_eq!(polite_target.closed().await.code, Code::new(5));
        };
        tokio::join!(first.shutdown(Duration::from_secs(1)), leave);
        for session in [&stubborn, &stubborn_target] {
            let ended = session.closed().await;
            assert_eq!((ended.code, ended.by), (Code::GOING_AWAY, ClosedBy::Peer));
        }
    })
    .await;
}

#[tokio::test]
async fn a_next_hop_that_goes_away_is_told_to_a_client_on_its_own_connection() {
    within(async {
        let chain = Chain::new(1);
        let (client, target) = chain.session().await;
        let leave = async {
            let going = client.connection().going_away().await;
            assert_eq!(going.code, Code::GOING_AWAY);
            let grace = client.connection().grace().unwrap();
            assert_eq!(grace, Duration::from_secs(20));
            client.close(Code::new(6), "as it was asked");
        };
        tokio::join!(chain.target.shutdown(Duration::from_secs(20)), leave);
        assert_eq!(target.closed().await.code, Code::new(6));
    })
    .await;
}

#[tokio::test]
async fn a_next_hop_that_is_not_there_is_unreachable() {
    within(async {
        let nobody = std::net::UdpSocket::bind("[::1]:0").unwrap();
        let relay = relay(1, &[(2, nobody.local_addr().unwrap())], |config| {
            config.connect_timeout = Duration::from_millis(300);
        });
        let client = crate::chain::client(&[(1, relay.local_addr())], |_| {});
        let url = format!("stoq://{}/test", relay.local_addr());
        let refused = client.connect(&url).await.unwrap_err();
        assert!(
            matches!(&refused, ConnectError::Refused { code, .. } if *code == Code::UPSTREAM_UNREACHABLE),
            "{refused}"
        );
        assert_eq!(relay.stats().unreachable, 1);
        assert_eq!(relay.falcon_id(), id(1));
    })
    .await;
}

/// The target never answers, and the relay has more patience than the test.
#[tokio::test]
async fn a_client_that_withdraws_its_request_frees_the_place_at_once() {
    within(async {
        let chain = Chain::with(1, |config| {
            config.answer_timeout = Duration::from_secs(600);
            config.connect_timeout = Duration::from_secs(600);
        });
        let to: Target = chain.url().parse().unwrap();
        let connection = chain.client.connect_to(&to).await.unwrap();
        let asking = {
            let connection = connection.clone();
            tokio::spawn(async move { connection.open_session(Request::new(service())).await })
        };
        let asked = chain.target.accept().await.unwrap();
        assert_eq!(chain.stats(1).sessions_open, 1);
        asking.abort();
        // All the way along.
        let withdrawn = asked.withdrawn().await;
        assert_eq!(
            (withdrawn.code, withdrawn.by),
            (Code::CANCELLED, ClosedBy::Peer)
        );
        until(|| chain.stats(1).sessions_open == 0).await;
        assert!(connection.is_open());
    })
    .await;
}
