//! Connections that change how they work while they run.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;

use stoq_native::{
    AdaptationConfig, CongestionAlgorithm, Connection, LiveConfig, LiveConfigError,
    NewConnectionProfile, Profiles, RecvStream, SendStream, Session, Tier,
};
use tokio::task::JoinHandle;

use crate::harness::{Peers, pattern, until, within};
use crate::road::Road;

/// Bytes that flow from one session to another until they are stopped, and are compared there.
struct Flow {
    stop: Arc<AtomicBool>,
    arrived: Arc<AtomicU64>,
    sending: JoinHandle<u64>,
    comparing: JoinHandle<u64>,
}

impl Flow {
    async fn new(from: &Session, to: &Session) -> Self {
        let mut send = from.open_uni().await.unwrap();
        let mut receive = to.accept_uni().await.unwrap();
        let (stop, arrived) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let sending = tokio::spawn({
            let (stop, data) = (stop.clone(), pattern(LENGTH));
            async move {
                let mut sent = 0;
                while !stop.load(Ordering::Relaxed) {
                    send.write_all(&data).await.unwrap();
                    sent += data.len() as u64;
                }
                send.finish().unwrap();
                sent
            }
        });
        let comparing = tokio::spawn({
            let (arrived, data) = (arrived.clone(), pattern(LENGTH));
            async move {
                let mut at = 0;
                while let Some(chunk) = receive.read_chunk(usize::MAX).await.unwrap() {
                    let mut rest = &chunk[..];
                    while !rest.is_empty() {
                        let from = (at % LENGTH as u64) as usize;
                        let length = rest.len().min(LENGTH - from);
                        assert!(rest[..length] == data[from..from + length], "at {at}");
                        at += length as u64;
                        rest = &rest[length..];
                    }
                    arrived.store(at, Ordering::Relaxed);
                }
                at
            }
        });
        Self {
            stop,
            arrived,
            sending,
            comparing,
        }
    }

    /// Waits until more of it has arrived.
    async fn goes_on(&self) {
        let before = self.arrived.load(Ordering::Relaxed);
        until(|| self.arrived.load(Ordering::Relaxed) > before).await;
    }

    /// Every byte that was sent has arrived, and was the right one.
    async fn ends_whole(self) {
        self.stop.store(true, Ordering::Relaxed);
        let sent = self.sending.await.unwrap();
        assert_eq!(self.comparing.await.unwrap(), sent);
        assert!(sent > 0);
    }
}

/// A chunk of the pattern; no power of two, so that nothing falls into step with it.
const LENGTH: usize = 300_007;

fn congestion(algorithm: CongestionAlgorithm) -> LiveConfig {
    let mut change = LiveConfig::default();
    change.congestion = Some(algorithm);
    change
}

/// Changes the algorithm, and waits until the path works with it.
async fn swap(connection: &Connection, session: &Session, to: CongestionAlgorithm) {
    connection.update_live_config(congestion(to)).unwrap();
    session.ping().await.unwrap();
    let stats = || connection.adaptation_stats();
    until(|| stats().congestion == to && stats().time_to_apply.is_some()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_tiers_are_gone_through_during_a_transfer() {
    within(async {
        let peers = Peers::new();
        let (client, server) = peers.session().await;
        let flows = [
            Flow::new(&client, &server).await,
            Flow::new(&server, &client).await,
        ];
        let ends = [client.connection(), server.connection()];
        let mut changes = 0;
        for tier in Tier::ALL.into_iter().chain(Tier::ALL.into_iter().rev()) {
            for (connection, flow) in ends.into_iter().zip(&flows) {
                let was = connection.adaptation_stats();
                connection.force_adaptation(tier).unwrap();
                let stats = || connection.adaptation_stats();
                until(|| stats().time_to_apply.is_some()).await;
                flow.goes_on().await;
                let mut profile = Profiles::default()[tier];
                // These connections began without a bound.
                profile.receive_window = None;
                assert_eq!(connection.live_config(), profile, "{tier}");
                let now = stats();
                assert_eq!(Some(now.congestion), profile.congestion);
                assert_eq!(now.tier, Some(tier));
                let changed = u64::from(was.tier != Some(tier));
                assert_eq!(now.changes, was.changes + changed, "{tier}");
                changes = now.changes;
                println!("{tier}: in force after {:?}", now.time_to_apply.unwrap());
            }
        }
        assert_eq!(changes, 11, "the fastest twice in a row");
        for flow in flows {
            flow.ends_whole().await;
        }
        assert!(client.connection().is_open());
        peers.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_keeps_the_window() {
    within(async {
        let peers = Peers::with(|_, client| {
            client.transport.congestion = CongestionAlgorithm::NewReno;
        });
        let (client, server) = peers.session().await;
        let connection = client.connection();
        let window = || connection.stats().congestion_window;
        let first = window();
        let flow = Flow::new(&client, &server).await;
        until(|| window() > 2 * first).await;
        flow.ends_whole().await;
        // What is still on its way has arrived when nothing moves any more.
        client.ping().await.unwrap();
        client.ping().await.unwrap();
        let grown = window();
        for algorithm in [CongestionAlgorithm::Cubic, CongestionAlgorithm::NewReno] {
            swap(connection, &client, algorithm).await;
            assert_eq!(window(), grown, "{algorithm}");
        }
        // By way of BBR it is what BBR begins with.
        swap(connection, &client, CongestionAlgorithm::Bbr).await;
        assert!(window() >= grown, "{} {grown}", window());
        swap(connection, &client, CongestionAlgorithm::Cubic).await;
        assert!(window() >= grown, "{} {grown}", window());
        let flow = Flow::new(&client, &server).await;
        flow.goes_on().await;
        flow.ends_whole().await;
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_swap_waits_for_a_packet_and_can_be_taken_back() {
    within(async {
        let peers = Peers::new();
        let (client, _server) = peers.session().await;
        let connection = client.connection();
        // Nothing is sent or received as long as this task does not wait: the others are on the same thread.
        let swapped = congestion(CongestionAlgorithm::NewReno);
        connection.update_live_config(swapped).unwrap();
        let stats = connection.adaptation_stats();
        assert_eq!(stats.congestion, CongestionAlgorithm::Cubic);
        assert_eq!((stats.changes, stats.time_to_apply), (1, None));
        let back = congestion(CongestionAlgorithm::Cubic);
        connection.update_live_config(back).unwrap();
        let stats = connection.adaptation_stats();
        assert_eq!(stats.congestion, CongestionAlgorithm::Cubic);
        assert_eq!(stats.changes, 2);
        assert!(stats.time_to_apply.is_some());
        peers.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn adaptation_goes_on_at_another_address() {
    within(async {
        let peers = Peers::new();
        let road = Road::to(peers.address()).await;
        let url = format!("stoq://{}/test", road.address);
        let accept = async { peers.server.accept().await.unwrap().accept().await.unwrap() };
        let (client, server) = tokio::join!(peers.client.connect(&url), accept);
        let client = client.unwrap();
        // The server's path is a new one when the client comes from elsewhere.
        let connection = server.connection();
        connection
            .start_adaptation(AdaptationConfig::default())
            .unwrap();
        connection.force_adaptation(Tier::DataCenter).unwrap();
        let flow = Flow::new(&server, &client).await;
        let stats = || connection.adaptation_stats();
        until(|| stats().congestion == CongestionAlgorithm::NewReno && stats().samples > 0).await;
        let before = connection.remote_address();
        road.moves().await;
        client.ping().await.unwrap();
        until(|| connection.remote_address() != before).await;
        let moved = stats();
        assert_eq!(moved.congestion, CongestionAlgorithm::NewReno);
        assert_eq!(connection.live_config().congestion, Some(moved.congestion));
        assert!(moved.running);
        flow.goes_on().await;
        until(|| stats().samples > moved.samples).await;
        // And what is chosen now, the new path follows.
        connection.stop_adaptation();
        swap(connection, &client, CongestionAlgorithm::Cubic).await;
        assert!(!stats().running);
        flow.ends_whole().await;
        peers.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_slower_than_thought_is_found_out() {
    within(async {
        let peers = Peers::with(|_, client| {
            let mut config = AdaptationConfig::default();
            config.start = Tier::DataCenter;
            client.transport.adaptation = Some(config);
        });
        let road = Road::to(peers.address()).await;
        let url = format!("stoq://{}/test", road.address);
        let accept = async { peers.server.accept().await.unwrap().accept().await.unwrap() };
        let (client, server) = tokio::join!(peers.client.connect(&url), accept);
        let client = client.unwrap();
        // Losses keep the window small, so there is always more to send.
        road.lose(20);
        let connection = client.connection();
        assert!(connection.adaptation_stats().running);
        assert_eq!(connection.adaptation_stats().tier, Some(Tier::DataCenter));
        let flow = Flow::new(&client, &server).await;
        until(|| connection.adaptation_stats().tier < Some(Tier::DataCenter)).await;
        let stats = connection.adaptation_stats();
        let sample = stats.last_sample.unwrap();
        println!("{stats:?}");
        assert!(stats.samples - stats.ignored >= 3, "{stats:?}");
        assert!(Tier::of(sample.delivery_rate) < Tier::DataCenter);
        assert_eq!(connection.live_config().congestion, Some(stats.congestion));
        flow.ends_whole().await;
        peers.close().await;
    })
    .await;
}

/// Streams that can be opened without waiting.
async fn as_many_as_there_may_be(session: &Session) -> Vec<(SendStream, RecvStream)> {
    let mut opened = Vec::new();
    loop {
        let mut opening = pin!(session.open_bi());
        let polled = poll_fn(|cx| Poll::Ready(opening.as_mut().poll(cx))).await;
        match polled {
            Poll::Ready(stream) => opened.push(stream.unwrap()),
            Poll::Pending => return opened,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fewer_streams_are_fewer_as_they_end() {
    within(async {
        let peers = Peers::with(|server, _| server.transport.limits.max_streams = 8);
        let (client, server) = peers.session().await;
        let mut held = as_many_as_there_may_be(&client).await;
        let most = held.len();
        assert!(most >= 8);
        let mut change = LiveConfig::default();
        change.max_streams = Some(2);
        server.connection().update_live_config(change).unwrap();
        // Nothing was taken away: all of them work. The first six that end make no room, the others do.
        for ended in 1..=most {
            let (mut send, mut receive) = held.remove(0);
            send.write_all(b"there").await.unwrap();
            send.finish().unwrap();
            let (mut back, mut there) = server.accept_bi().await.unwrap();
            assert_eq!(there.read_to_end(5).await.unwrap(), b"there");
            back.write_all(b"back").await.unwrap();
            back.finish().unwrap();
            assert_eq!(receive.read_to_end(4).await.unwrap(), b"back");
            if ended == 6 {
                // What the server would have granted is before the answer.
                client.ping().await.unwrap();
                assert!(as_many_as_there_may_be(&client).await.is_empty());
            }
        }
        let mut open = Vec::new();
        while open.len() < most - 6 {
            open.push(client.open_bi().await.unwrap());
        }
        client.ping().await.unwrap();
        assert!(as_many_as_there_may_be(&client).await.is_empty());
        change.max_streams = Some(8);
        server.connection().update_live_config(change).unwrap();
        while open.len() < most {
            open.push(client.open_bi().await.unwrap());
        }
        peers.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_on_all_that_is_unread_can_be_moved() {
    within(async {
        let peers = Peers::with(|server, _| server.transport.limits.receive_window = Some(100_000));
        let (client, server) = peers.session().await;
        let mut send = client.open_uni().await.unwrap();
        let data = pattern(1_000_000);
        let mut receive = server.accept_uni().await.unwrap();
        let written = Arc::<AtomicBool>::default();
        let writing = tokio::spawn({
            let (written, data) = (written.clone(), data.clone());
            async move {
                send.write_all(&data).await.unwrap();
                send.finish().unwrap();
                written.store(true, Ordering::Relaxed);
            }
        });
        until(|| server.connection().stats().received_bytes > 90_000).await;
        assert!(!written.load(Ordering::Relaxed), "nobody has read");
        let mut change = LiveConfig::default();
        change.receive_window = Some(1_200_000);
        server.connection().update_live_config(change).unwrap();
        writing.await.unwrap();
        assert_eq!(
            server.connection().live_config().receive_window,
            Some(1_200_000)
        );
        // Less, while all of that waits to be read: it is kept from what is granted, and from nothing that was.
        change.receive_window = Some(100_000);
        server.connection().update_live_config(change).unwrap();
        assert!(receive.read_to_end(data.len()).await.unwrap() == data);
        let flow = Flow::new(&client, &server).await;
        flow.goes_on().await;
        flow.ends_whole().await;
        peers.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_can_be_made_for_a_tier() {
    within(async {
        let profile = NewConnectionProfile::of(Tier::Performance);
        let peers = Peers::with(|server, client| {
            profile.apply(&mut server.transport);
            profile.apply(&mut client.transport);
        });
        let (client, server) = peers.session().await;
        let mut send = client.open_uni().await.unwrap();
        let data = pattern(profile.stream_window as usize / 8 * 7);
        send.write_all(&data).await.unwrap();
        send.finish().unwrap();
        let mut receive = server.accept_uni().await.unwrap();
        // All of it comes before anything is read, and it is more than a stream holds by default.
        let received = || server.connection().stats().received_bytes;
        until(|| received() > data.len() as u64).await;
        assert!(receive.read_to_end(data.len()).await.unwrap() == data);
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_change_is_of_one_connection() {
    within(async {
        let peers = Peers::new();
        // Of the same two endpoints.
        let (client, server) = peers.session().await;
        let (other, beside) = peers.session().await;
        let pairs = [(&client, &other), (&server, &beside)];
        for (changed, not) in pairs {
            let algorithm = CongestionAlgorithm::NewReno;
            swap(changed.connection(), changed, algorithm).await;
            not.ping().await.unwrap();
            let stats = not.connection().adaptation_stats();
            assert_eq!(stats.congestion, CongestionAlgorithm::Cubic);
            assert_eq!(stats.changes, 0);
        }
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_changed_is_said_and_nothing_is() {
    within(async {
        let peers = Peers::new();
        let (client, _server) = peers.session().await;
        let connection = client.connection().clone();
        let before = connection.live_config();
        let fault = |change| match connection.update_live_config(change) {
            Err(LiveConfigError::Setting(error)) => error.setting,
            other => panic!("{other:?}"),
        };
        let mut change = congestion(CongestionAlgorithm::NewReno);
        change.receive_window = Some(1_000_000);
        assert_eq!(
            fault(change),
            "receive_window",
            "it began without a bound, and its peer knows"
        );
        change.receive_window = None;
        change.send_window = Some(1);
        assert_eq!(fault(change), "send_window");
        assert_eq!(connection.live_config(), before);
        assert_eq!(connection.adaptation_stats().changes, 0);

        let mut config = AdaptationConfig::default();
        config.samples = 0;
        let refused = connection.start_adaptation(config);
        assert!(matches!(refused, Err(LiveConfigError::Setting(_))));
        assert!(!connection.adaptation_stats().running);

        peers.close().await;
        let ended = [
            connection.update_live_config(LiveConfig::default()),
            connection.force_adaptation(Tier::Slow),
            connection.start_adaptation(AdaptationConfig::default()),
        ];
        for ended in ended {
            assert!(matches!(ended, Err(LiveConfigError::ConnectionClosed(_))));
        }
    })
    .await;
}
