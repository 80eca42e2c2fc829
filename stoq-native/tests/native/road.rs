//! A path between two sockets that loses datagrams, and those that are too large for it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Carries the connections of one client. Dropped, it carries nothing any more.
pub(crate) struct Road {
    /// Where the client finds the server.
    pub(crate) address: SocketAddr,
    fate: Arc<Fate>,
    _tasks: JoinSet<()>,
}

/// What becomes of datagrams, in both directions.
struct Fate {
    /// How many of a thousand are lost.
    loss_per_mille: AtomicU32,
    /// Bytes of the largest that is carried.
    largest: AtomicUsize,
}

impl Road {
    /// A path that loses nothing yet.
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let any = SocketAddr::new(server.ip(), 0);
        let front = Arc::new(UdpSocket::bind(any).await.expect("loopback has free ports"));
        let back = Arc::new(UdpSocket::bind(any).await.expect("loopback has free ports"));
        let connected = back.connect(server).await;
        connected.expect("loopback is reachable");
        let fate = Arc::new(Fate {
            loss_per_mille: AtomicU32::new(0),
            largest: AtomicUsize::new(usize::MAX),
        });
        let address = front.local_addr().expect("it is bound");
        let (found, client) = watch::channel(None);
        let mut tasks = JoinSet::new();
        tasks.spawn({
            let (front, back, fate) = (front.clone(), back.clone(), fate.clone());
            async move {
                let mut dice = Dice(1);
                let mut buffer = vec![0; 65_536];
                while let Ok((len, from)) = front.recv_from(&mut buffer).await {
                    found.send_replace(Some(from));
                    if fate.carries(len, &mut dice) {
                        let _ = back.send(&buffer[..len]).await;
                    }
                }
            }
        });
        tasks.spawn({
            let fate = fate.clone();
            async move {
                let mut dice = Dice(2);
                let mut buffer = vec![0; 65_536];
                while let Ok(len) = back.recv(&mut buffer).await {
                    let client = *client.borrow();
                    if let Some(client) = client
                        && fate.carries(len, &mut dice)
                    {
                        let _ = front.send_to(&buffer[..len], client).await;
                    }
                }
            }
        });
        Self {
            address,
            fate,
            _tasks: tasks,
        }
    }

    /// From now on this many of a thousand datagrams are lost.
    pub(crate) fn lose(&self, per_mille: u32) {
        self.fate.loss_per_mille.store(per_mille, Ordering::Relaxed);
    }

    /// From now on datagrams of more than this many bytes are lost.
    pub(crate) fn narrow(&self, largest: usize) {
        self.fate.largest.store(largest, Ordering::Relaxed);
    }
}

impl Fate {
    fn carries(&self, len: usize, dice: &mut Dice) -> bool {
        len <= self.largest.load(Ordering::Relaxed)
            && dice.roll() >= self.loss_per_mille.load(Ordering::Relaxed)
    }
}

/// The n-th datagram of a direction has the same fate whatever it holds.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as u32 % 1000
    }
}
