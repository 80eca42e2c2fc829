//! A transfer on a connection that is changed to every tier while it runs, and then changes by itself:
//! `cargo run --release -p stoq-native --example live-adaptation`

use std::error::Error;

use stoq_native::{
    AdaptationConfig, ClientConfig, Code, Endpoint, Identity, ServerConfig, Tier, Trust,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let identity = Identity::self_signed(["localhost"])?;
    let trust = Trust::CertificateHashes(vec![identity.certificate_hash()]);
    let server = Endpoint::server("[::1]:0".parse()?, ServerConfig::new(identity))?;
    let receiving = tokio::spawn(receive(server.clone()));

    let client = Endpoint::client(ClientConfig::new(trust))?;
    let url = format!("stoq://{}/sink", server.local_addr()?);
    let session = client.connect(&url).await?;
    let connection = session.connection();
    let mut send = session.open_uni().await?;
    let chunk = vec![7; 1 << 20];
    let mut sent = 0;

    // By hand: a change is in force with the next packet at the latest, and nothing of the stream is lost.
    for tier in Tier::ALL {
        connection.force_adaptation(tier)?;
        while connection.adaptation_stats().time_to_apply.is_none() {
            send.write_all(&chunk).await?;
            sent += chunk.len();
        }
        let (stats, live) = (connection.adaptation_stats(), connection.live_config());
        println!(
            "{tier}: {}, {:?} bytes to send, {:?} streams, after {:?}",
            stats.congestion, live.send_window, live.max_streams, stats.time_to_apply
        );
    }

    // By itself: a path that is full, and not of the tier that it is thought to be of, is found out.
    connection.start_adaptation(AdaptationConfig::default())?;
    while connection.adaptation_stats().samples < 4 {
        send.write_all(&chunk).await?;
        sent += chunk.len();
    }
    let found = connection.adaptation_stats();
    println!(
        "{} of {} samples said nothing of the path; the last: {:?}",
        found.ignored, found.samples, found.last_sample
    );

    send.finish()?;
    assert_eq!(receiving.await?, Some(sent), "every byte has arrived");
    session.close(Code::NO_ERROR, "done");
    client.wait_idle().await;
    Ok(())
}

/// Reads one stream to its end, and says how long it was.
async fn receive(server: Endpoint) -> Option<usize> {
    let session = server.accept().await?.accept().await.ok()?;
    let mut stream = session.accept_uni().await.ok()?;
    let mut received = 0;
    while let Some(chunk) = stream.read_chunk(usize::MAX).await.ok()? {
        received += chunk.len();
    }
    Some(received)
}

#[test]
fn works() {
    main().unwrap();
}
