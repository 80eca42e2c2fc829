//! What a connection tells of its path.

use crate::harness::{Peers, pattern, until, within};

#[tokio::test(flavor = "multi_thread")]
async fn the_figures_of_a_path_follow_its_load() {
    within(async {
        let peers = Peers::new();
        let (client, server) = peers.session().await;
        let stats = || client.connection().stats();
        // Each ping's answer is acknowledged with what follows.
        for _ in 0..3 {
            client.ping().await.unwrap();
        }
        let idle = stats();
        assert!(
            idle.rtt_variation.is_some_and(|time| !time.is_zero()),
            "{idle:?}"
        );
        assert_eq!(idle.tier, None, "a few bytes say nothing of it: {idle:?}");

        let mut send = client.open_uni().await.unwrap();
        let mut receive = server.accept_uni().await.unwrap();
        let data = pattern(1 << 20);
        let load = tokio::spawn(async move { while send.write_all(&data).await.is_ok() {} });
        let reading =
            tokio::spawn(
                async move { while let Ok(Some(_)) = receive.read_chunk(usize::MAX).await {} },
            );
        let busy = loop {
            let now = stats();
            let rate = idle.send_rate.max(1_000_000);
            if now.send_rate > rate && now.congestion_window > idle.congestion_window {
                break now;
            }
            tokio::task::yield_now().await;
        };
        assert_ne!(busy.rtt_variation, idle.rtt_variation, "{busy:?}");
        load.abort();
        reading.abort();
        // The rate ends with the load.
        until(|| stats().send_rate < 1_000_000).await;
        peers.close().await;
    })
    .await;
}
