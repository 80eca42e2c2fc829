//! A path between two sockets: real datagrams, that wait for a while, are lost now and then, and are written down.
//!
//! ```text
//!   client ── front ── written down ── lost? ── waits ── back ── server        and the same the other way
//! ```

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::Result;
use crate::packets::{Packet, packets};

/// What a path does to datagrams.
#[derive(Clone, Copy)]
pub(crate) struct Path {
    /// How long each waits, in each direction.
    pub(crate) delay: Duration,
    /// How many of a thousand are lost, in each direction.
    pub(crate) loss_per_mille: u32,
    /// Which ones: the n-th datagram of a direction has the same fate whatever it holds.
    pub(crate) seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    Client,
    Server,
}

/// A datagram that came by.
struct Passed {
    sender: Sender,
    bytes: usize,
    packets: Vec<Packet>,
}

/// Datagrams of one sender between two of the other.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    pub(crate) sender: Sender,
    pub(crate) bytes: usize,
    pub(crate) datagrams: usize,
    pub(crate) packets: usize,
    /// Its sender was done with the handshake.
    pub(crate) done: bool,
}

impl fmt::Display for Flight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrow = match self.sender {
            Sender::Client => '→',
            Sender::Server => '←',
        };
        let Self {
            bytes,
            datagrams,
            packets,
            ..
        } = self;
        write!(f, "{arrow} {bytes}/{datagrams}/{packets}")
    }
}

/// All of them, in order.
pub(crate) fn list(flights: &[Flight]) -> String {
    let flights: Vec<_> = flights.iter().map(Flight::to_string).collect();
    flights.join("  ")
}

/// Carries one connection. Dropped, it carries nothing any more.
pub(crate) struct Proxy {
    /// Where the client finds the server.
    pub(crate) address: SocketAddr,
    passed: Arc<Mutex<Vec<Passed>>>,
    _tasks: JoinSet<Result<()>>,
}

impl Proxy {
    pub(crate) async fn new(server: SocketAddr, path: Path) -> Result<Self> {
        let front = Arc::new(UdpSocket::bind("127.0.0.1:0").await?);
        let back = Arc::new(UdpSocket::bind("127.0.0.1:0").await?);
        back.connect(server).await?;
        let passed = Arc::new(Mutex::new(Vec::new()));
        let (found, client) = watch::channel(None);
        let mut tasks = JoinSet::new();
        for (from, to, sender) in [
            (front.clone(), back.clone(), Sender::Client),
            (back, front.clone(), Sender::Server),
        ] {
            let (queue, waiting) = mpsc::unbounded_channel();
            let passed = passed.clone();
            let found = found.clone();
            tasks.spawn(take(from, sender, path, passed, found, queue));
            tasks.spawn(deliver(to, sender, client.clone(), waiting));
        }
        Ok(Self {
            address: front.local_addr()?,
            passed,
            _tasks: tasks,
        })
    }

    /// What came by until now.
    pub(crate) fn flights(&self) -> Vec<Flight> {
        let passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        let flights = passed.chunk_by(|one, next| one.sender == next.sender);
        let flight = |flight: &[Passed]| Flight {
            sender: flight[0].sender,
            bytes: flight.iter().map(|passed| passed.bytes).sum(),
            datagrams: flight.len(),
            packets: flight.iter().map(|passed| passed.packets.len()).sum(),
            done: flight
                .iter()
                .any(|passed| passed.packets.contains(&Packet::OneRtt)),
        };
        flights.map(flight).collect()
    }
}

/// Writes down what comes, decides whether it is lost, and when it is due at the other end.
async fn take(
    socket: Arc<UdpSocket>,
    sender: Sender,
    path: Path,
    passed: Arc<Mutex<Vec<Passed>>>,
    found: watch::Sender<Option<SocketAddr>>,
    queue: mpsc::UnboundedSender<(Instant, Vec<u8>)>,
) -> Result<()> {
    let mut chance = fastrand::Rng::with_seed(path.seed * 2 + u64::from(sender == Sender::Client));
    let mut buffer = vec![0; 65_536];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await?;
        let due = Instant::now() + path.delay;
        let datagram = &buffer[..length];
        if sender == Sender::Client {
            found.send_replace(Some(from));
        }
        passed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Passed {
                sender,
                bytes: length,
                packets: packets(datagram),
            });
        if chance.u32(0..1000) >= path.loss_per_mille {
            queue.send((due, datagram.to_vec()))?;
        }
    }
}

/// The delay is the same for all, so what came first is due first.
async fn deliver(
    socket: Arc<UdpSocket>,
    sender: Sender,
    client: watch::Receiver<Option<SocketAddr>>,
    mut waiting: mpsc::UnboundedReceiver<(Instant, Vec<u8>)>,
) -> Result<()> {
    while let Some((due, datagram)) = waiting.recv().await {
        sleep_until(due).await;
        let client = *client.borrow();
        match (sender, client) {
            (Sender::Server, Some(client)) => socket.send_to(&datagram, client).await?,
            _ => socket.send(&datagram).await?,
        };
    }
    Ok(())
}
