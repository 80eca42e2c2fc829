//! noq, n0's fork of quinn, with its defaults, and set up as quinn is.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use noq::crypto::rustls::{QuicClientConfig, QuicServerConfig};

use crate::pki::NAME;
use crate::transport::{
    Client, Connecting, Connection, ReceiveHalf, SendHalf, Server, Setup, Transport,
};

pub(crate) struct Noq;

impl Transport for Noq {
    type Server = noq::Endpoint;
    type Client = Dialer;
    type Connection = noq::Connection;

    async fn server(setup: &Setup) -> Result<noq::Endpoint> {
        let tls = QuicServerConfig::try_from(setup.pki.rustls_server()?)?;
        let mut config = noq::ServerConfig::with_crypto(Arc::new(tls));
        config.transport_config(transport(setup));
        endpoint(setup, Some(config))
    }

    async fn client(setup: &Setup) -> Result<Dialer> {
        let tls = QuicClientConfig::try_from(setup.pki.rustls_client()?)?;
        let mut config = noq::ClientConfig::new(Arc::new(tls));
        config.transport_config(transport(setup));
        let endpoint = endpoint(setup, None)?;
        endpoint.set_default_client_config(config);
        Ok(Dialer {
            endpoint,
            server: setup.target()?,
        })
    }
}

/// As `Endpoint::server` and `Endpoint::client` make it, but for the largest packet that is taken: the default, 1472, refuses larger ones
/// whatever their sender is set to.
fn endpoint(setup: &Setup, server: Option<noq::ServerConfig>) -> Result<noq::Endpoint> {
    let mut config = noq::EndpointConfig::default();
    let default = config.get_max_udp_payload_size();
    if u64::from(setup.mtu) > default {
        config.max_udp_payload_size(setup.mtu)?;
    }
    let socket = UdpSocket::bind((setup.address, 0))?;
    let runtime = noq::default_runtime().context("within tokio")?;
    Ok(noq::Endpoint::new(config, server, socket, runtime)?)
}

fn transport(setup: &Setup) -> Arc<noq::TransportConfig> {
    let mut transport = noq::TransportConfig::default();
    transport
        .initial_mtu(setup.mtu)
        .min_mtu(setup.mtu)
        .mtu_discovery_config(None);
    Arc::new(transport)
}

pub(crate) struct Dialer {
    endpoint: noq::Endpoint,
    server: SocketAddr,
}

impl Client for Dialer {
    type Connection = noq::Connection;

    async fn connect(&self) -> Result<noq::Connection> {
        Ok(self.endpoint.connect(self.server, NAME)?.await?)
    }
}

impl Server for noq::Endpoint {
    type Connection = noq::Connection;

    fn port(&self) -> Result<u16> {
        Ok(self.local_addr()?.port())
    }

    async fn accept(&mut self) -> Option<Connecting<noq::Connection>> {
        let incoming = Self::accept(self).await?;
        Some(Box::pin(async move { Ok(incoming.await?) }))
    }
}

impl Connection for noq::Connection {
    type Send = noq::SendStream;
    type Receive = noq::RecvStream;

    async fn open(&self) -> Result<(Self::Send, Self::Receive)> {
        Ok(self.open_bi().await?)
    }

    async fn accept(&self) -> Result<(Self::Send, Self::Receive)> {
        Ok(self.accept_bi().await?)
    }

    fn packet(&self) -> Option<u16> {
        Some(self.path_stats(noq::PathId::ZERO)?.current_mtu)
    }

    fn max_datagram(&self) -> usize {
        self.max_datagram_size().unwrap_or(0)
    }

    async fn send_datagram(&self, data: Bytes) -> Result<()> {
        Ok(self.send_datagram_wait(data).await?)
    }

    async fn datagram(&self) -> Result<usize> {
        Ok(self.read_datagram().await?.len())
    }

    fn close(&self) {
        Self::close(self, 0_u32.into(), b"");
    }
}

impl SendHalf for noq::SendStream {
    async fn write(&mut self, data: Bytes) -> Result<()> {
        Ok(self.write_chunk(data).await?)
    }

    async fn finish(&mut self) -> Result<()> {
        Self::finish(self).context("finished twice")
    }
}

impl ReceiveHalf for noq::RecvStream {
    async fn read(&mut self) -> Result<Option<Bytes>> {
        let chunk = self.read_chunk(usize::MAX).await?;
        Ok(chunk)
    }
}
