//! STOQ as its users have it: raw streams of a session, through stoq-native's public functions, to a server that is pinned by its FALCON
//! identity (`PqPolicy::Require`), with defaults for everything that is not named here: AES-128-GCM in place of AES-256-GCM, as
//! everybody, IPv4, and the size of packets. So its handshakes pay for X25519MLKEM768 and a composite signature, where the others' are
//! classical.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use stoq_native::{
    Cipher, ClientConfig, Code, Endpoint, FalconKey, FalconSigner as _, Identity, IpVersions, Pins,
    RecvStream, SendStream, ServerConfig, Session, TransportConfig,
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
    type Connection = Session;

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
        let mut config = ClientConfig::new(pins);
        config.resume = false;
        config.transport = transport(setup);
        let endpoint = Endpoint::client(config)?;
        Ok(Dialer { endpoint, server })
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
    server: SocketAddr,
}

impl Client for Dialer {
    type Connection = Session;

    async fn connect(&self) -> Result<Session> {
        let url = format!("stoq://{}/peers", self.server);
        let session = self.endpoint.connect(&url).await?;
        let security = session.connection().security();
        ensure!(
            security.cipher_suite == SUITE,
            "the suite is {:#06x}",
            security.cipher_suite
        );
        ensure!(!security.resumed, "the handshake was not a full one");
        Ok(session)
    }
}

pub(crate) struct Listener {
    endpoint: Endpoint,
    id: String,
}

impl Server for Listener {
    type Connection = Session;

    fn port(&self) -> Result<u16> {
        Ok(self.endpoint.local_addr()?.port())
    }

    fn note(&self) -> String {
        self.id.clone()
    }

    async fn accept(&mut self) -> Option<Connecting<Session>> {
        let request = self.endpoint.accept().await?;
        Some(Box::pin(async move { Ok(request.accept().await?) }))
    }
}

impl Connection for Session {
    type Send = SendStream;
    type Receive = RecvStream;

    async fn open(&self) -> Result<(SendStream, RecvStream)> {
        Ok(self.open_bi().await?)
    }

    async fn accept(&self) -> Result<(SendStream, RecvStream)> {
        Ok(self.accept_bi().await?)
    }

    fn runtime(&self) -> Option<Handle> {
        Some(self.connection().runtime().clone())
    }

    fn packet(&self) -> Option<u16> {
        Some(self.connection().stats().mtu)
    }

    fn max_datagram(&self) -> usize {
        self.max_datagram_size()
    }

    async fn send_datagram(&self, data: Bytes) -> Result<()> {
        Ok(self.send_datagram_wait(data).await?)
    }

    async fn datagram(&self) -> Result<usize> {
        Ok(self.recv_datagram().await?.len())
    }

    fn close(&self) {
        self.close(Code::NO_ERROR, "");
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
