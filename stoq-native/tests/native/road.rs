//! A path between two sockets that loses datagrams, and those that are too large for it, and can begin elsewhere.

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
    server: SocketAddr,
    fate: Arc<Fate>,
    /// Where the server sees the client.
    back: watch::Sender<Arc<UdpSocket>>,
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
        let back = watch::Sender::new(towards(server).await);
        let fate = Arc::new(Fate {
            loss_per_mille: AtomicU32::new(0),
            largest: AtomicUsize::new(usize::MAX),
        });
        let address = front.local_addr().expect("it is bound");
        let (found, client) = watch::channel(None);
        let mut tasks = JoinSet::new();
        tasks.spawn({
            let (front, back, fate) = (front.clone(), back.subscribe(), fate.clone());
            async move {
                let mut dice = Dice(1);
                let mut buffer = vec![0; 65_536];
                while let Ok((len, from)) = front.recv_from(&mut buffer).await {
                    found.send_replace(Some(from));
                    if fate.carries(len, &mut dice) {
                        let back = back.borrow().clone();
                        let _ = back.send(&buffer[..len]).await;
                    }
                }
            }
        });
        tasks.spawn({
            let (mut back, fate) = (back.subscribe(), fate.clone());
            async move {
                let mut dice = Dice(2);
                let mut buffer = vec![0; 65_536];
                loop {
                    let socket = back.borrow_and_update().clone();
                    let len = tokio::select! {
                        Ok(len) = socket.recv(&mut buffer) => len,
                        Ok(()) = back.changed() => continue,
                        else => return,
                    };
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
            server,
            fate,
            back,
            _tasks: tasks,
        }
    }

    /// From now on the server sees the client elsewhere; what was on its way there is lost.
    pub(crate) async fn moves(&self) {
        self.back.send_replace(towards(self.server).await);
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

async fn towards(server: SocketAddr) -> Arc<UdpSocket> {
    let any = SocketAddr::new(server.ip(), 0);
    let socket = UdpSocket::bind(any).await.expect("loopback has free ports");
    let connected = socket.connect(server).await;
    connected.expect("loopback is reachable");
    Arc::new(socket)
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
