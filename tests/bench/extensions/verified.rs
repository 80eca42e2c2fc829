//! A raw stream beside verified ones: the client sends, the server reads to the verified end and says so.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::time::{ClockId, clock_gettime};
use stoq_native::{
    ChannelConfig, ClientConfig, Delivery, Endpoint, FalconId, FalconKey, FalconSigner as _,
    HashFunction, Identity, Item, ServerConfig, Session, Trust,
};
use tokio::task::JoinSet;

use crate::Result;

/// Rounds that are measured; one before them warms up.
const ROUNDS: usize = 11;
/// Sent per round and contender.
const BULK: usize = 256 * 1024 * 1024;
const BLOCK: usize = 64 * 1024;

#[derive(Clone, Copy, PartialEq)]
enum Contender {
    Raw,
    /// Handed out at once, and known to be verified when the signature has come.
    Pending(HashFunction),
    /// Held back until then.
    HeldBack(HashFunction),
}

const CONTENDERS: [(&str, Contender); 5] = [
    ("raw stream", Contender::Raw),
    ("verified, BLAKE3", Contender::Pending(HashFunction::Blake3)),
    (
        "verified, BLAKE3, held back",
        Contender::HeldBack(HashFunction::Blake3),
    ),
    (
        "verified, SHA-256",
        Contender::Pending(HashFunction::Sha256),
    ),
    (
        "verified, SHA-256, held back",
        Contender::HeldBack(HashFunction::Sha256),
    ),
];

struct Sample {
    rate: f64,
    cpu: Duration,
}

/// Measures and prints.
pub(crate) async fn run() -> Result<()> {
    let key = Arc::new(FalconKey::generate());
    let config = ChannelConfig::default().signed_by(key.clone());
    let [at_once, held_back] = connect(key.verifying_key().id()).await?;
    let mut samples: [Vec<Sample>; CONTENDERS.len()] = Default::default();
    for round in 0..=ROUNDS {
        for (at, (_, contender)) in CONTENDERS.iter().enumerate() {
            let session = match contender {
                Contender::HeldBack(_) => &held_back,
                Contender::Raw | Contender::Pending(_) => &at_once,
            };
            let sample = bulk(session, &config, *contender).await?;
            if round > 0 {
                samples[at].push(sample);
            }
        }
    }
    println!(
        "\n{} MiB on one stream, both ends in one process, median of {ROUNDS} rounds\n",
        BULK >> 20
    );
    println!("| | MB/s | of raw, same round | CPU s/GB |\n|---|---|---|---|");
    for (at, (name, _)) in CONTENDERS.iter().enumerate() {
        let rate = median(samples[at].iter().map(|sample| sample.rate));
        let pairs = samples[at].iter().zip(&samples[0]);
        let ratio = median(pairs.map(|(sample, raw)| sample.rate / raw.rate));
        let cpu = median(samples[at].iter().map(|sample| sample.cpu.as_secs_f64()));
        let cpu = cpu / (BULK as f64 / 1e9);
        println!(
            "| {name} | {:.0} | {:.1} % | {cpu:.2} |",
            rate / 1e6,
            ratio * 100.0
        );
    }
    Ok(())
}

async fn bulk(session: &Session, config: &ChannelConfig, contender: Contender) -> Result<Sample> {
    let block = Bytes::from(vec![7; BLOCK]);
    let (start, cpu) = (Instant::now(), process_cpu());
    let count = match contender {
        Contender::Raw => {
            let (mut send, mut recv) = session.open_bi().await?;
            for _ in 0..BULK / BLOCK {
                send.write_chunk(block.clone()).await?;
            }
            send.finish()?;
            recv.read_to_end(8).await?
        }
        Contender::Pending(hash) | Contender::HeldBack(hash) => {
            let mut config = config.clone();
            config.hash = hash;
            let (mut send, mut recv) = session.open_verified_bi(&config).await?;
            for _ in 0..BULK / BLOCK {
                send.write(block.clone()).await?;
            }
            send.finish().await?;
            recv.read_to_end(8).await?
        }
    };
    let seconds = start.elapsed().as_secs_f64();
    let cpu = process_cpu() - cpu;
    if count != BULK.to_be_bytes() {
        return Err("the server counted other bytes than were sent".into());
    }
    Ok(Sample {
        rate: BULK as f64 / seconds,
        cpu,
    })
}

/// Sessions with a server that has a thread and a runtime of its own: one is given data at once, the other what is verified.
async fn connect(origin: FalconId) -> Result<[Session; 2]> {
    let identity = Identity::self_signed(["localhost"])?;
    let trust = Trust::CertificateHashes(vec![identity.certificate_hash()]);
    let (ready, listening) = channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a thread can have a runtime");
        runtime.block_on(async {
            let mut config = ServerConfig::new(identity);
            config.framed_streams = true;
            let address = "127.0.0.1:0".parse().expect("an address");
            let server = Endpoint::server(address, config).expect("a port is free");
            let _ = ready.send(server.local_addr().expect("it is bound"));
            let mut sessions = JoinSet::new();
            while let Some(request) = server.accept().await {
                let mut config = ChannelConfig::default().from_origins([origin]);
                config.delivery = match request.service().as_str() {
                    "at-once" => Delivery::Pending,
                    _ => Delivery::Verified,
                };
                if let Ok(session) = request.accept().await {
                    // Both end with the session.
                    sessions.spawn(async move {
                        let (_, _) = tokio::join!(raw(&session), verified(&session, &config));
                    });
                }
            }
        });
    });
    let address = listening.recv()?;
    let mut config = ClientConfig::new(trust);
    config.framed_streams = true;
    let client = Endpoint::client(config)?;
    let url = |service| format!("stoq://{address}/{service}");
    let at_once = client.connect(&url("at-once")).await?;
    Ok([at_once, client.connect(&url("held-back")).await?])
}

async fn raw(session: &Session) -> Result<()> {
    loop {
        let (mut send, mut recv) = session.accept_bi().await?;
        let mut count = 0;
        while let Some(chunk) = recv.read_chunk(usize::MAX).await? {
            count += chunk.len();
        }
        send.write_all(&count.to_be_bytes()).await?;
        send.finish()?;
    }
}

async fn verified(session: &Session, config: &ChannelConfig) -> Result<()> {
    loop {
        let (mut send, mut recv) = session.accept_verified_bi(config).await?;
        let mut count = 0;
        while let Some(item) = recv.next().await? {
            if let Item::Data { data, .. } = item {
                count += data.len();
            }
        }
        send.write(Bytes::copy_from_slice(&count.to_be_bytes()))
            .await?;
        send.finish().await?;
    }
}

fn process_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
