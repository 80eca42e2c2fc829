//! Peers that speak bare QUIC and say nothing that makes sense.

use stoq_native::{ALPN, Code, Identity};

use crate::bare::bare_client;
use crate::chain::{Chain, identity, pattern, until, within};

#[tokio::test]
async fn garbage_ends_its_own_connection_and_nothing_else() {
    within(async {
        let chain = Chain::with(1, |config| {
            // A classical certificate beside, for who knows no FALCON.
            let classical = Identity::self_signed(["localhost"]).unwrap();
            config.identity = classical.with_falcon(identity(1));
        });
        let (client, target) = chain.session().await;
        for seed in 0..16 {
            let connection = bare_client(chain.first(), ALPN).await.unwrap();
            let mut control = connection.open_uni().await.unwrap();
            // The control stream's type, and noise; or noise on many streams and in datagrams.
            let noise = &pattern(70_000)[seed * 3000..][..5000];
            let mut said = vec![0];
            said.extend(noise);
            let _ = control
                .write_all(if seed % 2 == 0 { &said } else { noise })
                .await;
            for at in 0..40 {
                let piece = &noise[at * 50..][..50];
                if let Ok((mut send, _receive)) = connection.open_bi().await {
                    let _ = send.write_all(piece).await;
                }
                let _ = connection.send_datagram(piece.to_vec().into());
            }
            if seed % 2 == 0 {
                let ended = connection.closed().await;
                assert!(
                    matches!(&ended, quinn::ConnectionError::ApplicationClosed(_)),
                    "{ended}"
                );
            }
            drop(connection);
        }
        // The session beside is as it was.
        let mut send = client.open_uni().await.unwrap();
        send.write_all(b"still here").await.unwrap();
        send.finish().unwrap();
        let mut receive = target.accept_uni().await.unwrap();
        assert_eq!(receive.read_to_end(100).await.unwrap(), b"still here");
        assert_eq!(
            (chain.stats(1).sessions_open, chain.stats(1).streams_total),
            (1, 1)
        );
        client.close(Code::NO_ERROR, "");
        until(|| chain.stats(1).sessions_open == 0 && chain.stats(1).connections == 0).await;
    })
    .await;
}
