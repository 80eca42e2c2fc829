//! The measurements, the same for every contender.

use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, ML_DSA_65_SIGNING, ML_DSA_87_SIGNING, PqdsaKeyPair};
use stoq_native::{Domain, FalconKey, FalconSigner as _};

use crate::Result;
use crate::contenders::Contender;
use crate::proxy::{Flight, Path, Proxy, Sender, list};
use crate::server::thread_cpu;

/// Processor time per connection.
#[derive(Clone, Copy)]
pub(crate) struct Cpu {
    pub(crate) server: Duration,
    pub(crate) client: Duration,
}

/// Connects this often, one after the other, and closes each connection at once.
pub(crate) async fn cpu(contender: &Contender, connections: u32) -> Result<Cpu> {
    let mut client = contender.client.clone();
    let address = contender.server.address;
    client.prepare(address)?;
    if contender.resumes {
        client.connect(address, false).await?.close();
    }
    let before = contender.server.cpu().await?;
    let mut taken = Duration::ZERO;
    for _ in 0..connections {
        if !contender.resumes {
            client.prepare(address)?;
        }
        let begun = thread_cpu();
        let connected = client.connect(address, contender.resumes).await?;
        taken += thread_cpu() - begun;
        connected.close();
    }
    let after = contender.server.cpu().await?;
    Ok(Cpu {
        server: (after - before) / connections,
        client: taken / connections,
    })
}

/// One connection over a path.
pub(crate) struct Journey {
    /// Until the client's TLS was done, where it shows.
    pub(crate) tls: Option<Duration>,
    /// Until the server's answer after that.
    pub(crate) answered: Duration,
    /// Up to the one in which the client shows that it is done.
    pub(crate) flights: Vec<Flight>,
}

impl Journey {
    /// Flights of the server that the client needed.
    pub(crate) fn round_trips(&self) -> usize {
        let servers = |flight: &&Flight| flight.sender == Sender::Server;
        self.flights.iter().filter(servers).count()
    }
}

pub(crate) async fn journey(contender: &Contender, path: Path) -> Result<Journey> {
    let proxy = Proxy::new(contender.server.address, path).await?;
    let mut client = contender.client.clone();
    client.prepare(proxy.address)?;
    if contender.resumes {
        return Err("who resumes has to have been there before".into());
    }
    let connected = client.connect(proxy.address, false).await;
    let mut flights = proxy.flights();
    let connected =
        connected.map_err(|error| format!("{error}; what came by: {}", list(&flights)))?;
    let done = flights
        .iter()
        .position(|flight| flight.sender == Sender::Client && flight.done)
        .ok_or("a client that is done has sent a packet that says so")?;
    flights.truncate(done + 1);
    let (tls, answered) = (connected.tls, connected.answered);
    connected.close();
    Ok(Journey {
        tls,
        answered,
        flights,
    })
}

/// Processor time of one signature over what TLS 1.3 signs with SHA-384, by what makes it.
pub(crate) fn signatures() -> Result<Vec<(&'static str, Duration)>> {
    let message = [7; 64 + 33 + 1 + 48];
    let ed25519 = Ed25519KeyPair::generate()?;
    let falcon = FalconKey::generate();
    let (ml_dsa_65, ml_dsa_87) = (
        PqdsaKeyPair::generate(&ML_DSA_65_SIGNING)?,
        PqdsaKeyPair::generate(&ML_DSA_87_SIGNING)?,
    );
    let by_ml_dsa = |key: &PqdsaKeyPair| {
        let mut signature = vec![0; key.algorithm().signature_len()];
        key.sign(&message, &mut signature)?;
        Ok(())
    };
    Ok(vec![
        (
            "Ed25519",
            median_of(&|| {
                std::hint::black_box(ed25519.sign(&message));
                Ok(())
            })?,
        ),
        (
            "FALCON-1024, verified after signing",
            median_of(&|| {
                falcon.sign(Domain::COMPOSITE, &[&message])?;
                Ok(())
            })?,
        ),
        ("ML-DSA-65", median_of(&|| by_ml_dsa(&ml_dsa_65))?),
        ("ML-DSA-87", median_of(&|| by_ml_dsa(&ml_dsa_87))?),
    ])
}

fn median_of(work: &dyn Fn() -> Result<()>) -> Result<Duration> {
    let mut times = Vec::new();
    for _ in 0..SIGNATURES {
        let begun = thread_cpu();
        work()?;
        times.push(thread_cpu() - begun);
    }
    times.sort();
    Ok(times[times.len() / 2])
}

const SIGNATURES: usize = 101;
