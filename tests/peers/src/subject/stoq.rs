//! STOQ as its users have it: raw streams of a session, through stoq-native's public functions, to a server that is pinned by its FALCON
//! identity (`PqPolicy::Require`), with defaults for everything that is not named here: AES-128-GCM in place of AES-256-GCM, as
//! everybody, IPv4, and the size of packets. So its handshakes pay for X25519MLKEM768 and a composite signature, where the others' are
//! classical.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use stoq_native::{
    Cipher, ClientConfig, Code, Endpoint, FalconKey, FalconSigner as _, Identity, IpVersions, Pins,
    PqPolicy, RecvStream, SendStream, ServerConfig, Session, TransportConfig,
};
use tokio::runtime::Handle;

use crate::transport::{
    Client, Connecting, Connection, ReceiveHalf, SendHalf, Server, Setup, Transport,
};

pub(crate) struct Stoq;

/// TLS_AES_128_GCM_SHA256.
const SUITE: u16 = 0x1301;

impl Transport for Stoq {
    type Server = Listener;
    type Client = Dialer;
    type Connection = Opened;

    async fn server(setup: &Setup) -> Result<Listener> {
        let key = Arc::new(FalconKey::generate());
        let id = key.verifying_key().id().to_string();
        let identity = Identity::falcon(key, [setup.address.to_string()])?;
        let mut config = ServerConfig::new(identity);
        config.cipher = Cipher::Aes128Gcm;
        config.transport = transport(setup);
        config.workers = setup.sockets;
        let endpoint = Endpoint::server((setup.address, 0).into(), config)?;
        Ok(Listener { endpoint, id })
    }

    async fn client(setup: &Setup) -> Result<Dialer> {
        let server = setup.target()?;
        let pins = Pins::new().pin(&server.to_string(), setup.note.parse()?)?;
        let policy = PqPolicy::from(pins);
        let mut config = ClientConfig::new(policy.clone());
        config.transport = transport(setup);
        let endpoint = Endpoint::client(config)?;
        Ok(Dialer {
            endpoint,
            policy,
            server,
        })
    }
}

/// Packets begin with 1200 bytes and grow in the warm-up: discovery ends within 20 bytes of the size that is set.
fn transport(setup: &Setup) -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport.ip = IpVersions::V4Only;
    transport.socket.mtu = setup.mtu;
    transport
}

pub(crate) struct Dialer {
    endpoint: Endpoint,
    policy: PqPolicy,
    server: SocketAddr,
}

impl Client for Dialer {
    type Connection = Opened;

    async fn connect(&self) -> Result<Opened> {
        // Forgets what could be resumed.
        self.endpoint.set_policy(self.policy.clone())?;
        let url = format!("stoq://{}/peers", self.server);
        let session = self.endpoint.connect(&url).await?;
        let security = session.connection().security();
        ensure!(
            security.cipher_suite == SUITE,
            "the suite is {:#06x}",
            security.cipher_suite
        );
        ensure!(!security.resumed, "the handshake was not a full one");
        Ok(Opened::new(session))
    }
}

pub(crate) struct Listener {
    endpoint: Endpoint,
    id: String,
}

impl Server for Listener {
    type Connection = Opened;

    fn port(&self) -> Result<u16> {
        Ok(self.endpoint.local_addr()?.port())
    }

    fn note(&self) -> String {
        self.id.clone()
    }

    async fn accept(&mut self) -> Option<Connecting<Opened>> {
        let request = self.endpoint.accept().await?;
        Some(Box::pin(
            async move { Ok(Opened::new(request.accept().await?)) },
        ))
    }
}

/// A session, and how many datagrams it may have waiting.
#[derive(Clone)]
pub(crate) struct Opened {
    session: Session,
    pace: Arc<Mutex<Pace>>,
}

impl Opened {
    fn new(session: Session) -> Self {
        Self {
            session,
            pace: Arc::default(),
        }
    }
}

/// What is known of datagrams that were handed over.
#[derive(Default)]
struct Pace {
    /// Bytes that may still wait.
    waiting: u64,
    /// Packets that had been sent when it was last asked.
    sent: u64,
}

impl Pace {
    /// Half of what a connection holds before it drops.
    const MOST: u64 = 512 * 1024;

    /// Whether another datagram may be handed over, which then counts as waiting. A packet carries one datagram.
    fn admits(&mut self, len: u64, sent: impl FnOnce() -> u64) -> bool {
        if self.waiting >= Self::MOST {
            let sent = sent();
            let gone = sent.saturating_sub(self.sent).saturating_mul(len);
            self.waiting = self.waiting.saturating_sub(gone);
            self.sent = sent;
        }
        let admits = self.waiting < Self::MOST;
        if admits {
            self.waiting += len;
        }
        admits
    }
}

impl Connection for Opened {
    type Send = SendStream;
    type Receive = RecvStream;

    async fn open(&self) -> Result<(SendStream, RecvStream)> {
        Ok(self.session.open_bi().await?)
    }

    async fn accept(&self) -> Result<(SendStream, RecvStream)> {
        Ok(self.session.accept_bi().await?)
    }

    fn runtime(&self) -> Option<Handle> {
        Some(self.session.connection().runtime().clone())
    }

    fn packet(&self) -> Option<u16> {
        Some(self.session.connection().stats().mtu)
    }

    fn max_datagram(&self) -> usize {
        self.session.max_datagram_size()
    }

    /// STOQ's own never waits, and drops the oldest that wait. So this waits until enough packets have left.
    async fn send_datagram(&self, data: Bytes) -> Result<()> {
        let len = u64::try_from(data.len())?;
        let sent = || self.session.connection().stats().sent_packets;
        loop {
            let admits = self.pace.lock().map(|mut pace| pace.admits(len, sent));
            if admits.is_ok_and(|admits| admits) {
                break;
            }
            tokio::task::yield_now().await;
        }
        self.session.send_datagram(data)?;
        tokio::task::coop::consume_budget().await;
        Ok(())
    }

    async fn datagram(&self) -> Result<usize> {
        Ok(self.session.recv_datagram().await?.len())
    }

    fn close(&self) {
        self.session.close(Code::NO_ERROR, "");
    }
}

impl SendHalf for SendStream {
    async fn write(&mut self, data: Bytes) -> Result<()> {
        Ok(self.write_chunk(data).await?)
    }

    async fn finish(&mut self) -> Result<()> {
        Self::finish(self).context("finished twice")
    }
}

impl ReceiveHalf for RecvStream {
    async fn read(&mut self) -> Result<Option<Bytes>> {
        Ok(self.read_chunk(usize::MAX).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_wait_until_packets_have_left() {
        let mut pace = Pace::default();
        let len = Pace::MOST / 4;
        for _ in 0..4 {
            assert!(pace.admits(len, || unreachable!("there is room")));
        }
        assert!(!pace.admits(len, || 0));
        assert!(pace.admits(len, || 1));
        assert!(!pace.admits(len, || 1));
    }
}
