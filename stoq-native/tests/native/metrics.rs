//! What an endpoint counts, as a snapshot and through the facade.

use std::collections::BTreeMap;
use std::time::Duration;

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use stoq_native::{
    ClientConfig, Code, ConnectError, Endpoint, FalconTrust, Pins, PqPolicy, Session,
};

use crate::harness::{Peers, until, within};

/// Adds what the facade has been told since the last time, by name and labels; a histogram counts how often.
fn hear(snapshotter: &Snapshotter, all: &mut BTreeMap<String, f64>) {
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let (name, labels) = key.key().clone().into_parts();
        let labels: Vec<_> = labels.iter().map(|label| label.value()).collect();
        let name = format!("{} {}", name.as_str(), labels.join(" "));
        *all.entry(name).or_default() += match value {
            DebugValue::Counter(count) => count as f64,
            DebugValue::Gauge(value) => value.0,
            DebugValue::Histogram(values) => values.len() as f64,
        };
    }
}

async fn send_some(from: &Session, to: &Session) {
    let (mut send, _) = from.open_bi().await.unwrap();
    send.write_all(&[7; 100_000]).await.unwrap();
    send.finish().unwrap();
    let (_, mut receive) = to.accept_bi().await.unwrap();
    receive.read_to_end(100_000).await.unwrap();
    from.send_datagram(b"hello".to_vec().into()).unwrap();
    to.recv_datagram().await.unwrap();
}

#[tokio::test]
async fn a_snapshot_has_what_was_done_and_keeps_it_when_connections_end() {
    within(async {
        let peers = Peers::new();
        let (client, server) = peers.session().await;
        send_some(&client, &server).await;
        let stats = peers.client.stats();
        assert_eq!((stats.connections, stats.connections_opened), (1, 1));
        assert_eq!((stats.sessions, stats.sessions_opened), (1, 1));
        assert!(stats.sent_bytes > 100_000, "{stats:?}");
        assert_eq!(peers.server.stats().received_datagrams, 1);

        client.close(Code::NO_ERROR, "");
        let ended = |endpoint: &Endpoint| endpoint.stats().connections == 0;
        until(|| ended(&peers.client) && ended(&peers.server)).await;
        let after = peers.client.stats();
        assert_eq!((after.sessions, after.connections_opened), (0, 1));
        assert!(after.sent_bytes >= stats.sent_bytes, "{after:?}");
        assert!(after.received_bytes >= stats.received_bytes, "{after:?}");
        assert_eq!(after.sent_datagrams, 1);
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn the_facade_is_told_the_same_under_the_documented_names() {
    within(async {
        let recorder = DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        let _here = metrics::set_default_local_recorder(&recorder);
        let peers = Peers::with(|server, client| {
            server.transport.metrics_interval = Duration::from_millis(10);
            client.transport.metrics_interval = Duration::from_millis(10);
            client.connect_timeout = Duration::from_millis(300);
        });
        let (client, server) = peers.session().await;
        send_some(&client, &server).await;
        let mut all = BTreeMap::new();
        hear(&snapshotter, &mut all);
        assert_eq!(all["stoq_connections_active client"], 1.0);
        assert_eq!(all["stoq_sessions_active server"], 1.0);
        assert_eq!(all["stoq_connections_opened_total client"], 1.0);
        let sent = |all: &BTreeMap<String, f64>| {
            all.get("stoq_bytes_sent_total client").copied() > Some(100_000.0)
        };
        while !sent(&all) {
            tokio::task::yield_now().await;
            hear(&snapshotter, &mut all);
        }

        server.close(Code::PROTOCOL, "");
        client.closed().await;
        until(|| peers.client.stats().connections + peers.server.stats().connections == 0).await;
        let silent = tokio::net::UdpSocket::bind("[::1]:0").await.unwrap();
        let nobody = format!("stoq://{}/test", silent.local_addr().unwrap());
        peers.client.connect(&nobody).await.unwrap_err();
        hear(&snapshotter, &mut all);
        assert_eq!(all["stoq_connections_active client"], 0.0);
        assert_eq!(all["stoq_connection_duration_seconds client"], 1.0);
        assert_eq!(all["stoq_connection_duration_seconds server"], 1.0);
        assert_eq!(
            all["stoq_errors_total client connection protocol-violation"],
            1.0
        );
        assert_eq!(
            all["stoq_errors_total server session protocol-violation"],
            1.0
        );
        assert_eq!(all["stoq_errors_total client handshake timeout"], 1.0);
        assert_eq!(all["stoq_handshakes_failed_total client"], 1.0);
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn handshakes_that_fail_are_counted_and_names_that_nobody_has_are_not() {
    within(async {
        let peers = Peers::new();
        let failed = || peers.client.stats().handshakes_failed;
        peers
            .client
            .connect("stoq://name.invalid:1/test")
            .await
            .unwrap_err();
        let early = peers.client.connect_early("stoq://name.invalid:1/test");
        early.await.unwrap_err();
        assert_eq!(failed(), 0, "none began");

        let stranger = Peers::new();
        let early = peers
            .client
            .connect_early(&stranger.url("test"))
            .await
            .unwrap();
        early.established().await.unwrap_err();
        assert_eq!(failed(), 1);
        peers
            .client
            .connect(&stranger.url("test"))
            .await
            .unwrap_err();
        assert_eq!(failed(), 2);

        let accept = async { peers.server.accept().await.unwrap().accept().await.unwrap() };
        let early = peers
            .client
            .connect_early(&peers.url("test"))
            .await
            .unwrap();
        let (session, _accepted) = tokio::join!(early.established(), accept);
        session.unwrap();
        assert_eq!(failed(), 2, "this one came about");
        stranger.close().await;
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn early_connects_that_end_before_the_first_packet_are_counted_as_others() {
    within(async {
        let recorder = DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        let _here = metrics::set_default_local_recorder(&recorder);
        // There is nobody that this client would believe, so it begins nothing.
        let policy = PqPolicy::Require(FalconTrust::Pins(Pins::new()));
        let client = Endpoint::client(ClientConfig::new(policy)).unwrap();
        let url = "stoq://[::1]:1/test";
        let errors = [
            client.connect(url).await.unwrap_err(),
            client.connect_early(url).await.unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, ConnectError::Identity(_)), "{error}");
        }
        assert_eq!(client.stats().handshakes_failed, 2);
        let mut all = BTreeMap::new();
        hear(&snapshotter, &mut all);
        assert_eq!(all["stoq_handshakes_failed_total client"], 2.0);
        assert_eq!(
            all["stoq_errors_total client handshake untrusted-identity"],
            2.0
        );
    })
    .await;
}

/// The table in the README is for people who make dashboards of it.
#[test]
fn the_readme_has_every_name_that_the_facade_is_told() {
    let readme = include_str!("../../README.md");
    let source = include_str!("../../src/metrics/facade.rs");
    let names = source
        .split('"')
        .filter(|text| text.starts_with("stoq_") && !text.contains(' '));
    for name in names {
        assert!(readme.contains(&format!("`{name}`")), "{name}");
    }
}
