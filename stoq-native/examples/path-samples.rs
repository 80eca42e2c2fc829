//! Records what a connection sees of a path that becomes faster and slower, and what it makes of it:
//! `cargo run --release -p stoq-native --example path-samples > stoq-native/src/adapt/policy/recorded.txt`
//!
//! A real connection, through a forwarder on this machine that passes so many bits a second, 10 ms later, and lets what
//! would wait for longer than 50 ms fall.

use std::collections::VecDeque;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use stoq_native::{
    AdaptationConfig, ClientConfig, Code, Connection, Endpoint, Identity, ServerConfig, Trust,
};
use tokio::net::UdpSocket;
use tokio::time::sleep_until;

/// Megabits a second, and for how many seconds. Between them the application pauses for a second.
const COURSE: [(u64, u64); 3] = [(40, 10), (200, 12), (20, 12)];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let identity = Identity::self_signed(["localhost"])?;
    let trust = Trust::CertificateHashes(vec![identity.certificate_hash()]);
    let server = Endpoint::server("[::1]:0".parse()?, ServerConfig::new(identity))?;
    let rate = Arc::new(AtomicU64::new(0));
    let path = path(server.local_addr()?, rate.clone()).await?;

    let client = Endpoint::client(ClientConfig::new(trust))?;
    let accepting = tokio::spawn(async move {
        let request = server.accept().await?;
        let session = request.accept().await.ok()?;
        while let Ok(mut stream) = session.accept_uni().await {
            tokio::spawn(
                async move { while let Ok(Some(_)) = stream.read_chunk(usize::MAX).await {} },
            );
        }
        Some(())
    });
    rate.store(COURSE[0].0, Ordering::Relaxed);
    let session = client.connect(&format!("stoq://{path}/sink")).await?;
    let connection = session.connection();
    connection.start_adaptation(AdaptationConfig::default())?;

    println!(
        "# Samples of a real connection and the tiers that it went to: made by stoq-native/examples/path-samples.rs"
    );
    println!("# The path: {COURSE:?} (Mbit/s, seconds), a pause of a second after each");
    println!(
        "# at µs, length µs, rtt µs, its variation µs, bytes a second, packets sent, lost, congestion events, limited, ramping"
    );
    for (megabits, seconds) in COURSE {
        println!("# {megabits} Mbit/s");
        rate.store(megabits, Ordering::Relaxed);
        let mut loads = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let mut send = session.open_uni().await?;
            loads.spawn(async move { while send.write_all(&[7; 65_536]).await.is_ok() {} });
        }
        watch(connection, Instant::now() + Duration::from_secs(seconds)).await;
        loads.shutdown().await;
        println!("# nothing to send");
        watch(connection, Instant::now() + Duration::from_secs(1)).await;
    }
    client.close(Code::NO_ERROR, "done");
    client.wait_idle().await;
    accepting.await?;
    Ok(())
}

/// Prints every sample, and every change behind the sample that caused it.
async fn watch(connection: &Connection, end: Instant) {
    let mut before = connection.adaptation_stats();
    while Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let now = connection.adaptation_stats();
        if now.samples > before.samples
            && let Some(sample) = now.last_sample
        {
            println!(
                "{} {} {} {} {} {} {} {} {} {}",
                sample.at.as_micros(),
                sample.length.as_micros(),
                sample.rtt.as_micros(),
                sample.rtt_variation.unwrap_or_default().as_micros(),
                sample.delivery_rate,
                sample.sent_packets,
                sample.lost_packets,
                sample.congestion_events,
                sample.limited,
                sample.ramping,
            );
        }
        if now.tier != before.tier
            && let Some(tier) = now.tier
        {
            println!("> {tier}");
        }
        before = now;
    }
}

/// A path to the server, at so many megabits a second in each direction. Ends with the process.
async fn path(server: SocketAddr, rate: Arc<AtomicU64>) -> Result<SocketAddr, Box<dyn Error>> {
    let front = Arc::new(UdpSocket::bind("[::1]:0").await?);
    let back = Arc::new(UdpSocket::bind("[::1]:0").await?);
    back.connect(server).await?;
    let address = front.local_addr()?;
    // The client's first datagram says where it is.
    let (front_out, back_out, home) = (front.clone(), back.clone(), rate.clone());
    tokio::spawn(async move {
        let mut first = [0; 2048];
        let (length, client) = front.recv_from(&mut first).await?;
        back.send(&first[..length]).await?;
        front.connect(client).await?;
        tokio::spawn(pass(back, front_out, home));
        pass(front, back_out, rate).await
    });
    Ok(address)
}

async fn pass(
    from: Arc<UdpSocket>,
    to: Arc<UdpSocket>,
    rate: Arc<AtomicU64>,
) -> std::io::Result<()> {
    let mut free = Instant::now();
    let mut waiting: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let mut buffer = [0; 65_536];
    loop {
        let due = waiting.front().map(|(due, _)| *due);
        tokio::select! {
            biased;
            () = async { sleep_until(due.unwrap_or_else(Instant::now).into()).await }, if due.is_some() => {
                while waiting.front().is_some_and(|(due, _)| *due <= Instant::now()) {
                    if let Some((_, datagram)) = waiting.pop_front() {
                        // Whoever is gone gets nothing.
                        let _ = to.send(&datagram).await;
                    }
                }
            }
            length = from.recv(&mut buffer) => {
                let length = length?;
                let now = Instant::now();
                free = free.max(now);
                if free - now < QUEUE {
                    let nanos = length as u64 * 8 * 1000 / rate.load(Ordering::Relaxed).max(1);
                    free += Duration::from_nanos(nanos);
                    waiting.push_back((free + DELAY, buffer[..length].to_vec()));
                }
            }
        }
    }
}

const DELAY: Duration = Duration::from_millis(10);
const QUEUE: Duration = Duration::from_millis(50);
